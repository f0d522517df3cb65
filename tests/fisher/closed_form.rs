//! A softmax regression `p(y|x) = softmax(W·x)`, whose Fisher is known: `F_cd = E[p_c(1 − p_c)·x_d²]`.

use fisher_merge::{
    DiagonalFisher, Estimator, ExactLabels, FisherAccumulator, FisherSpec, FisherSpread, Gradient, LabelCovariance, LayerBatch,
    StandardErrors,
};

use crate::common::exact::{Exact, Ratio};
use crate::common::tolerance::fisher_bound;
use crate::{Random, score, softmax};

const CLASSES: usize = 5;
const FEATURES: usize = 7;
const EXAMPLES: usize = 150;

struct Regression {
    inputs: Vec<[f64; FEATURES]>,
    probabilities: Vec<Vec<f64>>,
}

impl Regression {
    /// Logits so far apart that some probabilities are one less 1e-12.
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let weights: Vec<[f64; FEATURES]> = (0..CLASSES).map(|_| core::array::from_fn(|_| 8.0 * random.signed())).collect();
        let inputs: Vec<[f64; FEATURES]> = (0..EXAMPLES).map(|_| core::array::from_fn(|_| random.signed())).collect();
        let logits = |x: &[f64; FEATURES]| weights.iter().map(|w| w.iter().zip(x).map(|(w, x)| w * x).sum()).collect::<Vec<f64>>();
        let probabilities = inputs.iter().map(|x| softmax(&logits(x))).collect();
        Self { inputs, probabilities }
    }

    /// The closed form, exactly, with `1 − p` as the sum of the others.
    fn fisher(&self) -> Vec<Ratio> {
        let entry = |class: usize, feature: usize| {
            let mut sum = Exact::zero();
            for (x, p) in self.inputs.iter().zip(&self.probabilities) {
                let others =
                    p.iter().enumerate().filter(|&(other, _)| other != class).fold(Exact::zero(), |sum, (_, &p)| &sum + &Exact::of(p));
                sum = &sum + &(&(&Exact::of(p[class]) * &others) * &(&Exact::of(x[feature]) * &Exact::of(x[feature])));
            }
            Ratio::new(sum, Exact::scaled(EXAMPLES as i64, 0)).unwrap()
        };
        (0..CLASSES * FEATURES).map(|at| entry(at / FEATURES, at % FEATURES)).collect()
    }

    /// `score ⊗ x`.
    fn gradient(&self, example: usize, logits: &[f64]) -> Vec<f64> {
        logits.iter().flat_map(|score| self.inputs[example].map(|x| score * x)).collect()
    }
}

fn agree(found: &[f64], regression: &Regression, observations: usize) {
    for (at, (found, exact)) in found.iter().zip(regression.fisher()).enumerate() {
        // Roundings of a score and of its product with an input, squared, and what the probabilities miss one by.
        let observations = (observations + 2 * CLASSES + 4) as u64;
        let bound = fisher_bound::<f64>(observations, true, &exact.num);
        let error = (&(&Exact::of(*found) * &exact.den) - &exact.num).abs();
        assert!(error <= bound, "entry {at}: {found} for {} / {EXAMPLES}", exact.num.approximate());
    }
}

#[test]
fn exact_labels_give_the_closed_form() {
    let regression = Regression::new(1);
    let spec = FisherSpec::new(CLASSES * FEATURES);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut fisher = DiagonalFisher::exact(spec, &mut state).unwrap();
    for (example, p) in regression.probabilities.iter().enumerate() {
        for (label, &probability) in p.iter().enumerate() {
            fisher.label(probability, Gradient::new(&regression.gradient(example, &score(p, label))[..])).unwrap();
        }
        fisher.end_example().unwrap();
    }
    let mut found = vec![0.0; CLASSES * FEATURES];
    let record = fisher.finish_into(&mut found[..]).unwrap();
    assert_eq!((record.estimator, record.examples, record.weight), (Estimator::Exact, EXAMPLES as u64, EXAMPLES as f64));
    agree(&found, &regression, EXAMPLES * CLASSES);
}

