//! One range of one tensor: read from every store, merged, written.

use super::gather::Gather;
use super::model::Model;
use crate::error::{Error, Role, StoreError};
use crate::gaussian::{Factor, Posterior, Precision};
use crate::kernel::Magnitude;
use crate::kernel::range::{overflows, saturate_precisions};
use crate::merge::Merge;
use crate::policy::NoEvidence;
use crate::scalar::{Dtype, Real};
use crate::store::{ParameterSource, ParameterTarget};
use crate::summary::Summary;
use crate::view::{AnySlice, AnySliceMut, Bf16Bits, F16Bits, Stored, Values, ValuesMut, of_reals, of_reals_mut};

/// What a model has of the tensor.
#[derive(Clone, Copy)]
pub(super) struct Part<R: Real> {
    /// The tensor's number in the mean's store and in the Fisher's.
    pub(super) mean: usize,
    pub(super) fisher: usize,
    /// The precision where it is one number.
    pub(super) scalar: R,
    pub(super) floor: R,
    pub(super) norm: Magnitude,
}

impl<R: Real> Part<R> {
    pub(super) const NONE: Self = Self { mean: 0, fisher: 0, scalar: R::ONE, floor: R::ZERO, norm: Magnitude::ONE };
}

/// Where the merged numbers go.
pub(super) struct Outputs<'o, R: Real> {
    pub(super) mean: &'o mut dyn ParameterTarget<R>,
    pub(super) precision: Option<&'o mut dyn ParameterTarget<R>>,
}

impl<R: Real> Outputs<'_, R> {
    /// The precision's target, lent for a shorter time.
    pub(super) fn precision(&mut self) -> Option<&mut dyn ParameterTarget<R>> {
        shorter(&mut self.precision)
    }
}

/// A target, lent for a shorter time.
pub(super) fn shorter<'s, R: Real>(store: &'s mut Option<&mut dyn ParameterTarget<R>>) -> Option<&'s mut dyn ParameterTarget<R>> {
    match store {
        Some(store) => Some(&mut **store),
        None => None,
    }
}

/// A range of a tensor.
#[derive(Clone, Copy)]
pub(super) struct Range {
    /// The tensor's number in the target and, if there is one, in the precision's target and in the prior's store.
    pub(super) tensor: usize,
    pub(super) precision: usize,
    pub(super) prior: usize,
    pub(super) offset: usize,
    pub(super) count: usize,
}

/// What the driver is asked for in every tile.
pub(super) struct Job<'j, 'a, R: Real> {
    pub(super) merge: &'j Merge<'a, R>,
    pub(super) models: &'j [Model<'j, R>],
    pub(super) prior: Option<&'j dyn ParameterSource<R>>,
    /// Whether to write. Without, everything is read and merged, and nothing is.
    pub(super) dry: bool,
}

/// A failure of a store, with whose it is.
pub(super) fn failed(tensor: usize, model: usize, role: Role) -> impl FnOnce(StoreError) -> Error {
    move |error| Error::Store { tensor, model, role, error }
}

/// Takes the next `count` numbers of the scratch.
pub(super) fn take<'s, R>(room: &mut &'s mut [R], count: usize) -> Result<&'s mut [R], Error> {
    let found = room.len();
    let (taken, rest) = core::mem::take(room).split_at_mut_checked(count).ok_or(Error::Scratch { needed: count, found })?;
    *room = rest;
    Ok(taken)
}

/// A range as its store lends it, or read into the scratch.
pub(super) fn load<'s, R: Real>(
    store: &'s dyn ParameterSource<R>,
    (index, offset, count): (usize, usize, usize),
    room: &mut &'s mut [R],
    failed: impl FnOnce(StoreError) -> Error,
) -> Result<AnySlice<'s>, Error> {
    if let Some(lent) = store.lend(index, offset, count).filter(|lent| lent.count() == count) {
        return Ok(lent);
    }
    let tile = take(room, count)?;
    store.read(index, offset, tile).map_err(failed)?;
    Ok(of_reals(tile))
}

