//! The way through a merge on machines without vectors, whose memory for programs and stacks is scarce: no blocks, no buffers.
//!
//! The common kind, two models whose precisions are all above zero, straight from their views into the output, looked at in the same loop;
//! whatever ends that loop is one element of any kind. The bits are those of the blocks.

use super::block::{Active, part};
use super::dense::is_candidate;
use super::{Job, Merge};
use crate::error::Error;
use crate::gaussian::Views;
use crate::kernel::fused::Part;
use crate::kernel::range::{overflows, saturate_precisions};
use crate::kernel::step::{absorb_regular, between_strictly, is_finite};
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::view::{Values, ValuesMut};

/// All elements of all jobs, one job after the other.
pub(super) fn run<V, P, R, O, Q>(merge: &Merge<'_, R>, jobs: &mut [Job<'_, V, P, R, O, Q>]) -> Result<(), Error>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    for job in jobs {
        let (count, is_dense) = (job.mean.count(), job.precision.is_none() && is_candidate(job));
        let mut at = 0;
        while at < count {
            at += if is_dense { dense(job, at) } else { 0 };
            if at < count {
                element(merge, job, at)?;
                at += 1;
            }
        }
    }
    Ok(())
}

/// Elements from `at` on up to the first of another kind; gives how many.
#[inline(always)]
fn dense<V, P, R, O, Q>(job: &mut Job<'_, V, P, R, O, Q>, at: usize) -> usize
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    let active = Active::of(job.factors);
    let mut each = active.each();
    let (Some((_, a)), Some((_, b))) = (each.next(), each.next()) else { return 0 };
    let (a_views, b_views) = (Views::of(a), Views::of(b));
    let stored = a_views.patterns(at, usize::MAX).zip(b_views.patterns(at, usize::MAX));
    let (Some((a_raw, b_raw)), Some(out)) = (stored, job.mean.patterns_mut(at, usize::MAX)) else { return 0 };
    pair::<R, P::Encoding, V::Encoding, O::Encoding>(part(R::ZERO, a, a_raw), part(R::ZERO, b, b_raw), out)
}

/// The loop.
#[inline(always)]
fn pair<R: Real, P: Encoding, V: Encoding, O: Encoding>(a: Part<'_, R, P, V>, b: Part<'_, R, P, V>, mean: &mut [O::Raw]) -> usize {
    let length = mean.len();
    let mut left = length;
    for ((((out, &f), &x), &g), &y) in mean.iter_mut().zip(a.fisher).zip(a.mean).zip(b.fisher).zip(b.mean) {
        let (p, q) = (a.coefficient * P::decode(f), b.coefficient * P::decode(g));
        // One after the other, since each is a comparison and a branch then.
        if !R::is_regular(p) {
            break;
        }
        if !R::is_regular(q) {
            break;
        }
        let merged = between_strictly(V::decode(x), V::decode(y), q / (p + q));
        if !merged.is_finite() {
            break;
        }
        *out = O::encode_not_nan(merged);
        left -= 1;
    }
    length - left
}

/// One element of any kind.
#[inline(never)]
fn element<V, P, R, O, Q>(rule: &Merge<'_, R>, job: &mut Job<'_, V, P, R, O, Q>, index: usize) -> Result<(), Error>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    let active = Active::of(job.factors);
    let (mut total, mut mean, mut first, mut irregular) = (R::ZERO, R::ZERO, true, false);
    for (_, factor) in active.each() {
        let ((fisher, other), floor, coefficient) = (factor.element(index), active.floor(factor), factor.coefficient());
        let low = floor > R::ZERO && fisher < floor;
        job.summary.floored += u64::from(low);
        let raised = if low { floor } else { fisher };
        let p = coefficient.value * raised;
        let fine = coefficient.regular && is_finite(other) && (raised == R::ZERO || R::is_regular(p));
        irregular |= !fine || fisher < R::ZERO;
        if first {
            (mean, first) = (other, false);
        }
        (total, mean) = absorb_regular(total, mean, p, other);
    }
    let (mut mean, mut precision) = ([mean], [total]);
    if irregular || total == R::ZERO {
        let precision = if job.precision.is_some() { Some(&mut precision[..]) } else { None };
        active.again(rule, index, &mut mean, precision, &mut job.summary)?;
    }
    if job.mean.dtype() != R::DTYPE && !active.fits(job.mean.dtype()) {
        job.summary.out_of_range += overflows(&mean, job.mean.dtype());
    }
    let [value] = mean;
    job.mean.put(index, value);
    if let Some(view) = &mut job.precision {
        if view.dtype() != R::DTYPE {
            job.summary.out_of_range += saturate_precisions(&mut precision, view.dtype());
        }
        let [value] = precision;
        view.put(index, value);
    }
    Ok(())
}
