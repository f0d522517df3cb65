//! One side of a Kronecker product: a multiple of the identity, a diagonal by groups, or a matrix; with what damping adds to its diagonal.

use super::posterior::Structure;
use crate::scalar::Real;

#[derive(Clone, Copy, Debug)]
pub(super) enum Side<'a, R> {
    /// `s·I`
    Scaled(R),
    /// Equal numbers of rows share an entry.
    Groups(&'a [R]),
    /// Row by row.
    Matrix(&'a [R]),
}

impl<'a, R: Real> Structure<'a, R> {
    /// `Λ = left ⊗ right`, where it is such a product.
    pub(super) fn sides(&self) -> Option<(Side<'a, R>, Side<'a, R>)> {
        match *self {
            Self::Scalar(scale) => Some((Side::Scaled(scale), Side::Scaled(R::ONE))),
            Self::Rows(values) => Some((Side::Groups(values), Side::Scaled(R::ONE))),
            Self::InputCovariance(inputs) => Some((Side::Scaled(R::ONE), Side::Matrix(inputs))),
            Self::Kronecker { outputs, inputs } => Some((Side::Matrix(outputs), Side::Matrix(inputs))),
            Self::Diagonal(_) | Self::Dense(_) | Self::LowRank { .. } => None,
        }
    }
}

impl<R: Real> Side<'_, R> {
    /// The diagonal entry `index` of `n`.
    pub(super) fn diagonal(&self, index: usize, n: usize) -> R {
        match *self {
            Self::Scaled(scale) => scale,
            Self::Groups(values) => values.get(index / (n / values.len().max(1)).max(1)).copied().unwrap_or(R::ZERO),
            Self::Matrix(values) => values.get(index * n + index).copied().unwrap_or(R::ZERO),
        }
    }

    /// The mean of the diagonal, zero for none.
    pub(super) fn mean_diagonal(&self, n: usize) -> R {
        mean((0..n).map(|index| self.diagonal(index, n)))
    }

    /// `out ← out + weight·(side + damping·I)`, `[n, n]`.
    pub(super) fn add_to(&self, n: usize, weight: R, damping: R, out: &mut [R]) {
        if let Self::Matrix(values) = *self {
            out.iter_mut().zip(values).for_each(|(out, &value)| *out = *out + weight * value);
        }
        for index in 0..n {
            let own = if matches!(self, Self::Matrix(_)) { R::ZERO } else { self.diagonal(index, n) };
            if let Some(out) = out.get_mut(index * n + index) {
                *out = *out + weight * (own + damping);
            }
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_zero(&self) -> bool {
        match *self {
            Self::Scaled(scale) => scale == R::ZERO,
            Self::Groups(values) | Self::Matrix(values) => values.iter().all(|&value| value == R::ZERO),
        }
    }
}

/// The mean of some numbers, zero for none.
pub(super) fn mean<R: Real>(values: impl ExactSizeIterator<Item = R>) -> R {
    #[allow(clippy::cast_precision_loss, reason = "more than 2^53 numbers are out of reach")]
    let count = values.len().max(1) as f64;
    // In f64, where a sum of many f32 does not stall.
    R::from_f64(values.map(|value| value.as_f64()).sum::<f64>() / count)
}
