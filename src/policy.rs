//! What the caller may decide: what happens without evidence, with bad numbers, and which floor and norm a Fisher gets.
//!
//! Types only; the kernels carry the first two out, the `conditioning` room resolves the others into numbers. A new policy starts here.

use crate::scalar::Real;

/// What an element gets at which the total precision is zero. The summary counts such elements whatever the policy.
///
/// If exactly one weight is positive, that model comes back before any policy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum NoEvidence<'a, R: Real> {
    /// The value of the target, the first model of positive weight (the default, as in the paper's published code).
    #[default]
    KeepTarget,
    /// The mean of all models of positive weight, weighted by their λ: the recurrence with `Λ_m = 1`.
    WeightedMean,
    /// The value of a prior mean at that element, a slice as long as the output.
    PriorMean(&'a [R]),
    /// The merge is refused.
    Error,
}

/// What happens to NaN, to infinity and to a precision below zero. The summary counts them where they propagate.
///
/// A model of weight zero takes no part, so its numbers are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadNumbers {
    /// Refuse, naming tensor, model and index (the default).
    #[default]
    Refuse,
    /// A mean that is NaN or infinite goes through the formula; an element at which a precision is NaN, infinite or negative comes out as
    /// NaN, with a NaN precision.
    Propagate,
}

/// A lower bound for Fisher entries, put in place before any normalisation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Floor {
    /// None (the default).
    #[default]
    None,
    /// This value, in the Fisher's own units. Not invariant under scaling of the Fishers.
    Absolute(f64),
    /// This share of the Fisher's own mean: `floor = share · mean(F)`.
    Relative {
        /// The factor of the mean.
        share: f64,
        /// Over what the mean is taken.
        scope: FloorScope,
    },
}

/// Over what a relative floor takes its mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FloorScope {
    /// The tensor that is being merged.
    #[default]
    Tensor,
    /// The whole model.
    Model,
}

/// Which models a floor holds for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FloorOn {
    /// All of them.
    #[default]
    All,
    /// The target alone, the first model of positive weight (as the paper's published code does).
    Target,
}

/// By what every Fisher of a model is divided, so that models of different sizes of evidence weigh alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Normalize {
    /// By nothing (the default).
    #[default]
    None,
    /// By the L2 norm of the model's Fisher, over all its tensors, before any floor.
    L2,
    /// By the mean of the model's Fisher, over all its tensors, before any floor.
    Mean,
}
