//! Weighted sums of the outer products of vectors with themselves, `Σ_b w_b·x_b·x_bᵀ`: what Kronecker factors and dense Fishers are made of.
//!
//! Only the lower triangle is reckoned and kept, row behind row, so that the matrix is symmetric to the bit. Panels of [`DEPTH`] vectors are
//! packed once, weighted and as they are, and a few rows of the one times two hardware vectors of the other stay in registers, as in `outer`;
//! every sum is over the same vectors in the same order whatever the instruction set.

use super::dispatch::Kernel;
use super::outer::{DEPTH, ROWS, micro, pack, pack_columns};
use super::squares::{Sums, leaving};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::view::{BLOCK, Values};

/// Columns whose panels stay in the cache while the rows go by. A matter of speed alone.
const COLUMNS: usize = if size_of::<usize>() >= 8 { 256 } else { 32 };

/// Columns in registers: two vectors of 32 bytes.
const fn width<R: Real>() -> usize {
    if matches!(R::DTYPE, Dtype::F32) { 16 } else { 8 }
}

/// `side` rounded up to whole panels.
const fn whole(side: usize, panel: usize) -> usize {
    side.saturating_add(panel - 1) / panel * panel
}

/// Numbers of scratch for vectors of this length.
pub(crate) const fn scratch<R: Real>(side: usize) -> usize {
    DEPTH.saturating_mul(whole(side, ROWS).saturating_add(whole(side, width::<R>())))
}

/// How the positions of an example become vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Positions {
    /// Each is one, of the example's weight.
    Each,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

pub(crate) struct Gram<'a, V, R> {
    /// Of the lower triangle.
    pub(crate) sums: Sums<'a, R>,
    /// `[weights.len(), positions, width]`
    pub(crate) values: &'a V,
    pub(crate) width: usize,
    /// Whether each vector has one number more, which is one.
    pub(crate) homogeneous: bool,
    /// How many there are of an example, and how many of them are looked at where that differs.
    pub(crate) positions: usize,
    pub(crate) lengths: Option<&'a [usize]>,
    pub(crate) vectors: Positions,
    pub(crate) weights: &'a [R],
    pub(crate) scale: R,
    /// [`scratch`] numbers.
    pub(crate) scratch: &'a mut [R],
}

/// The positions of an example that make a vector, and its weight.
struct Vector<R> {
    example: usize,
    from: usize,
    to: usize,
    weight: R,
}

impl<V: Values<R>, R: Real> Kernel for Gram<'_, V, R> {
    /// Squares that leave the normal range.
    type Output = u64;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> u64 {
        let side = self.width + usize::from(self.homogeneous);
        let scratch = core::mem::take(&mut self.scratch);
        let Some((panel_g, panel_a)) = scratch.split_at_mut_checked(DEPTH * whole(side, ROWS)) else { return 0 };
        let each = if self.vectors == Positions::Each { self.positions.max(1) } else { 1 };
        let vectors = self.weights.len() * each;
        let mut out_of_range = 0;
        for first in (0..vectors).step_by(DEPTH) {
            let depth = DEPTH.min(vectors - first);
            for k in 0..depth {
                let vector = self.vector((first + k) / each, (first + k) % each);
                for column in (0..side).step_by(BLOCK) {
                    let (mut block, mut buffer) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
                    let block = self.block::<I>(&vector, column, BLOCK.min(side - column), &mut block, &mut buffer);
                    out_of_range += leaving(block, R::ONE);
                    let (Some(g), Some(a)) = (panel_g.get_mut(column * DEPTH..), panel_a.get_mut(column * DEPTH..)) else { break };
                    pack::<ROWS, R>(g, k, block, |value| value * vector.weight);
                    pack_columns(a, k, block, |value| value);
                }
            }
            if R::DTYPE == Dtype::F32 {
                add_lower::<16, R>(&mut self.sums, panel_g, panel_a, side, depth);
            } else {
                add_lower::<8, R>(&mut self.sums, panel_g, panel_a, side, depth);
            }
        }
        out_of_range
    }
}

impl<V: Values<R>, R: Real> Gram<'_, V, R> {
    /// Position `t` of an example, or all of them. Those behind its end have no weight.
    #[inline(always)]
    fn vector(&self, example: usize, t: usize) -> Vector<R> {
        let weight = self.weights.get(example).copied().unwrap_or(R::ZERO);
        let length = self.lengths.and_then(|lengths| lengths.get(example)).map_or(self.positions, |&length| length.min(self.positions));
        match self.vectors {
            Positions::Each => Vector { example, from: t, to: t + 1, weight: if t < length { weight } else { R::ZERO } },
            _ => Vector { example, from: 0, to: length, weight },
        }
    }

    /// `n` numbers of a vector from `column` on.
    #[inline(always)]
    fn block<'b, I: Isa>(&self, vector: &Vector<R>, column: usize, n: usize, out: &'b mut [R; BLOCK], buffer: &mut [R; BLOCK]) -> &'b [R] {
        let stored = n.min(self.width - column.min(self.width));
        for t in vector.from..vector.to {
            let block = self.values.block::<I, R>((vector.example * self.positions + t) * self.width + column, stored, buffer);
            for (out, &value) in out.iter_mut().zip(block) {
                *out = *out + value * self.scale;
            }
        }
        if self.vectors == Positions::Mean {
            #[allow(clippy::cast_precision_loss, reason = "sequences of 2^53 positions are out of reach")]
            let count = R::from_f64((vector.to - vector.from) as f64);
            out.iter_mut().take(stored).for_each(|out| *out = *out / count);
        }
        if let Some(out) = out.get_mut(stored).filter(|_| stored < n) {
            *out = R::ONE;
        }
        out.get(..n).unwrap_or_default()
    }
}

/// Adds the product of packed panels, `depth` vectors deep, to the lower triangle.
#[inline(always)]
fn add_lower<const W: usize, R: Real>(sums: &mut Sums<'_, R>, panel_g: &[R], panel_a: &[R], side: usize, depth: usize) {
    for first in (0..side).step_by(COLUMNS) {
        for (g, row) in panel_g.chunks_exact(DEPTH * ROWS).zip((0..).step_by(ROWS)).skip(first / ROWS) {
            let columns = panel_a.get(first * DEPTH..).unwrap_or_default().chunks_exact(DEPTH * W).zip((first..).step_by(W));
            for (a, column) in columns.take(COLUMNS / W).take_while(|&(_, column)| column < row + ROWS && column < side) {
                let products = micro::<W, R>(g, a, depth);
                for (products, row) in products.iter().zip(row..side).skip_while(|&(_, row)| row < column) {
                    let at = row * (row + 1) / 2 + column;
                    if row + 1 - column >= W {
                        sums.add_chunk(at, products);
                    } else {
                        sums.add(at, products.iter().take(row + 1 - column).copied());
                    }
                }
            }
        }
    }
}
