//! The one table of tolerances. Every entry says what it bounds and why it is as large as it is; nothing else in the tests holds a tolerance.
//!
//! `u` is the unit roundoff, half an epsilon of the arithmetic: what one rounding can do. `M` is the number of models.

use core::fmt;

use fisher_merge::{Dtype, Real};

use super::exact::{Exact, layout, tiniest_exponent};

/// One entry: at most `max(least, constant + slope·M)` u times a size that its function names.
pub(crate) struct Tolerance {
    pub(crate) name: &'static str,
    constant: i64,
    slope: i64,
    least: i64,
    /// Why it is no smaller.
    pub(crate) reason: &'static str,
    /// The share of it that the generators must reach (at two models), so that it is no looser than it says.
    pub(crate) reached: f64,
}

impl fmt::Debug for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: max({}, {} + {}·M) u", self.name, self.least, self.constant, self.slope)
    }
}

impl Tolerance {
    /// The bound in units of `u`.
    pub(crate) fn roundings(&self, models: usize) -> i64 {
        (self.constant + self.slope * i64::try_from(models).unwrap()).max(self.least)
    }

    /// The bound times `size`, for arithmetic in `R`.
    pub(crate) fn of<R: Real>(&self, models: usize, size: &Exact) -> Exact {
        let u = -1 - i64::from(layout(R::DTYPE).0);
        size * &Exact::scaled(self.roundings(models), u)
    }
}

/// Promise 6: `max(8, 2M+4)` epsilons (twice as many u) of the largest contributing `|μ|`.
pub(crate) const MEAN: Tolerance = Tolerance {
    name: "mean of a product",
    constant: 8,
    slope: 4,
    least: 16,
    reason: "each step rounds λF, Λ', r, 1 − r, two products and a sum, that is at most 4 epsilons of the hull's size with what it inherits; halves of them cancel \
             on the way, so the promise keeps 2 for every model. Random errors grow like √M, so only few models come near it",
    reached: 0.1,
};

/// Two brackets or orders of one product: each is within [`MEAN`] of the exact mean, since a tree of M leaves has the same M − 1 steps.
pub(crate) const REORDERED: Tolerance = Tolerance {
    name: "two orders of one product",
    constant: 16,
    slope: 8,
    least: 32,
    reason: "twice the bound of a mean: either may err to its own side",
    reached: 0.05,
};

/// The precision `Σ λΛ`, relative to itself.
pub(crate) const PRECISION: Tolerance = Tolerance {
    name: "precision of a product",
    constant: 1,
    slope: 1,
    least: 0,
    reason: "one rounding for every λΛ and one for every sum but the first: M in all on every path, all terms positive; one more for their second order",
    reached: 0.5,
};

/// The mean after a removal, relative to `(Λ/Λ')·max|μ|`: promise 7 with its 16 epsilons.
pub(crate) const REMOVAL: Tolerance = Tolerance {
    name: "mean after a removal",
    constant: 32,
    slope: 0,
    least: 0,
    reason: "λΛ, Λ', their quotient, a difference of two means (twice the size), the product and the sum: six roundings of quantities up to 2·(Λ/Λ')·max|μ|, \
             rounded up to the promise's 16 epsilons",
    reached: 0.05,
};

/// The precision after a removal, relative to what is left.
pub(crate) const REMOVAL_PRECISION: Tolerance = Tolerance {
    name: "precision after a removal",
    constant: 3,
    slope: 0,
    least: 0,
    reason: "λΛ is subtracted as an exact sum of two numbers: two roundings of what is left, one more for their second order",
    reached: 0.3,
};

/// A product of M factors from which others were removed, against the product that never held them, relative to `(Λ/Λ')²·max|μ|`.
pub(crate) const CHAIN: Tolerance = Tolerance {
    name: "product, then removal",
    constant: 48,
    slope: 8,
    least: 0,
    reason: "the errors of the product's mean (4M + 8) and of its precision (M + 1, twice over the hull) go through a division by Λ' each; with them the removal's own 32. \
             An error of Λ moves Λ' by Λ/Λ' as much, hence the square",
    reached: 0.02,
};

