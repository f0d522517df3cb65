//! Models and Fishers as files.
//!
//! A Fisher is a safetensors file of `f32`: a tensor of the same name and shape for every parameter of its model, or the factors that
//! `examples/shared/layers.rs` names. These strings are in its metadata: `structure` (`diagonal`, `kronecker-expand`, `dense`; of input covariances
//! there are no `outputs`), `estimator` (`exact`, `monte-carlo`, `empirical`), `draws`, `examples`, `weight` (what the sum was divided by), `reduction`
//! (`mean`), and `model`, the FNV-1a hash of the model's file, 64 bits in hexadecimal.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use fisher_merge::{AnySlice, Dtype, Estimator, FisherStructure, Stored, Values};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::layers::Fisher;
use crate::network::Parameters;

pub struct Checkpoint {
    pub parameters: Parameters,
    /// A hash of the file.
    pub hash: u64,
}

impl Checkpoint {
    /// Reads a file of numbers.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| format!("{name}: {error}"))?;
        let mut parameters = Parameters::new();
        for (tensor, view) in file.tensors() {
            let dtype = match view.dtype() {
                safetensors::Dtype::F64 => Dtype::F64,
                safetensors::Dtype::F32 => Dtype::F32,
                safetensors::Dtype::F16 => Dtype::F16,
                safetensors::Dtype::BF16 => Dtype::Bf16,
                other => return Err(format!("{name}: tensor {tensor} holds {other:?}, expected floating-point numbers")),
            };
            let values = AnySlice::of_bytes(dtype, view.data()).map_err(|error| format!("{name}: tensor {tensor}: {error}"))?;
            parameters.insert(tensor, (0..values.count()).filter_map(|index| values.at(index)).collect());
        }
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Ok(Self { parameters, hash })
    }

    /// Writes a Fisher of this model beside its place first, and moves it there when it is whole.
    pub fn write_fisher(&self, fisher: &Fisher, path: &Path) -> Result<(), String> {
        let bytes: BTreeMap<&String, Vec<u8>> = fisher.tensors.iter().map(|(name, (_, values))| (name, little_endian(values))).collect();
        let views = bytes.iter().map(|(name, bytes)| {
            let shape = fisher.tensors[*name].0.clone();
            TensorView::new(safetensors::Dtype::F32, shape, bytes).map(|view| (name.to_string(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{}: {error}", path.display()))?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = safetensors::serialize_to_file(views, Some(self.provenance(fisher)), &temporary)
            .map_err(|error| error.to_string())
            .and_then(|()| std::fs::rename(&temporary, path).map_err(|error| error.to_string()));
        written.map_err(|error| {
            // Nobody is left to hear of a second error.
            let _ = std::fs::remove_file(&temporary);
            format!("{}: {error}", path.display())
        })
    }

    fn provenance(&self, fisher: &Fisher) -> HashMap<String, String> {
        let (estimator, draws) = match fisher.record.estimator {
            Estimator::MonteCarlo { draws } => ("monte-carlo", draws),
            Estimator::Empirical => ("empirical", 1),
            _ => ("exact", 0),
        };
        let structure = match fisher.record.structure {
            FisherStructure::KroneckerExpand => "kronecker-expand",
            FisherStructure::Dense => "dense",
            _ => "diagonal",
        };
        HashMap::from([
            ("structure".into(), structure.into()),
            ("estimator".into(), estimator.into()),
            ("draws".into(), draws.to_string()),
            ("examples".into(), fisher.record.examples.to_string()),
            ("weight".into(), fisher.record.weight.to_string()),
            ("reduction".into(), "mean".into()),
            ("model".into(), format!("{:016x}", self.hash)),
        ])
    }
}

fn little_endian(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()
}
