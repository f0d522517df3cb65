//! What is known in closed form, and what a diagonal Fisher says.

use fisher_merge::{
    DenseFisher, DiagonalFisher, ExactLabels, FisherSpec, Gradient, KroneckerFisher, LabelCovariance, LayerBatch, LayerGradients,
    LayerInputs, ObservedLabels, Real,
};

use crate::batch::{Batch, Labels, finish, reals};
use crate::common::exact::Exact;
use crate::common::random::Random;
use crate::common::tolerance::factor_bound;

/// `p` of a few classes, and of what is next to nothing of them.
fn probabilities(random: &mut Random) -> [f64; 4] {
    let mut p = [random.unit(), random.unit(), 1e-9 * random.unit(), random.unit()];
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

/// At logits, `G = Σ diag(p) − p·pᵀ`, by the columns of its root and by labels.
#[test]
fn at_the_logits_g_is_the_covariance_of_the_label() {
    let mut random = Random(1);
    for _ in 0..20 {
        let p = probabilities(&mut random);
        let (spec, one) = (FisherSpec::kronecker_expand((4, 0)), [1.0]);
        let (mut state, mut scratch) = (vec![0.0; spec.state_len::<f64>()], vec![0.0; spec.factor_scratch::<f64>()]);
        let mut by_columns = KroneckerFisher::exact(spec, &mut state).unwrap();
        by_columns.observe_inputs(&LayerInputs::new(&[][..] as &[f64], &one), &mut scratch).unwrap();
        let (mut suffix, mut column) = ([0.0; 4], [0.0; 4]);
        let covariance = LabelCovariance::new(&p, &mut suffix).unwrap();
        for j in 0..covariance.columns() {
            covariance.column(j, &mut column).unwrap();
            let gradients = LayerGradients::new(Gradient::new(&column[..]), &one).columns(3);
            by_columns.observe_outputs(&gradients, &mut scratch).unwrap();
        }
        by_columns.end_batch(&one).unwrap();
        let (_, g, _) = finish(&by_columns);

        let spec = FisherSpec::dense(4);
        let mut state = vec![0.0; spec.state_len::<f64>()];
        let mut by_labels = DenseFisher::exact(spec, &mut state).unwrap();
        for (label, &weight) in p.iter().enumerate() {
            let score: Vec<f64> = (0..4).map(|at| f64::from(u8::from(at == label)) - p[at]).collect();
            by_labels.observe(&LayerGradients::new(Gradient::new(&score[..]), &[weight]), &mut scratch).unwrap();
        }
        by_labels.end_batch(&one).unwrap();
        let mut dense = [0.0; 16];
        let _ = by_labels.finish_into(&mut dense[..]).unwrap();
        for (i, j) in (0..16).map(|at| (at / 4, at % 4)) {
            let exact = if i == j { p[i] * (1.0 - p[i]) } else { -p[i] * p[j] };
            assert!((g[4 * i + j] - exact).abs() <= 1e-13 * (p[i] * p[j]).sqrt(), "{p:?} {i} {j}");
            assert!((dense[4 * i + j] - exact).abs() <= 1e-13 * (p[i] * p[j]).sqrt(), "{p:?} {i} {j}");
        }
    }
}

/// For a single example at one position the Fisher is `G ⊗ A` itself, whose diagonal is the diagonal Fisher. Eighths: no bit is rounded.
fn one_example<R: Real>(seed: u64) {
    let batch = Batch::new(seed, Labels::Exact, [1, 1, 5, 3]);
    let (a, g) = (reals::<R>(&batch.a), batch.g.iter().map(|g| reals::<R>(g)).collect::<Vec<_>>());
    for spec in [FisherSpec::kronecker_expand((3, 5)), FisherSpec::kronecker_reduce((3, 5))] {
        let diagonal_spec = FisherSpec::new(15);
        let mut states = [vec![R::ZERO; spec.state_len::<R>()], vec![R::ZERO; diagonal_spec.state_len::<R>()]];
        let [state, diagonal_state] = &mut states;
        let mut factors = KroneckerFisher::<ExactLabels, R>::exact(spec, state).unwrap();
        let mut diagonal = DiagonalFisher::<ExactLabels, R>::exact(diagonal_spec, diagonal_state).unwrap();
        let mut scratch = vec![R::ZERO; DiagonalFisher::<ExactLabels, R>::LINEAR_SCRATCH];
        factors.observe_inputs(&LayerInputs::new(&a[..], &[R::ONE]), &mut scratch).unwrap();
        for (g, share) in g.iter().zip([0.5, 0.25, 0.25]) {
            let weights = [R::from_f64(share)];
            factors.observe_outputs(&LayerGradients::new(Gradient::new(&g[..]), &weights), &mut scratch).unwrap();
            diagonal.observe_linear((3, 5), &LayerBatch::new(&a[..], &g[..], &weights), &mut scratch).unwrap();
        }
        factors.end_batch(&[R::ONE]).unwrap();
        diagonal.end_batch(&[R::ONE]).unwrap();
        let (a, g, record) = finish(&factors);
        let mut out = [R::ZERO; 15];
        let of_diagonal = diagonal.finish_into(&mut out[..]).unwrap();
        assert_eq!((record.examples, record.weight, record.squared_weight), (1, of_diagonal.weight, of_diagonal.squared_weight));
        for (at, &entry) in out.iter().enumerate() {
            assert_eq!(entry, g[at / 5 * 4] * a[at % 5 * 6]);
        }
    }
}

#[test]
fn the_diagonal_of_one_examples_factors_is_its_diagonal_fisher() {
    for seed in 0..20 {
        one_example::<f64>(seed);
        one_example::<f32>(seed);
    }
}

/// The diagonal of a dense Fisher is the diagonal Fisher.
#[test]
fn the_diagonal_of_a_dense_fisher() {
    let batch = Batch::new(7, Labels::Observed, [9, 4, 1, 6]);
    let (dense, _) = batch.dense::<ObservedLabels, f64>(fisher_merge::Dtype::F64, fisher_merge::Shell::detect());
    let spec = FisherSpec::new(6);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut diagonal = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
    diagonal.observe_bias(&LayerBatch::new(&[][..] as &[f64], &batch.g[0][..], &batch.weights).positions(4)).unwrap();
    diagonal.end_batch(&batch.weights).unwrap();
    let mut out = [0.0; 6];
    let _ = diagonal.finish_into(&mut out[..]).unwrap();
    assert!((0..6).all(|at| dense[7 * at] == out[at]));
}

/// With one position, and of inputs that are the same at all positions, the conventions have the `A` in common.
#[test]
fn conventions_agree_where_they_must() {
    let batch = Batch::new(8, Labels::Sampled, [6, 1, 4, 3]);
    let of = |spec| {
        batch.factors::<fisher_merge::SampledLabels, f64>(
            spec,
            (fisher_merge::Dtype::F64, fisher_merge::Dtype::F64),
            fisher_merge::Shell::detect(),
        )
    };
    let (expand, reduce) = (of(FisherSpec::kronecker_expand((3, 4))), of(FisherSpec::kronecker_reduce((3, 4))));
    assert_eq!((&expand.0, &expand.1), (&reduce.0, &reduce.1));
    let mut same = batch.clone();
    same.positions = 4;
    same.lengths = vec![4; 6];
    same.a = batch.a.chunks(4).flat_map(|a| [a, a, a, a].concat()).collect();
    same.g.iter_mut().for_each(|g| *g = vec![0.5; 6 * 4 * 3]);
    let of = |spec| {
        same.factors::<fisher_merge::SampledLabels, f64>(
            spec,
            (fisher_merge::Dtype::F64, fisher_merge::Dtype::F64),
            fisher_merge::Shell::detect(),
        )
    };
    let (expand, reduce) = (of(FisherSpec::kronecker_expand((3, 4))), of(FisherSpec::kronecker_reduce((3, 4))));
    assert_eq!(expand.0, reduce.0);
    // Σ_t g·gᵀ = 4·¼, and (Σ_t g)² = 2².
    assert!(expand.1.iter().all(|&g| g == 1.0) && reduce.1.iter().all(|&g| g == 4.0));
}

/// Numbers of many magnitudes, rounded at every step, against the stated bound: of a dense Fisher, whose observations may be any gradients.
fn many_magnitudes<R: Real>(seed: u64) {
    let mut random = Random(seed);
    let (side, examples) = (5, 1 + random.bits() as usize % 150);
    let spec = FisherSpec::dense(side);
    let (mut state, mut scratch) = (vec![R::ZERO; spec.state_len::<R>()], vec![R::ZERO; spec.factor_scratch::<R>()]);
    let mut fisher = DenseFisher::<ObservedLabels, R>::observed_labels(spec, &mut state).unwrap();
    let mut real = |size: f64| R::from_f64(random.signed() * 10f64.powf(size * random.signed()));
    let gradients: Vec<R> = (0..side * examples).map(|_| real(3.0)).collect();
    let weights: Vec<R> = (0..examples).map(|_| real(1.0).abs()).collect();
    for (gradients, weights) in gradients.chunks(side * 70).zip(weights.chunks(70)) {
        fisher.observe(&LayerGradients::new(Gradient::new(gradients).loss_scale(3.0), weights), &mut scratch).unwrap();
        fisher.end_batch(weights).unwrap();
    }
    let mut out = vec![R::ZERO; side * side];
    assert_eq!(fisher.finish_into(&mut out[..]).unwrap().examples, examples as u64);
    let of = |value: R| Exact::of(value.as_f64());
    for (at, &found) in out.iter().enumerate() {
        let (mut num, mut size, mut den) = (Exact::zero(), Exact::zero(), Exact::zero());
        for (g, &w) in gradients.chunks(side).zip(&weights) {
            let term = &(&of(g[at / side]) * &of(g[at % side])) * &of(w);
            (num, size) = (&num + &term, &size + &term.abs());
            den = &den + &(&of(w) * &Exact::of(9.0));
        }
        let error = (&(&of(found) * &den) - &num).abs();
        assert!(error <= factor_bound::<R>(examples as u64, 1, &size), "{at}: {found} for {}/{}", num.approximate(), den.approximate());
    }
}

#[test]
fn entries_are_within_the_stated_bound() {
    for seed in 0..60 {
        many_magnitudes::<f64>(seed);
        many_magnitudes::<f32>(seed);
    }
}

/// A plain `f32` sum of ones ends at 2²⁴.
#[test]
fn equal_terms_do_not_stall() {
    let (spec, ones) = (FisherSpec::dense(1), vec![1.0_f32; 1 << 16]);
    let (mut state, mut scratch) = (vec![0.0; spec.state_len::<f32>()], vec![0.0; spec.factor_scratch::<f32>()]);
    let mut fisher = DenseFisher::observed_labels(spec, &mut state).unwrap();
    for _ in 0..1 << 10 {
        fisher.observe(&LayerGradients::new(Gradient::new(&ones[..]), &ones), &mut scratch).unwrap();
        fisher.end_batch(&ones).unwrap();
    }
    let mut out = [0.0];
    let record = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!((record.examples, record.weight, out), (1 << 26, (1_u32 << 26).into(), [1.0]));
}
