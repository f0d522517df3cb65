//! The estimate: gradients at the outputs of every layer, given to accumulators that need no gradient of a single example.

use fisher_merge::{Error, Estimator, ExactLabels, ObservedLabels, SampledLabels};

use crate::images::Images;
use crate::layers::{Fisher, Form, Labels, LayerFisher, begin};
use crate::network::{Network, softmax};

/// Images that go through the network at once.
const BATCH: usize = 64;

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

/// Estimates the Fishers of all layers from these images.
pub fn estimate(network: &Network, images: &Images, (form, estimator): (Form, Estimator), seed: u64) -> Result<Fisher, String> {
    let width = images.pixels.len().checked_div(images.count()).unwrap_or_default();
    if images.count() == 0 || width != network.inputs() {
        return Err(format!("{} images of {width} pixels, expected some of {}", images.count(), network.inputs()));
    }
    if let Some(label) = images.labels.iter().find(|&&label| usize::from(label) >= network.classes()) {
        return Err(format!("label {label}, expected less than {}", network.classes()));
    }
    let data = Data { network, images, estimator, seed };
    let estimated = match estimator {
        Estimator::MonteCarlo { draws } => data.run::<SampledLabels>(form, draws),
        Estimator::Empirical => data.run::<ObservedLabels>(form, 1),
        _ => data.run::<ExactLabels>(form, 1),
    };
    estimated.map_err(|error| error.to_string())
}

struct Data<'d> {
    network: &'d Network,
    images: &'d Images,
    estimator: Estimator,
    seed: u64,
}

impl Data<'_> {
    fn run<E: Labels>(&self, form: Form, draws: u32) -> Result<Fisher, Error> {
        let (network, images) = (self.network, self.images);
        let mut states: Vec<[Vec<f64>; 2]> = network.layers.iter().map(|_| Default::default()).collect();
        let mut fishers: Vec<Box<dyn LayerFisher + '_>> = Vec::new();
        for (layer, states) in network.layers.iter().zip(&mut states) {
            fishers.push(begin::<E>(form, layer, draws, states)?);
        }
        let mut sampler = Sampler::new(self.seed);
        for (pixels, labels) in images.pixels.chunks(BATCH * network.inputs()).zip(images.labels.chunks(BATCH)) {
            let seen = network.forward(pixels);
            let ones = vec![1.0; labels.len()];
            for (fisher, inputs) in fishers.iter_mut().zip(&seen) {
                fisher.inputs(inputs, &ones)?;
            }
            let probabilities: Vec<Vec<f64>> = seen[network.layers.len()].chunks_exact(network.classes()).map(softmax).collect();
            for (chosen, weights) in observations(&mut sampler, self.estimator, &probabilities, labels) {
                let gradients = network.backward(&seen, scores(&probabilities, &chosen));
                for ((fisher, inputs), gradients) in fishers.iter_mut().zip(&seen).zip(&gradients) {
                    fisher.label(inputs, gradients, &weights)?;
                }
            }
            fishers.iter_mut().try_for_each(|fisher| fisher.end(&ones))?;
        }
        let mut all: Option<Fisher> = None;
        for (fisher, layer) in fishers.iter().zip(&network.layers) {
            let (record, tensors) = fisher.finish(layer)?;
            all.get_or_insert_with(|| Fisher::new(record)).tensors.extend(tensors);
        }
        all.ok_or(Error::NoModels)
    }
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
