//! The published vectors as bytes: 400 KB of text would not fit into the flash of a small machine, nor would its parser be of interest.
//!
//! A row of a file of merges: the three storage types, the number of models, then all numbers, little-endian, as wide as their types. A row
//! of conversions: two types and two numbers.

use std::path::Path;
use std::{env, fs};

/// The number of a type, and how many hexadecimal digits it has.
fn dtype(name: &str) -> (u8, usize) {
    match name {
        "f64" => (0, 16),
        "f32" => (1, 8),
        "f16" => (2, 4),
        "bf16" => (3, 4),
        other => panic!("no storage type {other}"),
    }
}

fn number(digits: &str, width: usize, out: &mut Vec<u8>) {
    assert_eq!(digits.len(), width, "{digits}");
    let bits = u64::from_str_radix(digits, 16).expect("a hexadecimal number");
    out.extend(&bits.to_le_bytes()[..width / 2]);
}

fn merge(fields: &[&str], arithmetic: usize, out: &mut Vec<u8>) {
    let types = [1, 2, 3].map(|field| dtype(fields[field]));
    let models: usize = fields[4].parse().expect("a number of models");
    assert_eq!(fields.len(), 9 + 3 * models, "{}", fields[0]);
    out.extend(types.map(|(number, _)| number));
    out.push(models.try_into().expect("at most 255 models"));
    let [(_, mean), (_, fisher), (_, stored)] = types;
    for model in 0..models {
        for (column, width) in [arithmetic, fisher, mean].into_iter().enumerate() {
            number(fields[5 + 3 * model + column], width, out);
        }
    }
    for (column, width) in [stored, arithmetic, arithmetic].into_iter().enumerate() {
        number(fields[5 + 3 * models + column], width, out);
    }
}

fn convert(fields: &[&str], out: &mut Vec<u8>) {
    let ((from, wide), (to, narrow)) = (dtype(fields[0]), dtype(fields[1]));
    out.extend([from, to]);
    number(fields[2], wide, out);
    number(fields[3], narrow, out);
}

fn main() {
    let (vectors, out) = (Path::new("../../vectors"), env::var("OUT_DIR").expect("cargo sets it"));
    for name in ["merge_f32", "merge_f64", "convert"] {
        let path = vectors.join(name).with_extension("txt");
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).expect("the published vectors");
        let mut bytes = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let fields: Vec<&str> = line.split(' ').collect();
            match name {
                "merge_f32" => merge(&fields, 8, &mut bytes),
                "merge_f64" => merge(&fields, 16, &mut bytes),
                _ => convert(&fields, &mut bytes),
            }
        }
        fs::write(Path::new(&out).join(name), bytes).expect("the output folder");
    }
}
