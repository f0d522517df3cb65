//! Promises 9 and 12: lengths, shapes, weights and every number are looked at before anything is written, and named.

use fisher_merge::{
    Damping, DampingMean, Defect, Density, Error, LinearFault, Role, Structure, StructureMut, StructuredMerge, StructuredPosterior,
    merged_precision,
};

use crate::kit::*;

const SHAPE: Shape = (2, 3);
const N: usize = 6;

fn two(kind: usize) -> [Part<f64>; 2] {
    let mut random = Random(kind as u64);
    [Part::random(&mut random, kind, SHAPE, 10.0), Part::random(&mut random, kind, SHAPE, 10.0)]
}

/// The error of a merge that must leave its output alone.
fn refusal(merge: StructuredMerge<'_, f64>, parts: &[Part<f64>]) -> Error {
    let factors = factors(parts);
    let (mut out, mut scratch) = (vec![7.0; parts[0].mean.len()], vec![0.0; 10_000]);
    let error = merge.tensor(4).run(&factors, &mut out, &mut scratch).unwrap_err();
    assert!(out.iter().all(|&value| value == 7.0), "{error}");
    error
}

/// Numbers of a structure that a test may spoil: the slice by its number.
fn spoil(of: &mut Owned<f64>, slice: usize, index: usize, value: f64) -> bool {
    let slices: Vec<&mut [f64]> = match of {
        Owned::Scalar(scale) => vec![core::slice::from_mut(scale)],
        Owned::Rows(values) | Owned::Diagonal(values) | Owned::InputCovariance(values) | Owned::Dense(values) => vec![values],
        Owned::Kronecker(g, a) => vec![g, a],
        Owned::LowRank(diagonal, factor) => vec![diagonal, factor],
    };
    let entry = slices.into_iter().nth(slice).and_then(|values| values.get_mut(index));
    entry.is_some_and(|entry| {
        *entry = value;
        true
    })
}

#[test]
fn promise_12_every_bad_number_is_named() {
    let (bad, base) = ([(f64::NAN, Defect::Nan), (f64::INFINITY, Defect::Infinite), (f64::NEG_INFINITY, Defect::Infinite)], [0.0; N]);
    let mut spoilt = 0;
    for kind in 0..KINDS {
        for model in 0..2 {
            for (value, defect) in bad {
                for at in 0..N {
                    let mut parts = two(kind);
                    parts[model].mean[at] = value;
                    let expected = Error::BadNumber { tensor: 4, model, role: Role::Mean, index: at, defect };
                    assert_eq!(refusal(StructuredMerge::new(), &parts), expected);
                    assert_eq!(refusal(StructuredMerge::new().base(&base, Structure::Scalar(1.0)), &parts), expected);
                }
                for (slice, at) in (0..2).flat_map(|slice| (0..N * N).map(move |at| (slice, at))) {
                    let mut parts = two(kind);
                    if spoil(&mut parts[model].precision, slice, at, value) {
                        let expected = Error::BadNumber { tensor: 4, model, role: Role::Precision, index: at, defect };
                        assert_eq!(refusal(StructuredMerge::new(), &parts), expected);
                        let factors = factors(&parts);
                        let mut out = [7.0; N];
                        let refused = merged_precision(&factors, Damping::default(), StructureMut::Diagonal(&mut out));
                        assert_eq!(
                            (refused, out),
                            (Err(Error::BadNumber { tensor: 0, model, role: Role::Precision, index: at, defect }), [7.0; N])
                        );
                        let posterior = parts[model].posterior();
                        let (mut memory, mut scratch) = (vec![0.0; Density::memory(&posterior)], vec![0.0; Density::scratch(&posterior)]);
                        let refused = Density::new(posterior, &mut memory, &mut scratch).map(|_| ());
                        assert_eq!(refused, Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index: at, defect }));
                        spoilt += 1;
                    }
                }
            }
            // Negative: diagonals of matrices, everything else but columns of a low rank.
            let mut parts = two(kind);
            assert!(spoil(&mut parts[model].precision, 0, 0, -1e-3));
            let expected = Error::BadNumber { tensor: 4, model, role: Role::Precision, index: 0, defect: Defect::Negative };
            assert_eq!(refusal(StructuredMerge::new(), &parts), expected);
        }
    }
    assert!(spoilt > 400);
}

