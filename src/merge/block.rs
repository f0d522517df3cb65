//! Blocks of any kind: converted, merged by the fast bodies, and looked at again where these could not do it.

use super::careful::Careful;
use super::stretch::Place;
use super::{Job, Merge};
use crate::error::Error;
use crate::gaussian::{Buffers, Factor, Views};
use crate::kernel::dispatch::Kernel;
use crate::kernel::fused::{self, Part, Tally, is_dense};
use crate::kernel::range::{overflows, saturate_precisions};
use crate::kernel::scaled::Evidence;
use crate::kernel::step::is_finite;
use crate::policy::NoEvidence;
use crate::scalar::encoding::Encoding;
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::summary::Summary;
use crate::view::sealed::Save;
use crate::view::{BLOCK, Values, ValuesMut};

/// Blocks of any kind, in one shell.
pub(super) struct General<'r, 'a, 'f, V, P, R: Real, O, Q> {
    pub(super) merge: &'r Merge<'a, R>,
    pub(super) jobs: &'r mut [Job<'f, V, P, R, O, Q>],
    pub(super) from: Place,
    /// How many blocks.
    pub(super) blocks: usize,
}

impl<V, P, R, O, Q> Kernel for General<'_, '_, '_, V, P, R, O, Q>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    type Output = Result<Place, Error>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Result<Place, Error> {
        let mut room = Room { first: Buffers::new(), second: Buffers::new(), state: [R::ZERO; BLOCK] };
        let mut outputs = Outputs { raw: [<O as Save>::Encoding::BLANK; BLOCK], means: [R::ZERO; BLOCK], precisions: [R::ZERO; BLOCK] };
        let (mut place, mut left, mut outcome) = (self.from, self.blocks, Ok(()));
        while outcome.is_ok() && left > 0 && !place.is_end() {
            let Some(job) = self.jobs.get_mut(place.job) else {
                place = place.next_turn();
                continue;
            };
            let Some((at, n)) = place.within(job.mean.count()) else {
                place = place.next_job();
                continue;
            };
            outcome = block::<I, V, P, R, O, Q>(self.merge, job, (at, n), &mut room, &mut outputs);
            place = place.next_block(n);
            left -= 1;
        }
        I::fence();
        outcome.map(|()| place)
    }
}

/// What blocks are converted into where a view does not hold the arithmetic's own type, and the state of more than two models.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
struct Room<R: Real> {
    first: Buffers<R>,
    second: Buffers<R>,
    state: [R; BLOCK],
}

/// What blocks are written to where a view does not hold the arithmetic's own type, or is streamed.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
struct Outputs<R: Real, E: Encoding> {
    raw: [E::Raw; BLOCK],
    means: [R; BLOCK],
    precisions: [R; BLOCK],
}

/// Any block: converted, merged, looked at again where that is needed, and stored.
#[inline(always)]
fn block<I, V, P, R, O, Q>(
    rule: &Merge<'_, R>,
    job: &mut Job<'_, V, P, R, O, Q>,
    (at, n): (usize, usize),
    room: &mut Room<R>,
    outputs: &mut Outputs<R, O::Encoding>,
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
    let streamed = job.mean.is_streamed::<I, R>();
    let Outputs { raw, means, precisions } = outputs;
    let raw = raw.get_mut(..n).unwrap_or_default();
    {
        let mean = if !streamed {
            job.mean.block_mut(at, n, means)
        } else if O::Encoding::DTYPE == R::DTYPE {
            O::Encoding::lend_mut(raw).unwrap_or_default()
        } else {
            means.get_mut(..n).unwrap_or_default()
        };
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
    // A view of the arithmetic's own type has its numbers already; for any other, `means` holds them.
    let merged = means.get(..n).unwrap_or_default();
    // What lies between means that a type holds, it holds.
    if job.mean.dtype() != R::DTYPE && !active.fits(job.mean.dtype()) {
        job.summary.out_of_range += overflows(merged, job.mean.dtype());
    }
    if streamed {
        if O::Encoding::DTYPE != R::DTYPE {
            O::Encoding::encode_slice::<I, R>(merged, raw);
        }
        job.mean.stream::<I>(at, raw);
    } else {
        job.mean.commit::<I, R>(at, merged);
    }
    if let Some(view) = &mut job.precision {
        job.summary.out_of_range += save_precisions::<I, Q, R>(view, at, n, precisions);
    }
    Ok(())
}

/// Stores a block of precisions, saturated in a narrower type; gives how many were.
#[inline(always)]
pub(super) fn save_precisions<I: Isa, Q: ValuesMut<R>, R: Real>(view: &mut Q, at: usize, n: usize, block: &mut [R; BLOCK]) -> u64 {
    let block = block.get_mut(..n).unwrap_or_default();
    let saturated = if view.dtype() == R::DTYPE { 0 } else { saturate_precisions(block, view.dtype()) };
    view.commit::<I, R>(at, block);
    saturated
}

/// The factors that take part, and how many.
pub(super) struct Active<'f, V, P, R: Real> {
    factors: &'f [Factor<V, P, R>],
    pub(super) count: usize,
}

impl<V, P, R: Real> Clone for Active<'_, V, P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V, P, R: Real> Copy for Active<'_, V, P, R> {}

