//! Layers, against gradients of single examples: `Σ_t g_t·a_tᵀ` written out, squared and added one example at a time.

use fisher_merge::{
    DiagonalFisher, Dtype, Error, ExactLabels, FisherFault, FisherSpec, Gradient, LayerBatch, LeBytes, ObservedLabels, Real, Shell,
};

use crate::Random;
use crate::common::exact::Exact;
use crate::common::tolerance::fisher_bound;

/// A batch, as numbers that all storage types hold: eighths.
struct Batch {
    examples: usize,
    positions: usize,
    inputs: usize,
    outputs: usize,
    a: Vec<f64>,
    g: Vec<f64>,
    weights: Vec<f64>,
}

impl Batch {
    fn new(seed: u64, examples: usize, positions: usize, inputs: usize, outputs: usize) -> Self {
        let mut random = Random(seed);
        let mut eighths = |count: usize| (0..count).map(|_| (random.signed() * 16.0).round() / 8.0).collect::<Vec<f64>>();
        let (a, g) = (eighths(examples * positions * inputs), eighths(examples * positions * outputs));
        let weights = (0..examples).map(|example| [1.0, 0.5, 2.0][example % 3]).collect();
        Self { examples, positions, inputs, outputs, a, g, weights }
    }

    fn input(&self, example: usize, t: usize) -> &[f64] {
        &self.a[(example * self.positions + t) * self.inputs..][..self.inputs]
    }

    fn gradient(&self, example: usize, t: usize) -> &[f64] {
        &self.g[(example * self.positions + t) * self.outputs..][..self.outputs]
    }

    /// `Σ_b w_b·x_b²/Σ_b w_b` as a fraction, where `x_b` is `Σ_t` of a term. Eighths of integers: exact.
    fn mean(&self, term: impl Fn(usize, usize) -> f64) -> (Exact, Exact) {
        let (mut num, mut den) = (Exact::zero(), Exact::zero());
        for example in 0..self.examples {
            let x = (0..self.positions).fold(Exact::zero(), |sum, t| &sum + &Exact::of(term(example, t)));
            num = &num + &(&Exact::of(self.weights[example]) * &(&x * &x));
            den = &den + &Exact::of(self.weights[example]);
        }
        (num, den)
    }
}

fn agree<R: Real>(found: &[R], batch: &Batch, term: impl Fn(usize, usize, usize) -> f64) {
    for (at, found) in found.iter().enumerate() {
        let (num, den) = batch.mean(|example, t| term(at, example, t));
        // Eighths, sums over positions and squares are exact here; what is left is relative.
        let error = (&(&Exact::of(found.as_f64()) * &den) - &num).abs();
        assert!(
            error <= fisher_bound::<R>(batch.examples as u64, true, &num),
            "entry {at}: {found:?}, {}/{}",
            num.approximate(),
            den.approximate()
        );
    }
}

/// In all pairs of storage types, by bytes that are aligned to nothing.
fn stored(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    let mut bytes = vec![0_u8];
    for value in values {
        let pattern = Exact::of(*value).pattern(dtype).unwrap();
        bytes.extend(pattern.to_le_bytes().into_iter().take(dtype.bytes()));
    }
    bytes
}

fn linear<R: Real>(batch: &Batch, (a, g): (Dtype, Dtype), shell: Shell) -> Vec<R> {
    let (a_bytes, g_bytes) = (stored(a, &batch.a), stored(g, &batch.g));
    let weights: Vec<R> = batch.weights.iter().map(|&weight| R::from_f64(weight)).collect();
    let spec = FisherSpec::new(batch.outputs * batch.inputs);
    let mut state = vec![R::ZERO; spec.state_len::<R>()];
    let mut fisher = DiagonalFisher::<ObservedLabels, R>::observed_labels(spec, &mut state).unwrap().shell(shell);
    let mut scratch = vec![R::ZERO; DiagonalFisher::<ObservedLabels, R>::LINEAR_SCRATCH];
    let inputs = LeBytes::new(a, &a_bytes[1..]).unwrap();
    let layer = LayerBatch::new(inputs, LeBytes::new(g, &g_bytes[1..]).unwrap(), &weights).positions(batch.positions);
    fisher.observe_linear((batch.outputs, batch.inputs), &layer, &mut scratch).unwrap();
    fisher.end_batch(&weights).unwrap();
    let mut out = vec![R::ZERO; spec.length()];
    let record = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!((record.examples, record.out_of_range), (batch.examples as u64, 0));
    out
}

