//! The driver: the one loop over tensors and tiles of whole models, between stores.
//!
//! `check` compares the stores before anything is written, `tile` merges one range, this file goes through all of them. The numbers are
//! those of [`Merge`](crate::Merge) over whole slices, bit for bit, whatever the tiles.

mod check;
mod gather;
mod model;
mod scales;
mod tile;

use core::ops::ControlFlow;

pub use check::Mismatches;
use check::{Only, is_selected};
use gather::{Fixed, Gather};
pub use model::{Model, ModelMean, ModelPrecision};
use tile::{Job, Outputs, Part, Range, failed, shorter};

use crate::conditioning::{Conditioning, ModelScale};
use crate::door;
use crate::error::{Error, Role};
use crate::merge::Merge;
use crate::policy::{BadNumbers, NoEvidence};
use crate::scalar::Real;
use crate::store::{Element, ParameterInfo, ParameterSource, ParameterTarget};
use crate::summary::Summary;
use crate::view::Stored;

/// Elements of a tile that needs no scratch: few enough that progress shows, many enough that nothing else does.
const LENT_TILE: usize = 1 << 22;

/// How to merge whole models.
///
/// Tensors are paired by name. All names, shapes and types of all models are compared before anything is written; the first disagreement
/// is the error, [`mismatches`](Self::mismatches) gives all. Tensors that are not numbers, or that [`only`](Self::only) leaves out, are not
/// touched.
///
/// Memory is the caller's scratch: a tile of `n` elements takes up to `n ·` [`scratch_per_element`](Self::scratch_per_element) numbers, and
/// none where the stores lend their memory. One pass over all numbers; one earlier pass over the Fishers for a norm or a mean of a model, and
/// one for the mean of a tensor;
/// one earlier pass without writing where a refusal would leave a model half merged that is in place.
///
/// ```
/// use fisher_merge::{Model, StoreMerge, Tensor, TensorMut, Tensors, TensorsMut};
/// let (a, fa) = ([1.0_f32, 5.0], [3.0_f32, 0.0]);
/// let (b, fb) = ([2.0_f32, 7.0], [1.0_f32, 0.0]);
/// let tensor = |values| Tensor::new("layer.weight", &[1, 2], values);
/// let (a, fa, b, fb) = ([tensor(&a[..])?], [tensor(&fa[..])?], [tensor(&b[..])?], [tensor(&fb[..])?]);
/// let (a, fa, b, fb) = (Tensors(&a), Tensors(&fa), Tensors(&b), Tensors(&fb));
///
/// let mut merged = [0.0_f32; 2];
/// let mut target = [TensorMut::new("layer.weight", &[1, 2], &mut merged[..])?];
/// let models = [Model::diagonal(&a, &fa, 0.5_f64), Model::diagonal(&b, &fb, 0.5)];
/// let outcome = StoreMerge::new().run(&models, &mut TensorsMut(&mut target), &mut [])?;
/// assert_eq!(merged, [1.25, 5.0]);
/// assert_eq!(outcome.summary.no_evidence, 1);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "neither a predicate nor a store needs to have one")]
pub struct StoreMerge<'a, R: Real> {
    merge: Merge<'a, R>,
    conditioning: Conditioning,
    only: Only<'a>,
    prior: Option<&'a dyn ParameterSource<R>>,
    from: Cursor,
    look_first: bool,
}

/// How far a merge has come: everything before is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cursor {
    /// The tensor, by its number in the target.
    pub tensor: usize,
    /// The next element of it.
    pub offset: usize,
}

/// What a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Pass {
    /// Reads the Fisher of this model for its floor and norm.
    Fisher(usize),
    /// Merges without writing, to see whether a number is refused.
    Look,
    /// Merges.
    Merge,
}

/// What the caller hears after every tile.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'p> {
    /// What is being done.
    pub pass: Pass,
    /// The tensor.
    pub info: ParameterInfo<'p>,
    /// Where the pass goes on. At the end of a tensor the offset is its length.
    pub cursor: Cursor,
    /// Whether the tensor is done.
    pub done: bool,
    /// What was counted in this tensor so far.
    pub summary: Summary,
}

