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
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, sum: Sum<'_, '_, R>) -> usize {
    match sum.method() {
        Method::Dense => dense::scratch(product, sum),
        Method::InputCovariance => input::scratch(product, sum),
        Method::KroneckerPair => pair::scratch(product, sum),
        Method::Woodbury => woodbury::scratch(product, sum),
        Method::ConjugateGradients => gradients::scratch(product, sum),
        _ => 0,
    }
}

/// `x ← Λ*⁻¹·b`; gives the iterations that it took. `b` is left as it was.
pub(super) fn solve<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    sum: Sum<'_, '_, R>,
    b: &[R],
    x: &mut [R],
    stop: Stop<R>,
    room: &mut [R],
) -> Result<u32, LinearFault> {
    match sum.method() {
        Method::Dense => dense::solve(tools, sum, b, x, room).map(|()| 0),
        Method::InputCovariance => input::solve(tools, sum, b, x, room).map(|()| 0),
        Method::KroneckerPair => pair::solve(tools, sum, b, x, room).map(|()| 0),
        Method::Woodbury => woodbury::solve(tools, sum, b, x, room).map(|()| 0),
        Method::ConjugateGradients => gradients::solve(tools, sum, b, x, stop, room),
        _ => Ok(0),
    }
}
