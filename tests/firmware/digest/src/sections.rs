//! What is computed. Each section stands for itself, so that a machine with little memory can run a part of them.

mod conversions;
mod fishers;
mod folds;
mod headers;
mod layers;
mod merges;
mod running;
mod stores;
mod structured;
mod vectors;

use fisher_merge::Shell;

use crate::fnv::Digest;
use crate::kinds::{Bf16, F16, F32, F64};

/// A part of the program.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub name: &'static str,
    /// Runs it in a shell.
    pub run: fn(Shell) -> Digest,
}

const fn section(name: &'static str, run: fn(Shell) -> Digest) -> Section {
    Section { name, run }
}

/// All sections. Their order is that of the parts in `tests/firmware/run`.
pub const SECTIONS: [Section; 29] = [
    section("vectors-f32", vectors::merges_f32),
    section("vectors-f64", vectors::merges_f64),
    section("vectors-convert", vectors::conversions),
    section("convert-f16", conversions::f16),
    section("convert-bf16", conversions::bf16),
    section("merge-f32-f32", merges::run::<f32, F32, 130>),
    section("merge-f32-f16", merges::run::<f32, F16, 200>),
    section("merge-f32-bf16", merges::run::<f32, Bf16, 200>),
    section("merge-f64-f64", merges::run::<f64, F64, 75>),
    section("merge-f64-f32", merges::run::<f64, F32, 130>),
    section("merge-f64-f16", merges::run::<f64, F16, 150>),
    section("merge-f64-bf16", merges::run::<f64, Bf16, 150>),
    section("merge-mixed", merges::mixed),
    section("running-f32", running::run::<f32, F32>),
    section("running-f64", running::run::<f64, F64>),
    section("running-f16", running::run::<f32, F16>),
    section("stores", stores::run),
    section("fisher-f32", fishers::run::<f32, F32>),
    section("fisher-f64", fishers::run::<f64, F64>),
    section("fisher-f16", fishers::run::<f32, F16>),
    section("headers", headers::run),
    section("fold-f32", folds::run::<f32, F32>),
    section("fold-f64", folds::run::<f64, F64>),
    section("fold-bf16", folds::run::<f32, Bf16>),
    section("layers-f32", layers::run::<f32, F32>),
    section("layers-bf16", layers::run::<f32, Bf16>),
    // The scratch of these alone, 18 KB and more, is beyond the memory of the smallest machines.
    section("layers-f64", layers::run::<f64, F64>),
    section("structured-f32", structured::run::<f32, F32>),
    section("structured-f64", structured::run::<f64, F64>),
];
