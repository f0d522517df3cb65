//! Cholesky's factorisation, `A = L·Lᵀ`.
//!
//! [`PANEL`] rows at a time: the rows that are done are a triangle to solve with, so nearly all is matrix products. It reads and writes
//! the lower triangle alone.

use super::matrix::{Matrix, MatrixMut};
use super::product::MatrixProduct;
use super::tools::{Tools, holds, lend, same, transpose};
use super::triangular::{Solve, from_left, left_scratch};
use crate::error::LinearFault;
use crate::kernel::dispatch::Kernel;
use crate::kernel::step::is_finite;
use crate::scalar::Real;
use crate::scalar::isa::Isa;

/// Rows that are factorised together.
const PANEL: usize = 64;

/// Numbers of scratch that [`factorise`] takes for `n` rows: a panel of them across, and what solving for it takes.
pub(crate) fn scratch<R: Real>(product: &impl MatrixProduct<R>, n: usize) -> usize {
    let panel = n.min(PANEL);
    n * panel + panel * panel + left_scratch(product, n, panel)
}

/// Replaces the lower triangle of `A` `[n, n]` by that of `L`.
///
/// # Errors
/// [`LinearFault::NotPositiveDefinite`] at the first pivot that is at most `eps` times its diagonal element, so that nothing but rounding
/// is left of it; [`LinearFault::NotFinite`] at the first that is NaN or infinite. The rows before it are those of the factor. A shape
/// that is not square, or too short a scratch.
pub(crate) fn factorise<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    mut a: MatrixMut<'_, R>,
    room: &mut [R],
) -> Result<(), LinearFault> {
    let n = a.rows();
    same(n, a.columns())?;
    holds(room, scratch::<R>(tools.product, n))?;
    for first in (0..n).step_by(PANEL) {
        let rows = PANEL.min(n - first);
        let (done, mut rest) = a.split(first);
        let (across, room) = lend(room, first * rows)?;
        let (corner, room) = lend(room, rows * rows)?;
        let (mut across, mut corner) = (MatrixMut::new(across, first, rows)?, MatrixMut::new(corner, rows, rows)?);
        // Of the corner the lower triangle is given; across it is the upper one.
        transpose(rest.block(0..rows, 0..first).as_matrix(), &mut across);
        transpose(rest.block(0..rows, first..first + rows).as_matrix(), &mut corner);
        from_left(tools, Solve::Plain, done.as_matrix().block(0..first, 0..first), across.lent(), room)?;
        let x = across.as_matrix();
        tools.subtract(x.transposed(), x, corner.lent(), room)?;
        let diagonal = rest.block(0..rows, first..first + rows);
        let outcome = tools.shell.run(Corner { upper: corner.lent(), diagonal: diagonal.as_matrix(), first });
        transpose(across.as_matrix(), &mut rest.block(0..rows, 0..first));
        for i in 0..rows {
            let mut row = rest.block(i..i + 1, first..first + i + 1);
            transpose(corner.block(0..i + 1, i..i + 1).as_matrix(), &mut row);
        }
        outcome?;
    }
    Ok(())
}

/// `Σ 2·ln l_ii`, the logarithm of the determinant of `L·Lᵀ`, in ascending order.
pub(crate) fn log_determinant<R: Real>(l: Matrix<'_, R>) -> f64 {
    (0..l.rows()).map(|i| l.stored(i, i, 1).first().map_or(0.0, |pivot| 2.0 * libm::log(pivot.as_f64()))).sum()
}

/// The rows that are left, transposed: `A = Uᵀ·U`.
struct Corner<'a, R> {
    upper: MatrixMut<'a, R>,
    /// The same as it was given.
    diagonal: Matrix<'a, R>,
    /// Its row in the whole matrix.
    first: usize,
}

impl<R: Real> Kernel for Corner<'_, R> {
    type Output = Result<(), LinearFault>;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> Self::Output {
        for i in 0..self.upper.rows() {
            let (mut done, mut rest) = self.upper.split(i + 1);
            let row = done.row(i, i);
            let given = self.diagonal.stored(i, i, 1).first().copied().unwrap_or(R::nan());
            let Some((pivot, others)) = row.split_first_mut() else { break };
            *pivot = root(*pivot, given, self.first + i)?;
            others.iter_mut().for_each(|value| *value = *value / *pivot);
            for (j, &factor) in others.iter().enumerate() {
                for (value, &other) in rest.row(j, i + 1 + j).iter_mut().zip(others.iter().skip(j)) {
                    *value = *value - factor * other;
                }
            }
        }
        Ok(())
    }
}

/// The root of a pivot that something is left of.
#[inline(always)]
fn root<R: Real>(pivot: R, given: R, row: usize) -> Result<R, LinearFault> {
    if !is_finite(pivot) || !is_finite(given) {
        return Err(LinearFault::NotFinite { row });
    }
    if pivot <= R::epsilon() * given || pivot <= R::ZERO {
        return Err(LinearFault::NotPositiveDefinite { pivot: row });
    }
    Ok(pivot.sqrt())
}
