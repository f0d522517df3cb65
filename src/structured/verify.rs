//! Numbers of structures are looked at before anything is written.

use super::posterior::{Structure, StructuredPosterior};
use crate::error::{Defect, Error, LinearFault, Role};
use crate::kernel::scaled::defect;
use crate::scalar::Real;

/// How far `a_ij` and `a_ji`, or `|a_ij|` and `√(a_ii·a_jj)`, may be apart, relative to the latter: what sums in single precision leave.
const SLACK: f64 = 1e-4;

/// What is looked at, for errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) tensor: usize,
    pub(super) model: usize,
}

impl Place {
    fn bad(self, role: Role, index: usize, defect: Defect) -> Error {
        Error::BadNumber { tensor: self.tensor, model: self.model, role, index, defect }
    }
}

/// Refuses NaN and infinities, negative precisions, and matrices that are not symmetric or cannot be positive semidefinite.
pub(super) fn posterior<R: Real>(place: Place, posterior: &StructuredPosterior<'_, R>) -> Result<(), Error> {
    mean(place, Role::Mean, posterior.mean)?;
    let (rows, columns) = posterior.shape;
    match posterior.structure {
        Structure::Scalar(value) => precisions(place, &[value]),
        Structure::Rows(values) | Structure::Diagonal(values) => precisions(place, values),
        Structure::InputCovariance(inputs) => matrix(place, inputs, columns),
        Structure::Kronecker { outputs, inputs } => {
            matrix(place, outputs, rows)?;
            matrix(place, inputs, columns)
        }
        Structure::Dense(values) => matrix(place, values, rows * columns),
        Structure::LowRank { diagonal, factor } => {
            precisions(place, diagonal)?;
            mean(place, Role::Precision, factor)
        }
    }
}

/// Finite numbers.
pub(super) fn mean<R: Real>(place: Place, role: Role, values: &[R]) -> Result<(), Error> {
    let bad = values.iter().enumerate().find_map(|(index, &value)| defect(value, Role::Mean).map(|defect| (index, defect)));
    bad.map_or(Ok(()), |(index, defect)| Err(place.bad(role, index, defect)))
}

fn precisions<R: Real>(place: Place, values: &[R]) -> Result<(), Error> {
    let bad = values.iter().enumerate().find_map(|(index, &value)| defect(value, Role::Precision).map(|defect| (index, defect)));
    bad.map_or(Ok(()), |(index, defect)| Err(place.bad(Role::Precision, index, defect)))
}

/// A matrix `[n, n]`.
fn matrix<R: Real>(place: Place, values: &[R], n: usize) -> Result<(), Error> {
    mean(place, Role::Precision, values)?;
    let at = |i: usize, j: usize| values.get(i * n + j).copied().unwrap_or(R::ZERO).as_f64();
    for i in 0..n {
        if at(i, i) < 0.0 {
            return Err(place.bad(Role::Precision, i * n + i, Defect::Negative));
        }
        // Roots apart, so that their product does not leave the range.
        let root = libm::sqrt(at(i, i));
        for j in 0..i {
            let (below, above) = (at(i, j), at(j, i));
            let most = root * libm::sqrt(at(j, j));
            if (below - above).abs() > SLACK * most {
                return Err(Error::NotSolved { tensor: place.tensor, fault: LinearFault::NotSymmetric { row: i, column: j } });
            }
            if below.abs() > (1.0 + SLACK) * most {
                return Err(Error::NotSolved { tensor: place.tensor, fault: LinearFault::NotPositiveDefinite { pivot: i } });
            }
        }
    }
    Ok(())
}