/// What came of a merge.
#[must_use = "a merge that was stopped is not complete"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Outcome {
    /// The counts of all tensors together.
    pub summary: Summary,
    /// Where to go on if the caller stopped it; `None` if it is complete.
    pub stopped: Option<Cursor>,
}

/// What the caller is told, and whether it goes on.
type Watch<'w> = &'w mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>;

impl<R: Real> Default for StoreMerge<'_, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, R: Real> StoreMerge<'a, R> {
    /// All tensors of numbers, Fishers as they are, the policies of [`Merge::new`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            merge: Merge::new(),
            conditioning: Conditioning::new(),
            only: None,
            prior: None,
            from: Cursor { tensor: 0, offset: 0 },
            look_first: false,
        }
    }

    /// What an element without evidence gets, what happens to bad numbers, and in which shell.
    #[must_use]
    pub const fn policies(mut self, merge: Merge<'a, R>) -> Self {
        self.merge = merge;
        self
    }

    /// Floors and norms of the Fishers. A norm is over all tensors that are merged.
    #[must_use]
    pub const fn conditioning(mut self, conditioning: Conditioning) -> Self {
        self.conditioning = conditioning;
        self
    }

    /// Merges only the tensors for which this holds.
    #[must_use]
    pub const fn only(mut self, only: &'a dyn Fn(&ParameterInfo<'_>) -> bool) -> Self {
        self.only = Some(only);
        self
    }

    /// The value of an element without evidence, by name, instead of the policy's.
    #[must_use]
    pub const fn prior_mean(mut self, prior: &'a dyn ParameterSource<R>) -> Self {
        self.prior = Some(prior);
        self
    }

    /// Goes on where another merge was stopped.
    #[must_use]
    pub const fn resume(mut self, cursor: Cursor) -> Self {
        self.from = cursor;
        self
    }

    /// Whether to merge once without writing before anything is written, so that a number that is refused leaves the target as it was. A
    /// merge in place always does, if its policies refuse anything.
    #[must_use]
    pub const fn look_first(mut self, look: bool) -> Self {
        self.look_first = look;
        self
    }

    /// How many numbers of scratch an element of a tile takes where no store lends: the means, Fishers and outputs.
    #[must_use]
    pub fn scratch_per_element(&self, models: &[Model<'_, R>], precision: bool) -> usize {
        let fishers = models.iter().filter(|model| model.fisher_store().is_some()).count();
        models.len() + fishers + 1 + usize::from(precision) + usize::from(self.prior.is_some())
    }

    /// Every disagreement between the stores, lazily: missing, extra and duplicate names, kinds of elements, shapes, numbers that the
    /// arithmetic cannot hold.
    #[must_use]
    pub fn mismatches<'s>(
        &'s self,
        models: &'s [Model<'s, R>],
        target: &'s dyn ParameterSource<R>,
        precision: Option<&'s dyn ParameterSource<R>>,
    ) -> Mismatches<'s, R> {
        Mismatches { target, precision, prior: self.prior, models, only: self.only, at: (0, 0, 0) }
    }

    /// Merges all tensors into `target`. Models are in the order of the product; their number is known to the compiler, so that nothing is
    /// on the heap (see [`run_many`](Self::run_many) for any number).
    ///
    /// # Errors
    /// Before anything is written: [`Error::NoModels`], [`Error::BadWeight`], [`Error::AllWeightsZero`], [`Error::Mismatch`],
    /// [`Error::Length`] (precisions per tensor), [`Error::BadFloor`]. On the way: [`Error::Scratch`], [`Error::Store`],
    /// [`Error::BadNumber`] and [`Error::NoEvidence`]; the ranges before that one are written, unless it was in a look beforehand.
    pub fn run<const M: usize>(
        &self,
        models: &[Model<'_, R>; M],
        target: &mut dyn ParameterTarget<R>,
        scratch: &mut [R],
    ) -> Result<Outcome, Error> {
        self.run_watched(models, target, None, scratch, &mut |_| ControlFlow::Continue(()))
    }

    /// The same with the merged precision, and with a caller who hears of every tile and may stop.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_watched<const M: usize>(
        &self,
        models: &[Model<'_, R>; M],
        target: &mut dyn ParameterTarget<R>,
        precision: Option<&mut dyn ParameterTarget<R>>,
        scratch: &mut [R],
        watch: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        self.all(Fixed::<M>, models, target, precision, scratch, watch)
    }

    /// The same for a number of models that is known at run time.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[cfg(feature = "alloc")]
    pub fn run_many(
        &self,
        models: &[Model<'_, R>],
        target: &mut dyn ParameterTarget<R>,
        precision: Option<&mut dyn ParameterTarget<R>>,
        scratch: &mut [R],
        watch: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        self.all(gather::Counted(models.len()), models, target, precision, scratch, watch)
    }

    fn all<G: Gather>(
        &self,
        gather: G,
        models: &[Model<'_, R>],
        target: &mut dyn ParameterTarget<R>,
        mut precision: Option<&mut dyn ParameterTarget<R>>,
        scratch: &mut [R],
        watch: Watch<'_>,
    ) -> Result<Outcome, Error> {
        let outputs = &mut Outputs { mean: target, precision: shorter(&mut precision) };
        self.compare(models, outputs)?;
        let target = models.iter().position(|model| model.weight > R::ZERO);
        let mut stopped = None;
        let scales = gather.gather(None, |model| {
            scales::of_model(self, (models, model), &*outputs.mean, target == Some(model), scratch, &mut stopped, watch).map(Some)
        })?;
        let mut outcome = Outcome { summary: Summary::default(), stopped };
        let (_, bad_numbers) = self.merge.policies();
        let refuses = bad_numbers == BadNumbers::Refuse || (self.prior.is_none() && matches!(self.merge.policies().0, NoEvidence::Error));
        let in_place = models.iter().any(|model| model.mean_store().is_none());
        let passes: &[bool] = if self.look_first || (in_place && refuses) { &[true, false] } else { &[false] };
        for &dry in passes {
            if outcome.stopped.is_some() {
                return Ok(Outcome { summary: Summary::default(), ..outcome });
            }
            let job = Job { merge: &self.merge, models, prior: self.prior, dry };
            outcome = self.pass(gather, &job, scales.as_ref(), outputs, scratch, watch)?;
        }
        Ok(outcome)
    }

    /// Everything that can be wrong before a number is read.
    fn compare(&self, models: &[Model<'_, R>], outputs: &Outputs<'_, R>) -> Result<(), Error> {
        if models.is_empty() {
            return Err(Error::NoModels);
        }
        for (number, model) in models.iter().enumerate() {
            door::weight(number, model.weight)?;
            let (expected, role) = (outputs.mean.count(), Role::Precision);
            if let ModelPrecision::PerTensor(scales) = model.precision {
                if scales.len() != expected {
                    return Err(Error::Length { tensor: 0, model: number, role, expected, found: scales.len() });
                }
            }
        }
        if models.iter().all(|model| model.weight == R::ZERO) {
            return Err(Error::AllWeightsZero);
        }
        let (target, precision) = (&*outputs.mean, outputs.precision.as_deref());
        let precision = precision.as_ref().map(|store| -> &dyn ParameterSource<R> { store });
        self.mismatches(models, &target, precision).next().map_or(Ok(()), |mismatch| Err(Error::Mismatch(mismatch)))
    }

    /// The number of elements of a tensor, if it is merged.
    fn merged_count(&self, target: &(impl ParameterSource<R> + ?Sized), tensor: usize) -> Option<usize> {
        let info = target.info(tensor)?;
        let merged = matches!(info.element, Element::Number(_)) && is_selected(self.only, &info);
        info.count().filter(|_| merged)
    }

    /// All tensors from the cursor on.
    fn pass<G: Gather>(
        &self,
        gather: G,
        job: &Job<'_, '_, R>,
        scales: &[Option<ModelScale>],
        outputs: &mut Outputs<'_, R>,
        scratch: &mut [R],
        watch: Watch<'_>,
    ) -> Result<Outcome, Error> {
        let mut outcome = Outcome { summary: Summary::default(), stopped: None };
        for tensor in self.from.tensor..outputs.mean.count() {
            let Some(count) = self.merged_count(&*outputs.mean, tensor) else { continue };
            let parts =
                gather.gather(Part::NONE, |model| scales::part(self, job, (model, tensor, count), scales, &*outputs.mean, scratch))?;
            let info = outputs.mean.info(tensor);
            let precision = outputs.precision.as_deref().and_then(|store| store.find(info?.name, tensor)).unwrap_or_default();
            let prior = self.prior.and_then(|store| store.find(info?.name, tensor)).unwrap_or_default();
            let mut range = Range { tensor, precision, prior, offset: 0, count: 0 };
            range.offset = if tensor == self.from.tensor { self.from.offset.min(count) } else { 0 };
            let mut summary = Summary::default();
            loop {
                range.count = self.tile(job, parts.as_ref(), range, count, outputs, scratch.len())?;
                if range.count > 0 {
                    summary.add(&job.run(gather, parts.as_ref(), range, outputs, scratch)?);
                }
                range.offset += range.count;
                let done = range.offset == count;
                if done && !job.dry {
                    outputs.mean.finish(tensor).map_err(failed(tensor, 0, Role::MeanOut))?;
                    if let Some(store) = outputs.precision() {
                        store.finish(precision).map_err(failed(tensor, 0, Role::PrecisionOut))?;
                    }
                }
                let cursor = Cursor { tensor, offset: range.offset };
                let Some(info) = outputs.mean.info(tensor) else { break };
                let pass = if job.dry { Pass::Look } else { Pass::Merge };
                if watch(&Progress { pass, info, cursor, done, summary }).is_break() {
                    outcome.summary.add(&summary);
                    // A look that was stopped has written nothing.
                    return Ok(Outcome { stopped: Some(if job.dry { self.from } else { cursor }), ..outcome });
                }
                if done {
                    break;
                }
            }
            outcome.summary.add(&summary);
        }
        Ok(outcome)
    }

    /// How many elements the next tile has: all that are left where every store lends them, else what the scratch holds.
    fn tile(
        &self,
        job: &Job<'_, '_, R>,
        parts: &[Part<R>],
        range: Range,
        count: usize,
        outputs: &mut Outputs<'_, R>,
        scratch: usize,
    ) -> Result<usize, Error> {
        let left = count - range.offset;
        let lent = left.min(LENT_TILE);
        let (tensor, offset) = (range.tensor, range.offset);
        let lends = |store: &dyn ParameterSource<R>, index| store.lend(index, offset, lent).is_some_and(|slice| slice.count() == lent);
        let room =
            |store: &mut dyn ParameterTarget<R>, index| store.lend_mut(index, offset, lent).is_some_and(|slice| slice.count() == lent);
        let all_lend = !job.dry
            && self.prior.is_none()
            && job.models.iter().zip(parts).all(|(model, part)| {
                model.mean_store().is_some_and(|store| lends(store, part.mean))
                    && model.fisher_store().is_none_or(|store| lends(store, part.fisher))
            })
            && room(&mut *outputs.mean, tensor)
            && outputs.precision().is_none_or(|store| room(store, range.precision));
        if all_lend || left == 0 {
            return Ok(lent);
        }
        let needed = self.scratch_per_element(job.models, outputs.precision.is_some());
        let tile = scratch.checked_div(needed).unwrap_or_default();
        if tile == 0 { Err(Error::Scratch { needed, found: scratch }) } else { Ok(tile.min(left)) }
    }
}
