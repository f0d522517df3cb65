//! The ends: no and single inputs and outputs, inputs alone, the ends of the range.

use fisher_merge::{
    DenseFisher, Dtype, Error, FisherFault, FisherSpec, Gradient, KroneckerFisher, LayerGradients, LayerInputs, ObservedLabels, Real, Role,
    Shell,
};

use crate::batch::{Batch, Labels, finish};

const F64: (Dtype, Dtype) = (Dtype::F64, Dtype::F64);

#[test]
fn layers_without_inputs_or_outputs() {
    for (inputs, outputs) in [(0, 0), (0, 1), (1, 0), (0, 3), (3, 0), (1, 1)] {
        for spec in [FisherSpec::kronecker_expand((outputs, inputs)), FisherSpec::kronecker_reduce((outputs, inputs))] {
            for homogeneous in [false, true] {
                let spec = spec.homogeneous(homogeneous);
                assert_eq!(spec.sides(), (outputs, inputs + usize::from(homogeneous)));
                let batch = Batch::new(3, Labels::Observed, [4, 2, inputs, outputs]);
                let (a, g, record) = batch.factors::<ObservedLabels, f64>(spec, F64, Shell::detect());
                let side = inputs + usize::from(homogeneous);
                assert_eq!((a.len(), g.len(), record.examples), (side * side, outputs * outputs, 4));
                assert!(!homogeneous || a.last() == Some(&1.0));
            }
        }
    }
    let (found, record) = Batch::new(3, Labels::Observed, [4, 1, 1, 0]).dense::<ObservedLabels, f64>(Dtype::F64, Shell::detect());
    assert_eq!((found.len(), record.examples), (0, 4));
}

/// No example is no estimate; a batch of none is nothing.
#[test]
fn no_examples() {
    let spec = FisherSpec::kronecker_expand((1, 1));
    let (mut state, mut scratch, none) = (vec![0.0; spec.state_len::<f64>()], vec![0.0; spec.factor_scratch::<f64>()], &[][..] as &[f64]);
    let mut fisher = KroneckerFisher::observed_labels(spec, &mut state).unwrap();
    let (mut a, mut g) = ([7.0], [7.0]);
    assert_eq!(fisher.finish_into(&mut a[..], &mut g[..]), Err(FisherFault::NoExamples.into()));
    fisher.observe_inputs(&LayerInputs::new(none, none), &mut scratch).unwrap();
    fisher.observe_outputs(&LayerGradients::new(Gradient::new(none), none), &mut scratch).unwrap();
    fisher.end_batch(none).unwrap();
    assert_eq!(fisher.finish_into(&mut a[..], &mut g[..]), Err(FisherFault::NoExamples.into()));
    // Nor are examples that have no weight.
    fisher.observe_inputs(&LayerInputs::new(&[1.0][..], &[0.0]), &mut scratch).unwrap();
    fisher.observe_outputs(&LayerGradients::new(Gradient::new(&[1.0][..]), &[0.0]), &mut scratch).unwrap();
    fisher.end_batch(&[0.0]).unwrap();
    assert_eq!(fisher.input_covariance_into(&mut a[..]), Err(FisherFault::NoExamples.into()));
    assert_eq!((a, g), ([7.0], [7.0]));
}

/// RegMean's: of no outputs, only inputs are observed; of others `A` is to be had alone as well.
#[test]
fn inputs_alone() {
    let batch = Batch::new(4, Labels::Observed, [5, 3, 4, 2]);
    for (alone, whole) in [
        (FisherSpec::kronecker_expand((0, 4)), FisherSpec::kronecker_expand((2, 4))),
        (FisherSpec::kronecker_reduce((0, 4)), FisherSpec::kronecker_reduce((2, 4))),
    ] {
        let mut states = [vec![0.0; alone.state_len::<f64>()], vec![0.0; whole.state_len::<f64>()]];
        let (mut scratch, [state, other]) = (vec![0.0; whole.factor_scratch::<f64>()], &mut states);
        let mut fisher = KroneckerFisher::<ObservedLabels, f64>::observed_labels(alone, state).unwrap();
        let inputs = LayerInputs::new(&batch.a[..], &batch.weights).positions(3).lengths(&batch.lengths);
        fisher.observe_inputs(&inputs, &mut scratch).unwrap();
        fisher.end_batch(&batch.weights).unwrap();
        let mut whole = KroneckerFisher::<ObservedLabels, f64>::observed_labels(whole, other).unwrap();
        batch.observe(&mut whole, F64);
        let (mut a, mut same) = ([0.0; 16], [0.0; 16]);
        let record = fisher.input_covariance_into(&mut a[..]).unwrap();
        assert_eq!(record, whole.input_covariance_into(&mut same[..]).unwrap());
        assert_eq!((a, record.examples, record.structure), (same, 5, alone.structure()));
        assert_eq!(a[..], finish(&whole).0[..]);
        // Inputs that are missing are missed.
        assert!(matches!(fisher.end_batch(&batch.weights), Err(Error::Fisher(FisherFault::Inputs { .. }))));
    }
}

