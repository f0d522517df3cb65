//! Dense blocks: two models without floors, whose precisions are all above zero, straight from their views into the output.
//!
//! The common case, with next to nothing around the loop. A block that turns out to be of another kind ends the stretch.

use super::Job;
use super::block::{Active, part, save_precisions};
use super::stretch::Place;
use crate::gaussian::{Buffers, Views};
use crate::kernel::dispatch::Kernel;
use crate::kernel::fused::{Part, is_dense, pair_dense, pair_precisions};
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
        let aside = self.jobs.iter_mut().any(|job| job.precision.is_some() || job.mean.is_streamed());
        let mut aside = if aside { Some(Aside { raw: [<O as Save>::Encoding::BLANK; BLOCK], precisions: [R::ZERO; BLOCK] }) } else { None };
        let mut place = self.from;
        while place.at < place.end {
            let Some(job) = self.jobs.get_mut(place.job) else {
                place = place.next_block();
                continue;
            };
            if let Some(range) = place.within(job.mean.count()) {
                if !block::<I, V, P, R, O, Q>(job, range, converted.as_mut(), aside.as_mut()) {
                    break;
                }
            }
            place.job += 1;
        }
        I::fence();
        place
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

/// One block; `false` where it is not dense, and then what was written does not count.
#[inline(always)]
fn block<I, V, P, R, O, Q>(
    job: &mut Job<'_, V, P, R, O, Q>,
    (at, n): (usize, usize),
    converted: Option<&mut Converted<R>>,
    mut aside: Option<&mut Aside<R, O::Encoding>>,
) -> bool
where
    I: Isa,
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    let active = Active::of(job.factors);
    let mut each = active.each();
    let (Some((_, a)), Some((_, b))) = (each.next(), each.next()) else { return false };
    let (a_views, b_views) = (Views::of(a), Views::of(b));
    let stored = a_views.patterns(at, n).zip(b_views.patterns(at, n));
    let stored = stored.map(|(a_raw, b_raw)| (part(R::ZERO, a, a_raw), part(R::ZERO, b, b_raw)));
    if stored.as_ref().is_some_and(|(a, b)| !(is_dense(a) && is_dense(b))) {
        return false;
    }
    let streamed = I::STREAMS && job.mean.is_streamed();
    let raw = if streamed { aside.as_mut().and_then(|aside| aside.raw.get_mut(..n)) } else { None };
    if let Some(Converted { first, second, means }) = converted {
        let a = part(R::ZERO, a, first.read::<I, V, P>(&a_views, at, n));
        let b = part(R::ZERO, b, second.read::<I, V, P>(&b_views, at, n));
        if stored.is_none() && !(is_dense(&a) && is_dense(&b)) {
            return false;
        }
        let mean = if streamed { means.get_mut(..n).unwrap_or_default() } else { job.mean.block_mut(at, n, &mut *means) };
        pair_dense::<I, R, R::Native, R::Native, R::Native>(a, b, mean);
        let finite = match raw {
            // Where the means are stored in fewer bits, there is less to look at.
            Some(raw) => {
                O::Encoding::encode_slice::<I, R>(mean, raw);
                O::Encoding::all_finite(raw)
            }
            None => R::Native::all_finite(mean),
        };
        if !finite {
            return false;
        }
        save_precision::<I, R, O, Q, _, _>(&mut job.precision, (a, b), (at, n), &mut aside, &mut job.summary);
        if !streamed {
            job.mean.commit::<I, R>(at, means.get(..n).unwrap_or_default());
        }
    } else {
        let (Some((a, b)), Some(out)) = (stored, raw.or_else(|| job.mean.patterns_mut(at, n))) else { return false };
        pair_dense::<I, R, P::Encoding, V::Encoding, O::Encoding>(a, b, out);
        if !O::Encoding::all_finite(out) {
            return false;
        }
        save_precision::<I, R, O, Q, _, _>(&mut job.precision, (a, b), (at, n), &mut aside, &mut job.summary);
    }
    if let Some(raw) = aside.and_then(|aside| aside.raw.get(..n)).filter(|_| streamed) {
        job.mean.stream::<I>(at, raw);
    }
    true
}

/// The precision of a block into its output, if there is one.
#[inline(always)]
fn save_precision<I: Isa, R: Real, O: ValuesMut<R>, Q: ValuesMut<R>, E: Encoding, F: Encoding>(
    view: &mut Option<Q>,
    (a, b): (Part<'_, R, E, F>, Part<'_, R, E, F>),
    (at, n): (usize, usize),
    aside: &mut Option<&mut Aside<R, O::Encoding>>,
    summary: &mut Summary,
) {
    if let (Some(view), Some(aside)) = (view, aside) {
        pair_precisions::<R, E, F>(a, b, view.block_mut(at, n, &mut aside.precisions));
        summary.out_of_range += save_precisions::<I, Q, R>(view, at, n, &mut aside.precisions);
    }
}
