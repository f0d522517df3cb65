//! Eigenvalues and eigenvectors.

use super::*;
use crate::error::LinearFault;
use crate::linear::eigen::{scratch, symmetric as eigen};
use crate::linear::rotate::Batch;
use crate::linear::sweeps::eigenvalues;

fn solve<R: Real>(a: &[R], n: usize, shell: Shell) -> Result<(Vec<R>, Vec<R>), LinearFault> {
    let product = BuiltIn::in_shell(shell);
    let (mut a, mut values, mut vectors) = (a.to_vec(), vec![R::nan(); n], vec![R::nan(); n * n]);
    // Only the lower triangle is read.
    for i in 0..n {
        a[i * n + i + 1..(i + 1) * n].fill(R::nan());
    }
    let mut room = vec![R::nan(); scratch::<R>(&product, n)];
    let (view, out) = (MatrixMut::new(&mut a, n, n)?, MatrixMut::new(&mut vectors, n, n)?);
    eigen(tools(&product, shell), view, &mut values, out, &mut room)?;
    Ok((values, vectors))
}

fn norm(a: &[f64]) -> f64 {
    libm::sqrt(a.iter().map(|x| x * x).sum())
}

/// Residual and orthogonality of what is found, order and bits; gives the eigenvalues.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn check<R: Real>(a: &[R], n: usize) -> Vec<R> {
    let (values, vectors) = solve(a, n, Shell::detect()).unwrap();
    for shell in Shell::available() {
        let (other, others) = solve(a, n, shell).unwrap();
        assert_eq!((bits(&other), bits(&others)), (bits(&values), bits(&vectors)), "{shell:?}");
    }
    assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "in ascending order");
    let (a, v) = (a.iter().map(|x| x.as_f64()).collect::<Vec<_>>(), vectors.iter().map(|x| x.as_f64()).collect::<Vec<_>>());
    let bound = 16.0 * n as f64 * R::epsilon().as_f64();
    let mut gram = times(&v, &transposed(&v, n, n), n, n, n);
    (0..n).for_each(|i| gram[i * n + i] -= 1.0);
    assert!(norm(&gram) <= bound, "{n}: orthogonality {:e} of {bound:e}", norm(&gram));
    // Rows: v·A = a·v, since A is symmetric.
    let mut residual = times(&v, &a, n, n, n);
    (0..n * n).for_each(|at| residual[at] -= values[at / n].as_f64() * v[at]);
    let (found, bound) = (norm(&residual), bound * norm(&a));
    assert!(found <= bound, "{n}: residual {found:e} of {bound:e}");
    values
}

#[test]
fn random_matrices_of_any_condition() {
    let mut random = Random(21);
    for n in [0, 1, 2, 3, 4, 5, 8, 31, 32, 33, 64, 65, 100] {
        for condition in [1.0, 10.0, 1e8, 1e12] {
            let values = spectrum(n, condition);
            let found = check(&symmetric(&mut random, &values), n);
            // Eigenvalues move by no more than the matrix does (Weyl).
            let bound = 32.0 * (n * n) as f64 * f64::EPSILON;
            assert!(found.iter().zip(values.iter().rev()).all(|(a, b)| (a - b).abs() <= bound), "{n} {condition}");
        }
    }
    let a: Vec<f32> = symmetric(&mut random, &spectrum(64, 1e4)).iter().map(|x| x.as_f32()).collect();
    check(&a, 64);
}

#[test]
fn indefinite_matrices() {
    let mut random = Random(22);
    for n in [2, 7, 40, 150] {
        let g: Vec<f64> = random.numbers(n * n);
        let a: Vec<f64> = (0..n * n).map(|at| g[at.max(at % n * n + at / n)] + g[at.min(at % n * n + at / n)]).collect();
        check(&a, n);
        check(&a.iter().map(|x| x.as_f32()).collect::<Vec<_>>(), n);
    }
}

#[test]
fn simple_matrices_are_exact() {
    for n in [1, 2, 5, 40] {
        assert!(check(&vec![0.0_f64; n * n], n).iter().all(|&value| value == 0.0));
        let mut diagonal = vec![0.0_f64; n * n];
        (0..n).for_each(|i| diagonal[i * n + i] = [3.0, -1.0, 3.0, 0.0, 1e-30][i % 5]);
        let mut expected: Vec<f64> = (0..n).map(|i| diagonal[i * n + i]).collect();
        expected.sort_by(f64::total_cmp);
        assert_eq!(check(&diagonal, n), expected);
    }
    let found = check(&[0.0_f64, 1.0, 1.0, 0.0], 2);
    assert!((found[0] + 1.0).abs() <= 4.0 * f64::EPSILON && (found[1] - 1.0).abs() <= 4.0 * f64::EPSILON);
}

