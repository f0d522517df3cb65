//! Cholesky's factor and the solves with it.

use super::*;
use crate::error::LinearFault;
use crate::linear::cholesky::{factorise, log_determinant, scratch};
use crate::linear::triangular::{Solve, from_left, from_right, left_scratch, right_scratch};

fn factor<R: Real>(a: &[R], n: usize, shell: Shell) -> Result<Vec<R>, LinearFault> {
    let product = BuiltIn::in_shell(shell);
    let mut l = a.to_vec();
    let mut room = vec![R::nan(); scratch::<R>(&product, n)];
    factorise(tools(&product, shell), MatrixMut::new(&mut l, n, n)?, &mut room)?;
    Ok(l)
}

/// With zeros above the diagonal.
fn lower(l: &[f64], n: usize) -> Vec<f64> {
    l.iter().enumerate().map(|(at, &value)| if at % n > at / n { 0.0 } else { value }).collect()
}

fn check_factor(a: &[f64], n: usize) -> Vec<f64> {
    let l = factor(a, n, Shell::detect()).unwrap();
    for shell in Shell::available() {
        assert_eq!(bits(&factor(a, n, shell).unwrap()), bits(&l));
    }
    let full = lower(&l, n);
    let back = times(&full, &transposed(&full, n, n), n, n, n);
    for i in 0..n {
        for j in 0..n {
            let bound = (n + 2) as f64 * f64::EPSILON * libm::sqrt(a[i * n + i] * a[j * n + j]);
            assert!((back[i * n + j] - a[i * n + j]).abs() <= bound, "{n}: {i} {j}");
            assert!(j <= i || l[i * n + j] == a[i * n + j], "the upper triangle is left alone");
        }
    }
    full
}

#[test]
fn a_factor_gives_the_matrix_back() {
    let mut random = Random(3);
    for n in [0, 1, 2, 3, 17, 31, 32, 33, 64] {
        for condition in [1.0, 1e4, 1e8, 1e11] {
            let values = spectrum(n, condition);
            let a = symmetric(&mut random, &values);
            let l = check_factor(&a, n);
            let expected: f64 = values.iter().map(|&value| libm::log(value)).sum();
            let found = log_determinant(Matrix::new(&l, n, n).unwrap());
            // An eigenvalue is known to n·u·κ of itself.
            assert!((found - expected).abs() <= 1e-12 + n as f64 * n as f64 * f64::EPSILON * condition, "{n} {condition}");
        }
    }
    // Beyond one panel and beyond one halving.
    let n = 150;
    let g: Vec<f64> = random.numbers(n * n);
    let mut a = times(&g, &transposed(&g, n, n), n, n, n);
    (0..n).for_each(|i| a[i * n + i] += 1.0);
    check_factor(&a, n);
}

#[test]
fn powers_of_four_change_no_bit_of_a_factor() {
    let a = symmetric(&mut Random(5), &spectrum(40, 1e3));
    let l = factor(&a, 40, Shell::detect()).unwrap();
    for exponent in [-480, 480] {
        let scaled: Vec<f64> = a.iter().map(|x| x.times_power_of_two(2 * exponent)).collect();
        let back: Vec<f64> = factor(&scaled, 40, Shell::detect()).unwrap();
        for i in 0..40 {
            for j in 0..=i {
                assert_eq!(back[i * 40 + j].times_power_of_two(-exponent), l[i * 40 + j]);
            }
        }
    }
}

#[test]
fn a_diagonal_has_its_roots() {
    let mut a = vec![0.0_f32; 100 * 100];
    (0..100_u16).for_each(|i| a[usize::from(i) * 101] = f32::from(i + 1) * f32::from(i + 1));
    let l = factor(&a, 100, Shell::detect()).unwrap();
    assert!((0..100_u16).all(|i| l[usize::from(i) * 101] == f32::from(i + 1)));
}

