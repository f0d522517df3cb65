//! Layers with structured Fishers, which are merged whole: a weight with its bias as one matrix.
//!
//! Beside the tensor `<layer>.weight [out, in]` of a model, a Fisher's file may hold
//!
//! | tensor | what |
//! |---|---|
//! | `<layer>.weight.fisher.inputs [k, k]` | the second moment of the inputs, `A`; `k` is `in`, or `in + 1` where the last input is the constant one of `<layer>.bias` |
//! | `<layer>.weight.fisher.outputs [out, out]` | that of the gradients at the outputs, `G`; without it the Fisher is an input covariance |
//! | `<layer>.weight.fisher.dense [out·k, out·k]` | the whole, row by row of `[W \| b]` |
//!
//! A model whose file has `<layer>.weight` and `<layer>.bias` instead takes part with that diagonal.

use std::collections::BTreeSet;

use fisher_merge::{ParameterSource, ParameterTarget, Real, Structure, StructuredPosterior};

use super::checkpoint::Checkpoint;

const INPUTS: &str = ".fisher.inputs";
const OUTPUTS: &str = ".fisher.outputs";
const DENSE: &str = ".fisher.dense";

/// A layer that some model has a structured Fisher of.
pub struct Layer {
    pub weight: String,
    /// Where it is a part of the matrix.
    pub bias: Option<String>,
    /// `[W | b]`.
    pub shape: (usize, usize),
}

/// Whether a tensor is a part of a structured Fisher.
pub fn is_factor(name: &str) -> bool {
    [INPUTS, OUTPUTS, DENSE].iter().any(|suffix| name.ends_with(suffix))
}

/// The shape of a tensor.
fn shape<'c>(checkpoint: &'c Checkpoint, name: &str) -> Option<&'c [usize]> {
    checkpoint.entries().find(|entry| entry.name == name).map(|entry| &entry.shape[..])
}

/// The layers of all Fishers, with what does not go together as findings.
pub fn find(fishers: &[Checkpoint], target: &Checkpoint, findings: &mut Vec<String>) -> Vec<Layer> {
    let names = fishers.iter().flat_map(Checkpoint::entries).filter(|entry| is_factor(&entry.name));
    let weights: BTreeSet<&str> = names.filter_map(|entry| entry.name.rsplit_once(".fisher.").map(|(weight, _)| weight)).collect();
    let mut layers = Vec::new();
    for weight in weights {
        match layer(fishers, target, weight) {
            Ok(layer) => layers.push(layer),
            Err(finding) => findings.push(finding),
        }
    }
    layers
}

/// Whether there is a bias in its matrix follows from the size of its factors.
fn layer(fishers: &[Checkpoint], target: &Checkpoint, weight: &str) -> Result<Layer, String> {
    let Some(&[rows, inputs]) = shape(target, weight) else {
        return Err(format!("{}: tensor {weight} has a structured Fisher, expected a matrix of two dimensions", target.path().display()));
    };
    let mut folded = None;
    for fisher in fishers {
        for (suffix, plain, homogeneous) in
            [(INPUTS, inputs, inputs + 1), (OUTPUTS, rows, rows), (DENSE, rows * inputs, rows * (inputs + 1))]
        {
            let name = format!("{weight}{suffix}");
            let Some(found) = shape(fisher, &name) else { continue };
            let sizes = [plain, homogeneous].map(|size| [size, size]);
            let which =
                sizes.iter().position(|size| found == size).filter(|&which| suffix == OUTPUTS || *folded.get_or_insert(which) == which);
            if which.is_none() {
                let path = fisher.path().display();
                return Err(format!(
                    "{path}: tensor {name} has shape {found:?}, expected {:?} or {:?}, as in all files",
                    sizes[0], sizes[1]
                ));
            }
        }
    }
    let bias = if folded == Some(1) { weight.strip_suffix("weight").map(|layer| format!("{layer}bias")) } else { None };
    if folded == Some(1) && bias.as_ref().and_then(|bias| shape(target, bias)) != Some(&[rows]) {
        return Err(format!("{}: tensor {weight} has a Fisher with a bias, which is not there", target.path().display()));
    }
    Ok(Layer { weight: weight.into(), shape: (rows, inputs + usize::from(bias.is_some())), bias })
}

