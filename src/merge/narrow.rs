//! The way through a merge on machines without vectors, whose memory for programs and stacks is scarce: no blocks, no buffers.
//!
//! The common kind, two models whose precisions are all above zero, straight from their views into the output, looked at in the same loop;
//! whatever ends that loop is one element of any kind. The bits are those of the blocks.

use super::block::part;
use super::careful::Careful;
use super::dense::is_candidate;
use crate::error::Error;
use crate::gaussian::Views;
use crate::kernel::fused::Part;
use crate::kernel::range::{overflows, saturate_precisions};
use crate::kernel::step::{absorb_regular, between_strictly, is_finite, select};
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::view::{Values, ValuesMut};

/// One merge of one tensor.
pub(super) struct Tensor<'t, 'f, 'r, V, P, R: Real, O, Q> {
    pub(super) careful: Careful<'t, 'f, 'r, V, P, R>,
    pub(super) mean: &'t mut O,
    pub(super) precision: Option<&'t mut Q>,
}

impl<V, P, R, O, Q> Tensor<'_, '_, '_, V, P, R, O, Q>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    /// All its elements.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let (count, is_dense) = (self.mean.count(), self.precision.is_none() && is_candidate(&self.careful.active, self.mean.dtype()));
        let counted = self.precision.is_some();
        let mut at = 0;
        while at < count {
            at += if is_dense { self.dense(at) } else { 0 };
            if at < count {
                // One after the other, none within the other: the stack is as deep as the deepest of them.
                let (mut precision, mut mean) = self.element(at);
                if precision == R::ZERO {
                    (precision, mean) = self.careful.element(at, counted).map_err(|refused| self.careful.error(refused, at))?;
                }
                self.save(at, precision, mean);
                at += 1;
            }
        }
        Ok(())
    }

    /// Elements from `at` on up to the first of another kind; gives how many.
    #[inline(always)]
    fn dense(&mut self, at: usize) -> usize {
        let mut each = self.careful.active.each();
        let (Some((_, a)), Some((_, b))) = (each.next(), each.next()) else { return 0 };
        let (a_views, b_views) = (Views::of(a), Views::of(b));
        let stored = a_views.patterns(at, usize::MAX).zip(b_views.patterns(at, usize::MAX));
        let (Some((a_raw, b_raw)), Some(out)) = (stored, self.mean.patterns_mut(at, usize::MAX)) else { return 0 };
        pair::<R, P::Encoding, V::Encoding, O::Encoding>(part(R::ZERO, a, a_raw), part(R::ZERO, b, b_raw), out)
    }

    /// Precision and mean of one element of finite numbers in range that has evidence; a precision of zero for any other. Two numbers, and
    /// no call within, since both would go to the stack.
    #[inline(never)]
    fn element(&mut self, index: usize) -> (R, R) {
        let active = &self.careful.active;
        let (mut total, mut mean, mut first, mut irregular) = (R::ZERO, R::ZERO, true, false);
        for (_, factor) in active.each() {
            let ((fisher, other), floor, coefficient) = (factor.element(index), active.floor(factor), factor.coefficient().inside());
            let low = floor > R::ZERO && fisher >= R::ZERO && fisher < floor;
            self.careful.summary.floored += u64::from(low);
            let raised = if low { floor } else { fisher };
            let p = coefficient.unwrap_or(R::ZERO) * raised;
            let fine = coefficient.is_some() && is_finite(other) && (raised == R::ZERO || R::is_regular(p));
            irregular |= !fine;
            if first {
                (mean, first) = (other, false);
            }
            (total, mean) = absorb_regular(total, mean, p, other);
        }
        (select(irregular, R::ZERO, total), mean)
    }

    /// Stores an element.
    #[inline(always)]
    fn save(&mut self, index: usize, precision: R, mean: R) {
        let storage = self.mean.dtype();
        if storage != R::DTYPE && !self.careful.active.fits(storage) {
            self.careful.summary.out_of_range += overflows(&[mean], storage);
        }
        self.mean.put(index, mean);
        if let Some(view) = &mut self.precision {
            let mut precision = [precision];
            if view.dtype() != R::DTYPE {
                self.careful.summary.out_of_range += saturate_precisions(&mut precision, view.dtype());
            }
            let [precision] = precision;
            view.put(index, precision);
        }
    }
}

/// The loop of the common kind.
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
