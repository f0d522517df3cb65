//! The merge of layers with structured Fishers, one whole layer at a time.

use fisher_merge::{
    Damping, DampingMean, Error, ParameterTarget, Real, Role, Solved, StructureMut, StructuredFactor, StructuredMerge, Summary,
    merged_precision,
};

use super::arguments::Arguments;
use super::checkpoint::Checkpoint;
use super::layers::{Fisher, Layer};

/// Where the prior that damping adds has its mean.
pub enum Around {
    Own,
    Average,
    Given(Checkpoint),
    /// The model of this number.
    Model(usize),
}

/// The inputs of a run, as far as whole layers need them.
pub struct Whole<'i> {
    pub models: &'i [Checkpoint],
    pub fishers: &'i [Checkpoint],
    pub around: &'i Around,
}

impl Whole<'_> {
    /// Merges a layer into the outputs. Gives how it was solved, and what was counted.
    pub fn merge<R: Real>(
        &self,
        arguments: &Arguments,
        layer: &Layer,
        mean: &mut dyn ParameterTarget<R>,
        precision: Option<&mut dyn ParameterTarget<R>>,
    ) -> Result<(Solved, Summary), String> {
        let means = self.models.iter().map(|model| layer.matrix::<R>(model)).collect::<Result<Vec<_>, _>>()?;
        let fishers = (0..means.len()).map(|model| layer.fisher::<R>(self.fishers.get(model))).collect::<Result<Vec<_>, _>>()?;
        let prior = match self.around {
            Around::Own | Around::Average => None,
            Around::Given(file) => Some(layer.matrix::<R>(file)?),
            Around::Model(number) => means.get(*number).cloned(),
        };
        let mut factors = Vec::new();
        for ((mean, fisher), &weight) in means.iter().zip(&fishers).zip(&arguments.weights) {
            factors.push(layer.posterior(mean, fisher)?.power(R::from_f64(weight)));
        }
        let around = match (&self.around, &prior) {
            (Around::Average, _) => DampingMean::Average,
            (_, Some(prior)) => DampingMean::Given(prior),
            _ => DampingMean::Own,
        };
        let damping = arguments.damping.map_or_else(Damping::default, |share| Damping::all(R::from_f64(share)));
        let merge = StructuredMerge::new().damping(damping).damping_mean(around);
        let mut merged = vec![R::ZERO; layer.shape.0 * layer.shape.1];
        let solved = merge
            .scratch(&factors)
            .and_then(|needed| merge.run(&factors, &mut merged, &mut vec![R::ZERO; needed]))
            .map_err(|error| self.explain(layer, &fishers, error))?;
        layer.write(&merged, mean).map_err(|error| format!("tensor {}: {error}", layer.weight))?;
        if let Some(out) = precision {
            self.precision(layer, (&factors, damping), out)?;
        }
        let mut summary = Summary::default();
        (summary.elements, summary.no_evidence) = (merged.len() as u64, solved.no_evidence);
        Ok((solved, summary))
    }

    /// The diagonal of the merged precision.
    fn precision<R: Real>(
        &self,
        layer: &Layer,
        (factors, damping): (&[StructuredFactor<'_, R>], Damping<R>),
        out: &mut dyn ParameterTarget<R>,
    ) -> Result<(), String> {
        let words = |error: &dyn std::fmt::Display| format!("tensor {}: {error}", layer.weight);
        let mut diagonal = vec![R::ZERO; layer.shape.0 * layer.shape.1];
        merged_precision(factors, damping, StructureMut::Diagonal(&mut diagonal)).map_err(|error| words(&error))?;
        layer.write(&diagonal, out).map_err(|error| words(&error))
    }

    /// An error of the library in the words of files.
    fn explain<R>(&self, layer: &Layer, fishers: &[Fisher<R>], error: Error) -> String {
        match error {
            Error::BadNumber { model, role, index, defect, .. } => {
                let files = if role == Role::Precision { self.fishers } else { self.models };
                let file = files.get(model).map_or_else(String::new, |file| format!("{}: ", file.path().display()));
                let structure = match (role, fishers.get(model)) {
                    (Role::Precision, Some(Fisher::Kronecker(..))) => " (outputs, then inputs)",
                    _ => "",
                };
                format!("{file}tensor {}: {role}{structure} [{index}] is {defect}", layer.weight)
            }
            Error::NotSolved { fault, .. } => format!("tensor {}: {fault} (see --damping)", layer.weight),
            other => format!("tensor {}: {other}", layer.weight),
        }
    }
}
