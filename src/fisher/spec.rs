//! What is estimated, and what came of it.

use crate::error::Estimator;
use crate::kernel::squares::planes;
use crate::scalar::Real;

/// Sums beside those of the parameters, so that counts travel with the state and are all-reduced with it.
pub(super) const TALLIES: usize = 4;

/// How many parameters there are, and how their sums are kept.
///
/// ```
/// use fisher_merge::FisherSpec;
/// let spec = FisherSpec::new(100);
/// assert_eq!(spec.state_len::<f64>(), 104); // one sum for each parameter, and four tallies
/// assert_eq!(spec.state_len::<f32>(), 208); // two numbers for each: what rounding drops is kept
/// assert_eq!(spec.slots(8).state_len::<f64>(), 832);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FisherSpec {
    pub(super) length: usize,
    pub(super) slots: u32,
    pub(super) unit: i32,
    pub(super) model: u64,
}

impl FisherSpec {
    /// So many parameters, one slot, gradients as they are.
    #[must_use]
    pub const fn new(length: usize) -> Self {
        Self { length, slots: 1, unit: 0, model: 0 }
    }

    /// Keeps so many sums side by side (at least one). Blocks of examples are dealt to them in turn, and they are added in their order at
    /// the end: the bits are the same for any number of workers up to that of slots, each of which fills its own slots and leaves zeros in
    /// the others, and for a sum of their states in any order.
    #[must_use]
    pub const fn slots(mut self, slots: u32) -> Self {
        self.slots = if slots == 0 { 1 } else { slots };
        self
    }

    /// Multiplies gradients by `2^unit` before they are squared, and undoes it on finishing: for `f32` sums of gradients below 1e-18 or
    /// above 1e18, whose squares leave the range.
    #[must_use]
    pub const fn unit(mut self, unit: i32) -> Self {
        self.unit = unit;
        self
    }

    /// A tag of the model, for instance a hash of its parameters: estimates of different models do not combine.
    #[must_use]
    pub const fn model(mut self, model: u64) -> Self {
        self.model = model;
        self
    }

    /// How many parameters there are.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Numbers of a state, which the caller lends.
    #[must_use]
    pub const fn state_len<R: Real>(&self) -> usize {
        (self.length.saturating_add(TALLIES)).saturating_mul(planes::<R>()).saturating_mul(self.slots as usize)
    }
}

/// What a Fisher is an estimate of, and from how much.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FisherRecord {
    /// Whose gradients were squared.
    pub estimator: Estimator,
    /// How many examples.
    pub examples: u64,
    /// The sum of their weights, which the sum of squares was divided by. Times this, a Fisher is one of all data.
    pub weight: f64,
    /// The sum of their squared weights.
    pub squared_weight: f64,
    /// Squares that left the normal range of the arithmetic: of gradients below about 1e-19 (`f32`) or 1e-154 (`f64`), or too large. Where
    /// this is not zero, choose another [`unit`](FisherSpec::unit).
    pub out_of_range: u64,
    /// The caller's tag of the model.
    pub model: u64,
}

impl FisherRecord {
    /// `(Σw)²/Σw²`: how many examples of equal weight are as good (L. Kish, "Survey Sampling", 1965). Zero without any.
    #[must_use]
    pub fn effective_examples(&self) -> f64 {
        if self.squared_weight > 0.0 { self.weight * self.weight / self.squared_weight } else { 0.0 }
    }
}
