//! Two matrices, diagonal at once.

use super::*;
use crate::error::LinearFault;
use crate::linear::pair::{diagonalise, scratch};

/// Shares, `P` and `L`.
type Solved = (Vec<f64>, Vec<f64>, Vec<f64>);

fn solve(a1: &[f64], a2: &[f64], n: usize, shell: Shell) -> Result<Solved, LinearFault> {
    let product = BuiltIn::in_shell(shell);
    let (mut l, mut m, mut shares, mut p) = (a1.to_vec(), a2.to_vec(), vec![f64::NAN; n], vec![f64::NAN; n * n]);
    for i in 0..n {
        l[i * n + i + 1..(i + 1) * n].fill(f64::NAN);
        m[i * n + i + 1..(i + 1) * n].fill(f64::NAN);
    }
    let mut room = vec![f64::NAN; scratch::<f64>(&product, n)];
    let (a1, a2, out) = (MatrixMut::new(&mut l, n, n)?, MatrixMut::new(&mut m, n, n)?, MatrixMut::new(&mut p, n, n)?);
    diagonalise(tools(&product, shell), a1, a2, &mut shares, out, &mut room)?;
    Ok((shares, p, l))
}

/// The largest distance of `Pᵀ·A·P` from a diagonal.
fn distance(a: &[f64], p: &[f64], diagonal: impl Fn(usize) -> f64, n: usize) -> f64 {
    let found = times(&transposed(p, n, n), &times(a, p, n, n, n), n, n, n);
    let expected = |at: usize| if at % n == at / n { diagonal(at / n) } else { 0.0 };
    (0..n * n).map(|at| (found[at] - expected(at)).abs()).fold(0.0, f64::max)
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn check(a1: &[f64], a2: &[f64], n: usize, condition: f64) -> Vec<f64> {
    let (shares, p, l) = solve(a1, a2, n, Shell::detect()).unwrap();
    for shell in Shell::available() {
        let (other, others, factor) = solve(a1, a2, n, shell).unwrap();
        let low = |l: &[f64]| (0..n * n).filter(|at| at % n <= at / n).map(|at| l[at].to_bits()).collect::<Vec<_>>();
        assert_eq!((bits(&other), bits(&others), low(&factor)), (bits(&shares), bits(&p), low(&l)), "{shell:?}");
    }
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)) && shares.windows(2).all(|pair| pair[0] <= pair[1]));
    let bound = 64.0 * (n + 1) as f64 * f64::EPSILON * condition;
    let sum: Vec<f64> = a1.iter().zip(a2).map(|(a, b)| a + b).collect();
    for (name, found) in [
        ("sum", distance(&sum, &p, |_| 1.0, n)),
        ("second", distance(a2, &p, |i| shares[i], n)),
        ("first", distance(a1, &p, |i| 1.0 - shares[i], n)),
    ] {
        assert!(found <= bound, "{n}: {name} {found:e} of {bound:e}");
    }
    shares
}

#[test]
fn both_become_diagonal() {
    let mut random = Random(31);
    for n in [0, 1, 2, 3, 8, 33, 64] {
        for (first, second) in [(1.0, 1.0), (10.0, 1e3), (1e8, 1e8), (1e8, 2.0), (3.0, 1e8)] {
            let (a1, a2) = (symmetric(&mut random, &spectrum(n, first)), symmetric(&mut random, &spectrum(n, second)));
            // The least eigenvalue of the sum is at least the sum of the least.
            check(&a1, &a2, n, 4.0 / (1.0 / first + 1.0 / second));
        }
    }
}

#[test]
fn semidefinite_halves_have_shares_at_the_ends() {
    let mut random = Random(32);
    for n in [2, 9, 40] {
        let full = symmetric(&mut random, &spectrum(n, 10.0));
        let zero = vec![0.0; n * n];
        assert!(check(&full, &zero, n, 10.0).iter().all(|&share| share == 0.0));
        assert!(check(&zero, &full, n, 10.0).iter().all(|&share| share > 1.0 - 1e-12));
        // Half of the directions each.
        let side = |which: usize| {
            let mut a = vec![0.0; n * n];
            (0..n).filter(|i| i % 2 == which).for_each(|i| a[i * n + i] = 3.0);
            a
        };
        let shares = check(&side(0), &side(1), n, 1.0);
        assert!(shares.iter().enumerate().all(|(i, &share)| share == if i < n.div_ceil(2) { 0.0 } else { 1.0 }));
        // Equal ones: every share is one half, as often as there are rows.
        assert!(check(&full, &full, n, 10.0).iter().all(|share| (share - 0.5).abs() < 1e-13));
        // A rank of one added to a multiple of the identity.
        let mut identity = vec![0.0; n * n];
        (0..n).for_each(|i| identity[i * n + i] = 1e-3);
        check(&identity, &vec![1.0; n * n], n, 1e3 * n as f64);
    }
}

#[test]
fn a_scale_of_both_is_a_scale_of_the_result() {
    let mut random = Random(33);
    let n = 20;
    let (a1, a2) = (symmetric(&mut random, &spectrum(n, 1e4)), symmetric(&mut random, &spectrum(n, 1e2)));
    let (shares, p, l) = solve(&a1, &a2, n, Shell::detect()).unwrap();
    for half in [-500, -100, 100, 511] {
        let scaled = |a: &[f64]| a.iter().map(|x| x.times_power_of_two(2 * half)).collect::<Vec<_>>();
        let (other, others, factor) = solve(&scaled(&a1), &scaled(&a2), n, Shell::detect()).unwrap();
        assert_eq!(bits(&other), bits(&shares));
        assert!((0..n * n).all(|at| others[at] == p[at].times_power_of_two(-half)));
        assert!((0..n * n).all(|at| at % n > at / n || factor[at] == l[at].times_power_of_two(half)));
    }
}

fn one(values: &mut [f64]) -> MatrixMut<'_, f64> {
    MatrixMut::new(values, 1, 1).unwrap()
}

#[test]
fn what_has_no_answer_is_refused() {
    let zero = [0.0; 9];
    let solve = |a1: &[f64], a2: &[f64]| solve(a1, a2, 3, Shell::detect()).unwrap_err();
    assert_eq!(solve(&zero, &zero), LinearFault::NotPositiveDefinite { pivot: 0 });
    // Nobody knows the second direction; one is negative there.
    let half = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    assert_eq!(solve(&half, &half), LinearFault::NotPositiveDefinite { pivot: 1 });
    let negative = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0];
    assert_eq!(solve(&half, &negative), LinearFault::NotPositiveDefinite { pivot: 1 });
    for bad in [f64::NAN, f64::INFINITY] {
        let mut a = half;
        a[7] = bad;
        assert_eq!((solve(&a, &half), solve(&half, &a)), (LinearFault::NotFinite { row: 2 }, LinearFault::NotFinite { row: 2 }));
    }
    let product = BuiltIn::new();
    let (mut a1, mut a2, mut p, mut shares) = ([1.0_f64], [1.0], [0.0], [0.0; 2]);
    let with = tools(&product, Shell::detect());
    let refused = diagonalise(with, one(&mut a1), one(&mut a2), &mut shares, one(&mut p), &mut []);
    assert_eq!(refused, Err(LinearFault::Shape { expected: 1, found: 2 }));
    let refused = diagonalise(with, one(&mut a1), one(&mut a2), &mut shares[..1], one(&mut p), &mut []);
    assert!(matches!(refused, Err(LinearFault::Scratch { .. })));
}