impl<'f, V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Active<'f, V, P, R> {
    #[inline(always)]
    pub(super) fn of(factors: &'f [Factor<V, P, R>]) -> Self {
        Self { factors, count: factors.iter().filter(|factor| factor.is_active()).count() }
    }

    /// Number and factor of each.
    #[inline(always)]
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, &'f Factor<V, P, R>)> + Clone + use<'f, V, P, R> {
        self.factors.iter().enumerate().filter(|(_, factor)| factor.is_active())
    }

    /// Whether a storage type holds all means that there are.
    #[inline(always)]
    pub(super) fn fits(&self, storage: Dtype) -> bool {
        self.each().all(|(_, factor)| storage.holds(factor.posterior().mean().dtype()))
    }

    /// A sole model comes back as it is, without a floor.
    #[inline(always)]
    pub(super) fn floor(&self, factor: &Factor<V, P, R>) -> R {
        if self.count > 1 { factor.floor() } else { R::ZERO }
    }

    /// The unscaled recurrence over the block.
    #[inline(always)]
    fn fast<I: Isa>(&self, room: &mut Room<R>, at: usize, mean: &mut [R], precision: Option<&mut [R]>) -> Tally {
        let mut tally = if self.count == 2 { self.pair::<I>(room, at, mean, precision) } else { self.many::<I>(room, at, mean, precision) };
        tally.irregular |= self.each().any(|(_, factor)| !factor.coefficient().reach().regular);
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
        fused::pair(a, b, mean)
    }

    #[inline(always)]
    fn many<I: Isa>(&self, room: &mut Room<R>, at: usize, mean: &mut [R], precision: Option<&mut [R]>) -> Tally {
        let mut tally = Tally::default();
        let state = room.state.get_mut(..mean.len()).unwrap_or_default();
        state.fill(R::ZERO);
        // Whether all so far were dense, and so the state has no zero; and whether any was.
        let (mut dense, mut any_dense) = (true, false);
        for (position, (_, factor)) in self.each().enumerate() {
            let views = Views::of(factor);
            let (fisher, other) = room.first.read::<I, V, P>(&views, at, mean.len());
            let part = part(self.floor(factor), factor, (fisher, other));
            dense &= is_dense(&part);
            any_dense |= dense;
            if position == 0 && dense {
                fused::start_dense(part, state, mean);
            } else if dense {
                fused::absorb_part_dense(part, state, mean);
            } else {
                if position == 0 && other.len() == mean.len() {
                    mean.copy_from_slice(other);
                }
                let part = fused::absorb_part(part, state, mean);
                tally.irregular |= part.irregular;
                tally.floored += part.floored;
            }
        }
        // A mean that is not finite stays so, whatever is absorbed after it.
        tally.irregular |= any_dense && !R::Native::all_finite(mean);
        tally.no_evidence = if any_dense { 0 } else { fused::without_evidence(state) };
        if let Some(out) = precision {
            for (out, &state) in out.iter_mut().zip(&*state) {
                *out = state;
            }
        }
        tally
    }

    /// What each has to say of one element, the floor applied; a negative entry stays what it is.
    #[inline]
    fn evidence(&self, index: usize) -> impl Iterator<Item = Evidence<R>> + Clone + use<'_, 'f, V, P, R> {
        let floored = self.count > 1;
        self.each().map(move |(_, factor)| {
            let (fisher, mean) = factor.element(index);
            Evidence { coefficient: factor.coefficient(), fisher: if floored { factor.floored(fisher) } else { fisher }, mean }
        })
    }

    /// Goes through a block one element at a time: redoes the irregular ones, and lets the policy decide where there is no evidence.
    #[cold]
    #[inline(never)]
    fn again(
        self,
        rule: &Merge<'_, R>,
        at: usize,
        mean: &mut [R],
        mut precision: Option<&mut [R]>,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        let mut careful = Careful { rule, active: self, summary };
        for (i, out) in mean.iter_mut().enumerate() {
            let index = at + i;
            let refused = if self.evidence(index).any(|evidence| !is_regular(&evidence)) {
                careful.element(index, precision.is_some()).map(|(element, value)| {
                    *out = value;
                    if let Some(out) = precision.as_mut().and_then(|block| block.get_mut(i)) {
                        *out = element;
                    }
                })
            } else if self.evidence(index).all(|evidence| evidence.fisher == R::ZERO) {
                // The bodies have kept the target.
                careful.decide(index, *out).map(|value| *out = value)
            } else {
                Ok(())
            };
            refused.map_err(|refused| careful.error(refused, index))?;
        }
        Ok(())
    }
}

#[inline(always)]
pub(super) fn part<'b, V, P, R: Real, E: Encoding, F: Encoding>(
    floor: R,
    factor: &Factor<V, P, R>,
    (fisher, mean): (&'b [E::Raw], &'b [F::Raw]),
) -> Part<'b, R, E, F> {
    let c = factor.coefficient().reach();
    Part { coefficient: c.value, least: c.least, greatest: c.greatest, floor, fisher, mean }
}

/// The condition of the fast bodies, for one model of one element.
#[inline]
fn is_regular<R: Real>(evidence: &Evidence<R>) -> bool {
    let reach = evidence.coefficient.reach();
    let p = reach.value * evidence.fisher;
    reach.regular && is_finite(evidence.mean) && (evidence.fisher == R::ZERO || p >= R::MIN_NORMAL && p <= R::TOP)
}