/// All numbers of a tensor.
fn read<R: Real>(checkpoint: &Checkpoint, name: &str) -> Result<Vec<R>, String> {
    let place = |what: &dyn std::fmt::Display| format!("{}: tensor {name}: {what}", checkpoint.path().display());
    let index = ParameterSource::<R>::find(checkpoint, name, 0).ok_or_else(|| place(&"is missing"))?;
    let count = ParameterSource::<R>::info(checkpoint, index).map_or(0, |info| info.shape.iter().product());
    let mut values = vec![R::ZERO; count];
    ParameterSource::<R>::read(checkpoint, index, 0, &mut values).map_err(|error| checkpoint.failure().unwrap_or_else(|| place(&error)))?;
    Ok(values)
}

/// What a model's file holds of a layer's Fisher.
pub enum Fisher<R> {
    None,
    Diagonal(Vec<R>),
    InputCovariance(Vec<R>),
    Kronecker(Vec<R>, Vec<R>),
    Dense(Vec<R>),
}

impl<R: Real> Fisher<R> {
    pub fn structure(&self) -> Structure<'_, R> {
        match self {
            Self::None => Structure::Scalar(R::ONE),
            Self::Diagonal(values) => Structure::Diagonal(values),
            Self::InputCovariance(inputs) => Structure::InputCovariance(inputs),
            Self::Kronecker(outputs, inputs) => Structure::Kronecker { outputs, inputs },
            Self::Dense(values) => Structure::Dense(values),
        }
    }
}

impl Layer {
    /// Whether this is one of its tensors.
    pub fn holds(&self, name: &str) -> bool {
        self.weight == name || self.bias.as_deref() == Some(name)
    }

    /// `[W | b]` of a checkpoint, of a model or of a diagonal Fisher.
    pub fn matrix<R: Real>(&self, checkpoint: &Checkpoint) -> Result<Vec<R>, String> {
        let weight = read::<R>(checkpoint, &self.weight)?;
        let (rows, columns) = self.shape;
        let inputs = columns - usize::from(self.bias.is_some());
        let bias = self.bias.as_ref().map(|bias| read::<R>(checkpoint, bias)).transpose()?.unwrap_or_default();
        if weight.len() != rows * inputs || (self.bias.is_some() && bias.len() != rows) {
            return Err(format!("{}: tensor {} is of another shape than the target's", checkpoint.path().display(), self.weight));
        }
        let mut biases = bias.iter();
        let lines = weight.chunks(inputs.max(1)).flat_map(|line| line.iter().chain(biases.next()).copied().collect::<Vec<R>>());
        Ok(lines.collect())
    }

    /// Writes `[W | b]` to the tensors that it is made of.
    pub fn write<R: Real>(&self, matrix: &[R], out: &mut dyn ParameterTarget<R>) -> Result<(), fisher_merge::StoreError> {
        let columns = self.shape.1;
        let inputs = columns - usize::from(self.bias.is_some());
        let parts = [(Some(&self.weight), 0..inputs), (self.bias.as_ref(), inputs..columns)];
        for (name, range) in parts {
            let Some(index) = name.and_then(|name| out.find(name, 0)) else { continue };
            let values: Vec<R> = matrix.chunks(columns.max(1)).flat_map(|line| line[range.clone()].iter().copied()).collect();
            out.write(index, 0, &values)?;
            out.finish(index)?;
        }
        Ok(())
    }

    /// A model's Fisher of this layer.
    pub fn fisher<R: Real>(&self, file: Option<&Checkpoint>) -> Result<Fisher<R>, String> {
        let Some(file) = file else { return Ok(Fisher::None) };
        let name = |suffix: &str| format!("{}{suffix}", self.weight);
        let has = |suffix: &str| shape(file, &name(suffix)).is_some();
        if has(DENSE) {
            Ok(Fisher::Dense(read(file, &name(DENSE))?))
        } else if has(OUTPUTS) {
            Ok(Fisher::Kronecker(read(file, &name(OUTPUTS))?, read(file, &name(INPUTS))?))
        } else if has(INPUTS) {
            Ok(Fisher::InputCovariance(read(file, &name(INPUTS))?))
        } else {
            Ok(Fisher::Diagonal(self.matrix(file)?))
        }
    }

    /// A model's posterior of this layer.
    pub fn posterior<'v, R: Real>(&self, mean: &'v [R], fisher: &'v Fisher<R>) -> Result<StructuredPosterior<'v, R>, String> {
        StructuredPosterior::new(mean, self.shape, fisher.structure()).map_err(|error| format!("tensor {}: {error}", self.weight))
    }
}
