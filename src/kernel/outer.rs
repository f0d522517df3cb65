//! Sums over examples of squared outer products, `Σ_b w_b·(Σ_t g_bt·a_btᵀ)²`, element by element: what a linear layer's Fisher is made of,
//! without ever holding a gradient of one example.
//!
//! One position per example: the squares are multiplied, which is one matrix product `(w·g∘g)ᵀ·(a∘a)`. Several: the products of an
//! example are added over its positions, in a tile, and the tile's squares to the sums. Either way panels of [`DEPTH`] rows are packed, a few
//! rows of outputs times a few vectors of inputs stay in registers, and every sum is over the same rows in the same order whatever the tile
//! and the instruction set.
#![allow(clippy::indexing_slicing, reason = "fixed-size arrays, indexed by their own lengths")]

use super::dispatch::Kernel;
use super::squares::{Sums, leaving, outside};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::view::{BLOCK, Values};

/// Rows of a panel. Part of the definition of the sums' order: the same everywhere.
pub(super) const DEPTH: usize = 64;
/// Rows and columns of a tile: what caches hold. A matter of speed alone.
const TILE: (usize, usize) = if size_of::<usize>() >= 8 { (256, 128) } else { (16, 16) };
/// Outputs in registers.
pub(super) const ROWS: usize = 4;

/// Numbers of scratch.
pub(crate) const SCRATCH: usize = DEPTH * (TILE.0 + TILE.1) + TILE.0 * TILE.1;

/// What an example's gradients are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outputs {
    /// Gradients at the outputs.
    Gradients,
    /// Their expected squares.
    Variances,
}

pub(crate) struct Outer<'a, A, G, R> {
    pub(crate) sums: Sums<'a, R>,
    /// `[weights.len(), positions, width.1]`
    pub(crate) inputs: &'a A,
    /// `[weights.len(), positions, width.0]`
    pub(crate) gradients: &'a G,
    pub(crate) outputs: Outputs,
    pub(crate) positions: usize,
    /// Outputs and inputs of the layer.
    pub(crate) width: (usize, usize),
    pub(crate) weights: &'a [R],
    pub(crate) scale: R,
    /// [`SCRATCH`] numbers.
    pub(crate) scratch: &'a mut [R],
}

impl<A: Values<R>, G: Values<R>, R: Real> Kernel for Outer<'_, A, G, R> {
    /// Squares that leave the normal range.
    type Output = u64;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> u64 {
        let mut out_of_range = 0;
        let (outs, ins) = self.width;
        for row in (0..outs).step_by(TILE.0) {
            for column in (0..ins).step_by(TILE.1) {
                let (n, m) = (TILE.0.min(outs - row), TILE.1.min(ins - column));
                if self.positions == 1 {
                    out_of_range += self.independent::<I>((row, n), (column, m));
                } else {
                    out_of_range += self.shared::<I>((row, n), (column, m));
                }
            }
        }
        out_of_range
    }
}

impl<A: Values<R>, G: Values<R>, R: Real> Outer<'_, A, G, R> {
    /// One position an example.
    #[inline(always)]
    fn independent<I: Isa>(&mut self, (row, n): (usize, usize), (column, m): (usize, usize)) -> u64 {
        let (outs, ins) = self.width;
        let (scale, outputs) = (self.scale, self.outputs);
        let mut out_of_range = 0;
        for (chunk, weights) in self.weights.chunks(DEPTH).enumerate() {
            let first = chunk * DEPTH;
            let Some((panel_g, rest)) = self.scratch.split_at_mut_checked(DEPTH * TILE.0) else { return out_of_range };
            let Some((panel_a, tile)) = rest.split_at_mut_checked(DEPTH * TILE.1) else { return out_of_range };
            for (k, &weight) in weights.iter().enumerate() {
                let mut buffer = [R::ZERO; BLOCK];
                let block = self.gradients.block::<I, R>((first + k) * outs + row, n, &mut buffer);
                if column == 0 && outputs == Outputs::Gradients {
                    out_of_range += leaving(block, scale);
                }
                pack::<ROWS, R>(panel_g, k, block, |value| match outputs {
                    Outputs::Gradients => (value * scale) * (value * scale) * weight,
                    Outputs::Variances => value * (scale * scale) * weight,
                });
                let mut buffer = [R::ZERO; BLOCK];
                let block = self.inputs.block::<I, R>((first + k) * ins + column, m, &mut buffer);
                if row == 0 {
                    out_of_range += leaving(block, R::ONE);
                }
                pack_columns(panel_a, k, block, |value| value * value);
            }
            tile.fill(R::ZERO);
            product(panel_g, panel_a, tile, (n, m, weights.len()));
            for (i, tile) in tile.chunks_exact(TILE.1).enumerate().take(n) {
                out_of_range += outside(tile);
                self.sums.add((row + i) * ins + column, tile.iter().copied().take(m));
            }
        }
        out_of_range
    }

    /// Several positions an example, added before they are squared.
    #[inline(always)]
    fn shared<I: Isa>(&mut self, (row, n): (usize, usize), (column, m): (usize, usize)) -> u64 {
        let mut out_of_range = 0;
        let ((outs, ins), positions, scale) = (self.width, self.positions, self.scale);
        for (example, &weight) in self.weights.iter().enumerate() {
            let Some((panel_g, rest)) = self.scratch.split_at_mut_checked(DEPTH * TILE.0) else { return out_of_range };
            let Some((panel_a, tile)) = rest.split_at_mut_checked(DEPTH * TILE.1) else { return out_of_range };
            tile.fill(R::ZERO);
            for first in (0..positions).step_by(DEPTH) {
                let depth = DEPTH.min(positions - first);
                for k in 0..depth {
                    let position = example * positions + first + k;
                    let mut buffer = [R::ZERO; BLOCK];
                    pack::<ROWS, R>(panel_g, k, self.gradients.block::<I, R>(position * outs + row, n, &mut buffer), |value| value * scale);
                    let mut buffer = [R::ZERO; BLOCK];
                    pack_columns(panel_a, k, self.inputs.block::<I, R>(position * ins + column, m, &mut buffer), |value| value);
                }
                product(panel_g, panel_a, tile, (n, m, depth));
            }
            for (i, tile) in tile.chunks_exact(TILE.1).enumerate().take(n) {
                out_of_range += leaving(tile, R::ONE);
                self.sums.add((row + i) * ins + column, tile.iter().take(m).map(|&value| value * value * weight));
            }
        }
        out_of_range
    }
}

