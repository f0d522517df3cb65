//! Around a base model: uncertainty-based gradient matching, task arithmetic, and forgetting.

use fisher_merge::{Damping, DampingMean, Error, LinearFault, Method, StructureMut, StructuredMerge, merged_precision};
use proptest::prelude::*;

use crate::common::tolerance;
use crate::kit::*;

const SHAPE: Shape = (3, 4);
const N: usize = 12;

fn none() -> Damping<f64> {
    Damping::all(0.0)
}

/// A merge around a base against the formula, for all dampings: parts of a kind without curvature (0), of a negative weight that leaves a positive precision (1),
/// or ordinary. Fixed examples are judged relative to the mean, random ones relative to what cancels in it.
fn agrees(seed: u64, prior: usize, kinds: &[(usize, u8)], shape: Shape, fixed: bool) {
    let mut random = Random(seed);
    // A prior of one at least, so that it outweighs what is taken out.
    let prior = thick(Owned::random(&mut random, prior, shape, 10.0), 1.0);
    let base: Vec<f64> = random.numbers(shape.0 * shape.1);
    let mut parts: Vec<Part<f64>> = vec![];
    for &(kind, how) in kinds {
        let mut part = Part::random(&mut random, kind, shape, 10.0);
        match how {
            0 => part.precision = scaled(&part.precision, 0.0),
            1 => (part.precision, part.weight) = (scaled(&part.precision, 0.002), -part.weight),
            _ => {}
        }
        parts.push(part);
    }
    let given: Vec<f64> = random.numbers(shape.0 * shape.1);
    for (damping, around) in
        [(none(), DampingMean::Own), (Damping::default(), DampingMean::Own), (Damping::default(), DampingMean::Given(&given))]
    {
        let reference = Reference::of(&parts, damping, around, Some((&base, &prior)));
        let merge = StructuredMerge::new().base(&base, prior.structure()).damping(damping).damping_mean(around).stop(1e-15, 1000);
        let (found, solved) = run(&merge, &parts).unwrap();
        let error = if fixed { reference.error(&found) } else { reference.apart(&reference.mean, &found) };
        assert!(error <= tolerance::WOODBURY.of::<f64>(100.0), "{error:e} {solved:?} {prior:?}");
    }
}

proptest! {
    #![proptest_config(crate::common::generators::cases(120))]

    /// Any priors, any structures.
    #[test]
    fn a_base_agrees_with_the_formula(seed: u64, prior in 0..KINDS, kinds in prop::collection::vec((0..KINDS, 0..4_u8), 1..=5), rows in 1..7_usize, columns in 1..7_usize) {
        agrees(seed, prior, &kinds, (rows, columns), false);
    }
}

/// The same examples in every run.
#[test]
fn fixed_examples_agree_sharply() {
    for seed in 0..400 {
        let mut random = Random(1000 + seed);
        let kinds: Vec<(usize, u8)> = (0..1 + random.below(5)).map(|_| (random.below(KINDS), random.below(4) as u8)).collect();
        let (prior, shape) = (random.below(KINDS), (1 + random.below(6), 1 + random.below(6)));
        agrees(seed, prior, &kinds, shape, true);
    }
}

/// The same with every number times `share`.
fn scaled(of: &Owned<f64>, share: f64) -> Owned<f64> {
    let times = |values: &[f64]| values.iter().map(|value| value * share).collect::<Vec<f64>>();
    match of {
        Owned::Scalar(scale) => Owned::Scalar(scale * share),
        Owned::Rows(values) => Owned::Rows(times(values)),
        Owned::Diagonal(values) => Owned::Diagonal(times(values)),
        Owned::InputCovariance(values) => Owned::InputCovariance(times(values)),
        // One side alone.
        Owned::Kronecker(g, a) => Owned::Kronecker(times(g), a.clone()),
        Owned::Dense(values) => Owned::Dense(times(values)),
        Owned::LowRank(diagonal, factor) => Owned::LowRank(times(diagonal), times(factor)),
    }
}

/// With at least `least` in every direction.
fn thick(of: Owned<f64>, least: f64) -> Owned<f64> {
    let all = |values: Vec<f64>| values.into_iter().map(|value| value + least).collect::<Vec<f64>>();
    let sides = |mut values: Vec<f64>| {
        let n = (0..).find(|n| n * n == values.len()).unwrap();
        (0..n).for_each(|i| values[i * n + i] += least);
        values
    };
    match of {
        Owned::Scalar(scale) => Owned::Scalar(scale + least),
        Owned::Rows(values) => Owned::Rows(all(values)),
        Owned::Diagonal(values) => Owned::Diagonal(all(values)),
        Owned::InputCovariance(values) => Owned::InputCovariance(sides(values)),
        Owned::Kronecker(g, a) => Owned::Kronecker(sides(g), sides(a)),
        Owned::Dense(values) => Owned::Dense(sides(values)),
        Owned::LowRank(diagonal, factor) => Owned::LowRank(all(diagonal), factor),
    }
}

