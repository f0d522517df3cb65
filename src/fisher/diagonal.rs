//! The diagonal Fisher, `F = Σ w·E[g²] / Σ w`: sums of squares in the caller's memory.

use core::marker::PhantomData;

use super::accumulator::{CombineFisher, FisherAccumulator};
use super::sampling::Sampling;
use super::spec::{FisherRecord, FisherSpec, TALLIES};
use crate::error::{Error, Estimator, FisherFault, Role};
use crate::kernel::Shell;
use crate::kernel::scaled::defect;
use crate::kernel::squares::{AddSquares, FirstBad, Sums, planes};
use crate::kernel::step::exact_sum;
use crate::scalar::Real;
use crate::view::{BLOCK, Values, ValuesMut, store};

/// How far the weights of an example's observations may miss the example's: probabilities of sixteen bits are rounded.
const SHARE_TOLERANCE: f64 = 1.0 / 128.0;

/// An estimate of the diagonal Fisher in the making, of one tensor or of several behind one another.
///
/// The kind of the estimate is a type: [`ExactLabels`](super::ExactLabels), [`SampledLabels`](super::SampledLabels),
/// [`ObservedLabels`](super::ObservedLabels) take gradients of one example, [`BatchMeans`](super::BatchMeans) means over a batch, and
/// neither takes the other's. The state is a slice that the caller lends, `f64` or `f32`, of [`FisherSpec::state_len`] numbers; its counts
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
    pub(super) spec: FisherSpec,
    pub(super) estimator: Estimator,
    pub(super) state: &'s mut [R],
    pub(super) open: Open,
    pub(super) shell: Shell,
    /// The block that is being observed.
    block: Option<u64>,
    kind: PhantomData<E>,
}

/// Examples that are not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Open {
    /// The weight that the caller gave the example.
    pub(super) weight: Option<f64>,
    /// What the weights of its observations add up to.
    pub(super) share: f64,
    pub(super) observations: u32,
    /// Whether an observation was of the whole expectation and not of one label.
    pub(super) whole: bool,
}

/// The tallies behind the sums.
#[derive(Clone, Copy)]
enum Tally {
    Examples,
    Weight,
    SquaredWeight,
    OutOfRange,
}

impl<'s, E: Sampling, R: Real> DiagonalFisher<'s, E, R> {
    /// Starts at nothing, in this memory.
    pub(super) fn start(spec: FisherSpec, estimator: Estimator, state: &'s mut [R]) -> Result<Self, Error> {
        state.fill(R::ZERO);
        Self::over(spec, estimator, state)
    }

    /// Goes on with what is in this memory.
    pub(super) fn over(spec: FisherSpec, estimator: Estimator, state: &'s mut [R]) -> Result<Self, Error> {
        let (expected, found) = (spec.state_len::<R>(), state.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        Ok(Self { spec, estimator, state, open: Open::default(), shell: Shell::detect(), block: None, kind: PhantomData })
    }

    /// Runs in another shell, for tests: the bits are the same.
    #[must_use]
    pub fn shell(mut self, shell: Shell) -> Self {
        self.shell = shell;
        self
    }

    /// What is estimated.
    #[must_use]
    pub fn spec(&self) -> FisherSpec {
        self.spec
    }

    /// The raw state, to be stored, sent or all-reduced: the sum of states is the state of all examples.
    #[must_use]
    pub fn state(&self) -> &[R] {
        self.state
    }

    /// Observes the examples of this block from now on, in the slot `block % slots`. Blocks ascend.
    ///
    /// # Errors
    /// [`FisherFault::BlockOrder`], [`FisherFault::OpenExample`].
    pub fn begin_block(&mut self, block: u64) -> Result<(), Error> {
        self.refuse_open()?;
        if let Some(last) = self.block.filter(|&last| last >= block) {
            return Err(FisherFault::BlockOrder { last, found: block }.into());
        }
        self.block = Some(block);
        Ok(())
    }

    /// Which slot is being filled.
    fn slot(&self) -> usize {
        (self.block.unwrap_or_default() % u64::from(self.spec.slots.max(1))) as usize
    }

    /// Sums and tallies of a slot.
    pub(super) fn sums(&mut self, slot: usize) -> Sums<'_, R> {
        let entries = self.spec.length + TALLIES;
        let all = planes::<R>() * entries;
        let slot = self.state.get_mut(slot * all..).unwrap_or_default();
        let slot = if slot.len() > all { slot.get_mut(..all).unwrap_or_default() } else { slot };
        let (high, low) = slot.split_at_mut(entries.min(slot.len()));
        Sums { high, low }
    }

