//! Damping: what is added to factors of a precision, and around which mean.

use super::posterior::Structure;
use super::side::{Side, mean};
use crate::error::{Error, Role};
use crate::kernel::scaled::defect;
use crate::scalar::Real;

/// How much is added to the diagonal of each factor, relative to its mean diagonal: `(G + γ·Ḡ·I) ⊗ (A + α·Ā·I)`, where `Ḡ` and `Ā` are mean
/// diagonals. What is added is a prior with a mean of its own ([`DampingMean`]), never an epsilon in a denominator: a direction in which no
/// model has evidence falls to that mean and not to zero. Diagonal, row, scalar and low-rank structures are not damped.
///
/// The defaults gave 91.8, 89.3, 88.9 and 85.8 % (Kronecker, 0.03) and 91.3, 91.0, 89.6 and 90.3 % (input covariance, 0.01) of test accuracy on four
/// pairs of digits models whose plain average has 84.1, 73.4, 74.4 and 73.7 %.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Damping<R> {
    /// Of both factors of [`Structure::Kronecker`]: 0.03.
    pub kronecker: R,
    /// Of [`Structure::InputCovariance`]: 0.01.
    pub input_covariance: R,
    /// Of [`Structure::Dense`]: 0.01.
    pub dense: R,
}

impl<R: Real> Default for Damping<R> {
    fn default() -> Self {
        Self { kronecker: R::from_f64(0.03), input_covariance: R::from_f64(0.01), dense: R::from_f64(0.01) }
    }
}

impl<R: Real> Damping<R> {
    /// The same share for every structure that is damped; zero for none at all.
    #[must_use]
    pub const fn all(share: R) -> Self {
        Self { kronecker: share, input_covariance: share, dense: share }
    }

    /// Refuses shares that are no sizes.
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad = [self.kronecker, self.input_covariance, self.dense].into_iter().find_map(|share| defect(share, Role::Precision));
        bad.map_or(Ok(()), |defect| Err(Error::BadDamping { defect }))
    }

    /// More of it.
    pub(super) fn raised(self, by: R) -> Self {
        Self { kronecker: self.kronecker + by, input_covariance: self.input_covariance + by, dense: self.dense + by }
    }

    /// What it adds to the diagonals of the left and the right factor; for a dense structure the first is that of the whole.
    pub(super) fn of(&self, structure: &Structure<'_, R>, (rows, columns): (usize, usize)) -> (R, R) {
        match structure {
            Structure::Kronecker { outputs, inputs } => {
                let of = |values, n| self.kronecker * Side::Matrix(values).mean_diagonal(n);
                (of(outputs, rows), of(inputs, columns))
            }
            Structure::InputCovariance(inputs) => (R::ZERO, self.input_covariance * Side::Matrix(inputs).mean_diagonal(columns)),
            Structure::Dense(values) => {
                let n = rows * columns;
                (self.dense * mean((0..n).map(|index| values.get(index * n + index).copied().unwrap_or(R::ZERO))), R::ZERO)
            }
            _ => (R::ZERO, R::ZERO),
        }
    }
}

/// The mean of the prior that damping adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum DampingMean<'a, R> {
    /// Each model's own: where models agree on what they have evidence for, it changes nothing.
    #[default]
    Own,
    /// The average of all models by weight.
    Average,
    /// These numbers, for instance of the model that all were trained from.
    Given(&'a [R]),
}
