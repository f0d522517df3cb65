//! What the firmware does, and whether it comes out as it must: all bits are those of the build script, which does not use the library.

use fisher_merge::{
    DiagonalFisher, Dtype, Error, F16Bits, FisherSpec, Gradient, LeBytes, Model, ModelPrecision, NoEvidence, ParameterSource,
    ParameterTarget, Posterior, RunningProduct, StoreMerge, TensorsMut, Values,
};

use crate::flash::Flash;
use crate::model::{
    ESTIMATE, FISHER_0, FISHER_1, GRADIENTS, HEADER, LAMBDA, MEAN_0, MEAN_1, MERGED, PARAMETERS, PLAN, RUNNING, Ram, WIDTH,
};

/// Elements of a tile: what a page holds of `f32`.
const TILE: usize = 63;
/// Numbers of scratch: two means, two Fishers, the merged ones.
pub(crate) const SCRATCH: usize = 5 * TILE;

/// Copies an adapter to RAM.
pub(crate) fn copy(flash: &Flash, ram: &mut Ram, scratch: &mut [f32; SCRATCH]) -> Option<()> {
    let mut tensors = ram.tensors().ok()?;
    let mut target = TensorsMut(&mut tensors);
    for (tensor, (_, _, [rows, columns])) in PLAN.iter().enumerate() {
        let count = rows * columns;
        let mut offset = 0;
        while offset < count {
            let tile = scratch.get_mut(..TILE.min(count - offset))?;
            flash.read(tensor, offset, tile).ok()?;
            target.write(tensor, offset, tile).ok()?;
            offset += tile.len();
        }
    }
    Some(())
}

/// Merges the second adapter into the first, which is in RAM.
pub(crate) fn merge(ram: &mut Ram, fishers: [&Flash; 2], other: &Flash, scratch: &mut [f32; SCRATCH]) -> Result<u64, Error> {
    let mut tensors = ram.tensors()?;
    let models = [Model::in_place(ModelPrecision::Diagonal(fishers[0]), LAMBDA[0]), Model::diagonal(other, fishers[1], LAMBDA[1])];
    let outcome = StoreMerge::new().run(&models, &mut TensorsMut(&mut tensors), scratch)?;
    Ok(outcome.summary.elements)
}

#[inline(never)]
pub(crate) fn fused() -> Option<bool> {
    let [first, other, fisher, other_fisher] = [MEAN_0, MEAN_1, FISHER_0, FISHER_1].map(|bytes| Flash::open(bytes, None).ok());
    let (first, other, fisher, other_fisher) = (first?, other?, fisher?, other_fisher?);
    let (mut ram, mut scratch) = (Ram::EMPTY, [0.0; SCRATCH]);
    copy(&first, &mut ram, &mut scratch)?;
    let elements = merge(&mut ram, [&fisher, &other_fisher], &other, &mut scratch).ok()?;
    Some(elements == PARAMETERS as u64 && ram.bytes().eq(MERGED.iter().copied()))
}

/// The state of a device that absorbs adapters as they arrive. After every call it is a model of its own, so that a power loss costs at
/// most the tensor that was being absorbed; `absorbed` stands for what such a device keeps beside it.
struct State {
    mean: [f32; PARAMETERS],
    precision: [f32; PARAMETERS],
    absorbed: [(f32, usize); PLAN.len()],
}

impl State {
    /// Absorbs the next adapter, a tensor at a time.
    fn absorb(&mut self, mean: &Flash, fisher: &Flash, weight: f32) -> Option<()> {
        // The largest tensor is read whole, since a refusal must come before the state changes.
        let mut room = [[0.0_f32; 16 * WIDTH]; 2];
        let (mut means, mut precisions) = (&mut self.mean[..], &mut self.precision[..]);
        for ((index, (_, _, [rows, columns])), absorbed) in PLAN.iter().enumerate().zip(&mut self.absorbed) {
            let count = rows * columns;
            let (now_means, rest) = means.split_at_mut_checked(count)?;
            means = rest;
            let (now_precisions, rest) = precisions.split_at_mut_checked(count)?;
            precisions = rest;
            let [values, fishers] = &mut room;
            let (values, fishers) = (values.get_mut(..count)?, fishers.get_mut(..count)?);
            mean.read(index, 0, values).ok()?;
            fisher.read(index, 0, fishers).ok()?;
            let posterior = Posterior::diagonal(&*values, &*fishers).ok()?;
            // As after a reset: nothing but the slices and these two numbers is kept.
            let mut product = RunningProduct::resume(now_precisions, now_means, NoEvidence::KeepTarget, *absorbed).ok()?;
            product.absorb(&posterior.power(weight)).ok()?;
            *absorbed = (product.weight(), product.absorbed());
        }
        Some(())
    }

    /// Compares every number, which a store gives by tensor and element.
    fn all(&self, mut right: impl FnMut(usize, usize, f32, f32) -> bool) -> bool {
        let mut both = self.mean.iter().zip(&self.precision);
        PLAN.iter().enumerate().all(|(tensor, (_, _, [rows, columns]))| {
            (0..rows * columns).zip(&mut both).all(|(element, (&mean, &precision))| right(tensor, element, mean, precision))
        })
    }
}

fn at(store: &Flash, tensor: usize, element: usize) -> f32 {
    let mut one = [f32::NAN];
    let _ = store.read(tensor, element, &mut one);
    one[0]
}

#[inline(never)]
pub(crate) fn running() -> Option<bool> {
    let mut state = State { mean: [0.0; PARAMETERS], precision: [0.0; PARAMETERS], absorbed: [(0.0, 0); PLAN.len()] };
    let (first, fisher) = (Flash::open(MEAN_0, None).ok()?, Flash::open(FISHER_0, None).ok()?);
    state.absorb(&first, &fisher, LAMBDA[0])?;
    // The first adapter, with its evidence.
    let mut right = state.all(|tensor, element, mean, precision| {
        mean.to_bits() == at(&first, tensor, element).to_bits() && precision == LAMBDA[0] * at(&fisher, tensor, element)
    });
    let (other, other_fisher) = (Flash::open(MEAN_1, None).ok()?, Flash::open(FISHER_1, None).ok()?);
    state.absorb(&other, &other_fisher, LAMBDA[1])?;
    let mut expected = RUNNING.chunks_exact(4).map(|bytes| bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)));
    right &= state.all(|_, _, mean, precision| [mean, precision].iter().all(|value| expected.next().flatten() == Some(value.to_bits())));
    Some(right)
}

#[inline(never)]
pub(crate) fn fisher() -> Option<bool> {
    const LENGTH: usize = 4 * WIDTH;
    let spec = FisherSpec::new(LENGTH);
    let (mut state, mut out) = ([0.0_f32; 2 * (LENGTH + 4)], [0.0_f32; LENGTH]);
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).ok()?;
    for example in GRADIENTS.chunks_exact(2 * LENGTH) {
        let mut gradient = [0; LENGTH];
        gradient
            .iter_mut()
            .zip(example.chunks_exact(2))
            .for_each(|(out, bytes)| *out = bytes.first_chunk().map_or(0, |&bytes| u16::from_le_bytes(bytes)));
        fisher.example(Gradient::new(F16Bits(&gradient[..])).loss_scale(16.0)).ok()?;
    }
    fisher.finish_into(&mut out[..]).ok()?;
    let estimate = LeBytes::new(Dtype::F32, ESTIMATE).ok()?;
    let right = out.iter().enumerate().all(|(index, &value)| estimate.at(index) == Some(value));
    let header = fisher.header().ok()?.to_bytes();
    Some(right && header[..] == *HEADER)
}