    /// The sums of the slot that is being filled, the tallies left out.
    pub(super) fn filling(&mut self) -> Sums<'_, R> {
        let length = self.spec.length;
        let slot = self.slot();
        let Sums { high, low } = self.sums(slot);
        Sums {
            high: high.get_mut(..length).unwrap_or_default(),
            low: if low.is_empty() { low } else { low.get_mut(..length).unwrap_or_default() },
        }
    }

    fn count(&mut self, tally: Tally, by: f64) {
        let (at, slot) = (self.spec.length + tally as usize, self.slot());
        let first = R::from_f64(by);
        // What a narrow type drops of a count comes as a second term.
        let rest = R::from_f64(by - first.as_f64());
        let mut sums = self.sums(slot);
        sums.add(at, core::iter::once(first));
        sums.add(at, core::iter::once(rest));
    }

    /// A tally over all slots.
    fn tally(&self, tally: Tally) -> f64 {
        let entries = self.spec.length + TALLIES;
        let number = |at: usize| self.state.get(at).map_or(0.0, |value| value.as_f64());
        let slots = (0..self.spec.slots as usize).map(|slot| slot * planes::<R>() * entries + self.spec.length + tally as usize);
        slots.map(|at| number(at) + if planes::<R>() == 2 { number(at + entries) } else { 0.0 }).sum()
    }

    /// Adds `weight · (scale·g)²`, counted as the share `share` of an example.
    pub(super) fn add<V: Values<R>>(&mut self, gradient: V, scale: R, (weight, share): (R, f64)) -> Result<(), Error> {
        let (expected, found) = (self.spec.length, gradient.count());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        self.refuse_weight(weight)?;
        self.refuse_bad(&gradient)?;
        let shell = self.shell;
        let out_of_range = shell.run(AddSquares { sums: self.filling(), gradient, scale, weight });
        self.observed(share, out_of_range);
        Ok(())
    }

    /// Refuses numbers that are not finite, before anything is added.
    pub(super) fn refuse_bad<V: Values<R>>(&self, values: &V) -> Result<(), Error> {
        match self.shell.run(FirstBad { values, arithmetic: PhantomData::<R> }) {
            None => Ok(()),
            Some(index) => {
                let value = values.at(index).unwrap_or(R::ZERO);
                let defect = defect(value, Role::Gradient).unwrap_or(crate::error::Defect::Nan);
                Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Gradient, index, defect })
            }
        }
    }

    pub(super) fn refuse_weight(&self, weight: R) -> Result<(), Error> {
        // Of weights as of precisions: zero and above.
        defect(weight, Role::Precision).map_or(Ok(()), |defect| Err(FisherFault::BadWeight { defect }.into()))
    }

    pub(super) fn refuse_open(&self) -> Result<(), Error> {
        if self.open == Open::default() { Ok(()) } else { Err(FisherFault::OpenExample.into()) }
    }

    pub(super) fn observed(&mut self, share: f64, out_of_range: u64) {
        self.open.share += share;
        self.open.observations = self.open.observations.saturating_add(1);
        if out_of_range > 0 {
            #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
            self.count(Tally::OutOfRange, out_of_range as f64);
        }
    }

    /// Ends examples whose weights are these, and whose observations' weights add up to `expected`.
    pub(super) fn end_all(&mut self, weights: impl Iterator<Item = f64>, expected: f64) -> Result<(), Error> {
        let (found, observations) = (self.open.share, self.open.observations);
        let (observed, examples) = E::counts(self.estimator);
        let close = (expected - found).abs() <= SHARE_TOLERANCE * expected;
        if !close {
            return Err(FisherFault::Share { expected, found }.into());
        }
        if let Some(expected) = observed.filter(|&expected| expected != observations) {
            return Err(FisherFault::Draws { expected, found: observations }.into());
        }
        if self.estimator == Estimator::Exact && observations == 1 && !self.open.whole {
            return Err(FisherFault::SoleLabel.into());
        }
        self.open = Open::default();
        for weight in weights {
            self.count(Tally::Examples, f64::from(examples));
            self.count(Tally::Weight, weight);
            self.count(Tally::SquaredWeight, weight * weight);
        }
        Ok(())
    }

    /// What was observed so far.
    #[must_use]
    pub fn record(&self) -> FisherRecord {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tallies of whole numbers that are not negative")]
        let whole = |tally| self.tally(tally) as u64;
        FisherRecord {
            estimator: self.estimator,
            examples: whole(Tally::Examples),
            weight: self.tally(Tally::Weight),
            squared_weight: self.tally(Tally::SquaredWeight),
            out_of_range: whole(Tally::OutOfRange),
            model: self.spec.model,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.state.fill(R::ZERO);
        self.open = Open::default();
        self.block = None;
    }

    /// The mean, `F = Σ w·g² / Σ w`, into a slice of any storage type, each number rounded once to it. It stays an accumulator: more examples
    /// may follow.
    ///
    /// # Errors
    /// [`FisherFault::OpenExample`], [`FisherFault::NoExamples`], [`FisherFault::Length`]; [`Error::BadNumber`] for a sum that has left the
    /// range of the arithmetic. Nothing is written then.
    pub fn finish_into(&self, mut out: impl ValuesMut<R>) -> Result<FisherRecord, Error> {
        self.refuse_open()?;
        let (expected, found) = (self.spec.length, out.count());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        let record = self.record();
        if record.examples == 0 || record.weight <= 0.0 {
            return Err(FisherFault::NoExamples.into());
        }
        let weight = R::from_f64(record.weight);
        if let Some((index, defect)) = (0..found).find_map(|at| defect(self.total(at), Role::Precision).map(|defect| (at, defect))) {
            return Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index, defect });
        }
        let mut at = 0;
        while at < found {
            let mut block = [R::ZERO; BLOCK];
            let n = BLOCK.min(found - at);
            for (i, out) in block.iter_mut().enumerate().take(n) {
                *out = (self.total(at + i) / weight).times_power_of_two(self.spec.unit.saturating_mul(-2));
            }
            store(&mut out, at, block.get(..n).unwrap_or_default());
            at += n;
        }
        Ok(record)
    }

    /// A sum over all slots, in their order.
    fn total(&self, at: usize) -> R {
        let entries = self.spec.length + TALLIES;
        let number = |at: usize| self.state.get(at).copied().unwrap_or(R::ZERO);
        let (mut high, mut low) = (R::ZERO, R::ZERO);
        for slot in 0..self.spec.slots as usize {
            let at = slot * planes::<R>() * entries + at;
            let (sum, dropped) = exact_sum(high, number(at));
            high = sum;
            if planes::<R>() == 2 {
                low = low + dropped + number(at + entries);
            }
        }
        high + low
    }
}

impl<E: Sampling, R: Real> FisherAccumulator<R> for DiagonalFisher<'_, E, R> {
    fn length(&self) -> usize {
        self.spec.length
    }

    fn observe(&mut self, weight: R, gradient: &[R]) -> Result<(), Error> {
        let scale = R::ONE.times_power_of_two(self.spec.unit);
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
        self.refuse_open()?;
        other.refuse_open()?;
        super::header::same((self.spec, self.estimator), (other.spec, other.estimator))?;
        let entries = self.spec.length + TALLIES;
        for slot in 0..self.spec.slots as usize {
            let at = slot * planes::<R>() * entries;
            let plane = |plane: usize| other.state.get(at + plane * entries..).and_then(|rest| rest.get(..entries)).unwrap_or_default();
            let mut sums = self.sums(slot);
            sums.add(0, plane(0).iter().copied());
            if planes::<R>() == 2 {
                sums.add(0, plane(1).iter().copied());
            }
        }
        Ok(())
    }
}
