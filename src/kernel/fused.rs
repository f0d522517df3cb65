//! Fused blocks: the recurrence over all models of one block, for elements whose precisions need no scaling.
//!
//! A precision `p = λF` is *regular* if F is zero or p lies in `[least normal, 2^TOP_EXPONENT]`. Where all of an element are, scaling
//! them by a common power of two changes no bit (`scaled` says why), so these bodies reckon unscaled and report whether any element of
//! the block was not; that one is done again by `scaled`. Bad numbers are irregular too, so that looking for them costs a comparison.
//!
//! [`pair_dense`] is the body for two models without a zero among their Fisher entries: half the instructions, which is what lets it keep
//! up with the memory. It also converts in its loop, where that is cheap.
#![allow(clippy::indexing_slicing, reason = "every slice is cut to one length first; that no panic is left is proved by a link")]

use super::step::{absorb_dense, absorb_regular, residue, select};
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::scalar::isa::Isa;

/// What a block reports.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Some element is irregular.
    pub(crate) irregular: bool,
    /// Elements without evidence (right where nothing is irregular).
    pub(crate) no_evidence: u64,
    /// Fisher entries below their floor.
    pub(crate) floored: u64,
}

/// One model's part of a block: coefficient, floor, Fisher entries and means, both as they are stored.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a, R: Real, P: Encoding = <R as Real>::Native, V: Encoding = <R as Real>::Native> {
    pub(crate) coefficient: R,
    pub(crate) least: R,
    pub(crate) greatest: R,
    pub(crate) floor: R,
    pub(crate) fisher: &'a [P::Raw],
    pub(crate) mean: &'a [V::Raw],
}

impl<R: Real, P: Encoding, V: Encoding> Part<'_, R, P, V> {
    /// Elements `at .. at + n`, if they are all there.
    #[inline(always)]
    pub(crate) fn window(&self, at: usize, n: usize) -> Option<Self> {
        let (fisher, mean) = (self.fisher.get(at..)?.get(..n)?, self.mean.get(at..)?.get(..n)?);
        Some(Self { fisher, mean, ..*self })
    }
}

/// The lanes of a [`Tally`] while a loop runs: integers as wide as the numbers, so that the loop vectorises.
#[derive(Clone, Copy, Default)]
struct Lanes<R: Real> {
    /// Not zero once an element was irregular. (Flags of zero and one: with all ones the optimiser makes the sum a chain of selections,
    /// which does not vectorise.)
    irregular: R::Lane,
    no_evidence: R::Lane,
    floored: R::Lane,
}

impl<R: Real> Lanes<R> {
    /// `λ·max(F, floor)`, watched.
    #[inline(always)]
    fn precision<const FLOOR: bool>(&mut self, coefficient: R, floor: R, fisher: R) -> R {
        let mut value = fisher;
        if FLOOR {
            // It raises no negative entry, which shows in p then.
            let low = (fisher >= R::ZERO) & (fisher < floor);
            self.floored += R::Lane::from(low);
            value = select(low, floor, fisher);
        }
        let p = coefficient * value;
        // Comparisons that are false for NaN.
        let fine = value == R::ZERO || (p >= R::MIN_NORMAL) & (p <= R::TOP);
        self.irregular |= R::Lane::from(!fine);
        p
    }

    /// Infinity and NaN stay what they are in sums, and subtracted from themselves are not zero. A sum that overflows is looked at once
    /// more for nothing.
    #[inline(always)]
    fn finite(&mut self, mean: R) {
        self.irregular |= residue(mean).pattern();
    }

    #[inline(always)]
    fn tally(self) -> Tally {
        Tally { irregular: self.irregular.into() != 0, no_evidence: self.no_evidence.into(), floored: self.floored.into() }
    }
}

/// A block that could not be read whole is redone element by element.
const IRREGULAR: Tally = Tally { irregular: true, no_evidence: 0, floored: 0 };

/// Two models, no state in memory: the common case.
#[inline(always)]
pub(crate) fn pair<R: Real>(a: Part<'_, R>, b: Part<'_, R>, mean: &mut [R]) -> Tally {
    if a.floor > R::ZERO || b.floor > R::ZERO { pair_means::<true, R>(a, b, mean) } else { pair_means::<false, R>(a, b, mean) }
}

#[inline(always)]
fn pair_means<const FLOOR: bool, R: Real>(a: Part<'_, R>, b: Part<'_, R>, mean: &mut [R]) -> Tally {
    let n = mean.len();
    let (Some(fa), Some(ma), Some(fb), Some(mb)) = (a.fisher.get(..n), a.mean.get(..n), b.fisher.get(..n), b.mean.get(..n)) else {
        return IRREGULAR;
    };
    let mut lanes = Lanes::<R>::default();
    for i in 0..n {
        let p = lanes.precision::<FLOOR>(a.coefficient, a.floor, fa[i]);
        let q = lanes.precision::<FLOOR>(b.coefficient, b.floor, fb[i]);
        lanes.finite(ma[i] + mb[i]);
        // The state after the first model: its precision and, whether that is zero or not, the target's mean.
        let (total, x) = absorb_regular(p, ma[i], q, mb[i]);
        lanes.no_evidence += R::Lane::from(total == R::ZERO);
        mean[i] = x;
    }
    lanes.tally()
}

/// Whether the dense bodies may have a block: no floor, and all Fisher entries are above zero and keep their precisions regular.
#[inline(always)]
pub(crate) fn is_dense<R: Real, P: Encoding, V: Encoding>(part: &Part<'_, R, P, V>) -> bool {
    part.floor == R::ZERO && P::all_between(part.fisher, part.least, part.greatest)
}

