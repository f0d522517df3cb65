//! The precision of a merge in a structure of the caller's choice: exact where sums of such structures are closed, projected where not.

use super::damping::Damping;
use super::merge::weights;
use super::posterior::StructuredFactor;
use super::problem::Sum;
use super::side::Side;
use super::verify::{self, Place};
use crate::error::{Error, LinearFault};
use crate::scalar::Real;

/// Where a precision goes.
#[derive(Debug)]
#[non_exhaustive]
pub enum StructureMut<'o, R> {
    /// The diagonal of Λ*: exact for scalars, rows and diagonals, the projection of everything else.
    Diagonal(&'o mut [R]),
    /// `A [columns, columns]`: exact for input covariances and scalars.
    InputCovariance(&'o mut [R]),
    /// `G⊗A`: the nearest Kronecker product in the Frobenius norm (C. Van Loan & N. Pitsianis, "Approximation with Kronecker Products", 1993), by
    /// alternating least squares; exact where one factor is common to all. Both factors are positive semidefinite where the sum's are.
    Kronecker {
        /// `G [rows, rows]`.
        outputs: &'o mut [R],
        /// `A [columns, columns]`.
        inputs: &'o mut [R],
    },
    /// Every entry, exact for all.
    Dense(&'o mut [R]),
}

/// Writes `Λ* = Σ λ_m·Λ_m`, damped, in a structure; with a negative weight, whoever takes it in looks whether something is left. Gives the distance `‖Λ* − projection‖/‖Λ*‖` in the Frobenius norm for Kronecker products,
/// told to about the root of epsilon, and zero for the others, of which only the diagonal of a structure that has more than one is inexact.
///
/// # Errors
/// [`Error::NoModels`], [`Error::BadWeight`], [`Error::BadDamping`], [`Error::BadNumber`]; [`Error::NotSolved`] (tensor 0) for an output of another size, or a structure that is no such
/// product.
///
/// ```
/// use fisher_merge::{Damping, Structure, StructureMut, StructuredPosterior, merged_precision};
/// let posterior = |a| StructuredPosterior::new(&[0.0, 0.0], (1, 2), Structure::InputCovariance(a));
/// let (one, two) = (posterior(&[1.0, 0.5, 0.5, 1.0])?, posterior(&[3.0, 0.0, 0.0, 1.0])?);
/// let mut sum = [0.0; 4];
/// merged_precision(&[one.power(0.5), two.power(0.5)], Damping::all(0.0), StructureMut::InputCovariance(&mut sum))?;
/// assert_eq!(sum, [2.0, 0.25, 0.25, 1.0]);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
pub fn merged_precision<R: Real>(factors: &[StructuredFactor<'_, R>], damping: Damping<R>, out: StructureMut<'_, R>) -> Result<f64, Error> {
    let shape = factors.first().ok_or(Error::NoModels)?.posterior.shape;
    weights(factors)?;
    damping.check()?;
    for (model, factor) in factors.iter().enumerate() {
        same(shape.0, factor.posterior.shape.0)?;
        same(shape.1, factor.posterior.shape.1)?;
        if factor.weight != R::ZERO {
            verify::posterior(Place { tensor: 0, model }, &factor.posterior)?;
        }
    }
    let (sum, (rows, columns)) = (Sum { factors, prior: None, damping, shape, iterate: false }, shape);
    let n = rows * columns;
    match out {
        StructureMut::Diagonal(out) => {
            same(n, out.len())?;
            out.fill(R::ZERO);
            sum.terms().for_each(|(weight, operator)| operator.add_diagonal(weight, out));
        }
        StructureMut::Dense(out) => {
            same(n.saturating_mul(n), out.len())?;
            out.fill(R::ZERO);
            sum.terms().for_each(|(weight, operator)| operator.add_dense(weight, out));
        }
        StructureMut::InputCovariance(out) => {
            same(columns.saturating_mul(columns), out.len())?;
            if let Some((found, _)) =
                sum.terms().enumerate().find(|(_, (_, of))| !matches!(of.structure.sides(), Some((Side::Scaled(_), _))))
            {
                return Err(foreign(found));
            }
            out.fill(R::ZERO);
            for (weight, operator) in sum.terms() {
                if let Some((left, right)) = operator.structure.sides() {
                    right.add_to(columns, weight * left.diagonal(0, rows.max(1)), operator.damping.1, out);
                }
            }
        }
        StructureMut::Kronecker { outputs, inputs } => {
            same(rows.saturating_mul(rows), outputs.len())?;
            same(columns.saturating_mul(columns), inputs.len())?;
            if let Some((found, _)) = sum.terms().enumerate().find(|(_, (_, of))| of.structure.sides().is_none()) {
                return Err(foreign(found));
            }
            return Ok(nearest(sum, outputs, inputs));
        }
    }
    Ok(0.0)
}

fn same(expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::NotSolved { tensor: 0, fault: LinearFault::Shape { expected, found } }) }
}

/// A structure that is no product of the kind that was asked for.
fn foreign(model: usize) -> Error {
    Error::NotSolved { tensor: 0, fault: LinearFault::Structure { model } }
}

/// Alternates between the best left factor for a right one, and the other way round.
fn nearest<R: Real>(sum: Sum<'_, '_, R>, g: &mut [R], a: &mut [R]) -> f64 {
    const MOST: usize = 200;
    let ((rows, columns), (products, exponent)) = (sum.shape, sum.products());
    a.fill(R::ZERO);
    products.clone().for_each(|(weight, left, right)| right.add_to(columns, weight * left.size(rows), a));
    let mut before = 0.0;
    for _ in 0..MOST {
        let of_a = squares(a);
        g.fill(R::ZERO);
        if of_a == 0.0 {
            return 0.0;
        }
        products.clone().for_each(|(weight, left, right)| left.add_to(rows, weight * R::from_f64(right.inner(columns, a) / of_a), g));
        let of_g = squares(g);
        // What the projection holds of the sum grows from step to step.
        let holds = of_a * of_g;
        if holds <= before * (1.0 + 1e-14) || of_g == 0.0 {
            break;
        }
        before = holds;
        a.fill(R::ZERO);
        products.clone().for_each(|(weight, left, right)| right.add_to(columns, weight * R::from_f64(left.inner(rows, g) / of_g), a));
    }
    let (mut whole, mut cross) = (0.0, 0.0);
    for (weight, left, right) in products.clone() {
        cross += weight.as_f64() * left.inner(rows, g) * right.inner(columns, a);
        for (other, second_left, second_right) in products.clone() {
            whole += weight.as_f64() * other.as_f64() * left.between(&second_left, rows) * right.between(&second_right, columns);
        }
    }
    let error = whole - 2.0 * cross + squares(a) * squares(g);
    g.iter_mut().for_each(|value| *value = value.times_power_of_two(exponent / 2));
    a.iter_mut().for_each(|value| *value = value.times_power_of_two(exponent - exponent / 2));
    if whole > 0.0 { libm::sqrt(error.max(0.0) / whole) } else { 0.0 }
}

fn squares<R: Real>(values: &[R]) -> f64 {
    values.iter().map(|value| value.as_f64() * value.as_f64()).sum()
}
