//! The right-hand side of a merge, its solution, and how far it is from one.

use super::operator::Operator;
use super::posterior::{Structure, StructuredFactor};
use super::problem::{Sum, cancelled, takes_part};
use super::solve::{self, Stop};
use super::solved::Solved;
use super::solvers::Solvers;
use crate::error::LinearFault;
use crate::kernel::step::is_finite;
use crate::linear::MatrixProduct;
use crate::linear::tools::{Tools, lend};
use crate::scalar::Real;

/// A base model's mean and its prior precision.
pub(super) type Base<'a, R> = (&'a [R], Structure<'a, R>);

/// The caller's scratch, cut: four matrices of parameters, and what is left.
pub(super) struct Work<'w, R> {
    pub(super) right: &'w mut [R],
    pub(super) solution: &'w mut [R],
    pub(super) difference: &'w mut [R],
    pub(super) average: &'w mut [R],
    pub(super) room: &'w mut [R],
}

impl<'w, R> Work<'w, R> {
    pub(super) fn cut(scratch: &'w mut [R], n: usize) -> Result<Self, LinearFault> {
        let (right, room) = lend(scratch, n)?;
        let (solution, room) = lend(room, n)?;
        let (difference, room) = lend(room, n)?;
        let (average, room) = lend(room, n)?;
        Ok(Self { right, solution, difference, average, room })
    }
}

/// What a merge is centred on and damped around.
pub(super) struct System<'s, R> {
    pub(super) base: Option<Base<'s, R>>,
    /// The mean of the damping's prior, if it is not each model's own.
    pub(super) mean: Option<&'s [R]>,
    pub(super) stop: Stop<R>,
}

impl<R: Real> System<'_, R> {
    /// Leaves the merged mean in `work.solution`.
    pub(super) fn solve<S: Solvers, P: MatrixProduct<R>>(
        &self,
        tools: Tools<'_, P>,
        sum: Sum<'_, '_, R>,
        work: &mut Work<'_, R>,
    ) -> Result<Solved, LinearFault> {
        let first = sum.factors.iter().find(|factor| takes_part(factor)).map_or(&[][..], |factor| factor.posterior.mean);
        let centre = self.base.map_or(first, |(mean, _)| mean);
        let negative = sum.has_negative();
        if negative {
            // A necessary condition; the solvers look at the other directions.
            sum.diagonals(work.right, work.solution);
            if let Some(pivot) = work.right.iter().zip(&*work.solution).position(|(&net, &gross)| cancelled(net, gross)) {
                return Err(LinearFault::NotPositiveDefinite { pivot });
            }
        }
        work.right.fill(R::ZERO);
        for factor in sum.factors.iter().filter(|factor| factor.weight != R::ZERO) {
            self.add(tools, sum, factor, centre, work)?;
        }
        // Finite models may have a right-hand side that is not.
        refuse_wild(work.right, sum.shape)?;
        // Shifts of equal models are zero: nothing is solved, and their own bits come back. What is taken out is looked at all the same.
        let right = norm(work.right);
        let mut iterations = 0;
        if right == 0.0 && !negative {
            self.look_for_underflow(sum, centre, work)?;
            work.solution.fill(R::ZERO);
        } else {
            iterations = solve::solve::<S, R, P>(tools, sum, work.right, work.solution, self.stop, work.room)?;
            sum.add(tools, -R::ONE, work.solution, work.right, work.room)?;
        }
        refuse_wild(work.right, sum.shape)?;
        let residual = if right == 0.0 { 0.0 } else { norm(work.right) / right };
        for (solution, &centre) in work.solution.iter_mut().zip(centre) {
            // A zero that is added would turn −0.0 into 0.0.
            *solution = if *solution == R::ZERO { centre } else { centre + *solution };
        }
        refuse_wild(work.solution, sum.shape)?;
        Ok(Solved { method: sum.method::<S>(), iterations, residual, no_evidence: 0, repaired: 0.0 })
    }

    /// A right-hand side of zero is one of equal models, or of shifts that cancel; not of precisions that are lost below the range.
    fn look_for_underflow(&self, sum: Sum<'_, '_, R>, centre: &[R], work: &mut Work<'_, R>) -> Result<(), LinearFault> {
        let taking = sum.factors.iter().filter(|factor| takes_part(factor));
        if taking.map(|factor| factor.posterior.mean).chain(self.mean).all(|mean| mean == centre) {
            return Ok(());
        }
        sum.diagonals(work.right, work.solution);
        let least = R::MIN_NORMAL / R::epsilon();
        let lost = work.right.iter().all(|&entry| entry < least);
        work.right.fill(R::ZERO);
        if lost { Err(LinearFault::NotPositiveDefinite { pivot: 0 }) } else { Ok(()) }
    }

    /// Adds what a factor draws from the centre towards its mean.
    fn add<P: MatrixProduct<R>>(
        &self,
        tools: Tools<'_, P>,
        sum: Sum<'_, '_, R>,
        factor: &StructuredFactor<'_, R>,
        centre: &[R],
        work: &mut Work<'_, R>,
    ) -> Result<(), LinearFault> {
        let (weight, mean) = (factor.weight, factor.posterior.mean);
        let damping = sum.damping.of(&factor.posterior.structure, sum.shape);
        let damped = Operator { structure: factor.posterior.structure, shape: sum.shape, damping };
        let Work { right, difference, room, .. } = work;
        let mut draw = |operator: &Operator<'_, R>, to: &[R], from: &[R]| {
            difference.iter_mut().zip(to.iter().zip(from)).for_each(|(out, (&to, &from))| *out = to - from);
            operator.add(tools, weight, difference, right, room)
        };
        match self.mean {
            _ if !takes_part(factor) => {}
            None => draw(&damped, mean, centre)?,
            Some(prior) => {
                draw(&Operator { damping: (R::ZERO, R::ZERO), ..damped }, mean, prior)?;
                draw(&damped, prior, centre)?;
            }
        }
        // Each posterior holds the prior once, one without evidence of its own as well.
        let Some((base, structure)) = self.base else { return Ok(()) };
        draw(&Operator { structure, shape: sum.shape, damping: (R::ZERO, R::ZERO) }, mean, base)
    }
}

/// Refuses what is NaN or infinite.
fn refuse_wild<R: Real>(values: &[R], (_, columns): (usize, usize)) -> Result<(), LinearFault> {
    let wild = values.iter().position(|&value| !is_finite(value));
    wild.map_or(Ok(()), |index| Err(LinearFault::NotFinite { row: index / columns.max(1) }))
}

/// The Euclidean norm, in `f64`, of numbers brought to order one.
fn norm<R: Real>(values: &[R]) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.as_f64().abs()));
    if largest == 0.0 || !is_finite(largest) {
        return largest;
    }
    largest * libm::sqrt(values.iter().map(|value| (value.as_f64() / largest) * (value.as_f64() / largest)).sum())
}
