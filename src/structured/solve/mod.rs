//! Solvers of `Λ*·X = B`: one for every kind of sum. Each says what scratch it takes.
//!
//! None is inlined: where all of them are, a merge by one has the others' rooms on its stack too.

mod dense;
mod gradients;
mod input;
mod pair;
mod woodbury;

use super::problem::Sum;
use super::solved::Method;
use super::solvers::Solvers;
use crate::error::LinearFault;
use crate::linear::MatrixProduct;
use crate::linear::tools::Tools;
use crate::scalar::Real;

/// When conjugate gradients stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop<R> {
    /// The residual, relative to the right-hand side.
    pub(super) tolerance: R,
    pub(super) iterations: u32,
}

impl<R: Real> Default for Stop<R> {
    /// A residual of 2⁻³³ (`f64`) or 2⁻¹⁷ (`f32`).
    fn default() -> Self {
        Self { tolerance: R::epsilon() * R::two_to(if R::DIGITS > 24 { 19 } else { 6 }), iterations: 1000 }
    }
}

/// Numbers of scratch that [`solve`] takes.
pub(super) fn scratch<S: Solvers, R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> Result<usize, LinearFault> {
    match sum.method::<S>() {
        Method::Dense if S::DENSE => Ok(dense::scratch(product, sum)),
        Method::InputCovariance if S::INPUT_COVARIANCE => Ok(input::scratch(product, sum)),
        Method::KroneckerPair if S::KRONECKER_PAIR => Ok(pair::scratch(product, sum)),
        Method::Woodbury if S::WOODBURY => Ok(woodbury::scratch(product, sum)),
        Method::ConjugateGradients if S::CONJUGATE_GRADIENTS => Ok(gradients::scratch(product, sum)),
        Method::ElementWise | Method::Copied => Ok(0),
        _ => Err(LinearFault::NoSolver),
    }
}

/// `x ← Λ*⁻¹·b`; gives the iterations that it took. `b` is left as it was.
pub(super) fn solve<S: Solvers, R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    stop: Stop<R>,
    room: &mut [R],
) -> Result<u32, LinearFault> {
    // What a constant rules out is not linked.
    match sum.method::<S>() {
        Method::Dense if S::DENSE => dense::solve(tools, sum, b, x, room).map(|()| 0),
        Method::InputCovariance if S::INPUT_COVARIANCE => input::solve(tools, sum, b, x, room).map(|()| 0),
        Method::KroneckerPair if S::KRONECKER_PAIR => pair::solve(tools, sum, b, x, room).map(|()| 0),
        Method::Woodbury if S::WOODBURY => woodbury::solve(tools, sum, b, x, room).map(|()| 0),
        Method::ConjugateGradients if S::CONJUGATE_GRADIENTS => gradients::solve(tools, sum, b, x, stop, room),
        Method::ElementWise | Method::Copied => Ok(0),
        _ => Err(LinearFault::NoSolver),
    }
}
