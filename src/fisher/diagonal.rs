//! The diagonal Fisher, `F = Σ w·E[g²] / Σ w`: sums of squares in the caller's memory.

use core::marker::PhantomData;

use super::accumulator::{CombineFisher, FisherAccumulator};
use super::ledger::{Ledger, expect, refuse_weight};
use super::sampling::Sampling;
use super::spec::FisherRecord;
use crate::error::{Error, Role};
use crate::kernel::scaled::defect;
use crate::kernel::squares::AddSquares;
use crate::scalar::Real;
use crate::view::{Values, ValuesMut, store_each};

/// An estimate of the diagonal Fisher in the making, of one tensor or of several behind one another.
///
/// The kind of the estimate is a type: [`ExactLabels`](super::ExactLabels), [`SampledLabels`](super::SampledLabels),
/// [`ObservedLabels`](super::ObservedLabels) take gradients of one example, [`BatchMeans`](super::BatchMeans) means over a batch, and
/// neither takes the other's. The state is a slice that the caller lends, `f64` or `f32`, of [`FisherSpec::state_len`](super::FisherSpec::state_len) numbers; its counts
/// are inside. No heap.
///
/// # Accuracy
/// After `n` observations, every entry of the mean is within `(12 + n)·2⁻⁵³` of the exact one, relatively, in `f64`, and within
/// `(12 + n·2⁻²³)·2⁻²⁴` in `f32`, where a sum is two numbers; twelve roundings are those of a term, of the division and of the sum of weights.
/// Neither stalls. A batch of a layer adds up to 64 examples in the arithmetic first, which costs 64 roundings more; over several positions
/// the bound is one of `Σ|g·a|` squared, since their sum may cancel. All this holds as long as nothing leaves the normal range, which
/// [`FisherRecord::out_of_range`] counts.
///
/// ```
/// use fisher_merge::{DiagonalFisher, FisherSpec, Gradient};
/// // Two classes of probabilities ¾ and ¼; the score of a label is `onehot − p`.
/// let spec = FisherSpec::new(2);
/// let mut state = [0.0_f64; 6];
/// let mut fisher = DiagonalFisher::exact(spec, &mut state)?;
/// fisher.label(0.75, Gradient::new(&[0.25, -0.25][..]))?;
/// fisher.label(0.25, Gradient::new(&[-0.75, 0.75][..]))?;
/// fisher.end_example()?;
/// let mut out = [0.0; 2];
/// let record = fisher.finish_into(&mut out[..])?;
/// assert_eq!((out, record.examples), ([0.1875; 2], 1)); // p(1 − p)
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Debug)]
pub struct DiagonalFisher<'s, E, R: Real> {
    pub(super) ledger: Ledger<'s, R>,
    pub(super) kind: PhantomData<E>,
}

impl<E: Sampling, R: Real> DiagonalFisher<'_, E, R> {
    /// Adds `weight · (scale·g)²`, counted as the share `share` of an example.
    pub(super) fn add<V: Values<R>>(&mut self, gradient: V, scale: R, (weight, share): (R, f64)) -> Result<(), Error> {
        expect(self.ledger.spec.length, gradient.count())?;
        refuse_weight(weight)?;
        self.ledger.refuse_bad(&gradient)?;
        let shell = self.ledger.shell;
        let out_of_range = shell.run(AddSquares { sums: self.ledger.filling(), gradient, scale, weight });
        self.ledger.observed(share, out_of_range);
        Ok(())
    }

    /// Ends examples whose weights are these, and whose observations' weights add up to `expected`.
    pub(super) fn end_all(&mut self, weights: impl Iterator<Item = f64>, expected: f64) -> Result<(), Error> {
        self.ledger.refuse_shares(expected)?;
        self.ledger.end(weights);
        Ok(())
    }

    /// The mean, `F = Σ w·g² / Σ w`, into a slice of any storage type, each number rounded once to it. It stays an accumulator: more examples
    /// may follow.
    ///
    /// # Errors
    /// [`FisherFault::OpenExample`](crate::FisherFault::OpenExample), [`FisherFault::NoExamples`](crate::FisherFault::NoExamples),
    /// [`FisherFault::Length`](crate::FisherFault::Length); [`Error::BadNumber`] for a sum that has left the range of the arithmetic. Nothing
    /// is written then.
    pub fn finish_into(&self, mut out: impl ValuesMut<R>) -> Result<FisherRecord, Error> {
        let ledger = &self.ledger;
        ledger.refuse_open()?;
        let found = out.count();
        expect(ledger.spec.length, found)?;
        let record = ledger.finished()?;
        let (totals, weight) = (ledger.totals(), R::from_f64(record.weight));
        let bad = |at: usize| {
            let total = totals.at(at);
            // Most by the pattern, which says so in one comparison of integers.
            if R::is_regular(total) { None } else { defect(total, Role::Precision).map(|defect| (at, defect)) }
        };
        if let Some((index, defect)) = (0..found).find_map(bad) {
            return Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index, defect });
        }
        store_each(&mut out, found, |at| {
            let mean = totals.at(at) / weight;
            // A call for every number, which small machines feel.
            if ledger.spec.unit == 0 { mean } else { mean.times_power_of_two(ledger.spec.unit.saturating_mul(-2)) }
        });
        Ok(record)
    }
}

impl<E: Sampling, R: Real> FisherAccumulator<R> for DiagonalFisher<'_, E, R> {
    fn length(&self) -> usize {
        self.ledger.spec.length
    }

    fn observe(&mut self, weight: R, gradient: &[R]) -> Result<(), Error> {
        let scale = R::ONE.times_power_of_two(self.ledger.spec.unit);
        self.add(gradient, scale, (weight, weight.as_f64()))
    }

    fn end(&mut self, weight: R) -> Result<(), Error> {
        self.end_all(core::iter::once(weight.as_f64()), weight.as_f64())
    }

    fn reset(&mut self) {
        self.reset();
    }

    fn finish(&self, out: &mut [R]) -> Result<FisherRecord, Error> {
        self.finish_into(out)
    }
}

impl<E: Sampling, R: Real> CombineFisher<R> for DiagonalFisher<'_, E, R> {
    fn combine(&mut self, other: &Self) -> Result<(), Error> {
        self.ledger.combine(&other.ledger)
    }
}