/// `η/Λ` after `η = Λμ`, relative to `|μ|`.
pub(crate) const NATURAL: Tolerance = Tolerance {
    name: "natural parameters and back",
    constant: 3,
    slope: 0,
    least: 0,
    reason: "a product and a quotient, one rounding each; one more for their second order",
    reached: 0.5,
};

/// A precision that was raised to a power, relative to itself.
pub(crate) const POWER: Tolerance = Tolerance { name: "power", constant: 1, slope: 0, least: 0, reason: "one rounding", reached: 0.9 };

/// The mean of a model's Fisher entries, relative to itself, in `f64` always.
pub(crate) const FISHER_MEAN: Tolerance = Tolerance {
    name: "mean of Fisher entries",
    constant: 4,
    slope: 0,
    least: 0,
    reason: "the sum keeps what its additions drop and is rounded once at the end, then divided: two roundings, whatever the number of entries; \
             two more for what is dropped of the dropped parts",
    reached: 0.2,
};

/// The square of the L2 norm of a model's Fisher, relative to itself, in `f64` always.
pub(crate) const FISHER_SQUARES: Tolerance = Tolerance {
    name: "squared norm of Fisher entries",
    constant: 8,
    slope: 0,
    least: 0,
    reason: "every square is rounded, their sum is rounded once, and the rounding of the root counts twice in its square: four; the rest for dropped parts of dropped parts",
    reached: 0.2,
};

/// All of them, for the test that looks whether each is as tight as it says.
pub(crate) const TABLE: &[&Tolerance] =
    &[&MEAN, &REORDERED, &PRECISION, &REMOVAL, &REMOVAL_PRECISION, &CHAIN, &NATURAL, &POWER, &FISHER_MEAN, &FISHER_SQUARES];

/// The least positive normal number of an arithmetic.
pub(crate) fn min_normal<R: Real>() -> Exact {
    Exact::of(R::MIN_NORMAL.as_f64())
}

/// Promise 6 whole: [`MEAN`] epsilons of the largest contributing `|μ|` (or the least normal number, if that is larger), and half a unit of the result where
/// the output is stored in another type than the arithmetic.
pub(crate) fn mean_bound<R: Real>(models: usize, largest: &Exact, (result, output): (&Exact, Dtype)) -> Exact {
    let bound = MEAN.of::<R>(models, largest).max(min_normal::<R>());
    if output == R::DTYPE { bound } else { &bound + &half_ulp(result, output) }
}

/// What rounding to a storage type can do to a number that became `result`.
pub(crate) fn half_ulp(result: &Exact, output: Dtype) -> Exact {
    result.ulp(output).shifted(-1)
}

/// [`PRECISION`] of `precision`, and half the least positive number for a subnormal sum, which is rounded once more.
pub(crate) fn precision_bound<R: Real>(models: usize, precision: &Exact) -> Exact {
    &PRECISION.of::<R>(models, precision) + &Exact::scaled(1, tiniest_exponent(R::DTYPE) - 1)
}

/// An entry of a diagonal Fisher after so many observations, relative to itself. Where a sum is one number (`f64`), every addition rounds; where it is two
/// (`f32`), every addition drops at most two u² of it. Twelve roundings more are those of a term (the loss scale, its product, the square, the weight), of the
/// sum of weights and of the division; a batch of a layer adds 64 examples in the arithmetic first.
pub(crate) fn fisher_bound<R: Real>(observations: u64, in_layers: bool, entry: &Exact) -> Exact {
    let (n, fixed) = (i64::try_from(observations).unwrap(), if in_layers { 76 } else { 12 });
    let share = if R::DTYPE == Dtype::F64 { Exact::scaled(fixed + n, -53) } else { Exact::scaled((fixed << 23) + n, -47) };
    entry * &share
}

/// An entry of a Kronecker factor or a dense Fisher after so many vectors of `positions` positions each, relative to `Σ w·|x_i|·|x_j|`. As of
/// [`fisher_bound`]; either factor of a term was scaled, added over positions and divided by their number, and the weights' sum rounds as often as the sum.
pub(crate) fn factor_bound<R: Real>(vectors: u64, positions: u64, size: &Exact) -> Exact {
    let (n, fixed) = (2 * i64::try_from(vectors).unwrap(), 76 + 2 * i64::try_from(positions).unwrap());
    let share = if R::DTYPE == Dtype::F64 { Exact::scaled(fixed + n, -53) } else { Exact::scaled((fixed << 23) + n, -47) };
    size * &share
}