#[test]
fn columns_of_the_covariance_give_the_closed_form_with_one_pass_less() {
    let regression = Regression::new(2);
    let spec = FisherSpec::new(CLASSES * FEATURES);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut fisher = DiagonalFisher::exact(spec, &mut state).unwrap();
    let (mut suffix, mut column) = ([0.0; CLASSES], [0.0; CLASSES]);
    for (example, p) in regression.probabilities.iter().enumerate() {
        let covariance = LabelCovariance::new(p, &mut suffix).unwrap();
        assert_eq!(covariance.columns(), CLASSES - 1);
        for j in 0..covariance.columns() {
            covariance.column(j, &mut column).unwrap();
            fisher.column(CLASSES as u32 - 1, Gradient::new(&regression.gradient(example, &column)[..])).unwrap();
        }
        fisher.end_example().unwrap();
    }
    let mut found = vec![0.0; CLASSES * FEATURES];
    let _ = fisher.finish_into(&mut found[..]).unwrap();
    agree(&found, &regression, EXAMPLES * CLASSES);
}

#[test]
fn variances_of_the_logits_give_the_closed_form_in_one_product() {
    let regression = Regression::new(3);
    let inputs: Vec<f64> = regression.inputs.iter().flatten().copied().collect();
    let mut variances = vec![0.0; EXAMPLES * CLASSES];
    for (p, out) in regression.probabilities.iter().zip(variances.chunks_mut(CLASSES)) {
        LabelCovariance::new(p, &mut [0.0; CLASSES]).unwrap().variances(out).unwrap();
    }
    let spec = FisherSpec::new(CLASSES * FEATURES);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut fisher = DiagonalFisher::exact(spec, &mut state).unwrap();
    let mut scratch = vec![0.0; DiagonalFisher::<ExactLabels, f64>::LINEAR_SCRATCH];
    let ones = [1.0; EXAMPLES];
    fisher.observe_linear((CLASSES, FEATURES), &LayerBatch::of_variances(&inputs[..], &variances[..], &ones), &mut scratch).unwrap();
    fisher.end_batch(&ones).unwrap();
    let mut found = vec![0.0; CLASSES * FEATURES];
    let _ = fisher.finish_into(&mut found[..]).unwrap();
    agree(&found, &regression, EXAMPLES);
}

/// Near `p = 1` the naive form `p(1 − p)` has no digits left, and far from it none at all.
#[test]
fn variances_do_not_cancel() {
    let p = [1.0, 1e-18, 1e-30];
    let mut variances = [0.0; 3];
    LabelCovariance::new(&p, &mut [0.0; 3]).unwrap().variances(&mut variances).unwrap();
    assert_eq!(variances, [1e-18 + 1e-30, 1e-18, 1e-30]);
    assert_eq!(p[0] * (1.0 - p[0]), 0.0);
    // No classes, one class, and classes that nothing is left for.
    assert_eq!(LabelCovariance::<f64>::new(&[], &mut []).unwrap().columns(), 0);
    LabelCovariance::new(&[1.0], &mut [0.0]).unwrap().variances(&mut variances[..1]).unwrap();
    assert_eq!(variances[0], 0.0);
    let (mut suffix, mut column) = ([0.0; 3], [7.0; 3]);
    LabelCovariance::new(&[0.5, 0.5, 0.0], &mut suffix).unwrap().column(1, &mut column).unwrap();
    assert_eq!(column, [0.0; 3]);
}

/// The columns' outer products add up to `diag(p) − p·pᵀ`, off the diagonal as well.
#[test]
fn columns_are_a_square_root() {
    for p in &Regression::new(4).probabilities {
        let mut suffix = [0.0; CLASSES];
        let covariance = LabelCovariance::new(p, &mut suffix).unwrap();
        let (mut column, mut root) = ([0.0; CLASSES], [[0.0; CLASSES]; CLASSES]);
        for j in 0..covariance.columns() {
            covariance.column(j, &mut column).unwrap();
            for a in 0..CLASSES {
                for b in 0..CLASSES {
                    root[a][b] += column[a] * column[b];
                }
            }
        }
        for a in 0..CLASSES {
            for b in (0..CLASSES).filter(|&b| b != a) {
                let exact = -p[a] * p[b];
                assert!((root[a][b] - exact).abs() <= 1e-14 * (p[a] * p[b]).sqrt(), "{p:?}: {a} {b} {} {exact}", root[a][b]);
            }
        }
    }
}