/// The unit is one of gradients: inputs are as they are.
#[test]
fn small_gradients_have_a_unit() {
    let (g, a, one) = ([1e-22_f32, -3e-22], [0.5_f32], [1.0_f32]);
    for (unit, out_of_range) in [(0, 2), (60, 0)] {
        let spec = FisherSpec::kronecker_expand((2, 1)).unit(unit);
        let (mut state, mut scratch) = (vec![0.0; spec.state_len::<f32>()], vec![0.0; spec.factor_scratch::<f32>()]);
        let mut fisher = KroneckerFisher::observed_labels(spec, &mut state).unwrap();
        fisher.observe_inputs(&LayerInputs::new(&a[..], &one), &mut scratch).unwrap();
        fisher.observe_outputs(&LayerGradients::new(Gradient::new(&g[..]), &one), &mut scratch).unwrap();
        fisher.end_batch(&one).unwrap();
        let (found, gg, record) = finish(&fisher);
        assert_eq!((found, record.out_of_range), (vec![0.25], out_of_range));
        // What comes out is subnormal in f32 whatever the unit, but rounded once.
        let exact = |i: usize, j: usize| (f64::from(g[i]) * f64::from(g[j])) as f32;
        assert!(out_of_range > 0 || gg == [exact(0, 0), exact(0, 1), exact(1, 0), exact(1, 1)]);
    }
}

/// A sum that leaves the range is an error that names the factor and the entry, and nothing is written.
#[test]
fn overflow_is_refused() {
    fn refused<R: Real>(a: [R; 2], g: [R; 2]) -> Option<(usize, Role, usize)> {
        let (spec, one) = (FisherSpec::kronecker_expand((2, 2)), [R::ONE]);
        let (mut state, mut scratch) = (vec![R::ZERO; spec.state_len::<R>()], vec![R::ZERO; spec.factor_scratch::<R>()]);
        let mut fisher = KroneckerFisher::<ObservedLabels, R>::observed_labels(spec, &mut state).unwrap();
        fisher.observe_inputs(&LayerInputs::new(&a[..], &one), &mut scratch).unwrap();
        fisher.observe_outputs(&LayerGradients::new(Gradient::new(&g[..]), &one), &mut scratch).unwrap();
        fisher.end_batch(&one).unwrap();
        assert_eq!(fisher.record().out_of_range, 1);
        let (mut a, mut g) = ([R::ONE; 4], [R::ONE; 4]);
        let Err(Error::BadNumber { tensor, role, index, .. }) = fisher.finish_into(&mut a[..], &mut g[..]) else { return None };
        assert!(a == [R::ONE; 4] && g == a);
        Some((tensor, role, index))
    }
    let large = R32;
    assert_eq!(refused::<f32>([1.0, large], [1.0, 1.0]), Some((0, Role::Precision, 3)));
    assert_eq!(refused::<f32>([1.0, 1.0], [large, 1.0]), Some((1, Role::Precision, 0)));
    assert_eq!(refused::<f64>([1.0, 1e200], [1.0, 1.0]), Some((0, Role::Precision, 3)));
}

const R32: f32 = 1e20;

/// Shapes that no memory holds are errors, not panics.
#[test]
fn absurd_sizes() {
    let absurd = usize::MAX;
    for spec in [FisherSpec::kronecker_expand((absurd, absurd)).homogeneous(true), FisherSpec::dense(absurd), FisherSpec::new(absurd)] {
        assert_eq!(spec.slots(u32::MAX).state_len::<f32>(), absurd);
        assert!(spec.factor_scratch::<f32>() >= absurd / 64 || spec.sides() == (0, 0));
    }
    let mut state = [0.0; 6];
    let refused = DenseFisher::<ObservedLabels, f64>::observed_labels(FisherSpec::dense(absurd), &mut state);
    assert!(matches!(refused, Err(Error::Fisher(FisherFault::Length { found: 6, .. }))));
}
