//! Merges checkpoints.
//!
//! `cargo run --release --example merge_checkpoints` takes two digit classifiers that each know half of the digits, with their diagonal
//! Fishers, and prints how many test images each gets right, and how many their merges do (see `demo`).
//!
//! With arguments it merges any safetensors checkpoints (see `tool`; `-- --help` lists them):
//!
//! ```sh
//! cargo run --release --example merge_checkpoints -- \
//!     --model a.safetensors --fisher a.fisher.safetensors --weight 0.3 \
//!     --model b.safetensors --fisher b.fisher.safetensors --weight 0.7 \
//!     --out merged.safetensors --precision-out merged.fisher.safetensors --report merged.json
//! ```

mod demo;
#[path = "../shared/estimate.rs"]
#[allow(dead_code, reason = "it shares the estimate with an example that chooses its images")]
mod estimate;
#[path = "../shared/images.rs"]
mod images;
#[path = "../shared/layers.rs"]
#[allow(dead_code, reason = "it shares the layers with an example that estimates diagonals too")]
mod layers;
#[path = "../shared/network.rs"]
mod network;
mod tool;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 {
        return tool::main();
    }
    match demo::run(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits"))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("merge_checkpoints: {error}");
            ExitCode::FAILURE
        }
    }
}