/// Puts row `k` into panels of `W` columns, [`DEPTH`] rows each, with zeros behind the last column.
#[inline(always)]
pub(super) fn pack<const W: usize, R: Real>(panels: &mut [R], k: usize, row: &[R], map: impl Fn(R) -> R) {
    for (panel, columns) in panels.chunks_exact_mut(DEPTH * W).zip(row.chunks(W)) {
        let Some(out) = panel.get_mut(k * W..).and_then(|rest| rest.first_chunk_mut::<W>()) else { return };
        *out = [R::ZERO; W];
        for (out, &value) in out.iter_mut().zip(columns) {
            *out = map(value);
        }
    }
}

#[inline(always)]
pub(super) fn pack_columns<R: Real>(panels: &mut [R], k: usize, row: &[R], map: impl Fn(R) -> R) {
    if R::DTYPE == Dtype::F32 { pack::<16, R>(panels, k, row, map) } else { pack::<8, R>(panels, k, row, map) }
}

/// Adds the product of two packed panels, of `n` and `m` columns and `depth` rows deep, to a tile. A panel's width of columns is two vectors
/// of 32 bytes. What lies behind the columns is of another tile, or the caller's: it is not looked at.
#[inline(always)]
fn product<R: Real>(panel_g: &[R], panel_a: &[R], tile: &mut [R], sizes: (usize, usize, usize)) {
    if R::DTYPE == Dtype::F32 { panels::<16, R>(panel_g, panel_a, tile, sizes) } else { panels::<8, R>(panel_g, panel_a, tile, sizes) }
}

#[inline(always)]
fn panels<const W: usize, R: Real>(panel_g: &[R], panel_a: &[R], tile: &mut [R], (n, m, depth): (usize, usize, usize)) {
    for (i, g) in panel_g.chunks_exact(DEPTH * ROWS).enumerate().take(n.div_ceil(ROWS)) {
        for (j, a) in panel_a.chunks_exact(DEPTH * W).enumerate().take(m.div_ceil(W)) {
            let sums = micro::<W, R>(g, a, depth);
            for (k, sums) in sums.iter().enumerate() {
                let Some(out) = tile.get_mut((i * ROWS + k) * TILE.1 + j * W..).and_then(|rest| rest.first_chunk_mut::<W>()) else {
                    return;
                };
                for (out, &sum) in out.iter_mut().zip(sums) {
                    *out = *out + sum;
                }
            }
        }
    }
}

/// `Σ_k g_k·a_kᵀ`, in registers.
#[inline(always)]
pub(super) fn micro<const W: usize, R: Real>(g: &[R], a: &[R], depth: usize) -> [[R; W]; ROWS] {
    let mut sums = [[R::ZERO; W]; ROWS];
    for (g, a) in g.chunks_exact(ROWS).zip(a.chunks_exact(W)).take(depth) {
        let (Some(g), Some(a)) = (g.first_chunk::<ROWS>(), a.first_chunk::<W>()) else { break };
        for i in 0..ROWS {
            for j in 0..W {
                sums[i][j] = sums[i][j] + g[i] * a[j];
            }
        }
    }
    sums
}
