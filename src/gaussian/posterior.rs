//! A Gaussian posterior over one tensor, over borrowed views.

use super::Factor;
use crate::error::{Error, Role};
use crate::kernel::Magnitude;
use crate::scalar::Real;
use crate::view::{Stored, Values};

/// The precision Λ of a posterior. `P` is a view as long as the mean.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Precision<P, R: Real> {
    /// `Λ = s·I` on this tensor; `s = 1` makes the merge a plain average.
    PerTensor(R),
    /// `Λ = diag(F)`, for instance a diagonal Fisher.
    Diagonal(P),
}

/// A Gaussian posterior `N(μ, Λ⁻¹)` over the parameters of one tensor (the Laplace approximation of Matena & Raffel 2022). The
/// mean and a diagonal precision are views of equal length, in any storage type; `R` is the arithmetic.
///
/// ```
/// use fisher_merge::{Merge, Posterior};
/// let a = Posterior::diagonal(&[1.0_f32, 5.0][..], &[3.0_f32, 0.0][..])?;
/// let b = Posterior::diagonal(&[2.0_f32, 7.0][..], &[1.0_f32, 2.0][..])?;
/// let mut merged = [0.0_f32; 2];
/// let _ = Merge::new().run(&[a.power(0.5_f64), b.power(0.5)], &mut merged[..])?;
/// assert_eq!(merged, [1.25, 7.0]);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Posterior<V, P, R: Real> {
    mean: V,
    precision: Precision<P, R>,
}

impl<V: Values<R> + Copy, R: Real> Posterior<V, V, R> {
    /// `Λ = I`: products are plain weighted averages.
    #[must_use]
    pub fn isotropic(mean: V) -> Self {
        Self::scaled(mean, R::ONE)
    }

    /// `Λ = precision · I`, one number for the whole tensor. The merge checks that it is finite and not negative.
    #[must_use]
    pub fn scaled(mean: V, precision: R) -> Self {
        Self { mean, precision: Precision::PerTensor(precision) }
    }
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Posterior<V, P, R> {
    /// `Λ = diag(precision)`. Two empty views make an empty posterior.
    ///
    /// # Errors
    /// [`Error::Length`] (tensor 0, model 0) if the two differ in length.
    pub fn diagonal(mean: V, precision: P) -> Result<Self, Error> {
        let (expected, found) = (mean.count(), precision.count());
        if expected == found {
            Ok(Self { mean, precision: Precision::Diagonal(precision) })
        } else {
            Err(Error::Length { tensor: 0, model: 0, role: Role::Precision, expected, found })
        }
    }

    /// [`diagonal`](Self::diagonal) of two views that are known to be of one length.
    pub(crate) fn paired(mean: V, precision: P) -> Self {
        Self { mean, precision: Precision::Diagonal(precision) }
    }

    /// A precision of any kind, for code that mixes them in one merge.
    ///
    /// # Errors
    /// As [`diagonal`](Self::diagonal).
    pub fn new(mean: V, precision: Precision<P, R>) -> Result<Self, Error> {
        match precision {
            Precision::PerTensor(_) => Ok(Self { mean, precision }),
            Precision::Diagonal(diagonal) => Self::diagonal(mean, diagonal),
        }
    }

    /// This posterior to the power `weight` (λ): the same mean, `λ·Λ`. A product takes factors; scaling all of their weights changes no
    /// mean.
    #[must_use]
    pub fn power(self, weight: R) -> Factor<V, P, R> {
        Factor::new(self, weight, R::ZERO, Magnitude::ONE)
    }

    /// The mean μ.
    #[must_use]
    pub fn mean(&self) -> V {
        self.mean
    }

    /// The precision Λ.
    #[must_use]
    pub fn precision(&self) -> Precision<P, R> {
        self.precision
    }
}

impl<V: Stored, P, R: Real> Posterior<V, P, R> {
    /// How many parameters it is over.
    #[must_use]
    pub fn count(&self) -> usize {
        self.mean.count()
    }
}
