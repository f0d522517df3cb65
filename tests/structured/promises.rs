//! The promises, for every structure: 1 own bits, 2 hull, 3 end points, 4 no evidence, 7 algebra, 8 same bits.

use fisher_merge::{BuiltIn, Damping, DampingMean, Method, Real, Shell, StructureMut, StructuredMerge, merged_precision};
use proptest::prelude::*;

use crate::common::tolerance;
use crate::kit::*;

fn parts<R: Real>(random: &mut Random, kinds: &[usize], shape: Shape, condition: f64) -> Vec<Part<R>> {
    kinds.iter().map(|&kind| Part::random(random, kind, shape, condition)).collect()
}

fn all_means<R>(given: &[R]) -> [DampingMean<'_, R>; 3] {
    [DampingMean::Own, DampingMean::Average, DampingMean::Given(given)]
}

/// Two merges of the same, fixed ones relative to the mean, random ones relative to what cancels in it.
fn same(reference: &Reference, one: &[f64], two: &[f64], fixed: bool) {
    let error = if fixed { relative(&twice(one), two) } else { reference.apart(&twice(one), two) };
    assert!(error <= 2.0 * tolerance::WOODBURY.of::<f64>(100.0), "{error:e}");
}

/// Models in the other order.
fn orders(seed: u64, kinds: &[usize], shape: Shape, fixed: bool) {
    let mut parts: Vec<Part<f64>> = parts(&mut Random(seed), kinds, shape, 100.0);
    let merge = StructuredMerge::new().stop(1e-15, 2000);
    let (one, _) = run(&merge, &parts).unwrap();
    let reference = Reference::of(&parts, Damping::default(), DampingMean::Own, None);
    parts.reverse();
    let (two, _) = run(&merge, &parts).unwrap();
    same(&reference, &one, &two, fixed);
}

/// Two in one, with its precision, then the third: as all three at once.
fn chains(seed: u64, kind: usize, shape: Shape, fixed: bool) {
    let mut parts: Vec<Part<f64>> = parts(&mut Random(seed), &[kind; 3], shape, 100.0);
    if kind == KRONECKER {
        // Closed where one factor is common.
        let Owned::Kronecker(_, inputs) = parts[0].precision.clone() else { unreachable!() };
        parts.iter_mut().for_each(|part| {
            if let Owned::Kronecker(_, own) = &mut part.precision {
                own.clone_from(&inputs)
            }
        });
    }
    let none = Damping::all(0.0);
    let merge = StructuredMerge::new().damping(none).stop(1e-15, 2000);
    let (all, _) = run(&merge, &parts).unwrap();
    let (mean, _) = run(&merge, &parts[..2]).unwrap();
    let precision = merged(&parts[..2], none, shape);
    let pair = [Part { mean, shape, precision, weight: 1.0 }, parts[2].clone()];
    let (chained, _) = run(&merge, &pair).unwrap();
    same(&Reference::of(&parts, none, DampingMean::Own, None), &all, &chained, fixed);
}

/// The same examples in every run.
#[test]
fn promise_07_fixed_examples_agree_sharply() {
    for seed in 0..200 {
        let mut random = Random(1000 + seed);
        let kinds: Vec<usize> = (0..2 + random.below(5)).map(|_| random.below(KINDS)).collect();
        let shape = (1 + random.below(6), 1 + random.below(6));
        orders(seed, &kinds, shape, true);
        chains(seed, random.below(6), shape, true);
    }
}

