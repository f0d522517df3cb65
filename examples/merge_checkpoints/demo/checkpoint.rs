//! A checkpoint file: tensors by name, each a view of little-endian bytes.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use fisher_merge::{Dtype, LeBytes, Stored, Values};
use safetensors::SafeTensors;

use crate::network::Parameters;

/// Tensors by name, with their shapes.
pub type Tensors<'a> = BTreeMap<String, (Tensor<'a>, Vec<usize>)>;

/// A file, whole in memory.
pub struct Checkpoint {
    path: String,
    bytes: Vec<u8>,
}

/// One tensor of a file.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    pub values: LeBytes<&'a [u8]>,
}

impl Checkpoint {
    /// Reads a file and its header.
    pub fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        SafeTensors::deserialize(&bytes).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { path: name, bytes })
    }

    /// All tensors.
    pub fn tensors(&self) -> Result<Tensors<'_>, Box<dyn Error>> {
        let mut all = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(&self.bytes)?.tensors() {
            let dtype = match view.dtype() {
                safetensors::Dtype::F64 => Dtype::F64,
                safetensors::Dtype::F32 => Dtype::F32,
                safetensors::Dtype::F16 => Dtype::F16,
                safetensors::Dtype::BF16 => Dtype::Bf16,
                other => return Err(format!("{}: tensor {name} holds {other:?}, expected floating-point numbers", self.path).into()),
            };
            all.insert(name, (Tensor { values: LeBytes::new(dtype, view.data())? }, view.shape().to_vec()));
        }
        Ok(all)
    }

    /// The tensor of this name and shape.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor<'_>, Box<dyn Error>> {
        let (tensor, found) = self.tensors()?.remove(name).ok_or_else(|| format!("{}: tensor {name} is missing", self.path))?;
        if found == shape {
            Ok(tensor)
        } else {
            Err(format!("{}: tensor {name} has shape {found:?}, expected {shape:?}", self.path).into())
        }
    }

    /// All numbers of all tensors.
    pub fn parameters(&self) -> Result<Parameters, Box<dyn Error>> {
        let numbers = |tensor: Tensor<'_>| (0..tensor.values.count()).filter_map(|index| tensor.values.at(index)).collect();
        Ok(self.tensors()?.into_iter().map(|(name, (tensor, _))| (name, numbers(tensor))).collect())
    }
}
