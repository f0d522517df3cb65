//! The adapters in flash and what must come of them, by the definition in `tests/vectors/README.md` and not by the library.
//!
//! Numbers stay within the normal ranges, where that definition needs no scaling; gradients are small multiples of a power of two, so that
//! sums of their squares are exact.

mod layout {
    include!("src/layout.rs");
}

use std::path::{Path, PathBuf};
use std::{env, fs};

use layout::{ENTRY, HEAD, MAGIC, NAME, NUMBERS, PAGE, TENSORS, VERSION, plan};

/// Numbers of a hidden state: what the smaller machine's 16 KB have room for in the running form.
fn width(target: &str) -> usize {
    if target.starts_with("thumbv6m") { 16 } else { 192 }
}

struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number in 2^low .. 2^high.
    fn magnitude(&mut self, low: i32, high: i32) -> f32 {
        let exponent = low + (self.next() % (high - low) as u64) as i32;
        f32::from_bits(((127 + exponent) as u32) << 23 | (self.next() as u32 & 0x7f_ffff))
    }

    fn signed(&mut self, low: i32, high: i32) -> f32 {
        let magnitude = self.magnitude(low, high);
        if self.next() & 1 == 0 { magnitude } else { -magnitude }
    }
}

/// Rounds to nearest, ties to even, so many digits of the fraction being kept.
fn round(value: f32, digits: u32) -> f32 {
    let (bits, dropped) = (value.to_bits(), 23 - digits);
    let half = (1 << (dropped - 1)) - 1 + (bits >> dropped & 1);
    f32::from_bits((bits + half) >> dropped << dropped)
}

/// A number rounded to a storage type, and its bytes there.
fn store(value: f32, dtype: u8, out: &mut Vec<u8>) -> f32 {
    match dtype {
        1 => {
            out.extend(value.to_le_bytes());
            value
        }
        2 => {
            let rounded = round(value, 10);
            let (bits, sign) = (rounded.to_bits(), (rounded.to_bits() >> 16 & 0x8000) as u16);
            let exponent = (bits >> 23 & 0xff) as i32 - 127;
            let pattern = match bits << 1 {
                0 => sign,
                _ => {
                    assert!((-14..=15).contains(&exponent), "a normal number of binary16: {value}");
                    sign | ((exponent + 15) as u16) << 10 | (bits >> 13 & 0x3ff) as u16
                }
            };
            out.extend(pattern.to_le_bytes());
            rounded
        }
        _ => {
            let rounded = round(value, 7);
            out.extend(((rounded.to_bits() >> 16) as u16).to_le_bytes());
            rounded
        }
    }
}

/// One tensor of one model: what was stored, and as bytes.
#[derive(Default)]
struct Stored {
    values: Vec<f32>,
    bytes: Vec<u8>,
}

impl Stored {
    fn push(&mut self, value: f32, dtype: u8) {
        self.values.push(store(value, dtype, &mut self.bytes));
    }
}

/// An adapter as pages.
fn pages(tensors: &[Stored], width: usize, second: &[u8]) -> Vec<u8> {
    let mut directory: Vec<u8> = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain([TENSORS as u8, 0]).collect();
    let mut numbers = Vec::new();
    for (index, (stored, (name, dtype, shape))) in tensors.iter().zip(plan(width)).enumerate() {
        let first = 2 + numbers.len() / PAGE;
        let chunks = stored.bytes.chunks(NUMBERS);
        let mut padded = name.as_bytes().to_vec();
        padded.resize(NAME, 0);
        directory.extend(padded);
        directory.extend([dtype, 2]);
        for field in [shape[0], shape[1], first, chunks.len()] {
            directory.extend((field as u16).to_le_bytes());
        }
        assert_eq!(directory.len(), 8 + (index + 1) * ENTRY);
        for (page, chunk) in chunks.enumerate() {
            let start = numbers.len();
            numbers.extend((chunk.len() as u16).to_le_bytes());
            numbers.extend([index as u8, page as u8]);
            numbers.extend(chunk);
            assert_eq!(numbers.len() - start, HEAD + chunk.len());
            numbers.resize(start + PAGE, 0xff);
        }
    }
    directory.resize(PAGE, 0xff);
    directory.extend(second);
    directory.resize(2 * PAGE, 0xff);
    directory.extend(numbers);
    directory
}

