//! One Fisher on all ranks: the states of all tensors behind one another, and one all-reduce of them.

use fisher_merge::{DiagonalFisher, Error, ExactLabels, FisherHeader, FisherSpec, LabelCovariance, LayerBatch, Real};
use mpi::collective::SystemOperation;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence};

use crate::images::Images;
use crate::network::{Network, softmax};

/// Sums that are kept side by side, and so the number of ranks that can share the work.
pub const SLOTS: u32 = 8;

/// Images that go through the network at once.
const BLOCK: usize = 16;

/// A Fisher of all parameters, in the order of [`tensors`].
pub struct Fisher {
    pub values: Vec<f64>,
    pub examples: u64,
}

/// The names of a network's tensors: of each layer, its weight and its bias.
pub fn tensors(network: &Network) -> Vec<String> {
    network.layers.iter().flat_map(|layer| ["weight", "bias"].map(|what| format!("{}.{what}", layer.number))).collect()
}

/// Estimates with the arithmetic `R` and so many slots. A block of images goes to the same rank whatever the number of slots is.
pub fn estimate<R: Real + Equivalence>(world: &impl Communicator, network: &Network, images: &Images, slots: u32) -> Result<Fisher, Error> {
    let specs = network.layers.iter().flat_map(|layer| [layer.outputs * layer.inputs, layer.outputs]);
    let specs: Vec<FisherSpec> = specs.map(|length| FisherSpec::new(length).slots(slots)).collect();
    let mut state = vec![R::ZERO; specs.iter().map(FisherSpec::state_len::<R>).sum()];
    let headers = observe_own(world, network, images, &specs, &mut state)?;
    let mut sum = vec![R::ZERO; state.len()];
    world.all_reduce_into(&state[..], &mut sum[..], SystemOperation::sum());
    finish(&specs, &headers, &mut sum)
}

/// The parts of a state that belong to the tensors.
fn split<'s, R: Real>(specs: &[FisherSpec], mut state: &'s mut [R]) -> Vec<&'s mut [R]> {
    let mut parts = Vec::new();
    for spec in specs {
        let (part, rest) = std::mem::take(&mut state).split_at_mut(spec.state_len::<R>());
        parts.push(part);
        state = rest;
    }
    parts
}

/// Observes the blocks of this rank. Blocks are dealt to slots and slots to ranks, so that a slot is filled by one rank, in order.
fn observe_own<R: Real>(
    world: &impl Communicator,
    network: &Network,
    images: &Images,
    specs: &[FisherSpec],
    state: &mut [R],
) -> Result<Vec<FisherHeader>, Error> {
    let (rank, ranks) = (world.rank() as usize, world.size() as usize);
    let fishers = specs.iter().zip(split(specs, state)).map(|(&spec, state)| DiagonalFisher::exact(spec, state));
    let mut fishers = fishers.collect::<Result<Vec<_>, _>>()?;
    let own = |block: &usize| block % SLOTS as usize % ranks == rank;
    for block in (0..images.count().div_ceil(BLOCK)).filter(own) {
        let places: Vec<usize> = (block * BLOCK..images.count().min((block + 1) * BLOCK)).collect();
        fishers.iter_mut().try_for_each(|fisher| fisher.begin_block(block as u64))?;
        observe(network, &images.at(&places), &mut fishers)?;
    }
    fishers.iter().map(DiagonalFisher::header).collect()
}

/// Observes a block: the expectation over all labels, by a pass backward for every column of a root of the labels' covariance.
fn observe<R: Real>(network: &Network, images: &Images, fishers: &mut [DiagonalFisher<'_, ExactLabels, R>]) -> Result<(), Error> {
    let seen = network.forward(&images.pixels);
    let probabilities: Vec<Vec<f64>> = seen[network.layers.len()].chunks_exact(network.classes()).map(softmax).collect();
    let ones = vec![R::ONE; images.count()];
    let mut scratch = vec![R::ZERO; DiagonalFisher::<ExactLabels, R>::LINEAR_SCRATCH];
    let columns = network.classes() - 1;
    for column in 0..columns {
        let gradients = network.backward(&seen, at_logits(&probabilities, column)?);
        for (((layer, pair), inputs), gradients) in network.layers.iter().zip(fishers.chunks_exact_mut(2)).zip(&seen).zip(&gradients) {
            let (inputs, gradients) = (rounded::<R>(inputs), rounded::<R>(gradients));
            let batch = LayerBatch::new(&inputs[..], &gradients[..], &ones).columns(columns as u32);
            pair[0].observe_linear((layer.outputs, layer.inputs), &batch, &mut scratch)?;
            pair[1].observe_bias(&batch)?;
        }
    }
    fishers.iter_mut().try_for_each(|fisher| fisher.end_batch(&ones))
}

/// A column for every example of a block.
fn at_logits(probabilities: &[Vec<f64>], column: usize) -> Result<Vec<f64>, Error> {
    let mut all = Vec::new();
    for of in probabilities {
        let (mut suffix, mut gradient) = (vec![0.0; of.len()], vec![0.0; of.len()]);
        LabelCovariance::new(of, &mut suffix)?.column(column, &mut gradient)?;
        all.extend(gradient);
    }
    Ok(all)
}

fn rounded<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().map(|&value| R::from_f64(value)).collect()
}

fn finish<R: Real>(specs: &[FisherSpec], headers: &[FisherHeader], sum: &mut [R]) -> Result<Fisher, Error> {
    let mut finished = Fisher { values: Vec::new(), examples: 0 };
    for (header, state) in headers.iter().zip(split(specs, sum)) {
        let fisher = DiagonalFisher::<ExactLabels, R>::resume_sum(header, state)?;
        let mut values = vec![0.0; header.spec.length()];
        finished.examples = fisher.finish_into(&mut values[..])?.examples;
        finished.values.extend(values);
    }
    Ok(finished)
}
