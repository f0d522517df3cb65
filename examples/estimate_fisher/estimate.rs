//! The estimate: gradients at the outputs of every layer, given to accumulators that need no gradient of a single example.

use std::collections::BTreeMap;

use fisher_merge::{
    DiagonalFisher, Error, Estimator, ExactLabels, FisherRecord, FisherSpec, LayerBatch, ObservedLabels, PerExample, SampledLabels,
};

use crate::images::Images;
use crate::network::{Network, softmax};

/// Images that go through the network at once.
const BATCH: usize = 64;

/// A diagonal Fisher by tensor name, and what it is an estimate of.
pub struct Fisher {
    pub tensors: BTreeMap<String, Vec<f64>>,
    pub record: FisherRecord,
}

/// Numbers that a seed stands for (the generator is that of P. L'Ecuyer's table for 2⁶⁴).
pub struct Sampler(u64);

impl Sampler {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d))
    }

    /// From zero to below one.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A place, each as often as its probability.
    fn draw(&mut self, probabilities: &[f64]) -> usize {
        let mut left = self.unit();
        for (place, probability) in probabilities.iter().enumerate() {
            left -= probability;
            if left < 0.0 {
                return place;
            }
        }
        // What rounding left over.
        probabilities.len() - 1
    }

    pub fn shuffle(&mut self, places: &mut [usize]) {
        for last in (1..places.len()).rev() {
            places.swap(last, (self.unit() * (last + 1) as f64) as usize);
        }
    }
}

/// Estimates the Fisher of all layers from these images.
pub fn estimate(network: &Network, images: &Images, estimator: Estimator, seed: u64) -> Result<Fisher, String> {
    let width = images.pixels.len().checked_div(images.count()).unwrap_or_default();
    if images.count() == 0 || width != network.inputs() {
        return Err(format!("{} images of {width} pixels, expected some of {}", images.count(), network.inputs()));
    }
    if let Some(label) = images.labels.iter().find(|&&label| usize::from(label) >= network.classes()) {
        return Err(format!("label {label}, expected less than {}", network.classes()));
    }
    let mut states: Vec<[Vec<f64>; 2]> = Vec::new();
    for layer in &network.layers {
        states.push([layer.outputs * layer.inputs, layer.outputs].map(|length| vec![0.0; FisherSpec::new(length).state_len::<f64>()]));
    }
    let estimated = match estimator {
        Estimator::MonteCarlo { draws } => {
            let fishers = start(network, &mut states, |spec, state| DiagonalFisher::<SampledLabels, _>::sampled(draws, spec, state));
            fishers.and_then(|fishers| run(network, images, estimator, seed, fishers))
        }
        Estimator::Empirical => {
            let fishers = start(network, &mut states, DiagonalFisher::<ObservedLabels, _>::observed_labels);
            fishers.and_then(|fishers| run(network, images, estimator, seed, fishers))
        }
        _ => {
            let fishers = start(network, &mut states, DiagonalFisher::<ExactLabels, _>::exact);
            fishers.and_then(|fishers| run(network, images, estimator, seed, fishers))
        }
    };
    estimated.map_err(|error| error.to_string())
}

/// Accumulators of a layer: of its weight and of its bias.
type Pair<'s, E> = [DiagonalFisher<'s, E, f64>; 2];

fn start<'s, E: PerExample>(
    network: &Network,
    states: &'s mut [[Vec<f64>; 2]],
    start: impl Fn(FisherSpec, &'s mut [f64]) -> Result<DiagonalFisher<'s, E, f64>, Error>,
) -> Result<Vec<Pair<'s, E>>, Error> {
    let mut fishers = Vec::new();
    for (layer, [weight, bias]) in network.layers.iter().zip(states) {
        let weight = start(FisherSpec::new(layer.outputs * layer.inputs), weight)?;
        fishers.push([weight, start(FisherSpec::new(layer.outputs), bias)?]);
    }
    Ok(fishers)
}

fn run<E: PerExample>(
    network: &Network,
    images: &Images,
    estimator: Estimator,
    seed: u64,
    mut fishers: Vec<Pair<'_, E>>,
) -> Result<Fisher, Error> {
    let mut sampler = Sampler::new(seed);
    let mut scratch = vec![0.0; DiagonalFisher::<E, f64>::LINEAR_SCRATCH];
    for (pixels, labels) in images.pixels.chunks(BATCH * network.inputs()).zip(images.labels.chunks(BATCH)) {
        let seen = network.forward(pixels);
        let probabilities: Vec<Vec<f64>> = seen[network.layers.len()].chunks_exact(network.classes()).map(softmax).collect();
        for (chosen, weights) in observations(&mut sampler, estimator, &probabilities, labels) {
            let gradients = network.backward(&seen, scores(&probabilities, &chosen));
            for (((layer, [weight, bias]), inputs), gradients) in network.layers.iter().zip(&mut fishers).zip(&seen).zip(&gradients) {
                let batch = LayerBatch::new(&inputs[..], &gradients[..], &weights);
                weight.observe_linear((layer.outputs, layer.inputs), &batch, &mut scratch)?;
                bias.observe_bias(&batch)?;
            }
        }
        let ones = vec![1.0; labels.len()];
        fishers.iter_mut().flatten().try_for_each(|fisher| fisher.end_batch(&ones))?;
    }
    finish(network, &fishers)
}

/// For every pass backward: the label of each example, and its weight.
fn observations(sampler: &mut Sampler, estimator: Estimator, probabilities: &[Vec<f64>], labels: &[u8]) -> Vec<(Vec<usize>, Vec<f64>)> {
    let count = probabilities.len();
    match estimator {
        Estimator::MonteCarlo { draws } => {
            let mut draw = || probabilities.iter().map(|of| sampler.draw(of)).collect();
            (0..draws).map(|_| (draw(), vec![1.0 / f64::from(draws); count])).collect()
        }
        Estimator::Empirical => vec![(labels.iter().map(|&label| usize::from(label)).collect(), vec![1.0; count])],
        _ => {
            let classes = probabilities.first().map_or(0, Vec::len);
            (0..classes).map(|class| (vec![class; count], probabilities.iter().map(|of| of[class]).collect())).collect()
        }
    }
}

/// `∇ log p(y|x)` at the logits: one at the label, less the probabilities.
fn scores(probabilities: &[Vec<f64>], labels: &[usize]) -> Vec<f64> {
    let mut all = Vec::new();
    for (of, &label) in probabilities.iter().zip(labels) {
        // At the label, 1 − p as the sum of the others: near p = 1 the difference has no digits.
        let others: f64 = of.iter().enumerate().filter(|&(class, _)| class != label).map(|(_, p)| p).sum();
        all.extend(of.iter().enumerate().map(|(class, &p)| if class == label { others } else { -p }));
    }
    all
}

fn finish<E: PerExample>(network: &Network, fishers: &[Pair<'_, E>]) -> Result<Fisher, Error> {
    let mut tensors = BTreeMap::new();
    let mut record = None;
    for (layer, pair) in network.layers.iter().zip(fishers) {
        for (what, fisher) in ["weight", "bias"].into_iter().zip(pair) {
            let mut values = vec![0.0; fisher.spec().length()];
            record = Some(fisher.finish_into(&mut values[..])?);
            tensors.insert(format!("{}.{what}", layer.number), values);
        }
    }
    record.map(|record| Fisher { tensors, record }).ok_or(Error::NoModels)
}