/// The header of a Fisher by its published layout: empirical, `f32`.
fn header(parameters: usize, model: u64, examples: u64) -> Vec<u8> {
    let mut bytes = b"FMFS".to_vec();
    bytes.extend([1, 0, 1, 3]);
    bytes.extend([0; 8]);
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((parameters as u64).to_le_bytes());
    bytes.extend(model.to_le_bytes());
    bytes.extend(examples.to_le_bytes());
    bytes.extend((examples as f64).to_le_bytes());
    bytes.extend((examples as f64).to_le_bytes());
    bytes
}

/// Precision and mean of a product with one more factor.
fn absorb((precision, mean): (f32, f32), p: f32, other: f32) -> (f32, f32) {
    if p == 0.0 {
        return (precision, mean);
    }
    if precision == 0.0 {
        return (p, other);
    }
    let sum = precision + p;
    let r = p / sum;
    let x = (1.0 - r) * mean + r * other;
    let (low, high) = if mean < other { (mean, other) } else { (other, mean) };
    let x = if x < low { low } else { x };
    (sum, if x > high { high } else { x })
}

/// Weights of the two adapters.
const LAMBDA: [f32; 2] = [0.5, 0.75];

fn merge(out: &Path, width: usize) {
    let mut generator = Generator(6);
    let [mut means, mut fishers] = [(); 2].map(|()| [(); 2].map(|()| Vec::new()));
    let (mut merged, mut running) = (Vec::new(), Vec::new());
    for (_, dtype, shape) in plan(width) {
        let [mut mean, mut fisher] = [(); 2].map(|()| [(); 2].map(|()| Stored::default()));
        let mut expected = Stored::default();
        for element in 0..shape[0] * shape[1] {
            for model in 0..2 {
                mean[model].push(generator.signed(-6, 1), dtype);
                // Dead units have no evidence, in one model or in both.
                let dead = element % 29 == 0 || element % 13 == model;
                fisher[model].push(if dead { 0.0 } else { generator.magnitude(-10, 4) }, dtype);
            }
            let start = (0.0, mean[0].values[element]);
            let (precision, value) = (0..2)
                .fold(start, |state, model| absorb(state, LAMBDA[model] * fisher[model].values[element], mean[model].values[element]));
            running.extend(value.to_le_bytes());
            running.extend(precision.to_le_bytes());
            expected.push(value, dtype);
        }
        merged.extend(expected.bytes);
        for (model, (mean, fisher)) in mean.into_iter().zip(fisher).enumerate() {
            means[model].push(mean);
            fishers[model].push(fisher);
        }
    }
    let parameters: usize = plan(width).iter().map(|(_, _, shape)| shape[0] * shape[1]).sum();
    for (model, (means, fishers)) in means.iter().zip(&fishers).enumerate() {
        fs::write(out.join(format!("mean_{model}")), pages(means, width, &[])).expect("the output folder");
        let header = header(parameters, 6 + model as u64, 1000);
        fs::write(out.join(format!("fisher_{model}")), pages(fishers, width, &header)).expect("the output folder");
    }
    fs::write(out.join("merged"), merged).expect("the output folder");
    fs::write(out.join("running"), running).expect("the output folder");
}

/// Examples of the Fisher that is accumulated, of the head's weight.
const EXAMPLES: usize = 8;

/// Gradients of binary16 under a loss scale of 16, and the mean of their squares.
fn gradients(out: &Path, width: usize) {
    let (mut generator, length) = (Generator(7), 4 * width);
    let (mut gradients, mut sums) = (Vec::new(), vec![0_u32; length]);
    for _ in 0..EXAMPLES {
        for sum in &mut sums {
            let whole = (generator.next() % 64) as i32 - 32;
            store(whole as f32, 2, &mut gradients);
            *sum += whole.unsigned_abs().pow(2);
        }
    }
    let means = sums.iter().flat_map(|&sum| (sum as f32 / (16.0 * 16.0) / EXAMPLES as f32).to_le_bytes());
    fs::write(out.join("gradients"), gradients).expect("the output folder");
    fs::write(out.join("estimate"), means.collect::<Vec<u8>>()).expect("the output folder");
    fs::write(out.join("header"), header(length, 0, EXAMPLES as u64)).expect("the output folder");
}

fn main() {
    println!("cargo::rerun-if-changed=src/layout.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let (out, target) = (PathBuf::from(env::var("OUT_DIR").expect("set by cargo")), env::var("TARGET").expect("set by cargo"));
    let width = width(&target);
    merge(&out, width);
    gradients(&out, width);
    fs::write(out.join("width.rs"), format!("{width}")).expect("the output folder");
}
