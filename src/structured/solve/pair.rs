//! Two Kronecker products: a closed form, by diagonalising both factors of both against their sums.
//!
//! With `P_Aᵀ(A₁ + A₂)P_A = I`, `P_AᵀA₂P_A = diag a`, and `P_G`, `b` likewise,
//! `X = P_G [ (P_Gᵀ B P_A) ⊘ (λ₁(1 − b)(1 − a)ᵀ + λ₂ b aᵀ) ] P_Aᵀ`. The sums stay definite where one of the factors is singular.

use crate::error::LinearFault;
use crate::linear::tools::{Tools, lend};
use crate::linear::{Matrix, MatrixMut, MatrixProduct, pair};
use crate::scalar::Real;
use crate::structured::problem::Sum;
use crate::structured::side::Damped;

/// `rows² + columns² + rows + columns` for the transforms, `2·n` for products, and twice the larger side's square with what its
/// diagonalisation takes.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    let (rows, columns) = sum.shape;
    let side = |n: usize| 2 * n * n + pair::scratch(product, n);
    let products = product.scratch(rows, columns, rows).max(product.scratch(rows, columns, columns));
    let transforms = rows * rows + columns * columns + rows + columns;
    transforms + (2 * rows * columns + products).max(side(rows)).max(side(columns))
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
    let (mut terms, exponent) = sum.products();
    let (Some((first, left, right)), Some((second, other_left, other_right))) = (terms.next(), terms.next()) else { return Ok(()) };
    let (p_g, room) = lend(room, rows * rows)?;
    let (p_a, room) = lend(room, columns * columns)?;
    let (b_shares, room) = lend(room, rows)?;
    let (a_shares, room) = lend(room, columns)?;
    diagonalise(tools, [left, other_left], rows, (p_g, b_shares), room)?;
    diagonalise(tools, [right, other_right], columns, (p_a, a_shares), room)?;

    let (one, room) = lend(room, rows * columns)?;
    let (two, room) = lend(room, rows * columns)?;
    let (g, a) = (Matrix::new(p_g, rows, rows)?, Matrix::new(p_a, columns, columns)?);
    let mut set = |left: Matrix<'_, R>, right: Matrix<'_, R>, out: &mut [R]| {
        tools.product.multiply(R::ONE, left, right, R::ZERO, MatrixMut::new(out, rows, columns)?, room)
    };
    set(g.transposed(), Matrix::new(b, rows, columns)?, one)?;
    set(Matrix::new(one, rows, columns)?, a, two)?;
    divide(two, (b_shares, a_shares), ([first, second], exponent))?;
    set(g, Matrix::new(two, rows, columns)?, one)?;
    set(Matrix::new(one, rows, columns)?, a.transposed(), x)
}

/// Divides by `2^e·(c₁(1 − b)(1 − a)ᵀ + c₂·b·aᵀ)`.
///
/// # Errors
/// A direction in which only rounding errors are left, or less.
fn divide<R: Real>(values: &mut [R], (b, a): (&[R], &[R]), ([first, second], exponent): ([R; 2], i32)) -> Result<(), LinearFault> {
    let negative = first < R::ZERO || second < R::ZERO;
    let least = R::epsilon() * first.abs().max(second.abs()) * if negative { R::from_f64(1024.0) } else { R::ONE };
    let columns = a.len().max(1);
    for (row, (line, &b)) in values.chunks_mut(columns).zip(b).enumerate() {
        for (column, (value, &a)) in line.iter_mut().zip(a).enumerate() {
            let denominator = first * (R::ONE - b) * (R::ONE - a) + second * b * a;
            if denominator <= least {
                return Err(LinearFault::NotPositiveDefinite { pivot: row * columns + column });
            }
            *value = (*value / denominator).times_power_of_two(-exponent);
        }
    }
    Ok(())
}

/// The transform of one side, and the second product's share in each of its directions.
fn diagonalise<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sides: [Damped<'_, R>; 2],
    n: usize,
    (transform, shares): (&mut [R], &mut [R]),
    room: &mut [R],
) -> Result<(), LinearFault> {
    let (first, room) = lend(room, n * n)?;
    let (second, room) = lend(room, n * n)?;
    for (out, side) in [&mut *first, &mut *second].into_iter().zip(sides) {
        out.fill(R::ZERO);
        side.add_to(n, R::ONE, out);
    }
    let (first, second) = (MatrixMut::new(first, n, n)?, MatrixMut::new(second, n, n)?);
    pair::diagonalise(tools, first, second, shares, MatrixMut::new(transform, n, n)?, room)
}
