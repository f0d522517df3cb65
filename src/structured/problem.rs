//! The system `Λ*·X = B` of a merge: a sum of precisions, and how it is solved.

use super::damping::Damping;
use super::operator::Operator;
use super::posterior::{Structure, StructuredFactor};
use super::side::{Damped, Side};
use super::solved::Method;
use super::solvers::Solvers;
use crate::error::LinearFault;
use crate::linear::MatrixProduct;
use crate::linear::tools::Tools;
use crate::scalar::Real;

/// `Λ* = Λ_0 + Σ λ_m·Λ_m`, damped, over factors that hold evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum<'f, 'a, R> {
    pub(super) factors: &'f [StructuredFactor<'a, R>],
    pub(super) prior: Option<Structure<'a, R>>,
    pub(super) damping: Damping<R>,
    pub(super) shape: (usize, usize),
    /// Conjugate gradients in place of a closed form.
    pub(super) iterate: bool,
}

/// Whether a factor takes part.
pub(super) fn takes_part<R: Real>(factor: &StructuredFactor<'_, R>) -> bool {
    let zero = |values: &[R]| values.iter().all(|&value| value == R::ZERO);
    let nothing = match factor.posterior.structure {
        Structure::Diagonal(values) | Structure::Dense(values) => zero(values),
        Structure::LowRank { diagonal, factor } => zero(diagonal) && zero(factor),
        structure => structure.sides().is_some_and(|(left, right)| left.is_zero() || right.is_zero()),
    };
    factor.weight != R::ZERO && !nothing
}

/// Whether terms of negative weight leave of a sum nothing but rounding errors: the bound of a removal, `2¹⁰·eps` of what is added up.
pub(super) fn cancelled<R: Real>(net: R, gross: R) -> bool {
    net <= R::from_f64(1024.0) * R::epsilon() * gross
}

impl<'f, 'a, R: Real> Sum<'f, 'a, R> {
    /// A structure with its damping.
    pub(super) fn damped(&self, structure: Structure<'a, R>) -> Operator<'a, R> {
        Operator { structure, shape: self.shape, damping: self.damping.of(&structure, self.shape) }
    }

    /// The prior's and every factor's weight and precision.
    pub(super) fn terms(self) -> impl Iterator<Item = (R, Operator<'a, R>)> + Clone + use<'f, 'a, R> {
        let prior = self.prior.map(|structure| (R::ONE, Operator { structure, shape: self.shape, damping: (R::ZERO, R::ZERO) }));
        let taking = self.factors.iter().filter(|factor| takes_part(factor));
        prior.into_iter().chain(taking.map(move |factor| (factor.weight, self.damped(factor.posterior.structure))))
    }

    /// `Λ* = 2^e·Σ c_k·L_k⊗R_k` with `c_k` and sides of order one at most, and `e`: the terms that are such products.
    pub(super) fn products(self) -> (impl Iterator<Item = (R, Damped<'a, R>, Damped<'a, R>)> + Clone + use<'f, 'a, R>, i32) {
        let (rows, columns) = self.shape;
        let products = self.terms().filter_map(move |(weight, of)| {
            let (left, right) = of.structure.sides()?;
            Some((weight, Damped::new(left, of.damping.0, rows), Damped::new(right, of.damping.1, columns)))
        });
        let sizes = products.clone().filter(|(weight, ..)| *weight != R::ZERO);
        let exponent = sizes.map(|(weight, left, right)| weight.abs().split().1 + left.exponent + right.exponent).max().unwrap_or_default();
        let scale = move |weight: R, more: i32| weight.times_power_of_two(more - exponent);
        (products.map(move |(weight, left, right)| (scale(weight, left.exponent + right.exponent), left, right)), exponent)
    }

    /// `out ← out + weight·Λ*·x`.
    pub(super) fn add<P: MatrixProduct<R>>(
        self,
        tools: Tools<'_, P>,
        weight: R,
        x: &[R],
        out: &mut [R],
        room: &mut [R],
    ) -> Result<(), LinearFault> {
        self.terms().try_for_each(|(coefficient, operator)| operator.add(tools, weight * coefficient, x, out, room))
    }

    /// Which solver: the first that fits and is there, or conjugate gradients.
    pub(super) fn method<S: Solvers>(self) -> Method {
        let all = |fits: fn(&Structure<'a, R>) -> bool| self.terms().all(|(_, operator)| fits(&operator.structure));
        let is_element_wise = |of: &Structure<'a, R>| matches!(of, Structure::Scalar(_) | Structure::Rows(_) | Structure::Diagonal(_));
        if self.terms().all(|(_, operator)| is_element_wise(&operator.structure)) {
            Method::ElementWise
        } else if self.iterate {
            Method::ConjugateGradients
        } else if self.is_dense() {
            if S::DENSE { Method::Dense } else { Method::ConjugateGradients }
        } else if S::INPUT_COVARIANCE && all(|of| matches!(of.sides(), Some((Side::Scaled(_), _)))) {
            Method::InputCovariance
        } else if S::KRONECKER_PAIR && all(|of| of.sides().is_some()) && self.terms().count() == 2 {
            Method::KroneckerPair
        } else if S::WOODBURY
            && !self.has_negative()
            && all(|of| !matches!(of, Structure::Kronecker { .. } | Structure::InputCovariance(_)))
        {
            Method::Woodbury
        } else {
            Method::ConjugateGradients
        }
    }

    /// Whether evidence is taken out.
    pub(super) fn has_negative(self) -> bool {
        self.terms().any(|(weight, _)| weight < R::ZERO)
    }

    /// The diagonal of Λ*, and of what it would be if no weight were negative.
    pub(super) fn diagonals(self, net: &mut [R], gross: &mut [R]) {
        net.fill(R::ZERO);
        gross.fill(R::ZERO);
        for (weight, operator) in self.terms() {
            operator.add_diagonal(weight, net);
            operator.add_diagonal(weight.abs(), gross);
        }
    }

    /// Whether Λ* has a dense part.
    pub(super) fn is_dense(self) -> bool {
        self.terms().any(|(_, operator)| matches!(operator.structure, Structure::Dense(_)))
    }

    /// All columns of the low-rank parts.
    pub(super) fn rank(self) -> usize {
        let n = self.shape.0 * self.shape.1;
        let rank = |structure: &Structure<'_, R>| match structure {
            Structure::LowRank { factor, .. } => factor.len().checked_div(n).unwrap_or_default(),
            _ => 0,
        };
        self.terms().map(|(_, operator)| rank(&operator.structure)).sum()
    }
}
