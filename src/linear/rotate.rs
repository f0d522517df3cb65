//! Sweeps of plane rotations, collected and applied to the rows of a matrix by column strips that a cache holds.
#![allow(clippy::indexing_slicing, reason = "fixed-size arrays, indexed by their own lengths")]

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
            let mut left = self.sweeps;
            while let [sweep, rest @ ..] = left {
                match rest {
                    [other, rest @ ..] if other.start == sweep.start && other.downwards == sweep.downwards => {
                        self.sweep::<W>(from, *sweep, *other);
                        left = rest;
                    }
                    _ => {
                        self.sweep::<W>(from, *sweep, Sweep { count: 0, ..*sweep });
                        left = rest;
                    }
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

impl<R: Real> Rotate<'_, R> {
    /// Two sweeps that begin at the same row, over one strip: the second follows two rows behind the first.
    #[inline(always)]
    fn sweep<const W: usize>(&mut self, from: usize, first: Sweep, second: Sweep) {
        let rotations = self.rotations;
        let list = |sweep: Sweep| rotations.get(sweep.at..sweep.at + 2 * sweep.count).unwrap_or_default().chunks_exact(2);
        let row = |position: usize| if first.downwards { first.start + position - from } else { first.start - position - from };
        let (mut leader, mut follower) = (list(first).enumerate(), list(second).enumerate());
        let strip = &mut *self.strip;
        if let Some((_, rotation)) = leader.next() {
            one::<W, R>(strip, [row(0), row(1)], rotation);
        }
        let both = second.count.min(first.count.saturating_sub(1));
        for ((at, second), (_, first)) in follower.by_ref().zip(leader.by_ref()).take(both) {
            two::<W, R>(strip, [row(at), row(at + 1), row(at + 2)], first, second);
        }
        for (at, rotation) in leader.chain(follower) {
            one::<W, R>(strip, [row(at), row(at + 1)], rotation);
        }
    }
}

/// The numbers of a row of the strip.
#[inline(always)]
fn read<const W: usize, R: Real>(strip: &[R], row: usize) -> [R; W] {
    strip.get(row * W..).and_then(|rest| rest.first_chunk::<W>()).copied().unwrap_or([R::ZERO; W])
}

#[inline(always)]
fn write<const W: usize, R: Real>(strip: &mut [R], row: usize, values: &[R; W]) {
    if let Some(place) = strip.get_mut(row * W..).and_then(|rest| rest.first_chunk_mut::<W>()) {
        *place = *values;
    }
}

/// `(c·x + s·y, c·y − s·x)`.
#[inline(always)]
fn turn<const W: usize, R: Real>(x: &[R; W], y: &[R; W], rotation: &[R]) -> ([R; W], [R; W]) {
    let &[c, s] = rotation.first_chunk::<2>().unwrap_or(&[R::ONE, R::ZERO]);
    let (mut first, mut second) = ([R::ZERO; W], [R::ZERO; W]);
    for j in 0..W {
        first[j] = c * x[j] + s * y[j];
    }
    for j in 0..W {
        second[j] = c * y[j] - s * x[j];
    }
    (first, second)
}

#[inline(always)]
fn one<const W: usize, R: Real>(strip: &mut [R], [x, y]: [usize; 2], rotation: &[R]) {
    let (first, second) = turn::<W, R>(&read(strip, x), &read(strip, y), rotation);
    write(strip, x, &first);
    write(strip, y, &second);
}

/// The leader's rotation of the second and third row, then the follower's of the first and second.
#[inline(always)]
fn two<const W: usize, R: Real>(strip: &mut [R], [x, y, z]: [usize; 3], leader: &[R], follower: &[R]) {
    let (middle, last) = turn::<W, R>(&read(strip, y), &read(strip, z), leader);
    let (first, middle) = turn::<W, R>(&read(strip, x), &middle, follower);
    write(strip, x, &first);
    write(strip, y, &middle);
    write(strip, z, &last);
}

impl Sweep {
    fn lowest(&self) -> usize {
        if self.downwards { self.start } else { self.start - self.count }
    }

    fn highest(&self) -> usize {
        if self.downwards { self.start + self.count } else { self.start }
    }
}
