//! Conjugate gradients, for what has no closed form: more than two Kronecker products, and mixtures with diagonals
//! (M. Hestenes & E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952). The sum is applied, never made.
//!
//! Preconditioned by one Kronecker product of averages, `Ḡ = Σ λ_m·tr(A_m)·G_m` and `Ā = Σ λ_m·tr(G_m)·A_m` up to a factor, where all
//! are such products; by the diagonal otherwise.

use super::Stop;
use crate::error::LinearFault;
use crate::linear::loops::dot;
use crate::linear::tools::{Tools, lend};
use crate::linear::triangular::{Solve, from_left, from_right, left_scratch, right_scratch};
use crate::linear::{Matrix, MatrixMut, MatrixProduct, cholesky};
use crate::scalar::Real;
use crate::structured::operator::{self, add_scaled, copy};
use crate::structured::problem::Sum;
use crate::structured::side::mean;

/// `4·n` for the vectors, what applying the sum takes, and `rows² + columns²` (or `n`) for the preconditioner with its solves.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    let ((rows, columns), n) = (sum.shape, sum.shape.0 * sum.shape.1);
    let apply = operator::scratch(product, sum.shape, sum.is_dense());
    if !is_product(sum) {
        return 5 * n + apply;
    }
    let solves = left_scratch(product, rows, columns).max(right_scratch(product, columns, rows));
    let factorise = cholesky::scratch(product, rows).max(cholesky::scratch(product, columns));
    4 * n + rows * rows + columns * columns + apply.max(solves).max(factorise)
}

fn is_product<R: Real>(sum: Sum<'_, '_, R>) -> bool {
    sum.terms().all(|(_, operator)| operator.structure.sides().is_some())
}

/// What stands for the inverse.
enum Preconditioner<'r, R> {
    /// Factors `L` of `Ḡ` and of `Ā`.
    Product(&'r [R], &'r [R]),
    Diagonal(&'r [R]),
}

#[inline(never)]
pub(super) fn solve<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    stop: Stop<R>,
    room: &mut [R],
) -> Result<u32, LinearFault> {
    let n = b.len();
    let (residual, room) = lend(room, n)?;
    let (z, room) = lend(room, n)?;
    let (direction, room) = lend(room, n)?;
    let (image, room) = lend(room, n)?;
    let (preconditioner, room) = precondition(tools, sum, room)?;
    let scale = largest(b);
    x.fill(R::ZERO);
    if scale == R::ZERO {
        return Ok(0);
    }
    // Of order one, so that no square leaves the range.
    residual.iter_mut().zip(b).for_each(|(out, &b)| *out = b / scale);
    let aim = stop.tolerance * dot(residual, residual).sqrt();
    preconditioner.apply(tools, sum.shape, residual, z, room)?;
    copy(direction, z);
    let mut product = dot(residual, z);
    let mut iterations = 0;
    while dot(residual, residual).sqrt() > aim && iterations < stop.iterations {
        image.fill(R::ZERO);
        sum.add(tools, R::ONE, direction, image, room)?;
        let curvature = dot(direction, image);
        if curvature <= R::ZERO || !curvature.is_finite() {
            return Err(LinearFault::NotPositiveDefinite { pivot: 0 });
        }
        let step = product / curvature;
        add_scaled(x, step, direction);
        add_scaled(residual, -step, image);
        preconditioner.apply(tools, sum.shape, residual, z, room)?;
        let next = dot(residual, z);
        let turn = next / product;
        product = next;
        direction.iter_mut().zip(&*z).for_each(|(direction, &z)| *direction = z + turn * *direction);
        iterations += 1;
    }
    x.iter_mut().for_each(|x| *x = *x * scale);
    Ok(iterations)
}

/// Makes the preconditioner at the front of the room.
fn precondition<'r, R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    room: &'r mut [R],
) -> Result<(Preconditioner<'r, R>, &'r mut [R]), LinearFault> {
    let (rows, columns) = sum.shape;
    if !is_product(sum) {
        let (diagonal, room) = lend(room, rows * columns)?;
        diagonal.fill(R::ZERO);
        sum.terms().for_each(|(weight, operator)| operator.add_diagonal(weight, diagonal));
        if let Some(pivot) = diagonal.iter().position(|&value| value <= R::ZERO) {
            return Err(LinearFault::NotPositiveDefinite { pivot });
        }
        to_order_one(diagonal);
        return Ok((Preconditioner::Diagonal(diagonal), room));
    }
    let (g, room) = lend(room, rows * rows)?;
    let (a, room) = lend(room, columns * columns)?;
    g.fill(R::ZERO);
    a.fill(R::ZERO);
    // Terms of a negative weight are left to the iterations.
    for (weight, left, right) in sum.products().0.filter(|(weight, ..)| *weight > R::ZERO) {
        left.add_to(rows, weight * right.size(columns), g);
        right.add_to(columns, weight * left.size(rows), a);
    }
    cholesky::factorise(tools, MatrixMut::new(g, rows, rows)?, room)?;
    cholesky::factorise(tools, MatrixMut::new(a, columns, columns)?, room)?;
    Ok((Preconditioner::Product(g, a), room))
}

/// Divides by about the mean: a factor of the preconditioner changes no iterate, but squares of directions would leave the range.
fn to_order_one<R: Real>(values: &mut [R]) {
    let size = mean(values.iter().copied());
    if size > R::ZERO && size.is_finite() {
        let exponent = -size.split().1;
        values.iter_mut().for_each(|value| *value = value.times_power_of_two(exponent));
    }
}

impl<R: Real> Preconditioner<'_, R> {
    fn apply<P: MatrixProduct<R>>(
        &self,
        tools: Tools<'_, P>,
        (rows, columns): (usize, usize),
        residual: &[R],
        z: &mut [R],
        room: &mut [R],
    ) -> Result<(), LinearFault> {
        match *self {
            Self::Diagonal(diagonal) => {
                z.iter_mut().zip(residual).zip(diagonal).for_each(|((z, &residual), &diagonal)| *z = residual / diagonal);
            }
            Self::Product(g, a) => {
                copy(z, residual);
                for solve in [Solve::Plain, Solve::Transposed] {
                    from_left(tools, solve, Matrix::new(g, rows, rows)?, MatrixMut::new(z, rows, columns)?, room)?;
                    from_right(tools, solve, Matrix::new(a, columns, columns)?, MatrixMut::new(z, rows, columns)?, room)?;
                }
            }
        }
        Ok(())
    }
}

fn largest<R: Real>(x: &[R]) -> R {
    x.iter().fold(R::ZERO, |largest, &x| if x.abs() > largest { x.abs() } else { largest })
}
