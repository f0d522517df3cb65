//! Standard errors are right: intervals of 95 % hold the truth that often, over the draws of labels and over the examples.

use fisher_merge::{
    CombineFisher, DiagonalFisher, Error, Estimator, FisherAccumulator, FisherFault, FisherSpec, FisherSpread, Gradient, StandardErrors,
    student_t,
};

use crate::{Random, score, softmax};

const REPETITIONS: usize = 2000;
const EXAMPLES: usize = 2048;

/// How often a feature is there: one of them 61 times in 2,048 examples.
const OFTEN: [f64; 2] = [0.03, 0.6];

/// A softmax regression of three classes over two features that are there or not: probabilities for every input.
fn probabilities(x: [bool; 2]) -> Vec<f64> {
    let weights = [[0.5, -1.0], [-0.25, 0.75], [1.0, 0.0]];
    softmax(&weights.map(|w| w.iter().zip(x).map(|(w, x)| if x { *w } else { 0.0 }).sum()))
}

/// The score of the first class's weights.
fn gradient(p: &[f64], label: usize, x: [bool; 2]) -> [f64; 2] {
    let score = score(p, label)[0];
    x.map(|x| if x { score } else { 0.0 })
}

/// The share of repetitions in which an interval of 95 % held the truth, per parameter.
fn coverage(mut repetition: impl FnMut(&mut Random) -> ([f64; 2], [f64; 2]), truth: [f64; 2]) -> [f64; 2] {
    let (mut random, mut held) = (Random(20_261_124), [0_usize; 2]);
    for _ in 0..REPETITIONS {
        let (fisher, errors) = repetition(&mut random);
        for at in 0..2 {
            let reach = student_t(EXAMPLES as u64 - 1) * errors[at];
            held[at] += usize::from((fisher[at] - truth[at]).abs() <= reach);
        }
    }
    held.map(|held| held as f64 / REPETITIONS as f64)
}

fn right(coverage: [f64; 2]) {
    println!("coverage {coverage:?}");
    assert!(coverage.iter().all(|share| (0.93..=0.97).contains(share)), "{coverage:?}");
}

#[test]
fn intervals_over_examples_hold() {
    // E[p(1 − p)·x²], over the four inputs.
    let mut truth = [0.0; 2];
    for x in [[false, false], [false, true], [true, false], [true, true]] {
        let often: f64 = x.iter().zip(OFTEN).map(|(&x, often)| if x { often } else { 1.0 - often }).product();
        let p = probabilities(x)[0];
        (0..2).filter(|&at| x[at]).for_each(|at| truth[at] += often * p * (1.0 - p));
    }
    let cases: Vec<Vec<f64>> = (0..4).map(|of| probabilities([of & 1 > 0, of & 2 > 0])).collect();
    let share = coverage(
        |random| {
            let mut state = [0.0; FisherSpread::state_len(2)];
            let mut spread = FisherSpread::start(Estimator::Exact, 2, &mut state).unwrap();
            for _ in 0..EXAMPLES {
                let x = OFTEN.map(|often| random.unit() < often);
                let weight = 0.5 + random.unit();
                let p = &cases[usize::from(x[0]) + 2 * usize::from(x[1])];
                for (label, probability) in p.iter().enumerate() {
                    spread.observe(weight * probability, &gradient(p, label, x)).unwrap();
                }
                spread.end(weight).unwrap();
            }
            results(&spread, StandardErrors::Population)
        },
        truth,
    );
    right(share);
}

#[test]
fn intervals_over_draws_hold() {
    let mut random = Random(3);
    let inputs: Vec<[bool; 2]> = (0..EXAMPLES).map(|_| OFTEN.map(|often| random.unit() < often)).collect();
    let cases: Vec<Vec<f64>> = inputs.iter().map(|&x| probabilities(x)).collect();
    let mut truth = [0.0; 2];
    for (x, p) in inputs.iter().zip(&cases) {
        (0..2).filter(|&at| x[at]).for_each(|at| truth[at] += p[0] * (1.0 - p[0]) / EXAMPLES as f64);
    }
    let share = coverage(
        |random| {
            let mut state = [0.0; FisherSpread::state_len(2)];
            let mut spread = FisherSpread::start(Estimator::MonteCarlo { draws: 2 }, 2, &mut state).unwrap();
            for (&x, p) in inputs.iter().zip(&cases) {
                for _ in 0..2 {
                    spread.observe(0.5, &gradient(p, random.draw(p), x)).unwrap();
                }
                spread.end(1.0).unwrap();
            }
            results(&spread, StandardErrors::Conditional)
        },
        truth,
    );
    right(share);
}

fn results(spread: &FisherSpread<'_>, which: StandardErrors) -> ([f64; 2], [f64; 2]) {
    let (mut fisher, mut errors) = ([0.0; 2], [0.0; 2]);
    let _ = spread.finish(&mut fisher).unwrap();
    spread.standard_errors(which, &mut errors).unwrap();
    (fisher, errors)
}

/// The exact expectation has no error over draws; a single draw, or observed labels, do not tell.
#[test]
fn errors_over_draws_are_zero_or_unknown_without_draws() {
    for (estimator, tells) in [
        (Estimator::Exact, true),
        (Estimator::MonteCarlo { draws: 1 }, false),
        (Estimator::Empirical, false),
        (Estimator::BatchMean { batch: 4 }, false),
    ] {
        let mut state = [0.0; FisherSpread::state_len(1)];
        let mut spread = FisherSpread::start(estimator, 1, &mut state).unwrap();
        for gradient in [1.0, 2.0] {
            spread.observe(1.0, &[gradient]).unwrap();
            spread.end(1.0).unwrap();
        }
        let mut errors = [7.0];
        let told = spread.standard_errors(StandardErrors::Conditional, &mut errors);
        assert_eq!((told.is_ok(), errors[0]), (tells, if tells { 0.0 } else { 7.0 }), "{estimator}");
    }
}

