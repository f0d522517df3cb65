//! What the algorithms take, in products of the `matrixmultiply` crate (through `ndarray`) in the same run and one thread:
//! `cargo test --release --lib linear -- --ignored --nocapture`. A merge of two Kronecker-factored models of one
//! square layer is two pairs and some ten products.

use std::eprintln;
use std::time::Instant;

use ndarray::Array2;
use ndarray::linalg::general_mat_mul;

use super::*;
use crate::linear::rotate::Batch;
use crate::linear::tridiagonal::Tridiagonal;
use crate::linear::{cholesky, eigen, pair, sweeps, triangular, tridiagonal};

/// Seconds of one call.
fn seconds(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64()
}

/// How many products of `matrixmultiply` a call takes, on its own copy of the matrix: the median over rounds of the ratio within a round.
/// And the seconds of that product.
fn products(rounds: usize, a: &[f64], n: usize, mut work: impl FnMut(&mut [f64])) -> (f64, f64) {
    let theirs = Array2::from_shape_vec((n, n), a.to_vec()).unwrap();
    let mut out = Array2::zeros((n, n));
    let mut found: Vec<(f64, f64)> = (0..rounds)
        .map(|_| {
            let mut copy = a.to_vec();
            let mut unit = || seconds(|| general_mat_mul(1.0, &theirs, &theirs, 0.0, &mut out));
            // One before and one after, since the machine is shared.
            let before = unit();
            let ours = seconds(|| work(&mut copy));
            let unit = 0.5 * (before + unit());
            (ours / unit, unit)
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found[rounds / 2]
}

fn square_of(values: &[f64], n: usize) -> Matrix<'_, f64> {
    Matrix::new(values, n, n).unwrap()
}

/// `G·Gᵀ + 1/100`.
fn symmetric_of(random: &mut Random, n: usize) -> Vec<f64> {
    let g = Array2::from_shape_vec((n, n), random.numbers(n * n)).unwrap();
    let mut a = g.dot(&g.t());
    (0..n).for_each(|i| a[(i, i)] += 0.01);
    a.into_raw_vec_and_offset().0
}

#[test]
#[ignore = "takes its time, and means something in a release build alone"]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn figures() {
    let product = BuiltIn::new();
    let with = tools(&product, Shell::detect());
    eprintln!("{:>5} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}", "n", "unit", "product", "cholesky", "solve", "eigen", "pair", "merge");
    for n in [256, 512, 1024] {
        let rounds = if n > 512 { 5 } else { 11 };
        let mut random = Random(n as u64);
        let a = symmetric_of(&mut random, n);
        let (mut out, mut values) = (vec![0.0; n * n], vec![0.0; n]);
        let mut room = vec![0.0; pair::scratch::<f64>(&product, n)];
        let ours = products(rounds, &a, n, |a| {
            let c = MatrixMut::new(&mut out, n, n).unwrap();
            product.multiply(1.0, square_of(a, n), square_of(a, n), 0.0, c, &mut room).unwrap();
        });
        let factor = products(rounds, &a, n, |a| cholesky::factorise(with, MatrixMut::new(a, n, n).unwrap(), &mut room).unwrap());
        let mut l = a.clone();
        cholesky::factorise(with, MatrixMut::new(&mut l, n, n).unwrap(), &mut room).unwrap();
        let solve = products(rounds, &a, n, |a| {
            let x = MatrixMut::new(a, n, n).unwrap();
            triangular::from_left(with, triangular::Solve::Plain, square_of(&l, n), x, &mut room).unwrap();
        });
        let eigen = products(rounds, &a, n, |a| {
            let (a, out) = (MatrixMut::new(a, n, n).unwrap(), MatrixMut::new(&mut out, n, n).unwrap());
            eigen::symmetric(with, a, &mut values, out, &mut room).unwrap();
        });
        let other = symmetric_of(&mut random, n);
        let pair = products(rounds, &a, n, |a| {
            let (mut a2, p) = (other.clone(), MatrixMut::new(&mut out, n, n).unwrap());
            let (a1, a2) = (MatrixMut::new(a, n, n).unwrap(), MatrixMut::new(&mut a2, n, n).unwrap());
            pair::diagonalise(with, a1, a2, &mut values, p, &mut room).unwrap();
        });
        let ([ours, factor, solve, eigen, pair], unit) = ([ours, factor, solve, eigen, pair].map(|(ratio, _)| ratio), ours.1);
        eprintln!(
            "{n:>5} {:>8.2}ms {ours:>9.2} {factor:>9.2} {solve:>9.2} {eigen:>9.2} {pair:>9.2} {:>9.2}",
            unit * 1e3,
            2.0 * pair + 10.0 * ours
        );
    }
}

#[test]
#[ignore = "as above"]
fn stages_of_the_eigensolver() {
    let product = BuiltIn::new();
    let with = tools(&product, Shell::detect());
    eprintln!("{:>5} {:>11} {:>11} {:>11}", "n", "reduce", "accumulate", "sweeps");
    for n in [256, 512, 1024] {
        let mut a = symmetric_of(&mut Random(1), n);
        let (mut d, mut e, mut tau, mut q) = (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n * n]);
        let mut room = vec![0.0; eigen::scratch::<f64>(&product, n)];
        let reduce = seconds(|| {
            let mut out = Tridiagonal { diagonal: &mut d, beside: &mut e, tau: &mut tau };
            tridiagonal::reduce(with, MatrixMut::new(&mut a, n, n).unwrap(), &mut out, &mut room).unwrap();
        });
        let accumulate = seconds(|| {
            let (a, q) = (MatrixMut::new(&mut a, n, n).unwrap(), MatrixMut::new(&mut q, n, n).unwrap());
            tridiagonal::accumulate(with, a, &tau, q, &mut room).unwrap();
        });
        let sweeps = seconds(|| {
            let mut batch = Batch::new(Shell::detect(), MatrixMut::new(&mut q, n, n).unwrap(), &mut room);
            sweeps::eigenvalues(&mut d, &mut e, &mut batch).unwrap();
        });
        let [reduce, accumulate, sweeps] = [reduce, accumulate, sweeps].map(|time| time * 1e3);
        eprintln!("{n:>5} {reduce:>9.2}ms {accumulate:>9.2}ms {sweeps:>9.2}ms");
    }
}