/// The first of several models into the block's state, where it [is dense](is_dense).
#[inline(always)]
pub(crate) fn start_dense<R: Real>(part: Part<'_, R>, precision: &mut [R], mean: &mut [R]) {
    for (((precision, mean), &fisher), &other) in precision.iter_mut().zip(mean).zip(part.fisher).zip(part.mean) {
        (*precision, *mean) = (part.coefficient * fisher, other);
    }
}

/// [`absorb_part`] where the state has no zero and the part [is dense](is_dense).
#[inline(always)]
pub(crate) fn absorb_part_dense<R: Real>(part: Part<'_, R>, precision: &mut [R], mean: &mut [R]) {
    let n = mean.len();
    let (Some(fisher), Some(other), Some(precision)) = (part.fisher.get(..n), part.mean.get(..n), precision.get_mut(..n)) else {
        return;
    };
    for i in 0..n {
        (precision[i], mean[i]) = absorb_dense(precision[i], mean[i], part.coefficient * fisher[i], other[i]);
    }
}

/// [`pair`] for blocks that [are dense](is_dense), as they are stored. What looks for bad numbers has loops of its own before (Fishers) and
/// after (a mean that is not finite shows in the outcome): this one's chain of operations is as long as a processor looks ahead.
#[inline(always)]
pub(crate) fn pair_dense<I: Isa, R: Real, P: Encoding, V: Encoding, O: Encoding>(
    a: Part<'_, R, P, V>,
    b: Part<'_, R, P, V>,
    mean: &mut [O::Raw],
) {
    let n = mean.len();
    let (Some(fa), Some(ma), Some(fb), Some(mb)) = (a.fisher.get(..n), a.mean.get(..n), b.fisher.get(..n), b.mean.get(..n)) else {
        return;
    };
    let merged = |f: R, x: R, g: R, y: R| absorb_dense(a.coefficient * f, x, b.coefficient * g, y).1;
    let words = (P::words::<I>(fa), V::words::<I>(ma), P::words::<I>(fb), V::words::<I>(mb), O::words_mut::<I>(mean));
    let mut done = 0;
    if let (Some(fa), Some(ma), Some(fb), Some(mb), Some(mean)) = words {
        for ((((out, &f), &x), &g), &y) in mean.iter_mut().zip(fa).zip(ma).zip(fb).zip(mb) {
            let ([f, f2], [x, x2], [g, g2], [y, y2]) = (P::decode_word(f), V::decode_word(x), P::decode_word(g), V::decode_word(y));
            *out = O::encode_word_not_nan([merged(f, x, g, y), merged(f2, x2, g2, y2)]);
        }
        done = n / 2 * 2;
    }
    for i in done..n {
        mean[i] = O::encode_not_nan(merged(P::decode(fa[i]), V::decode(ma[i]), P::decode(fb[i]), V::decode(mb[i])));
    }
}

/// The precision of two models. A second loop over a block in the cache, so that the means alone do not pay for it.
#[inline(always)]
pub(crate) fn pair_precisions<R: Real, P: Encoding, V: Encoding>(a: Part<'_, R, P, V>, b: Part<'_, R, P, V>, precision: &mut [R]) {
    let floored = |part: &Part<'_, R, P, V>, fisher: R| part.coefficient * select(fisher < part.floor, part.floor, fisher);
    for ((out, &fa), &fb) in precision.iter_mut().zip(a.fisher).zip(b.fisher) {
        // Starting from zero keeps −0 out of it, as the state of more models does.
        *out = R::ZERO + floored(&a, P::decode(fa)) + floored(&b, P::decode(fb));
    }
}

/// Absorbs one of any number of models into the block's state, which starts as precision 0 and the target's mean.
#[inline(always)]
pub(crate) fn absorb_part<R: Real>(part: Part<'_, R>, precision: &mut [R], mean: &mut [R]) -> Tally {
    if part.floor > R::ZERO { absorb_means::<true, R>(part, precision, mean) } else { absorb_means::<false, R>(part, precision, mean) }
}

#[inline(always)]
fn absorb_means<const FLOOR: bool, R: Real>(part: Part<'_, R>, precision: &mut [R], mean: &mut [R]) -> Tally {
    let n = mean.len();
    let (Some(fisher), Some(other), Some(precision)) = (part.fisher.get(..n), part.mean.get(..n), precision.get_mut(..n)) else {
        return IRREGULAR;
    };
    let mut lanes = Lanes::<R>::default();
    for i in 0..n {
        let p = lanes.precision::<FLOOR>(part.coefficient, part.floor, fisher[i]);
        lanes.finite(other[i]);
        (precision[i], mean[i]) = absorb_regular(precision[i], mean[i], p, other[i]);
    }
    lanes.tally()
}

/// Elements of a block's state that no model had evidence for.
#[inline(always)]
pub(crate) fn without_evidence<R: Real>(precision: &[R]) -> u64 {
    let mut count = R::Lane::default();
    for &p in precision {
        count += R::Lane::from(p == R::ZERO);
    }
    count.into()
}

/// Whether all precisions of a state are finite: what a caller asks whose state did not start from zero.
#[inline(always)]
pub(crate) fn all_finite<R: Real>(precision: &[R]) -> bool {
    let mut beyond = R::Lane::default();
    for &p in precision {
        beyond |= residue(p).pattern();
    }
    beyond.into() == 0
}
