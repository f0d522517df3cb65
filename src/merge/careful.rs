//! One element at a time, with scaled precisions: bad numbers are found, and the policy decides where there is no evidence. What every way
//! through a merge comes to with an element that its fast loops cannot do.

use super::Merge;
use super::block::Active;
use crate::error::{Defect, Error, Role};
use crate::kernel::Magnitude;
use crate::kernel::coefficient::Coefficient;
use crate::kernel::scaled::{self, Evidence};
use crate::policy::{BadNumbers, NoEvidence};
use crate::scalar::Real;
use crate::summary::Summary;
use crate::view::Values;

/// A merge with its rule and its counts.
pub(super) struct Careful<'t, 'f, 'r, V, P, R: Real> {
    pub(super) rule: &'t Merge<'r, R>,
    pub(super) active: Active<'f, V, P, R>,
    pub(super) summary: &'t mut Summary,
}

/// What a policy refuses at an element. Small, since errors are not.
#[derive(Clone, Copy)]
pub(super) enum Refused {
    Number(usize, Role, Defect),
    Evidence,
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Careful<'_, '_, '_, V, P, R> {
    /// Precision and mean of an element; `counted` says whether a precision that leaves the range counts.
    #[inline(always)]
    pub(super) fn element(&mut self, index: usize, counted: bool) -> Result<(R, R), Refused> {
        self.judge(index)?;
        let merged = self.scaled(index, false);
        if counted {
            self.summary.out_of_range += u64::from(merged.out_of_range);
        }
        let mut mean = merged.mean;
        if merged.precision == R::ZERO {
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
    pub(super) fn decide(&mut self, index: usize, mean: R) -> Result<R, Refused> {
        self.summary.no_evidence += 1;
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

    pub(super) fn error(&self, refused: Refused, index: usize) -> Error {
        let tensor = self.rule.tensor;
        match refused {
            Refused::Number(model, role, defect) => Error::BadNumber { tensor, model, role, index, defect },
            Refused::Evidence => Error::NoEvidence { tensor, index },
        }
    }
}