proptest! {
    #![proptest_config(crate::common::generators::cases(60))]

    #[test]
    fn promise_01_equal_models_keep_their_bits(seed: u64, kinds in prop::collection::vec(0..KINDS, 1..=4), rows in 1..9_usize, columns in 1..9_usize) {
        fn check<R: Real>(seed: u64, kinds: &[usize], shape: Shape) {
            let mut random = Random(seed);
            let mut parts: Vec<Part<R>> = parts(&mut random, kinds, shape, 10.0);
            let mut mean: Vec<R> = parts[0].mean.clone();
            mean[0] = -R::ZERO;
            mean.iter_mut().skip(2).step_by(3).for_each(|value| *value = *value * R::from_f64(1e-30));
            parts.iter_mut().for_each(|part| part.mean.clone_from(&mean));
            for around in all_means(&mean) {
                for damping in [Damping::default(), Damping::all(R::ZERO)] {
                    let merge = StructuredMerge::new().damping(damping).damping_mean(around);
                    let (found, solved) = run(&merge, &parts).unwrap();
                    assert_eq!(bits(&found), bits(&mean), "{solved:?}");
                    // Around itself as a base as well.
                    let based = merge.base(&mean, parts[0].precision.structure());
                    assert_eq!(bits(&run(&based, &parts).unwrap().0), bits(&mean));
                }
            }
        }
        check::<f64>(seed, &kinds, (rows, columns));
        check::<f32>(seed, &kinds, (rows, columns));
    }

    #[test]
    fn promise_02_elements_stay_in_the_hull(seed: u64, kinds in prop::collection::vec(0..3_usize, 1..=6), rows in 1..9_usize, columns in 1..9_usize) {
        let parts: Vec<Part<f32>> = parts(&mut Random(seed), &kinds, (rows, columns), 1e8);
        let (found, _) = run(&StructuredMerge::new(), &parts).unwrap();
        for (index, &value) in found.iter().enumerate() {
            let values = parts.iter().map(|part| part.mean[index]);
            let (least, greatest) = (values.clone().fold(f32::INFINITY, f32::min), values.fold(f32::NEG_INFINITY, f32::max));
            prop_assert!((least..=greatest).contains(&value));
        }
    }

    /// The only evidence, or the only weight, wherever it stands.
    #[test]
    fn promise_03_end_points_come_back(seed: u64, kinds in prop::collection::vec(0..KINDS, 2..=5), at in 0..5_usize, rows in 1..7_usize, columns in 1..7_usize) {
        let mut random = Random(seed);
        let at = at % kinds.len();
        let whole: Vec<Part<f64>> = parts(&mut random, &kinds, (rows, columns), 100.0);
        let (mut sole, mut weighted) = (whole.clone(), whole.clone());
        for (_, part) in sole.iter_mut().enumerate().filter(|(index, _)| *index != at) {
            part.precision = zero(&part.precision, random.below(2) == 0);
        }
        weighted.iter_mut().enumerate().filter(|(index, _)| *index != at).for_each(|(_, part)| part.weight = 0.0);
        for damping in [Damping::default(), Damping::all(0.0)] {
            for parts in [&sole, &weighted] {
                let (found, solved) = run(&StructuredMerge::new().damping(damping), parts).unwrap();
                prop_assert_eq!(bits(&found), bits(&whole[at].mean), "{:?}", solved);
                prop_assert_eq!(solved.no_evidence, 0);
            }
        }
        // A weight of zero hides everything, numbers that would be refused as well, and is no target.
        weighted[(at + 1) % kinds.len()].mean[0] = f64::NAN;
        prop_assert_eq!(bits(&run(&StructuredMerge::new(), &weighted).unwrap().0), bits(&whole[at].mean));
    }

    #[test]
    fn promise_07_orders_agree(seed: u64, kinds in prop::collection::vec(0..KINDS, 2..=6), rows in 1..7_usize, columns in 1..7_usize) {
        orders(seed, &kinds, (rows, columns), false);
    }

    #[test]
    fn promise_07_merges_chain(seed: u64, kind in 0..6_usize, rows in 1..7_usize, columns in 1..7_usize) {
        chains(seed, kind, (rows, columns), false);
    }

    #[test]
    fn promise_08_shells_agree(seed: u64, kinds in prop::collection::vec(0..KINDS, 2..=4), rows in 1..12_usize, columns in 1..12_usize) {
        fn check<R: Real>(seed: u64, kinds: &[usize], shape: Shape) {
            let parts: Vec<Part<R>> = parts(&mut Random(seed), kinds, shape, 100.0);
            let (first, solved) = run(&StructuredMerge::new(), &parts).unwrap();
            for shell in Shell::available() {
                let merge = StructuredMerge::new().product(BuiltIn::in_shell(shell)).shell(shell);
                let (found, other) = run(&merge, &parts).unwrap();
                assert_eq!((bits(&found), other), (bits(&first), solved), "{shell:?}");
            }
        }
        check::<f64>(seed, &kinds, (rows, columns));
        check::<f32>(seed, &kinds, (rows, columns));
    }
}

