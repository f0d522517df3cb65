//! Merges two real checkpoints and says what came of it.
//!
//! `cargo run --release --example merge_checkpoints` takes two digit classifiers that each know half of the digits, with their diagonal
//! Fishers, and prints how many test images each gets right, and how many their merges do: isotropic, by Fisher, by the recipe of the
//! paper's published code, and by Fisher over a grid of weights. It reads the files that are bundled in `examples/data/digits`, and
//! compares what it finds with the accuracies recorded there.

mod checkpoint;
mod classifier;
mod recipe;
mod report;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use checkpoint::Checkpoint;
use classifier::{Images, accuracy};
use recipe::Recipe;

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        eprintln!("usage: cargo run --release --example merge_checkpoints (it takes no arguments)");
        return ExitCode::from(2);
    }
    match run(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits"))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("merge_checkpoints: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Merges, measures and prints. `false` if an accuracy is not the recorded one.
fn run(folder: &Path) -> Result<bool, Box<dyn Error>> {
    let open = |name: &str| Checkpoint::open(&folder.join(name));
    let (base, low, high) = (open("base.safetensors")?, open("low.safetensors")?, open("high.safetensors")?);
    let fishers = [open("low.fisher.safetensors")?, open("high.fisher.safetensors")?];
    let images = Images::open(&folder.join("optdigits.safetensors"))?;

    let mut table = report::Table::new(images.count());
    for (name, model) in [("base", &base), ("low", &low), ("high", &high)] {
        table.model(name, accuracy(&model.parameters()?, &images)?);
    }
    for recipe in [Recipe::isotropic(), Recipe::fisher(0.5), Recipe::published()] {
        let merged = recipe.merge([&low, &high], &fishers)?;
        table.merge(&recipe, accuracy(&merged.parameters, &images)?, &merged.summary);
    }
    let weights: Vec<f64> = (1..10).map(|tenths| f64::from(tenths) / 10.0).collect();
    for (weight, merged) in weights.iter().zip(recipe::grid(&weights, [&low, &high], &fishers)?) {
        table.merge(&Recipe::fisher(*weight), accuracy(&merged.parameters, &images)?, &merged.summary);
    }
    table.print();
    Ok(table.agrees_with(&std::fs::read_to_string(folder.join("accuracy.json"))?))
}
