//! Images with labels, in the layout of `optdigits.safetensors`.

use std::path::Path;

use safetensors::SafeTensors;

pub struct Images {
    /// One after the other, value/16.
    pub pixels: Vec<f64>,
    pub labels: Vec<u8>,
}

impl Images {
    /// Reads `<split>.images` `[count, pixels]` and `<split>.labels` `[count]`, both bytes.
    pub fn open(path: &Path, split: &str) -> Result<Self, String> {
        let name = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{name}: {error}"))?;
        let tensor = |what: &str, dimensions: usize| {
            let tensor = format!("{split}.{what}");
            let view = file.tensor(&tensor).map_err(|error| format!("{name}: {tensor}: {error}"))?;
            if view.dtype() != safetensors::Dtype::U8 || view.shape().len() != dimensions {
                let (dtype, shape) = (view.dtype(), view.shape());
                return Err(format!("{name}: {tensor} holds {dtype:?} of shape {shape:?}, expected U8 of {dimensions} dimensions"));
            }
            Ok((view.data().to_vec(), view.shape()[0]))
        };
        let ((pixels, images), (labels, count)) = (tensor("images", 2)?, tensor("labels", 1)?);
        if images != count {
            return Err(format!("{name}: {images} images in {split} have {count} labels"));
        }
        Ok(Self { pixels: pixels.iter().map(|&value| f64::from(value) / 16.0).collect(), labels })
    }

    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Those of the images at these places.
    pub fn at(&self, places: &[usize]) -> Self {
        let width = self.pixels.len().checked_div(self.count()).unwrap_or_default();
        let pixels = places.iter().flat_map(|&place| self.pixels[place * width..(place + 1) * width].iter().copied()).collect();
        Self { pixels, labels: places.iter().map(|&place| self.labels[place]).collect() }
    }

    /// Where these labels are.
    pub fn labelled(&self, labels: &[u8]) -> Vec<usize> {
        (0..self.count()).filter(|&place| labels.contains(&self.labels[place])).collect()
    }
}
