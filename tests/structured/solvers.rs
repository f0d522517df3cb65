//! Each solver against the dense reference of the same system, and where that is too large against the equation that the mean solves.

use fisher_merge::{Damping, DampingMean, Error, LinearFault, Method, Real, Solvers, StructuredMerge};
use proptest::prelude::*;

use crate::common::tolerance::{self, Conditioned};
use crate::kit::*;

/// The largest error of a solver so far, in shares of its bound.
struct Judge(Vec<(Method, f64, f64)>);

impl Judge {
    fn see(&mut self, method: Method, error: f64, bound: f64, what: &str) {
        assert!(error <= bound, "{method:?}: {error:e} is above {bound:e}: {what}");
        match self.0.iter_mut().find(|(of, ..)| *of == method) {
            Some(worst) => *worst = (method, worst.1.max(error), worst.2.max(error / bound)),
            None => self.0.push((method, error, error / bound)),
        }
    }

    fn report(&self, what: &str) {
        self.0.iter().for_each(|(method, error, used)| println!("{what}: {method:?}: {error:.1e}, {:.0} % of the bound", 100.0 * used));
    }
}

/// How an error is judged: of fixed examples by what is seen, relative to the mean; of random ones by what no example exceeds, relative to what cancels.
#[derive(Clone, Copy)]
enum Bound {
    Seen(f64),
    Certain(f64),
}

/// Merges around every kind of mean, and compares with the reference.
fn compare<R: Real>(parts: &[Part<R>], damping: Damping<R>, bound: Bound, judge: &mut Judge) {
    let given: Vec<R> = parts[0].mean.iter().rev().copied().collect();
    let n = parts[0].mean.len();
    for around in [DampingMean::Own, DampingMean::Average, DampingMean::Given(&given)] {
        // As exact as conjugate gradients become.
        let merge = StructuredMerge::new().damping(damping).damping_mean(around).stop(R::epsilon(), 20 * n as u32 + 100);
        let (found, solved) = run(&merge, parts).unwrap();
        if solved.method == Method::Copied {
            assert_eq!(bits(&found), bits(&parts[0].mean));
            continue;
        }
        let reference = Reference::of(parts, damping, around, None);
        let what = format!("{:?}, {} models, {damping:?}, {around:?}, {solved:?}", parts[0].shape, parts.len());
        let error = match bound {
            Bound::Seen(_) => reference.error(&found),
            Bound::Certain(_) => reference.apart(&reference.mean, &found),
        };
        judge.see(solved.method, error, bound.of::<R>(solved.method), &what);
        if solved.method != Method::ElementWise {
            let (residual, [of_means, of_terms]) = reference.residual(&found, &parts[0].mean);
            let moved = if matches!(bound, Bound::Seen(_)) { of_means } else { of_terms };
            assert!(
                (residual - solved.residual).abs() <= 0.01 * residual + 8.0 * moved,
                "{residual:e} and not {:e}: {what}",
                solved.residual
            );
        }
    }
}

impl Bound {
    fn of<R: Real>(self, method: Method) -> f64 {
        let of: &Conditioned = match method {
            Method::ElementWise => return 32.0 * R::epsilon().as_f64(),
            Method::KroneckerPair => &tolerance::PAIR,
            Method::InputCovariance => &tolerance::INPUT_COVARIANCE,
            Method::Dense => &tolerance::DENSE,
            Method::Woodbury => &tolerance::WOODBURY,
            _ => &tolerance::GRADIENTS,
        };
        match self {
            Self::Seen(condition) => of.of::<R>(condition),
            Self::Certain(condition) => of.at_most::<R>(condition),
        }
    }
}

/// One kind of structure, in all numbers of models.
fn alone<R: Real>(kind: usize, shapes: &[Shape], condition: f64) {
    let (mut random, mut judge) = (Random(kind as u64 + condition as u64), Judge(Vec::new()));
    for &shape in shapes {
        for models in 1..=6 {
            let parts: Vec<Part<R>> = (0..models).map(|_| Part::random(&mut random, kind, shape, condition)).collect();
            for damping in [Damping::all(R::ZERO), Damping::default()] {
                compare(&parts, damping, Bound::Seen(condition), &mut judge);
            }
        }
    }
    judge.report(&format!("{} at {condition:e}", core::any::type_name::<R>()));
}

/// One by one, rows, columns, wide and tall.
const SHAPES: &[Shape] = &[(1, 1), (1, 2), (2, 1), (1, 33), (33, 1), (2, 3), (5, 4), (3, 17), (16, 4), (8, 9)];

#[test]
fn kronecker_products_agree() {
    alone::<f64>(KRONECKER, SHAPES, 1e4);
    alone::<f64>(KRONECKER, SHAPES, 1e8);
    alone::<f32>(KRONECKER, SHAPES, 1e2);
}

#[test]
fn input_covariances_agree() {
    alone::<f64>(INPUTS, SHAPES, 1e4);
    alone::<f64>(INPUTS, SHAPES, 1e8);
    alone::<f32>(INPUTS, SHAPES, 1e3);
}

