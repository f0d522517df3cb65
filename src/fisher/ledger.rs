//! What every accumulator keeps: sums in slots, the tallies behind them, and the examples that are not ended.

use core::marker::PhantomData;

use super::spec::{FisherRecord, FisherSpec, TALLIES};
use crate::error::{Defect, Error, Estimator, FisherFault, Role};
use crate::kernel::Shell;
use crate::kernel::scaled::defect;
use crate::kernel::squares::{FirstBad, Sums, planes};
use crate::kernel::step::exact_sum;
use crate::scalar::Real;
use crate::view::Values;

/// How far the weights of an example's observations may miss the example's: probabilities of sixteen bits are rounded.
const SHARE_TOLERANCE: f64 = 1.0 / 128.0;

/// The books of an accumulator, in the caller's memory.
#[derive(Debug)]
pub(super) struct Ledger<'s, R: Real> {
    pub(super) spec: FisherSpec,
    pub(super) estimator: Estimator,
    pub(super) state: &'s mut [R],
    pub(super) open: Open,
    pub(super) shell: Shell,
    /// The block that is being observed.
    block: Option<u64>,
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
    /// What the weights of the examples add up to whose inputs were observed, of a Kronecker-factored Fisher.
    pub(super) inputs: Option<f64>,
    /// At how many positions its inputs or gradients were observed.
    pub(super) positions: Option<usize>,
}

/// The tallies behind the sums.
#[derive(Clone, Copy)]
enum Tally {
    Examples,
    Weight,
    SquaredWeight,
    OutOfRange,
}

impl<'s, R: Real> Ledger<'s, R> {
    /// Starts at nothing, in this memory.
    pub(super) fn start(spec: FisherSpec, estimator: Estimator, state: &'s mut [R]) -> Result<Self, Error> {
        state.fill(R::ZERO);
        Self::over(spec, estimator, state)
    }

    /// Goes on with what is in this memory.
    pub(super) fn over(spec: FisherSpec, estimator: Estimator, state: &'s mut [R]) -> Result<Self, Error> {
        expect(spec.state_len::<R>(), state.len())?;
        Ok(Self { spec, estimator, state, open: Open::default(), shell: Shell::detect(), block: None })
    }

    pub(super) fn begin_block(&mut self, block: u64) -> Result<(), Error> {
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

    /// Numbers of a plane of a slot.
    fn entries(&self) -> usize {
        self.spec.sums().saturating_add(TALLIES)
    }

    /// Sums and tallies of a slot.
    fn sums(&mut self, slot: usize) -> Sums<'_, R> {
        let entries = self.entries();
        let all = planes::<R>() * entries;
        let slot = self.state.get_mut(slot * all..).unwrap_or_default();
        let slot = if slot.len() > all { slot.get_mut(..all).unwrap_or_default() } else { slot };
        let (high, low) = slot.split_at_mut(entries.min(slot.len()));
        Sums { high, low }
    }

