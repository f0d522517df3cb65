//! The classifier that the digits checkpoints hold, and the images to try it on.

use std::error::Error;
use std::path::Path;

use safetensors::SafeTensors;

use super::checkpoint::Parameters;

/// Test images and their labels.
pub struct Images {
    pixels: Vec<f64>,
    labels: Vec<u8>,
}

impl Images {
    /// Reads the test half; the inputs are value/16.
    pub fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let name = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{name}: {error}"))?;
        let pixels = file.tensor("test.images")?.data().iter().map(|&value| f64::from(value) / 16.0).collect();
        Ok(Self { pixels, labels: file.tensor("test.labels")?.data().to_vec() })
    }

    pub fn count(&self) -> usize {
        self.labels.len()
    }
}

/// Weights row by row, and biases.
type Layer<'a> = (&'a [f64], &'a [f64]);

/// The layers by the number in their name, in increasing order.
fn layers(parameters: &Parameters) -> Result<Vec<Layer<'_>>, Box<dyn Error>> {
    let mut numbers: Vec<u32> = parameters.keys().filter_map(|name| name.strip_suffix(".weight")?.parse().ok()).collect();
    numbers.sort_unstable();
    let find = |name: String| parameters.get(&name).map(Vec::as_slice).ok_or_else(|| format!("tensor {name} is missing"));
    let layer = |number: u32| Ok((find(format!("{number}.weight"))?, find(format!("{number}.bias"))?));
    numbers.into_iter().map(layer).collect()
}

/// How many images a model gets right.
pub fn accuracy(parameters: &Parameters, images: &Images) -> Result<usize, Box<dyn Error>> {
    let layers = layers(parameters)?;
    let pixels = images.pixels.len() / images.count().max(1);
    let right = |(image, label): (&[f64], &u8)| classify(&layers, image) == Some(usize::from(*label));
    Ok(images.pixels.chunks_exact(pixels.max(1)).zip(&images.labels).filter(|&each| right(each)).count())
}

/// The class with the largest output.
fn classify(layers: &[Layer<'_>], image: &[f64]) -> Option<usize> {
    let mut values = image.to_vec();
    for (depth, (weights, biases)) in layers.iter().enumerate() {
        let rows = weights.chunks_exact(values.len().max(1)).zip(*biases);
        values = rows.map(|(row, bias)| bias + row.iter().zip(&values).map(|(weight, value)| weight * value).sum::<f64>()).collect();
        if depth + 1 < layers.len() {
            values.iter_mut().for_each(|value| *value = value.max(0.0));
        }
    }
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]))
}