/// Blocks of every size in every solver.
#[test]
fn promise_08_shells_agree_on_large_layers() {
    for kinds in [&[KRONECKER, KRONECKER][..], &[KRONECKER; 3], &[INPUTS; 3], &[KRONECKER, DIAGONAL]] {
        let parts: Vec<Part<f64>> = parts(&mut Random(3), kinds, (70, 97), 1e3);
        let results: Vec<_> = Shell::available()
            .map(|shell| {
                let merge = StructuredMerge::new().product(BuiltIn::in_shell(shell)).shell(shell).stop(1e-10, 30);
                let (found, solved) = run(&merge, &parts).unwrap();
                (bits(&found), solved)
            })
            .collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{kinds:?}");
    }
}

/// The same kind without any evidence; of a product one side may be left.
fn zero(of: &Owned<f64>, one_side: bool) -> Owned<f64> {
    let nothing = |values: &[f64]| vec![0.0; values.len()];
    match of {
        Owned::Scalar(_) => Owned::Scalar(0.0),
        Owned::Rows(values) => Owned::Rows(nothing(values)),
        Owned::Diagonal(values) => Owned::Diagonal(nothing(values)),
        Owned::InputCovariance(values) => Owned::InputCovariance(nothing(values)),
        Owned::Kronecker(g, a) if one_side => Owned::Kronecker(g.clone(), nothing(a)),
        Owned::Kronecker(g, a) => Owned::Kronecker(nothing(g), a.clone()),
        Owned::Dense(values) => Owned::Dense(nothing(values)),
        Owned::LowRank(diagonal, factor) => Owned::LowRank(nothing(diagonal), nothing(factor)),
    }
}

/// The precision of a merge, in the structure that is closed.
fn merged(parts: &[Part<f64>], damping: Damping<f64>, (rows, columns): Shape) -> Owned<f64> {
    let (factors, n) = (factors(parts), rows * columns);
    let blank = |n: usize| vec![f64::NAN; n];
    match parts[0].precision {
        Owned::Scalar(_) | Owned::Rows(_) | Owned::Diagonal(_) | Owned::LowRank(..) => {
            let mut out = blank(n);
            assert_eq!(merged_precision(&factors, damping, StructureMut::Diagonal(&mut out)), Ok(0.0));
            Owned::Diagonal(out)
        }
        Owned::InputCovariance(_) => {
            let mut out = blank(columns * columns);
            assert_eq!(merged_precision(&factors, damping, StructureMut::InputCovariance(&mut out)), Ok(0.0));
            Owned::InputCovariance(out)
        }
        Owned::Kronecker(..) => {
            let (mut g, mut a) = (blank(rows * rows), blank(columns * columns));
            let distance = merged_precision(&factors, damping, StructureMut::Kronecker { outputs: &mut g, inputs: &mut a }).unwrap();
            assert!(distance < 1e-7, "{distance:e}");
            Owned::Kronecker(g, a)
        }
        Owned::Dense(_) => {
            let mut out = blank(n * n);
            assert_eq!(merged_precision(&factors, damping, StructureMut::Dense(&mut out)), Ok(0.0));
            Owned::Dense(out)
        }
    }
}