#[test]
fn repeated_and_graded_eigenvalues() {
    let mut random = Random(23);
    for n in [6, 33, 64] {
        let values: Vec<f64> = (0..n).map(|i| [1.0, 1.0, 2.0, 0.0][i % 4]).collect();
        check(&symmetric(&mut random, &values), n);
        // All ones, and a rank of one.
        check(&vec![1.0_f64; n * n], n);
        // Graded from either end, over more octaves than the arithmetic has digits.
        for sign in [-1, 1] {
            let at = |i: usize| if sign > 0 { i } else { n - 1 - i };
            let exponent = |i: usize| -5 * i32::try_from(at(i)).unwrap();
            check(&(0..n * n).map(|p| 1.0_f64.times_power_of_two(exponent(p / n) + exponent(p % n))).collect::<Vec<_>>(), n);
        }
        // Wilkinson's: pairs that agree to almost all digits.
        let mut w = vec![0.0; n * n];
        for i in 0..n {
            w[i * n + i] = (i as f64 - (n / 2) as f64).abs();
            if i > 0 {
                (w[i * n + i - 1], w[(i - 1) * n + i]) = (1.0, 1.0);
            }
        }
        check(&w, n);
        check(&w.iter().map(|x| x.as_f32()).collect::<Vec<_>>(), n);
    }
}

#[test]
fn the_ends_of_the_range() {
    let mut random = Random(24);
    let (n, base) = (24, spectrum(24, 1e6));
    let a = symmetric(&mut random, &base);
    let (values, vectors) = solve(&a, n, Shell::detect()).unwrap();
    for exponent in [-900, -300, 300, 1000] {
        let scaled: Vec<f64> = a.iter().map(|x| x.times_power_of_two(exponent)).collect();
        let (other, others) = solve(&scaled, n, Shell::detect()).unwrap();
        assert_eq!(bits(&others), bits(&vectors), "a power of two changes no bit of the vectors");
        assert!(other.iter().zip(&values).all(|(&a, &b)| a == b.times_power_of_two(exponent)));
    }
    // Subnormal numbers are what is left of them, but still a symmetric matrix.
    let scaled: Vec<f64> = a.iter().map(|x| x.times_power_of_two(-1060)).collect();
    let (other, others) = solve(&scaled, n, Shell::detect()).unwrap();
    let largest = libm::ldexp(values[n - 1], -1060);
    assert!((other[n - 1] - largest).abs() <= 24.0 * f64::TINIEST && others.iter().all(|x| x.abs() <= 1.0 + 1e-12));
    // Elements far below the others' rounding errors, whose squares vanish.
    let mut tiny: Vec<f64> = a.iter().map(|x| x * 1e-300).collect();
    tiny[0] = 1.0;
    check(&tiny, n);
    // Eigenvalues beyond the range are refused.
    assert_eq!(solve(&[f64::MAX; 4], 2, Shell::detect()).unwrap_err(), LinearFault::NotFinite { row: 1 });
}

#[test]
fn sweeps_are_bounded() {
    // No element that is NaN is ever negligible.
    let (mut vectors, mut room) = ([1.0_f64; 16], vec![0.0; 400]);
    let mut batch = Batch::new(Shell::detect(), MatrixMut::new(&mut vectors, 4, 4).unwrap(), &mut room);
    let found = eigenvalues(&mut [f64::NAN; 4], &mut [1.0; 4], &mut batch);
    assert_eq!(found, Err(LinearFault::NoConvergence { row: 0 }));
}

#[test]
fn what_is_not_finite_is_named() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (row, column) in [(0, 0), (3, 1), (4, 4)] {
            let mut a = vec![1.0; 25];
            a[row * 5 + column] = bad;
            assert_eq!(solve(&a, 5, Shell::detect()).unwrap_err(), LinearFault::NotFinite { row });
        }
    }
    let product = BuiltIn::new();
    let (mut a, mut values, mut vectors) = ([1.0_f64; 4], [0.0; 2], [0.0; 4]);
    let (view, out) = (MatrixMut::new(&mut a, 2, 2).unwrap(), MatrixMut::new(&mut vectors, 2, 2).unwrap());
    let refused = eigen(tools(&product, Shell::detect()), view, &mut values, out, &mut []).unwrap_err();
    assert_eq!(refused, LinearFault::Scratch { needed: scratch::<f64>(&product, 2), found: 0 });
}
