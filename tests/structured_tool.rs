//! The tools on structured Fishers: what `estimate_fisher --structure` writes, `merge_checkpoints` merges.
#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use safetensors::SafeTensors;

#[path = "../examples/shared/images.rs"]
#[allow(dead_code, reason = "a test takes its own part")]
mod images;
#[path = "../examples/shared/network.rs"]
#[allow(dead_code, reason = "a test takes its own part")]
mod network;
#[path = "common/tool.rs"]
mod tool;

use images::Images;
use network::{Network, Parameters};
use tool::{Folder, program, refused};

fn digits(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits").join(name).display().to_string()
}

fn run(example: &str, arguments: &[&str]) -> Output {
    Command::new(program(example)).args(arguments).output().unwrap()
}

/// Estimates the Fishers of both digits models in a structure.
fn estimate(folder: &Folder, structure: &str) -> [String; 2] {
    [("low", "0,1,2,3,4"), ("high", "5,6,7,8,9")].map(|(name, labels)| {
        let (model, data, out) =
            (digits(&format!("{name}.safetensors")), digits("optdigits.safetensors"), folder.file(&format!("{name}.{structure}")));
        let done =
            run("estimate_fisher", &["--model", &model, "--data", &data, "--labels", labels, "--structure", structure, "--out", &out]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        out
    })
}

fn merge(fishers: [&str; 2], out: &str, more: &[&str]) -> Output {
    let (low, high) = (digits("low.safetensors"), digits("high.safetensors"));
    let mut arguments = vec!["--model", &low, "--fisher", fishers[0], "--model", &high, "--fisher", fishers[1], "--out", out];
    arguments.extend(more);
    run("merge_checkpoints", &arguments)
}

fn parameters(path: &str) -> Parameters {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |data: &[u8]| data.chunks_exact(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()))).collect();
    file.tensors().into_iter().map(|(name, view)| (name, numbers(view.data()))).collect::<BTreeMap<_, Vec<f64>>>()
}

/// Percent of the test images.
fn accuracy(path: &str) -> f64 {
    let images = Images::open(Path::new(&digits("optdigits.safetensors")), "test").unwrap();
    let right = Network::new(&parameters(path)).unwrap().right(&images.pixels, &images.labels);
    100.0 * right as f64 / images.count() as f64
}