/// Sizes on and beside the edges of panels, registers and tiles.
const SIZES: [[usize; 4]; 9] = [
    [1, 1, 1, 1],
    [3, 1, 5, 4],
    [64, 1, 16, 3],
    [65, 1, 129, 5],
    [2, 1, 130, 257],
    [2, 2, 3, 5],
    [1, 64, 17, 4],
    [2, 65, 8, 9],
    [3, 7, 129, 2],
];

#[test]
fn linear_layers_are_the_squares_of_single_examples() {
    for (seed, [examples, positions, inputs, outputs]) in (0..).zip(SIZES) {
        let batch = Batch::new(seed, examples, positions, inputs, outputs);
        let term = |at: usize, example: usize, t: usize| batch.gradient(example, t)[at / inputs] * batch.input(example, t)[at % inputs];
        agree(&linear::<f64>(&batch, (Dtype::F64, Dtype::F64), Shell::detect()), &batch, term);
        agree(&linear::<f32>(&batch, (Dtype::F32, Dtype::F32), Shell::detect()), &batch, term);
    }
}

#[test]
fn storage_types_and_shells_change_no_bit() {
    for (seed, [examples, positions, inputs, outputs]) in (10..).zip(SIZES) {
        let batch = Batch::new(seed, examples, positions, inputs, outputs);
        let same = linear::<f64>(&batch, (Dtype::F64, Dtype::F64), Shell::detect());
        let single = linear::<f32>(&batch, (Dtype::F32, Dtype::F32), Shell::detect());
        for types in [(Dtype::F16, Dtype::Bf16), (Dtype::Bf16, Dtype::F32), (Dtype::F32, Dtype::F16)] {
            assert_eq!(linear::<f64>(&batch, types, Shell::detect()), same);
            assert_eq!(linear::<f32>(&batch, types, Shell::detect()), single);
        }
        for shell in Shell::available() {
            assert_eq!(linear::<f64>(&batch, (Dtype::F64, Dtype::F64), shell), same);
            assert_eq!(linear::<f32>(&batch, (Dtype::F32, Dtype::F32), shell), single);
        }
    }
}

/// What the rest of a layer observes: bias and shift, scale, rows.
fn observed<R: Real>(
    batch: &Batch,
    length: usize,
    observe: impl Fn(&mut DiagonalFisher<'_, ObservedLabels, R>, &LayerBatch<'_, &[R], &[R], R>),
) -> Vec<R> {
    let real = |values: &[f64]| values.iter().map(|&value| R::from_f64(value)).collect::<Vec<R>>();
    let (a, g, weights) = (real(&batch.a), real(&batch.g), real(&batch.weights));
    let spec = FisherSpec::new(length);
    let mut state = vec![R::ZERO; spec.state_len::<R>()];
    let mut fisher = DiagonalFisher::<ObservedLabels, R>::observed_labels(spec, &mut state).unwrap();
    observe(&mut fisher, &LayerBatch::new(&a[..], &g[..], &weights).positions(batch.positions));
    fisher.end_batch(&weights).unwrap();
    let mut out = vec![R::ZERO; length];
    let _ = fisher.finish_into(&mut out[..]).unwrap();
    out
}

#[test]
fn biases_are_sums_over_positions() {
    for (seed, positions) in [(20, 1), (21, 5)] {
        let batch = Batch::new(seed, 6, positions, 1, 300);
        let term = |at: usize, example: usize, t: usize| batch.gradient(example, t)[at];
        agree(&observed::<f64>(&batch, 300, |fisher, layer| fisher.observe_bias(layer).unwrap()), &batch, term);
        agree(&observed::<f32>(&batch, 300, |fisher, layer| fisher.observe_bias(layer).unwrap()), &batch, term);
    }
}

#[test]
fn scales_of_normalisations_are_sums_of_products() {
    for (seed, positions) in [(22, 1), (23, 5)] {
        let batch = Batch::new(seed, 6, positions, 300, 300);
        let term = |at: usize, example: usize, t: usize| batch.gradient(example, t)[at] * batch.input(example, t)[at];
        agree(&observed::<f64>(&batch, 300, |fisher, layer| fisher.observe_scale(layer).unwrap()), &batch, term);
        agree(&observed::<f32>(&batch, 300, |fisher, layer| fisher.observe_scale(layer).unwrap()), &batch, term);
    }
}

