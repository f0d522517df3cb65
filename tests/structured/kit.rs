//! What the tests of this directory share: random models of every structure, and the dense system that a merge of them is to solve.

use fisher_merge::{
    BuiltIn, Damping, DampingMean, Error, Real, Solved, Solvers, Structure, StructuredFactor, StructuredMerge, StructuredPosterior,
};

use crate::twice::{Twice, norm, solve, times};

pub(crate) use crate::common::random::Random;

impl Random {
    /// Below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// From minus one to one.
    pub(crate) fn numbers<R: Real>(&mut self, n: usize) -> Vec<R> {
        (0..n).map(|_| R::from_f64(self.signed())).collect()
    }

    /// Positive numbers, the largest about `condition` times the least.
    pub(crate) fn positive<R: Real>(&mut self, n: usize, condition: f64) -> Vec<R> {
        (0..n).map(|_| R::from_f64(condition.powf(-self.unit()))).collect()
    }

    /// A symmetric matrix of eigenvalues from one down to `1/condition`: a reflection for every row.
    pub(crate) fn definite<R: Real>(&mut self, n: usize, condition: f64) -> Vec<R> {
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            a[i * n + i] = condition.powf(-(i as f64) / (n.max(2) - 1) as f64);
        }
        for _ in 0..n {
            let v: Vec<f64> = (0..n).map(|_| self.signed()).collect();
            let square: f64 = v.iter().map(|x| x * x).sum();
            for _ in 0..2 {
                let row: Vec<f64> = (0..n).map(|j| (0..n).map(|i| v[i] * a[i * n + j]).sum()).collect();
                let turned: Vec<f64> = (0..n * n).map(|at| a[at] - 2.0 * v[at / n] * row[at % n] / square).collect();
                a = (0..n * n).map(|at| turned[at % n * n + at / n]).collect();
            }
        }
        (0..n * n).map(|at| R::from_f64(a[(at / n).max(at % n) * n + (at / n).min(at % n)])).collect()
    }
}

/// A structure with its numbers.
#[derive(Clone, Debug)]
pub(crate) enum Owned<R> {
    Scalar(R),
    Rows(Vec<R>),
    Diagonal(Vec<R>),
    InputCovariance(Vec<R>),
    Kronecker(Vec<R>, Vec<R>),
    Dense(Vec<R>),
    LowRank(Vec<R>, Vec<R>),
}

/// How many kinds [`Owned::random`] knows.
pub(crate) const KINDS: usize = 7;
pub(crate) const SCALAR: usize = 0;
pub(crate) const ROWS: usize = 1;
pub(crate) const DIAGONAL: usize = 2;
pub(crate) const INPUTS: usize = 3;
pub(crate) const KRONECKER: usize = 4;
pub(crate) const DENSE: usize = 5;
pub(crate) const LOW_RANK: usize = 6;

pub(crate) type Shape = (usize, usize);

impl<R: Real> Owned<R> {
    pub(crate) fn random(random: &mut Random, kind: usize, (rows, columns): Shape, condition: f64) -> Self {
        let n = rows * columns;
        match kind {
            SCALAR => Self::Scalar(R::from_f64(0.1 + random.unit())),
            ROWS => {
                let groups: Vec<usize> = (1..=rows.max(1)).filter(|groups| rows % groups == 0).collect();
                let groups = groups[random.below(groups.len())];
                Self::Rows(random.positive(groups, condition))
            }
            DIAGONAL => Self::Diagonal(random.positive(n, condition)),
            INPUTS => Self::InputCovariance(random.definite(columns, condition)),
            KRONECKER => Self::Kronecker(random.definite(rows, condition), random.definite(columns, condition)),
            DENSE => Self::Dense(random.definite(n, condition)),
            _ => {
                let rank = random.below(4);
                Self::LowRank(random.positive(n, condition), random.numbers(n * rank))
            }
        }
    }

