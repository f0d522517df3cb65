//! The demonstration: two real checkpoints, merged in memory in several ways, and what came of it. It reads the files that are bundled in
//! `examples/data/digits`, and compares what it finds with the accuracies recorded there. It calls `Merge` on whole tensors; the tool goes
//! through stores.

mod checkpoint;
mod recipe;
mod table;
mod whole;

use std::error::Error;
use std::path::Path;

use checkpoint::Checkpoint;
use recipe::Recipe;
use table::Table;
use whole::Whole;

use crate::images::Images;
use crate::layers::Form;
use crate::network::{Network, Parameters};

/// Merges, measures and prints. `false` if an accuracy is not the recorded one.
pub fn run(folder: &Path) -> Result<bool, Box<dyn Error>> {
    let open = |name: &str| Checkpoint::open(&folder.join(name));
    let (base, low, high) = (open("base.safetensors")?, open("low.safetensors")?, open("high.safetensors")?);
    let fishers = [open("low.fisher.safetensors")?, open("high.fisher.safetensors")?];
    let images = Images::open(&folder.join("optdigits.safetensors"), "test")?;
    let right = |parameters: &Parameters| Network::new(parameters).map(|network| network.right(&images.pixels, &images.labels));

    let mut table = Table::new(images.count());
    for (name, model) in [("base", &base), ("low", &low), ("high", &high)] {
        table.model(name, right(&model.parameters()?)?);
    }
    for recipe in [Recipe::isotropic(), Recipe::fisher(0.5), Recipe::published()] {
        let merged = recipe.merge([&low, &high], &fishers)?;
        table.merge(&recipe, right(&merged.parameters)?, &merged.summary);
    }
    let weights: Vec<f64> = (1..10).map(|tenths| f64::from(tenths) / 10.0).collect();
    for (weight, merged) in weights.iter().zip(recipe::grid(&weights, [&low, &high], &fishers)?) {
        table.merge(&Recipe::fisher(*weight), right(&merged.parameters)?, &merged.summary);
    }
    let whole = Whole::open([&low, &high], &folder.join("optdigits.safetensors"))?;
    for (name, form) in [
        ("input covariance, damping 0.01", Form::InputCovariance),
        ("Kronecker factors, damping 0.03", Form::Kronecker),
        ("dense layers (the first in factors)", Form::Dense),
    ] {
        table.structured(name, right(&whole.merge(form)?)?);
    }
    table.print();
    Ok(table.agrees_with(&std::fs::read_to_string(folder.join("accuracy.json"))?))
}