/// Sampled labels come to the exact expectation within four of their own standard errors.
#[test]
fn sampled_labels_are_within_four_conditional_errors() {
    const DRAWS: u32 = 20;
    let regression = Regression::new(5);
    let exact: Vec<f64> = regression.fisher().iter().map(|of| of.num.approximate() / of.den.approximate()).collect();
    for seed in 0..5 {
        let mut random = Random(100 + seed);
        let length = CLASSES * FEATURES;
        let spec = FisherSpec::new(length);
        let (mut state, mut spread_state) = (vec![0.0; spec.state_len::<f64>()], vec![0.0; FisherSpread::state_len(length)]);
        let mut fisher = DiagonalFisher::sampled(DRAWS, spec, &mut state).unwrap();
        let mut spread = FisherSpread::start(Estimator::MonteCarlo { draws: DRAWS }, length, &mut spread_state).unwrap();
        for (example, p) in regression.probabilities.iter().enumerate() {
            for _ in 0..DRAWS {
                let gradient = regression.gradient(example, &score(p, random.draw(p)));
                fisher.draw(Gradient::new(&gradient[..])).unwrap();
                spread.observe(1.0 / f64::from(DRAWS), &gradient).unwrap();
            }
            fisher.end_example().unwrap();
            spread.end(1.0).unwrap();
        }
        let (mut found, mut same, mut errors) = (vec![0.0; length], vec![0.0; length], vec![0.0; length]);
        let record = fisher.finish_into(&mut found[..]).unwrap();
        assert_eq!(record.estimator, Estimator::MonteCarlo { draws: DRAWS });
        let _ = spread.finish(&mut same).unwrap();
        spread.standard_errors(StandardErrors::Conditional, &mut errors).unwrap();
        for at in 0..length {
            assert!((found[at] - same[at]).abs() <= 1e-13 * found[at]);
            assert!(
                (found[at] - exact[at]).abs() <= 4.0 * errors[at],
                "seed {seed}, entry {at}: {} {} {}",
                found[at],
                exact[at],
                errors[at]
            );
            assert!(errors[at] < 0.5 * exact[at], "errors say something");
        }
    }
}

/// With labels drawn from the model as data, the empirical Fisher comes to the exact one as well; with other labels it does not.
#[test]
fn empirical_is_the_fisher_of_its_labels() {
    let regression = Regression::new(6);
    let exact: Vec<f64> = regression.fisher().iter().map(|of| of.num.approximate() / of.den.approximate()).collect();
    let estimate = |label: &mut dyn FnMut(&[f64]) -> usize, passes: usize| {
        let spec = FisherSpec::new(CLASSES * FEATURES);
        let mut state = vec![0.0; spec.state_len::<f64>()];
        let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
        for _ in 0..passes {
            for (example, p) in regression.probabilities.iter().enumerate() {
                fisher.example(Gradient::new(&regression.gradient(example, &score(p, label(p)))[..])).unwrap();
            }
        }
        let mut found = vec![0.0; CLASSES * FEATURES];
        assert_eq!(fisher.finish_into(&mut found[..]).unwrap().estimator, Estimator::Empirical);
        found
    };
    let distance = |found: &[f64]| {
        let norm = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
        norm(&mut found.iter().zip(&exact).map(|(a, b)| a - b)) / norm(&mut exact.iter().copied())
    };
    let mut random = Random(7);
    assert!(distance(&estimate(&mut |p| random.draw(p), 100)) < 0.05);
    // The least likely label of each: wrong labels have gradients of about one.
    let worst = |p: &[f64]| (0..CLASSES).min_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
    assert!(distance(&estimate(&mut |p| worst(p), 1)) > 2.0);
}
