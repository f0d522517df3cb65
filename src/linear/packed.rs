//! The built-in product: blocks of both factors are packed into panels, and a few rows times two vectors of sums stay in registers.
//!
//! The sums begin at what is in `C` and go on in ascending order, block after block, so that the sizes below are a matter of speed alone.
#![allow(clippy::indexing_slicing, reason = "fixed-size arrays, indexed by their own lengths")]

use super::matrix::{Matrix, MatrixMut};
use crate::kernel::NARROW;
use crate::kernel::dispatch::Kernel;
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

/// Rows, columns and depth of a block: a block of `A` stays in the second cache, one of `B` in the third, a panel of `B` in the first.
const BLOCK: (usize, usize, usize) = if NARROW { (16, 16, 32) } else { (128, 512, 256) };
/// Rows in registers.
const ROWS: usize = 4;

/// Columns in registers: two vectors of 32 bytes.
const fn width<R: Real>() -> usize {
    match R::DTYPE {
        Dtype::F32 => 16,
        _ => 8,
    }
}

/// Numbers of scratch for `[m, k]` by `[k, n]`.
pub(super) fn scratch<R: Real>(m: usize, n: usize, k: usize) -> usize {
    let (m, n) = (m.min(BLOCK.0).next_multiple_of(ROWS), n.min(BLOCK.1).next_multiple_of(width::<R>()));
    k.min(BLOCK.2) * (m + n)
}

/// One product. Shapes and the scratch were checked.
pub(super) struct Packed<'a, R> {
    pub(super) alpha: R,
    pub(super) a: Matrix<'a, R>,
    pub(super) b: Matrix<'a, R>,
    pub(super) beta: R,
    pub(super) c: MatrixMut<'a, R>,
    pub(super) scratch: &'a mut [R],
}

impl<R: Real> Kernel for Packed<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        scale(&mut self.c, self.beta);
        if R::DTYPE == Dtype::F32 { self.blocks::<16>() } else { self.blocks::<8>() }
    }
}

/// `C ← β·C`; zero where `β` is, whatever was there.
#[inline(always)]
fn scale<R: Real>(c: &mut MatrixMut<'_, R>, beta: R) {
    if beta == R::ONE {
        return;
    }
    for row in 0..c.rows() {
        let row = c.row(row, 0);
        if beta == R::ZERO {
            row.fill(R::ZERO);
        } else {
            row.iter_mut().for_each(|value| *value = beta * *value);
        }
    }
}

impl<R: Real> Packed<'_, R> {
    #[inline(always)]
    fn blocks<const W: usize>(self) {
        let Self { alpha, a, b, mut c, scratch, .. } = self;
        let (m, n, k) = (c.rows(), c.columns(), a.columns());
        for column in (0..n).step_by(BLOCK.1) {
            let columns = BLOCK.1.min(n - column);
            for first in (0..k).step_by(BLOCK.2) {
                let depth = BLOCK.2.min(k - first);
                let Some((panel_b, panel_a)) = scratch.split_at_mut_checked(depth * columns.next_multiple_of(W)) else { return };
                pack::<W, R>(b.transposed(), (column, columns), (first, depth), R::ONE, panel_b);
                for row in (0..m).step_by(BLOCK.0) {
                    let rows = BLOCK.0.min(m - row);
                    let Some(panel_a) = panel_a.get_mut(..depth * rows.next_multiple_of(ROWS)) else { return };
                    pack::<ROWS, R>(a, (row, rows), (first, depth), alpha, panel_a);
                    panels::<W, R>(panel_a, panel_b, depth, &mut c, row, column);
                }
            }
        }
    }
}

/// Packs rows `row..row + rows` and columns `first..first + depth` into panels of `W` rows, column after column, with zeros behind the
/// last row.
#[inline(always)]
fn pack<const W: usize, R: Real>(
    source: Matrix<'_, R>,
    (row, rows): (usize, usize),
    (first, depth): (usize, usize),
    factor: R,
    panels: &mut [R],
) {
    for (panel, at) in panels.chunks_exact_mut((depth * W).max(1)).zip((row..row + rows).step_by(W)) {
        let used = W.min(row + rows - at);
        if used < W {
            panel.fill(R::ZERO);
        }
        if source.is_transposed() {
            for (out, k) in panel.chunks_exact_mut(W).zip(first..) {
                for (out, &value) in out.iter_mut().zip(source.stored(k, at, used)) {
                    *out = factor * value;
                }
            }
        } else {
            for i in 0..used {
                for (out, &value) in panel.iter_mut().skip(i).step_by(W).zip(source.stored(at + i, first, depth)) {
                    *out = factor * value;
                }
            }
        }
    }
}

/// Adds the product of two packed blocks to the part of `C` that begins at `(row, column)`.
#[inline(always)]
fn panels<const W: usize, R: Real>(panel_a: &[R], panel_b: &[R], depth: usize, c: &mut MatrixMut<'_, R>, row: usize, column: usize) {
    for (a, row) in panel_a.chunks_exact((depth * ROWS).max(1)).zip((row..).step_by(ROWS)) {
        for (b, column) in panel_b.chunks_exact((depth * W).max(1)).zip((column..).step_by(W)) {
            let mut sums = [[R::ZERO; W]; ROWS];
            for (i, sums) in sums.iter_mut().enumerate() {
                load(sums, c.row(row + i, column));
            }
            micro(a, b, &mut sums);
            for (i, sums) in sums.iter().enumerate() {
                store(sums, c.row(row + i, column));
            }
        }
    }
}

#[inline(always)]
pub(super) fn load<const W: usize, R: Real>(sums: &mut [R; W], row: &[R]) {
    match row.first_chunk::<W>() {
        Some(whole) => *sums = *whole,
        None => sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum = value),
    }
}

#[inline(always)]
pub(super) fn store<const W: usize, R: Real>(sums: &[R; W], row: &mut [R]) {
    match row.first_chunk_mut::<W>() {
        Some(whole) => *whole = *sums,
        None => row.iter_mut().zip(sums).for_each(|(value, &sum)| *value = sum),
    }
}

/// `sums + Σ_k a_k·b_kᵀ`, in registers.
#[inline(always)]
fn micro<const W: usize, R: Real>(a: &[R], b: &[R], out: &mut [[R; W]; ROWS]) {
    let mut sums = *out;
    for (a, b) in a.chunks_exact(ROWS).zip(b.chunks_exact(W)) {
        let (Some(a), Some(b)) = (a.first_chunk::<ROWS>(), b.first_chunk::<W>()) else { break };
        for i in 0..ROWS {
            for j in 0..W {
                sums[i][j] = sums[i][j] + a[i] * b[j];
            }
        }
    }
    *out = sums;
}
