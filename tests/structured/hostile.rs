//! Singular, indefinite, huge, tiny and hidden: typed errors or the stated policy; never NaN out, never a weight pulled to zero.

use fisher_merge::{Damping, DampingMean, Error, LinearFault, Method, Real, Repair, StructuredMerge};
use proptest::prelude::*;

use crate::kit::*;

/// A Gram of fewer examples than inputs.
fn singular(random: &mut Random, n: usize, rank: usize) -> Vec<f64> {
    let x: Vec<f64> = random.numbers(rank * n);
    (0..n * n).map(|at| x.chunks(n).map(|x| x[at / n] * x[at % n]).sum()).collect()
}

/// Means about one, so that whatever is pulled to zero is seen.
fn around_one(random: &mut Random, n: usize) -> Vec<f64> {
    (0..n).map(|_| 1.0 + 1e-3 * random.signed()).collect()
}

#[test]
fn singular_factors_are_refused_repaired_or_damped() {
    let shape = (6, 8);
    for kind in [KRONECKER, INPUTS, DENSE] {
        for models in 2..=5 {
            let mut random = Random(models as u64);
            // Together of fewer examples than sides.
            let part = |random: &mut Random| {
                let precision = match kind {
                    KRONECKER => Owned::Kronecker(singular(random, 6, 1), singular(random, 8, 1)),
                    INPUTS => Owned::InputCovariance(singular(random, 8, 1)),
                    _ => Owned::Dense(singular(random, 48, 5)),
                };
                Part { mean: around_one(random, 48), shape, precision, weight: 0.5 }
            };
            let parts: Vec<Part<f64>> = (0..models).map(|_| part(&mut random)).collect();
            let near = |found: &[f64]| found.iter().all(|value| (value - 1.0).abs() < 0.05);
            let bare = StructuredMerge::new().damping(Damping::all(0.0)).tensor(9);
            let error = run(&bare, &parts).unwrap_err();
            assert!(
                matches!(error, Error::NotSolved { tensor: 9, fault: LinearFault::NotPositiveDefinite { .. } }),
                "{kind} {models} {error:?}"
            );
            let given = around_one(&mut random, 48);
            for around in [DampingMean::Own, DampingMean::Average, DampingMean::Given(&given)] {
                let (found, solved) = run(&bare.repair(Repair::Raise).damping_mean(around), &parts).unwrap();
                assert!(solved.repaired > 0.0 && solved.repaired <= 0.25 && near(&found), "{kind} {models} {solved:?} {found:?}");
                let (found, solved) = run(&StructuredMerge::new().damping_mean(around), &parts).unwrap();
                assert!(solved.repaired == 0.0 && solved.residual < 1e-9 && near(&found), "{kind} {models} {solved:?} {found:?}");
            }
        }
    }
}

/// One model without evidence where the other has some, in each factor, and the other way round: the sums are definite, the products' sum is not.
#[test]
fn a_direction_that_no_product_knows_is_refused() {
    let diagonal = |a: f64, b: f64| vec![a, 0.0, 0.0, b];
    let part = |g: Vec<f64>, a: Vec<f64>, x: f64| Part { mean: vec![x; 4], shape: (2, 2), precision: Owned::Kronecker(g, a), weight: 0.5 };
    let parts = [part(diagonal(1.0, 0.0), diagonal(1.0, 0.0), 1.0), part(diagonal(0.0, 1.0), diagonal(0.0, 1.0), 2.0)];
    let bare = StructuredMerge::new().damping(Damping::all(0.0));
    assert!(matches!(run(&bare, &parts), Err(Error::NotSolved { fault: LinearFault::NotPositiveDefinite { .. }, .. })));
    let (found, solved) = run(&bare.repair(Repair::Raise), &parts).unwrap();
    assert!(solved.method == Method::KroneckerPair && solved.repaired > 0.0);
    // What one of them knows is its own, the rest is between.
    assert!(
        (found[0] - 1.0).abs() < 1e-6 && (found[3] - 2.0).abs() < 1e-6 && found.iter().all(|value| (0.99..2.01).contains(value)),
        "{found:?}"
    );
}

#[test]
fn indefinite_matrices_are_refused() {
    // Every two by two minor is fine, the determinant is not.
    let hidden = vec![1.0, 0.9, -0.9, 0.9, 1.0, 0.9, -0.9, 0.9, 1.0];
    let mean: Vec<f64> = vec![1.0; 3];
    let shape = (1, 3);
    for (precision, method) in [
        (Owned::InputCovariance(hidden.clone()), Method::InputCovariance),
        (Owned::Dense(hidden.clone()), Method::Dense),
        (Owned::Kronecker(vec![1.0], hidden.clone()), Method::KroneckerPair),
    ] {
        let part = |x: f64| Part { mean: mean.iter().map(|value| value * x).collect(), shape, precision: precision.clone(), weight: 1.0 };
        let bare = StructuredMerge::new().damping(Damping::all(0.0));
        for models in [vec![part(1.0), part(2.0)], vec![part(1.0), part(2.0), part(3.0)]] {
            let error = run(&bare, &models);
            assert!(matches!(error, Err(Error::NotSolved { fault: LinearFault::NotPositiveDefinite { .. }, .. })), "{method:?} {error:?}");
        }
        // No damping repairs a matrix that far off, as long as the bound says so: 0.8 of the mean diagonal are missing.
        let error = run(&bare.repair(Repair::Raise), &[part(1.0), part(2.0)]);
        assert!(matches!(error, Err(Error::NotSolved { fault: LinearFault::NotPositiveDefinite { .. }, .. })), "{method:?} {error:?}");
    }
}