/// The same token twice in an example is summed before it is squared; rows that do not occur stay zero.
#[test]
fn rows_of_embeddings_are_summed_within_an_example() {
    let (positions, width, rows) = (6, 260, 9);
    let batch = Batch::new(24, 4, positions, 1, width);
    let mut random = Random(25);
    let tokens: Vec<usize> = (0..4 * positions).map(|_| (random.bits() % 5) as usize).collect();
    assert!(tokens.chunks(positions).any(|tokens| (1..positions).any(|t| tokens[..t].contains(&tokens[t]))));
    let term = |at: usize, example: usize, t: usize| {
        if tokens[example * positions + t] == at / width { batch.gradient(example, t)[at % width] } else { 0.0 }
    };
    let found = observed::<f64>(&batch, rows * width, |fisher, layer| fisher.observe_rows(width, &tokens, layer).unwrap());
    agree(&found, &batch, term);
    assert!(found[5 * width..].iter().all(|&entry| entry == 0.0) && found[..width].iter().any(|&entry| entry > 0.0));
    agree(&observed::<f32>(&batch, rows * width, |fisher, layer| fisher.observe_rows(width, &tokens, layer).unwrap()), &batch, term);
}

/// What the caller's scratch holds is not looked at, nor counted.
#[test]
fn scratch_may_hold_anything() {
    let (a, g, ones) = ([1.0, 2.0, 3.0], [0.5, -0.5], [1.0]);
    for positions in [1, 2] {
        for rest in [0.0, 1e200, 1e-200, f64::NAN, f64::INFINITY] {
            let (a, g) = (a.repeat(positions), g.repeat(positions));
            let mut state = [0.0; 10];
            let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(6), &mut state).unwrap();
            let mut scratch = vec![rest; DiagonalFisher::<ObservedLabels, f64>::LINEAR_SCRATCH];
            fisher.observe_linear((2, 3), &LayerBatch::new(&a[..], &g[..], &ones).positions(positions), &mut scratch).unwrap();
            fisher.end_batch(&ones).unwrap();
            assert_eq!(fisher.record().out_of_range, 0, "{rest}");
        }
    }
}

/// A shared accumulator: a layer that is used twice in an example is one of two positions more.
#[test]
fn tied_layers_are_positions() {
    let batch = Batch::new(26, 5, 2, 3, 4);
    let tied = linear::<f64>(&batch, (Dtype::F64, Dtype::F64), Shell::detect());
    let spec = FisherSpec::new(12);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
    for example in 0..5 {
        let mut gradient = [0.0; 12];
        for (at, sum) in gradient.iter_mut().enumerate() {
            *sum = (0..2).map(|t| batch.gradient(example, t)[at / 3] * batch.input(example, t)[at % 3]).sum();
        }
        fisher.begin_example(batch.weights[example]).unwrap();
        fisher.example(Gradient::new(&gradient[..])).unwrap();
    }
    let mut out = [0.0; 12];
    let _ = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!(tied, out);
}

/// An observation of a batch.
type Observe<'a> = &'a dyn Fn(&mut DiagonalFisher<'_, ExactLabels, f64>) -> Result<(), Error>;

/// Expected squares at the outputs, of every kind of parameter, are the expectation over labels.
#[test]
fn variances_at_the_outputs_are_the_whole_expectation() {
    let (a, v, ones) = ([1.0, -2.0, 3.0, 0.5], [0.25, 0.5, 0.0, 2.0], [1.0, 1.0]);
    let layer = LayerBatch::of_variances(&a[..], &v[..], &ones);
    let found = |length: usize, observe: Observe<'_>| {
        let spec = FisherSpec::new(length);
        let mut state = vec![0.0; spec.state_len::<f64>()];
        let mut fisher = DiagonalFisher::exact(spec, &mut state).unwrap();
        observe(&mut fisher).unwrap();
        fisher.end_batch(&ones).unwrap();
        let mut out = vec![0.0; length];
        let _ = fisher.finish_into(&mut out[..]).unwrap();
        out
    };
    let mut scratch = [0.0; DiagonalFisher::<ExactLabels, f64>::LINEAR_SCRATCH];
    let scratch = core::cell::RefCell::new(&mut scratch);
    let linear = found(4, &|fisher| fisher.observe_linear((2, 2), &layer, *scratch.borrow_mut()));
    assert_eq!(linear, [0.125, 0.5 + 0.0, 0.25 + 9.0, 1.0 + 0.25]);
    assert_eq!(found(2, &|fisher| fisher.observe_bias(&layer)), [0.125, 1.25]);
    assert_eq!(found(2, &|fisher| fisher.observe_scale(&layer)), [0.125, 1.0 + 0.25]);
    assert_eq!(found(6, &|fisher| fisher.observe_rows(2, &[2, 0], &layer)), [0.0, 1.0, 0.0, 0.0, 0.125, 0.25]);
    // A loss scale of 2 divides variances by 4.
    assert_eq!(found(2, &|fisher| fisher.observe_bias(&layer.loss_scale(2.0))), [0.125 / 4.0, 1.25 / 4.0]);
}

