//! Eigenvalues and eigenvectors of a symmetric matrix.

use super::loops::times_power;
use super::matrix::MatrixMut;
use super::product::MatrixProduct;
use super::rotate::{self, Batch};
use super::sweeps::eigenvalues;
use super::tools::{Tools, holds, lend, same};
use super::tridiagonal::{self, Tridiagonal, accumulate, reduce};
use crate::error::LinearFault;
use crate::kernel::step::is_finite;
use crate::scalar::Real;

/// Numbers of scratch that [`symmetric`] takes for `n` rows: two rows, and the larger one of its two halves.
pub(crate) fn scratch<R: Real>(product: &impl MatrixProduct<R>, n: usize) -> usize {
    2 * n + tridiagonal::scratch::<R>(product, n).max(rotate::scratch::<R>(n))
}

/// `A = Vᵀ·diag(a)·V`: eigenvalues `a` in ascending order, and a row of `V` for each.
///
/// `A` `[n, n]`, of which the lower triangle is read, is destroyed. The matrix is scaled by a power of two first and the eigenvalues back,
/// so nothing but the eigenvalues themselves can leave the range. `‖A·v − a·v‖` and `‖V·Vᵀ − 1‖` are small multiples of `eps`, of the
/// norm of `A` and of one.
///
/// # Errors
/// [`LinearFault::NotFinite`] for a number of the lower triangle, or for an eigenvalue beyond the range;
/// [`LinearFault::NoConvergence`] after `30·(n + 1)` sweeps, where one to two for each row are usual; a shape or a scratch that does not fit.
pub(crate) fn symmetric<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    mut a: MatrixMut<'_, R>,
    values: &mut [R],
    mut vectors: MatrixMut<'_, R>,
    room: &mut [R],
) -> Result<(), LinearFault> {
    let n = a.rows();
    for found in [a.columns(), vectors.rows(), vectors.columns(), values.len()] {
        same(n, found)?;
    }
    holds(room, scratch::<R>(tools.product, n))?;
    let exponent = scale(&mut a)?;
    let (beside, room) = lend(room, n)?;
    let (tau, room) = lend(room, n)?;
    let mut reduced = Tridiagonal { diagonal: values, beside, tau };
    reduce(tools, a.lent(), &mut reduced, room)?;
    let Tridiagonal { diagonal: values, beside, tau } = reduced;
    accumulate(tools, a, tau, vectors.lent(), room)?;
    eigenvalues(values, beside, &mut Batch::new(tools.shell, vectors.lent(), room))?;
    sort(values, &mut vectors);
    for (row, value) in values.iter_mut().enumerate() {
        *value = value.times_power_of_two(exponent);
        if !is_finite(*value) {
            return Err(LinearFault::NotFinite { row });
        }
    }
    Ok(())
}

/// Brings the largest element of the lower triangle between one and two, and gives the exponent that was taken out.
pub(super) fn scale<R: Real>(a: &mut MatrixMut<'_, R>) -> Result<i32, LinearFault> {
    let exponent = exponent(a)?.unwrap_or_default();
    for row in 0..a.rows() {
        times_power(a.row(row, 0), -exponent);
    }
    Ok(exponent)
}

/// That of the largest element of the lower triangle; `None` if all are zero.
pub(super) fn exponent<R: Real>(a: &mut MatrixMut<'_, R>) -> Result<Option<i32>, LinearFault> {
    let mut largest = R::ZERO;
    for row in 0..a.rows() {
        for value in a.row(row, 0).iter().take(row + 1) {
            if !is_finite(*value) {
                return Err(LinearFault::NotFinite { row });
            }
            largest = if value.abs() > largest { value.abs() } else { largest };
        }
    }
    Ok((largest != R::ZERO).then(|| largest.split().1))
}

/// Selects the least value that is left, again and again: few exchanges of rows.
fn sort<R: Real>(values: &mut [R], vectors: &mut MatrixMut<'_, R>) {
    for i in 0..values.len() {
        let Some((first, later)) = values.get_mut(i..).and_then(<[R]>::split_first_mut) else { return };
        let least = later.iter_mut().enumerate().min_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(core::cmp::Ordering::Equal));
        if let Some((at, least)) = least.filter(|(_, least)| **least < *first) {
            core::mem::swap(first, least);
            let (mut before, mut after) = vectors.split(i + 1 + at);
            before.row(i, 0).iter_mut().zip(after.row(0, 0)).for_each(|(one, two)| core::mem::swap(one, two));
        }
    }
}