impl<R: Real> Job<'_, '_, R> {
    /// Merges one range.
    pub(super) fn run<G: Gather>(
        &self,
        gather: G,
        parts: &[Part<R>],
        range: Range,
        outputs: &mut Outputs<'_, R>,
        scratch: &mut [R],
    ) -> Result<Summary, Error> {
        let Range { tensor, offset, count, .. } = range;
        let mut room = scratch;
        let nothing = Posterior::isotropic(AnySlice::F32(&[])).power(R::ZERO);
        let factors = gather.gather(nothing, |number| self.factor(number, parts, range, &*outputs.mean, &mut room))?;
        let prior = match self.prior {
            Some(store) => {
                let tile = take(&mut room, count)?;
                store.read(range.prior, offset, tile).map_err(failed(tensor, 0, Role::PriorMean))?;
                Some(&*tile)
            }
            None => None,
        };
        let merge = match prior {
            Some(prior) => self.merge.no_evidence(NoEvidence::PriorMean(prior)),
            None => *self.merge,
        };
        let lends = !self.dry && lent(&mut *outputs.mean, tensor, range).is_some();
        let mean = take(&mut room, if lends { 0 } else { count })?;
        let precision_lends = !self.dry && outputs.precision().is_some_and(|store| lent(store, range.precision, range).is_some());
        let precision = take(&mut room, if precision_lends || outputs.precision.is_none() { 0 } else { count })?;

        let mut summary = {
            let out = if lends { lent(&mut *outputs.mean, tensor, range) } else { Some(of_reals_mut(&mut *mean)) };
            let precision_out = match shorter(&mut outputs.precision) {
                Some(store) if precision_lends => lent(store, range.precision, range),
                Some(_) => Some(of_reals_mut(&mut *precision)),
                None => None,
            };
            merged(gather, &merge.tensor(tensor), factors.as_ref(), out.unwrap_or(AnySliceMut::F32(&mut [])), precision_out)
                .map_err(|error| error.in_part(offset))?
        };
        if !self.dry {
            if !lends {
                if let Some(storage) = storage(&*outputs.mean, tensor) {
                    summary.out_of_range += overflows(mean, storage);
                }
                outputs.mean.write(tensor, offset, mean).map_err(failed(tensor, 0, Role::MeanOut))?;
            }
            if let Some(store) = outputs.precision().filter(|_| !precision_lends) {
                if let Some(storage) = storage(store, range.precision) {
                    summary.out_of_range += saturate_precisions(precision, storage);
                }
                store.write(range.precision, offset, precision).map_err(failed(tensor, 0, Role::PrecisionOut))?;
            }
        }
        Ok(summary)
    }

    /// One model's factor over the range.
    fn factor<'s>(
        &'s self,
        number: usize,
        parts: &[Part<R>],
        Range { tensor, offset, count, .. }: Range,
        target: &dyn ParameterTarget<R>,
        room: &mut &'s mut [R],
    ) -> Result<Factor<AnySlice<'s>, AnySlice<'s>, R>, Error> {
        let (Some(model), Some(part)) = (self.models.get(number), parts.get(number)) else { return Err(Error::NoModels) };
        let mean = match model.mean_store() {
            Some(store) => load(store, (part.mean, offset, count), room, failed(tensor, number, Role::Mean))?,
            // What is about to be overwritten is copied first.
            None => {
                let tile = take(room, count)?;
                target.read(tensor, offset, tile).map_err(failed(tensor, number, Role::Mean))?;
                of_reals(tile)
            }
        };
        let precision = match model.fisher_store() {
            Some(store) => Precision::Diagonal(load(store, (part.fisher, offset, count), room, failed(tensor, number, Role::Precision))?),
            None => Precision::PerTensor(part.scalar),
        };
        Ok(Posterior::new(mean, precision)?.power(model.weight).with_scale(part.floor, part.norm))
    }
}

/// How a target stores the numbers of a tensor.
fn storage<R: Real>(store: &dyn ParameterTarget<R>, index: usize) -> Option<Dtype> {
    match store.info(index)?.element {
        crate::store::Element::Number(storage) if storage != R::DTYPE => Some(storage),
        _ => None,
    }
}

/// The room that a target lends for a range.
fn lent<'o, R: Real>(store: &'o mut dyn ParameterTarget<R>, index: usize, range: Range) -> Option<AnySliceMut<'o>> {
    store.lend_mut(index, range.offset, range.count).filter(|lent| lent.count() == range.count)
}

/// A view of one type that a slice of any type may be.
trait Typed<'a>: Sized {
    fn of(slice: AnySlice<'a>) -> Option<Self>;
}

