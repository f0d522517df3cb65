//! The kinds of estimates as types, and how each is observed.

use super::diagonal::DiagonalFisher;
use super::gradient::{Gradient, MeanGradient};
use super::ledger::{Ledger, refuse_weight};
use super::spec::FisherSpec;
use crate::error::{Error, Estimator, FisherFault};
use crate::scalar::Real;
use crate::view::Values;

mod sealed {
    pub trait Sealed {}
}

/// A kind of estimate. Implemented by the markers of this room only.
///
/// Kinds do not mix: an accumulator of sampled labels takes no probabilities,
///
/// ```compile_fail
/// use fisher_merge::{DiagonalFisher, FisherSpec, Gradient};
/// let mut state = [0.0_f64; 5];
/// let mut fisher = DiagonalFisher::sampled(1, FisherSpec::new(1), &mut state).unwrap();
/// fisher.label(0.5, Gradient::new(&[1.0][..])).unwrap();
/// ```
///
/// estimates of two kinds do not combine,
///
/// ```compile_fail
/// use fisher_merge::{CombineFisher, DiagonalFisher, FisherSpec};
/// let (mut here, mut there) = ([0.0_f64; 5], [0.0_f64; 5]);
/// let mut fisher = DiagonalFisher::exact(FisherSpec::new(1), &mut here).unwrap();
/// fisher.combine(&DiagonalFisher::observed_labels(FisherSpec::new(1), &mut there).unwrap()).unwrap();
/// ```
///
/// and no sum is kept in sixteen bits.
///
/// ```compile_fail
/// use fisher_merge::{DiagonalFisher, FisherSpec};
/// let _ = DiagonalFisher::exact(FisherSpec::new(1), &mut [0_u16; 5]);
/// ```
pub trait Sampling: sealed::Sealed {
    /// An estimator of this kind, to name it.
    #[doc(hidden)]
    const EXAMPLE: Estimator;
    /// Whether an estimator is of this kind.
    #[doc(hidden)]
    fn is(estimator: Estimator) -> bool;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $example:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl Sampling for $name {
            const EXAMPLE: Estimator = $example;
            fn is(estimator: Estimator) -> bool {
                core::mem::discriminant(&estimator) == core::mem::discriminant(&$example)
            }
        }
    )*};
}
kinds! {
    /// The exact expectation over labels: every label's gradient, weighted by its probability.
    ///
    /// Of a sequence with several labelled positions it is the sum over positions of the expectation over that position's label, the inputs
    /// being given; each position's gradient is squared by itself, since scores of different positions are uncorrelated. See
    /// [`DiagonalFisher::end_sequences`].
    ExactLabels, Estimator::Exact;
    /// Labels drawn from the model. Of a sequence, one draw is a label at every position, whose scores are added before they are squared; the
    /// expectation is that of [`ExactLabels`].
    SampledLabels, Estimator::MonteCarlo { draws: 1 };
    /// The labels of the data: the empirical Fisher. Of a sequence, the scores of all positions are added before they are squared, which is
    /// the square of the sequence's gradient and not the sum of squares.
    ObservedLabels, Estimator::Empirical;
    /// Squared gradients of batch means, recorded as what they are. They shrink the Fisher by the size of the batch, and hold the square of
    /// the mean gradient besides.
    BatchMeans, Estimator::BatchMean { batch: 1 };
}

/// The kinds that take gradients of one example.
pub trait PerExample: Sampling {}
impl PerExample for ExactLabels {}
impl PerExample for SampledLabels {}
impl PerExample for ObservedLabels {}

impl<R: Real> DiagonalFisher<'_, ExactLabels, R> {
    /// Adds a label of this probability: `w·p·g²`, where `g` is the gradient of `log p(y|x)`.
    ///
    /// # Errors
    /// [`FisherFault::BadWeight`], [`FisherFault::Length`], [`Error::BadNumber`]; nothing is added then. So for all observations.
    pub fn label<V: Values<R>>(&mut self, probability: R, gradient: Gradient<V>) -> Result<(), Error> {
        let weight = self.ledger.weight();
        let share = probability.as_f64() * weight;
        let scale = gradient.scale(self.ledger.spec.unit)?;
        self.add(gradient.values, scale, (probability * R::from_f64(weight), share))
    }

    /// Adds one of the `columns` of a square root of the expectation, which are `C − 1` for `C` classes instead of `C` labels: `w·g²`, where
    /// `g` is the gradient that a column of [`LabelCovariance`](super::LabelCovariance) gives when it is propagated backward from the logits.
    ///
    /// # Errors
    /// As [`label`](Self::label); [`FisherFault::Zero`] for no columns.
    pub fn column<V: Values<R>>(&mut self, columns: u32, gradient: Gradient<V>) -> Result<(), Error> {
        if columns == 0 {
            return Err(FisherFault::Zero.into());
        }
        let weight = self.ledger.weight();
        let scale = gradient.scale(self.ledger.spec.unit)?;
        self.add(gradient.values, scale, (R::from_f64(weight), weight / f64::from(columns)))?;
        self.ledger.open.whole = true;
        Ok(())
    }

    /// Ends an example.
    ///
    /// # Errors
    /// [`FisherFault::Share`] if the probabilities of its labels do not add up to one (to a 128th), or columns are missing;
    /// [`FisherFault::SoleLabel`]. The accumulator is of no use then, and is refused until [`reset`](Self::reset).
    pub fn end_example(&mut self) -> Result<(), Error> {
        self.end_all(core::iter::once(self.ledger.weight()), self.ledger.weight())
    }
}

