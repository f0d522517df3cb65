//! Every wrong way, and the error that it gets.

use fisher_merge::{
    DenseFisher, Error, Estimator, FisherFault, FisherSpec, Gradient, KroneckerFisher, LayerGradients, LayerInputs, ObservedLabels,
    SampledLabels,
};

fn fault<T: core::fmt::Debug>(of: Result<T, Error>) -> FisherFault {
    match of {
        Err(Error::Fisher(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// Two inputs, one output.
const SPEC: FisherSpec = FisherSpec::kronecker_expand((1, 2));
const STATE: usize = 3 + 1 + 1 + 4;
const A: [f64; 4] = [1.0, 2.0, 3.0, 4.0];
const G: [f64; 2] = [0.5, -0.5];
const ONES: [f64; 2] = [1.0; 2];

fn gradients<'a>(values: &'a [f64], weights: &'a [f64]) -> LayerGradients<'a, &'a [f64], f64> {
    LayerGradients::new(Gradient::new(values), weights)
}

fn scratch() -> Vec<f64> {
    vec![0.0; SPEC.factor_scratch::<f64>()]
}

#[test]
fn inputs_are_observed_once() {
    let (mut state, mut scratch) = ([0.0; STATE], scratch());
    let mut fisher = KroneckerFisher::observed_labels(SPEC, &mut state).unwrap();
    fisher.observe_outputs(&gradients(&G, &ONES), &mut scratch).unwrap();
    // Not at all: they may still come.
    assert_eq!(fault(fisher.end_batch(&ONES)), FisherFault::Inputs { expected: 2.0, found: 0.0 });
    fisher.observe_inputs(&LayerInputs::new(&A[..], &ONES), &mut scratch).unwrap();
    // Twice: refused at once, and nothing is added.
    let before = fisher.state().to_vec();
    let again = fisher.observe_inputs(&LayerInputs::new(&A[..2], &ONES[..1]), &mut scratch);
    assert_eq!(fault(again), FisherFault::Inputs { expected: 2.0, found: 3.0 });
    assert_eq!(fisher.state(), before);
    fisher.end_batch(&ONES).unwrap();
    let (mut a, mut g) = ([0.0; 4], [0.0]);
    assert_eq!(fisher.finish_into(&mut a[..], &mut g[..]).unwrap().examples, 2);
    assert_eq!((a, g), ([5.0, 7.0, 7.0, 10.0], [0.25]));
    // Of other examples.
    fisher.observe_inputs(&LayerInputs::new(&A[..], &[1.0, 0.5]), &mut scratch).unwrap();
    fisher.observe_outputs(&gradients(&G, &ONES), &mut scratch).unwrap();
    assert_eq!(fault(fisher.end_batch(&ONES)), FisherFault::Inputs { expected: 2.0, found: 1.5 });
    let error = Error::from(FisherFault::Inputs { expected: 2.0, found: 1.5 });
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (51, "inputs of examples whose weights add up to 1.5 were observed, expected each example's once, 2")
    );
}

#[test]
fn labels_add_up() {
    let (mut state, mut scratch) = ([0.0; STATE], scratch());
    let mut fisher = KroneckerFisher::exact(SPEC, &mut state).unwrap();
    for (shares, sole) in [(&[0.5][..], false), (&[0.5, 0.75], false), (&[], false), (&[0.7, 0.5], false), (&[1.0], true)] {
        fisher.observe_inputs(&LayerInputs::new(&A[..], &ONES), &mut scratch).unwrap();
        for &share in shares {
            fisher.observe_outputs(&gradients(&G, &[share; 2]), &mut scratch).unwrap();
        }
        let found = fault(fisher.end_batch(&ONES));
        assert!(if sole { found == FisherFault::SoleLabel } else { matches!(found, FisherFault::Share { .. }) }, "{shares:?} {found:?}");
        fisher.reset();
    }
    // A column too few.
    fisher.observe_inputs(&LayerInputs::new(&A[..], &ONES), &mut scratch).unwrap();
    fisher.observe_outputs(&gradients(&G, &ONES).columns(2), &mut scratch).unwrap();
    assert!(matches!(fault(fisher.end_batch(&ONES)), FisherFault::Share { .. }));
    fisher.observe_outputs(&gradients(&G, &ONES).columns(2), &mut scratch).unwrap();
    fisher.end_batch(&ONES).unwrap();
}

#[test]
fn draws_are_counted() {
    let (mut state, mut dense_state, mut scratch) = ([0.0; STATE], [0.0; 5], scratch());
    let mut fisher = KroneckerFisher::sampled(3, SPEC, &mut state).unwrap();
    let mut dense = DenseFisher::<SampledLabels, f64>::sampled(3, FisherSpec::dense(1), &mut dense_state).unwrap();
    for draws in [1_u32, 2, 4] {
        let weights = [1.0 / f64::from(draws); 2];
        fisher.observe_inputs(&LayerInputs::new(&A[..], &ONES), &mut scratch).unwrap();
        for _ in 0..draws {
            fisher.observe_outputs(&gradients(&G, &weights), &mut scratch).unwrap();
            dense.observe(&gradients(&G, &weights), &mut scratch).unwrap();
        }
        assert_eq!(fault(fisher.end_batch(&ONES)), FisherFault::Draws { expected: 3, found: draws });
        assert_eq!(fault(dense.end_batch(&ONES)), FisherFault::Draws { expected: 3, found: draws });
        fisher.reset();
        dense.reset();
    }
    // The columns of an expectation are not draws.
    let (expected, found) = (Estimator::MonteCarlo { draws: 3 }, Estimator::Exact);
    let columns = gradients(&G, &ONES).columns(2);
    assert_eq!(fault(fisher.observe_outputs(&columns, &mut scratch)), FisherFault::Estimator { expected, found });
    assert_eq!(fault(dense.observe(&columns, &mut scratch)), FisherFault::Estimator { expected, found });
}

/// Sequences with labelled positions: probabilities add up at each.
#[test]
fn sequences_say_how_many_positions_are_labelled() {
    let (mut state, mut scratch) = (vec![0.0; FisherSpec::dense(1).state_len::<f64>()], scratch());
    let mut dense = DenseFisher::exact(FisherSpec::dense(1), &mut state).unwrap();
    let mut other = [0.0; STATE];
    let mut fisher = KroneckerFisher::exact(SPEC, &mut other).unwrap();
    fisher.observe_inputs(&LayerInputs::new(&A[..], &[1.0]).positions(2), &mut scratch).unwrap();
    for scores in [[0.5, 0.0], [-0.5, 0.0], [0.0, 0.25], [0.0, -0.25]] {
        dense.observe(&gradients(&scores, &[0.5]).positions(2), &mut scratch).unwrap();
        fisher.observe_outputs(&gradients(&scores, &[0.5]).positions(2), &mut scratch).unwrap();
    }
    assert!(matches!(fault(dense.end_batch(&[1.0])), FisherFault::Share { .. }));
    assert!(matches!(fault(fisher.end_batch(&[1.0])), FisherFault::Share { .. }));
    assert!(matches!(fault(fisher.end_sequences(&[1.0], &[])), FisherFault::Length { expected: 1, found: 0 }));
    dense.end_sequences(&[1.0], &[2]).unwrap();
    fisher.end_sequences(&[1.0], &[2]).unwrap();
    let (mut out, mut a, mut g) = ([0.0], [0.0; 4], [0.0]);
    let _ = dense.finish_into(&mut out[..]).unwrap();
    let _ = fisher.finish_into(&mut a[..], &mut g[..]).unwrap();
    assert_eq!((out, g, a), ([0.3125], [0.3125], [5.0, 7.0, 7.0, 10.0]));
}

/// Nothing is added by what is refused.
#[test]
fn bad_batches_are_refused_whole() {
    let (mut state, mut scratch) = ([0.0; STATE], scratch());
    let mut fisher = KroneckerFisher::<ObservedLabels, f64>::observed_labels(SPEC, &mut state).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let inputs = fisher.observe_inputs(&LayerInputs::new(&[1.0, 2.0, 3.0, bad][..], &ONES), &mut scratch);
        assert!(matches!(inputs, Err(Error::BadNumber { index: 3, .. })), "{inputs:?}");
        let outputs = fisher.observe_outputs(&gradients(&[1.0, bad], &ONES), &mut scratch);
        assert!(matches!(outputs, Err(Error::BadNumber { index: 1, .. })), "{outputs:?}");
        assert!(matches!(fault(fisher.end_batch(&[bad, 1.0])), FisherFault::BadWeight { .. }));
    }
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(matches!(
            fault(fisher.observe_inputs(&LayerInputs::new(&A[..], &[1.0, bad]), &mut scratch)),
            FisherFault::BadWeight { .. }
        ));
        assert!(matches!(fault(fisher.observe_outputs(&gradients(&G, &[1.0, bad]), &mut scratch)), FisherFault::BadWeight { .. }));
        let scaled = LayerGradients::new(Gradient::new(&G[..]).loss_scale(bad), &ONES);
        assert!(matches!(fault(fisher.observe_outputs(&scaled, &mut scratch)), FisherFault::BadWeight { .. }));
    }
    let inputs = LayerInputs::new(&A[..], &ONES);
    assert_eq!(fault(fisher.observe_inputs(&inputs.positions(0), &mut scratch)), FisherFault::Zero);
    assert_eq!(fault(fisher.observe_inputs(&inputs.positions(2), &mut scratch)), FisherFault::Length { expected: 8, found: 4 });
    assert_eq!(fault(fisher.observe_inputs(&inputs.lengths(&[1]), &mut scratch)), FisherFault::Length { expected: 2, found: 1 });
    assert_eq!(fault(fisher.observe_inputs(&inputs.lengths(&[1, 2]), &mut scratch)), FisherFault::Length { expected: 1, found: 2 });
    assert_eq!(fault(fisher.observe_inputs(&inputs.lengths(&[1, 0]), &mut scratch)), FisherFault::Zero);
    assert_eq!(fault(fisher.observe_outputs(&gradients(&G, &ONES).positions(0), &mut scratch)), FisherFault::Zero);
    assert_eq!(fault(fisher.observe_outputs(&gradients(&A, &ONES), &mut scratch)), FisherFault::Length { expected: 2, found: 4 });
    // Inputs and gradients are of the same positions.
    let (here, there) = (fisher.state().to_vec(), LayerInputs::new(&A[..2], &ONES[..1]));
    fisher.observe_outputs(&gradients(&[], &[]).positions(2), &mut scratch).unwrap();
    assert_eq!(fault(fisher.observe_inputs(&there, &mut scratch)), FisherFault::Length { expected: 2, found: 1 });
    assert_eq!(fault(fisher.observe_outputs(&gradients(&G, &ONES), &mut scratch)), FisherFault::Length { expected: 2, found: 1 });
    assert_eq!(fisher.state(), here);
    fisher.reset();
    let (needed, found) = (scratch.len(), scratch.len() - 1);
    assert_eq!(fisher.observe_inputs(&inputs, &mut scratch[1..]), Err(Error::Scratch { needed, found }));
    assert_eq!(fisher.observe_outputs(&gradients(&G, &ONES), &mut scratch[1..]), Err(Error::Scratch { needed, found }));
    assert!(fisher.state().iter().all(|&sum| sum == 0.0));
    // The same of a dense Fisher.
    let mut state = [0.0; 5];
    let mut dense = DenseFisher::exact(FisherSpec::dense(1), &mut state).unwrap();
    assert!(matches!(dense.observe(&gradients(&[1.0, f64::NAN], &ONES), &mut scratch), Err(Error::BadNumber { index: 1, .. })));
    assert_eq!(fault(dense.observe(&gradients(&A, &ONES), &mut scratch)), FisherFault::Length { expected: 2, found: 4 });
    assert_eq!(fault(dense.observe(&gradients(&G, &ONES).columns(0), &mut scratch)), FisherFault::Zero);
    assert!(matches!(dense.observe(&gradients(&G, &ONES), &mut []), Err(Error::Scratch { found: 0, .. })));
    assert!(dense.state().iter().all(|&sum| sum == 0.0));
}

