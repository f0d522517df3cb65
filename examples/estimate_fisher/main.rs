//! Estimates the Fisher of a classifier, as a diagonal or in factors.
//!
//! `cargo run --release --example estimate_fisher` takes the two digit classifiers that each know half of the digits, estimates the Fisher of
//! each on its own training images in three ways, and prints how far they are from the bundled ones and from each other, and what the
//! merge of the two gets right by the number of examples (see `demo`).
//!
//! With arguments it estimates the Fisher of any ReLU multilayer perceptron whose parameters are named `<i>.weight`, `<i>.bias` in
//! increasing `<i>` (`-- --help` lists them):
//!
//! ```sh
//! cargo run --release --example estimate_fisher -- \
//!     --model m.safetensors --data optdigits.safetensors --split train --labels 0,1,2,3,4 \
//!     --estimator exact --out m.fisher.safetensors
//! ```

mod arguments;
mod checkpoint;
mod demo;
#[path = "../shared/estimate.rs"]
mod estimate;
#[path = "../shared/images.rs"]
mod images;
#[path = "../shared/layers.rs"]
mod layers;
#[path = "../shared/network.rs"]
mod network;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let done = if std::env::args_os().len() > 1 {
        // clap exits with 2 for a wrong call.
        arguments::run(&arguments::Arguments::parse())
    } else {
        demo::run(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits")))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("estimate_fisher: {error}");
            ExitCode::FAILURE
        }
    }
}
