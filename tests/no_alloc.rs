//! Promise 10: memory is the caller's. A counting allocator says that no call of the crate asks for any.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator that counts is an allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ops::ControlFlow;
use std::alloc::System;

use fisher_merge::adapters::LowRankAdapter;
use fisher_merge::{
    BadNumbers, Bf16Bits, CombineFisher, CompactFisher, Conditioning, Damping, DampingMean, DenseFisher, Density, DiagonalFisher, Dtype,
    Estimator, F16Bits, FisherAccumulator, FisherHeader, FisherSpec, FisherSpread, FisherStatistics, Floor, FloorScope, Gradient, Job,
    KroneckerFisher, LayerBatch, LayerGradients, LayerInputs, LeBytes, Magnitude, Merge, Model, ModelPrecision, NoEvidence, Normalize,
    ObservedLabels, Posterior, Progress, Real, Repair, RunningProduct, SecondMoment, Shell, StandardErrors, StoreMerge, Strided,
    StridedMut, StridedTensor, StridedTensorMut, Structure, StructureMut, StructuredMerge, StructuredPosterior, Tensor, TensorMut, Tensors,
    TensorsMut, Values, ValuesMut, from_natural, merged_precision, target, to_natural,
};

thread_local! {
    /// Of this thread alone: the test harness allocates on others.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches one thread-local number, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `work` asked the allocator for.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// More than two blocks of the merge.
const COUNT: usize = 700;

/// Every element is regular but a few: zero, subnormal and huge Fishers send their blocks through the careful path.
fn numbers(seed: usize) -> (Vec<f32>, Vec<f32>) {
    let number = |index: usize, salt: usize| ((index * 31 + salt * 17 + seed * 7) % 97) as f32 / 16.0;
    let mut fisher: Vec<f32> = (0..COUNT).map(|index| number(index, 1)).collect();
    (fisher[3], fisher[300], fisher[600]) = (0.0, 1e-45, 3e38);
    ((0..COUNT).map(|index| number(index, 2) - 3.0).collect(), fisher)
}

/// Everything that is called on a merge, over views of one kind.
fn merges<R, V, O>(means: [V; 3], fishers: [V; 3], out: &mut [O; 2])
where
    R: Real,
    V: Values<R> + Values<f64> + Copy,
    O: Output,
    for<'a> O::View<'a>: ValuesMut<R>,
{
    let prior = [R::ONE; COUNT];
    for shell in Shell::available() {
        for policy in [NoEvidence::KeepTarget, NoEvidence::WeightedMean, NoEvidence::PriorMean(&prior)] {
            let rule = Conditioning::new().floor(Floor::Relative { share: 1e-6, scope: FloorScope::Tensor }).normalize(Normalize::L2);
            let scale = |model: usize| {
                let mut statistics = FisherStatistics::new();
                statistics.observe_in(fishers[model], shell);
                rule.scale(&statistics, target(&[R::ONE, R::ONE]) == Some(model)).unwrap()
            };
            let factor = |model: usize| Posterior::diagonal(means[model], fishers[model]).unwrap().power(R::from_f64(0.3));
            let plain = [factor(0), factor(1), factor(2)];
            let floored = [factor(0).conditioned(&scale(0)), factor(1).conditioned(&scale(1)), factor(2).conditioned(&scale(2))];
            let merge = Merge::new().no_evidence(policy).bad_numbers(BadNumbers::Propagate).shell(shell);
            let [mean, precision] = &mut *out;
            for count in 1..=3 {
                let _ = merge.run(&plain[..count], mean.lend()).unwrap();
                let _ = merge.run_with_precision(&floored[..count], mean.lend(), precision.lend()).unwrap();
                let _ = merge.check(&plain[..count]).unwrap();
            }
            let mut jobs = [Job::new(&plain, mean.lend()), Job::new(&floored, precision.lend())];
            merge.run_all(&mut jobs).unwrap();
            running(&plain, policy, shell);
        }
    }
}

/// An output that lends a view of itself, as often as it is asked.
trait Output {
    type View<'a>
    where
        Self: 'a;
    fn lend(&mut self) -> Self::View<'_>;
}
macro_rules! outputs {
    ($($owner:ty, $view:ty, $self:ident => $lent:expr;)*) => {$(
        impl Output for $owner {
            type View<'a> = $view where Self: 'a;
            fn lend(&mut $self) -> Self::View<'_> {
                $lent
            }
        }
    )*};
}
outputs! {
    [f32; COUNT], &'a mut [f32], self => self;
    [f64; COUNT], &'a mut [f64], self => self;
    F16Bits<[u16; COUNT]>, F16Bits<&'a mut [u16]>, self => F16Bits(&mut self.0);
    Bf16Bits<[u16; COUNT]>, Bf16Bits<&'a mut [u16]>, self => Bf16Bits(&mut self.0);
    [u8; 8 * COUNT], LeBytes<&'a mut [u8]>, self => LeBytes::new(Dtype::F64, &mut self[..]).unwrap();
}

