//! The whole Fisher of a few parameters, from gradients.

use core::marker::PhantomData;

use super::ledger::Ledger;
use super::observed::{LayerGradients, lend};
use super::sampling::{ExactLabels, PerExample, Sampling};
use super::spec::FisherRecord;
use super::symmetric::Symmetric;
use crate::error::Error;
use crate::kernel::gram::{Gram, Positions};
use crate::scalar::Real;
use crate::view::{Values, ValuesMut};

/// An estimate of the whole Fisher of a block of parameters in the making, `F = Σ w·E[g·gᵀ] / Σ w`.
///
/// For blocks whose square fits: a normalisation, a bias, an adapter. Kinds of labels, counts, slots and combination are those of a
/// [`DiagonalFisher`](super::DiagonalFisher), whose estimate is this one's diagonal. The state is the lower triangle, row behind row, and four
/// tallies, `f32` in two planes, once for each slot. No heap. Scratch of
/// [`FisherSpec::factor_scratch`](super::FisherSpec::factor_scratch) numbers is lent to each observation.
///
/// # Accuracy
/// As of [`KroneckerFisher`](super::KroneckerFisher).
///
/// ```
/// use fisher_merge::{DenseFisher, FisherSpec, Gradient, LayerGradients};
/// // Two classes of probabilities ¾ and ¼; the score of a label is `onehot − p`.
/// let spec = FisherSpec::dense(2);
/// let (mut state, mut scratch) = (vec![0.0_f64; spec.state_len::<f64>()], vec![0.0; spec.factor_scratch::<f64>()]);
/// let mut fisher = DenseFisher::exact(spec, &mut state)?;
/// for (p, score) in [(0.75, [0.25, -0.25]), (0.25, [-0.75, 0.75])] {
///     fisher.observe(&LayerGradients::new(Gradient::new(&score[..]), &[p]), &mut scratch)?;
/// }
/// fisher.end_batch(&[1.0])?;
/// let mut out = [0.0; 4];
/// let record = fisher.finish_into(&mut out[..])?;
/// assert_eq!((out, record.examples), ([0.1875, -0.1875, -0.1875, 0.1875], 1)); // diag(p) − p·pᵀ
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Debug)]
pub struct DenseFisher<'s, E, R: Real> {
    pub(super) ledger: Ledger<'s, R>,
    pub(super) kind: PhantomData<E>,
}

impl<E: PerExample, R: Real> DenseFisher<'_, E, R> {
    /// Adds the gradients `[B, T, n]` of a batch: for every label, draw or column once. Those of an example's positions, if there are
    /// several, are added before the product: its gradient is their sum.
    ///
    /// # Errors
    /// [`FisherFault::Length`](crate::FisherFault::Length) for sizes that do not go together, [`FisherFault::Zero`](crate::FisherFault::Zero)
    /// for no positions or columns, [`FisherFault::Estimator`](crate::FisherFault::Estimator) for columns of labels that are not
    /// [`ExactLabels`], [`Error::Scratch`], [`FisherFault::BadWeight`](crate::FisherFault::BadWeight), [`Error::BadNumber`]; nothing is added
    /// then.
    pub fn observe<G: Values<R>>(&mut self, batch: &LayerGradients<'_, G, R>, scratch: &mut [R]) -> Result<(), Error> {
        let width = self.ledger.spec.length;
        let scale = batch.door(&self.ledger, width)?;
        let scratch = lend(&self.ledger, scratch)?;
        let shell = self.ledger.shell;
        let out_of_range = shell.run(Gram {
            sums: self.ledger.filling(),
            values: &batch.gradient.values,
            width,
            homogeneous: false,
            positions: batch.positions,
            lengths: None,
            vectors: Positions::Sum,
            weights: batch.weights,
            scale,
            scratch,
        });
        batch.observed(&mut self.ledger, out_of_range);
        Ok(())
    }

    /// Ends the examples of a batch, which have these weights.
    ///
    /// # Errors
    /// As [`DiagonalFisher::end_batch`](super::DiagonalFisher::end_batch).
    pub fn end_batch(&mut self, weights: &[R]) -> Result<(), Error> {
        self.end(weights, None)
    }

    fn end(&mut self, weights: &[R], positions: Option<&[u32]>) -> Result<(), Error> {
        let share = Ledger::expected_share(weights, positions)?;
        self.ledger.refuse_shares(share)?;
        self.ledger.end(weights.iter().map(|weight| weight.as_f64()));
        Ok(())
    }
}

impl<R: Real> DenseFisher<'_, ExactLabels, R> {
    /// Ends the examples of a batch that are sequences, of these weights and with so many labelled positions each.
    ///
    /// # Errors
    /// As [`DiagonalFisher::end_sequences`](super::DiagonalFisher::end_sequences).
    pub fn end_sequences(&mut self, weights: &[R], positions: &[u32]) -> Result<(), Error> {
        self.end(weights, Some(positions))
    }
}

impl<E: Sampling, R: Real> DenseFisher<'_, E, R> {
    /// Adds what another one has summed.
    ///
    /// # Errors
    /// Where it is an estimate of another kind, model, unit or size; [`FisherFault::OpenExample`](crate::FisherFault::OpenExample). Nothing is
    /// added then.
    pub fn combine(&mut self, other: &Self) -> Result<(), Error> {
        self.ledger.combine(&other.ledger)
    }

    /// The mean, as a whole symmetric matrix `[n, n]` (row-major) of any storage type, each number rounded once to it. It stays an accumulator:
    /// more examples may follow.
    ///
    /// # Errors
    /// [`FisherFault::OpenExample`](crate::FisherFault::OpenExample), [`FisherFault::NoExamples`](crate::FisherFault::NoExamples),
    /// [`FisherFault::Length`](crate::FisherFault::Length); [`Error::BadNumber`] for a sum that has left the range of the arithmetic. Nothing
    /// is written then.
    pub fn finish_into(&self, mut out: impl ValuesMut<R>) -> Result<FisherRecord, Error> {
        let record = self.ledger.finished()?;
        let (ledger, divisor) = (&self.ledger, record.weight);
        let exponent = ledger.spec.unit.saturating_mul(-2);
        let all = Symmetric { totals: ledger.totals(), tensor: 0, first: 0, side: ledger.spec.length, divisor, exponent };
        all.door(&out)?;
        all.write(&mut out);
        Ok(record)
    }
}
