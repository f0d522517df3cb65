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

/// A side with its damping, and the power of two that is its size: `cG⊗A/c` is `G⊗A`, so sides are looked at without theirs, or those of one
/// model would drown in a sum with another's, and their squares would leave the range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damped<'a, R> {
    side: Side<'a, R>,
    damping: R,
    pub(super) exponent: i32,
}

impl<'a, R: Real> Damped<'a, R> {
    pub(super) fn new(side: Side<'a, R>, damping: R, n: usize) -> Self {
        let size = side.mean_diagonal(n) + damping;
        let exponent = if size > R::ZERO && size.is_finite() { size.split().1 } else { 0 };
        // So that its inverse is within the range as well.
        Self { side, damping, exponent: exponent.clamp(R::MIN_EXPONENT, -R::MIN_EXPONENT) }
    }

    fn scale(&self) -> R {
        R::ONE.times_power_of_two(-self.exponent)
    }

    /// `out ← out + weight·self`, `[n, n]`.
    pub(super) fn add_to(&self, n: usize, weight: R, out: &mut [R]) {
        self.side.add_to(n, weight * self.scale(), self.damping, out);
    }

    /// The diagonal entry `index` of `n`.
    fn diagonal(&self, index: usize, n: usize) -> f64 {
        (self.side.diagonal(index, n) + self.damping).as_f64() * self.scale().as_f64()
    }

    /// The mean of the diagonal, zero for none.
    pub(super) fn size(&self, n: usize) -> R {
        (self.side.mean_diagonal(n) + self.damping) * self.scale()
    }

    /// `⟨self, M⟩`
    pub(super) fn inner(&self, n: usize, matrix: &[R]) -> f64 {
        let entry = |index: usize| matrix.get(index * n + index).map_or(0.0, |value| value.as_f64());
        let Side::Matrix(values) = self.side else { return (0..n).map(|index| self.diagonal(index, n) * entry(index)).sum() };
        let (scale, damping) = (self.scale().as_f64(), self.damping.as_f64());
        let own: f64 = values.iter().zip(matrix).map(|(a, b)| a.as_f64() * scale * b.as_f64()).sum();
        own + damping * scale * (0..n).map(entry).sum::<f64>()
    }

    /// `⟨self, other⟩`
    pub(super) fn between(&self, other: &Self, n: usize) -> f64 {
        let (Side::Matrix(a), Side::Matrix(b)) = (self.side, other.side) else {
            return (0..n).map(|index| self.diagonal(index, n) * other.diagonal(index, n)).sum();
        };
        let (scale, other_scale) = (self.scale().as_f64(), other.scale().as_f64());
        let own: f64 = a.iter().zip(b).map(|(a, b)| (a.as_f64() * scale) * (b.as_f64() * other_scale)).sum();
        // With the damping, diagonals are longer than those of the matrices.
        let bare = |of: &Self, index: usize, scale: f64| of.side.diagonal(index, n).as_f64() * scale;
        let more =
            |index: usize| self.diagonal(index, n) * other.diagonal(index, n) - bare(self, index, scale) * bare(other, index, other_scale);
        own + (0..n).map(more).sum::<f64>()
    }
}

/// The mean of some numbers, zero for none.
pub(super) fn mean<R: Real>(values: impl ExactSizeIterator<Item = R>) -> R {
    #[allow(clippy::cast_precision_loss, reason = "more than 2^53 numbers are out of reach")]
    let count = values.len().max(1) as f64;
    // In f64, where a sum of many f32 does not stall.
    R::from_f64(values.map(|value| value.as_f64()).sum::<f64>() / count)
}