/// Parts combine to the whole, at every split.
#[test]
fn parts_combine() {
    let (mut random, draws) = (Random(9), 3);
    let examples: Vec<(f64, [f64; 3])> =
        (0..10).map(|_| (0.5 + random.unit(), [random.signed(), random.signed(), random.signed()])).collect();
    let estimate = |examples: &[(f64, [f64; 3])], state: &mut [f64]| {
        let mut spread = FisherSpread::start(Estimator::MonteCarlo { draws }, 1, state).unwrap();
        for (weight, gradients) in examples {
            gradients.iter().for_each(|&gradient| spread.observe(weight / 3.0, &[gradient]).unwrap());
            spread.end(*weight).unwrap();
        }
        let mut errors = [[0.0; 1]; 2];
        let which = [StandardErrors::Population, StandardErrors::Conditional];
        let told = examples.len() >= 2 && which.iter().zip(&mut errors).all(|(&which, out)| spread.standard_errors(which, out).is_ok());
        (spread.record(), told.then_some(errors))
    };
    let mut whole = [0.0; 6];
    let (record, errors) = estimate(&examples, &mut whole);
    for split in 0..=examples.len() {
        let (mut here, mut there) = ([0.0; 6], [0.0; 6]);
        let mut a = start(&examples[..split], &mut here);
        a.combine(&start(&examples[split..], &mut there)).unwrap();
        let found = a.record();
        assert_eq!((found.examples, found.estimator), (record.examples, record.estimator));
        assert!((found.effective_examples() - record.effective_examples()).abs() < 1e-12);
        let mut both = [[0.0; 1]; 2];
        for (which, out) in [StandardErrors::Population, StandardErrors::Conditional].into_iter().zip(&mut both) {
            a.standard_errors(which, out).unwrap();
        }
        for (found, whole) in both.iter().zip(errors.unwrap()) {
            assert!((found[0] - whole[0]).abs() < 1e-12 * whole[0]);
        }
    }
    fn start<'s>(examples: &[(f64, [f64; 3])], state: &'s mut [f64]) -> FisherSpread<'s> {
        let mut spread = FisherSpread::start(Estimator::MonteCarlo { draws: 3 }, 1, state).unwrap();
        for (weight, gradients) in examples {
            gradients.iter().for_each(|&gradient| spread.observe(weight / 3.0, &[gradient]).unwrap());
            spread.end(*weight).unwrap();
        }
        spread
    }
    // Estimates of another kind or length do not.
    let (mut here, mut there) = ([0.0; 6], [0.0; 6]);
    let mut a = FisherSpread::start(Estimator::Exact, 1, &mut here).unwrap();
    let b = FisherSpread::start(Estimator::Empirical, 1, &mut there).unwrap();
    assert!(matches!(a.combine(&b), Err(Error::Fisher(FisherFault::Estimator { .. }))));
}

/// It stops neither before the minimum nor without any spread, and its tolerance is kept.
#[test]
fn enough_examples() {
    let mut state = [0.0; FisherSpread::state_len(2)];
    let mut spread = FisherSpread::start(Estimator::Empirical, 2, &mut state).unwrap();
    for _ in 0..1000 {
        spread.observe(1.0, &[1.0, 0.0]).unwrap();
        assert!(!spread.is_enough(10.0, 2), "an example is open");
        spread.end(1.0).unwrap();
        assert!(!spread.is_enough(10.0, 2), "no spread yet");
    }
    let mut random = Random(5);
    spread.reset();
    let mut examples = 0;
    while !spread.is_enough(0.05, 100) {
        spread.observe(1.0, &[random.signed(), 0.1 * random.signed()]).unwrap();
        spread.end(1.0).unwrap();
        examples += 1;
    }
    let (mut fisher, mut errors) = ([0.0; 2], [0.0; 2]);
    let _ = spread.finish(&mut fisher).unwrap();
    spread.standard_errors(StandardErrors::Population, &mut errors).unwrap();
    // Var(g²)/E(g²)² = 4/5 of a uniform number: 320 examples for 5 %.
    assert!((250..400).contains(&examples), "{examples}");
    assert!((errors[0].hypot(errors[1]) / fisher[0].hypot(fisher[1])) <= 0.05);
}

/// Quantiles, against a published table (Abramowitz & Stegun, 26.10).
#[test]
fn quantiles_of_student() {
    for (degrees, quantile, digits) in [(10, 2.228, 1e-3), (20, 2.086, 5e-4), (30, 2.042, 5e-4), (120, 1.980, 5e-4), (100_000, 1.960, 5e-4)]
    {
        assert!((student_t(degrees) - quantile).abs() <= digits, "{degrees}: {}", student_t(degrees));
    }
}

/// `(Σw)²/Σw²`: equal weights count whole, one heavy example counts one.
#[test]
fn effective_examples() {
    for (weights, expected) in [([1.0, 1.0, 1.0, 1.0], 4.0), ([0.25, 0.25, 0.25, 0.25], 4.0), ([1e9, 1.0, 1.0, 1.0], 1.0)] {
        let mut state = [0.0; 5];
        let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(1), &mut state).unwrap();
        for weight in weights {
            fisher.begin_example(weight).unwrap();
            fisher.example(Gradient::new(&[1.0][..])).unwrap();
        }
        assert!((fisher.record().effective_examples() - expected).abs() < 1e-8);
    }
}