    /// The sums of the slot that is being filled, the tallies left out.
    pub(super) fn filling(&mut self) -> Sums<'_, R> {
        let sums = self.spec.sums();
        self.part(0, sums)
    }

    /// `n` of them, from the one at `at`.
    pub(super) fn part(&mut self, at: usize, n: usize) -> Sums<'_, R> {
        let slot = self.slot();
        let Sums { high, low } = self.sums(slot);
        Sums { high: window(high, at, n), low: window(low, at, n) }
    }

    fn count(&mut self, tally: Tally, by: f64) {
        self.count_at(self.spec.sums() + tally as usize, by);
    }

    /// Adds a count to the sum at `at`.
    pub(super) fn count_at(&mut self, at: usize, by: f64) {
        let slot = self.slot();
        let first = R::from_f64(by);
        // What a narrow type drops of a count comes as a second term.
        let rest = R::from_f64(by - first.as_f64());
        let mut sums = self.sums(slot);
        sums.add(at, core::iter::once(first));
        sums.add(at, core::iter::once(rest));
    }

    fn tally(&self, tally: Tally) -> f64 {
        self.tally_at(self.spec.sums() + tally as usize)
    }

    /// A count over all slots.
    pub(super) fn tally_at(&self, at: usize) -> f64 {
        let entries = self.entries();
        let number = |at: usize| self.state.get(at).map_or(0.0, |value| value.as_f64());
        let slots = (0..self.spec.slots as usize).map(|slot| slot * planes::<R>() * entries + at);
        slots.map(|at| number(at) + if planes::<R>() == 2 { number(at + entries) } else { 0.0 }).sum()
    }

    /// Refuses numbers that are not finite, before anything is added.
    pub(super) fn refuse_bad<V: Values<R>>(&self, values: &V) -> Result<(), Error> {
        match self.shell.run(FirstBad { values, arithmetic: PhantomData::<R> }) {
            None => Ok(()),
            Some(index) => {
                let value = values.at(index).unwrap_or(R::ZERO);
                let defect = defect(value, Role::Gradient).unwrap_or(Defect::Nan);
                Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Gradient, index, defect })
            }
        }
    }

    pub(super) fn refuse_open(&self) -> Result<(), Error> {
        if self.open == Open::default() { Ok(()) } else { Err(FisherFault::OpenExample.into()) }
    }

    /// Whether the whole expectation may be observed at once, or by columns.
    pub(super) fn refuse_whole(&self, whole: bool) -> Result<(), Error> {
        if whole && self.estimator != Estimator::Exact {
            return Err(FisherFault::Estimator { expected: self.estimator, found: Estimator::Exact }.into());
        }
        Ok(())
    }

    /// The weight of the example that is being observed.
    pub(super) fn weight(&self) -> f64 {
        self.open.weight.unwrap_or(1.0)
    }

    pub(super) fn observed(&mut self, share: f64, out_of_range: u64) {
        self.open.share += share;
        self.open.observations = self.open.observations.saturating_add(1);
        self.left_range(out_of_range);
    }

    /// Counts squares that left the normal range.
    pub(super) fn left_range(&mut self, squares: u64) {
        if squares > 0 {
            #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
            self.count(Tally::OutOfRange, squares as f64);
        }
    }

    /// What the weights of the examples' observations have to add up to, where each has so many labelled positions: one, or as many as said.
    pub(super) fn expected_share(weights: &[R], positions: Option<&[u32]>) -> Result<f64, Error> {
        weights.iter().try_for_each(|&weight| refuse_weight(weight))?;
        let Some(positions) = positions else { return Ok(weights.iter().map(|weight| weight.as_f64()).sum()) };
        expect(weights.len(), positions.len())?;
        Ok(weights.iter().zip(positions).map(|(weight, &positions)| weight.as_f64() * f64::from(positions)).sum())
    }

    /// Whether the observations' weights add up to `expected`, and are as many as they must be.
    pub(super) fn refuse_shares(&self, expected: f64) -> Result<(), Error> {
        let Open { share, observations, whole, .. } = self.open;
        refuse_shares(self.estimator, (share, observations), expected, whole)
    }

    /// Ends examples whose weights are these.
    pub(super) fn end(&mut self, weights: impl Iterator<Item = f64>) {
        let examples = self.estimator.examples();
        self.open = Open::default();
        for weight in weights {
            self.count(Tally::Examples, f64::from(examples));
            self.count(Tally::Weight, weight);
            self.count(Tally::SquaredWeight, weight * weight);
        }
    }

    pub(super) fn record(&self) -> FisherRecord {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tallies of whole numbers that are not negative")]
        let whole = |tally| self.tally(tally) as u64;
        FisherRecord {
            structure: self.spec.structure,
            estimator: self.estimator,
            examples: whole(Tally::Examples),
            weight: self.tally(Tally::Weight),
            squared_weight: self.tally(Tally::SquaredWeight),
            out_of_range: whole(Tally::OutOfRange),
            model: self.spec.model,
        }
    }

    /// The record of an estimate that can be finished.
    pub(super) fn finished(&self) -> Result<FisherRecord, Error> {
        self.refuse_open()?;
        let record = self.record();
        if record.examples == 0 || record.weight <= 0.0 || record.weight.is_nan() {
            return Err(FisherFault::NoExamples.into());
        }
        Ok(record)
    }

    pub(super) fn reset(&mut self) {
        self.state.fill(R::ZERO);
        self.open = Open::default();
        self.block = None;
    }

    /// The sums over all slots.
    pub(super) fn totals(&self) -> Totals<'_, R> {
        Totals { state: self.state, entries: self.entries(), slots: self.spec.slots }
    }

    /// Adds what another one has summed.
    pub(super) fn combine(&mut self, other: &Ledger<'_, R>) -> Result<(), Error> {
        self.refuse_open()?;
        other.refuse_open()?;
        super::header::same((self.spec, self.estimator), (other.spec, other.estimator))?;
        let entries = self.entries();
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

/// Sums over all slots.
#[derive(Clone, Copy)]
pub(super) struct Totals<'l, R> {
    state: &'l [R],
    /// Numbers of a plane of a slot.
    entries: usize,
    slots: u32,
}