/// Dead inputs and outputs: a zero row and column in the factor of every model. What they reach falls to the prior's mean.
#[test]
fn promise_04_dead_inputs_and_outputs_fall_to_the_prior() {
    let (shape, dead_output, dead_input) = ((4, 5), 1, 3);
    for kind in [KRONECKER, INPUTS] {
        for models in 2..=4 {
            let mut parts: Vec<Part<f64>> = parts(&mut Random(models as u64), &vec![kind; models], shape, 10.0);
            for part in &mut parts {
                match &mut part.precision {
                    Owned::Kronecker(g, a) => (kill(g, 4, dead_output), kill(a, 5, dead_input)),
                    Owned::InputCovariance(a) => ((), kill(a, 5, dead_input)),
                    _ => unreachable!(),
                };
            }
            let given: Vec<f64> = Random(9).numbers(20);
            for around in all_means(&given) {
                let (found, _) = run(&StructuredMerge::new().damping_mean(around).stop(1e-15, 1000), &parts).unwrap();
                for at in 0..20 {
                    let hull =
                        |of: &dyn Fn(&Part<f64>) -> f64| parts.iter().map(of).fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
                    let (least, greatest) = hull(&|part| part.mean[at]);
                    let both = at / 5 == dead_output && at % 5 == dead_input;
                    let any = at % 5 == dead_input;
                    let weights: f64 = parts.iter().map(|part| part.weight).sum();
                    let average = parts.iter().map(|part| part.weight * part.mean[at]).sum::<f64>() / weights;
                    match around {
                        // Damping alone: of all models alike, but for the sizes of their factors.
                        DampingMean::Own if both => assert!(found[at] >= least - 1e-12 && found[at] <= greatest + 1e-12),
                        DampingMean::Average if any => assert!((found[at] - average).abs() < 1e-12, "{} {average}", found[at]),
                        DampingMean::Given(_) if any => assert!((found[at] - given[at]).abs() < 1e-12),
                        _ => assert!(found[at].abs() > 1e-9),
                    }
                }
            }
            // Without damping there is no answer, and a policy that finds one says what it added.
            let merge = StructuredMerge::new().damping(Damping::all(0.0));
            assert!(run(&merge, &parts).is_err());
            let (found, solved) = run(&merge.repair(fisher_merge::Repair::Raise), &parts).unwrap();
            assert!(solved.repaired > 0.0 && solved.repaired < 1e-3 && found.iter().all(|value| value.abs() > 1e-9), "{solved:?}");
        }
    }
}

fn kill(matrix: &mut [f64], n: usize, dead: usize) {
    (0..n).for_each(|i| (matrix[i * n + dead], matrix[dead * n + i]) = (0.0, 0.0));
}

/// Nobody knows anything: the target, the first model of positive weight, stays, and all elements are counted.
#[test]
fn promise_04_whole_zeros_keep_the_target() {
    for kind in 0..KINDS {
        for other in 0..KINDS {
            let mut random = Random(kind as u64);
            let mut parts: Vec<Part<f64>> = parts(&mut random, &[kind, other, kind], (3, 4), 10.0);
            parts[0].weight = 0.0;
            parts.iter_mut().for_each(|part| part.precision = zero(&part.precision, random.below(2) == 0));
            let (found, solved) = run(&StructuredMerge::new(), &parts).unwrap();
            assert_eq!(bits(&found), bits(&parts[1].mean));
            assert_eq!((solved.no_evidence, solved.residual), (12, 0.0));
        }
    }
}

/// Zero structures beside scalars: no evidence, where one of their sides is not zero either.
#[test]
fn promise_04_zero_products_are_no_evidence_beside_scalars() {
    for kind in [INPUTS, KRONECKER, DENSE, LOW_RANK, DIAGONAL] {
        for one_side in [false, true] {
            let mut parts: Vec<Part<f64>> = parts(&mut Random(1), &[kind, SCALAR, ROWS], (3, 4), 10.0);
            let (alone, _) = run(&StructuredMerge::new(), &parts[1..]).unwrap();
            parts[0].precision = zero(&parts[0].precision, one_side);
            let (found, solved) = run(&StructuredMerge::new(), &parts).unwrap();
            assert_eq!((bits(&found), solved.method), (bits(&alone), Method::ElementWise));
        }
    }
    // Elements that nobody knows keep the target's mean, counted, beside others.
    let mut parts: Vec<Part<f64>> = parts(&mut Random(1), &[DIAGONAL, DIAGONAL], (3, 4), 10.0);
    parts.iter_mut().for_each(|part| {
        if let Owned::Diagonal(values) = &mut part.precision {
            values[5] = 0.0
        }
    });
    let (found, solved) = run(&StructuredMerge::new(), &parts).unwrap();
    assert_eq!((found[5].to_bits(), solved.no_evidence), (parts[0].mean[5].to_bits(), 1));
}
