//! Solving with a lower triangle, for many right-hand sides.
//!
//! Halves and halves of halves: all but the last [`BASE`] rows of a triangle is matrix products. Whatever the sizes, forward substitution
//! subtracts in ascending order.

use super::matrix::{Matrix, MatrixMut};
use super::packed::{load, store};
use super::product::MatrixProduct;
use super::tools::{Tools, holds, lend, same, transpose};
use crate::error::LinearFault;
use crate::kernel::dispatch::Kernel;
use crate::scalar::Real;
use crate::scalar::isa::Isa;

/// Rows that are substituted one by one.
const BASE: usize = 32;
/// Columns in registers meanwhile.
const WIDTH: usize = 16;
/// Rows of right-hand sides from the right that are transposed at a time.
const STRIP: usize = 128;

/// What is solved with the lower triangle `L`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Solve {
    /// With `L`: forward.
    Plain,
    /// With `Lᵀ`: backward.
    Transposed,
}

/// Numbers of scratch that [`from_left`] takes for `n` rows of `m` right-hand sides: those of its largest product.
pub(crate) fn left_scratch<R: Real>(product: &impl MatrixProduct<R>, n: usize, m: usize) -> usize {
    product.scratch(n, m, n)
}

/// `X ← L⁻¹·X` or `X ← L⁻ᵀ·X` with `L` `[n, n]`, of which the lower triangle is read, and `X` `[n, m]`.
///
/// A zero on the diagonal gives infinities: it is for the factorisation to refuse.
///
/// # Errors
/// Shapes that do not go together, or too short a scratch, [`left_scratch`].
pub(crate) fn from_left<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    solve: Solve,
    l: Matrix<'_, R>,
    mut x: MatrixMut<'_, R>,
    scratch: &mut [R],
) -> Result<(), LinearFault> {
    let n = x.rows();
    same(n, l.rows())?;
    same(n, l.columns())?;
    if n <= BASE {
        tools.shell.run(Substitute { solve, l, x });
        return Ok(());
    }
    // The first part is a whole number of bases.
    let half = n.div_ceil(2).next_multiple_of(BASE).min(n - 1);
    let (first, corner, second) = (l.block(0..half, 0..half), l.block(half..n, 0..half), l.block(half..n, half..n));
    let (mut top, mut bottom) = x.split(half);
    match solve {
        Solve::Plain => {
            from_left(tools, solve, first, top.lent(), scratch)?;
            tools.subtract(corner, top.as_matrix(), bottom.lent(), scratch)?;
            from_left(tools, solve, second, bottom, scratch)
        }
        Solve::Transposed => {
            from_left(tools, solve, second, bottom.lent(), scratch)?;
            tools.subtract(corner.transposed(), bottom.as_matrix(), top.lent(), scratch)?;
            from_left(tools, solve, first, top, scratch)
        }
    }
}

/// Numbers of scratch that [`from_right`] takes for `m` rows of `n` numbers: a strip of them, and those of [`left_scratch`].
pub(crate) fn right_scratch<R: Real>(product: &impl MatrixProduct<R>, n: usize, m: usize) -> usize {
    let strip = m.min(STRIP);
    n * strip + left_scratch(product, n, strip)
}

/// `X ← X·L⁻ᵀ` (`Plain`: `L·Xᵀ = Bᵀ`) or `X ← X·L⁻¹` (`Transposed`: `Lᵀ·Xᵀ = Bᵀ`) with `L` `[n, n]` and `X` `[m, n]`.
///
/// # Errors
/// Shapes that do not go together, or too short a scratch, [`right_scratch`].
pub(crate) fn from_right<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    solve: Solve,
    l: Matrix<'_, R>,
    mut x: MatrixMut<'_, R>,
    scratch: &mut [R],
) -> Result<(), LinearFault> {
    let (m, n) = (x.rows(), x.columns());
    holds(scratch, right_scratch::<R>(tools.product, n, m))?;
    for first in (0..m).step_by(STRIP) {
        let rows = STRIP.min(m - first);
        let (strip, scratch) = lend(scratch, n * rows)?;
        let mut across = MatrixMut::new(strip, n, rows)?;
        transpose(x.block(first..first + rows, 0..n).as_matrix(), &mut across);
        from_left(tools, solve, l, across.lent(), scratch)?;
        transpose(across.as_matrix(), &mut x.block(first..first + rows, 0..n));
    }
    Ok(())
}

/// The rows that are left, one by one.
struct Substitute<'a, R> {
    solve: Solve,
    l: Matrix<'a, R>,
    x: MatrixMut<'a, R>,
}

impl<R: Real> Kernel for Substitute<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let (n, m) = (self.x.rows(), self.x.columns());
        for column in (0..m).step_by(WIDTH) {
            for i in 0..n {
                match self.solve {
                    Solve::Plain => self.row(i, 0..i, column),
                    Solve::Transposed => self.row(n - 1 - i, n - i..n, column),
                }
            }
        }
    }
}

impl<R: Real> Substitute<'_, R> {
    /// `x_i ← (x_i − Σ_k l_ik·x_k)/l_ii`, in ascending order, for [`WIDTH`] columns.
    #[inline(always)]
    fn row(&mut self, i: usize, solved: core::ops::Range<usize>, column: usize) {
        let l = if self.solve == Solve::Plain { self.l } else { self.l.transposed() };
        let at = |k: usize| l.values().get(i * l.row_stride() + k * l.column_stride()).copied().unwrap_or(R::ONE);
        let mut sums = [R::ZERO; WIDTH];
        load(&mut sums, self.x.row(i, column));
        for k in solved {
            let (factor, mut other) = (at(k), [R::ZERO; WIDTH]);
            load(&mut other, self.x.row(k, column));
            for (sum, other) in sums.iter_mut().zip(other) {
                *sum = *sum - factor * other;
            }
        }
        let pivot = at(i);
        sums.iter_mut().for_each(|sum| *sum = *sum / pivot);
        store(&sums, self.x.row(i, column));
    }
}
