//! Input covariances alone: `X·S = B` with `S = Σ λ_m·s_m·(A_m + α_m)`, one Cholesky factorisation.

use crate::error::LinearFault;
use crate::linear::tools::{Tools, lend};
use crate::linear::triangular::{Solve, from_right, right_scratch};
use crate::linear::{Matrix, MatrixMut, MatrixProduct, cholesky};
use crate::scalar::Real;
use crate::structured::operator::copy;
use crate::structured::problem::Sum;

/// `columns²`, and what its factorisation and solves take.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    let (rows, columns) = sum.shape;
    columns * columns + cholesky::scratch(product, columns).max(right_scratch(product, columns, rows))
}

#[inline(never)]
pub(super) fn solve<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    room: &mut [R],
) -> Result<(), LinearFault> {
    let (rows, columns) = sum.shape;
    let (s, room) = lend(room, columns * columns)?;
    s.fill(R::ZERO);
    for (weight, operator) in sum.terms() {
        if let Some((left, right)) = operator.structure.sides() {
            right.add_to(columns, weight * left.diagonal(0, rows.max(1)), operator.damping.1, s);
        }
    }
    cholesky::factorise(tools, MatrixMut::new(s, columns, columns)?, room)?;
    copy(x, b);
    // X·S = (X·L)·Lᵀ.
    for solve in [Solve::Plain, Solve::Transposed] {
        from_right(tools, solve, Matrix::new(s, columns, columns)?, MatrixMut::new(x, rows, columns)?, room)?;
    }
    Ok(())
}
