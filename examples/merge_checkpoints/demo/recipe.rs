//! The merges: which posteriors, weights and conditioning, over all tensors of two checkpoints, paired by name.

use std::error::Error;

use fisher_merge::{
    Conditioning, Factor, FisherStatistics, Floor, FloorOn, Job, LeBytes, Merge, ModelScale, Normalize, Posterior, Stored, Summary, target,
};

use super::checkpoint::Checkpoint;
use crate::network::Parameters;

type Bytes<'a> = LeBytes<&'a [u8]>;

/// One way to merge.
pub struct Recipe {
    pub name: String,
    weights: [f64; 2],
    /// `None` merges isotropically.
    conditioning: Option<Conditioning>,
    /// The name under which the accuracy is recorded.
    pub recorded: Option<&'static str>,
}

/// What a recipe gave.
#[derive(Default)]
pub struct Merged {
    pub parameters: Parameters,
    pub summary: Summary,
}

impl Recipe {
    /// The plain average.
    pub fn isotropic() -> Self {
        Self { name: "isotropic".into(), weights: [0.5, 0.5], conditioning: None, recorded: Some("isotropic") }
    }

    /// By Fisher, this weight on the first model and the rest on the second.
    pub fn fisher(weight: f64) -> Self {
        let recorded = [(0.5, "fisher"), (0.3, "fisher_0.3_0.7")].into_iter().find(|(at, _)| *at == weight).map(|(_, name)| name);
        Self { name: "Fisher".into(), weights: [weight, 1.0 - weight], conditioning: Some(Conditioning::new()), recorded }
    }

    /// As the published code of the paper: a floor on the target's Fisher, then every Fisher over its norm.
    pub fn published() -> Self {
        let conditioning = Conditioning::new().floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target).normalize(Normalize::L2);
        let recorded = Some("fisher_l2_floor_target");
        Self { name: "Fisher, floor 1e-6 on low, over L2 norm".into(), weights: [0.5, 0.5], conditioning: Some(conditioning), recorded }
    }

    pub fn weights(&self) -> [f64; 2] {
        self.weights
    }

    /// Merges all tensors.
    pub fn merge(&self, models: [&Checkpoint; 2], fishers: &[Checkpoint; 2]) -> Result<Merged, Box<dyn Error>> {
        let mut merged = Merged::default();
        let scales = self.scales(fishers)?;
        for (number, (name, (first, shape))) in models[0].tensors()?.into_iter().enumerate() {
            let means = [first.values, models[1].tensor(&name, &shape)?.values];
            let fishers = [fishers[0].tensor(&name, &shape)?.values, fishers[1].tensor(&name, &shape)?.values];
            let factors = self.factors(means, fishers, &scales)?;
            let mut values = vec![0.0_f64; first.values.count()];
            let summary = Merge::new().tensor(number).run(&factors, &mut values[..]).map_err(|error| format!("{name}: {error}"))?;
            merged.summary.add(&summary);
            merged.parameters.insert(name, values);
        }
        Ok(merged)
    }

    /// Floor and norm of each model's Fisher, measured over all its tensors.
    fn scales(&self, fishers: &[Checkpoint; 2]) -> Result<[ModelScale; 2], Box<dyn Error>> {
        let rule = self.conditioning.unwrap_or_default();
        let of = |model: usize| -> Result<ModelScale, Box<dyn Error>> {
            let mut statistics = FisherStatistics::new();
            if rule.needs_statistics() {
                fishers[model].tensors()?.values().for_each(|(tensor, _)| statistics.observe(tensor.values));
            }
            Ok(rule.scale(&statistics, target(&self.weights) == Some(model))?)
        };
        Ok([of(0)?, of(1)?])
    }

    /// The two factors of one tensor.
    fn factors<'a>(
        &self,
        means: [Bytes<'a>; 2],
        fishers: [Bytes<'a>; 2],
        scales: &[ModelScale; 2],
    ) -> Result<[Factor<Bytes<'a>, Bytes<'a>, f64>; 2], fisher_merge::Error> {
        let factor = |model: usize| {
            let posterior = match self.conditioning {
                None => Posterior::isotropic(means[model]),
                Some(_) => Posterior::diagonal(means[model], fishers[model])?,
            };
            Ok::<_, fisher_merge::Error>(posterior.power(self.weights[model]).conditioned(&scales[model]))
        };
        Ok([factor(0)?, factor(1)?])
    }
}

/// Merges by Fisher with each of these weights on the first model, reading every tensor once.
pub fn grid(weights: &[f64], models: [&Checkpoint; 2], fishers: &[Checkpoint; 2]) -> Result<Vec<Merged>, Box<dyn Error>> {
    let recipes: Vec<Recipe> = weights.iter().map(|&weight| Recipe::fisher(weight)).collect();
    let scales = recipes.first().map(|recipe| recipe.scales(fishers)).transpose()?;
    let mut merged: Vec<Merged> = recipes.iter().map(|_| Merged::default()).collect();
    let Some(scales) = scales else { return Ok(merged) };
    for (number, (name, (first, shape))) in models[0].tensors()?.into_iter().enumerate() {
        let means = [first.values, models[1].tensor(&name, &shape)?.values];
        let fishers = [fishers[0].tensor(&name, &shape)?.values, fishers[1].tensor(&name, &shape)?.values];
        let factors = recipes.iter().map(|recipe| recipe.factors(means, fishers, &scales)).collect::<Result<Vec<_>, _>>()?;
        let mut outputs = vec![vec![0.0_f64; shape.iter().product()]; recipes.len()];
        let mut jobs: Vec<_> = factors.iter().zip(&mut outputs).map(|(factors, output)| Job::new(&factors[..], &mut output[..])).collect();
        Merge::new().tensor(number).run_all(&mut jobs).map_err(|error| format!("{name}: {error}"))?;
        let summaries: Vec<Summary> = jobs.iter().map(|job| job.summary).collect();
        for ((merged, values), summary) in merged.iter_mut().zip(outputs).zip(summaries) {
            merged.summary.add(&summary);
            merged.parameters.insert(name.clone(), values);
        }
    }
    Ok(merged)
}
