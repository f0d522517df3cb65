//! The field's mistakes with Fishers (section by section of what is published), and the error that each gets here. Those that do not even
//! compile are `compile_fail` examples in the documentation of `Gradient`.

use fisher_merge::{
    BatchMeans, DiagonalFisher, Error, Estimator, F16Bits, FisherAccumulator, FisherFault, FisherSpec, FisherSpread, Gradient, LayerBatch,
    MeanGradient, SecondMoment,
};

use crate::{Random, score};

fn fault<T: core::fmt::Debug>(of: Result<T, Error>) -> FisherFault {
    match of {
        Err(Error::Fisher(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// Squaring a batch-mean gradient shrinks the Fisher by the batch: accepted by its own kind alone, with its size, and recorded as such.
#[test]
fn squares_of_batch_means() {
    let mut random = Random(1);
    let (mut means, mut state) = ([0.0; 5], [0.0; 5]);
    let mut of_means = DiagonalFisher::batch_means(32, FisherSpec::new(1), &mut means).unwrap();
    let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(1), &mut state).unwrap();
    for _ in 0..2000 {
        let gradients: Vec<f64> = (0..32).map(|_| random.signed()).collect();
        gradients.iter().for_each(|gradient| fisher.example(Gradient::new(core::slice::from_ref(gradient))).unwrap());
        of_means.batch(MeanGradient::new(&[gradients.iter().sum::<f64>() / 32.0][..], 32)).unwrap();
    }
    let (mut mean, mut truth) = ([0.0], [0.0]);
    let record = of_means.finish_into(&mut mean[..]).unwrap();
    assert_eq!((record.estimator, record.examples), (Estimator::BatchMean { batch: 32 }, 64_000));
    let _ = fisher.finish_into(&mut truth[..]).unwrap();
    let share = mean[0] / truth[0];
    assert!((0.028..0.035).contains(&share), "{share}: the field's 0.031");
    // Another size of batch, and none.
    assert!(matches!(fault(of_means.batch(MeanGradient::new(&[1.0][..], 16))), FisherFault::Estimator { .. }));
    assert_eq!(fault(DiagonalFisher::<BatchMeans, f64>::batch_means(0, FisherSpec::new(1), &mut means)), FisherFault::Zero);
}

/// Squaring the `p`-weighted sum of scores gives zero: an expectation has an observation for every label.
#[test]
fn squares_of_expected_scores() {
    let p = [0.5, 0.3, 0.2];
    let sum: Vec<f64> = (0..3).map(|at| (0..3).map(|label| p[label] * score(&p, label)[at]).sum()).collect();
    assert!(sum.iter().all(|score: &f64| score.abs() < 1e-16));
    let mut state = [0.0; 7];
    let mut fisher = DiagonalFisher::exact(FisherSpec::new(3), &mut state).unwrap();
    fisher.label(1.0, Gradient::new(&sum[..])).unwrap();
    assert_eq!(fault(fisher.end_example()), FisherFault::SoleLabel);
    // Through layers as well.
    fisher.reset();
    fisher.observe_bias(&LayerBatch::new(&[][..] as &[f64], &sum[..], &[1.0])).unwrap();
    assert_eq!(fault(fisher.end_batch(&[1.0])), FisherFault::SoleLabel);
}

/// The `√p` trick: roots of probabilities as weights do not add up, and the sum of `√p`-weighted scores is one observation.
#[test]
fn roots_of_probabilities() {
    let p = [0.5_f64, 0.5];
    let mut state = [0.0; 6];
    let mut fisher = DiagonalFisher::exact(FisherSpec::new(2), &mut state).unwrap();
    for label in 0..2 {
        fisher.label(p[label].sqrt(), Gradient::new(&score(&p, label)[..])).unwrap();
    }
    assert!(matches!(fault(fisher.end_example()), FisherFault::Share { found, .. } if (found - 2f64.sqrt()).abs() < 1e-15));
    fisher.reset();
    let sum: Vec<f64> = (0..2).map(|at| (0..2).map(|label| p[label].sqrt() * score(&p, label)[at]).sum()).collect();
    assert_eq!(sum, [0.0, 0.0], "where the truth is a quarter");
    fisher.label(1.0, Gradient::new(&sum[..])).unwrap();
    assert_eq!(fault(fisher.end_example()), FisherFault::SoleLabel);
}

/// Labels that are left out, twice there, or of another example.
#[test]
fn labels_that_do_not_add_up() {
    let (p, mut state) = ([0.7, 0.2, 0.1], [0.0; 7]);
    let mut fisher = DiagonalFisher::exact(FisherSpec::new(3), &mut state).unwrap();
    for labels in [&[0, 1][..], &[0, 1, 2, 2][..], &[][..]] {
        labels.iter().for_each(|&label| fisher.label(p[label], Gradient::new(&score(&p, label)[..])).unwrap());
        assert!(matches!(fault(fisher.end_example()), FisherFault::Share { .. }), "{labels:?}");
        fisher.reset();
    }
    // A column too few.
    fisher.column(2, Gradient::new(&[0.1, 0.2, 0.3][..])).unwrap();
    assert!(matches!(fault(fisher.end_example()), FisherFault::Share { .. }));
}

/// Draws that are too few or too many.
#[test]
fn draws_that_are_not_counted() {
    let mut state = [0.0; 5];
    let mut fisher = DiagonalFisher::sampled(3, FisherSpec::new(1), &mut state).unwrap();
    for draws in [0, 2, 4] {
        (0..draws).for_each(|_| fisher.draw(Gradient::new(&[1.0][..])).unwrap());
        assert_eq!(fault(fisher.end_example()), FisherFault::Draws { expected: 3, found: draws });
        fisher.reset();
    }
    assert_eq!(fault(DiagonalFisher::sampled(0, FisherSpec::new(1), &mut state)), FisherFault::Zero);
}

/// Squaring in f16 is zero below 2.4e-4 and infinite above 255: here squares are taken in the arithmetic.
#[test]
fn squares_in_sixteen_bits() {
    let (small, large) = (half(1e-4), half(300.0));
    let mut state = [0.0_f64; 6];
    let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(2), &mut state).unwrap();
    fisher.example(Gradient::new(F16Bits(&[small.0, large.0][..]))).unwrap();
    let mut out = [0.0_f64; 2];
    let _ = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!(out, [small.1 * small.1, large.1 * large.1]);
}

/// The pattern of the nearest number of f16, and its value.
fn half(value: f32) -> (u16, f64) {
    // Of a normal number: another exponent bias, and the fraction cut off.
    let bits = value.to_bits();
    let pattern = if value < 6.2e-5 { unreachable!() } else { ((bits >> 23) - 112) << 10 | (bits >> 13 & 0x3ff) };
    (pattern as u16, f64::from(f32::from_bits(bits & !0x1fff)))
}

/// Gradients of a scaled loss are divided by the scale, not their squares.
#[test]
fn loss_scales_are_squared() {
    let scale = 1024.0;
    let mut state = [0.0; 5];
    let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(1), &mut state).unwrap();
    fisher.example(Gradient::new(&[3.0 * scale][..]).loss_scale(scale)).unwrap();
    let mut out = [0.0];
    let _ = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!(out, [9.0]);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-320] {
        assert!(matches!(fault(fisher.example(Gradient::new(&[1.0][..]).loss_scale(bad))), FisherFault::BadWeight { .. }), "{bad}");
    }
}

