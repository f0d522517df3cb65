//! A model of a merge over stores: where its means and its precision are, and its weight.

use crate::scalar::Real;
use crate::store::ParameterSource;

/// Where the means of a model are.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ModelMean<'a, R: Real> {
    /// In a store.
    Store(&'a dyn ParameterSource<R>),
    /// In the target, as it is before the merge.
    InPlace,
}

/// Where the precision of a model is. Structured kinds join here.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ModelPrecision<'a, R: Real> {
    /// `Λ = I`: the plain average.
    Isotropic,
    /// `Λ = s·I` on each tensor: one number for every tensor of the target, in the target's order.
    PerTensor(&'a [R]),
    /// `Λ = diag(F)`: a store with a tensor of the same name and shape for every tensor that is merged.
    Diagonal(&'a dyn ParameterSource<R>),
}

/// One posterior of a product, to the power of its weight.
#[derive(Clone, Copy)]
pub struct Model<'a, R: Real> {
    /// Its means.
    pub mean: ModelMean<'a, R>,
    /// Its precision.
    pub precision: ModelPrecision<'a, R>,
    /// Its weight λ.
    pub weight: R,
}

impl<'a, R: Real> Model<'a, R> {
    /// A model of two stores.
    #[must_use]
    pub fn diagonal(mean: &'a dyn ParameterSource<R>, fisher: &'a dyn ParameterSource<R>, weight: R) -> Self {
        Self { mean: ModelMean::Store(mean), precision: ModelPrecision::Diagonal(fisher), weight }
    }

    /// A model without a Fisher: `Λ = I`.
    #[must_use]
    pub fn isotropic(mean: &'a dyn ParameterSource<R>, weight: R) -> Self {
        Self { mean: ModelMean::Store(mean), precision: ModelPrecision::Isotropic, weight }
    }

    /// A model whose means are those in the target, where the merge will be.
    #[must_use]
    pub const fn in_place(precision: ModelPrecision<'a, R>, weight: R) -> Self {
        Self { mean: ModelMean::InPlace, precision, weight }
    }

    pub(super) fn mean_store(&self) -> Option<&'a dyn ParameterSource<R>> {
        match self.mean {
            ModelMean::Store(store) => Some(store),
            ModelMean::InPlace => None,
        }
    }

    pub(super) fn fisher_store(&self) -> Option<&'a dyn ParameterSource<R>> {
        match self.precision {
            ModelPrecision::Diagonal(store) => Some(store),
            ModelPrecision::Isotropic | ModelPrecision::PerTensor(_) => None,
        }
    }
}

impl<R: Real> core::fmt::Debug for Model<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model").field("mean", &self.mean).field("precision", &self.precision).field("weight", &self.weight).finish()
    }
}

impl<R: Real> core::fmt::Debug for ModelMean<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Store(_) => "Store",
            Self::InPlace => "InPlace",
        })
    }
}

impl<R: Real> core::fmt::Debug for ModelPrecision<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Isotropic => f.write_str("Isotropic"),
            Self::PerTensor(scales) => f.debug_tuple("PerTensor").field(scales).finish(),
            Self::Diagonal(_) => f.write_str("Diagonal"),
        }
    }
}
