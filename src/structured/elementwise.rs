//! Scalars, rows and diagonals: the recurrence of the element-wise merge, row by row; around a base, one quotient an element.

use super::operator::Operator;
use super::posterior::{Structure, StructuredFactor};
use super::problem::Sum;
use super::side::Side;
use super::system::Work;
use crate::error::{Error, LinearFault};
use crate::gaussian::Posterior;
use crate::policy::NoEvidence;
use crate::product::RunningProduct;
use crate::scalar::Real;

/// Merges into `mean`, with `precision` as scratch. Gives the elements without evidence.
pub(super) fn merge<R: Real>(
    factors: &[StructuredFactor<'_, R>],
    tensor: usize,
    precision: &mut [R],
    mean: &mut [R],
) -> Result<u64, Error> {
    let (rows, columns) = factors.first().map_or((0, 0), |factor| factor.posterior.shape);
    let mut no_evidence = 0;
    let lines = precision.chunks_mut(columns.max(1)).zip(mean.chunks_mut(columns.max(1)));
    for (row, (precision, mean)) in lines.enumerate() {
        let mut product = RunningProduct::start(precision, mean, NoEvidence::KeepTarget)?.tensor(tensor);
        for factor in factors {
            let line = |values| line(values, row, columns);
            let own = line(factor.posterior.mean);
            let posterior = match factor.posterior.structure {
                Structure::Diagonal(values) => Posterior::diagonal(own, line(values))?,
                structure => {
                    Posterior::scaled(own, structure.sides().map_or(R::ZERO, |(left, _): (Side<'_, R>, _)| left.diagonal(row, rows)))
                }
            };
            product.absorb(&posterior.power(factor.weight))?;
        }
        no_evidence += product.finish()?.no_evidence;
    }
    Ok(no_evidence)
}

fn line<R>(values: &[R], row: usize, columns: usize) -> &[R] {
    values.get(row * columns..).and_then(|rest| rest.get(..columns)).unwrap_or_default()
}

/// `μ_0 + Σ λ_m·(h_m + Λ_0)(μ_m − μ_0)/(Λ_0 + Σ λ_m·h_m)` into `work.solution`. Gives the elements without evidence, which keep `μ_0`.
///
/// # Errors
/// [`LinearFault::NotPositiveDefinite`] at the first element whose precision is below zero, or zero with something to divide by it.
pub(super) fn around<R: Real>(sum: Sum<'_, '_, R>, base: &[R], work: &mut Work<'_, R>) -> Result<u64, LinearFault> {
    let Work { right, solution, difference, .. } = work;
    let bare = |structure| Operator { structure, shape: sum.shape, damping: (R::ZERO, R::ZERO) };
    right.fill(R::ZERO);
    for factor in sum.factors.iter().filter(|factor| factor.weight != R::ZERO) {
        difference.fill(R::ZERO);
        bare(factor.posterior.structure).add_diagonal(factor.weight, difference);
        sum.prior.into_iter().for_each(|prior| bare(prior).add_diagonal(factor.weight, difference));
        let shifts = factor.posterior.mean.iter().zip(base).map(|(&mean, &base)| mean - base);
        for ((right, &precision), shift) in right.iter_mut().zip(&**difference).zip(shifts) {
            *right = *right + precision * shift;
        }
    }
    difference.fill(R::ZERO);
    sum.terms().for_each(|(weight, operator)| operator.add_diagonal(weight, difference));
    let mut no_evidence = 0;
    for (index, (solution, &base)) in solution.iter_mut().zip(base).enumerate() {
        let at = |values: &[R]| values.get(index).copied().unwrap_or(R::ZERO);
        let (precision, right) = (at(difference), at(right));
        if precision < R::ZERO || (precision == R::ZERO && right != R::ZERO) {
            return Err(LinearFault::NotPositiveDefinite { pivot: index });
        }
        no_evidence += u64::from(precision == R::ZERO);
        let shift = if precision == R::ZERO { R::ZERO } else { right / precision };
        *solution = if shift == R::ZERO { base } else { base + shift };
    }
    Ok(no_evidence)
}