macro_rules! typed {
    ($($view:ty, $variant:ident, |$inner:ident| $made:expr;)*) => {$(
        impl<'a> Typed<'a> for $view {
            fn of(slice: AnySlice<'a>) -> Option<Self> {
                match slice {
                    AnySlice::$variant($inner) => Some($made),
                    _ => None,
                }
            }
        }
    )*};
}
typed! {
    &'a [f64], F64, |values| values;
    &'a [f32], F32, |values| values;
    F16Bits<&'a [u16]>, F16, |bits| F16Bits(bits);
    Bf16Bits<&'a [u16]>, Bf16, |bits| Bf16Bits(bits);
}

type AnyFactor<'a, R> = Factor<AnySlice<'a>, AnySlice<'a>, R>;

/// Merges slices of any types: those that all are of one type by the bodies for that type, which are faster.
fn merged<G: Gather, R: Real>(
    gather: G,
    merge: &Merge<'_, R>,
    factors: &[AnyFactor<'_, R>],
    mean: AnySliceMut<'_>,
    precision: Option<AnySliceMut<'_>>,
) -> Result<Summary, Error> {
    // Where memory is for programs scarce as well, one body has to do.
    if cfg!(target_pointer_width = "64") {
        match mean {
            AnySliceMut::F64(out) if R::DTYPE == Dtype::F64 && are::<&[f64], R>(factors) => {
                return run_typed::<G, &[f64], R, _>(gather, merge, factors, out, precision);
            }
            AnySliceMut::F32(out) if are::<&[f32], R>(factors) => {
                return run_typed::<G, &[f32], R, _>(gather, merge, factors, out, precision);
            }
            AnySliceMut::F16(out) if are::<F16Bits<&[u16]>, R>(factors) => {
                return run_typed::<G, F16Bits<&[u16]>, R, _>(gather, merge, factors, F16Bits(out), precision);
            }
            AnySliceMut::Bf16(out) if are::<Bf16Bits<&[u16]>, R>(factors) => {
                return run_typed::<G, Bf16Bits<&[u16]>, R, _>(gather, merge, factors, Bf16Bits(out), precision);
            }
            other => return run(merge, factors, other, precision),
        }
    }
    run(merge, factors, mean, precision)
}

fn run<V, R: Real, O: ValuesMut<R>>(
    merge: &Merge<'_, R>,
    factors: &[Factor<V, V, R>],
    mean: O,
    precision: Option<AnySliceMut<'_>>,
) -> Result<Summary, Error>
where
    V: Values<R> + Copy,
{
    match precision {
        Some(precision) => merge.run_with_precision(factors, mean, precision),
        None => merge.run(factors, mean),
    }
}

/// Whether all slices are of one type.
fn are<'a, V: Typed<'a>, R: Real>(factors: &[AnyFactor<'a, R>]) -> bool {
    factors.iter().all(|factor| {
        let fisher = match factor.posterior().precision() {
            Precision::Diagonal(fisher) => V::of(fisher).is_some(),
            Precision::PerTensor(_) => true,
        };
        fisher && V::of(factor.posterior().mean()).is_some()
    })
}

fn run_typed<'a, G: Gather, V, R: Real, O: ValuesMut<R>>(
    gather: G,
    merge: &Merge<'_, R>,
    factors: &[AnyFactor<'a, R>],
    mean: O,
    precision: Option<AnySliceMut<'_>>,
) -> Result<Summary, Error>
where
    V: Typed<'a> + Values<R> + Copy,
{
    let typed = |factor: &AnyFactor<'a, R>| {
        let mean = V::of(factor.posterior().mean())?;
        let precision = match factor.posterior().precision() {
            Precision::Diagonal(fisher) => Precision::Diagonal(V::of(fisher)?),
            Precision::PerTensor(value) => Precision::PerTensor(value),
        };
        Some(Posterior::new(mean, precision).ok()?.power(factor.weight()).with_scale(factor.floor(), factor.norm()))
    };
    let Some(fill) = factors.first().and_then(typed) else { return Err(Error::NoModels) };
    let factors = gather.gather(fill, |number| factors.get(number).and_then(typed).ok_or(Error::NoModels))?;
    run(merge, factors.as_ref(), mean, precision)
}