#[test]
fn promise_12_bad_weights_dampings_and_priors_are_named() {
    for kind in 0..KINDS {
        for (value, defect) in [(f64::NAN, Defect::Nan), (f64::INFINITY, Defect::Infinite), (-0.5, Defect::Negative)] {
            let mut parts = two(kind);
            parts[1].weight = value;
            assert_eq!(refused_before(StructuredMerge::new(), &parts), Error::BadWeight { model: 1, defect });
            let parts = two(kind);
            for damping in [Damping::all(value), {
                let mut damping = Damping::default();
                damping.dense = value;
                damping
            }] {
                assert_eq!(refused_before(StructuredMerge::new().damping(damping), &parts), Error::BadDamping { defect });
                let mut out = [7.0; N];
                assert_eq!(
                    merged_precision(&factors(&parts), damping, StructureMut::Diagonal(&mut out)),
                    Err(Error::BadDamping { defect })
                );
            }
            if defect != Defect::Negative {
                let mut given = [0.0; N];
                given[2] = value;
                let expected = Error::BadNumber { tensor: 4, model: 0, role: Role::PriorMean, index: 2, defect };
                assert_eq!(refusal(StructuredMerge::new().damping_mean(DampingMean::Given(&given)), &parts), expected);
                assert_eq!(refusal(StructuredMerge::new().base(&given, Structure::Scalar(1.0)), &parts), expected);
            }
            let expected = Error::BadNumber { tensor: 4, model: 0, role: Role::Precision, index: 0, defect };
            assert_eq!(refusal(StructuredMerge::new().base(&[0.0; N], Structure::Scalar(value)), &parts), expected);
        }
        let mut parts = two(kind);
        parts.iter_mut().for_each(|part| part.weight = 0.0);
        assert_eq!(refused_before(StructuredMerge::new(), &parts), Error::AllWeightsZero);
        assert_eq!(Error::BadDamping { defect: Defect::Nan }.code(), 18);
    }
}

/// By the scratch's size already.
fn refused_before(merge: StructuredMerge<'_, f64>, parts: &[Part<f64>]) -> Error {
    let error = refusal(merge, parts);
    assert_eq!(merge.scratch(&factors(parts)), Err(error));
    error
}

#[test]
fn promise_12_asymmetric_and_impossible_matrices_are_named() {
    for (kind, slice, n) in [(INPUTS, 0, 3), (KRONECKER, 0, 2), (KRONECKER, 1, 3), (DENSE, 0, 6)] {
        let mut parts = two(kind);
        let last = n * (n - 1);
        spoil(&mut parts[1].precision, slice, last, 0.7);
        let row = n - 1;
        assert_eq!(
            refusal(StructuredMerge::new(), &parts),
            Error::NotSolved { tensor: 4, fault: LinearFault::NotSymmetric { row, column: 0 } }
        );
        // Larger than its row and column together.
        spoil(&mut parts[1].precision, slice, last, 50.0);
        spoil(&mut parts[1].precision, slice, row, 50.0);
        let expected = Error::NotSolved { tensor: 4, fault: LinearFault::NotPositiveDefinite { pivot: row } };
        assert_eq!(refusal(StructuredMerge::new(), &parts), expected);
        // Rounding errors of sums in single precision are none.
        let mut parts = two(kind);
        let Some(entry) = entry(&parts[1].precision, slice, last) else { unreachable!() };
        spoil(&mut parts[1].precision, slice, last, entry * (1.0 + 1e-6));
        assert!(run(&StructuredMerge::new(), &parts).is_ok());
    }
}

fn entry(of: &Owned<f64>, slice: usize, index: usize) -> Option<f64> {
    match of {
        Owned::Kronecker(g, a) => [g, a][slice].get(index).copied(),
        Owned::InputCovariance(values) | Owned::Dense(values) => values.get(index).copied(),
        _ => None,
    }
}

#[test]
fn promise_09_lengths_and_shapes_come_first() {
    let mean = [1.0; N];
    for (structure, expected, found) in [
        (Structure::Rows(&mean[..0]), 2, 0),
        (Structure::Rows(&mean[..3]), 2, 3),
        (Structure::Diagonal(&mean[..5]), 6, 5),
        (Structure::InputCovariance(&mean), 9, 6),
        (Structure::Kronecker { outputs: &mean[..3], inputs: &mean }, 4, 3),
        (Structure::Kronecker { outputs: &mean[..4], inputs: &mean }, 9, 6),
        (Structure::Dense(&mean), 36, 6),
        (Structure::LowRank { diagonal: &mean[..5], factor: &[] }, 6, 5),
        (Structure::LowRank { diagonal: &mean, factor: &[1.0; 7] }, 6, 7),
    ] {
        let refused = StructuredPosterior::new(&mean, SHAPE, structure).map(|_| ());
        assert_eq!(refused, Err(Error::Length { tensor: 0, model: 0, role: Role::Precision, expected, found }));
        // As a prior it names the tensor.
        let merge = StructuredMerge::new().base(&mean, structure);
        let expected = Error::Length { tensor: 4, model: 0, role: Role::Precision, expected, found };
        assert_eq!(refused_before(merge.tensor(4), &two(DIAGONAL)), expected);
    }
    let refused = StructuredPosterior::new(&mean, (3, 3), Structure::Scalar(1.0)).map(|_| ());
    assert_eq!(refused, Err(Error::Length { tensor: 0, model: 0, role: Role::Mean, expected: 9, found: 6 }));
    assert!(StructuredPosterior::new(&mean, (usize::MAX, usize::MAX), Structure::Scalar(1.0)).is_err());
    for kind in 0..KINDS {
        let parts = two(kind);
        let short = [0.0; N - 1];
        let expected = Error::Length { tensor: 4, model: 0, role: Role::PriorMean, expected: N, found: N - 1 };
        let merge = StructuredMerge::new().tensor(4);
        assert_eq!(refused_before(merge.damping_mean(DampingMean::Given(&short)), &parts), expected);
        assert_eq!(refused_before(merge.base(&short, Structure::Scalar(1.0)), &parts), expected);
        // The transposed shape holds as many numbers.
        let mut random = Random(1);
        let mixed = [parts[0].clone(), Part::random(&mut random, kind, (3, 2), 10.0)];
        assert_eq!(refused_before(merge, &mixed), Error::NotSolved { tensor: 4, fault: LinearFault::Shape { expected: 2, found: 3 } });
        output_and_scratch(&parts);
    }
    assert_eq!(StructuredMerge::<f64>::new().run(&[], &mut [], &mut []), Err(Error::NoModels));
    assert_eq!(merged_precision::<f64>(&[], Damping::default(), StructureMut::Dense(&mut [])), Err(Error::NoModels));
}