#[test]
fn dense_precisions_agree() {
    alone::<f64>(DENSE, SHAPES, 1e4);
    alone::<f64>(DENSE, SHAPES, 1e8);
    alone::<f32>(DENSE, SHAPES, 1e3);
}

#[test]
fn low_ranks_agree() {
    alone::<f64>(LOW_RANK, SHAPES, 1e4);
    alone::<f64>(LOW_RANK, SHAPES, 1e8);
    alone::<f32>(LOW_RANK, SHAPES, 1e3);
}

#[test]
fn scalars_rows_and_diagonals_agree() {
    for kind in [SCALAR, ROWS, DIAGONAL] {
        alone::<f64>(kind, SHAPES, 1e8);
        alone::<f32>(kind, SHAPES, 1e8);
    }
}

/// All kinds at once.
fn mixed<R: Real>(seed: u64, kinds: &[usize], shape: Shape, condition: f64, certain: bool) {
    let mut random = Random(seed);
    let parts: Vec<Part<R>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, shape, condition)).collect();
    for damping in [Damping::all(R::ZERO), Damping::default()] {
        let whole = || Reference::of(&parts, damping, DampingMean::Own, None).condition();
        let bound = if certain { Bound::Certain(condition.max(whole())) } else { Bound::Seen(condition) };
        compare(&parts, damping, bound, &mut Judge(Vec::new()));
    }
}

proptest! {
    #![proptest_config(crate::common::generators::cases(120))]

    /// What is well conditioned alone need not be beside a low rank, and one pair in thousands errs by more than the condition of its factors tells: the
    /// condition of the sum is measured.
    #[test]
    fn mixtures_agree(seed: u64, kinds in prop::collection::vec(0..KINDS, 1..=6), rows in 1..9_usize, columns in 1..9_usize) {
        mixed::<f64>(seed, &kinds, (rows, columns), 1e4, true);
        mixed::<f64>(seed, &kinds, (rows, columns), 1e2, true);
        mixed::<f32>(seed, &kinds, (rows, columns), 1e2, true);
    }
}

/// The same examples in every run, within the sharp bounds of one structure alone.
#[test]
fn fixed_mixtures_agree_sharply() {
    for seed in 0..200 {
        let mut random = Random(1000 + seed);
        let kinds: Vec<usize> = (0..1 + random.below(6)).map(|_| random.below(KINDS)).collect();
        let shape = (1 + random.below(8), 1 + random.below(8));
        mixed::<f64>(seed, &kinds, shape, 1e4, false);
        mixed::<f32>(seed, &kinds, shape, 1e2, false);
    }
}

/// Which of input covariance, Kronecker pair, dense, Woodbury and conjugate gradients are there.
#[derive(Clone, Copy, Debug)]
struct There<const I: bool, const K: bool, const D: bool, const W: bool, const C: bool>;

impl<const I: bool, const K: bool, const D: bool, const W: bool, const C: bool> Solvers for There<I, K, D, W, C> {
    const INPUT_COVARIANCE: bool = I;
    const KRONECKER_PAIR: bool = K;
    const DENSE: bool = D;
    const WOODBURY: bool = W;
    const CONJUGATE_GRADIENTS: bool = C;
}

/// With these solvers: the bits of all solvers where the one that they use is there, else those of conjugate gradients, else a refusal that names the tensor.
fn with<S: Solvers + Copy>(solvers: S, kinds: &[usize], fits: Method, there: bool) {
    let (mut random, shape) = (Random(kinds.iter().sum::<usize>() as u64), (4, 3));
    let parts: Vec<Part<f64>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, shape, 100.0)).collect();
    let all = StructuredMerge::new().tensor(7);
    let few = all.solvers(solvers);
    let (whole, solved) = run(&all, &parts).unwrap();
    assert_eq!(solved.method, fits);
    if there || S::CONJUGATE_GRADIENTS {
        let (expected, method) =
            if there { (whole, fits) } else { (run(&all.iterate(true), &parts).unwrap().0, Method::ConjugateGradients) };
        let (found, solved) = run(&few, &parts).unwrap();
        assert_eq!((bits(&found), solved.method), (bits(&expected), method), "{kinds:?}");
    } else {
        let refused = Error::NotSolved { tensor: 7, fault: LinearFault::NoSolver };
        let factors = factors(&parts);
        let (mut out, mut scratch) = (vec![7.0; 12], vec![0.0; all.scratch(&factors).unwrap()]);
        assert_eq!(few.scratch(&factors), Err(refused));
        assert_eq!(few.run(&factors, &mut out, &mut scratch), Err(refused));
        assert_eq!(out, [7.0; 12]);
    }
}