impl<R: Real> Totals<'_, R> {
    /// One of them, the slots in their order.
    #[inline(always)]
    pub(super) fn at(&self, at: usize) -> R {
        // Rounding drops nothing from the first, of which zero makes no negative zero.
        let first = (R::ZERO + self.number(at), self.rest(at));
        let (high, low) = if self.slots > 1 { self.with_others(at, first) } else { first };
        if planes::<R>() == 2 { high + low } else { high }
    }

    /// A sum of the first slot with those of the others.
    fn with_others(&self, mut at: usize, (mut high, mut low): (R, R)) -> (R, R) {
        for _ in 1..self.slots {
            at += planes::<R>() * self.entries;
            let (sum, dropped) = exact_sum(high, self.number(at));
            high = sum;
            low = low + dropped + self.rest(at);
        }
        (high, low)
    }

    #[inline(always)]
    fn number(&self, at: usize) -> R {
        self.state.get(at).copied().unwrap_or(R::ZERO)
    }

    /// The second number of a sum.
    #[inline(always)]
    fn rest(&self, at: usize) -> R {
        if planes::<R>() == 2 { self.number(at + self.entries) } else { R::ZERO }
    }
}

/// Whether the weights of an example's observations (their sum and their number) are those of an estimate of this kind; `whole` says that one
/// was of the expectation itself.
pub(super) fn refuse_shares(estimator: Estimator, (share, found): (f64, u32), expected: f64, whole: bool) -> Result<(), Error> {
    let close = (expected - share).abs() <= SHARE_TOLERANCE * expected;
    if !close {
        return Err(FisherFault::Share { expected, found: share }.into());
    }
    if let Some(expected) = estimator.observations().filter(|&expected| expected != found) {
        return Err(FisherFault::Draws { expected, found }.into());
    }
    if estimator == Estimator::Exact && found == 1 && !whole {
        return Err(FisherFault::SoleLabel.into());
    }
    Ok(())
}

/// `n` numbers of a plane; none where they are not there.
fn window<R>(plane: &mut [R], at: usize, n: usize) -> &mut [R] {
    plane.get_mut(at..).and_then(|rest| rest.get_mut(..n)).unwrap_or_default()
}

/// Weights are as precisions: zero and above.
pub(super) fn refuse_weight<R: Real>(weight: R) -> Result<(), Error> {
    defect(weight, Role::Precision).map_or(Ok(()), |defect| Err(FisherFault::BadWeight { defect }.into()))
}

/// `expected` numbers are what was `found`.
pub(super) fn expect(expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(FisherFault::Length { expected, found }.into()) }
}
