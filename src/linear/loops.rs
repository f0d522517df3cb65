//! Sums and updates of vectors, each in one fixed order: the same bits in every shell.
#![allow(clippy::indexing_slicing, reason = "fixed-size arrays, indexed by their own lengths")]

use super::matrix::Matrix;
use crate::scalar::{Dtype, Real};

/// Partial sums of a scalar product, by position; added in ascending order at the end.
const LANES: usize = 16;
/// Rows that [`times_symmetric`] takes at a time.
const ROWS: usize = 4;

/// `Σ a_i·b_i`.
#[inline(always)]
pub(crate) fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    let (mut a, mut b, mut sums) = (a, b, [R::ZERO; LANES]);
    while let (Some((x, rest)), Some((y, other_rest))) = (a.split_first_chunk::<LANES>(), b.split_first_chunk::<LANES>()) {
        accumulate(&mut sums, x, y);
        (a, b) = (rest, other_rest);
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
        *sum = *sum + a * b;
    }
    sums.iter().fold(R::ZERO, |sum, &lane| sum + lane)
}

/// `y ← y − (a·x + b·z)`.
#[inline(always)]
pub(super) fn subtract_two<R: Real>(y: &mut [R], (a, x): (R, &[R]), (b, z): (R, &[R])) {
    for ((y, &x), &z) in y.iter_mut().zip(x).zip(z) {
        *y = *y - (a * x + b * z);
    }
}

/// `x ← x·2^exponent`, exact but for what becomes subnormal: by two factors, each of which the arithmetic holds.
#[inline(always)]
pub(super) fn times_power<R: Real>(x: &mut [R], exponent: i32) {
    let (first, second) = (exponent / 2, exponent - exponent / 2);
    let (first, second) = (R::ONE.times_power_of_two(first), R::ONE.times_power_of_two(second));
    x.iter_mut().for_each(|x| *x = *x * first * second);
}

/// `y ← A·v`, of a symmetric matrix of which the lower triangle is read, once.
#[inline(always)]
pub(super) fn times_symmetric<R: Real>(a: Matrix<'_, R>, v: &[R], y: &mut [R]) {
    y.fill(R::ZERO);
    let n = a.rows();
    let whole = n / ROWS * ROWS;
    for first in (0..whole).step_by(ROWS) {
        if R::DTYPE == Dtype::F32 { four_rows::<8, R>(a, first, v, y) } else { four_rows::<4, R>(a, first, v, y) }
    }
    for row in whole..n {
        triangle_row(a, row, 0, v, y);
    }
}

/// Elements `from..=row` of a row, as themselves and as those of a column.
#[inline(always)]
fn triangle_row<R: Real>(a: Matrix<'_, R>, row: usize, from: usize, v: &[R], y: &mut [R]) {
    let Some((v, &factor)) = v.get(from..).and_then(|v| Some((v, v.get(row - from)?))) else { return };
    let Some((&diagonal, elements)) = a.stored(row, from, row + 1 - from).split_last() else { return };
    let Some((last, y)) = y.get_mut(from..=row).and_then(<[R]>::split_last_mut) else { return };
    *last = *last + (diagonal * factor + dot(elements, v));
    for (y, &element) in y.iter_mut().zip(elements) {
        *y = *y + element * factor;
    }
}

/// Four rows: one pass over `y` for all of them. `W` partial sums for each.
#[inline(always)]
fn four_rows<const W: usize, R: Real>(a: Matrix<'_, R>, first: usize, v: &[R], y: &mut [R]) {
    let common = first / W * W;
    let row = |k: usize| a.stored(first + k, 0, common);
    let (r0, r1, r2, r3) = (row(0).chunks_exact(W), row(1).chunks_exact(W), row(2).chunks_exact(W), row(3).chunks_exact(W));
    let Some(&[f0, f1, f2, f3]) = v.get(first..).and_then(|rest| rest.first_chunk::<ROWS>()) else { return };
    let (mut s0, mut s1, mut s2, mut s3) = ([R::ZERO; W], [R::ZERO; W], [R::ZERO; W], [R::ZERO; W]);
    let Some(shared) = y.get_mut(..common) else { return };
    for (((((y, v), r0), r1), r2), r3) in shared.chunks_exact_mut(W).zip(v.chunks_exact(W)).zip(r0).zip(r1).zip(r2).zip(r3) {
        let (Some(y), Some(v)) = (y.first_chunk_mut::<W>(), v.first_chunk::<W>()) else { return };
        let (Some(r0), Some(r1)) = (r0.first_chunk::<W>(), r1.first_chunk::<W>()) else { return };
        let (Some(r2), Some(r3)) = (r2.first_chunk::<W>(), r3.first_chunk::<W>()) else { return };
        accumulate(&mut s0, r0, v);
        accumulate(&mut s1, r1, v);
        accumulate(&mut s2, r2, v);
        accumulate(&mut s3, r3, v);
        let mut sums = *y;
        for j in 0..W {
            sums[j] = sums[j] + ((r0[j] * f0 + r1[j] * f1) + (r2[j] * f2 + r3[j] * f3));
        }
        *y = sums;
    }
    for (k, sums) in [s0, s1, s2, s3].iter().enumerate() {
        if let Some(y) = y.get_mut(first + k) {
            *y = *y + sums.iter().fold(R::ZERO, |sum, &lane| sum + lane);
        }
        triangle_row(a, first + k, common, v, y);
    }
}

#[inline(always)]
fn accumulate<const W: usize, R: Real>(sums: &mut [R; W], row: &[R; W], v: &[R; W]) {
    for j in 0..W {
        sums[j] = sums[j] + row[j] * v[j];
    }
}