#[test]
fn fewer_solvers_solve_the_same_or_refuse() {
    fn each<const I: bool, const K: bool, const D: bool, const W: bool, const C: bool>() {
        let solvers = There::<I, K, D, W, C>;
        with(solvers, &[DIAGONAL, SCALAR], Method::ElementWise, true);
        with(solvers, &[INPUTS, INPUTS, SCALAR], Method::InputCovariance, I);
        with(solvers, &[KRONECKER, INPUTS], Method::KroneckerPair, K);
        with(solvers, &[DENSE, KRONECKER, LOW_RANK], Method::Dense, D);
        with(solvers, &[LOW_RANK, DIAGONAL, ROWS], Method::Woodbury, W);
        with(solvers, &[KRONECKER, DIAGONAL, KRONECKER], Method::ConjugateGradients, C);
    }
    each::<true, true, true, true, true>();
    each::<true, false, false, false, false>();
    each::<false, true, false, false, false>();
    each::<false, false, true, false, false>();
    each::<false, false, false, true, false>();
    each::<false, false, false, false, true>();
    each::<false, true, true, true, true>();
    each::<true, false, true, true, true>();
    each::<true, true, false, true, true>();
    each::<true, true, true, false, true>();
    each::<true, true, true, true, false>();
    each::<false, false, false, false, false>();
}

/// `‖Σ λ·Λ_m·(W_m − found)‖`, factor by factor: a dense matrix of all parameters would not fit.
fn imbalance(parts: &[Part<f64>], damping: Damping<f64>, found: &[f64]) -> f64 {
    let ((rows, columns), mut sum) = (parts[0].shape, vec![0.0; found.len()]);
    for part in parts {
        let shift: Vec<f64> = part.mean.iter().zip(found).map(|(mean, found)| mean - found).collect();
        let mean = |values: &[f64], n: usize| (0..n).map(|i| values[i * n + i]).sum::<f64>() / n as f64;
        let image: Vec<f64> = match &part.precision {
            Owned::Kronecker(outputs, inputs) => {
                let (g, a) = (damping.kronecker * mean(outputs, rows), damping.kronecker * mean(inputs, columns));
                let through = product(&shift, inputs, (rows, columns, columns), a, &shift);
                product(outputs, &through, (rows, rows, columns), g, &through)
            }
            Owned::InputCovariance(inputs) => {
                product(&shift, inputs, (rows, columns, columns), damping.input_covariance * mean(inputs, columns), &shift)
            }
            Owned::Diagonal(values) => shift.iter().zip(values).map(|(shift, value)| shift * value).collect(),
            Owned::Scalar(scale) => shift.iter().map(|shift| shift * scale).collect(),
            other => panic!("{other:?} is not asked for"),
        };
        sum.iter_mut().zip(&image).for_each(|(sum, image)| *sum += part.weight * image);
    }
    sum.iter().map(|sum| sum * sum).sum::<f64>().sqrt()
}

/// `A·B + damping·X`
fn product(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize), damping: f64, x: &[f64]) -> Vec<f64> {
    let entry = |at: usize| (0..k).map(|p| a[at / n * k + p] * b[p * n + at % n]).sum::<f64>() + damping * x[at];
    (0..m * n).map(entry).collect()
}

#[test]
fn large_solutions_balance() {
    let mut random = Random(7);
    let kinds: &[&[usize]] = &[
        &[INPUTS; 2],
        &[INPUTS; 5],
        &[KRONECKER; 2],
        &[KRONECKER; 3],
        &[KRONECKER; 6],
        &[KRONECKER, INPUTS],
        &[KRONECKER, DIAGONAL, SCALAR],
    ];
    for &kinds in kinds {
        for shape in [(64, 64), (64, 1), (1, 64), (63, 17), (10, 64)] {
            for condition in [1e4, 1e8] {
                let parts: Vec<Part<f64>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, shape, condition)).collect();
                for damping in [Damping::all(0.0), Damping::default()] {
                    let (found, solved) = run(&StructuredMerge::new().damping(damping), &parts).unwrap();
                    let rest = imbalance(&parts, damping, &found) / imbalance(&parts, damping, &parts[0].mean);
                    let (bound, what) =
                        (tolerance::BALANCE.of::<f64>(1.0), format!("{rest:e}: {solved:?}, {shape:?}, {kinds:?}, {condition:e}"));
                    println!("{what}");
                    assert!(rest <= 1.01 * solved.residual + bound, "{what}");
                    match solved.method {
                        // What the iterations did not reach is reported.
                        Method::ConjugateGradients if solved.iterations == 1000 => assert!(damping == Damping::all(0.0), "{what}"),
                        Method::ConjugateGradients => assert!(solved.residual < 1e-9, "{what}"),
                        _ => assert!(solved.residual < bound, "{what}"),
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_to_merge_is_merged() {
    for shape in [(0, 0), (0, 3), (3, 0)] {
        for kind in 0..KINDS {
            let parts: Vec<Part<f64>> = (0..3).map(|seed| Part::random(&mut Random(seed), kind, shape, 10.0)).collect();
            let (found, solved) = run(&StructuredMerge::new(), &parts).unwrap();
            assert!(found.is_empty() && solved.residual == 0.0 && solved.no_evidence == 0, "{solved:?}");
            let merge = StructuredMerge::new().base(&[], parts[0].precision.structure());
            assert!(run(&merge, &parts).unwrap().0.is_empty());
        }
    }
}