/// Everything that is called on a running product.
fn running<R: Real, V: Values<R> + Copy>(factors: &[fisher_merge::Factor<V, V, R>; 3], policy: NoEvidence<'_, R>, shell: Shell) {
    let (mut precision, mut mean, mut eta) = ([R::ZERO; COUNT], [R::ZERO; COUNT], [R::ZERO; COUNT]);
    let (mut other_precision, mut other_mean) = (precision, mean);
    let mut product =
        RunningProduct::start(&mut precision, &mut mean, policy).unwrap().shell(shell).tensor(1).bad_numbers(BadNumbers::Refuse);
    let mut other = RunningProduct::start(&mut other_precision, &mut other_mean, policy).unwrap();
    product.absorb(&factors[0]).unwrap();
    product.absorb(&factors[1]).unwrap();
    other.absorb(&factors[2]).unwrap();
    product.combine(&other).unwrap();
    let part = factors[0].posterior().power(R::from_f64(0.01));
    let _ = (product.remove(&part), product.raise(R::from_f64(0.5)), product.count_prior_once(&part.posterior()));
    let (kept, _summary) = ((R::ONE, product.absorbed()), product.summary());
    let _ = product.finish();
    let product = RunningProduct::resume(&mut precision, &mut mean, policy, kept).unwrap();
    let _ = product.posterior();
    let _ = to_natural(&precision, &mean, &mut eta).unwrap();
    let _ = from_natural(&precision, &eta, &mut mean).unwrap();
}

