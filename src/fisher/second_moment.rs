//! An optimiser's second moment as a Fisher: what is at hand after training, and no more than that.

use super::spec::FisherRecord;
use crate::error::{Error, Estimator, FisherFault, FisherStructure, Role};
use crate::kernel::scaled::defect;
use crate::scalar::Real;
use crate::view::{BLOCK, Values, ValuesMut, store};

/// The running mean `v` of squared gradients that Adam keeps (Kingma & Ba, "Adam", ICLR 2015, algorithm 1).
///
/// With `v̂ = v/(1 − β₂ᵗ)`, batches of `B` examples and per-example gradients of mean `ḡ`, `E v̂ = Var(g)/B + ḡ²`. So `F ≈ B·v̂` holds near a
/// stationary point only (`ḡ ≈ 0`), without clipping, for gradients that were means over the batch, and with the observed labels: it is an
/// estimate of the empirical Fisher. The record says so, and carries `B`.
///
/// ```
/// use fisher_merge::SecondMoment;
/// // After one step with a gradient of 3, v = (1 − β₂)·9.
/// let mut fisher = [0.0_f64];
/// let record = SecondMoment::new(0.999, 1, 32)?.fisher_into::<f64>(&[0.001 * 9.0][..], &mut fisher[..])?;
/// assert!((fisher[0] - 32.0 * 9.0).abs() < 1e-10);
/// assert!((record.effective_examples() - 32.0).abs() < 1e-9);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecondMoment {
    beta2: f64,
    step: u64,
    batch: u32,
}

impl SecondMoment {
    /// Of this decay, after so many steps with batches of this size.
    ///
    /// # Errors
    /// [`FisherFault::BadWeight`] if the decay is not from zero to below one, [`FisherFault::Zero`] for no steps or an empty batch.
    pub fn new(beta2: f64, step: u64, batch: u32) -> Result<Self, Error> {
        if let Some(defect) = defect(beta2, Role::Precision) {
            return Err(FisherFault::BadWeight { defect }.into());
        }
        if beta2 >= 1.0 {
            return Err(FisherFault::BadWeight { defect: crate::error::Defect::Infinite }.into());
        }
        if step == 0 || batch == 0 {
            return Err(FisherFault::Zero.into());
        }
        Ok(Self { beta2, step, batch })
    }

    /// `1 − β₂ⁿ`, without cancellation.
    fn decayed(&self, n: f64) -> f64 {
        -libm::expm1(n * libm::log(self.beta2))
    }

    /// `B·v/(1 − β₂ᵗ)`, one number for every parameter.
    ///
    /// # Errors
    /// [`FisherFault::Length`]; [`Error::BadNumber`] for a `v` that is NaN, infinite or negative, with nothing written.
    pub fn fisher_into<R: Real>(&self, v: impl Values<R>, mut out: impl ValuesMut<R>) -> Result<FisherRecord, Error> {
        let (expected, found) = (v.count(), out.count());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        for index in 0..found {
            if let Some(defect) = v.at(index).and_then(|value| defect(value, Role::Precision)) {
                return Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index, defect });
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "steps above 2^53 are out of reach")]
        let steps = self.step as f64;
        let batch = f64::from(self.batch);
        let scale = R::from_f64(batch / self.decayed(steps));
        let mut at = 0;
        while at < found {
            let mut block = [R::ZERO; BLOCK];
            let n = BLOCK.min(found - at);
            for (i, out) in block.iter_mut().enumerate().take(n) {
                *out = v.at(at + i).unwrap_or(R::ZERO) * scale;
            }
            store(&mut out, at, block.get(..n).unwrap_or_default());
            at += n;
        }
        // Σw² of the weights (1 − β₂)·β₂ⁱ/(1 − β₂ᵗ), each of a mean over the batch.
        let squared = (1.0 - self.beta2) * self.decayed(2.0 * steps) / ((1.0 + self.beta2) * self.decayed(steps) * self.decayed(steps));
        Ok(FisherRecord {
            structure: FisherStructure::Diagonal,
            estimator: Estimator::SecondMoment { batch: self.batch },
            examples: self.step.saturating_mul(u64::from(self.batch)),
            weight: 1.0,
            squared_weight: squared / batch,
            out_of_range: 0,
            model: 0,
        })
    }
}
