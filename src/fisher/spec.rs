//! What is estimated, and what came of it.

use crate::error::{Estimator, FisherStructure};
use crate::kernel::gram;
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
///
/// // A layer of three inputs and two outputs: the lower triangles of `A` and `G`, the sum of positions, and four tallies.
/// let spec = FisherSpec::kronecker_expand((2, 3));
/// assert_eq!((spec.length(), spec.state_len::<f64>()), (2 * 3, 6 + 3 + 1 + 4));
/// assert_eq!((spec.homogeneous(true).length(), spec.homogeneous(true).sides()), (2 * 4, (2, 4)));
/// assert_eq!(FisherSpec::dense(3).state_len::<f64>(), 6 + 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FisherSpec {
    pub(super) structure: FisherStructure,
    /// Parameters, or of Kronecker factors the outputs, which is the side of `G`.
    pub(super) length: usize,
    /// Inputs of Kronecker factors, else zero.
    pub(super) inputs: usize,
    /// Whether their biases are another input, which is always one.
    pub(super) homogeneous: bool,
    pub(super) slots: u32,
    pub(super) unit: i32,
    pub(super) model: u64,
}

impl FisherSpec {
    /// The diagonal of so many parameters, one slot, gradients as they are.
    #[must_use]
    pub const fn new(length: usize) -> Self {
        Self { structure: FisherStructure::Diagonal, length, inputs: 0, homogeneous: false, slots: 1, unit: 0, model: 0 }
    }

    /// The whole matrix of so many parameters, for a [`DenseFisher`](super::DenseFisher).
    #[must_use]
    pub const fn dense(length: usize) -> Self {
        let mut spec = Self::new(length);
        spec.structure = FisherStructure::Dense;
        spec
    }

    /// The factors of a layer's weight `[outputs, inputs]` in the expand convention, for a [`KroneckerFisher`](super::KroneckerFisher). No
    /// outputs stand for the covariance of the inputs alone (RegMean's): no gradients are to be observed then.
    #[must_use]
    pub const fn kronecker_expand((outputs, inputs): (usize, usize)) -> Self {
        let mut spec = Self::new(outputs);
        spec.inputs = inputs;
        spec.structure = FisherStructure::KroneckerExpand;
        spec
    }

    /// The same in the reduce convention.
    #[must_use]
    pub const fn kronecker_reduce(shape: (usize, usize)) -> Self {
        let mut spec = Self::kronecker_expand(shape);
        spec.structure = FisherStructure::KroneckerReduce;
        spec
    }

    /// Whether a layer's bias is folded into its weight as one input more, the last, which is always one. Of Kronecker factors alone.
    #[must_use]
    pub const fn homogeneous(mut self, homogeneous: bool) -> Self {
        self.homogeneous = homogeneous && self.is_kronecker();
        self
    }

    pub(super) const fn is_kronecker(&self) -> bool {
        matches!(self.structure, FisherStructure::KroneckerExpand | FisherStructure::KroneckerReduce)
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

    /// How many parameters there are, a bias that is folded in included.
    #[must_use]
    pub const fn length(&self) -> usize {
        if self.is_kronecker() { self.length.saturating_mul(self.sides().1) } else { self.length }
    }

    /// What is estimated of their Fisher.
    #[must_use]
    pub const fn structure(&self) -> FisherStructure {
        self.structure
    }

    /// Rows (and columns) of a layer's factors: of `G`, its outputs, and of `A`, its inputs and the one for the bias. For a dense Fisher its
    /// rows and none, for a diagonal none.
    #[must_use]
    pub const fn sides(&self) -> (usize, usize) {
        match self.structure {
            FisherStructure::Diagonal => (0, 0),
            FisherStructure::Dense => (self.length, 0),
            _ => (self.length, self.inputs.saturating_add(self.homogeneous as usize)),
        }
    }

    /// Numbers of scratch that an observation of factors or of a dense Fisher takes: `64·(⌈n⌉₄ + ⌈n⌉_w)`, where `n` is the longer of the
    /// [`sides`](Self::sides) and `⌈n⌉_k` the next multiple of `k`, with `w` 16 in `f32` and 8 in `f64`. None for a diagonal, whose layers
    /// take [`DiagonalFisher::LINEAR_SCRATCH`](super::DiagonalFisher::LINEAR_SCRATCH).
    ///
    /// ```
    /// use fisher_merge::FisherSpec;
    /// assert_eq!(FisherSpec::kronecker_expand((10, 17)).factor_scratch::<f64>(), 64 * (20 + 24));
    /// assert_eq!(FisherSpec::dense(17).factor_scratch::<f32>(), 64 * (20 + 32));
    /// ```
    #[must_use]
    pub const fn factor_scratch<R: Real>(&self) -> usize {
        let (g, a) = self.sides();
        gram::scratch::<R>(if g > a { g } else { a })
    }

    /// Sums, the tallies not counted: of a diagonal one for each parameter; of factors the lower triangle of `A`, that of `G`, and `Σ w·T`.
    pub(super) const fn sums(&self) -> usize {
        let (g, a) = self.sides();
        match self.structure {
            FisherStructure::Diagonal => self.length,
            FisherStructure::Dense => triangle(g),
            _ => triangle(a).saturating_add(triangle(g)).saturating_add(1),
        }
    }

    /// Numbers of a state, which the caller lends.
    #[must_use]
    pub const fn state_len<R: Real>(&self) -> usize {
        (self.sums().saturating_add(TALLIES)).saturating_mul(planes::<R>()).saturating_mul(self.slots as usize)
    }
}

/// Numbers of a lower triangle with its diagonal.
pub(super) const fn triangle(side: usize) -> usize {
    // One of the two is even.
    if side % 2 == 0 { (side / 2).saturating_mul(side.saturating_add(1)) } else { side.saturating_mul(side / 2 + 1) }
}

/// What a Fisher is an estimate of, and from how much.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct FisherRecord {
    /// What of it, and in which convention.
    pub structure: FisherStructure,
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
