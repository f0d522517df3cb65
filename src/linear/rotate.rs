//! Sweeps of plane rotations, collected and applied to the rows of a matrix by column strips that a cache holds.
#![allow(clippy::indexing_slicing, reason = "fixed-size arrays, indexed by their own lengths")]

use core::slice::ChunksExact;

use super::matrix::MatrixMut;
use super::packed::{load, store};
use crate::kernel::NARROW;
use crate::kernel::dispatch::{Kernel, Shell};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

/// Sweeps that are collected at most, whatever their length.
const SWEEPS: usize = if NARROW { 8 } else { 128 };
/// Whole sweeps that there is room for.
const WHOLE: usize = if NARROW { 4 } else { 32 };
/// Columns of a strip on a small machine.
const FEW: usize = 8;
/// Columns of a strip: a loop over eight vectors of 32 bytes is one that compilers vectorise without detours.
const fn width<R: Real>() -> usize {
    match R::DTYPE {
        _ if NARROW => FEW,
        Dtype::F32 => 64,
        _ => 32,
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
        match R::DTYPE {
            _ if NARROW => self.strips::<FEW>(),
            Dtype::F32 => self.strips::<64>(),
            _ => self.strips::<32>(),
        }
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
            self.sweep::<W>(from);
            for (row, strip) in (from..=till).zip(self.strip.chunks_exact(W)) {
                if let Some(strip) = strip.first_chunk::<W>() {
                    store(strip, self.rows.row(row, column));
                }
            }
        }
    }
}

impl<R: Real> Rotate<'_, R> {
    /// All sweeps over a strip that begins with the row `from`, two at a time where they begin at the same row.
    #[inline(always)]
    fn sweep<const W: usize>(&mut self, from: usize) {
        let mut left = self.sweeps;
        while let [first, rest @ ..] = left {
            let next = rest.first().filter(|next| next.start == first.start && next.downwards == first.downwards);
            let second = next.copied().unwrap_or(Sweep { count: 0, ..*first });
            left = rest.get(usize::from(next.is_some())..).unwrap_or_default();
            let (leader, follower) = (rotations_of(self.rotations, *first), rotations_of(self.rotations, second));
            let start = first.start - from;
            if first.downwards {
                let rows = self.strip.get_mut(start * W..).unwrap_or_default();
                follow::<W, R>(rows.chunks_exact_mut(W), leader, follower);
            } else {
                let rows = self.strip.get_mut(..(start + 1) * W).unwrap_or_default();
                follow::<W, R>(rows.chunks_exact_mut(W).rev(), leader, follower);
            }
        }
    }
}

/// A cosine and a sine for each rotation of a sweep.
#[inline(always)]
fn rotations_of<R>(rotations: &[R], sweep: Sweep) -> ChunksExact<'_, R> {
    rotations.get(sweep.at..sweep.at + 2 * sweep.count).unwrap_or_default().chunks_exact(2)
}

/// Two sweeps that begin at the same row, over one strip: the second follows one rotation behind the first. Each row is read and written
/// once for both.
#[inline(always)]
fn follow<'r, const W: usize, R: Real>(
    mut rows: impl Iterator<Item = &'r mut [R]>,
    mut first: ChunksExact<'_, R>,
    mut second: ChunksExact<'_, R>,
) {
    let (Some(mut x), Some(mut y)) = (rows.next(), rows.next()) else { return };
    if let Some(rotation) = first.next() {
        one::<W, R>(x, y, rotation);
    }
    let both = first.len().min(second.len());
    for ((leader, follower), z) in first.by_ref().zip(second.by_ref()).take(both).zip(rows.by_ref()) {
        two::<W, R>([&mut *x, &mut *y, &mut *z], leader, follower);
        (x, y) = (y, z);
    }
    if second.len() > 0 {
        // The second goes on from where the first ended: of it no rotation is left.
        for rotation in second {
            one::<W, R>(x, y, rotation);
            let Some(z) = rows.next() else { return };
            (x, y) = (y, z);
        }
    } else {
        for (rotation, z) in first.zip(rows) {
            one::<W, R>(y, z, rotation);
            y = z;
        }
    }
}

/// `(c·x + s·y, c·y − s·x)`.
#[inline(always)]
fn turn<R: Real>(x: R, y: R, [c, s]: [R; 2]) -> (R, R) {
    (c * x + s * y, c * y - s * x)
}

#[inline(always)]
fn one<const W: usize, R: Real>(x: &mut [R], y: &mut [R], rotation: &[R]) {
    let (Some(x), Some(y), Some(&rotation)) = (x.first_chunk_mut::<W>(), y.first_chunk_mut::<W>(), rotation.first_chunk::<2>()) else {
        return;
    };
    for j in 0..W {
        (x[j], y[j]) = turn(x[j], y[j], rotation);
    }
}

/// The leader's rotation of the second and third row, then the follower's of the first and second.
#[inline(always)]
fn two<const W: usize, R: Real>([x, y, z]: [&mut [R]; 3], leader: &[R], follower: &[R]) {
    let (Some(x), Some(y), Some(z)) = (x.first_chunk_mut::<W>(), y.first_chunk_mut::<W>(), z.first_chunk_mut::<W>()) else { return };
    let (Some(&leader), Some(&follower)) = (leader.first_chunk::<2>(), follower.first_chunk::<2>()) else { return };
    for j in 0..W {
        let (middle, last) = turn(y[j], z[j], leader);
        (x[j], y[j]) = turn(x[j], middle, follower);
        z[j] = last;
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
