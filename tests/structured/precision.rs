//! The precision of a merge: exact where sums are closed, the nearest Kronecker product where not.

use fisher_merge::{Damping, StructureMut, merged_precision};
use proptest::prelude::*;

use crate::kit::*;
use crate::twice::{Twice, norm};

fn sum(parts: &[Part<f64>], damping: Damping<f64>) -> Vec<Twice> {
    let n = parts[0].mean.len();
    let mut sum = vec![Twice::ZERO; n * n];
    for part in parts {
        let dense = part.precision.dense(part.shape, damping);
        sum.iter_mut().zip(dense).for_each(|(sum, entry)| *sum = *sum + Twice::of(part.weight) * entry);
    }
    sum
}

/// `‖sum − G⊗A‖/‖sum‖`
fn distance(sum: &[Twice], g: &[f64], a: &[f64], shape: Shape) -> f64 {
    let product = Owned::Kronecker(g.to_vec(), a.to_vec()).dense(shape, Damping::all(0.0));
    norm(&sum.iter().zip(&product).map(|(&a, &b)| a - b).collect::<Vec<_>>()) / norm(sum)
}

/// A Kronecker product's own factors, or those that a structure is the product of.
fn sides(of: &Owned<f64>, (rows, columns): Shape) -> (Vec<f64>, Vec<f64>) {
    let diagonal =
        |n: usize, entry: &dyn Fn(usize) -> f64| (0..n * n).map(|at| if at % (n + 1) == 0 { entry(at / n) } else { 0.0 }).collect();
    match of {
        Owned::Kronecker(g, a) => (g.clone(), a.clone()),
        Owned::InputCovariance(a) => (diagonal(rows, &|_| 1.0), a.clone()),
        Owned::Scalar(scale) => (diagonal(rows, &|_| *scale), diagonal(columns, &|_| 1.0)),
        Owned::Rows(values) => (diagonal(rows, &|row| values[row * values.len() / rows]), diagonal(columns, &|_| 1.0)),
        other => panic!("{other:?} is no product"),
    }
}

fn project(parts: &[Part<f64>], damping: Damping<f64>) -> (Vec<f64>, Vec<f64>, f64) {
    let (rows, columns) = parts[0].shape;
    let (mut g, mut a) = (vec![f64::NAN; rows * rows], vec![f64::NAN; columns * columns]);
    let told = merged_precision(&factors(parts), damping, StructureMut::Kronecker { outputs: &mut g, inputs: &mut a }).unwrap();
    (g, a, told)
}

