//! Sums of squares of gradients, one for every parameter.
//!
//! A sum is one number in `f64`; in `f32` it is an unevaluated sum of two, `high + low`, of which the second holds what rounding dropped
//! from the first, so that equal terms do not stall at 2²⁴.

use core::marker::PhantomData;

use super::NARROW;
use super::dispatch::Kernel;
use super::step::{exact_sum, is_finite};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::view::{BLOCK, Values};

/// Numbers of a sum.
pub(crate) const fn planes<R: Real>() -> usize {
    if matches!(R::DTYPE, Dtype::F64) { 1 } else { 2 }
}

/// The sums of some parameters: `low` is empty in `f64`.
pub(crate) struct Sums<'a, R> {
    pub(crate) high: &'a mut [R],
    pub(crate) low: &'a mut [R],
}

impl<R: Real> Sums<'_, R> {
    /// Adds a number to each sum, up to the shorter.
    #[inline(always)]
    pub(crate) fn add(&mut self, at: usize, terms: impl ExactSizeIterator<Item = R>) {
        let high = self.high.get_mut(at..).unwrap_or_default();
        if planes::<R>() == 1 {
            for (sum, term) in high.iter_mut().zip(terms) {
                *sum = *sum + term;
            }
        } else {
            let low = self.low.get_mut(at..).unwrap_or_default();
            for ((high, low), term) in high.iter_mut().zip(low).zip(terms) {
                add_to(high, low, term);
            }
        }
    }

    /// The same for so many numbers that are all there: in vectors, without a loop.
    #[inline(always)]
    pub(crate) fn add_chunk<const W: usize>(&mut self, at: usize, terms: &[R; W]) {
        let Some(high) = self.high.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<W>()) else { return };
        if planes::<R>() == 1 {
            for (sum, &term) in high.iter_mut().zip(terms) {
                *sum = *sum + term;
            }
        } else {
            let Some(low) = self.low.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<W>()) else { return };
            for ((high, low), &term) in high.iter_mut().zip(low).zip(terms) {
                add_to(high, low, term);
            }
        }
    }
}

/// Adds to a sum of two numbers.
#[inline(always)]
fn add_to<R: Real>(high: &mut R, low: &mut R, term: R) {
    let (sum, dropped) = exact_sum(*high, term);
    // Handed back at once: a second number that only ever grew would stall as the first does, at 2²⁵ terms.
    let rest = *low + dropped;
    *high = sum + rest;
    *low = rest - (*high - sum);
}

/// The first number that is not finite in the arithmetic.
pub(crate) struct FirstBad<'a, V, R> {
    pub(crate) values: &'a V,
    pub(crate) arithmetic: PhantomData<R>,
}

impl<V: Values<R>, R: Real> Kernel for FirstBad<'_, V, R> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let count = self.values.count();
        let mut at = 0;
        while at < count {
            let mut buffer = [R::ZERO; BLOCK];
            let block = self.values.block::<I, R>(at, BLOCK.min(count - at), &mut buffer);
            let mut bad = R::Lane::default();
            for &value in block {
                bad |= R::Lane::from(!is_finite(value));
            }
            if bad.into() != 0 {
                return block.iter().position(|&value| !is_finite(value)).map(|index| at + index);
            }
            at += BLOCK;
        }
        None
    }
}

/// Adds `weight · (scale · g)²` to the sums. Gives how many squares of numbers that are not zero leave the normal range.
pub(crate) struct AddSquares<'a, V, R> {
    pub(crate) sums: Sums<'a, R>,
    pub(crate) gradient: V,
    pub(crate) scale: R,
    pub(crate) weight: R,
}

impl<V: Values<R>, R: Real> Kernel for AddSquares<'_, V, R> {
    type Output = u64;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> u64 {
        let count = self.gradient.count();
        let (scale, weight) = (self.scale, self.weight);
        let (mut at, mut out_of_range) = (0, 0);
        while at < count {
            let mut buffer = [R::ZERO; BLOCK];
            let block = self.gradient.block::<I, R>(at, BLOCK.min(count - at), &mut buffer);
            if !NARROW {
                out_of_range += leaving(block, scale);
            }
            let terms = block.iter().map(|&value| {
                let scaled = value * scale;
                let square = scaled * scaled;
                // A second loop costs more than a look by the pattern where there are no vectors.
                if NARROW && !R::is_regular(square) {
                    out_of_range += u64::from(leaves(value, square));
                }
                square * weight
            });
            self.sums.add(at, terms);
            at += BLOCK;
        }
        out_of_range
    }
}

/// How many squares of numbers that are not zero leave the normal range. At most a block.
#[inline(always)]
pub(crate) fn leaving<R: Real>(block: &[R], scale: R) -> u64 {
    let mut found = R::Lane::default();
    for &value in block {
        let scaled = value * scale;
        found |= R::Lane::from(leaves(value, scaled * scaled));
    }
    if found.into() == 0 {
        return 0;
    }
    block.iter().filter(|&&value| leaves(value, (value * scale) * (value * scale))).count() as u64
}

/// Whether the square of a number that is not zero leaves the normal range.
#[inline(always)]
fn leaves<R: Real>(value: R, square: R) -> bool {
    ((square < R::MIN_NORMAL) & (value != R::ZERO)) | (square > R::MAX)
}

/// How many numbers that are not zero are outside of the normal range. At most a block.
#[inline(always)]
pub(crate) fn outside<R: Real>(block: &[R]) -> u64 {
    let leaves = |value: R| ((value < R::MIN_NORMAL) & (value != R::ZERO)) | (value > R::MAX);
    let mut found = R::Lane::default();
    for &value in block {
        found |= R::Lane::from(leaves(value));
    }
    if found.into() == 0 { 0 } else { block.iter().filter(|&&value| leaves(value)).count() as u64 }
}
