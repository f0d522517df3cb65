//! What every accumulator of a Fisher does, this crate's and a framework's own.

use super::spec::FisherRecord;
use crate::error::Error;
use crate::scalar::Real;

/// Sums squares of gradients, `Σ w·g²`, in the arithmetic type `R`. Object safe.
///
/// The gradient is that of **one example** (and one label or draw): contributions that reach a parameter by several paths are added before
/// they are squared, and examples are squared before they are added. The square of a mean over a batch is something else.
pub trait FisherAccumulator<R: Real> {
    /// How many parameters there are.
    fn length(&self) -> usize;

    /// Adds `weight · g²`. The weight is the example's, times the label's probability, or over the number of draws.
    ///
    /// # Errors
    /// A gradient of another length, a number that is not finite (nothing is added then), a bad weight.
    fn observe(&mut self, weight: R, gradient: &[R]) -> Result<(), Error>;

    /// Ends an example of this weight.
    ///
    /// # Errors
    /// Where its observations' weights add up to something else.
    fn end(&mut self, weight: R) -> Result<(), Error>;

    /// Forgets everything.
    fn reset(&mut self);

    /// The mean, `F = Σ w·g² / Σ w`, one number for every parameter.
    ///
    /// # Errors
    /// No examples, an open one, an output of another length.
    fn finish(&self, out: &mut [R]) -> Result<FisherRecord, Error>;
}

/// An accumulator whose states over parts of the examples combine to that over all. One that cannot do so exactly, such as a decaying mean,
/// does not implement it.
pub trait CombineFisher<R: Real>: FisherAccumulator<R> {
    /// Adds what another one has summed.
    ///
    /// # Errors
    /// Where it is an estimate of another kind, model, unit or length. Nothing is added then.
    fn combine(&mut self, other: &Self) -> Result<(), Error>
    where
        Self: Sized;
}
