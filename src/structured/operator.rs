//! A precision as a linear map, damped: `X ↦ Λ·X` without ever making Λ.

use super::posterior::Structure;
use super::side::Side;
use crate::error::LinearFault;
use crate::linear::tools::{Tools, lend};
use crate::linear::{Matrix, MatrixMut, MatrixProduct};
use crate::scalar::Real;

/// A structure over parameters of a shape, and what damping adds to the diagonals of its factors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator<'a, R> {
    pub(super) structure: Structure<'a, R>,
    pub(super) shape: (usize, usize),
    pub(super) damping: (R, R),
}

/// Numbers of scratch that applying any operator takes, one matrix of parameters and those of a product.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, (rows, columns): (usize, usize), dense: bool) -> usize {
    let n = rows * columns;
    let whole = if dense { product.scratch(n, 1, n) } else { 0 };
    n + whole.max(product.scratch(rows, columns, columns)).max(product.scratch(rows, columns, rows))
}

impl<R: Real> Operator<'_, R> {
    /// `out ← out + weight·Λ·x`.
    pub(super) fn add<P: MatrixProduct<R>>(
        &self,
        tools: Tools<'_, P>,
        weight: R,
        x: &[R],
        out: &mut [R],
        room: &mut [R],
    ) -> Result<(), LinearFault> {
        match self.structure {
            Structure::Diagonal(values) => {
                let terms = values.iter().zip(x);
                out.iter_mut().zip(terms).for_each(|(out, (&value, &x))| *out = *out + weight * (value * x));
                Ok(())
            }
            Structure::Dense(values) => {
                let n = x.len();
                add_scaled(out, weight * self.damping.0, x);
                let (matrix, x) = (Matrix::new(values, n, n)?, Matrix::new(x, n, 1)?);
                tools.product.multiply(weight, matrix, x, R::ONE, MatrixMut::new(out, n, 1)?, room)
            }
            Structure::LowRank { diagonal, factor } => {
                let n = x.len();
                let terms = diagonal.iter().zip(x);
                out.iter_mut().zip(terms).for_each(|(out, (&value, &x))| *out = *out + weight * (value * x));
                let rank = factor.len().checked_div(n).unwrap_or_default();
                for column in 0..rank {
                    let entries = factor.iter().skip(column).step_by(rank);
                    let dot = entries.clone().zip(x).fold(R::ZERO, |sum, (&u, &x)| sum + u * x);
                    out.iter_mut().zip(entries).for_each(|(out, &u)| *out = *out + weight * (dot * u));
                }
                Ok(())
            }
            _ => self.add_sides(tools, weight, x, out, room),
        }
    }

    /// `out ← out + weight·(left + γ)·X·(right + α)`.
    fn add_sides<P: MatrixProduct<R>>(
        &self,
        tools: Tools<'_, P>,
        weight: R,
        x: &[R],
        out: &mut [R],
        room: &mut [R],
    ) -> Result<(), LinearFault> {
        let Some((left, right)) = self.structure.sides() else { return Ok(()) };
        let ((rows, columns), (gamma, alpha)) = (self.shape, self.damping);
        let (through, room) = lend(room, x.len())?;
        match right {
            Side::Matrix(values) => {
                let (x_matrix, a) = (Matrix::new(x, rows, columns)?, Matrix::new(values, columns, columns)?);
                tools.product.multiply(R::ONE, x_matrix, a, R::ZERO, MatrixMut::new(through, rows, columns)?, room)?;
                add_scaled(through, alpha, x);
            }
            // No structure has groups there.
            Side::Scaled(_) | Side::Groups(_) => copy(through, x),
        }
        match left {
            Side::Matrix(values) => {
                add_scaled(out, weight * gamma, through);
                let (g, through) = (Matrix::new(values, rows, rows)?, Matrix::new(through, rows, columns)?);
                tools.product.multiply(weight, g, through, R::ONE, MatrixMut::new(out, rows, columns)?, room)
            }
            Side::Scaled(_) | Side::Groups(_) => {
                let lines = out.chunks_mut(columns.max(1)).zip(through.chunks(columns.max(1)));
                lines.enumerate().for_each(|(row, (out, through))| add_scaled(out, weight * (left.diagonal(row, rows) + gamma), through));
                Ok(())
            }
        }
    }

    /// `out ← out + weight·diag(Λ)`.
    pub(super) fn add_diagonal(&self, weight: R, out: &mut [R]) {
        let ((rows, columns), n) = (self.shape, out.len());
        let rank = |factor: &[R]| factor.len().checked_div(n).unwrap_or_default();
        for (index, out) in out.iter_mut().enumerate() {
            let (row, column) = (index / columns.max(1), index % columns.max(1));
            let entry = match self.structure {
                Structure::Diagonal(values) => values.get(index).copied().unwrap_or(R::ZERO),
                Structure::Dense(values) => values.get(index * n + index).copied().unwrap_or(R::ZERO) + self.damping.0,
                Structure::LowRank { diagonal, factor } => {
                    let own = factor.chunks(rank(factor).max(1)).nth(index).unwrap_or_default();
                    let squares = own.iter().fold(R::ZERO, |sum, &u| sum + u * u);
                    diagonal.get(index).copied().unwrap_or(R::ZERO) + squares
                }
                _ => self.structure.sides().map_or(R::ZERO, |(left, right)| {
                    (left.diagonal(row, rows) + self.damping.0) * (right.diagonal(column, columns) + self.damping.1)
                }),
            };
            *out = *out + weight * entry;
        }
    }

    /// `out ← out + weight·Λ`, `[n, n]`.
    pub(super) fn add_dense(&self, weight: R, out: &mut [R]) {
        let (rows, columns) = self.shape;
        let n = rows * columns;
        for (index, line) in out.chunks_mut(n.max(1)).enumerate() {
            match self.structure {
                Structure::Dense(values) => {
                    add_scaled(line, weight, values.get(index * n..).unwrap_or_default());
                    line.iter_mut().skip(index).take(1).for_each(|out| *out = *out + weight * self.damping.0);
                }
                Structure::LowRank { factor, diagonal } => {
                    let rank = factor.len().checked_div(n).unwrap_or_default().max(1);
                    let own = factor.chunks(rank).nth(index).unwrap_or_default();
                    for (out, other) in line.iter_mut().zip(factor.chunks(rank)) {
                        *out = *out + weight * own.iter().zip(other).fold(R::ZERO, |sum, (&a, &b)| sum + a * b);
                    }
                    let entry = diagonal.get(index).copied().unwrap_or(R::ZERO);
                    line.iter_mut().skip(index).take(1).for_each(|out| *out = *out + weight * entry);
                }
                Structure::Diagonal(values) => {
                    let entry = values.get(index).copied().unwrap_or(R::ZERO);
                    line.iter_mut().skip(index).take(1).for_each(|out| *out = *out + weight * entry);
                }
                _ => self.add_dense_line(weight, index, line),
            }
        }
    }

    /// A line of a Kronecker product.
    fn add_dense_line(&self, weight: R, index: usize, line: &mut [R]) {
        let Some((left, right)) = self.structure.sides() else { return };
        let ((rows, columns), (gamma, alpha)) = (self.shape, self.damping);
        let entry = |side: &Side<'_, R>, i: usize, j: usize, n: usize, damping: R| {
            let own = match *side {
                Side::Matrix(values) => values.get(i * n + j).copied().unwrap_or(R::ZERO),
                _ if i == j => side.diagonal(i, n),
                _ => R::ZERO,
            };
            if i == j { own + damping } else { own }
        };
        let (row, column) = (index / columns.max(1), index % columns.max(1));
        for (other, out) in line.iter_mut().enumerate() {
            let g = entry(&left, row, other / columns.max(1), rows, gamma);
            if g != R::ZERO {
                *out = *out + weight * (g * entry(&right, column, other % columns.max(1), columns, alpha));
            }
        }
    }
}

/// `out ← x`, as far as both go: lengths were compared before.
pub(super) fn copy<R: Real>(out: &mut [R], x: &[R]) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = x);
}

/// `out ← out + weight·x`
pub(super) fn add_scaled<R: Real>(out: &mut [R], weight: R, x: &[R]) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = *out + weight * x);
}
