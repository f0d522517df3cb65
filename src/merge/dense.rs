//! Dense blocks: two models without floors, whose precisions are all above zero, straight from their views into the output.
//!
//! The common case, with next to nothing around the loop. A block that turns out to be of another kind ends the stretch.

use super::Job;
use super::block::{Active, part, save_precisions};
use super::stretch::Place;
use crate::gaussian::{Buffers, Factor, Views};
use crate::kernel::dispatch::Kernel;
use crate::kernel::fused::{Part, is_dense, pair_dense, pair_precisions};
use crate::kernel::step::select;
use crate::scalar::encoding::Encoding;
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::summary::Summary;
use crate::view::sealed::Save;
use crate::view::{BLOCK, Values, ValuesMut};

/// Whether the blocks of a merge into `storage` may be dense: two models, no floor, coefficients in range, and an output that cannot overflow.
pub(super) fn is_candidate<V, P, R>(active: &Active<'_, V, P, R>, storage: Dtype) -> bool
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
{
    active.count == 2
        && (storage == R::DTYPE || active.fits(storage))
        && active.each().all(|(_, factor)| factor.coefficient().reach().regular && factor.floor() == R::ZERO)
}

/// Dense blocks of all jobs, in one shell; gives where it stopped.
pub(super) struct Dense<'r, 'f, V, P, R: Real, O, Q> {
    pub(super) jobs: &'r mut [Job<'f, V, P, R, O, Q>],
    pub(super) from: Place,
}

impl<V, P, R, O, Q> Kernel for Dense<'_, '_, V, P, R, O, Q>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    type Output = Place;

    #[inline(always)]
    fn run<I: Isa>(self) -> Place {
        // Clearing what is not used would cost a small tensor as much as the merge.
        let mut converted = self.jobs.iter_mut().any(|job| !is_direct(job)).then(|| Converted {
            first: Buffers::new(),
            second: Buffers::new(),
            means: [R::ZERO; BLOCK],
        });
        let aside = self.jobs.iter_mut().any(|job| job.precision.is_some() || job.mean.is_streamed::<I, R>());
        let mut aside = if aside { Some(Aside { raw: [<O as Save>::Encoding::BLANK; BLOCK], precisions: [R::ZERO; BLOCK] }) } else { None };
        let (common, mut place, mut known) = (Common::of(self.jobs), self.from, false);
        while !place.is_end() {
            let Some(job) = self.jobs.get_mut(place.job) else {
                place = place.next_turn();
                continue;
            };
            if place.job == 0 {
                known = common.as_ref().is_some_and(|common| common.is_dense(place.whole_turn(job.mean.count())));
            }
            match turn::<I, V, P, R, O, Q>(job, place, known, converted.as_mut(), aside.as_mut()) {
                Ok(after) => place = after.next_job(),
                Err(stopped) => {
                    place = stopped;
                    break;
                }
            }
        }
        I::fence();
        place
    }
}

/// The two that take part.
#[inline(always)]
fn two<V, P, R>(factors: &[Factor<V, P, R>]) -> Option<[&Factor<V, P, R>; 2]>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
{
    let mut each = Active::of(factors).each();
    Some([each.next()?.1, each.next()?.1])
}