    pub(crate) fn structure(&self) -> Structure<'_, R> {
        match self {
            Self::Scalar(scale) => Structure::Scalar(*scale),
            Self::Rows(values) => Structure::Rows(values),
            Self::Diagonal(values) => Structure::Diagonal(values),
            Self::InputCovariance(inputs) => Structure::InputCovariance(inputs),
            Self::Kronecker(outputs, inputs) => Structure::Kronecker { outputs, inputs },
            Self::Dense(values) => Structure::Dense(values),
            Self::LowRank(diagonal, factor) => Structure::LowRank { diagonal, factor },
        }
    }

    /// What damping adds to the diagonals of both sides, by its definition.
    fn dampings(&self, (rows, columns): Shape, damping: Damping<R>) -> (f64, f64) {
        let mean = |values: &[R], n: usize| (0..n).map(|i| values[i * n + i].as_f64()).sum::<f64>() / n.max(1) as f64;
        match self {
            Self::InputCovariance(inputs) => (0.0, damping.input_covariance.as_f64() * mean(inputs, columns)),
            Self::Kronecker(outputs, inputs) => {
                (damping.kronecker.as_f64() * mean(outputs, rows), damping.kronecker.as_f64() * mean(inputs, columns))
            }
            Self::Dense(values) => (damping.dense.as_f64() * mean(values, rows * columns), 0.0),
            _ => (0.0, 0.0),
        }
    }

    /// The whole precision, entry by entry as the documentation has it.
    pub(crate) fn dense(&self, shape: Shape, damping: Damping<R>) -> Vec<Twice> {
        let ((rows, columns), n) = (shape, shape.0 * shape.1);
        let (left, right) = self.dampings(shape, damping);
        let of = |value: R| Twice::of(value.as_f64());
        let at = |values: &[R], i: usize, j: usize, n: usize, added: f64| {
            of(values[i * n + j]) + if i == j { Twice::of(added) } else { Twice::ZERO }
        };
        let unit = |i: usize, j: usize| if i == j { Twice::of(1.0) } else { Twice::ZERO };
        let entry = |i: usize, j: usize| {
            let ((row, column), (other_row, other_column)) = ((i / columns, i % columns), (j / columns, j % columns));
            match self {
                Self::Scalar(scale) => unit(i, j) * of(*scale),
                Self::Rows(values) => unit(i, j) * of(values[row / (rows / values.len())]),
                Self::Diagonal(values) => unit(i, j) * of(values[i]),
                Self::InputCovariance(inputs) => unit(row, other_row) * at(inputs, column, other_column, columns, right),
                Self::Kronecker(outputs, inputs) => {
                    at(outputs, row, other_row, rows, left) * at(inputs, column, other_column, columns, right)
                }
                Self::Dense(values) => at(values, i, j, n, left),
                Self::LowRank(diagonal, factor) => {
                    let rank = factor.len() / n;
                    let products = (0..rank).map(|k| of(factor[i * rank + k]) * of(factor[j * rank + k]));
                    products.fold(unit(i, j) * of(diagonal[i]), |sum, product| sum + product)
                }
            }
        };
        (0..n * n).map(|at| entry(at / n, at % n)).collect()
    }
}

/// One model's part of a merge.
#[derive(Clone, Debug)]
pub(crate) struct Part<R> {
    pub(crate) mean: Vec<R>,
    pub(crate) shape: Shape,
    pub(crate) precision: Owned<R>,
    pub(crate) weight: R,
}

impl<R: Real> Part<R> {
    pub(crate) fn random(random: &mut Random, kind: usize, shape: Shape, condition: f64) -> Self {
        let precision = Owned::random(random, kind, shape, condition);
        Self { mean: random.numbers(shape.0 * shape.1), shape, precision, weight: R::from_f64(0.1 + random.unit()) }
    }

    pub(crate) fn posterior(&self) -> StructuredPosterior<'_, R> {
        StructuredPosterior::new(&self.mean, self.shape, self.precision.structure()).unwrap()
    }
}

pub(crate) fn factors<R: Real>(parts: &[Part<R>]) -> Vec<StructuredFactor<'_, R>> {
    parts.iter().map(|part| part.posterior().power(part.weight)).collect()
}

/// A merge in exactly the scratch that it asks for, full of what must not matter.
pub(crate) fn run<'a, R: Real, S: Solvers>(
    merge: &StructuredMerge<'a, R, BuiltIn, S>,
    parts: &'a [Part<R>],
) -> Result<(Vec<R>, Solved), Error> {
    let factors = factors(parts);
    let junk = R::from_f64(f64::NAN);
    let mut scratch = vec![junk; merge.scratch(&factors)?];
    let mut out = vec![junk; parts[0].mean.len()];
    let solved = merge.run(&factors, &mut out, &mut scratch)?;
    Ok((out, solved))
}

/// `Λ*·X = η`, whole.
pub(crate) struct Reference {
    pub(crate) precision: Vec<Twice>,
    eta: Vec<Twice>,
    pub(crate) mean: Vec<Twice>,
    /// What errors are relative to: `max(‖X‖, ‖μ_0‖) + Σ‖terms of η‖/‖Λ*‖`. Terms that cancel leave their rounding errors, which `Λ*⁻¹` makes at most
    /// a condition number larger than this, so near a mean of zero its own norm says nothing.
    size: f64,
}

pub(crate) type Base<'a, R> = Option<(&'a [R], &'a Owned<R>)>;

pub(crate) fn twice<R: Real>(values: &[R]) -> Vec<Twice> {
    values.iter().map(|value| Twice::of(value.as_f64())).collect()
}

/// `out ← out + weight·x`
fn add(out: &mut [Twice], weight: Twice, x: &[Twice]) {
    out.iter_mut().zip(x).for_each(|(out, &x)| *out = *out + weight * x);
}

fn less(a: &[Twice], b: &[Twice]) -> Vec<Twice> {
    a.iter().zip(b).map(|(&a, &b)| a - b).collect()
}