proptest! {
    #![proptest_config(crate::common::generators::cases(150))]

    #[test]
    fn closed_sums_are_exact(seed: u64, kinds in prop::collection::vec(0..KINDS, 1..=4), damped: bool, rows in 1..7_usize, columns in 1..7_usize) {
        let mut random = Random(seed);
        let parts: Vec<Part<f64>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, (rows, columns), 100.0)).collect();
        let damping = if damped { Damping::default() } else { Damping::all(0.0) };
        let (expected, n) = (sum(&parts, damping), rows * columns);
        let close = |found: f64, expected: Twice| (found - expected.near()).abs() < 1e-14 * (1.0 + 10.0 * expected.near().abs());
        let mut out = vec![f64::NAN; n * n];
        merged_precision(&factors(&parts), damping, StructureMut::Dense(&mut out)).unwrap();
        prop_assert!(out.iter().zip(&expected).all(|(&found, &expected)| close(found, expected)));
        let mut out = vec![f64::NAN; n];
        merged_precision(&factors(&parts), damping, StructureMut::Diagonal(&mut out)).unwrap();
        prop_assert!(out.iter().enumerate().all(|(i, &found)| close(found, expected[i * n + i])));
        let mut out = vec![f64::NAN; columns * columns];
        if merged_precision(&factors(&parts), damping, StructureMut::InputCovariance(&mut out)).is_ok() {
            prop_assert!(kinds.iter().all(|&kind| kind == SCALAR || kind == INPUTS));
            prop_assert!((0..columns * columns).all(|at| close(out[at], expected[at / columns * n + at % columns])));
        }
    }

    /// No worse than any of the terms, each times the best factor for the whole sum, and than adding factor by factor; the distance is told truly.
    #[test]
    fn projections_are_the_nearest(seed: u64, kinds in prop::collection::vec(prop::sample::select(vec![SCALAR, ROWS, INPUTS, KRONECKER]), 1..=5), damped: bool, rows in 1..7_usize, columns in 1..7_usize) {
        let (mut random, shape) = (Random(seed), (rows, columns));
        let parts: Vec<Part<f64>> = kinds.iter().map(|&kind| Part::random(&mut random, kind, shape, 100.0)).collect();
        let damping = if damped { Damping::default() } else { Damping::all(0.0) };
        let whole = sum(&parts, damping);
        let (g, a, told) = project(&parts, damping);
        let found = distance(&whole, &g, &a, shape);
        prop_assert!((found - told).abs() < 1e-7, "{} {}", found, told);
        let (mut sum_g, mut sum_a) = (vec![0.0; rows * rows], vec![0.0; columns * columns]);
        let mut rivals: Vec<(Vec<f64>, Vec<f64>)> = parts.iter().map(|part| sides(&part.precision, shape)).collect();
        for (part, (g, a)) in parts.iter().zip(&rivals) {
            sum_g.iter_mut().zip(g).for_each(|(sum, g)| *sum += part.weight * g);
            sum_a.iter_mut().zip(a).for_each(|(sum, a)| *sum += part.weight * a);
        }
        rivals.push((sum_g, sum_a));
        for (g, a) in rivals {
            let product = Owned::Kronecker(g.clone(), a.clone()).dense(shape, Damping::all(0.0));
            let dot = |x: &[Twice], y: &[Twice]| x.iter().zip(y).map(|(x, y)| x.near() * y.near()).sum::<f64>();
            let share = dot(&whole, &product) / dot(&product, &product);
            let scaled: Vec<f64> = g.iter().map(|g| g * share).collect();
            let rival = distance(&whole, &scaled, &a, shape);
            prop_assert!(found <= rival + 1e-9, "{} {}", found, rival);
        }
        // A stationary point: no step of either factor is nearer.
        for _ in 0..8 {
            let step = |random: &mut Random, of: &[f64]| -> Vec<f64> { of.iter().map(|x| x * (1.0 + 1e-3 * random.signed())).collect() };
            let (other_g, other_a) = (step(&mut random, &g), step(&mut random, &a));
            prop_assert!(distance(&whole, &other_g, &a, shape) >= found - 1e-9 && distance(&whole, &g, &other_a, shape) >= found - 1e-9);
        }
        // Positive semidefinite, symmetric.
        for (matrix, n) in [(&g, rows), (&a, columns)] {
            prop_assert!((0..n * n).all(|at| matrix[at] == matrix[at % n * n + at / n] && matrix[at / n * (n + 1)] > 0.0));
        }
    }

    #[test]
    fn one_common_factor_is_exact(seed: u64, models in 1..=5_usize, left: bool, rows in 1..7_usize, columns in 1..7_usize) {
        let (mut random, shape) = (Random(seed), (rows, columns));
        let mut parts: Vec<Part<f64>> = (0..models).map(|_| Part::random(&mut random, KRONECKER, shape, 100.0)).collect();
        let common = sides(&parts[0].precision, shape);
        for part in &mut parts {
            let Owned::Kronecker(g, a) = &mut part.precision else { unreachable!() };
            if left { g.clone_from(&common.0) } else { a.clone_from(&common.1) }
        }
        let (g, a, told) = project(&parts, Damping::all(0.0));
        let found = distance(&sum(&parts, Damping::all(0.0)), &g, &a, shape);
        prop_assert!(found < 1e-14 && told < 1e-7, "{:e} {:e}", found, told);
    }
}

/// A sum of one side of sizes that squares lose.
#[test]
fn sizes_do_not_matter() {
    let mut random = Random(5);
    let parts: Vec<Part<f64>> = (0..3).map(|_| Part::random(&mut random, KRONECKER, (3, 4), 10.0)).collect();
    let (.., plain) = project(&parts, Damping::all(0.0));
    for exponent in [-600, -400, 400, 600] {
        let mut turned = parts.clone();
        for part in &mut turned {
            let Owned::Kronecker(g, _) = &mut part.precision else { unreachable!() };
            g.iter_mut().for_each(|value| *value *= 2f64.powi(exponent));
        }
        let (g, a, told) = project(&turned, Damping::all(0.0));
        assert!((told - plain).abs() < 1e-7, "{exponent}: {told} {plain}");
        let size = |values: &[f64]| values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let whole = size(&g) * size(&a) / 2f64.powi(exponent);
        assert!((0.01..100.0).contains(&whole), "{exponent}: {whole}");
    }
}
