//! Two symmetric matrices, diagonal at once.

use super::cholesky;
use super::eigen::{self, exponent};
use super::loops::times_power;
use super::matrix::MatrixMut;
use super::product::MatrixProduct;
use super::tools::{Tools, holds, same, transpose_in_place};
use super::triangular::{Solve, from_left, left_scratch};
use crate::error::LinearFault;
use crate::scalar::Real;

/// Numbers of scratch that [`diagonalise`] takes for `n` rows: the most of its parts.
pub(crate) fn scratch<R: Real>(product: &impl MatrixProduct<R>, n: usize) -> usize {
    eigen::scratch::<R>(product, n).max(cholesky::scratch::<R>(product, n)).max(left_scratch::<R>(product, n, n))
}

/// `P` with `Pᵀ·(A1 + A2)·P = 1` and `Pᵀ·A2·P = diag(a)`, `0 ≤ a ≤ 1` in ascending order; so `Pᵀ·A1·P = diag(1 − a)`.
///
/// `A1`, `A2` and `P` are `[n, n]`. The first two are positive semidefinite with a definite sum; their lower triangles are read, and both
/// are destroyed: the lower triangle of `A1` becomes the factor `L` of `A1 + A2 = L·Lᵀ`. Then `L⁻¹·A2·L⁻ᵀ = Q·diag(a)·Qᵀ` and
/// `P = L⁻ᵀ·Q`. What rounding leaves outside of `[0, 1]` is clamped. Both are scaled by one power of four first and `P` and `L` back, so
/// that no intermediate leaves the range.
///
/// # Errors
/// [`LinearFault::NotPositiveDefinite`] for the sum, with its pivot; [`LinearFault::NotFinite`] for a number of a lower triangle; a shape
/// or a scratch ([`scratch`]) that does not fit; [`LinearFault::NoConvergence`].
pub(crate) fn diagonalise<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    mut a1: MatrixMut<'_, R>,
    mut a2: MatrixMut<'_, R>,
    shares: &mut [R],
    mut p: MatrixMut<'_, R>,
    room: &mut [R],
) -> Result<(), LinearFault> {
    let n = a1.rows();
    for found in [a1.columns(), a2.rows(), a2.columns(), p.rows(), p.columns(), shares.len()] {
        same(n, found)?;
    }
    holds(room, scratch::<R>(tools.product, n))?;
    let half = largest_exponent(&mut a1, &mut a2)?.div_euclid(2);
    for row in 0..n {
        let (sum, other) = (a1.row(row, 0), a2.row(row, 0));
        times_power(sum, -2 * half);
        times_power(other, -2 * half);
        sum.iter_mut().zip(other).for_each(|(sum, &mut other)| *sum = *sum + other);
    }
    cholesky::factorise(tools, a1.lent(), room)?;
    mirror(&mut a2);
    // A2·L⁻ᵀ is the transpose of L⁻¹·A2.
    from_left(tools, Solve::Plain, a1.as_matrix(), a2.lent(), room)?;
    transpose_in_place(&mut a2);
    from_left(tools, Solve::Plain, a1.as_matrix(), a2.lent(), room)?;
    eigen::symmetric(tools, a2, shares, p.lent(), room)?;
    transpose_in_place(&mut p);
    from_left(tools, Solve::Transposed, a1.as_matrix(), p.lent(), room)?;
    for row in 0..n {
        times_power(a1.row(row, 0), half);
        times_power(p.row(row, 0), -half);
    }
    // Rounding moves a share of a singular matrix by about eps times the condition of the sum; what is further out was indefinite.
    let slack = R::epsilon().sqrt() * R::from_f64(64.0);
    for (pivot, share) in shares.iter_mut().enumerate() {
        if *share < -slack || *share > R::ONE + slack {
            return Err(LinearFault::NotPositiveDefinite { pivot });
        }
        *share = share.max(R::ZERO).min(R::ONE);
    }
    Ok(())
}

/// That of the largest element of both; of two zero matrices the least of all.
fn largest_exponent<R: Real>(a1: &mut MatrixMut<'_, R>, a2: &mut MatrixMut<'_, R>) -> Result<i32, LinearFault> {
    Ok(match (exponent(a1)?, exponent(a2)?) {
        (Some(first), Some(second)) => first.max(second),
        (first, second) => first.or(second).unwrap_or_default(),
    })
}

/// Writes the lower triangle over the upper one.
fn mirror<R: Real>(a: &mut MatrixMut<'_, R>) {
    for row in 0..a.rows() {
        let (mut above, mut here) = a.split(row);
        for (i, &value) in here.row(0, 0).iter().enumerate().take(row) {
            if let Some(out) = above.row(i, row).first_mut() {
                *out = value;
            }
        }
    }
}
