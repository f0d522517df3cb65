//! Any sum as one dense matrix: Cholesky. Every structure is promoted to a dense one where one of them is.

use crate::error::LinearFault;
use crate::linear::tools::{Tools, lend};
use crate::linear::triangular::{Solve, from_left, left_scratch};
use crate::linear::{Matrix, MatrixMut, MatrixProduct, cholesky};
use crate::scalar::Real;
use crate::structured::operator::copy;
use crate::structured::problem::Sum;

/// `n²`, and what its factorisation takes.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    let n = sum.shape.0 * sum.shape.1;
    n * n + cholesky::scratch(product, n).max(left_scratch(product, n, 1))
}

#[inline(never)]
pub(super) fn solve<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    room: &mut [R],
) -> Result<(), LinearFault> {
    let n = sum.shape.0 * sum.shape.1;
    let (all, room) = lend(room, n * n)?;
    all.fill(R::ZERO);
    sum.terms().for_each(|(weight, operator)| operator.add_dense(weight, all));
    cholesky::factorise(tools, MatrixMut::new(all, n, n)?, room)?;
    copy(x, b);
    for solve in [Solve::Plain, Solve::Transposed] {
        from_left(tools, solve, Matrix::new(all, n, n)?, MatrixMut::new(x, n, 1)?, room)?;
    }
    Ok(())
}