#[test]
fn what_is_not_positive_definite_is_named() {
    for n in [1, 5, 70, 140] {
        for at in [0, n / 2, n - 1] {
            let refused = |bad: f64| {
                let mut a = vec![0.0; n * n];
                (0..n).for_each(|i| a[i * n + i] = 1.0);
                a[at * n + at] = bad;
                factor(&a, n, Shell::detect()).unwrap_err()
            };
            for bad in [0.0, -1.0, -0.0, -1e-300] {
                assert_eq!(refused(bad), LinearFault::NotPositiveDefinite { pivot: at });
            }
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert_eq!(refused(bad), LinearFault::NotFinite { row: at });
            }
        }
    }
    assert_eq!(factor(&[0.0; 9], 3, Shell::detect()).unwrap_err(), LinearFault::NotPositiveDefinite { pivot: 0 });
    // Singular, indefinite, NaN and infinity off the diagonal.
    assert_eq!(factor(&[1.0, 0.0, 1.0, 1.0], 2, Shell::detect()).unwrap_err(), LinearFault::NotPositiveDefinite { pivot: 1 });
    assert_eq!(factor(&[1.0, 0.0, 2.0, 1.0], 2, Shell::detect()).unwrap_err(), LinearFault::NotPositiveDefinite { pivot: 1 });
    assert_eq!(factor(&[1.0, 0.0, f64::NAN, 1.0], 2, Shell::detect()).unwrap_err(), LinearFault::NotFinite { row: 1 });
    assert_eq!(factor(&[1.0, 0.0, f64::INFINITY, 1.0], 2, Shell::detect()).unwrap_err(), LinearFault::NotFinite { row: 1 });
}

#[test]
fn solves_leave_small_residuals() {
    let mut random = Random(11);
    for (n, m) in [(0, 2), (1, 1), (2, 3), (31, 5), (33, 17), (64, 16), (100, 40), (64, 130)] {
        let mut l: Vec<f64> = random.numbers(n * n);
        (0..n).for_each(|i| l[i * n + i] = 2.0 + random.number());
        let (full, b): (_, Vec<f64>) = (lower(&l, n), random.numbers(n * m));
        for solve in [Solve::Plain, Solve::Transposed] {
            let matrix = if solve == Solve::Plain { full.clone() } else { transposed(&full, n, n) };
            let run = |shell, left| {
                let product = BuiltIn::in_shell(shell);
                let (mut x, l) = (b.clone(), Matrix::new(&l, n, n).unwrap());
                if left {
                    let mut room = vec![f64::NAN; left_scratch::<f64>(&product, n, m)];
                    from_left(tools(&product, shell), solve, l, MatrixMut::new(&mut x, n, m).unwrap(), &mut room).unwrap();
                } else {
                    let mut room = vec![f64::NAN; right_scratch::<f64>(&product, n, m)];
                    from_right(tools(&product, shell), solve, l, MatrixMut::new(&mut x, m, n).unwrap(), &mut room).unwrap();
                }
                x
            };
            for left in [true, false] {
                let found = run(Shell::detect(), left);
                assert!(Shell::available().all(|shell| bits(&run(shell, left)) == bits(&found)));
                let (x, b) = if left { (found, b.clone()) } else { (transposed(&found, m, n), transposed(&b, m, n)) };
                let (back, abs) = (times(&matrix, &x, n, n, m), |a: &[f64]| a.iter().map(|x| x.abs()).collect::<Vec<_>>());
                let size = times(&abs(&matrix), &abs(&x), n, n, m);
                let bound = (n + 2) as f64 * f64::EPSILON;
                assert!((0..n * m).all(|at| (back[at] - b[at]).abs() <= bound * size[at]), "{n} {m} {solve:?} {left}");
            }
        }
    }
}

#[test]
fn a_short_scratch_is_refused() {
    let product = BuiltIn::new();
    let mut a = vec![1.0_f64; 4];
    let needed = scratch::<f64>(&product, 2);
    let refused = factorise(tools(&product, Shell::detect()), MatrixMut::new(&mut a, 2, 2).unwrap(), &mut vec![0.0; needed - 1]);
    assert!(matches!(refused, Err(LinearFault::Scratch { .. })), "{refused:?}");
}
