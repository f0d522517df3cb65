//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::checkpoint::Checkpoint;
use crate::estimate::{Sampler, estimate};
use crate::images::Images;
use crate::layers::Form;
use crate::network::Network;

/// Estimates the Fisher of a ReLU multilayer perceptron, mean over examples, and writes it with its provenance.
#[derive(Parser)]
#[command(name = "estimate_fisher")]
pub struct Arguments {
    /// A checkpoint with tensors <i>.weight and <i>.bias.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Images and labels: <split>.images [count, pixels] and <split>.labels [count] of bytes; the inputs are value/16.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// Only images with these labels.
    #[arg(long, value_delimiter = ',', value_name = "LABELS")]
    labels: Option<Vec<u8>>,
    #[arg(long, value_enum, default_value = "diagonal")]
    structure: Structure,
    #[arg(long, value_enum, default_value = "exact")]
    estimator: Kind,
    /// Labels drawn for every example, for monte-carlo.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    draws: u32,
    /// So many of the images, chosen by the seed; all if not given.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    examples: Option<u64>,
    /// For the choice of images and of labels.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the Fisher goes, in f32.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    Train,
    Test,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// The expectation over all labels.
    Exact,
    /// Labels drawn from the model.
    MonteCarlo,
    /// The labels of the data.
    Empirical,
}

#[derive(Clone, Copy, ValueEnum)]
enum Structure {
    /// One number for every parameter.
    Diagonal,
    /// The second moments of every layer's inputs and output gradients.
    Kronecker,
    /// That of the inputs alone.
    InputCovariance,
    /// The whole matrix of layers of up to 4,096 parameters, Kronecker factors of larger ones.
    Dense,
}

/// Estimates and writes.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let model = Checkpoint::open(&arguments.model)?;
    let network = Network::new(&model.parameters).map_err(|error| format!("{}: {error}", arguments.model.display()))?;
    let split = match arguments.split {
        Split::Train => "train",
        Split::Test => "test",
    };
    let all = Images::open(&arguments.data, split)?;
    let mut places = arguments.labels.as_ref().map_or_else(|| (0..all.count()).collect(), |labels| all.labelled(labels));
    if let Some(examples) = arguments.examples {
        let examples = usize::try_from(examples).unwrap_or(usize::MAX);
        if examples > places.len() {
            return Err(format!("{}: {} such images in {split}, expected {examples}", arguments.data.display(), places.len()));
        }
        Sampler::new(arguments.seed).shuffle(&mut places);
        places.truncate(examples);
        places.sort_unstable();
    }
    let images = all.at(&places);
    let kind = match arguments.estimator {
        Kind::Exact => fisher_merge::Estimator::Exact,
        Kind::MonteCarlo => fisher_merge::Estimator::MonteCarlo { draws: arguments.draws },
        Kind::Empirical => fisher_merge::Estimator::Empirical,
    };
    let form = match arguments.structure {
        Structure::Diagonal => Form::Diagonal,
        Structure::Kronecker => Form::Kronecker,
        Structure::InputCovariance => Form::InputCovariance,
        Structure::Dense => Form::Dense,
    };
    let fisher =
        estimate(&network, &images, (form, kind), arguments.seed).map_err(|error| format!("{}: {error}", arguments.data.display()))?;
    model.write_fisher(&fisher, &arguments.out)?;
    let record = fisher.record;
    println!("{}: {} Fisher of {} examples, {} tensors", arguments.out.display(), record.estimator, record.examples, fisher.tensors.len());
    Ok(())
}