impl<R: Real> DiagonalFisher<'_, ExactLabels, R> {
    /// Ends examples that are sequences, of these weights and with so many labelled positions each: the probabilities add up to one at every
    /// position.
    ///
    /// # Errors
    /// As [`end_example`](Self::end_example); [`FisherFault::Length`] if there are not as many counts as weights.
    ///
    /// ```
    /// use fisher_merge::{DiagonalFisher, FisherSpec, Gradient};
    /// let mut state = [0.0_f64; 5];
    /// let mut fisher = DiagonalFisher::exact(FisherSpec::new(1), &mut state)?;
    /// for score in [0.5, 0.25] {
    ///     // Two labels of probability ½ at each of two positions.
    ///     fisher.label(0.5, Gradient::new(&[score][..]))?;
    ///     fisher.label(0.5, Gradient::new(&[-score][..]))?;
    /// }
    /// fisher.end_sequences(&[1.0], &[2])?;
    /// let mut out = [0.0];
    /// assert_eq!(fisher.finish_into(&mut out[..])?.examples, 1);
    /// assert_eq!(out, [0.25 + 0.0625]);
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn end_sequences(&mut self, weights: &[R], positions: &[u32]) -> Result<(), Error> {
        let share = Ledger::expected_share(weights, Some(positions))?;
        self.end_all(weights.iter().map(|weight| weight.as_f64()), share)
    }
}

impl<R: Real> DiagonalFisher<'_, SampledLabels, R> {
    /// Adds a draw: `w·g²/draws`.
    ///
    /// # Errors
    /// As [`DiagonalFisher::label`].
    pub fn draw<V: Values<R>>(&mut self, gradient: Gradient<V>) -> Result<(), Error> {
        let draws = Self::draws(self.ledger.estimator);
        let weight = self.ledger.weight();
        let scale = gradient.scale(self.ledger.spec.unit)?;
        let share = weight / f64::from(draws);
        self.add(gradient.values, scale, (R::from_f64(share), share))
    }

    /// Ends an example.
    ///
    /// # Errors
    /// [`FisherFault::Draws`] or [`FisherFault::Share`] if it had another number of draws.
    pub fn end_example(&mut self) -> Result<(), Error> {
        let (expected, found) = (Self::draws(self.ledger.estimator), self.ledger.open.observations);
        if expected != found {
            return Err(FisherFault::Draws { expected, found }.into());
        }
        self.end_all(core::iter::once(self.ledger.weight()), self.ledger.weight())
    }

    fn draws(estimator: Estimator) -> u32 {
        estimator.observations().unwrap_or(1)
    }
}

impl<R: Real> DiagonalFisher<'_, ObservedLabels, R> {
    /// Adds an example and ends it: `w·g²`.
    ///
    /// # Errors
    /// As [`DiagonalFisher::label`].
    pub fn example<V: Values<R>>(&mut self, gradient: Gradient<V>) -> Result<(), Error> {
        let weight = self.ledger.weight();
        let scale = gradient.scale(self.ledger.spec.unit)?;
        self.add(gradient.values, scale, (R::from_f64(weight), weight))?;
        self.end_all(core::iter::once(weight), weight)
    }
}

impl<'s, R: Real> DiagonalFisher<'s, BatchMeans, R> {
    /// Of nothing yet, from means over so many examples.
    ///
    /// # Errors
    /// [`FisherFault::Zero`], [`FisherFault::Length`].
    pub fn batch_means(batch: u32, spec: FisherSpec, state: &'s mut [R]) -> Result<Self, Error> {
        if batch == 0 {
            return Err(FisherFault::Zero.into());
        }
        Self::start(spec, Estimator::BatchMean { batch }, state)
    }

    /// Adds the square of a batch's mean gradient.
    ///
    /// # Errors
    /// As [`DiagonalFisher::label`]; [`FisherFault::Estimator`] for a batch of another size.
    pub fn batch<V: Values<R>>(&mut self, gradient: MeanGradient<V>) -> Result<(), Error> {
        let found = Estimator::BatchMean { batch: gradient.batch };
        if found != self.ledger.estimator {
            return Err(FisherFault::Estimator { expected: self.ledger.estimator, found }.into());
        }
        let scale = gradient.gradient.scale(self.ledger.spec.unit)?;
        self.add(gradient.gradient.values, scale, (R::ONE, 1.0))?;
        self.end_all(core::iter::once(1.0), 1.0)
    }
}

impl<E: Sampling, R: Real> DiagonalFisher<'_, E, R> {
    /// Begins an example of this weight. Not needed for weights of one.
    ///
    /// # Errors
    /// [`FisherFault::OpenExample`], [`FisherFault::BadWeight`].
    pub fn begin_example(&mut self, weight: R) -> Result<(), Error> {
        self.ledger.refuse_open()?;
        refuse_weight(weight)?;
        self.ledger.open.weight = Some(weight.as_f64());
        Ok(())
    }
}
