//! Merges, at once and one after the other.

use fisher_merge::{AnySlice, Error, Factor, Merge, NoEvidence, Posterior, RunningProduct, Summary};

use crate::views::{Numbers, NumbersOut, read, write};
use crate::{Refusal, code};

/// Models that one merge takes at most; more go one after the other through fm_absorb.
pub const FM_MODELS_MAX: usize = 8;

/// What an element without evidence gets: the mean of the first model that takes part.
pub const FM_KEEP_TARGET: u32 = 0;
/// What an element without evidence gets: the mean of all models, by their weights alone.
pub const FM_WEIGHTED_MEAN: u32 = 1;
/// What an element without evidence gets: the merge is refused (FM_NO_EVIDENCE).
pub const FM_REFUSE: u32 = 2;

/// A posterior and its weight.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Model {
    /// The parameters.
    pub mean: Numbers,
    /// Their Fisher, the diagonal. One whose data is null is one everywhere: the plain average.
    pub fisher: Numbers,
    /// Zero or more; a model of weight zero takes no part.
    pub weight: f32,
}

/// What a merge counted.
#[repr(C)]
pub struct Counts {
    /// The elements of the merge.
    pub elements: u64,
    /// Those where no model had evidence.
    pub no_evidence: u64,
    /// Results that left a range: a precision that saturated, a finite mean that its storage type made infinite.
    pub out_of_range: u64,
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
        FM_KEEP_TARGET => Ok(NoEvidence::KeepTarget),
        FM_WEIGHTED_MEAN => Ok(NoEvidence::WeightedMean),
        FM_REFUSE => Ok(NoEvidence::Error),
        _ => Err(Refusal::Policy),
    }
}

/// Merges `count` models of `n` parameters each into `mean`. `precision` gets the merged precision, the Fisher of the merged model, and
/// `summary` the counts; both may be null. `no_evidence` is FM_KEEP_TARGET, FM_WEIGHTED_MEAN or FM_REFUSE. All numbers are looked at before
/// the first is written, but for FM_REFUSE, whose refusal comes on the way.
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
    let mut factors = [Posterior::isotropic(AnySlice::F32(&[])).power(0.0); FM_MODELS_MAX];
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

/// Absorbs one more model into a running product of `n` parameters, which is two arrays and two numbers of the caller's: all zero for the
/// empty one. `weight` is the sum of the weights and `absorbed` the number of models so far. The product is a valid model after every call;
/// an element without evidence has the mean of the first model.
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
