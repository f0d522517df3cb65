//! The demonstration: the Fishers of the two digit classifiers, estimated in three ways and compared with the bundled ones.

use std::path::Path;

use fisher_merge::{Estimator, Merge, Posterior};

use crate::checkpoint::Checkpoint;
use crate::estimate::{Sampler, estimate};
use crate::images::Images;
use crate::layers::{Fisher, Form};
use crate::network::{Network, Parameters};

const HALVES: [(&str, &[u8]); 2] = [("low", &[0, 1, 2, 3, 4]), ("high", &[5, 6, 7, 8, 9])];
const SEED: u64 = 1;

/// A model, its own training images, and its bundled Fisher.
struct Half {
    name: &'static str,
    model: Checkpoint,
    network: Network,
    images: Images,
    bundled: Parameters,
}

/// Estimates, compares, merges and prints.
pub fn run(folder: &Path) -> Result<(), String> {
    let data = folder.join("optdigits.safetensors");
    let (train, test) = (Images::open(&data, "train")?, Images::open(&data, "test")?);
    let mut halves = Vec::new();
    for (name, labels) in HALVES {
        let model = Checkpoint::open(&folder.join(format!("{name}.safetensors")))?;
        let network = Network::new(&model.parameters)?;
        let bundled = Checkpoint::open(&folder.join(format!("{name}.fisher.safetensors")))?.parameters;
        halves.push(Half { name, model, network, images: train.at(&train.labelled(labels)), bundled });
    }

    println!("distance of two Fishers: the norm of their difference over that of the second\n");
    println!(
        "{:<6}{:<28}{:>9}{:>16}{:>12}{:>26}",
        "model", "estimator", "examples", "from bundled", "from exact", "largest error of an entry"
    );
    for half in &halves {
        let exact = half.estimate(Estimator::Exact, &half.images)?;
        for estimator in [Estimator::Exact, Estimator::MonteCarlo { draws: 1 }, Estimator::MonteCarlo { draws: 16 }, Estimator::Empirical] {
            let fisher = half.estimate(estimator, &half.images)?;
            let name = fisher.record.estimator.to_string();
            let (from, of) = (distance(&fisher, &half.bundled), distance(&fisher, &numbers(&exact)));
            let worst = worst(&fisher, &half.bundled);
            println!("{:<6}{name:<28}{:>9}{from:>16.2e}{of:>12.2e}{worst:>26.2e}", half.name, fisher.record.examples);
            if estimator == Estimator::Exact && worst > 1e-5 {
                return Err(format!("the exact Fisher of {} is not the bundled one", half.name));
            }
        }
    }

    println!("\nmerge of both at weights of one half, of {} test images, by the number of examples of each Fisher\n", test.count());
    println!("{:<10}{:>8}{:>16}{:>12}", "examples", "exact", "Monte-Carlo", "empirical");
    for examples in [4, 16, 64, 256, usize::MAX] {
        let mut row = Vec::new();
        for estimator in [Estimator::Exact, Estimator::MonteCarlo { draws: 1 }, Estimator::Empirical] {
            let merged = merged(&halves, estimator, examples)?;
            let right = Network::new(&merged)?.right(&test.pixels, &test.labels);
            row.push(100.0 * right as f64 / test.count() as f64);
        }
        let count = if examples == usize::MAX { "all".into() } else { examples.to_string() };
        println!("{count:<10}{:>7.1} %{:>14.1} %{:>10.1} %", row[0], row[1], row[2]);
    }
    Ok(())
}

impl Half {
    fn estimate(&self, estimator: Estimator, images: &Images) -> Result<Fisher, String> {
        estimate(&self.network, images, (Form::Diagonal, estimator), SEED)
    }

    /// Some of its images.
    fn some(&self, examples: usize) -> Images {
        let mut places: Vec<usize> = (0..self.images.count()).collect();
        Sampler::new(SEED).shuffle(&mut places);
        places.truncate(examples);
        self.images.at(&places)
    }
}

fn merged(halves: &[Half], estimator: Estimator, examples: usize) -> Result<Parameters, String> {
    let mut fishers = Vec::new();
    for half in halves {
        fishers.push(half.estimate(estimator, &half.some(examples))?);
    }
    let mut merged = Parameters::new();
    for (name, values) in &halves[0].model.parameters {
        let posterior = |which: usize| {
            let (half, fisher): (&Half, &Fisher) = (&halves[which], &fishers[which]);
            Posterior::diagonal(&half.model.parameters[name][..], &fisher.tensors[name].1[..]).map_err(|error| format!("{name}: {error}"))
        };
        let mut out = vec![0.0; values.len()];
        let factors = [posterior(0)?.power(0.5), posterior(1)?.power(0.5)];
        let _ = Merge::new().run(&factors, &mut out[..]).map_err(|error| format!("{name}: {error}"))?;
        merged.insert(name.clone(), out);
    }
    Ok(merged)
}

/// The norm of the difference over that of the second.
fn distance(a: &Fisher, b: &Parameters) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (name, b) in b {
        for (a, b) in a.tensors[name].1.iter().zip(b) {
            difference += (a - b) * (a - b);
            norm += b * b;
        }
    }
    (difference / norm).sqrt()
}

/// The largest relative error of entries above 1e-12.
fn worst(a: &Fisher, b: &Parameters) -> f64 {
    let entries = b.iter().flat_map(|(name, b)| a.tensors[name].1.iter().zip(b));
    entries.filter(|(_, b)| **b > 1e-12).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max)
}

/// The numbers of a Fisher by tensor name.
fn numbers(fisher: &Fisher) -> Parameters {
    fisher.tensors.iter().map(|(name, (_, values))| (name.clone(), values.clone())).collect()
}
