//! The floors and norms of the models: passes over their Fishers, tile by tile in the same scratch.

use core::ops::ControlFlow;

use super::model::{Model, ModelPrecision};
use super::tile::{Job, Part, failed, load};
use super::{Cursor, Pass, Progress, StoreMerge};
use crate::conditioning::ModelScale;
use crate::error::{Error, Role};
use crate::kernel::Magnitude;
use crate::kernel::sums::FisherStatistics;
use crate::scalar::Real;
use crate::store::{ParameterSource, ParameterTarget};
use crate::summary::Summary;
use crate::view::{BLOCK, Stored};

/// Adds a tensor of a Fisher to the statistics.
fn observe<R: Real>(
    statistics: &mut FisherStatistics,
    store: &dyn ParameterSource<R>,
    (index, count): (usize, usize),
    scratch: &mut [R],
    (tensor, model): (usize, usize),
    mut after: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    let mut offset = 0;
    while offset < count {
        let left = (count - offset).min(super::LENT_TILE);
        let lends = store.lend(index, offset, left).is_some_and(|lent| lent.count() == left);
        let tile = if lends { left } else { left.min(scratch.len()) };
        if tile == 0 {
            return Err(Error::Scratch { needed: 1, found: 0 });
        }
        let mut room = &mut *scratch;
        statistics.observe(load(store, (index, offset, tile), &mut room, failed(tensor, model, Role::Precision))?);
        offset += tile;
        if after(offset).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Adds a tensor whose precision is one number.
fn repeat(statistics: &mut FisherStatistics, value: f64, count: usize) {
    let block = [value; BLOCK];
    let mut left = count;
    while left > 0 {
        let some = left.min(BLOCK);
        statistics.observe(block.get(..some).unwrap_or_default());
        left -= some;
    }
}

/// Floor and norm of one model, measured over all tensors that are merged.
pub(super) fn of_model<R: Real>(
    rule: &StoreMerge<'_, R>,
    (models, number): (&[Model<'_, R>], usize),
    target: &dyn ParameterTarget<R>,
    is_target: bool,
    scratch: &mut [R],
    stopped: &mut Option<Cursor>,
    watch: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<ModelScale, Error> {
    let mut statistics = FisherStatistics::new();
    let model = models.get(number).filter(|model| model.weight > R::ZERO && rule.conditioning.needs_statistics());
    if let Some(store) = model.and_then(Model::fisher_store) {
        for tensor in 0..target.count() {
            let (Some(count), Some(info)) = (rule.merged_count(target, tensor), target.info(tensor)) else { continue };
            let Some(index) = store.find(info.name, tensor) else { continue };
            let after = |offset| {
                let (pass, cursor) = (Pass::Fisher(number), Cursor { tensor, offset });
                watch(&Progress { pass, info, cursor, done: offset == count, summary: Summary::default() })
            };
            if stopped.is_some() || observe(&mut statistics, store, (index, count), scratch, (tensor, number), after)?.is_break() {
                *stopped = Some(rule.from);
                break;
            }
        }
    } else if let Some(ModelPrecision::PerTensor(scales)) = model.map(|model| model.precision) {
        for (tensor, &scale) in scales.iter().enumerate() {
            repeat(&mut statistics, scale.as_f64(), rule.merged_count(target, tensor).unwrap_or_default());
        }
    } else if model.is_some() {
        for tensor in 0..target.count() {
            repeat(&mut statistics, 1.0, rule.merged_count(target, tensor).unwrap_or_default());
        }
    }
    rule.conditioning.scale(&statistics, is_target)
}

/// What a model has of a tensor: where, and its floor, for which a share of the tensor's own mean takes a pass over its Fisher.
pub(super) fn part<R: Real>(
    rule: &StoreMerge<'_, R>,
    job: &Job<'_, '_, R>,
    (number, tensor, count): (usize, usize, usize),
    scales: &[Option<ModelScale>],
    target: &dyn ParameterTarget<R>,
    scratch: &mut [R],
) -> Result<Part<R>, Error> {
    let (Some(model), Some(info)) = (job.models.get(number), target.info(tensor)) else { return Err(Error::NoModels) };
    let mut part = Part::NONE;
    part.mean = model.mean_store().and_then(|store| store.find(info.name, tensor)).unwrap_or_default();
    part.fisher = model.fisher_store().and_then(|store| store.find(info.name, tensor)).unwrap_or_default();
    if let ModelPrecision::PerTensor(scales) = model.precision {
        part.scalar = scales.get(tensor).copied().unwrap_or(R::ONE);
    }
    if let Some(scale) = scales.get(number).copied().flatten() {
        let mut statistics = FisherStatistics::new();
        if let Some(store) = model.fisher_store().filter(|_| scale.is_of_tensor() && model.weight > R::ZERO) {
            let go_on = |_| ControlFlow::Continue(());
            let _ = observe(&mut statistics, store, (part.fisher, count), scratch, (tensor, number), go_on)?;
        }
        let own = part.scalar.as_f64();
        part.floor = scale.floor(|| match model.fisher_store() {
            Some(_) => statistics.mean().map_or(0.0, Magnitude::as_f64),
            None => own,
        });
        part.norm = scale.norm();
    }
    let _ = rule;
    Ok(part)
}