/// `cG ⊗ A/c` is `G ⊗ A`, and common factors of all precisions change nothing.
#[test]
fn sizes_of_factors_change_nothing() {
    fn check<R: Real>(steps: i32, bound: f64) {
        for kinds in [&[KRONECKER, KRONECKER][..], &[KRONECKER, INPUTS], &[KRONECKER, ROWS], &[KRONECKER; 3]] {
            let mut random = Random(1);
            let parts: Vec<Part<R>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, (6, 5), 100.0)).collect();
            let merge = StructuredMerge::<R>::new().stop(R::epsilon() * R::from_f64(4.0), 1000);
            let (plain, _) = run(&merge, &parts).unwrap();
            for exponent in [-steps, -steps / 2, steps / 2, steps] {
                let mut turned = parts.clone();
                let Owned::Kronecker(g, a) = &mut turned[0].precision else { unreachable!() };
                g.iter_mut().for_each(|value| *value = value.times_power_of_two(exponent));
                a.iter_mut().for_each(|value| *value = value.times_power_of_two(-exponent));
                let (found, solved) = run(&merge, &turned).unwrap_or_else(|error| panic!("{error}: 2^{exponent} {kinds:?}"));
                let error = relative(&twice(&plain), &found);
                assert!(error < bound, "2^{exponent}: {error:e} {solved:?}");
                let mut small = parts.clone();
                small.iter_mut().for_each(|part| part.weight = part.weight.times_power_of_two(exponent));
                let (found, solved) = run(&merge, &small).unwrap_or_else(|error| panic!("{error}: weights 2^{exponent} {kinds:?}"));
                let error = relative(&twice(&plain), &found);
                assert!(error < bound, "weights by 2^{exponent}: {error:e} {solved:?}");
            }
        }
    }
    check::<f64>(200, 1e-11);
    check::<f32>(40, 1e-3);
}

proptest! {
    #![proptest_config(crate::common::generators::cases(400))]

    /// Numbers from all over the range: what comes out is finite or refused.
    #[test]
    fn nothing_becomes_nan(seed: u64, kinds in prop::collection::vec(0..KINDS, 1..=4), based: bool, repair: bool, rows in 1..5_usize, columns in 1..5_usize) {
        fn check<R: Real>((seed, based, repair): (u64, bool, bool), kinds: &[usize], shape: Shape, reach: f64) {
            let mut random = Random(seed);
            let wild = |random: &mut Random| R::from_f64(10_f64.powf(reach * random.signed()));
            let mut parts: Vec<Part<R>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, shape, 100.0)).collect();
            for part in &mut parts {
                for _ in 0..random.below(3) {
                    match random.below(4) {
                        0 => part.weight = wild(&mut random),
                        1 => {
                            let share = wild(&mut random);
                            part.mean.iter_mut().for_each(|value| *value = *value * share);
                        }
                        2 => {
                            let share = wild(&mut random);
                            each(&mut part.precision, |value| *value = *value * share);
                        }
                        _ => each(&mut part.precision, |value| if random.below(3) == 0 { *value = R::ZERO }),
                    }
                }
                if based && random.below(3) == 0 {
                    part.weight = -part.weight;
                }
            }
            let (base, prior) = (random.numbers::<R>(shape.0 * shape.1), Owned::random(&mut random, kinds[0], shape, 10.0));
            let damping = [Damping::default(), Damping::all(R::ZERO), Damping::all(wild(&mut random))][random.below(3)];
            let around = [DampingMean::Own, DampingMean::Average, DampingMean::Given(&base)][random.below(3)];
            let mut merge = StructuredMerge::new().damping(damping).damping_mean(around);
            merge = merge.repair(if repair { Repair::Raise } else { Repair::Refuse });
            if based {
                merge = merge.base(&base, prior.structure());
            }
            let Ok((found, solved)) = run(&merge, &parts) else { return };
            assert!(found.iter().all(|value| value.is_finite()) && !solved.residual.is_nan(), "{found:?} {solved:?}");
            if solved.method == Method::ElementWise && !based {
                for (at, &value) in found.iter().enumerate() {
                    assert!(parts.iter().any(|part| part.mean[at] <= value) && parts.iter().any(|part| part.mean[at] >= value));
                }
            }
        }
        check::<f64>((seed, based, repair), &kinds, (rows, columns), 300.0);
        check::<f32>((seed, based, repair), &kinds, (rows, columns), 37.0);
    }
}

/// Every number of a structure.
fn each<R: Real>(of: &mut Owned<R>, mut change: impl FnMut(&mut R)) {
    match of {
        Owned::Scalar(scale) => change(scale),
        Owned::Rows(values) | Owned::Diagonal(values) | Owned::InputCovariance(values) | Owned::Dense(values) => {
            values.iter_mut().for_each(change)
        }
        // One side, or the product would leave the range twice.
        Owned::Kronecker(values, _) | Owned::LowRank(values, _) => values.iter_mut().for_each(change),
    }
}