/// What several jobs read, if that is the same for all: then one look at it is enough for all of them.
pub(super) struct Common<V, P, R: Real> {
    factors: [Views<V, P, R>; 2],
    /// Where every job's precisions of the first and of the second factor are regular.
    between: [(R, R); 2],
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Common<V, P, R> {
    pub(super) fn of<O, Q>(jobs: &[Job<'_, V, P, R, O, Q>]) -> Option<Self> {
        let (first, more) = jobs.split_first()?;
        if more.is_empty() {
            return None;
        }
        let mut common = Self { factors: two(first.factors)?.map(Views::of), between: [(R::ZERO, R::MAX); 2] };
        for job in jobs {
            let factors = two(job.factors)?;
            for ((known, factor), (least, greatest)) in common.factors.iter().zip(factors).zip(&mut common.between) {
                let views = Views::of(factor);
                let ((fisher, mean), (other_fisher, other_mean)) = (known.patterns(0, usize::MAX)?, views.patterns(0, usize::MAX)?);
                if !(core::ptr::eq(fisher, other_fisher) && core::ptr::eq(mean, other_mean)) {
                    return None;
                }
                let reach = factor.coefficient().reach();
                (*least, *greatest) =
                    (select(reach.least > *least, reach.least, *least), select(reach.greatest < *greatest, reach.greatest, *greatest));
            }
        }
        Some(common)
    }

    /// Whether all blocks of a turn are dense for every job, and no mean there is infinite or NaN.
    #[inline(always)]
    pub(super) fn is_dense(&self, (at, n): (usize, usize)) -> bool {
        let block = |at: usize, n: usize| {
            self.factors.iter().zip(&self.between).all(|(views, &(least, greatest))| {
                views
                    .patterns(at, n)
                    .is_some_and(|(fisher, mean)| P::Encoding::all_between(fisher, least, greatest) && V::Encoding::all_finite(mean))
            })
        };
        // Block by block, so that a turn of another kind costs no more than its first.
        (0..n).step_by(BLOCK).all(|from| block(at + from, BLOCK.min(n - from)))
    }
}

/// Whether a job's numbers are all converted in the loop.
#[inline(always)]
fn is_direct<V, P, R, O, Q>(job: &mut Job<'_, V, P, R, O, Q>) -> bool
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    P::Encoding::INLINE
        && V::Encoding::INLINE
        && O::Encoding::INLINE
        && job.mean.patterns_mut(0, 0).is_some()
        && Active::of(job.factors).each().all(|(_, factor)| Views::of(factor).patterns(0, 0).is_some())
}

/// Blocks that are converted by slice.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
struct Converted<R: Real> {
    first: Buffers<R>,
    second: Buffers<R>,
    means: [R; BLOCK],
}

/// Blocks that are not written in place.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
struct Aside<R: Real, E: Encoding> {
    raw: [E::Raw; BLOCK],
    precisions: [R; BLOCK],
}

/// A job's turn from a place on: where it ends, or the place of the first block that is not dense, of which nothing that was written counts.
/// That all are may be known.
#[inline(always)]
fn turn<I, V, P, R, O, Q>(
    job: &mut Job<'_, V, P, R, O, Q>,
    mut place: Place,
    known: bool,
    mut converted: Option<&mut Converted<R>>,
    mut aside: Option<&mut Aside<R, O::Encoding>>,
) -> Result<Place, Place>
where
    I: Isa,
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    let Some([a, b]) = two(job.factors) else { return Err(place) };
    let (a_views, b_views) = (Views::of(a), Views::of(b));
    let stored = a_views.patterns(0, usize::MAX).zip(b_views.patterns(0, usize::MAX));
    let stored = stored.map(|(a_raw, b_raw)| (part(R::ZERO, a, a_raw), part(R::ZERO, b, b_raw)));
    let (count, streamed) = (job.mean.count(), job.mean.is_streamed::<I, R>());
    let Job { mean, precision, summary, .. } = job;
    while let Some((at, n)) = place.within(count) {
        let mut output = Output { mean, precision, summary, at, aside: aside.as_deref_mut(), streamed, known };
        let dense = match (&mut converted, &stored) {
            // A length that the compiler knows leaves no remainders of loops.
            (None, Some(parts)) if n == BLOCK => output.direct::<I, P::Encoding, V::Encoding>(parts, BLOCK),
            (None, Some(parts)) => output.direct::<I, P::Encoding, V::Encoding>(parts, n),
            (None, None) => false,
            (Some(_), Some((a, b))) if !known && ![a, b].iter().all(|part| part.window(at, n).is_some_and(|part| is_dense(&part))) => false,
            (Some(Converted { first, second, means }), stored) => {
                let parts =
                    (part(R::ZERO, a, first.read::<I, V, P>(&a_views, at, n)), part(R::ZERO, b, second.read::<I, V, P>(&b_views, at, n)));
                output.by_slice::<I>(parts, n, means, stored.is_some())
            }
        };
        if !dense {
            return Err(place);
        }
        place = place.next_block(n);
    }
    Ok(place)
}

/// Where a block goes: the outputs of a job from `at` on.
struct Output<'j, R: Real, O: ValuesMut<R>, Q> {
    mean: &'j mut O,
    precision: &'j mut Option<Q>,
    summary: &'j mut Summary,
    at: usize,
    aside: Option<&'j mut Aside<R, O::Encoding>>,
    streamed: bool,
    /// Whether the block is known to be dense, and its means to be finite.
    known: bool,
}

