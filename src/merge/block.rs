//! One block of a fused merge: the fast bodies, and the second look at what they could not do.

use super::{Job, Merge};
use crate::door::judge;
use crate::error::{Error, Role};
use crate::gaussian::{Buffers, Factor, Views};
use crate::kernel::Magnitude;
use crate::kernel::coefficient::Coefficient;
use crate::kernel::dispatch::Kernel;
use crate::kernel::fused::{self, Part, Tally};
use crate::kernel::range::{overflows, saturate_precisions};
use crate::kernel::scaled::{self, Evidence};
use crate::kernel::step::is_finite;
use crate::policy::NoEvidence;
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::summary::Summary;
use crate::view::{BLOCK, Values, ValuesMut};

/// All blocks of all jobs, in one shell.
pub(super) struct Run<'r, 'a, 'f, V, P, R: Real, O, Q> {
    pub(super) merge: &'r Merge<'a, R>,
    pub(super) jobs: &'r mut [Job<'f, V, P, R, O, Q>],
}

impl<V, P, R, O, Q> Kernel for Run<'_, '_, '_, V, P, R, O, Q>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    type Output = Result<(), Error>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Result<(), Error> {
        let longest = self.jobs.iter().map(|job| job.mean.count()).max().unwrap_or(0);
        let mut room = Room { first: Buffers::new(), second: Buffers::new(), state: [R::ZERO; BLOCK], sparse: 0 };
        let (mut means, mut precisions) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
        // A short first block brings the others to the boundaries of cache lines: a load across two lines costs twice, off the chip more.
        let lead = self.jobs.first().map_or(0, |job| job.mean.lead());
        let (mut at, mut size) = (0, if lead == 0 { BLOCK } else { lead });
        while at < longest {
            for job in &mut *self.jobs {
                let n = size.min(job.mean.count().saturating_sub(at));
                if n > 0 {
                    let done = block::<I, V, P, R, O, Q>(self.merge, job, (at, n), &mut room, (&mut means, &mut precisions));
                    if done.is_err() {
                        I::fence();
                        return done;
                    }
                }
            }
            (at, size) = (at + size, BLOCK);
        }
        I::fence();
        Ok(())
    }
}

/// What blocks are converted into where a view does not hold the arithmetic's own type, and the state of more than two models.
struct Room<R: Real> {
    first: Buffers<R>,
    second: Buffers<R>,
    state: [R; BLOCK],
    /// For how many blocks the dense body is not tried: zeros among Fisher entries come in rows, so what one block had, the next ones have.
    sparse: u8,
}

/// How long [`Room::sparse`] lasts: long enough that trying in vain costs little, short enough that a dense stretch is found soon.
const PATIENCE: u8 = 16;

#[inline(always)]
fn block<I, V, P, R, O, Q>(
    rule: &Merge<'_, R>,
    job: &mut Job<'_, V, P, R, O, Q>,
    (at, n): (usize, usize),
    room: &mut Room<R>,
    (means, precisions): (&mut [R; BLOCK], &mut [R; BLOCK]),
) -> Result<(), Error>
where
    I: Isa,
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    let active = Active::of(job.factors);
    let streamed = I::STREAMS && job.mean.is_streamed();
    {
        let mean = if streamed { means.get_mut(..n).unwrap_or_default() } else { job.mean.block_mut(at, n, means) };
        let mut precision = job.precision.as_mut().map(|view| view.block_mut(at, n, precisions));
        let tally = active.fast::<I>(room, at, mean, precision.as_deref_mut());
        let decided = tally.no_evidence > 0 && !matches!(rule.no_evidence, NoEvidence::KeepTarget);
        job.summary.floored += tally.floored;
        if tally.irregular || decided {
            active.again(rule, at, mean, precision, &mut job.summary)?;
        } else {
            job.summary.no_evidence += tally.no_evidence;
        }
    }
    // A view of the arithmetic's own type has its numbers already; for any other, `means` and `precisions` hold them.
    // What lies between means that a type holds, it holds.
    if job.mean.dtype() != R::DTYPE && !active.fits(job.mean.dtype()) {
        job.summary.out_of_range += overflows(means.get(..n).unwrap_or_default(), job.mean.dtype());
    }
    let merged = means.get(..n).unwrap_or_default();
    if streamed {
        job.mean.stream::<I>(at, merged)
    } else {
        job.mean.commit::<I>(at, merged)
    }
    if let Some(view) = &mut job.precision {
        job.summary.out_of_range += save_precisions::<I, Q, R>(view, at, n, precisions);
    }
    Ok(())
}