#[test]
fn promise_10_no_heap_under_any_view() {
    let data = [numbers(0), numbers(1), numbers(2)];
    let [a, b, c] = &data;
    let (means, fishers) = ([&a.0[..], &b.0, &c.0], [&a.1[..], &b.1, &c.1]);
    let halves = |values: [&[f32]; 3]| {
        values.map(|values| values.iter().map(|value| (value.abs().to_bits() >> 16) as u16 & 0x7bff).collect::<Vec<u16>>())
    };
    let (half_means, half_fishers) = (halves(means), halves(fishers));
    let bytes = |values: [&[f32]; 3]| values.map(|values| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    let (byte_means, byte_fishers) = (bytes(means), bytes(fishers));
    let each = [0, 1, 2];
    let counted = allocations(|| {
        merges::<f32, _, _>(means, fishers, &mut [[0.0_f32; COUNT]; 2]);
        merges::<f64, _, _>(means, fishers, &mut [[0.0_f32; COUNT]; 2]);
        merges::<f64, _, _>(means, fishers, &mut [[0.0_f64; COUNT]; 2]);
        let (means, fishers) = (each.map(|at| F16Bits(&half_means[at][..])), each.map(|at| F16Bits(&half_fishers[at][..])));
        merges::<f32, _, _>(means, fishers, &mut [F16Bits([0; COUNT]), F16Bits([0; COUNT])]);
        let (means, fishers) = (each.map(|at| Bf16Bits(&half_means[at][..])), each.map(|at| Bf16Bits(&half_fishers[at][..])));
        merges::<f64, _, _>(means, fishers, &mut [Bf16Bits([0; COUNT]), Bf16Bits([0; COUNT])]);
        let means = each.map(|at| LeBytes::new(Dtype::F32, &byte_means[at][..]).unwrap());
        let fishers = each.map(|at| LeBytes::new(Dtype::F32, &byte_fishers[at][..]).unwrap());
        merges::<f64, _, _>(means, fishers, &mut [[0_u8; 8 * COUNT]; 2]);
        assert!(Magnitude::new(2.0).unwrap().as_f64() == 2.0);
    });
    assert_eq!(counted, 0);
}

/// Whole models, through every ready-made store, lent and copied, with all passes.
#[test]
fn promise_10_no_heap_for_stores() {
    let (a, b) = (numbers(0), numbers(1));
    let bytes: Vec<u8> = b.0.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (shape, strides) = ([COUNT], [1]);
    let (mut out, mut precision, mut turned) = ([0.0_f32; COUNT], [0.0_f64; COUNT], [0.0_f64; COUNT]);
    let mut scratch = [0.0_f64; 6 * 7];
    let counted = allocations(|| {
        let mean = [Tensor::new("weight", &shape, &a.0[..]).unwrap()];
        let fisher = [StridedTensor::new("weight", &shape, &strides, 0, &a.1[..]).unwrap()];
        let other_mean = [Tensor::new("weight", &shape, LeBytes::new(Dtype::F32, &bytes[..]).unwrap()).unwrap()];
        let other_fisher = [Tensor::new("weight", &shape, &b.1[..]).unwrap()];
        let (mean, fisher, other_mean, other_fisher) = (Tensors(&mean), Strided(&fisher), Tensors(&other_mean), Tensors(&other_fisher));
        let models = [Model::diagonal(&mean, &fisher, 0.5), Model::diagonal(&other_mean, &other_fisher, 0.5)];
        let mut target = [TensorMut::new("weight", &shape, &mut out[..]).unwrap()];
        let mut precision = [TensorMut::new("weight", &shape, &mut precision[..]).unwrap()];
        let mut turned = [StridedTensorMut::new("weight", &shape, &strides, 0, &mut turned[..]).unwrap()];
        let floor = Floor::Relative { share: 0.5, scope: FloorScope::Tensor };
        let rule = Conditioning::new().floor(floor).normalize(Normalize::L2);
        let driver = StoreMerge::new().conditioning(rule).look_first(true);
        let go_on = &mut |_: &Progress<'_>| ControlFlow::Continue(());
        let (target, precision) = (&mut TensorsMut(&mut target), &mut TensorsMut(&mut precision));
        let outcome = driver.run_watched(&models, target, Some(precision), &mut scratch, go_on).unwrap();
        assert_eq!(outcome.summary.elements, COUNT as u64);
        let _ = driver.run(&models, &mut StridedMut(&mut turned), &mut scratch).unwrap();
        let lent = [Model::isotropic(&mean, 0.5), Model::in_place(ModelPrecision::Diagonal(&other_fisher), 0.5)];
        let _ = driver.run(&lent, target, &mut scratch).unwrap();
        assert_eq!(driver.mismatches(&models, &StridedMut(&mut []), None).count(), 4);
    });
    assert_eq!(counted, 0);
}

/// Estimates of every kind, layers of every kind, errors of estimates, and their bytes.
#[test]
fn promise_10_no_heap_for_fishers() {
    const LENGTH: usize = 6;
    const STATE: usize = 2 * 2 * (LENGTH + 4);
    let (mut one, mut two, mut three) = ([0.0_f32; STATE], [0.0_f32; STATE], [0.0_f64; FisherSpread::state_len(LENGTH)]);
    let (mut scratch, mut bytes) = (vec![0.0_f32; DiagonalFisher::<ObservedLabels, f32>::LINEAR_SCRATCH], [0; 4 * STATE]);
    let (gradient, inputs, ones, spec) = ([0.5_f32; LENGTH], [1.0_f32; 2 * LENGTH], [1.0_f32; 2], FisherSpec::new(LENGTH).slots(2));
    let counted = allocations(|| {
        let mut fisher = DiagonalFisher::observed_labels(spec, &mut one).unwrap();
        fisher.example(Gradient::new(&gradient[..])).unwrap();
        let layer = LayerBatch::new(&inputs[..6], &gradient[..4], &ones);
        fisher.observe_linear((2, 3), &layer, &mut scratch).unwrap();
        fisher.end_batch(&ones).unwrap();
        fisher.observe_bias(&LayerBatch::new(&inputs[..], &inputs[..], &ones)).unwrap();
        fisher.end_batch(&ones).unwrap();
        fisher.observe_scale(&LayerBatch::new(&inputs[..], &inputs[..], &ones)).unwrap();
        fisher.end_batch(&ones).unwrap();
        fisher.observe_rows(3, &[0, 1], &LayerBatch::new(&inputs[..], &gradient[..], &ones)).unwrap();
        fisher.end_batch(&ones).unwrap();
        let header = fisher.write_state(&mut bytes).unwrap();
        let header = FisherHeader::from_bytes(&header.to_bytes()).unwrap();
        let other = DiagonalFisher::<ObservedLabels, f32>::read_state(&header, &bytes, &mut two).unwrap();
        fisher.combine(&other).unwrap();
        let mut out = [0.0_f64; LENGTH];
        assert_eq!(fisher.finish_into(F16Bits(&mut [0_u16; LENGTH][..])).unwrap().examples, 18);
        let mut spread = FisherSpread::start(Estimator::Exact, LENGTH, &mut three).unwrap();
        for _ in 0..2 {
            spread.observe(1.0, &[1.0; LENGTH]).unwrap();
            spread.end(1.0).unwrap();
        }
        spread.standard_errors(StandardErrors::Population, &mut out).unwrap();
        let _ = spread.finish(&mut out).unwrap();
        let _ = SecondMoment::new(0.9, 3, 2).unwrap().fisher_into::<f32>(&inputs[..], &mut [0.0_f32; 12][..]).unwrap();
        assert!(fisher.example(Gradient::new(&gradient[1..])).is_err());
    });
    assert_eq!(counted, 0);
}

/// Factors and dense blocks, and their bytes.
#[test]
fn promise_10_no_heap_for_factors() {
    let spec = FisherSpec::kronecker_reduce((2, 3)).homogeneous(true).slots(2);
    let (mut one, mut two) = (vec![0.0_f32; spec.state_len::<f32>()], vec![0.0_f32; spec.state_len::<f32>()]);
    let (mut scratch, mut bytes) = (vec![0.0_f32; spec.factor_scratch::<f32>()], vec![0; 4 * spec.state_len::<f32>()]);
    let (numbers, ones, dense_spec, mut dense_state) = ([0.5_f32; 12], [1.0_f32; 2], FisherSpec::dense(2), [0.0_f32; 14]);
    let asked = allocations(|| {
        let mut fisher = KroneckerFisher::observed_labels(spec, &mut one).unwrap();
        let (inputs, gradients) = (LayerInputs::new(&numbers[..], &ones), LayerGradients::new(Gradient::new(&numbers[..8]), &ones));
        fisher.begin_block(1).unwrap();
        fisher.observe_inputs(&inputs.positions(2).lengths(&[1, 2]), &mut scratch).unwrap();
        assert!(fisher.end_batch(&ones).is_err() && fisher.observe_inputs(&inputs.positions(2), &mut scratch).is_err());
        fisher.observe_outputs(&gradients.positions(2), &mut scratch).unwrap();
        fisher.end_batch(&ones).unwrap();
        let header = FisherHeader::from_bytes(&fisher.write_state(&mut bytes).unwrap().to_bytes()).unwrap();
        let other = KroneckerFisher::<ObservedLabels, f32>::read_state(&header, &bytes, &mut two).unwrap();
        fisher.combine(&other).unwrap();
        let record = fisher.finish_into(&mut [0.0_f32; 16][..], F16Bits(&mut [0_u16; 4][..])).unwrap();
        assert_eq!((record.examples, fisher.input_covariance_into(Bf16Bits(&mut [0_u16; 16][..]))), (4, Ok(record)));
        let mut dense = DenseFisher::observed_labels(dense_spec, &mut dense_state).unwrap();
        dense.observe(&LayerGradients::new(Gradient::new(&numbers[..4]), &ones), &mut scratch).unwrap();
        dense.end_batch(&ones).unwrap();
        assert_eq!(dense.finish_into(&mut [0.0_f32; 4][..]).unwrap().examples, 2);
    });
    assert_eq!(asked, 0);
}

/// Every solver, density and projection, in lent scratch.
#[test]
fn promise_10_no_heap_for_structured_posteriors() {
    const SHAPE: (usize, usize) = (3, 4);
    fn eye(n: usize) -> Vec<f64> {
        (0..n * n).map(|at| if at % (n + 1) == 0 { 2.0 } else { 0.0 }).collect()
    }
    let (outputs, inputs, dense, ones) = (eye(3), eye(4), eye(12), [1.0; 12]);
    let structures = [
        Structure::Scalar(1.0),
        Structure::Rows(&ones[..3]),
        Structure::Diagonal(&ones),
        Structure::InputCovariance(&inputs),
        Structure::Kronecker { outputs: &outputs, inputs: &inputs },
        Structure::Dense(&dense),
        Structure::LowRank { diagonal: &ones, factor: &ones },
    ];
    let (mean, other) = ([0.5; 12], [1.5; 12]);
    let (mut out, mut scratch, mut memory, mut second) = ([0.0; 12], vec![0.0; 20_000], vec![0.0; 200], vec![0.0; 200]);
    let (mut whole, mut g, mut a) = ([0.0; 144], [0.0; 9], [0.0; 16]);
    let counted = allocations(|| {
        for (one, two) in structures.iter().flat_map(|one| structures.iter().map(move |two| (*one, *two))) {
            let first = StructuredPosterior::new(&mean, SHAPE, one).unwrap();
            let last = StructuredPosterior::new(&other, SHAPE, two).unwrap();
            let factors = [first.power(0.5), last.power(0.5), first.power(1.0)];
            for mean in [DampingMean::Own, DampingMean::Average, DampingMean::Given(&other)] {
                let merge = StructuredMerge::new().damping_mean(mean).repair(Repair::Raise);
                for count in 1..=3 {
                    let needed = merge.scratch(&factors[..count]).unwrap();
                    let _ = merge.run(&factors[..count], &mut out, &mut scratch[..needed]).unwrap();
                    let _ = merge.base(&other, one).run(&factors[..count], &mut out, &mut scratch).unwrap();
                }
            }
            let density = Density::new(first, &mut memory, &mut scratch).unwrap();
            let other = Density::new(last, &mut second, &mut scratch).unwrap();
            let _ = (density.log_density(&mean, &mut scratch).unwrap(), density.divergence(&other, &mut scratch).unwrap());
            density.sample(&mean, &mut out, &mut scratch).unwrap();
            let _ = merged_precision(&factors, Damping::default(), StructureMut::Diagonal(&mut out)).unwrap();
            let _ = merged_precision(&factors, Damping::default(), StructureMut::Dense(&mut whole)).unwrap();
            let _ = merged_precision(&factors, Damping::default(), StructureMut::InputCovariance(&mut a));
            let _ = merged_precision(&factors, Damping::default(), StructureMut::Kronecker { outputs: &mut g, inputs: &mut a });
        }
        assert!(StructuredMerge::new().run(&[], &mut out, &mut scratch).is_err());
    });
    assert_eq!(counted, 0);
}

/// Weights of every kind, in parts that end within rows.
#[test]
fn promise_10_no_heap_for_adapters() {
    let (shape, rank) = ((2, COUNT / 2), 4);
    let (w, b, a) = ([0x3c00_u16; COUNT], [0.5_f32; 8], [0x3f80_u16; 4 * (COUNT / 2)]);
    let (mut out, mut halves) = ([0.0_f32; COUNT], [0_u16; COUNT]);
    let asked = allocations(|| {
        for shell in Shell::available() {
            let adapter = LowRankAdapter::new(shape, rank, (&b[..], Bf16Bits(&a[..])), 2.0_f32).unwrap().shell(shell);
            for (from, to) in [(0, 301), (301, COUNT)] {
                let _ = adapter.fold(from, F16Bits(&w[from..to]), &mut out[from..to]).unwrap();
            }
            let _ = adapter.fold(0, F16Bits(&w[..]), F16Bits(&mut halves[..])).unwrap();
            assert!(adapter.fold(1, F16Bits(&w[..]), &mut out[..]).is_err());
        }
    });
    assert_eq!((asked, out, halves), (0, [2.0; COUNT], [0x4000; COUNT]));
}

/// Refusals carry numbers, not text.
#[test]
fn promise_10_no_heap_for_compact_fishers() {
    let (mean, fisher) = numbers(0);
    let (mut bytes, mut out) = (vec![0; CompactFisher::encoded_len(COUNT)], vec![0.0_f32; COUNT]);
    let asked = allocations(|| {
        let count = CompactFisher::encode_into(&fisher[..], &mut bytes).unwrap();
        assert!(count.below > 1); // all beside the huge one
        let view = CompactFisher::new(&bytes, COUNT).unwrap();
        let one = [Posterior::diagonal(&mean[..], view).unwrap().power(0.5_f64)];
        let _ = Merge::new().run(&one, &mut out[..]).unwrap();
        view.read(3, &mut out[3..]).unwrap();
    });
    assert_eq!(asked, 0);
}

#[test]
fn promise_10_no_heap_for_errors() {
    let (mean, mut out) = ([f32::NAN; 2], [0.0_f32; 3]);
    let factors = [Posterior::isotropic(&mean[..]).power(1.0_f32)];
    let counted = allocations(|| {
        assert!(Merge::new().run(&factors, &mut out[..]).is_err());
        assert!(Merge::new().run(&factors, &mut out[..2]).is_err());
        assert!(Merge::new().check(&factors).is_err());
        assert!(LeBytes::new(Dtype::F64, &[0_u8; 9][..]).is_err());
    });
    assert_eq!(counted, 0);
}

/// The counter counts.
#[test]
fn the_allocator_counts() {
    assert_eq!(allocations(|| drop(core::hint::black_box(vec![1_u8]))), 1);
}
