//! Floors and norms: from what the caller asks of all Fishers to the two numbers that a factor carries.
//!
//! Floors come before normalisation, and both are measured on the Fisher as it is: `p = λ/norm(F) · max(F, floor)`, as in the published
//! code of Matena & Raffel 2022 (absolute floor on the target, then division by each model's L2 norm).

use crate::error::{Error, Role};
use crate::gaussian::{Factor, Precision};
use crate::kernel::Magnitude;
use crate::kernel::coefficient::saturate;
use crate::kernel::scaled::defect;
use crate::kernel::sums::FisherStatistics;
use crate::policy::{Floor, FloorOn, FloorScope, Normalize};
use crate::scalar::Real;
use crate::view::Values;

/// What is asked of the Fishers of all models of a merge.
///
/// ```
/// use fisher_merge::*;
/// // The paper's published code: a floor of 1e-6 on the target, then every Fisher over its L2 norm.
/// let rule = Conditioning::new().floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target).normalize(Normalize::L2);
/// let (means, fishers) = ([[1.0, 1.0], [3.0, 3.0]], [[0.0, 4.0], [1e-6, 3.0]]);
/// let mut factors = Vec::new();
/// for model in 0..2 {
///     let mut statistics = FisherStatistics::new();
///     statistics.observe(&fishers[model][..]); // every tensor of the model
///     let scale = rule.scale(&statistics, model == 0)?;
///     let posterior = Posterior::diagonal(&means[model][..], &fishers[model][..])?;
///     factors.push(posterior.power(0.5).conditioned(&scale));
/// }
/// let mut merged = [0.0_f64; 2];
/// let summary = Merge::new().run(&factors, &mut merged[..])?;
/// assert!((merged[0] - (1.0 / 4.0 + 3.0 / 3.0) / (1.0 / 4.0 + 1.0 / 3.0)).abs() < 1e-12);
/// assert_eq!((summary.floored, summary.normalized), (1, true));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditioning {
    floor: Floor,
    floor_on: FloorOn,
    normalize: Normalize,
}

impl Conditioning {
    /// Fishers as they are.
    #[must_use]
    pub const fn new() -> Self {
        Self { floor: Floor::None, floor_on: FloorOn::All, normalize: Normalize::None }
    }

    /// The lower bound of Fisher entries.
    #[must_use]
    pub const fn floor(mut self, floor: Floor) -> Self {
        self.floor = floor;
        self
    }

    /// Which models the floor holds for.
    #[must_use]
    pub const fn floor_on(mut self, models: FloorOn) -> Self {
        self.floor_on = models;
        self
    }

    /// What the Fishers are divided by.
    #[must_use]
    pub const fn normalize(mut self, normalize: Normalize) -> Self {
        self.normalize = normalize;
        self
    }

    /// Whether [`scale`](Self::scale) looks at the statistics, which cost a pass over the Fishers.
    #[must_use]
    pub const fn needs_statistics(&self) -> bool {
        !matches!(self.normalize, Normalize::None) || matches!(self.floor, Floor::Relative { scope: FloorScope::Model, .. })
    }

    /// The floor and the norm of one model. `statistics` is of its whole Fisher (not looked at unless
    /// [`needs_statistics`](Self::needs_statistics)); the target is the first model of positive weight. A Fisher without an entry above
    /// zero is not divided, and has no relative floor.
    ///
    /// # Errors
    /// [`Error::BadFloor`] if the floor is NaN, infinite or negative.
    pub fn scale(&self, statistics: &FisherStatistics, is_target: bool) -> Result<ModelScale, Error> {
        let number = match self.floor {
            Floor::None => 0.0,
            Floor::Absolute(value) => value,
            Floor::Relative { share, .. } => share,
        };
        if let Some(defect) = defect(number, Role::Precision) {
            return Err(Error::BadFloor { defect });
        }
        let mean = || statistics.mean().map_or(0.0, Magnitude::as_f64);
        let floor = match self.floor {
            _ if self.floor_on == FloorOn::Target && !is_target => ResolvedFloor::Value(0.0),
            Floor::None => ResolvedFloor::Value(0.0),
            Floor::Absolute(value) => ResolvedFloor::Value(value),
            Floor::Relative { share, scope: FloorScope::Model } => ResolvedFloor::Value(share * mean()),
            Floor::Relative { share, scope: FloorScope::Tensor } => ResolvedFloor::OfTensor(share),
        };
        let norm = match self.normalize {
            Normalize::None => None,
            Normalize::L2 => statistics.l2(),
            Normalize::Mean => statistics.mean(),
        };
        Ok(ModelScale { floor, norm: norm.unwrap_or(Magnitude::ONE) })
    }
}

/// A floor in the Fisher's units, or a share of each tensor's mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ResolvedFloor {
    Value(f64),
    OfTensor(f64),
}

/// The floor and the norm of one model's Fisher, made by [`Conditioning::scale`] and carried by its factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelScale {
    floor: ResolvedFloor,
    norm: Magnitude,
}

impl ModelScale {
    /// What the Fisher is divided by.
    #[must_use]
    pub fn norm(&self) -> Magnitude {
        self.norm
    }

    /// Whether the floor is a share of each tensor's own mean.
    pub(crate) fn is_of_tensor(&self) -> bool {
        matches!(self.floor, ResolvedFloor::OfTensor(_))
    }

    /// The floor in the arithmetic type, for a tensor of this mean of its Fisher entries.
    pub(crate) fn floor<R: Real>(&self, mean: impl FnOnce() -> f64) -> R {
        let floor = match self.floor {
            ResolvedFloor::Value(value) => value,
            ResolvedFloor::OfTensor(share) => share * mean(),
        };
        // A floor that the arithmetic would lose stays its least positive number, and one above its range its largest.
        if floor > 0.0 { saturate(R::from_f64(floor)) } else { R::ZERO }
    }
}

impl<V: Values<R> + Copy, P: Values<R> + Values<f64> + Copy, R: Real> Factor<V, P, R> {
    /// This factor with its model's floor and norm. A floor relative to the tensor takes one pass over the tensor's Fisher here.
    #[must_use]
    pub fn conditioned(self, scale: &ModelScale) -> Self {
        let floor = scale.floor(|| match self.posterior().precision() {
            Precision::PerTensor(value) => value.as_f64(),
            Precision::Diagonal(fisher) => {
                let mut statistics = FisherStatistics::new();
                statistics.observe(fisher);
                statistics.mean().map_or(0.0, Magnitude::as_f64)
            }
        });
        self.with_scale(floor, scale.norm)
    }
}

/// The target among these weights: the first model of positive weight, whose value an element without evidence keeps.
///
/// ```
/// assert_eq!(fisher_merge::target(&[0.0, 0.5, 0.5]), Some(1));
/// assert_eq!(fisher_merge::target::<f32>(&[]), None);
/// ```
#[must_use]
pub fn target<R: Real>(weights: &[R]) -> Option<usize> {
    weights.iter().position(|&weight| weight > R::ZERO)
}
