//! The Fisher of a linear layer, 1024 to 1024, against matrix products of the same size and against gradients of single examples.

use std::hint::black_box;
use std::time::Instant;

use fisher_merge::{DiagonalFisher, FisherSpec, Gradient, LayerBatch, ObservedLabels, Real};

use super::{Limit, Times, report};

const WIDTH: usize = 1024;
const BATCH: usize = 256;
const POSITIONS: usize = 128;
const SEQUENCES: usize = 4;

const LIMITS: &[Limit] = &[
    limit("f32 layer over an f32 product", ("layer f32", "product f32"), 3.0),
    limit("f64 layer over an f32 product", ("layer f64", "product f32"), 6.0),
    limit("f64 layer over gradients of single examples", ("layer f64", "single examples"), 1.0 / 30.0),
    limit("f32 sequences of 128 over their f32 products", ("sequences f32", "products f32"), 3.0),
    limit("f64 sequences of 128 over their f64 products", ("sequences f64", "products f64"), 3.0),
    Limit { what: "f64 layer over an f64 product", log2: 0, over: ("layer f64", "product f64"), times: 1.0, at_most: None },
];

const fn limit(what: &'static str, over: (&'static str, &'static str), at_most: f64) -> Limit {
    Limit { what, log2: 0, over, times: 1.0, at_most: Some(at_most) }
}

/// Numbers between −1 and 1.
pub fn numbers<R: Real>(count: usize, seed: u64) -> Vec<R> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        R::from_f64((state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0)
    };
    (0..count).map(|_| next()).collect()
}

/// A batch of one position, or of sequences.
struct Layer<R> {
    inputs: Vec<R>,
    gradients: Vec<R>,
    weights: Vec<R>,
    positions: usize,
    state: Vec<R>,
    scratch: Vec<R>,
}

impl<R: Real> Layer<R> {
    fn new(batch: usize, positions: usize) -> Self {
        Self {
            inputs: numbers(batch * positions * WIDTH, 1),
            gradients: numbers(batch * positions * WIDTH, 2),
            weights: vec![R::ONE; batch],
            positions,
            state: vec![R::ZERO; FisherSpec::new(WIDTH * WIDTH).state_len::<R>()],
            scratch: vec![R::ZERO; DiagonalFisher::<ObservedLabels, R>::LINEAR_SCRATCH],
        }
    }

    fn observe(&mut self) {
        let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(WIDTH * WIDTH), &mut self.state).expect("of this length");
        let batch = LayerBatch::new(&self.inputs[..], &self.gradients[..], &self.weights).positions(self.positions);
        fisher.observe_linear((WIDTH, WIDTH), &batch, &mut self.scratch).expect("all sizes agree");
        fisher.end_batch(&self.weights).expect("an observation each");
    }
}

/// The `matrixmultiply` crate's, of a type.
type Product<R> = unsafe fn(usize, usize, usize, R, *const R, isize, isize, *const R, isize, isize, R, *mut R, isize, isize);

/// `gᵀ·a` for every example, by `product`.
fn products<R>(layer: &Layer<R>, out: &mut [R], product: Product<R>, one: R, zero: R)
where
    R: Copy,
{
    let depth = if layer.positions == 1 { BATCH } else { layer.positions };
    let w = WIDTH as isize;
    for (a, g) in layer.inputs.chunks(depth * WIDTH).zip(layer.gradients.chunks(depth * WIDTH)) {
        // SAFETY: all three matrices are as large as the sizes and strides say.
        unsafe { product(WIDTH, depth, WIDTH, one, g.as_ptr(), 1, w, a.as_ptr(), w, 1, zero, out.as_mut_ptr(), w, 1) };
        black_box(&out);
    }
}

/// What a framework without this does: memory for the gradients of all examples, these written out, then squared and added. Of some
/// examples of the batch.
fn single_examples(layer: &mut Layer<f64>, examples: usize) {
    let mut gradients = vec![0.0; WIDTH * WIDTH * examples];
    let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(WIDTH * WIDTH), &mut layer.state).expect("of this length");
    for ((a, g), gradient) in layer.inputs.chunks(WIDTH).zip(layer.gradients.chunks(WIDTH)).zip(gradients.chunks_mut(WIDTH * WIDTH)) {
        for (row, &g) in gradient.chunks_mut(WIDTH).zip(g) {
            row.iter_mut().zip(a).for_each(|(out, &a)| *out = g * a);
        }
    }
    for gradient in gradients.chunks(WIDTH * WIDTH) {
        fisher.example(Gradient::new(gradient)).expect("of this length");
    }
}

/// Measures, prints, and counts what is exceeded.
pub fn run(test: bool) -> u32 {
    let (mut single, mut double) = (Layer::<f32>::new(BATCH, 1), Layer::<f64>::new(BATCH, 1));
    let (mut sequences, mut double_sequences) = (Layer::<f32>::new(SEQUENCES, POSITIONS), Layer::<f64>::new(SEQUENCES, POSITIONS));
    let (mut out, mut double_out) = (vec![0.0_f32; WIDTH * WIDTH], vec![0.0_f64; WIDTH * WIDTH]);
    // One in sixteen examples is measured and counted sixteen times: the others take as long.
    const SHARE: usize = 16;
    let mut times: Times = Vec::new();
    for round in 0..if test { 2 } else { 12 } {
        let mut time = |name: &'static str, factor: f64, work: &mut dyn FnMut()| {
            let began = Instant::now();
            work();
            let seconds = began.elapsed().as_secs_f64() * factor;
            match times.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) if round > 0 => all.push(seconds * 1e3),
                Some(_) => {}
                None => times.push((name, Vec::new())),
            }
        };
        time("layer f32", 1.0, &mut || single.observe());
        time("product f32", 1.0, &mut || products(&single, &mut out, matrixmultiply::sgemm, 1.0, 0.0));
        time("layer f64", 1.0, &mut || double.observe());
        time("product f64", 1.0, &mut || products(&double, &mut double_out, matrixmultiply::dgemm, 1.0, 0.0));
        time("single examples", SHARE as f64, &mut || single_examples(&mut double, BATCH / SHARE));
        time("sequences f32", 1.0, &mut || sequences.observe());
        time("products f32", 1.0, &mut || products(&sequences, &mut out, matrixmultiply::sgemm, 1.0, 0.0));
        time("sequences f64", 1.0, &mut || double_sequences.observe());
        time("products f64", 1.0, &mut || products(&double_sequences, &mut double_out, matrixmultiply::dgemm, 1.0, 0.0));
    }
    println!("\nlinear layer {WIDTH} to {WIDTH}, batch {BATCH}; {SEQUENCES} sequences of {POSITIONS}; milliseconds (median):");
    for (name, times) in &times {
        println!("  {name:<16}{:>8.3}", super::median(times.clone()));
    }
    println!();
    LIMITS.iter().map(|limit| u32::from(!report(limit, &times) && !test)).sum()
}
