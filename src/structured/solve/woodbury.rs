//! Diagonals and low ranks: `(D + U·Uᵀ)⁻¹B = D⁻¹B − D⁻¹U(I + UᵀD⁻¹U)⁻¹UᵀD⁻¹B` (M. A. Woodbury, "Inverting Modified Matrices", 1950).

use crate::error::LinearFault;
use crate::linear::tools::{Tools, lend};
use crate::linear::triangular::{Solve, from_left, left_scratch};
use crate::linear::{Matrix, MatrixMut, MatrixProduct, cholesky};
use crate::scalar::Real;
use crate::structured::operator::Operator;
use crate::structured::posterior::Structure;
use crate::structured::problem::Sum;

/// `n·(2r + 1) + r² + r` for all `r` columns, and what products and a factorisation of them take.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    let (n, rank) = (sum.shape.0 * sum.shape.1, sum.rank());
    let products = product.scratch(rank, rank, n).max(product.scratch(rank, 1, n)).max(product.scratch(n, 1, rank));
    let solves = cholesky::scratch(product, rank).max(left_scratch(product, rank, 1));
    n * (2 * rank + 1) + rank * rank + rank + products.max(solves)
}

#[inline(never)]
pub(super) fn solve<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    room: &mut [R],
) -> Result<(), LinearFault> {
    let (n, rank) = (sum.shape.0 * sum.shape.1, sum.rank());
    let (d, room) = lend(room, n)?;
    let (u, room) = lend(room, n * rank)?;
    let (scaled, room) = lend(room, n * rank)?;
    let (inner, room) = lend(room, rank * rank)?;
    let (t, room) = lend(room, rank)?;
    gather(sum, d, u, rank);
    if let Some(pivot) = d.iter().position(|&value| value <= R::ZERO) {
        return Err(LinearFault::NotPositiveDefinite { pivot });
    }
    for ((out, line), &d) in scaled.chunks_mut(rank.max(1)).zip(u.chunks(rank.max(1))).zip(&*d) {
        out.iter_mut().zip(line).for_each(|(out, &u)| *out = u / d);
    }
    inner.fill(R::ZERO);
    inner.iter_mut().step_by(rank + 1).for_each(|entry| *entry = R::ONE);
    let (u, scaled) = (Matrix::new(u, n, rank)?, Matrix::new(scaled, n, rank)?);
    tools.product.multiply(R::ONE, u.transposed(), scaled, R::ONE, MatrixMut::new(inner, rank, rank)?, room)?;
    cholesky::factorise(tools, MatrixMut::new(inner, rank, rank)?, room)?;
    tools.product.multiply(R::ONE, scaled.transposed(), Matrix::new(b, n, 1)?, R::ZERO, MatrixMut::new(t, rank, 1)?, room)?;
    for solve in [Solve::Plain, Solve::Transposed] {
        from_left(tools, solve, Matrix::new(inner, rank, rank)?, MatrixMut::new(t, rank, 1)?, room)?;
    }
    x.iter_mut().zip(b).zip(&*d).for_each(|((x, &b), &d)| *x = b / d);
    tools.product.multiply(-R::ONE, scaled, Matrix::new(t, rank, 1)?, R::ONE, MatrixMut::new(x, n, 1)?, room)
}

/// The diagonal part of the sum, and the columns of the rest, by the roots of their weights.
fn gather<R: Real>(sum: Sum<'_, '_, R>, d: &mut [R], u: &mut [R], rank: usize) {
    let n = d.len();
    d.fill(R::ZERO);
    let mut at = 0;
    for (weight, operator) in sum.terms() {
        let Structure::LowRank { diagonal, factor } = operator.structure else {
            operator.add_diagonal(weight, d);
            continue;
        };
        Operator { structure: Structure::Diagonal(diagonal), ..operator }.add_diagonal(weight, d);
        let (own, root) = (factor.len().checked_div(n).unwrap_or_default(), weight.sqrt());
        for (out, line) in u.chunks_mut(rank.max(1)).zip(factor.chunks(own.max(1))) {
            out.iter_mut().skip(at).zip(line).for_each(|(out, &value)| *out = root * value);
        }
        at += own;
    }
}
