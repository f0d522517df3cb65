//! The merges that know more than a diagonal: whole layers `[W | b]`, with Fishers in factors that are estimated here from the training
//! images of each model.

use std::error::Error;
use std::path::Path;

use fisher_merge::{Estimator, Structure, StructuredMerge, StructuredPosterior};

use super::checkpoint::Checkpoint;
use crate::estimate::estimate;
use crate::images::Images;
use crate::layers::{Fisher, Form};
use crate::network::{Network, Parameters};

/// The digits that each model was trained on.
const KNOWN: [&[u8]; 2] = [&[0, 1, 2, 3, 4], &[5, 6, 7, 8, 9]];

/// Two models with their training images.
pub struct Whole {
    models: [Parameters; 2],
    networks: [Network; 2],
    images: [Images; 2],
}

impl Whole {
    pub fn open(models: [&Checkpoint; 2], data: &Path) -> Result<Self, Box<dyn Error>> {
        let train = Images::open(data, "train")?;
        let models = [models[0].parameters()?, models[1].parameters()?];
        let networks = [Network::new(&models[0])?, Network::new(&models[1])?];
        Ok(Self { images: KNOWN.map(|labels| train.at(&train.labelled(labels))), models, networks })
    }

    /// Merges with equal weights and default damping.
    pub fn merge(&self, form: Form) -> Result<Parameters, Box<dyn Error>> {
        let fisher = |model: usize| estimate(&self.networks[model], &self.images[model], (form, Estimator::Exact), 0);
        let fishers = [fisher(0)?, fisher(1)?];
        let mut merged = Parameters::new();
        for layer in &self.networks[0].layers {
            let (weight, bias) = (format!("{}.weight", layer.number), format!("{}.bias", layer.number));
            let matrices = [0, 1].map(|model: usize| joined(&self.models[model][&weight], &self.models[model][&bias]));
            let shape = (layer.outputs, layer.inputs + 1);
            let posterior = |model: usize| StructuredPosterior::new(&matrices[model], shape, structure(&fishers[model], &weight));
            let factors = [posterior(0)?.power(0.5), posterior(1)?.power(0.5)];
            let (merge, mut out) = (StructuredMerge::new(), vec![0.0; matrices[0].len()]);
            let mut scratch = vec![0.0; merge.scratch(&factors)?];
            let _ = merge.run(&factors, &mut out, &mut scratch).map_err(|error| format!("{weight}: {error}"))?;
            let lines = || out.chunks(shape.1).filter_map(|line| line.split_last());
            merged.insert(weight, lines().flat_map(|(_, weights)| weights).copied().collect());
            merged.insert(bias, lines().map(|(bias, _)| *bias).collect());
        }
        Ok(merged)
    }
}

/// `[W | b]`
fn joined(weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let lines = weight.chunks(weight.len().checked_div(bias.len()).unwrap_or(1).max(1)).zip(bias);
    lines.flat_map(|(line, bias)| line.iter().chain([bias])).copied().collect()
}

/// A layer's, by what the estimate gave.
fn structure<'f>(fisher: &'f Fisher, weight: &str) -> Structure<'f, f64> {
    let part = |what| fisher.tensors.get(&format!("{weight}.fisher.{what}")).map_or(&[][..], |(_, values)| values);
    match (part("dense"), part("outputs"), part("inputs")) {
        ([], [], inputs) => Structure::InputCovariance(inputs),
        ([], outputs, inputs) => Structure::Kronecker { outputs, inputs },
        (dense, ..) => Structure::Dense(dense),
    }
}