impl Reference {
    /// By the definitions: `η = Σ λ·(Λ_m·μ_m + D_m·prior)` with the damping `D_m`; around a base `μ* = μ_0 + Λ*⁻¹ Σ λ·(…)`.
    pub(crate) fn of<R: Real>(parts: &[Part<R>], damping: Damping<R>, around: DampingMean<'_, R>, base: Base<'_, R>) -> Self {
        let (shape, n) = (parts[0].shape, parts[0].mean.len());
        let (mut precision, mut eta, mut terms) = (vec![Twice::ZERO; n * n], vec![Twice::ZERO; n], 0.0);
        let mut term = |weight: Twice, term: Vec<Twice>| {
            add(&mut eta, weight, &term);
            terms += weight.near().abs() * norm(&term);
        };
        let prior = prior(parts, around);
        let origin = base.map_or(vec![Twice::ZERO; n], |(mean, _)| twice(mean));
        let around_base = base.map(|(_, prior)| prior.dense(shape, Damping::all(R::ZERO)));
        around_base.iter().for_each(|prior| add(&mut precision, Twice::of(1.0), prior));
        for part in parts {
            let weight = Twice::of(part.weight.as_f64());
            let (bare, damped) = (part.precision.dense(shape, Damping::all(R::ZERO)), part.precision.dense(shape, damping));
            let (mean, added) = (twice(&part.mean), less(&damped, &bare));
            add(&mut precision, weight, &damped);
            let shift = less(&mean, &origin);
            term(weight, times(&bare, &shift));
            term(weight, times(&added, &prior.as_ref().map_or(shift.clone(), |prior| less(prior, &origin))));
            around_base.iter().for_each(|prior| term(weight, times(prior, &shift)));
        }
        let (mut mean, _) = solve(precision.clone(), eta.clone(), n);
        add(&mut mean, Twice::of(1.0), &origin);
        let size = norm(&mean).max(norm(&origin)) + terms / norm(&precision);
        let eta = if base.is_some() { times(&precision, &mean) } else { eta };
        Self { precision, eta, mean, size }
    }

    /// `‖Λ*‖·‖Λ*⁻¹‖`, by Frobenius: the condition number, or somewhat more.
    pub(crate) fn condition(&self) -> f64 {
        let n = self.mean.len();
        let unit = (0..n * n).map(|at| Twice::of(if at / n == at % n { 1.0 } else { 0.0 })).collect();
        let (inverse, _) = solve(self.precision.clone(), unit, n);
        norm(&self.precision) * norm(&inverse)
    }

    /// `‖X − found‖/‖X‖`
    pub(crate) fn error<R: Real>(&self, found: &[R]) -> f64 {
        relative(&self.mean, found)
    }

    /// `‖one − other‖` relative to the size of what the equation is made of.
    pub(crate) fn apart<R: Real>(&self, one: &[Twice], other: &[R]) -> f64 {
        let error = norm(&less(one, &twice(other)));
        if error == 0.0 { 0.0 } else { error / self.size }
    }

    /// `‖η − Λ*·found‖` relative to `‖η − Λ*·centre‖`: what is reported, and what rounding `found` alone may do to it, and that of
    /// the terms of `η` as well.
    pub(crate) fn residual<R: Real>(&self, found: &[R], centre: &[R]) -> (f64, [f64; 2]) {
        let rest = |x: &[R]| norm(&less(&self.eta, &times(&self.precision, &twice(x))));
        let whole = rest(centre);
        let (eps, means) = (R::epsilon().as_f64() * norm(&self.precision) / whole, norm(&twice(found)) + norm(&twice(centre)));
        (rest(found) / whole, [eps * means, eps * (means + self.size)])
    }
}

/// The mean of the damping's prior.
fn prior<R: Real>(parts: &[Part<R>], around: DampingMean<'_, R>) -> Option<Vec<Twice>> {
    match around {
        DampingMean::Given(mean) => Some(twice(mean)),
        DampingMean::Average => {
            let (mut sum, mut weights) = (vec![Twice::ZERO; parts[0].mean.len()], Twice::ZERO);
            for part in parts.iter().filter(|part| part.weight > R::ZERO) {
                weights = weights + Twice::of(part.weight.as_f64());
                add(&mut sum, Twice::of(part.weight.as_f64()), &twice(&part.mean));
            }
            Some(sum.into_iter().map(|sum| sum / weights).collect())
        }
        _ => None,
    }
}

/// `‖expected − found‖/‖expected‖`
pub(crate) fn relative<R: Real>(expected: &[Twice], found: &[R]) -> f64 {
    let size = norm(expected);
    let error = norm(&less(expected, &twice(found)));
    if error == 0.0 { 0.0 } else { error / size }
}

/// Patterns, so that zeros have signs.
pub(crate) fn bits<R: Real>(values: &[R]) -> Vec<u64> {
    values.iter().map(|value| value.as_f64().to_bits()).collect()
}
