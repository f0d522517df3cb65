//! The classifier that the digits checkpoints hold: a ReLU multilayer perceptron whose parameters are named `<i>.weight` `[out, in]` and
//! `<i>.bias` `[out]`, in increasing `<i>`.

use std::collections::BTreeMap;

/// Parameters by tensor name.
pub type Parameters = BTreeMap<String, Vec<f64>>;

/// One linear layer. A ReLU follows all but the last.
pub struct Layer {
    /// The number in its name.
    pub number: u32,
    pub inputs: usize,
    pub outputs: usize,
    /// Row by row.
    weights: Vec<f64>,
    biases: Vec<f64>,
}

pub struct Network {
    pub layers: Vec<Layer>,
}

impl Network {
    /// The layers by their numbers, compared with each other.
    pub fn new(parameters: &Parameters) -> Result<Self, String> {
        let mut numbers: Vec<u32> = parameters.keys().filter_map(|name| name.strip_suffix(".weight")?.parse().ok()).collect();
        numbers.sort_unstable();
        let find = |name: String| parameters.get(&name).cloned().ok_or_else(|| format!("tensor {name} is missing"));
        let mut layers: Vec<Layer> = Vec::new();
        for number in numbers {
            let (weights, biases) = (find(format!("{number}.weight"))?, find(format!("{number}.bias"))?);
            let outputs = biases.len();
            let inputs = weights.len().checked_div(outputs).unwrap_or_default();
            let before = layers.last().map_or(inputs, |layer| layer.outputs);
            if outputs == 0 || inputs == 0 || inputs != before || inputs * outputs != weights.len() {
                return Err(format!(
                    "tensor {number}.weight has {} numbers, expected {before} for each of {outputs} outputs",
                    weights.len()
                ));
            }
            layers.push(Layer { number, inputs, outputs, weights, biases });
        }
        if layers.is_empty() { Err("there is no tensor <number>.weight".into()) } else { Ok(Self { layers }) }
    }

    /// Numbers of an input.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    pub fn classes(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// What every layer sees, and the logits at the end, of `count` inputs one after the other.
    pub fn forward(&self, inputs: &[f64]) -> Vec<Vec<f64>> {
        let mut seen = vec![inputs.to_vec()];
        for (depth, layer) in self.layers.iter().enumerate() {
            let mut outputs = Vec::new();
            for input in seen[depth].chunks_exact(layer.inputs) {
                let rows = layer.weights.chunks_exact(layer.inputs).zip(&layer.biases);
                outputs.extend(rows.map(|(row, bias)| bias + row.iter().zip(input).map(|(weight, value)| weight * value).sum::<f64>()));
            }
            if depth + 1 < self.layers.len() {
                outputs.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            seen.push(outputs);
        }
        seen
    }

    /// Gradients at the outputs of every layer, from those at the logits and from what [`forward`](Self::forward) saw.
    pub fn backward(&self, seen: &[Vec<f64>], logits: Vec<f64>) -> Vec<Vec<f64>> {
        let mut gradients = vec![logits];
        for (depth, layer) in self.layers.iter().enumerate().skip(1).rev() {
            let behind = &gradients[gradients.len() - 1];
            let mut before = vec![0.0; seen[depth].len()];
            for (gradient, out) in behind.chunks_exact(layer.outputs).zip(before.chunks_exact_mut(layer.inputs)) {
                for (row, &gradient) in layer.weights.chunks_exact(layer.inputs).zip(gradient) {
                    row.iter().zip(&mut *out).for_each(|(weight, out)| *out += weight * gradient);
                }
            }
            // The ReLU lets through what it let through forward.
            before.iter_mut().zip(&seen[depth]).filter(|(_, value)| **value <= 0.0).for_each(|(out, _)| *out = 0.0);
            gradients.push(before);
        }
        gradients.reverse();
        gradients
    }

    /// How many of these inputs get their label.
    pub fn right(&self, inputs: &[f64], labels: &[u8]) -> usize {
        let logits = self.forward(inputs).pop().unwrap_or_default();
        let best = |logits: &[f64]| (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        logits.chunks_exact(self.classes()).zip(labels).filter(|(logits, label)| best(logits) == Some(usize::from(**label))).count()
    }
}

/// `p(y|x)` from the logits of one example.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
