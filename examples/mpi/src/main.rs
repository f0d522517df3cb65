//! Estimates one Fisher on all ranks of an MPI world by one all-reduce of the raw state, merges two models with it by a range of parameters
//! on each rank, and compares both with what they should be. Rank 0 prints a row of digests, which `run` compares between numbers of
//! ranks.

#[path = "../../merge_checkpoints/demo/checkpoint.rs"]
#[allow(dead_code, reason = "shapes matter to the example that writes")]
mod checkpoint;
mod estimate;
#[path = "../../shared/images.rs"]
mod images;
mod merge;
#[path = "../../shared/network.rs"]
#[allow(dead_code, reason = "it shares the network with an example that classifies")]
mod network;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use mpi::traits::Communicator;

use checkpoint::Checkpoint;
use estimate::{SLOTS, estimate, tensors};
use images::Images;
use network::Network;

/// A relative error that is due to the bundled Fisher's storage in `f32`, and the least entry at which it is asked for.
const TOLERANCE: (f64, f64) = (1e-5, 1e-12);

fn main() -> ExitCode {
    let Some(universe) = mpi::initialize() else {
        eprintln!("fisher-mpi: MPI cannot be initialised");
        return ExitCode::FAILURE;
    };
    let world = universe.world();
    match run(&world) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fisher-mpi: rank {}: {error}", world.rank());
            // The other ranks may be waiting for this one.
            world.abort(1)
        }
    }
}

fn run(world: &impl Communicator) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/digits"));
    let open = |name: &str| Checkpoint::open(&folder.join(format!("{name}.safetensors")))?.parameters();
    let low = open("low")?;
    let network = Network::new(&low)?;
    let names = tensors(&network);
    let images = Images::open(&folder.join("optdigits.safetensors"), "train")?;
    let images = images.at(&images.labelled(&[0, 1, 2, 3, 4]));

    let wide = estimate::<f64>(world, &network, &images, SLOTS)?;
    let narrow = estimate::<f32>(world, &network, &images, SLOTS)?;
    let one_slot = estimate::<f64>(world, &network, &images, 1)?;
    let bundled = merge::flat(&open("low.fisher")?, &names)?;
    for fisher in [&wide, &narrow, &one_slot] {
        compare(&fisher.values, &bundled)?;
        let (expected, found) = (images.count() as u64, fisher.examples);
        if found != expected {
            return Err(format!("the state counts {found} examples, expected {expected}").into());
        }
    }

    let high = (merge::flat(&open("high")?, &names)?, merge::flat(&open("high.fisher")?, &names)?);
    let low = (merge::flat(&low, &names)?, wide.values.clone());
    if let Some(merged) = merge::by_ranges(world, &[low, high])? {
        println!("{:>5}{:>10}{:>18}{:>18}{:>18}{:>18}", "ranks", "examples", "f64, 8 slots", "f32, 8 slots", "merged", "f64, one slot");
        let digests = [&wide.values, &narrow.values, &merged, &one_slot.values].map(|values| format!("  {:016x}", digest(values)));
        println!("{:>5}{:>10}{}", world.size(), wide.examples, digests.concat());
    }
    Ok(())
}

/// Refuses a Fisher that is not the bundled one: the same wrong bits on any number of ranks would be no success.
fn compare(fisher: &[f64], bundled: &[f64]) -> Result<(), String> {
    if fisher.len() != bundled.len() {
        return Err(format!("a Fisher of {} entries, expected {}", fisher.len(), bundled.len()));
    }
    let (tolerance, least) = TOLERANCE;
    // What is not a number is not close.
    let close = |(entry, bundled): (&f64, &f64)| *bundled <= least || (entry - bundled).abs() <= tolerance * bundled;
    match fisher.iter().zip(bundled).position(|pair| !close(pair)) {
        None => Ok(()),
        Some(at) => Err(format!("entry {at} of the Fisher is {:e}, of the bundled one {:e}", fisher[at], bundled[at])),
    }
}

/// FNV-1a of the bits. `f32` numbers differ as `f64` wherever they differ.
fn digest(values: &[f64]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
