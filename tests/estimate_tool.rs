//! The tool that estimates Fishers, on models and images that are not in the repository.
#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

use safetensors::SafeTensors;

#[path = "common/tool.rs"]
mod tool;
use tool::{Folder, program, refused};

const INPUTS: usize = 5;
const HIDDEN: usize = 4;
const CLASSES: usize = 3;
const IMAGES: usize = 12;

fn run(arguments: &[&str]) -> Output {
    Command::new(program("estimate_fisher")).args(arguments).output().unwrap()
}

/// Numbers from −1 to 1, as they are in `f32`.
fn numbers(seed: usize, count: usize) -> Vec<f64> {
    (0..count).map(|at| f64::from((((at * 7919 + seed * 104_729) % 1999) as f32 - 999.0) / 1000.0)).collect()
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()
}

/// A network of two layers, whose numbers leave a gap in the names as a `ReLU` between them does.
struct Model {
    weights: [Vec<f64>; 2],
    biases: [Vec<f64>; 2],
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Model {
    fn new() -> Self {
        let weights = [numbers(1, HIDDEN * INPUTS), numbers(2, CLASSES * HIDDEN)];
        let pixels = (0..IMAGES * INPUTS).map(|at| (at * 5 % 17) as u8).collect();
        Self {
            weights,
            biases: [numbers(3, HIDDEN), numbers(4, CLASSES)],
            pixels,
            labels: (0..IMAGES).map(|at| (at % CLASSES) as u8).collect(),
        }
    }

    fn write(&self, folder: &Folder) -> [String; 2] {
        let shape = |rows: usize, columns: usize| format!("[{rows},{columns}]");
        let (one, two) = (shape(HIDDEN, INPUTS), shape(CLASSES, HIDDEN));
        let (b1, b2) = (format!("[{HIDDEN}]"), format!("[{CLASSES}]"));
        let model = folder.write(
            "model.safetensors",
            3,
            &[
                ("10.bias", "F32", &b2, bytes(&self.biases[1])),
                ("10.weight", "F32", &two, bytes(&self.weights[1])),
                ("2.bias", "F32", &b1, bytes(&self.biases[0])),
                ("2.weight", "F32", &one, bytes(&self.weights[0])),
            ],
        );
        let images = format!("[{IMAGES},{INPUTS}]");
        let labels = format!("[{IMAGES}]");
        let data = folder.write(
            "data.safetensors",
            0,
            &[("train.images", "U8", &images, self.pixels.clone()), ("train.labels", "U8", &labels, self.labels.clone())],
        );
        [model, data]
    }

    /// The exact Fisher, one example, one label and one parameter at a time: weights and biases of the first layer, then of the second.
    fn fisher(&self, labels: &[u8]) -> Vec<f64> {
        let mut sums = vec![0.0; HIDDEN * INPUTS + HIDDEN + CLASSES * HIDDEN + CLASSES];
        let chosen: Vec<usize> = (0..IMAGES).filter(|&image| labels.contains(&self.labels[image])).collect();
        for &image in &chosen {
            let x: Vec<f64> = self.pixels[image * INPUTS..][..INPUTS].iter().map(|&pixel| f64::from(pixel) / 16.0).collect();
            let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            let hidden: Vec<f64> =
                (0..HIDDEN).map(|i| (self.biases[0][i] + dot(&self.weights[0][i * INPUTS..][..INPUTS], &x)).max(0.0)).collect();
            let powers: Vec<f64> =
                (0..CLASSES).map(|c| (self.biases[1][c] + dot(&self.weights[1][c * HIDDEN..][..HIDDEN], &hidden)).exp()).collect();
            let p: Vec<f64> = powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect();
            for label in 0..CLASSES {
                let at_logits: Vec<f64> = (0..CLASSES).map(|c| f64::from(u8::from(c == label)) - p[c]).collect();
                let at_hidden = |i: usize| {
                    if hidden[i] > 0.0 { (0..CLASSES).map(|c| at_logits[c] * self.weights[1][c * HIDDEN + i]).sum() } else { 0.0 }
                };
                let first = (0..HIDDEN).flat_map(|i| x.iter().map(move |x| (i, *x))).map(|(i, x)| at_hidden(i) * x);
                let second = (0..CLASSES).flat_map(|c| hidden.iter().map(move |h| (c, *h))).map(|(c, h)| at_logits[c] * h);
                let gradient: Vec<f64> = first.chain((0..HIDDEN).map(at_hidden)).chain(second).chain(at_logits.iter().copied()).collect();
                sums.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += p[label] * g * g);
            }
        }
        sums.iter().map(|sum| sum / chosen.len() as f64).collect()
    }
}

/// All numbers of a Fisher's file, in the order of the layers, and its metadata.
fn read(path: &str) -> (Vec<f64>, std::collections::HashMap<String, String>) {
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut numbers = Vec::new();
    for name in ["2.weight", "2.bias", "10.weight", "10.bias"] {
        let tensor = file.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
        numbers.extend(tensor.data().chunks_exact(4).map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()))));
    }
    (numbers, header.metadata().clone().unwrap())
}