impl<R: Real, O: ValuesMut<R>, Q: ValuesMut<R>> Output<'_, R, O, Q> {
    /// From patterns to patterns; `false` where the block is not dense.
    #[inline(always)]
    fn direct<I: Isa, P: Encoding, V: Encoding>(&mut self, (a, b): &(Part<'_, R, P, V>, Part<'_, R, P, V>), n: usize) -> bool {
        let (Some(a), Some(b)) = (a.window(self.at, n), b.window(self.at, n)) else { return false };
        if !(self.known || is_dense(&a) && is_dense(&b)) {
            return false;
        }
        let raw = self.aside.as_mut().filter(|_| self.streamed).map(|aside| &mut aside.raw[..]);
        let Some(out) = raw.or_else(|| self.mean.patterns_mut(self.at, n)).and_then(|out| out.get_mut(..n)) else { return false };
        pair_dense::<I, R, P, V, O::Encoding>(a, b, out);
        (self.known || O::Encoding::all_finite(out)) && self.finish::<I, P, V>((a, b), n)
    }

    /// From numbers to numbers; `watched` says that the precisions have been looked at.
    #[inline(always)]
    fn by_slice<I: Isa>(&mut self, (a, b): (Part<'_, R>, Part<'_, R>), n: usize, means: &mut [R; BLOCK], watched: bool) -> bool {
        if !(watched || is_dense(&a) && is_dense(&b)) {
            return false;
        }
        let raw = self.aside.as_mut().filter(|_| self.streamed).and_then(|aside| aside.raw.get_mut(..n));
        let mean = if self.streamed { means.get_mut(..n).unwrap_or_default() } else { self.mean.block_mut(self.at, n, &mut *means) };
        pair_dense::<I, R, R::Native, R::Native, R::Native>(a, b, mean);
        let finite = match raw {
            // Where the means are stored in fewer bits, there is less to look at.
            Some(raw) => {
                O::Encoding::encode_slice::<I, R>(mean, raw);
                self.known || O::Encoding::all_finite(raw)
            }
            None => self.known || R::Native::all_finite(mean),
        };
        if finite && !self.streamed {
            self.mean.commit::<I, R>(self.at, means.get(..n).unwrap_or_default());
        }
        finite && self.finish::<I, _, _>((a, b), n)
    }

    /// The precision of a block into its output, if there is one, and the means past the caches.
    #[inline(always)]
    fn finish<I: Isa, P: Encoding, V: Encoding>(&mut self, (a, b): (Part<'_, R, P, V>, Part<'_, R, P, V>), n: usize) -> bool {
        let Some(aside) = &mut self.aside else { return true };
        if let Some(view) = self.precision {
            pair_precisions::<R, P, V>(a, b, view.block_mut(self.at, n, &mut aside.precisions));
            self.summary.out_of_range += save_precisions::<I, Q, R>(view, self.at, n, &mut aside.precisions);
        }
        if self.streamed {
            self.mean.stream::<I>(self.at, aside.raw.get(..n).unwrap_or_default());
        }
        true
    }
}
