//! How the built-in matrix product compares with that of the `matrixmultiply` crate, in one run and one thread.
#![allow(missing_docs, reason = "a program")]

use std::hint::black_box;
use std::time::Instant;

use fisher_merge::{BuiltIn, Matrix, MatrixMut, MatrixProduct};

mod backend;
use backend::MatrixMultiply;

/// The least time of one product, of `rounds`.
fn seconds(product: &impl MatrixProduct<f64>, n: usize, a: &[f64], b: &[f64], c: &mut [f64], scratch: &mut [f64]) -> f64 {
    let begin = Instant::now();
    let view = |values| Matrix::new(values, n, n).expect("square");
    product
        .multiply(1.0, view(black_box(a)), view(black_box(b)), 0.0, MatrixMut::new(c, n, n).expect("square"), scratch)
        .expect("shapes go together");
    black_box(c);
    begin.elapsed().as_secs_f64()
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    println!("{:>6} {:>12} {:>12} {:>8}", "n", "built-in", "mm", "ratio");
    for n in if quick { vec![64] } else { vec![64, 256, 512, 1024] } {
        let numbers = |seed: usize| (0..n * n).map(|i| ((i * 7919 + seed) % 1009) as f64 / 1009.0 - 0.5).collect::<Vec<_>>();
        let (a, b) = (numbers(1), numbers(2));
        let (mut ours, mut theirs) = (vec![0.0; n * n], vec![0.0; n * n]);
        let mut scratch = vec![0.0; MatrixProduct::<f64>::scratch(&BuiltIn::new(), n, n, n)];
        let (mut best, mut ratios) = ((f64::MAX, f64::MAX), Vec::new());
        for _ in 0..if quick { 1 } else { 11.max(10_000_000 / (n * n * n)) } {
            let built_in = seconds(&BuiltIn::new(), n, &a, &b, &mut ours, &mut scratch);
            let foreign = seconds(&MatrixMultiply, n, &a, &b, &mut theirs, &mut []);
            best = (best.0.min(built_in), best.1.min(foreign));
            ratios.push(built_in / foreign);
        }
        let bound = n as f64 * f64::EPSILON * n as f64;
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= bound), "both products are the same to rounding");
        ratios.sort_by(f64::total_cmp);
        println!("{n:>6} {:>10.3}ms {:>10.3}ms {:>8.2}", best.0 * 1e3, best.1 * 1e3, ratios[ratios.len() / 2]);
    }
}
