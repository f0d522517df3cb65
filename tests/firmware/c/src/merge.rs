//! Merges, at once and one after the other.

use fisher_merge::{AnySlice, Error, Factor, Merge, NoEvidence, Posterior, RunningProduct, Summary};

use crate::views::{Numbers, NumbersOut, read, write};
use crate::{Refusal, code};

/// `FM_MODELS_MAX`.
const MODELS: usize = 8;

/// `fm_model`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Model {
    mean: Numbers,
    fisher: Numbers,
    weight: f32,
}

/// `fm_summary`.
#[repr(C)]
pub struct Counts {
    elements: u64,
    no_evidence: u64,
    out_of_range: u64,
}

type AnyFactor<'a> = Factor<AnySlice<'a>, AnySlice<'a>, f32>;

impl Model {
    /// # Safety
    /// Both of its views must hold `n` numbers, unless they are null.
    unsafe fn factor<'a>(&self, n: usize) -> Result<AnyFactor<'a>, Refusal> {
        // SAFETY: the caller's.
        let mean = unsafe { self.mean.view(n)? };
        let posterior = if self.fisher.data.is_null() {
            Posterior::isotropic(mean)
        } else {
            // SAFETY: the caller's.
            Posterior::diagonal(mean, unsafe { self.fisher.view(n)? })?
        };
        Ok(posterior.power(self.weight))
    }
}

fn policy(number: u32) -> Result<NoEvidence<'static, f32>, Refusal> {
    match number {
        0 => Ok(NoEvidence::KeepTarget),
        1 => Ok(NoEvidence::WeightedMean),
        2 => Ok(NoEvidence::Error),
        _ => Err(Refusal::Policy),
    }
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_merge(
    models: *const Model,
    count: usize,
    n: usize,
    no_evidence: u32,
    mean: NumbersOut,
    precision: *mut f32,
    summary: *mut Counts,
) -> i32 {
    // SAFETY: the caller's.
    let merged = unsafe { merge(models, count, n, no_evidence, mean, precision) };
    code(merged.map(|counted| {
        // SAFETY: the caller's: null, or one summary to write.
        if let Some(out) = unsafe { summary.as_mut() } {
            *out = Counts { elements: counted.elements, no_evidence: counted.no_evidence, out_of_range: counted.out_of_range };
        }
    }))
}

/// # Safety
/// As [`fm_merge`].
unsafe fn merge(
    models: *const Model,
    count: usize,
    n: usize,
    no_evidence: u32,
    mean: NumbersOut,
    precision: *mut f32,
) -> Result<Summary, Refusal> {
    if count == 0 {
        return Err(Error::NoModels.into());
    }
    // SAFETY: the caller's.
    let models = unsafe { read(models, count)? };
    let mut factors = [Posterior::isotropic(AnySlice::F32(&[])).power(0.0); MODELS];
    let factors = factors.get_mut(..count).ok_or(Refusal::Models)?;
    for (factor, model) in factors.iter_mut().zip(models) {
        // SAFETY: the caller's.
        *factor = unsafe { model.factor(n)? };
    }
    let merge = Merge::<f32>::new().no_evidence(policy(no_evidence)?);
    // SAFETY: the caller's.
    let mean = unsafe { mean.view(n)? };
    let _ = merge.check(factors)?;
    if precision.is_null() {
        return Ok(merge.run(factors, mean)?);
    }
    // SAFETY: the caller's.
    let precision = unsafe { write(precision, n)? };
    Ok(merge.run_with_precision(factors, mean, precision)?)
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_absorb(
    precision: *mut f32,
    mean: *mut f32,
    n: usize,
    weight: *mut f32,
    absorbed: *mut u32,
    model: *const Model,
) -> i32 {
    // SAFETY: the caller's.
    code(unsafe { absorb((precision, mean), n, (weight, absorbed), model) })
}

/// # Safety
/// As [`fm_absorb`].
unsafe fn absorb(
    (precision, mean): (*mut f32, *mut f32),
    n: usize,
    (weight, absorbed): (*mut f32, *mut u32),
    model: *const Model,
) -> Result<(), Refusal> {
    // SAFETY: the caller's, for all five.
    let (precision, mean, weight, absorbed, model) =
        unsafe { (write(precision, n)?, write(mean, n)?, weight.as_mut(), absorbed.as_mut(), model.as_ref()) };
    let (Some(weight), Some(absorbed), Some(model)) = (weight, absorbed, model) else { return Err(Refusal::Null) };
    // SAFETY: the caller's.
    let factor = unsafe { model.factor(n)? };
    let mut product = RunningProduct::resume(precision, mean, NoEvidence::KeepTarget, (*weight, *absorbed as usize))?;
    product.absorb(&factor)?;
    *weight = product.weight();
    *absorbed = u32::try_from(product.absorbed()).unwrap_or(u32::MAX);
    Ok(())
}
