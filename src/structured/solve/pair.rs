//! Two Kronecker products: a closed form, by diagonalising both factors of both against their sums.
//!
//! With `P_Aᵀ(A₁ + A₂)P_A = I`, `P_AᵀA₂P_A = diag a`, and `P_G`, `b` likewise,
//! `X = P_G [ (P_Gᵀ B P_A) ⊘ (λ₁(1 − b)(1 − a)ᵀ + λ₂ b aᵀ) ] P_Aᵀ`. The sums stay definite where one of the factors is singular.

use super::lend;
use crate::error::LinearFault;
use crate::linear::tools::Tools;
use crate::linear::{Matrix, MatrixMut, MatrixProduct, pair};
use crate::scalar::Real;
use crate::structured::problem::Sum;
use crate::structured::side::Side;

/// `rows² + columns² + rows + columns` for the transforms, `2·n` for products, and twice the larger side's square with what its
/// diagonalisation takes.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    let (rows, columns) = sum.shape;
    let side = |n: usize| 2 * n * n + pair::scratch(product, n);
    let products = product.scratch(rows, columns, rows).max(product.scratch(rows, columns, columns));
    let transforms = rows * rows + columns * columns + rows + columns;
    transforms + (2 * rows * columns + products).max(side(rows)).max(side(columns))
}

/// A side of a product with its damping, and the power of two that brings its mean diagonal to one.
type Scaled<'a, R> = (Side<'a, R>, R, i32);

pub(super) fn solve<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    room: &mut [R],
) -> Result<(), LinearFault> {
    let (rows, columns) = sum.shape;
    let mut terms = sum.terms().filter_map(|(weight, of)| {
        let (left, right) = of.structure.sides()?;
        Some((weight, scaled(left, of.damping.0, rows), scaled(right, of.damping.1, columns)))
    });
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
    let weights = common([(first, left.2 + right.2), (second, other_left.2 + other_right.2)]);
    divide(two, (b_shares, a_shares), weights)?;
    set(g, Matrix::new(two, rows, columns)?, one)?;
    set(Matrix::new(one, rows, columns)?, a.transposed(), x)
}

/// `G⊗A` is `cG⊗A/c`: whatever the factors' own sizes, those of both models are made alike, or one would drown in the sum with the other.
fn scaled<R: Real>(side: Side<'_, R>, damping: R, n: usize) -> Scaled<'_, R> {
    let size = side.mean_diagonal(n) + damping;
    let exponent = if size > R::ZERO && size.is_finite() { size.split().1 } else { 0 };
    (side, damping, exponent.clamp(R::MIN_EXPONENT, -R::MIN_EXPONENT))
}

/// The weights of both products times their powers of two, over a common one; and that.
fn common<R: Real>(weights: [(R, i32); 2]) -> ([R; 2], i32) {
    let split = |(weight, exponent): (R, i32)| match weight.abs() {
        size if size > R::ZERO => Some((size.split(), weight < R::ZERO, exponent)),
        _ => None,
    };
    let parts = weights.map(split);
    let exponent = parts.iter().flatten().map(|((_, own), _, exponent)| own + exponent).max().unwrap_or_default();
    let part = |((size, own), negative, more): ((R, i32), bool, i32)| {
        let size = size.times_power_of_two(own + more - exponent);
        if negative { -size } else { size }
    };
    (parts.map(|of| of.map_or(R::ZERO, part)), exponent)
}

/// Divides by `λ₁(1 − b)(1 − a)ᵀ + λ₂·b·aᵀ`.
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
    sides: [Scaled<'_, R>; 2],
    n: usize,
    (transform, shares): (&mut [R], &mut [R]),
    room: &mut [R],
) -> Result<(), LinearFault> {
    let (first, room) = lend(room, n * n)?;
    let (second, room) = lend(room, n * n)?;
    for (out, (side, damping, exponent)) in [&mut *first, &mut *second].into_iter().zip(sides) {
        out.fill(R::ZERO);
        side.add_to(n, R::ONE.times_power_of_two(-exponent), damping, out);
    }
    let (first, second) = (MatrixMut::new(first, n, n)?, MatrixMut::new(second, n, n)?);
    pair::diagonalise(tools, first, second, shares, MatrixMut::new(transform, n, n)?, room)
}