fn output_and_scratch(parts: &[Part<f64>]) {
    let (merge, factors) = (StructuredMerge::new().tensor(4), factors(parts));
    let needed = merge.scratch(&factors).unwrap();
    let mut scratch = vec![0.0; needed];
    for found in [N - 1, N + 1] {
        let mut out = vec![7.0; found];
        let refused = merge.run(&factors, &mut out, &mut scratch);
        assert_eq!(refused, Err(Error::Length { tensor: 4, model: 0, role: Role::MeanOut, expected: N, found }));
        assert!(out.iter().all(|&value| value == 7.0));
    }
    let mut out = [7.0; N];
    for found in [0, 1, needed - 1] {
        assert_eq!(merge.run(&factors, &mut out, &mut scratch[..found]), Err(Error::Scratch { needed, found }));
    }
    assert_eq!(out, [7.0; N]);
}

#[test]
fn promise_09_outputs_of_a_precision_are_compared() {
    for kind in 0..KINDS {
        let parts = two(kind);
        let (factors, mut out, mut other) = (factors(&parts), [7.0; 35], [7.0; 9]);
        let refused = |out: StructureMut<'_, f64>| merged_precision(&factors, Damping::default(), out).unwrap_err();
        let shape = |expected, found| Error::NotSolved { tensor: 0, fault: LinearFault::Shape { expected, found } };
        assert_eq!(refused(StructureMut::Diagonal(&mut out)), shape(6, 35));
        assert_eq!(refused(StructureMut::Dense(&mut out)), shape(36, 35));
        assert_eq!(refused(StructureMut::InputCovariance(&mut out)), shape(9, 35));
        assert_eq!(refused(StructureMut::Kronecker { outputs: &mut out, inputs: &mut other }), shape(4, 35));
        assert_eq!(refused(StructureMut::Kronecker { outputs: &mut out[..4], inputs: &mut other[..8] }), shape(9, 8));
        let foreign = Error::NotSolved { tensor: 0, fault: LinearFault::Structure { model: 0 } };
        if [ROWS, DIAGONAL, KRONECKER, DENSE, LOW_RANK].contains(&kind) {
            assert_eq!(refused(StructureMut::InputCovariance(&mut other)), foreign);
        }
        if [DIAGONAL, DENSE, LOW_RANK].contains(&kind) {
            assert_eq!(refused(StructureMut::Kronecker { outputs: &mut out[..4], inputs: &mut other }), foreign);
        }
        assert!(out.iter().chain(&other).all(|&value| value == 7.0));
    }
}

/// Precisions below the range have no answer that is right; not that of the first model.
#[test]
fn promise_12_what_the_range_loses_is_refused() {
    let tiny = |n: usize| (0..n * n).map(|at| if at % (n + 1) == 0 { 1e-25_f32 } else { 0.0 }).collect::<Vec<f32>>();
    let part = |x: f32| Part { mean: vec![x; N], shape: SHAPE, precision: Owned::Kronecker(tiny(2), tiny(3)), weight: 0.5 };
    let refused = run(&StructuredMerge::new(), &[part(1.0), part(2.0)]);
    assert!(matches!(refused, Err(Error::NotSolved { fault: LinearFault::NotPositiveDefinite { .. }, .. })), "{refused:?}");
    assert_eq!(run(&StructuredMerge::new(), &[part(1.0), part(1.0)]).unwrap().0, [1.0; N]);
}