/// Outputs of another size: neither factor is written.
#[test]
fn outputs_are_compared_before_they_are_written() {
    let (mut state, mut scratch) = ([0.0; STATE], scratch());
    let mut fisher = KroneckerFisher::<ObservedLabels, f64>::observed_labels(SPEC, &mut state).unwrap();
    fisher.observe_inputs(&LayerInputs::new(&A[..], &ONES), &mut scratch).unwrap();
    fisher.observe_outputs(&gradients(&G, &ONES), &mut scratch).unwrap();
    fisher.end_batch(&ONES).unwrap();
    let (mut a, mut g) = ([7.0; 4], [7.0; 2]);
    assert_eq!(fault(fisher.finish_into(&mut a[..], &mut g[..])), FisherFault::Length { expected: 1, found: 2 });
    assert_eq!(fault(fisher.finish_into(&mut a[..3], &mut g[..1])), FisherFault::Length { expected: 4, found: 3 });
    assert_eq!(fault(fisher.input_covariance_into(&mut a[..3])), FisherFault::Length { expected: 4, found: 3 });
    assert_eq!((a, g), ([7.0; 4], [7.0; 2]));
}

/// A sum of states that was not one: no count of it is a number.
#[test]
fn counts_that_are_none() {
    for at in 4..STATE {
        let mut state = [1.0; STATE];
        let header = KroneckerFisher::<ObservedLabels, f64>::observed_labels(SPEC, &mut [0.0; STATE]).unwrap().header().unwrap();
        state[at] = f64::NAN;
        let fisher = KroneckerFisher::<ObservedLabels, f64>::resume_sum(&header, &mut state).unwrap();
        let (mut a, mut g) = ([7.0; 4], [7.0]);
        let finished = fisher.finish_into(&mut a[..], &mut g[..]);
        assert!(finished == Err(FisherFault::NoExamples.into()) || at > 6 && (a, g) == ([1.0; 4], [1.0]), "{at}: {finished:?}");
    }
}