/// Sequences with two labelled positions: expectations add up over positions.
#[test]
fn sequences_have_an_expectation_at_every_labelled_position() {
    let (inputs, ones) = ([1.0, 2.0], [1.0]);
    let spec = FisherSpec::new(1);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut scratch = vec![0.0; DiagonalFisher::<ExactLabels, f64>::LINEAR_SCRATCH];
    let mut fisher = DiagonalFisher::exact(spec, &mut state).unwrap();
    // One output, two labels of probability ½ at either position; the score is ±½ there and zero at the other.
    for scores in [[0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]] {
        fisher.observe_linear((1, 1), &LayerBatch::new(&inputs[..], &scores[..], &[0.5]).positions(2), &mut scratch).unwrap();
    }
    assert!(matches!(fisher.end_batch(&ones), Err(Error::Fisher(FisherFault::Share { .. }))));
    fisher.end_sequences(&ones, &[2]).unwrap();
    let mut out = [0.0];
    assert_eq!(fisher.finish_into(&mut out[..]).unwrap().examples, 1);
    assert_eq!(out, [0.25 + 1.0]);
}

/// Nothing is added by a batch that is refused.
#[test]
fn bad_batches_are_refused_whole() {
    let (a, g, ones, nan) = ([1.0; 6], [1.0; 4], [1.0; 2], [1.0, f64::NAN, 1.0, 1.0]);
    let spec = FisherSpec::new(6);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut scratch = vec![0.0; DiagonalFisher::<ObservedLabels, f64>::LINEAR_SCRATCH];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
    let good = LayerBatch::new(&a[..], &g[..], &ones);
    let mut refused = |shape: (usize, usize), layer: &LayerBatch<'_, &[f64], &[f64], f64>, scratch: &mut [f64]| {
        let error = fisher.observe_linear(shape, layer, scratch).unwrap_err();
        assert!(fisher.state().iter().all(|&number| number == 0.0));
        error
    };
    let fault = |error: Error| if let Error::Fisher(fault) = error { fault } else { panic!("{error}") };
    assert!(matches!(fault(refused((3, 2), &good, &mut scratch)), FisherFault::Length { .. }));
    assert!(matches!(fault(refused((2, 2), &good, &mut scratch)), FisherFault::Length { expected: 6, found: 4 }));
    assert!(matches!(
        fault(refused((2, 3), &LayerBatch::new(&a[..5], &g[..], &ones), &mut scratch)),
        FisherFault::Length { expected: 6, found: 5 }
    ));
    assert!(matches!(fault(refused((2, 3), &good.positions(0), &mut scratch)), FisherFault::Zero));
    assert!(matches!(fault(refused((2, 3), &good.positions(2), &mut scratch)), FisherFault::Length { .. }));
    assert!(matches!(fault(refused((2, 3), &LayerBatch::new(&a[..], &g[..], &[1.0, -1.0]), &mut scratch)), FisherFault::BadWeight { .. }));
    assert!(matches!(fault(refused((2, 3), &good.loss_scale(0.0), &mut scratch)), FisherFault::BadWeight { .. }));
    // The whole expectation is no observed label.
    assert!(matches!(
        fault(refused((2, 3), &LayerBatch::of_variances(&a[..], &g[..], &ones), &mut scratch)),
        FisherFault::Estimator { .. }
    ));
    assert!(matches!(refused((2, 3), &LayerBatch::new(&a[..], &nan[..], &ones), &mut scratch), Error::BadNumber { index: 1, .. }));
    let needed = scratch.len();
    assert!(matches!(refused((2, 3), &good, &mut scratch[1..]), Error::Scratch { .. }), "{needed}");
    let rows = fisher.observe_rows(2, &[0, 3], &good);
    assert!(matches!(rows, Err(Error::Fisher(FisherFault::Length { expected: 3, found: 3 }))));
}
