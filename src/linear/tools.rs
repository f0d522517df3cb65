//! What every algorithm of this room works with.

use super::matrix::{Matrix, MatrixMut};
use super::product::MatrixProduct;
use crate::error::LinearFault;
use crate::kernel::Shell;
use crate::scalar::Real;

/// A matrix product, and the shell for the loops that are none.
#[derive(Debug)]
pub(crate) struct Tools<'p, P> {
    pub(crate) product: &'p P,
    pub(crate) shell: Shell,
}

impl<P> Clone for Tools<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Tools<'_, P> {}

impl<P> Tools<'_, P> {
    /// `C ← C − A·B`.
    pub(super) fn subtract<R: Real>(
        self,
        a: Matrix<'_, R>,
        b: Matrix<'_, R>,
        c: MatrixMut<'_, R>,
        scratch: &mut [R],
    ) -> Result<(), LinearFault>
    where
        P: MatrixProduct<R>,
    {
        self.product.multiply(-R::ONE, a, b, R::ONE, c, scratch)
    }

    /// `C ← A·B`.
    pub(super) fn set<R: Real>(self, a: Matrix<'_, R>, b: Matrix<'_, R>, c: MatrixMut<'_, R>, scratch: &mut [R]) -> Result<(), LinearFault>
    where
        P: MatrixProduct<R>,
    {
        self.product.multiply(R::ONE, a, b, R::ZERO, c, scratch)
    }
}

/// `expected` is what was `found`.
pub(super) fn same(expected: usize, found: usize) -> Result<(), LinearFault> {
    if expected == found { Ok(()) } else { Err(LinearFault::Shape { expected, found }) }
}

/// The scratch is long enough: asked before the first number is written.
pub(super) fn holds<R>(scratch: &[R], needed: usize) -> Result<(), LinearFault> {
    let found = scratch.len();
    if needed <= found { Ok(()) } else { Err(LinearFault::Scratch { needed, found }) }
}

/// Lends the first `needed` numbers of a scratch, and the rest.
pub(crate) fn lend<R>(scratch: &mut [R], needed: usize) -> Result<(&mut [R], &mut [R]), LinearFault> {
    let found = scratch.len();
    scratch.split_at_mut_checked(needed).ok_or(LinearFault::Scratch { needed, found })
}

/// `out ← inᵀ`, by squares that caches hold. Both are cut to what they have in common.
pub(super) fn transpose<R: Real>(input: Matrix<'_, R>, out: &mut MatrixMut<'_, R>) {
    const SIDE: usize = 16;
    for first in (0..out.rows()).step_by(SIDE) {
        for column in (0..out.columns()).step_by(SIDE) {
            for row in first..(first + SIDE).min(out.rows()) {
                for (j, out) in out.row(row, column).iter_mut().enumerate().take(SIDE) {
                    if let Some(&value) = input.stored(column + j, row, 1).first() {
                        *out = value;
                    }
                }
            }
        }
    }
}

/// `A ← Aᵀ` of a square matrix, by squares that caches hold.
pub(super) fn transpose_in_place<R: Real>(a: &mut MatrixMut<'_, R>) {
    const SIDE: usize = 16;
    let n = a.rows().min(a.columns());
    for first in (0..n).step_by(SIDE) {
        for column in (0..=first).step_by(SIDE) {
            for row in first..(first + SIDE).min(n) {
                let (mut above, mut here) = a.split(row);
                for (j, value) in here.row(0, column).iter_mut().enumerate().take(SIDE.min(row.saturating_sub(column))) {
                    if let Some(other) = above.row(column + j, row).first_mut() {
                        core::mem::swap(value, other);
                    }
                }
            }
        }
    }
}
