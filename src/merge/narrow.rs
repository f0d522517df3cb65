//! The way through a merge on machines without vectors, whose memory for programs and stacks is scarce: no blocks, no buffers.
//!
//! The common kind, two models whose precisions are all above zero, straight from their views into the output, looked at in the same loop;
//! whatever ends that loop is one element of any kind. The bits are those of the blocks.

use super::Merge;
use super::block::{Active, part};
use super::dense::is_candidate;
use crate::error::{Defect, Error, Role};
use crate::gaussian::Views;
use crate::kernel::Magnitude;
use crate::kernel::coefficient::Coefficient;
use crate::kernel::fused::Part;
use crate::kernel::range::{overflows, saturate_precisions};
use crate::kernel::scaled::{self, Evidence};
use crate::kernel::step::{absorb_regular, between_strictly, is_finite};
use crate::policy::{BadNumbers, NoEvidence};
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::summary::Summary;
use crate::view::{Values, ValuesMut};

/// One merge of one tensor.
pub(super) struct Tensor<'t, 'f, 'r, V, P, R: Real, O, Q> {
    pub(super) rule: &'t Merge<'r, R>,
    pub(super) active: Active<'f, V, P, R>,
    pub(super) mean: &'t mut O,
    pub(super) precision: Option<&'t mut Q>,
    pub(super) summary: &'t mut Summary,
}

/// What a policy refuses at an element. Small, since errors are not.
#[derive(Clone, Copy)]
enum Refused {
    Number(usize, Role, Defect),
    Evidence,
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
        let (count, is_dense) = (self.mean.count(), self.precision.is_none() && is_candidate(&self.active, self.mean.dtype()));
        let mut at = 0;
        while at < count {
            at += if is_dense { self.dense(at) } else { 0 };
            if at < count {
                // One after the other, none within the other: the stack is as deep as the deepest of them.
                let (precision, mean) = match self.element(at) {
                    Some(element) => element,
                    None => self.again(at).map_err(|refused| self.error(refused, at))?,
                };
                self.save(at, precision, mean);
                at += 1;
            }
        }
        Ok(())
    }

    /// Elements from `at` on up to the first of another kind; gives how many.
    #[inline(always)]
    fn dense(&mut self, at: usize) -> usize {
        let mut each = self.active.each();
        let (Some((_, a)), Some((_, b))) = (each.next(), each.next()) else { return 0 };
        let (a_views, b_views) = (Views::of(a), Views::of(b));
        let stored = a_views.patterns(at, usize::MAX).zip(b_views.patterns(at, usize::MAX));
        let (Some((a_raw, b_raw)), Some(out)) = (stored, self.mean.patterns_mut(at, usize::MAX)) else { return 0 };
        pair::<R, P::Encoding, V::Encoding, O::Encoding>(part(R::ZERO, a, a_raw), part(R::ZERO, b, b_raw), out)
    }

    /// Precision and mean of one element of any kind, if it is one of finite numbers in range and has evidence.
    #[inline(never)]
    fn element(&mut self, index: usize) -> Option<(R, R)> {
        let active = &self.active;
        let (mut total, mut mean, mut first, mut irregular) = (R::ZERO, R::ZERO, true, false);
        for (_, factor) in active.each() {
            let ((fisher, other), floor, coefficient) = (factor.element(index), active.floor(factor), factor.coefficient().reach());
            let low = floor > R::ZERO && fisher < floor;
            self.summary.floored += u64::from(low);
            let raised = if low { floor } else { fisher };
            let p = coefficient.value * raised;
            let fine = coefficient.regular && is_finite(other) && (raised == R::ZERO || R::is_regular(p));
            irregular |= !fine || fisher < R::ZERO;
            if first {
                (mean, first) = (other, false);
            }
            (total, mean) = absorb_regular(total, mean, p, other);
        }
        (!irregular && total != R::ZERO).then_some((total, mean))
    }

    /// Stores an element.
    #[inline(always)]
    fn save(&mut self, index: usize, precision: R, mean: R) {
        let storage = self.mean.dtype();
        if storage != R::DTYPE && !self.active.fits(storage) {
            self.summary.out_of_range += overflows(&[mean], storage);
        }
        self.mean.put(index, mean);
        if let Some(view) = &mut self.precision {
            let mut precision = [precision];
            if view.dtype() != R::DTYPE {
                self.summary.out_of_range += saturate_precisions(&mut precision, view.dtype());
            }
            let [precision] = precision;
            view.put(index, precision);
        }
    }

    /// An element with scaled precisions: bad numbers are found, and the policy decides where there is no evidence.
    #[inline(always)]
    fn again(&mut self, index: usize) -> Result<(R, R), Refused> {
        self.judge(index)?;
        let merged = self.scaled(index, false);
        if self.precision.is_some() {
            self.summary.out_of_range += u64::from(merged.out_of_range);
        }
        let mut mean = merged.mean;
        if merged.precision == R::ZERO {
            self.summary.no_evidence += 1;
            mean = self.decide(index, mean)?;
        }
        Ok((merged.precision, mean))
    }

    #[cold]
    #[inline(never)]
    fn judge(&mut self, index: usize) -> Result<(), Refused> {
        for (model, factor) in self.active.each() {
            let (fisher, mean) = factor.element(index);
            for (role, value) in [(Role::Mean, mean), (Role::Precision, fisher)] {
                self.look(model, role, value)?;
            }
        }
        Ok(())
    }

    /// Counts a bad number, or refuses it.
    fn look(&mut self, model: usize, role: Role, value: R) -> Result<(), Refused> {
        let Some(defect) = scaled::defect(value, role) else { return Ok(()) };
        match self.rule.bad_numbers {
            BadNumbers::Refuse => Err(Refused::Number(model, role, defect)),
            BadNumbers::Propagate => {
                self.summary.count(defect);
                Ok(())
            }
        }
    }

    /// The recurrence over what each has to say of an element, or over its weight alone.
    #[inline(never)]
    fn scaled(&self, index: usize, votes: bool) -> scaled::Element<R> {
        let active = &self.active;
        let each = active.each().map(|(_, factor)| {
            let (fisher, mean) = factor.element(index);
            if votes {
                Evidence { coefficient: Coefficient::new(factor.weight(), Magnitude::ONE), fisher: R::ONE, mean }
            } else {
                let fisher = if active.count > 1 { factor.floored(fisher) } else { fisher };
                Evidence { coefficient: factor.coefficient(), fisher, mean }
            }
        });
        let target = active.each().next().map_or(R::ZERO, |(_, factor)| factor.element(index).1);
        scaled::merge(each, target)
    }

    /// The mean of an element without evidence, at which the target has `mean`.
    #[inline(always)]
    fn decide(&mut self, index: usize, mean: R) -> Result<R, Refused> {
        match self.rule.no_evidence {
            // A sole model comes back before any policy.
            _ if self.active.count == 1 => Ok(mean),
            NoEvidence::KeepTarget => Ok(mean),
            NoEvidence::WeightedMean => Ok(self.scaled(index, true).mean),
            NoEvidence::PriorMean(prior) => {
                let value = prior.get(index).copied().unwrap_or(mean);
                self.look(0, Role::PriorMean, value)?;
                Ok(value)
            }
            NoEvidence::Error => Err(Refused::Evidence),
        }
    }

    fn error(&self, refused: Refused, index: usize) -> Error {
        let tensor = self.rule.tensor;
        match refused {
            Refused::Number(model, role, defect) => Error::BadNumber { tensor, model, role, index, defect },
            Refused::Evidence => Error::NoEvidence { tensor, index },
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
