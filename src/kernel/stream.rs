//! Streaming blocks: the recurrence on a state that the caller keeps, valid after every absorbed model.
//!
//! The state cannot be scaled again once it is written, so what leaves the normal range saturates and is counted: a non-zero factor
//! never becomes "no evidence", and no sum becomes infinite.
#![allow(clippy::indexing_slicing, reason = "every slice is cut to one length first; that no panic is left is proved by a link")]

use super::coefficient::Reach;
use super::step::{absorb, between, is_finite, remove, select};
use crate::scalar::Real;

/// What is absorbed or removed: coefficient, floor, Fisher entries and means of one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a, R: Real> {
    pub(crate) coefficient: Reach<R>,
    pub(crate) floor: R,
    pub(crate) fisher: &'a [R],
    pub(crate) mean: &'a [R],
}

/// What absorbing a block counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) floored: u64,
    pub(crate) out_of_range: u64,
}

/// Gives every element without evidence the value of the target.
#[inline(always)]
pub(crate) fn take_target<R: Real>(target: &[R], precision: &[R], mean: &mut [R]) {
    for ((mean, &precision), &target) in mean.iter_mut().zip(precision).zip(target) {
        *mean = select(precision == R::ZERO, target, *mean);
    }
}

/// Absorbs a block. `idle` is the share by which an element without evidence moves towards this model (zero keeps it).
#[inline(always)]
pub(crate) fn absorb_block<R: Real>(block: Block<'_, R>, idle: R, precision: &mut [R], mean: &mut [R]) -> Counts {
    let n = mean.len();
    let (Some(fisher), Some(other), Some(precision)) = (block.fisher.get(..n), block.mean.get(..n), precision.get_mut(..n)) else {
        return Counts::default();
    };
    let (mut floored, mut out_of_range) = (R::Lane::default(), R::Lane::default());
    for i in 0..n {
        let low = fisher[i] >= R::ZERO && fisher[i] < block.floor;
        floored += R::Lane::from(low);
        let value = select(low, block.floor, fisher[i]);
        let p = block.coefficient.value * value;
        let outside = value > R::ZERO && !(block.coefficient.regular && p >= R::MIN_NORMAL && p <= R::MAX);
        let p = select(value > R::ZERO && p == R::ZERO, R::TINIEST, p);
        let p = select(p > R::MAX, R::MAX, p);
        // NaN, infinite or negative: no Gaussian, and so NaN.
        let good = fisher[i] >= R::ZERO && is_finite(fisher[i]);
        let p = select(good, p, R::nan());
        out_of_range += R::Lane::from(good && (outside || precision[i] + p > R::MAX));
        let still = precision[i] == R::ZERO && p == R::ZERO;
        let waiting = select(still && idle > R::ZERO, between(mean[i], other[i], idle), mean[i]);
        let (total, x) = absorb(precision[i], mean[i], p, other[i]);
        precision[i] = total;
        mean[i] = select(still, waiting, x);
    }
    Counts { floored: floored.into(), out_of_range: out_of_range.into() }
}

/// The first element of a block at which [`remove`] refuses.
#[inline]
pub(crate) fn first_refusal<R: Real>(weight: R, fisher: &[R], other: &[R], precision: &[R], mean: &[R]) -> Option<usize> {
    let mut each = precision.iter().zip(mean).zip(fisher).zip(other);
    each.position(|(((&precision, &mean), &fisher), &other)| remove(precision, mean, (weight, fisher), other).is_none())
}

/// Takes a block out of the state. Elements that [`remove`] refuses stay as they are; the caller has looked for them first.
#[inline]
pub(crate) fn remove_block<R: Real>(weight: R, fisher: &[R], other: &[R], precision: &mut [R], mean: &mut [R]) {
    for (((precision, mean), &fisher), &other) in precision.iter_mut().zip(mean).zip(fisher).zip(other) {
        if let Some(left) = remove(*precision, *mean, (weight, fisher), other) {
            (*precision, *mean) = left;
        }
    }
}