/// Stores a block of precisions, saturated in a narrower type; gives how many were.
#[inline(always)]
fn save_precisions<I: Isa, Q: ValuesMut<R>, R: Real>(view: &mut Q, at: usize, n: usize, block: &mut [R; BLOCK]) -> u64 {
    let block = block.get_mut(..n).unwrap_or_default();
    let saturated = if view.dtype() == R::DTYPE { 0 } else { saturate_precisions(block, view.dtype()) };
    view.commit::<I>(at, block);
    saturated
}

/// The factors that take part, and how many.
struct Active<'f, V, P, R: Real> {
    factors: &'f [Factor<V, P, R>],
    count: usize,
}

impl<'f, V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Active<'f, V, P, R> {
    #[inline(always)]
    fn of(factors: &'f [Factor<V, P, R>]) -> Self {
        Self { factors, count: factors.iter().filter(|factor| factor.is_active()).count() }
    }

    /// Number and factor of each.
    #[inline(always)]
    fn each(&self) -> impl Iterator<Item = (usize, &'f Factor<V, P, R>)> + Clone + use<'f, V, P, R> {
        self.factors.iter().enumerate().filter(|(_, factor)| factor.is_active())
    }

    /// Whether a storage type holds all means that there are.
    #[inline(always)]
    fn fits(&self, storage: Dtype) -> bool {
        self.each().all(|(_, factor)| storage.holds(factor.posterior().mean().dtype()))
    }

    /// A sole model comes back as it is, without a floor.
    #[inline(always)]
    fn floor(&self, factor: &Factor<V, P, R>) -> R {
        if self.count > 1 { factor.floor() } else { R::ZERO }
    }

    /// The unscaled recurrence over the block.
    #[inline(always)]
    fn fast<I: Isa>(&self, room: &mut Room<R>, at: usize, mean: &mut [R], precision: Option<&mut [R]>) -> Tally {
        let mut tally = if self.count == 2 { self.pair::<I>(room, at, mean, precision) } else { self.many::<I>(room, at, mean, precision) };
        tally.irregular |= self.each().any(|(_, factor)| !factor.coefficient().regular);
        tally
    }

    #[inline(always)]
    fn pair<I: Isa>(&self, room: &mut Room<R>, at: usize, mean: &mut [R], precision: Option<&mut [R]>) -> Tally {
        let mut each = self.each();
        let (Some((_, a)), Some((_, b))) = (each.next(), each.next()) else { return Tally::default() };
        let (a_views, b_views) = (Views::of(a), Views::of(b));
        let n = mean.len();
        let a = part(self.floor(a), a, room.first.read::<I, V, P>(&a_views, at, n));
        let b = part(self.floor(b), b, room.second.read::<I, V, P>(&b_views, at, n));
        if let Some(out) = precision {
            fused::pair_precisions(a, b, out);
        }
        if room.sparse > 0 {
            room.sparse -= 1;
        } else if a.floor == R::ZERO && b.floor == R::ZERO {
            if fused::pair_dense(a, b, mean) {
                return Tally::default();
            }
            room.sparse = PATIENCE;
        }
        fused::pair(a, b, mean)
    }

    #[inline(always)]
    fn many<I: Isa>(&self, room: &mut Room<R>, at: usize, mean: &mut [R], precision: Option<&mut [R]>) -> Tally {
        let mut tally = Tally::default();
        let state = room.state.get_mut(..mean.len()).unwrap_or_default();
        state.fill(R::ZERO);
        for (position, (_, factor)) in self.each().enumerate() {
            let views = Views::of(factor);
            let (fisher, other) = room.first.read::<I, V, P>(&views, at, mean.len());
            if position == 0 && other.len() == mean.len() {
                mean.copy_from_slice(other);
            }
            let part = fused::absorb_part(part(self.floor(factor), factor, (fisher, other)), state, mean);
            tally.irregular |= part.irregular;
            tally.floored += part.floored;
        }
        tally.no_evidence = fused::without_evidence(state);
        if let Some(out) = precision {
            for (out, &state) in out.iter_mut().zip(&*state) {
                *out = state;
            }
        }
        tally
    }

    /// What each has to say of one element, the floor applied.
    #[inline]
    fn evidence(&self, index: usize) -> impl Iterator<Item = Evidence<R>> + Clone + use<'_, 'f, V, P, R> {
        let floored = self.count > 1;
        self.each().map(move |(_, factor)| {
            let (fisher, mean) = factor.element(index);
            Evidence { coefficient: factor.coefficient(), fisher: if floored { factor.floored(fisher) } else { fisher }, mean }
        })
    }

    /// Goes through a block one element at a time: redoes the irregular ones with scaled precisions, finds bad numbers, and lets the
    /// policy decide where there is no evidence.
    #[cold]
    #[inline(never)]
    fn again(
        &self,
        rule: &Merge<'_, R>,
        at: usize,
        mean: &mut [R],
        mut precision: Option<&mut [R]>,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        for (i, out) in mean.iter_mut().enumerate() {
            let index = at + i;
            if self.evidence(index).any(|evidence| !is_regular(&evidence)) || self.hides_negative(index) {
                self.judge(rule, index, summary)?;
                let target = self.evidence(index).next().map_or(R::ZERO, |evidence| evidence.mean);
                let element = scaled::merge(self.evidence(index), target);
                *out = element.mean;
                if let Some(out) = precision.as_mut().and_then(|block| block.get_mut(i)) {
                    *out = element.precision;
                    summary.out_of_range += u64::from(element.out_of_range);
                }
            }
            if self.evidence(index).all(|evidence| evidence.fisher == R::ZERO) {
                summary.no_evidence += 1;
                self.decide(rule, index, out, summary)?;
            }
        }
        Ok(())
    }

    /// A floor hides a negative entry from the product; `again` must not.
    fn hides_negative(&self, index: usize) -> bool {
        self.each().any(|(_, factor)| factor.element(index).0 < R::ZERO)
    }

    fn judge(&self, rule: &Merge<'_, R>, index: usize, summary: &mut Summary) -> Result<(), Error> {
        for (model, factor) in self.each() {
            let (fisher, mean) = factor.element(index);
            judge(rule.bad_numbers, (rule.tensor, model, Role::Mean, index), mean, summary)?;
            judge(rule.bad_numbers, (rule.tensor, model, Role::Precision, index), fisher, summary)?;
        }
        Ok(())
    }

    fn decide(&self, rule: &Merge<'_, R>, index: usize, mean: &mut R, summary: &mut Summary) -> Result<(), Error> {
        match rule.no_evidence {
            // A sole model comes back before any policy; the bodies have kept the target.
            _ if self.count == 1 => {}
            NoEvidence::KeepTarget => {}
            NoEvidence::WeightedMean => {
                let votes = self.each().map(|(_, factor)| Evidence {
                    coefficient: Coefficient::new(factor.weight(), Magnitude::ONE),
                    fisher: R::ONE,
                    mean: factor.element(index).1,
                });
                *mean = scaled::merge(votes, *mean).mean;
            }
            NoEvidence::PriorMean(prior) => {
                let value = prior.get(index).copied().unwrap_or(*mean);
                judge(rule.bad_numbers, (rule.tensor, 0, Role::PriorMean, index), value, summary)?;
                *mean = value;
            }
            NoEvidence::Error => return Err(Error::NoEvidence { tensor: rule.tensor, index }),
        }
        Ok(())
    }
}

#[inline(always)]
fn part<'b, V, P, R: Real>(floor: R, factor: &Factor<V, P, R>, (fisher, mean): (&'b [R], &'b [R])) -> Part<'b, R> {
    Part { coefficient: factor.coefficient().value, floor, fisher, mean }
}

/// The condition of the fast bodies, for one model of one element.
#[inline]
fn is_regular<R: Real>(evidence: &Evidence<R>) -> bool {
    let p = evidence.coefficient.value * evidence.fisher;
    evidence.coefficient.regular && is_finite(evidence.mean) && (evidence.fisher == R::ZERO || p >= R::MIN_NORMAL && p <= R::TOP)
}
