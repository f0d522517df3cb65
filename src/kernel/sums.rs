//! Whole-model sums of Fisher entries: the mean and the L2 norm, without overflow, underflow or drift, in one fixed order.
//!
//! Eight lanes by position in the stream of entries, each an unevaluated sum of two numbers, folded in lane order at the end: the same
//! bits for any split into slices or blocks and any instruction set. Squares go to one of three accumulators by size (J. L. Blue, "A portable
//! Fortran program to find the Euclidean norm of a vector", 1978), so that neither 1e-300² nor 1e300² leaves the range.
#![allow(clippy::indexing_slicing, reason = "every slice is cut to one length first; that no panic is left is proved by a link")]

use super::coefficient::Magnitude;
use super::dispatch::{Kernel, Shell};
use super::step::{exact_sum, is_finite, select};
use crate::scalar::isa::Isa;
use crate::view::{BLOCK, Values};

const LANES: usize = 8;
/// Entries above this, or below its inverse, are squared in another unit.
const LARGE: f64 = f64::from_bits((500 + 1023) << 52);
const SMALL: f64 = 1.0 / LARGE;
/// The unit of the accumulators of large entries, and the inverse of that of small ones, as a power of two.
const UNIT: i32 = 600;

/// A running sum in lanes, with what rounding dropped kept beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct LaneSum {
    high: [f64; LANES],
    low: [f64; LANES],
}

impl LaneSum {
    #[inline(always)]
    fn add(&mut self, lane: usize, value: f64) {
        let lane = lane % LANES;
        let (sum, dropped) = exact_sum(self.high[lane], value);
        self.high[lane] = sum;
        self.low[lane] += dropped;
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
/// assert_eq!(statistics.l2().unwrap().to_f64(), 5.0 * tiny);
/// assert_eq!(statistics.mean().unwrap().to_f64(), 1.75 * tiny);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FisherStatistics {
    count: u64,
    position: usize,
    sum: LaneSum,
    sum_large: LaneSum,
    squares: LaneSum,
    squares_large: LaneSum,
    squares_small: LaneSum,
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
        use crate::scalar::Real;
        let (small, middle, large) = (self.squares_small.total(), self.squares.total(), self.squares_large.total());
        let (squares, unit) = if large > 0.0 {
            (large + middle.times_power_of_two(-2 * UNIT), UNIT)
        } else if middle > 0.0 {
            (middle + small.times_power_of_two(-2 * UNIT), 0)
        } else {
            (small, -UNIT)
        };
        Magnitude::new(libm::sqrt(squares)).map(|root| root.shifted(unit))
    }

    /// `Σ F / n`; `None` if there is no entry above zero.
    #[must_use]
    pub fn mean(&self) -> Option<Magnitude> {
        use crate::scalar::Real;
        let (middle, large) = (self.sum.total(), self.sum_large.total());
        #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
        let count = self.count as f64;
        if large > 0.0 {
            Magnitude::new((large + middle.times_power_of_two(-UNIT)) / count).map(|mean| mean.shifted(UNIT))
        } else {
            // Divided as significands, so that the mean of subnormal entries keeps its digits.
            let sum = Magnitude::new(middle)?;
            Magnitude::new(sum.mantissa / count).map(|mean| mean.shifted(sum.exponent))
        }
    }

    #[inline(always)]
    fn block(&mut self, fisher: &[f64]) {
        let mut extreme = false;
        for (i, &entry) in fisher.iter().enumerate() {
            let good = entry > 0.0 && is_finite(entry);
            let entry = select(good, entry, 0.0);
            let middle = select(entry <= LARGE, entry, 0.0);
            let square = select(entry >= SMALL, middle, 0.0);
            extreme |= square != entry;
            self.sum.add(self.position + i, middle);
            self.squares.add(self.position + i, square * square);
        }
        if extreme {
            self.extremes(fisher);
        }
        self.position = (self.position + fisher.len()) % LANES;
    }

    /// The entries of a block that the middle accumulators left out.
    #[cold]
    fn extremes(&mut self, fisher: &[f64]) {
        use crate::scalar::Real;
        for (i, &entry) in fisher.iter().enumerate() {
            let lane = self.position + i;
            if entry > LARGE && is_finite(entry) {
                let scaled = entry.times_power_of_two(-UNIT);
                self.sum_large.add(lane, scaled);
                self.squares_large.add(lane, scaled * scaled);
            } else if entry > 0.0 && entry < SMALL {
                let scaled = entry.times_power_of_two(UNIT);
                self.squares_small.add(lane, scaled * scaled);
            }
        }
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
            let block = self.fisher.block::<I>(at, BLOCK.min(count - at), &mut buffer);
            self.statistics.block(block);
            at += BLOCK;
        }
        self.statistics.count += count as u64;
    }
}