/// Lost counts: a mean over 10 examples and one over 1,000 do not weigh the same. Counts are in the state.
#[test]
fn counts_travel() {
    let (mut few, mut many) = ([0.0; 5], [0.0; 5]);
    let mut a = DiagonalFisher::observed_labels(FisherSpec::new(1), &mut few).unwrap();
    let mut b = DiagonalFisher::observed_labels(FisherSpec::new(1), &mut many).unwrap();
    (0..10).for_each(|_| a.example(Gradient::new(&[1.0][..])).unwrap());
    (0..990).for_each(|_| b.example(Gradient::new(&[3.0][..])).unwrap());
    fisher_merge::CombineFisher::combine(&mut a, &b).unwrap();
    let mut out = [0.0];
    assert_eq!(a.finish_into(&mut out[..]).unwrap().examples, 1000);
    assert_eq!(out, [8.92]);
}

/// An optimiser's second moment is what it is: recorded with its batch, and refused where it is none.
#[test]
fn second_moments() {
    let (mut random, beta2, batch, steps) = (Random(2), 0.99, 16, 3000);
    let mut v = 0.0;
    for _ in 0..steps {
        let mean = (0..batch).map(|_| random.signed()).sum::<f64>() / f64::from(batch);
        v = beta2 * v + (1.0 - beta2) * mean * mean;
    }
    let mut fisher = [0.0_f64];
    let record = SecondMoment::new(beta2, steps, batch).unwrap().fisher_into::<f64>(&[v][..], &mut fisher[..]).unwrap();
    assert_eq!(record.estimator, Estimator::SecondMoment { batch });
    // Var(g) = 1/3 at a stationary point; a decay of 0.99 is as good as (1 + β₂)/(1 − β₂) batches.
    assert!((record.effective_examples() - 199.0 * 16.0).abs() < 1e-6 * 3184.0, "{}", record.effective_examples());
    assert!((fisher[0] - 1.0 / 3.0).abs() < 4.0 * (1.0 / 3.0) * (2.0_f64 / 199.0).sqrt(), "{fisher:?}");
    for (beta2, steps, batch) in [(1.0, 1, 1), (-0.1, 1, 1), (f64::NAN, 1, 1), (0.9, 0, 1), (0.9, 1, 0)] {
        assert!(SecondMoment::new(beta2, steps, batch).is_err(), "{beta2} {steps} {batch}");
    }
    let moment = SecondMoment::new(0.0, 1, 1).unwrap();
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let mut out = [7.0; 2];
        assert!(matches!(moment.fisher_into::<f64>(&[1.0, bad][..], &mut out[..]), Err(Error::BadNumber { index: 1, .. })));
        assert_eq!(out, [7.0; 2]);
    }
    assert!(moment.fisher_into::<f64>(&[1.0][..], &mut [0.0; 2][..]).is_err());
}