/// `μ_0 + Σ λ·(μ_m − μ_0)`: without curvature, whatever the prior, and for equal isotropic curvatures whose weights add up to one.
#[test]
fn task_arithmetic_is_the_case_without_curvature() {
    for prior in 0..KINDS {
        for kind in 0..KINDS {
            let mut random = Random(prior as u64 * 100 + kind as u64);
            let (prior, base) = (thick(Owned::random(&mut random, prior, SHAPE, 10.0), 1.0), random.numbers::<f64>(N));
            let merge = StructuredMerge::new().base(&base, prior.structure()).stop(1e-15, 1000);
            let mut parts: Vec<Part<f64>> = (0..3).map(|_| Part::random(&mut random, kind, SHAPE, 10.0)).collect();
            parts.iter_mut().for_each(|part| part.precision = scaled(&part.precision, 0.0));
            parts[1].weight *= -2.0;
            check(&merge, &parts, &base);
            for (part, weight) in parts.iter_mut().zip([0.5, 0.75, -0.25]) {
                (part.precision, part.weight) = (Owned::Scalar(0.7), weight);
            }
            check(&merge, &parts, &base);
        }
    }
}

fn check(merge: &StructuredMerge<'_, f64>, parts: &[Part<f64>], base: &[f64]) {
    let (found, solved) = run(merge, parts).unwrap();
    for at in 0..N {
        let expected = base[at] + parts.iter().map(|part| part.weight * (part.mean[at] - base[at])).sum::<f64>();
        assert!((found[at] - expected).abs() < 1e-12, "{} {expected} {solved:?}", found[at]);
    }
}

/// Two models around a base with one prior, as `H`: their merge, its curvature, and what it is without the second again.
fn forget(kind: usize, seed: u64) -> (Owned<f64>, Vec<f64>, [Part<f64>; 2], Part<f64>) {
    let mut random = Random(seed);
    let prior = thick(Owned::random(&mut random, kind, SHAPE, 10.0), 0.1);
    let base: Vec<f64> = random.numbers(N);
    let mut parts = [Part::random(&mut random, kind, SHAPE, 10.0), Part::random(&mut random, kind, SHAPE, 10.0)];
    parts.iter_mut().for_each(|part| part.weight = 1.0);
    let merge = StructuredMerge::new().base(&base, prior.structure()).damping(none()).stop(1e-15, 1000);
    let (mean, _) = run(&merge, &parts).unwrap();
    let mut sum = vec![0.0; N * N];
    merged_precision(&factors(&parts), none(), StructureMut::Dense(&mut sum)).unwrap();
    let precision = match kind {
        SCALAR | ROWS | DIAGONAL => Owned::Diagonal((0..N).map(|i| sum[i * N + i]).collect()),
        INPUTS => Owned::InputCovariance((0..16).map(|at| sum[at / 4 * N + at % 4]).collect()),
        _ => Owned::Dense(sum),
    };
    (prior, base, parts, Part { mean, shape: SHAPE, precision, weight: 1.0 })
}

#[test]
fn forgetting_gives_back_what_was_before() {
    for kind in 0..KINDS {
        for seed in 0..20 {
            let (prior, base, [first, mut second], merged) = forget(kind, seed);
            second.weight = -1.0;
            let merge = StructuredMerge::new().base(&base, prior.structure()).damping(none());
            let (found, solved) = run(&merge, &[merged, second]).unwrap();
            let error = relative(&twice(&first.mean), &found);
            assert!(error < tolerance::WOODBURY.of::<f64>(1000.0), "{kind}: {error:e}, {solved:?}");
        }
    }
}

/// Kronecker products: one is taken out of a prior in closed form, exactly.
#[test]
fn a_kronecker_product_is_taken_out_in_closed_form() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let (base, removed) = (random.numbers::<f64>(N), Part::random(&mut random, KRONECKER, SHAPE, 10.0));
        // What was learnt is in the base's precision as well: the base is the sum of a Kronecker product and that one.
        let prior = thick(Owned::random(&mut random, KRONECKER, SHAPE, 10.0), 2.0);
        let parts = [Part { weight: -0.5, ..removed }];
        let merge = StructuredMerge::new().base(&base, prior.structure()).damping(none());
        let (found, solved) = run(&merge, &parts).unwrap();
        assert_eq!(solved.method, Method::KroneckerPair);
        let error = Reference::of(&parts, none(), DampingMean::Own, Some((&base, &prior))).error(&found);
        assert!(error < tolerance::PAIR.of::<f64>(100.0), "{error:e}");
    }
}

