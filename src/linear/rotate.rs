//! Sweeps of plane rotations, collected and applied to the rows of a matrix by column strips that a cache holds.

use super::matrix::MatrixMut;
use super::packed::{load, store};
use crate::kernel::dispatch::{Kernel, Shell};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

/// Sweeps that are collected at most, whatever their length.
const SWEEPS: usize = 128;
/// Whole sweeps that there is room for.
const WHOLE: usize = 32;
/// Columns of a strip: four vectors of 32 bytes, since each waits for what became of it one rotation ago.
const fn width<R: Real>() -> usize {
    match R::DTYPE {
        Dtype::F32 => 32,
        _ => 16,
    }
}

/// Rotations of rows `start` and its neighbour, that one and the next, and so on: upwards or downwards.
#[derive(Clone, Copy, Debug, Default)]
struct Sweep {
    start: usize,
    count: usize,
    downwards: bool,
    /// Where its first rotation is.
    at: usize,
}

/// Numbers of scratch for `n` rows: [`WHOLE`] sweeps of a cosine and a sine each, and a strip.
pub(super) fn scratch<R: Real>(n: usize) -> usize {
    n * (2 * WHOLE + width::<R>())
}

/// Sweeps that were not applied yet, and the rows they are for.
#[derive(Debug)]
pub(super) struct Batch<'a, R> {
    shell: Shell,
    rows: MatrixMut<'a, R>,
    rotations: &'a mut [R],
    strip: &'a mut [R],
    sweeps: [Sweep; SWEEPS],
    count: usize,
    used: usize,
}

impl<'a, R: Real> Batch<'a, R> {
    /// `room` holds [`scratch`] numbers.
    pub(super) fn new(shell: Shell, rows: MatrixMut<'a, R>, room: &'a mut [R]) -> Self {
        let (rotations, strip) = room.split_at_mut_checked(2 * WHOLE * rows.rows()).unwrap_or_default();
        Self { shell, rows, rotations, strip, sweeps: [Sweep::default(); SWEEPS], count: 0, used: 0 }
    }

    /// Begins a sweep of `count` rotations from row `start`, and lends the room for its cosines and sines.
    pub(super) fn sweep(&mut self, start: usize, count: usize, downwards: bool) -> &mut [R] {
        if self.count == SWEEPS || self.used + 2 * count > self.rotations.len() {
            self.apply();
        }
        if let Some(slot) = self.sweeps.get_mut(self.count) {
            *slot = Sweep { start, count, downwards, at: self.used };
        }
        let at = self.used;
        self.count += 1;
        self.used += 2 * count;
        self.rotations.get_mut(at..self.used).unwrap_or_default()
    }

    /// Applies what was collected.
    pub(super) fn apply(&mut self) {
        let sweeps = self.sweeps.get(..self.count).unwrap_or_default();
        self.shell.run(Rotate { rows: self.rows.lent(), rotations: self.rotations, strip: self.strip, sweeps });
        (self.count, self.used) = (0, 0);
    }
}

struct Rotate<'a, R> {
    rows: MatrixMut<'a, R>,
    rotations: &'a [R],
    strip: &'a mut [R],
    sweeps: &'a [Sweep],
}

impl<R: Real> Kernel for Rotate<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        if R::DTYPE == Dtype::F32 { self.strips::<32>() } else { self.strips::<16>() }
    }
}

impl<R: Real> Rotate<'_, R> {
    #[inline(always)]
    fn strips<const W: usize>(mut self) {
        let from = self.sweeps.iter().map(Sweep::lowest).min().unwrap_or_default();
        let till = self.sweeps.iter().map(Sweep::highest).max().unwrap_or_default();
        for column in (0..self.rows.columns()).step_by(W) {
            for (row, strip) in (from..=till).zip(self.strip.chunks_exact_mut(W)) {
                if let Some(strip) = strip.first_chunk_mut::<W>() {
                    load(strip, self.rows.row(row, column));
                }
            }
            for sweep in self.sweeps {
                let Some(rotations) = self.rotations.get(sweep.at..sweep.at + 2 * sweep.count) else { return };
                let Some(strip) = self.strip.get_mut((sweep.lowest() - from) * W..(sweep.highest() + 1 - from) * W) else { return };
                if sweep.downwards {
                    rotate::<W, R>(strip.chunks_exact_mut(W), rotations);
                } else {
                    rotate::<W, R>(strip.chunks_exact_mut(W).rev(), rotations);
                }
            }
            for (row, strip) in (from..=till).zip(self.strip.chunks_exact(W)) {
                if let Some(strip) = strip.first_chunk::<W>() {
                    store(strip, self.rows.row(row, column));
                }
            }
        }
    }
}

impl Sweep {
    fn lowest(&self) -> usize {
        if self.downwards { self.start } else { self.start - self.count }
    }

    fn highest(&self) -> usize {
        if self.downwards { self.start + self.count } else { self.start }
    }
}

/// One sweep over one strip: `(c·z + s·x, c·x − s·z)` takes the places of a row `z` and the next one `x`. The latter stays in registers.
#[inline(always)]
fn rotate<'r, const W: usize, R: Real>(mut rows: impl Iterator<Item = &'r mut [R]>, rotations: &[R]) {
    let Some(mut place) = rows.next().and_then(|row| row.first_chunk_mut::<W>()) else { return };
    let mut carried = *place;
    for (row, rotation) in rows.zip(rotations.chunks_exact(2)) {
        let (Some(row), Some(&[c, s])) = (row.first_chunk_mut::<W>(), rotation.first_chunk::<2>()) else { return };
        for ((out, carried), &x) in place.iter_mut().zip(&mut carried).zip(row.iter()) {
            (*out, *carried) = (c * *carried + s * x, c * x - s * *carried);
        }
        place = row;
    }
    *place = carried;
}