#[test]
fn other_models_have_the_fisher_of_their_definition() {
    let (folder, model) = (Folder::new("estimate-exact"), Model::new());
    let [checkpoint, data] = model.write(&folder);
    for labels in [&[0, 1, 2][..], &[1][..]] {
        let out = folder.file("fisher.safetensors");
        let list = labels.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let done = run(&["--model", &checkpoint, "--data", &data, "--labels", &list, "--out", &out]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let (found, metadata) = read(&out);
        for (at, (found, expected)) in found.iter().zip(model.fisher(labels)).enumerate() {
            assert!((found - expected).abs() <= 1e-6 * expected + 1e-12, "entry {at}: {found} {expected}");
        }
        let examples = (labels.len() * IMAGES / CLASSES).to_string();
        for (key, value) in [("estimator", "exact"), ("examples", &examples[..]), ("reduction", "mean"), ("weight", &examples[..])] {
            assert_eq!(metadata[key], value);
        }
        assert_eq!(metadata["model"].len(), 16);
    }
    // What it writes is what the merge reads.
    let out = folder.file("merged.safetensors");
    let fisher = folder.file("fisher.safetensors");
    let merge = ["--model", &checkpoint, "--fisher", &fisher, "--model", &checkpoint, "--fisher", &fisher, "--out", &out];
    assert!(Command::new(program("merge_checkpoints")).args(merge).output().unwrap().status.success());
}

#[test]
fn seeds_repeat_and_differ() {
    let (folder, model) = (Folder::new("estimate-seeds"), Model::new());
    let [checkpoint, data] = model.write(&folder);
    let estimate = |more: &[&str]| {
        let out = folder.file("fisher.safetensors");
        let mut arguments = vec!["--model", &checkpoint, "--data", &data, "--split", "train", "--out", &out];
        arguments.extend(more);
        assert!(run(&arguments).status.success());
        read(&out)
    };
    let sampled = |seed: &str| estimate(&["--estimator", "monte-carlo", "--draws", "2", "--examples", "5", "--seed", seed]);
    let (one, metadata) = sampled("1");
    assert_eq!(one, sampled("1").0);
    assert_ne!(one, sampled("2").0);
    for (key, value) in [("estimator", "monte-carlo"), ("draws", "2"), ("examples", "5")] {
        assert_eq!(metadata[key], value);
    }
    // Many draws come near to the expectation over labels.
    let (many, _) = estimate(&["--estimator", "monte-carlo", "--draws", "3000"]);
    for (found, exact) in many.iter().zip(model.fisher(&[0, 1, 2])) {
        assert!((found - exact).abs() < 0.1 * exact + 1e-12, "{found} {exact}");
    }
    assert_eq!(estimate(&["--estimator", "empirical"]).1["estimator"], "empirical");
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let (folder, model) = (Folder::new("estimate-refused"), Model::new());
    let [checkpoint, data] = model.write(&folder);
    let before = folder.names();
    let out = folder.file("fisher.safetensors");
    let with = |model: &str, data: &str, more: &[&str]| {
        let mut arguments = vec!["--model", model, "--data", data, "--out", &out];
        arguments.extend(more);
        run(&arguments)
    };
    refused(&with(&checkpoint, &data, &["--examples", "13"]), 1, &["data.safetensors", "12", "13"]);
    refused(&with(&checkpoint, &data, &["--labels", "9"]), 1, &["data.safetensors", "0 images"]);
    refused(&with(&checkpoint, &data, &["--split", "test"]), 1, &["test.images"]);
    refused(&with("nowhere.safetensors", &data, &[]), 1, &["nowhere.safetensors"]);
    refused(&with(&data, &data, &[]), 1, &["data.safetensors", "U8"]);
    refused(&with(&checkpoint, &checkpoint, &[]), 1, &["train.images"]);
    refused(&with(&checkpoint, &data, &["--examples", "0"]), 2, &["--examples"]);
    refused(&with(&checkpoint, &data, &["--draws", "0"]), 2, &["--draws"]);
    refused(&with(&checkpoint, &data, &["--estimator", "wrong"]), 2, &["--estimator"]);
    refused(&run(&["--model", &checkpoint]), 2, &["--data"]);
    let nowhere = folder.file("no/folder.safetensors");
    refused(&run(&["--model", &checkpoint, "--data", &data, "--out", &nowhere]), 1, &["folder.safetensors"]);
    assert_eq!(folder.names(), before);
    // Layers that do not fit one another, and a label that the model does not know.
    let vector = |count: usize| vec![0; 4 * count];
    let odd = folder.write(
        "odd.safetensors",
        0,
        &[
            ("0.bias", "F32", "[4]", vector(4)),
            ("0.weight", "F32", "[4,5]", vector(20)),
            ("1.bias", "F32", "[3]", vector(3)),
            ("1.weight", "F32", "[3,5]", vector(15)),
        ],
    );
    refused(&with(&odd, &data, &[]), 1, &["odd.safetensors", "1.weight"]);
    let two = folder.write("two.safetensors", 0, &[("0.bias", "F32", "[2]", vector(2)), ("0.weight", "F32", "[2,5]", vector(10))]);
    refused(&with(&two, &data, &[]), 1, &["label 2"]);
}
