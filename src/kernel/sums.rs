//! Whole-model sums of Fisher entries: the mean and the L2 norm, without overflow, underflow or drift, in one fixed order.
//!
//! Eight lanes by position in the stream of entries, each an unevaluated sum of two numbers, folded in lane order at the end: the same
//! bits for any split into slices or blocks and any instruction set. Entries are added as multiples of a power of two that follows the
//! largest of them, so that neither 1e-300² nor 1e300² leaves the range, and scaling all entries by a power of two scales the sums and
//! changes no other bit.
#![allow(clippy::indexing_slicing, reason = "every slice is cut to one length first; that no panic is left is proved by a link")]

use super::coefficient::Magnitude;
use super::dispatch::{Kernel, Shell};
use super::step::{exact_sum, is_finite, select};
use crate::scalar::Real;
use crate::scalar::isa::Isa;
use crate::view::{BLOCK, Values};

const LANES: usize = 8;
/// Octaves from one unit of the sums to the next: squares of entries below the next unit stay far below the overflow.
const UNITS: i32 = 256;

/// A running sum in lanes, with what rounding dropped kept beside it.
#[derive(Clone, Copy, Debug, Default)]
struct LaneSum {
    high: [f64; LANES],
    low: [f64; LANES],
}

impl LaneSum {
    #[inline(always)]
    fn add(&mut self, position: u64, value: f64) {
        #[allow(clippy::cast_possible_truncation, reason = "the lower digits alone are looked at")]
        let lane = position as usize % LANES;
        let (sum, dropped) = exact_sum(self.high[lane], value);
        self.high[lane] = sum;
        self.low[lane] += dropped;
    }

    /// Multiplies by a power of two: exact, but for what is too small to matter.
    fn rescale(&mut self, exponent: i32) {
        for value in self.high.iter_mut().chain(&mut self.low) {
            *value = value.times_power_of_two(exponent);
        }
    }

    fn total(&self) -> f64 {
        let (mut high, mut low) = (0.0, 0.0);
        for (&value, &rest) in self.high.iter().zip(&self.low) {
            let (sum, dropped) = exact_sum(high, value);
            high = sum;
            low += dropped + rest;
        }
        high + low
    }
}

/// The size of a model's Fisher: what normalisation divides by and relative floors are a share of.
///
/// Entries that are NaN, infinite or negative are passed over; the merge finds and names them. It adds up in `f64` whatever the
/// arithmetic of the merge.
///
/// ```
/// use fisher_merge::FisherStatistics;
/// let mut statistics = FisherStatistics::new();
/// let tiny = 2.0_f64.powi(-700);
/// statistics.observe(&[3.0 * tiny, 0.0][..]); // a model of two tensors
/// statistics.observe(&[4.0 * tiny, 0.0][..]);
/// assert_eq!(statistics.count(), 4);
/// assert_eq!(statistics.l2().unwrap().as_f64(), 5.0 * tiny);
/// assert_eq!(statistics.mean().unwrap().as_f64(), 1.75 * tiny);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FisherStatistics {
    /// Entries so far; the next one's lane.
    count: u64,
    /// Entries are added as multiples of `2^unit`, which follows the largest of them.
    unit: Option<i32>,
    sum: LaneSum,
    squares: LaneSum,
}

impl FisherStatistics {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the entries of the next tensor, or of the next part of one: the bits depend on the order of all entries alone.
    pub fn observe<P: Values<f64>>(&mut self, fisher: P) {
        self.observe_in(fisher, Shell::detect());
    }

    /// [`observe`](Self::observe) in a shell of the caller's choice.
    pub fn observe_in<P: Values<f64>>(&mut self, fisher: P, shell: Shell) {
        shell.run(Observe { statistics: self, fisher });
    }

    /// How many entries were observed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// `√(Σ F²)`; `None` if there is no entry above zero.
    #[must_use]
    pub fn l2(&self) -> Option<Magnitude> {
        Some(Magnitude::new(libm::sqrt(self.squares.total()))?.shifted(self.unit?))
    }

    /// `Σ F / n`; `None` if there is no entry above zero.
    #[must_use]
    pub fn mean(&self) -> Option<Magnitude> {
        #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
        let mean = Magnitude::new(self.sum.total() / self.count as f64)?;
        Some(mean.shifted(self.unit?))
    }

    #[inline(always)]
    fn block(&mut self, fisher: &[f64]) {
        let mut largest = 0.0;
        for &entry in fisher {
            largest = select(entry > largest && is_finite(entry), entry, largest);
        }
        if largest > 0.0 {
            let scale = self.unit_for(largest);
            for (position, &entry) in (self.count..).zip(fisher) {
                let value = select(entry > 0.0 && is_finite(entry), entry, 0.0) * scale;
                self.sum.add(position, value);
                self.squares.add(position, value * value);
            }
        }
        self.count += fisher.len() as u64;
    }

    /// The inverse of the unit that entries up to `largest` are added in. The sums change over to a larger one where they must.
    fn unit_for(&mut self, largest: f64) -> f64 {
        // At the ends one unit serves more octaves, so that it and its inverse are normal numbers.
        let wanted = (largest.split().1.div_euclid(UNITS) * UNITS).clamp(-3 * UNITS, 3 * UNITS);
        let unit = *self.unit.get_or_insert(wanted);
        if wanted > unit {
            self.sum.rescale(unit - wanted);
            self.squares.rescale(2 * (unit - wanted));
            self.unit = Some(wanted);
        }
        1.0_f64.times_power_of_two(-unit.max(wanted))
    }
}

struct Observe<'a, P> {
    statistics: &'a mut FisherStatistics,
    fisher: P,
}

impl<P: Values<f64>> Kernel for Observe<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let count = self.fisher.count();
        let mut at = 0;
        while at < count {
            let mut buffer = [0.0; BLOCK];
            let block = self.fisher.block::<I, f64>(at, BLOCK, &mut buffer);
            self.statistics.block(block);
            at += BLOCK;
        }
    }
}
