//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use fisher_merge::{BadNumbers, Conditioning, Dtype, Floor, FloorOn, FloorScope, Merge, NoEvidence, Normalize, Real};
use regex::Regex;

use super::Failure;

/// Merges safetensors checkpoints as Gaussian posteriors: the mode of the product of the models' posteriors, and its precision.
#[derive(Parser)]
#[command(name = "merge_checkpoints")]
pub struct Arguments {
    /// A checkpoint: a .safetensors file, or the .safetensors.index.json of a sharded one. Repeat for every model.
    #[arg(long = "model", required = true, value_name = "FILE")]
    pub models: Vec<PathBuf>,
    /// The Fisher of the model in the same place: a diagonal, or factors as `estimate_fisher --structure` writes them. As many as models, or none: then the
    /// merge is a weighted average.
    #[arg(long = "fisher", value_name = "FILE")]
    pub fishers: Vec<PathBuf>,
    /// The weight λ of the model in the same place. As many as models, or none: then 1/M each.
    #[arg(long = "weight", value_name = "NUMBER", allow_negative_numbers = true)]
    pub weights: Vec<f64>,
    /// Where the merged checkpoint goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where the merged precision goes, in f32.
    #[arg(long, value_name = "FILE")]
    pub precision_out: Option<PathBuf>,
    /// How merged tensors are stored; `keep`: as in the target, the first model of positive weight.
    #[arg(long, value_enum, default_value = "keep")]
    pub out_dtype: OutDtype,
    /// What is reckoned in.
    #[arg(long, value_enum, default_value = "f64")]
    pub arithmetic: Arithmetic,
    /// What every Fisher is divided by.
    #[arg(long, value_enum, default_value = "none")]
    pub normalize: Norm,
    /// A lower bound for Fisher entries, before any normalisation.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub floor: Option<f64>,
    /// Which models the floor holds for.
    #[arg(long, value_enum, default_value = "all")]
    pub floor_on: On,
    /// The floor is a share of the mean of the Fisher.
    #[arg(long, requires = "floor")]
    pub floor_relative: bool,
    /// Over what that mean is taken.
    #[arg(long, value_enum, default_value = "tensor", requires = "floor_relative")]
    pub floor_scope: Scope,
    /// What a parameter gets that no model has evidence for.
    #[arg(long, value_enum, default_value = "target")]
    pub no_evidence: Without,
    /// What happens to NaN, infinity and negative Fisher entries.
    #[arg(long, value_enum, default_value = "error")]
    pub nan: Nan,
    /// What is added to the factors of structured Fishers, relative to their mean diagonals; if not given, 0.03 (Kronecker) and 0.01 (input covariance, dense).
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub damping: Option<f64>,
    /// The mean of the prior that damping adds: `own` of each model, `average`, `target`, or a checkpoint.
    #[arg(long, default_value = "own", value_name = "own|average|target|FILE")]
    pub damping_mean: String,
    /// Merges only tensors whose name matches; the others are copied from the target.
    #[arg(long, value_name = "REGEX")]
    pub only: Option<Regex>,
    /// Copies tensors whose name matches from the target.
    #[arg(long, value_name = "REGEX")]
    pub skip: Option<Regex>,
    /// Where the counts go, as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum OutDtype {
    F64,
    F32,
    F16,
    Bf16,
    Keep,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Arithmetic {
    F32,
    F64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Norm {
    None,
    L2,
    Mean,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum On {
    All,
    Target,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Scope {
    Tensor,
    Model,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Without {
    Target,
    Mean,
    Error,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Nan {
    Error,
    Propagate,
}

impl Arguments {
    /// Refuses what no file could make right.
    pub fn checked(mut self) -> Result<Self, Failure> {
        let models = self.models.len();
        for (what, found) in [("--fisher", self.fishers.len()), ("--weight", self.weights.len())] {
            if found != 0 && found != models {
                return Err(Failure::Call(format!("{found} times {what}, expected {models} (one for every --model) or none")));
            }
        }
        if self.weights.is_empty() {
            #[allow(clippy::cast_precision_loss, reason = "nobody names 2^53 files")]
            self.weights.resize(models, 1.0 / models as f64);
        }
        for (number, weight) in self.weights.iter().enumerate() {
            if !(weight.is_finite() && *weight >= 0.0) {
                return Err(Failure::Call(format!("--weight {weight} of model {}: expected a finite number, zero or more", number + 1)));
            }
        }
        if self.weights.iter().all(|&weight| weight == 0.0) {
            return Err(Failure::Call("every --weight is zero, expected at least one above zero".into()));
        }
        if let Some(floor) = self.floor.filter(|floor| !(floor.is_finite() && *floor >= 0.0)) {
            return Err(Failure::Call(format!("--floor {floor}: expected a finite number, zero or more")));
        }
        if let Some(damping) = self.damping.filter(|damping| !(damping.is_finite() && *damping >= 0.0)) {
            return Err(Failure::Call(format!("--damping {damping}: expected a finite number, zero or more")));
        }
        let outputs: Vec<&Path> =
            [Some(&self.out), self.precision_out.as_ref(), self.report.as_ref()].into_iter().flatten().map(|path| &**path).collect();
        if (1..outputs.len()).any(|k| outputs[..k].contains(&outputs[k])) {
            return Err(Failure::Call("two outputs have one name".into()));
        }
        Ok(self)
    }

    /// The number of the target: the first model of positive weight.
    pub fn target(&self) -> usize {
        fisher_merge::target(&self.weights).unwrap_or_default()
    }

    /// Whether a tensor of this name is merged.
    pub fn selects(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(name)) && !self.skip.as_ref().is_some_and(|skip| skip.is_match(name))
    }

    /// How a merged tensor of the target is stored.
    pub fn stored_as(&self, target: Dtype) -> Dtype {
        match self.out_dtype {
            OutDtype::Keep => target,
            OutDtype::F64 => Dtype::F64,
            OutDtype::F32 => Dtype::F32,
            OutDtype::F16 => Dtype::F16,
            OutDtype::Bf16 => Dtype::Bf16,
        }
    }

    pub fn policies<R: Real>(&self) -> Merge<'static, R> {
        let no_evidence = match self.no_evidence {
            Without::Target => NoEvidence::KeepTarget,
            Without::Mean => NoEvidence::WeightedMean,
            Without::Error => NoEvidence::Error,
        };
        let bad_numbers = match self.nan {
            Nan::Error => BadNumbers::Refuse,
            Nan::Propagate => BadNumbers::Propagate,
        };
        Merge::new().no_evidence(no_evidence).bad_numbers(bad_numbers)
    }

    pub fn conditioning(&self) -> Conditioning {
        let scope = if self.floor_scope == Scope::Model { FloorScope::Model } else { FloorScope::Tensor };
        let floor = match self.floor {
            None => Floor::None,
            Some(share) if self.floor_relative => Floor::Relative { share, scope },
            Some(value) => Floor::Absolute(value),
        };
        let floor_on = if self.floor_on == On::Target { FloorOn::Target } else { FloorOn::All };
        let normalize = match self.normalize {
            Norm::None => Normalize::None,
            Norm::L2 => Normalize::L2,
            Norm::Mean => Normalize::Mean,
        };
        Conditioning::new().floor(floor).floor_on(floor_on).normalize(normalize)
    }
}
