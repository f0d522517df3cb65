//! Scalars, rows and diagonals: the recurrence of the element-wise merge, row by row; around a base, one quotient an element.

use super::operator::Operator;
use super::posterior::{Structure, StructuredFactor};
use super::problem::{Sum, cancelled, takes_part};
use super::system::Work;
use crate::error::{Error, LinearFault};
use crate::gaussian::Posterior;
use crate::kernel::step::is_finite;
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
                // One side of a product may be zero, and the other not.
                structure if takes_part(factor) => {
                    Posterior::scaled(own, structure.sides().map_or(R::ZERO, |(left, _)| left.diagonal(row, rows)))
                }
                _ => Posterior::scaled(own, R::ZERO),
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
/// [`LinearFault::NotPositiveDefinite`] at the first element of which negative weights leave nothing but rounding errors, or less;
/// [`LinearFault::NotFinite`] at the first that leaves the range.
pub(super) fn around<R: Real>(sum: Sum<'_, '_, R>, base: &[R], work: &mut Work<'_, R>) -> Result<u64, LinearFault> {
    let Work { right, solution, difference, average: gross, .. } = work;
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
    sum.diagonals(difference, gross);
    let mut no_evidence = 0;
    let terms = right.iter().zip(difference.iter().zip(&**gross));
    for (pivot, ((solution, &base), (&right, (&precision, &gross)))) in solution.iter_mut().zip(base).zip(terms).enumerate() {
        if gross == R::ZERO {
            (*solution, no_evidence) = (base, no_evidence + 1);
            continue;
        }
        if cancelled(precision, gross) {
            return Err(LinearFault::NotPositiveDefinite { pivot });
        }
        let shift = right / precision;
        *solution = if shift == R::ZERO { base } else { base + shift };
        if !is_finite(*solution) {
            return Err(LinearFault::NotFinite { row: pivot / sum.shape.1.max(1) });
        }
    }
    Ok(no_evidence)
}