/// What is asked of a refusal: that it is typed, names the tensor, and leaves the output alone.
fn refused(merge: &StructuredMerge<'_, f64>, parts: &[Part<f64>]) {
    let factors = factors(parts);
    let (mut out, mut scratch) = (vec![7.0; N], vec![0.0; merge.scratch(&factors).unwrap()]);
    let error = merge.tensor(5).run(&factors, &mut out, &mut scratch);
    assert!(matches!(error, Err(Error::NotSolved { tensor: 5, fault: LinearFault::NotPositiveDefinite { .. } })), "{error:?} {parts:?}");
    assert_eq!(out, [7.0; N]);
}

#[test]
fn what_leaves_no_precision_is_refused() {
    for kind in 0..KINDS {
        for seed in 0..10 {
            let (prior, base, [_, second], merged) = forget(kind, seed);
            let merge = StructuredMerge::new().base(&base, prior.structure()).damping(none());
            // More than there is.
            refused(&merge, &[Part { weight: -50.0, ..second.clone() }]);
            refused(&merge, &[merged.clone(), Part { weight: -100.0, ..second.clone() }]);
            // Nothing moves, but nothing is left either.
            refused(&merge, &[Part { weight: -50.0, mean: base.clone(), ..second.clone() }]);
            // Nothing but rounding errors is left.
            let nothing = scaled(&prior, 0.0);
            let merge = StructuredMerge::new().base(&base, nothing.structure()).damping(none());
            let parts = [(0.1, &merged), (0.2, &merged), (-0.3, &merged)].map(|(weight, part)| Part { weight, ..part.clone() });
            refused(&merge, &parts);
        }
    }
}

/// One direction alone goes below zero, and no mean points to it.
#[test]
fn a_single_lost_direction_is_refused() {
    let eye =
        |n: usize, first: f64| -> Vec<f64> { (0..n * n).map(|at| if at == 0 { first } else { f64::from(at % (n + 1) == 0) }).collect() };
    let base = vec![0.0; N];
    let mut mean = base.clone();
    mean[11] = 1.0;
    let lost = [
        Owned::Kronecker(eye(3, 2.0), eye(4, 2.0)),
        Owned::InputCovariance(eye(4, 4.0)),
        Owned::Dense(eye(N, 4.0)),
        Owned::Diagonal((0..N).map(|at| if at == 0 { 4.0 } else { 1.0 }).collect()),
        Owned::LowRank(vec![1.0; N], (0..N).map(|at| if at == 0 { 2.0 } else { 0.0 }).collect()),
    ];
    for precision in lost {
        let merge = StructuredMerge::new().base(&base, fisher_merge::Structure::Scalar(2.0)).damping(none());
        refused(&merge, &[Part { mean: mean.clone(), shape: SHAPE, precision: precision.clone(), weight: -1.0 }]);
        let fine = [Part { mean: mean.clone(), shape: SHAPE, precision, weight: -0.25 }];
        let (found, _) = run(&merge, &fine).unwrap();
        // −(¼ + ½)/(2 − ¼) where the precision is one, whose share of the prior is two.
        assert!((found[11] + 0.75 / 1.75).abs() < 1e-12 && found[0] == 0.0, "{found:?}");
    }
    // Hidden from the diagonal: [[1, 1], [1, 1]] of a prior of one leaves a determinant of zero, a little more is too much.
    for (share, fine) in [(0.4, true), (0.5, false), (0.6, false)] {
        let ones = vec![1.0; 4];
        for precision in [Owned::Kronecker(ones.clone(), vec![1.0]), Owned::Dense(ones.clone()), Owned::LowRank(vec![0.0; 2], vec![1.0; 2])]
        {
            let part = [Part { mean: vec![1.0, 1.0], shape: (2, 1), precision, weight: -share }];
            let merge = StructuredMerge::new().base(&[0.0; 2], fisher_merge::Structure::Scalar(1.0)).damping(none());
            assert_eq!(run(&merge, &part).is_ok(), fine, "{share} {:?}", part[0].precision);
        }
    }
}

/// Where nobody knows anything the base stays.
#[test]
fn a_prior_of_zero_counts_elements_without_evidence() {
    let base: Vec<f64> = Random(1).numbers(N);
    let parts =
        [Part { mean: vec![1.0; N], shape: SHAPE, precision: Owned::Diagonal((0..N).map(|at| f64::from(at != 4)).collect()), weight: 0.5 }];
    let merge = StructuredMerge::new().base(&base, fisher_merge::Structure::Scalar(0.0));
    let (found, solved) = run(&merge, &parts).unwrap();
    assert_eq!((found[4].to_bits(), solved.no_evidence), (base[4].to_bits(), 1));
    assert!(found.iter().enumerate().all(|(at, &value)| at == 4 || (value - 1.0).abs() < 1e-15), "{found:?}");
}