#[test]
fn structured_merges_of_the_digits_are_better_than_ninety_percent() {
    let folder = Folder::new("structured-digits");
    for structure in ["kronecker", "input-covariance"] {
        let fishers = estimate(&folder, structure);
        let (out, precision, report) = (folder.file("merged"), folder.file("precision"), folder.file("report"));
        let done = merge([&fishers[0], &fishers[1]], &out, &["--precision-out", &precision, "--report", &report]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(accuracy(&out) >= 90.0, "{structure}: {}", accuracy(&out));
        assert!(parameters(&precision).values().flatten().all(|&value| value > 0.0), "the diagonal of a damped precision");
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
        assert_eq!(report["tensors"].as_array().unwrap().len(), 3);
        assert_eq!(report["total"]["elements"], 6570);
        for layer in report["tensors"].as_array().unwrap() {
            assert!(layer["residual"].as_f64().unwrap() < 1e-12, "{layer}");
        }
    }
    // One in factors, one on the diagonal; and damping around other means.
    let kronecker = [folder.file("low.kronecker"), folder.file("high.kronecker")];
    let (out, diagonal, base) = (folder.file("merged"), digits("high.fisher.safetensors"), digits("base.safetensors"));
    for (high, more, least) in [
        // Its own damping makes the one in factors surer than the other.
        (&diagonal, &[][..], 55.0),
        (&kronecker[1], &["--damping-mean", "average"], 75.0),
        (&kronecker[1], &["--damping-mean", "target", "--damping", "0.01"], 75.0),
        (&kronecker[1], &["--damping-mean", &base[..]], 75.0),
        (&kronecker[1], &["--arithmetic", "f32", "--out-dtype", "f32"], 75.0),
    ] {
        let done = merge([&kronecker[0], high], &out, more);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(accuracy(&out) > least, "{more:?}: {}", accuracy(&out));
    }
    // A layer that is left out comes from the target, byte for byte.
    let done = merge([&kronecker[0], &kronecker[1]], &out, &["--skip", "^2\\."]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(parameters(&out)["2.weight"], parameters(&digits("low.safetensors"))["2.weight"]);
    assert_ne!(parameters(&out)["4.weight"], parameters(&digits("low.safetensors"))["4.weight"]);
}

/// `f32` numbers as bytes.
fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A layer of two inputs and one output, and its factors.
fn small(folder: &Folder, name: &str, factors: &[(&str, &str, &[f32])]) -> String {
    let tensors: Vec<_> = factors.iter().map(|(tensor, shape, values)| (*tensor, "F32", *shape, bytes(values))).collect();
    folder.write(name, 0, &tensors)
}

#[test]
fn bad_factors_are_refused() {
    let folder = Folder::new("structured-refused");
    let model = small(&folder, "model", &[("l.bias", "[1]", &[1.0]), ("l.weight", "[1,2]", &[1.0, 2.0])]);
    let other = small(&folder, "other", &[("l.bias", "[1]", &[2.0]), ("l.weight", "[1,2]", &[3.0, 5.0])]);
    let unit = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let good = small(&folder, "good", &[("l.weight.fisher.inputs", "[3,3]", &unit)]);
    let out = folder.file("out");
    let with = |fisher: &str, more: &[&str]| {
        let mut arguments = vec!["--model", &model, "--fisher", &good, "--model", &other, "--fisher", fisher, "--out", &out];
        arguments.extend(more);
        run("merge_checkpoints", &arguments)
    };
    assert!(with(&good, &[]).status.success());
    assert_eq!(parameters(&out)["l.weight"], [2.0, 3.5]);
    std::fs::remove_file(&out).unwrap();
    let before = folder.names();
    let inputs = |name: &str, values: &[f32]| small(&folder, name, &[("l.weight.fisher.inputs", "[3,3]", values)]);
    let (nan, turned) = ([f32::NAN, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let indefinite = [1.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    refused(&with(&inputs("nan", &nan), &[]), 1, &["nan: tensor l.weight", "precision [0] is NaN"]);
    refused(&with(&inputs("turned", &turned), &[]), 1, &["l.weight", "not symmetric"]);
    refused(&with(&inputs("indefinite", &indefinite), &[]), 1, &["l.weight", "not positive definite"]);
    let short = small(&folder, "short", &[("l.weight.fisher.inputs", "[2,2]", &[1.0, 0.0, 0.0, 1.0])]);
    refused(&with(&short, &[]), 1, &["short: tensor l.weight.fisher.inputs", "[2, 2]", "[3, 3]"]);
    let nothing = small(&folder, "nothing", &[]);
    refused(&with(&nothing, &[]), 1, &["nothing: tensor l.weight: is missing"]);
    let outputs = small(&folder, "outputs", &[("l.weight.fisher.inputs", "[3,3]", &unit), ("l.weight.fisher.outputs", "[2,2]", &[1.0; 4])]);
    refused(&with(&outputs, &[]), 1, &["l.weight.fisher.outputs", "[2, 2]", "[1, 1]"]);
    refused(&with(&good, &["--floor", "0.1"]), 2, &["--floor"]);
    refused(&with(&good, &["--damping", "-1"]), 2, &["--damping"]);
    refused(&with(&good, &["--damping-mean", "nowhere"]), 1, &["nowhere"]);
    let dead = [0.0; 9];
    let dead = inputs("dead", &dead);
    // No evidence at all in one model: the other comes back.
    assert!(with(&dead, &[]).status.success());
    assert_eq!(parameters(&out)["l.weight"], [1.0, 2.0]);
    std::fs::remove_file(&out).unwrap();
    let left: Vec<_> = folder.names().into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(left.len(), 7, "the files of this test alone: {left:?}");
}