/// An error that grows with the condition number κ of a structured posterior's factors: `share·eps·κ`, relative to the norm of what is solved for.
#[derive(Debug)]
pub(crate) struct Conditioned {
    pub(crate) name: &'static str,
    share: f64,
    /// Why it is no smaller.
    pub(crate) reason: &'static str,
}

impl Conditioned {
    /// What is seen, of fixed examples.
    pub(crate) fn of<R: Real>(&self, condition: f64) -> f64 {
        self.share * R::epsilon().as_f64() * condition
    }

    /// What no example exceeds, given the condition of the whole sum: eight times that, since the roundings of promotion, factorisation and substitution, which
    /// mostly cancel, add up in one random example of tens of thousands.
    pub(crate) fn at_most<R: Real>(&self, condition: f64) -> f64 {
        8.0 * self.of::<R>(condition)
    }
}

/// Two Kronecker products in closed form: 1e-11 at κ = 1e4 and 1e-7 at κ = 1e8.
pub(crate) const PAIR: Conditioned = Conditioned {
    name: "Kronecker pair",
    share: 4.5,
    reason: "shares of both sides err by eps times the condition of the sum of two factors, and a denominator is as small as the product of two of them:              that of the factors is what is seen, a tenth of this for random ones; their sizes and their number of rows share the rest",
};

/// Cholesky of one side.
pub(crate) const INPUT_COVARIANCE: Conditioned = Conditioned {
    name: "input covariance",
    share: 0.25,
    reason: "n·eps·κ in the worst case, of which rounding errors that cancel and a sum that is better conditioned than its terms leave little",
};

/// Cholesky of the whole.
pub(crate) const DENSE: Conditioned = Conditioned {
    name: "dense",
    share: 1.0,
    reason: "as for input covariances; the promotion of other structures rounds every entry once more",
};

/// Woodbury's formula, in which κ is that of the diagonal.
pub(crate) const WOODBURY: Conditioned = Conditioned {
    name: "low rank",
    share: 8.0,
    reason: "two terms of the size of the inverse diagonal cancel where a column of order one holds evidence: up to 1 + ‖U‖² times the condition of the diagonal",
};

/// Conjugate gradients that go on for as long as they can.
pub(crate) const GRADIENTS: Conditioned = Conditioned {
    name: "conjugate gradients",
    share: 4.0,
    reason: "the residual stops at rounding errors of the product's largest terms; what that leaves of the mean goes with the condition of the sum, for random              factors far below κ² and near κ",
};

/// What is left of the right-hand side by a solver without iterations, relative to it: κ is one.
pub(crate) const BALANCE: Conditioned = Conditioned {
    name: "balance",
    share: 256.0,
    reason: "backward stable: a small multiple of the longer side, here 64 rows, in two or four passes; whatever the condition",
};

/// Logarithms, distances and traces of densities, relative to their size plus one for every parameter.
pub(crate) const DENSITY: Conditioned = Conditioned {
    name: "density",
    share: 4.0,
    reason: "a pivot errs by eps times the condition of its factor, so its logarithm does, and a trace of one precision by the other's inverse",
};

/// A weight with `s·Σ_k b_k·a_k` of rank r added, before it is stored: `size` is `|w| + |s|·Σ|b_k·a_k|`. A term is rounded as a product and by at most r
/// additions, then by the scale and by the sum with the weight: r + 3, and one more for their second order. Products, the scaled one among them, may
/// underflow: half the least positive number for each of them, times the scale where they are summed before it.
pub(crate) fn fold_bound<R: Real>(rank: usize, scale: &Exact, size: &Exact) -> Exact {
    let r = i64::try_from(rank).unwrap();
    let rounded = size * &Exact::scaled(r + 4, -1 - i64::from(layout(R::DTYPE).0));
    let underflow = &Exact::scaled(r, 0) * &scale.abs();
    &rounded + &(&(&underflow + &Exact::scaled(1, 0)) * &Exact::scaled(1, tiniest_exponent(R::DTYPE)))
}