/// Numbers and weights that are none, with nothing added.
#[test]
fn bad_numbers() {
    let mut state = [0.0; 6];
    let mut fisher = DiagonalFisher::exact(FisherSpec::new(2), &mut state).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(fisher.label(0.5, Gradient::new(&[1.0, bad][..])), Err(Error::BadNumber { index: 1, .. })));
        assert!(matches!(fault(fisher.label(bad, Gradient::new(&[1.0, 1.0][..]))), FisherFault::BadWeight { .. }));
    }
    assert!(matches!(fault(fisher.label(-0.5, Gradient::new(&[1.0, 1.0][..]))), FisherFault::BadWeight { .. }));
    assert_eq!(fault(fisher.label(0.5, Gradient::new(&[1.0][..]))), FisherFault::Length { expected: 2, found: 1 });
    assert_eq!(fault(fisher.column(0, Gradient::new(&[1.0, 1.0][..]))), FisherFault::Zero);
    assert!(matches!(fault(fisher.begin_example(-1.0)), FisherFault::BadWeight { .. }));
    assert!(fisher.state().iter().all(|&number| number == 0.0));
    assert_eq!(fault(fisher.finish_into(&mut [0.0; 2][..])), FisherFault::NoExamples);
    assert_eq!(fault(DiagonalFisher::exact(FisherSpec::new(2), &mut [0.0_f64; 5])), FisherFault::Length { expected: 6, found: 5 });
    let mut spread_state = [0.0; 6];
    let mut spread = FisherSpread::start(Estimator::Empirical, 1, &mut spread_state).unwrap();
    assert!(matches!(spread.observe(1.0, &[f64::NAN]), Err(Error::BadNumber { index: 0, .. })));
    assert!(matches!(fault(spread.observe(-1.0, &[1.0])), FisherFault::BadWeight { .. }));
    assert!(matches!(fault(spread.end(1.0)), FisherFault::Share { .. }));
    assert!(matches!(fault(spread.finish(&mut [0.0])), FisherFault::NoExamples));
}
