//! The merge of structured posteriors of one tensor.

use super::damping::{Damping, DampingMean};
use super::elementwise;
use super::operator::{self, copy};
use super::posterior::{Structure, StructuredFactor, StructuredPosterior};
use super::problem::{Sum, takes_part};
use super::solve::{self, Stop};
use super::solved::{Method, Solved};
use super::solvers::{AllSolvers, Solvers};
use super::system::{Base, System, Work};
use super::verify::{self, Place};
use crate::error::{Defect, Error, LinearFault, Role};
use crate::gaussian::Posterior;
use crate::kernel::Shell;
use crate::kernel::scaled::defect;
use crate::linear::tools::Tools;
use crate::linear::{BuiltIn, MatrixProduct};
use crate::policy::NoEvidence;
use crate::product::RunningProduct;
use crate::scalar::Real;

/// Refuses weights that are no numbers.
pub(super) fn weights<R: Real>(factors: &[StructuredFactor<'_, R>]) -> Result<(), Error> {
    let bad = factors.iter().enumerate().find_map(|(model, factor)| defect(factor.weight, Role::Mean).map(|defect| (model, defect)));
    bad.map_or(Ok(()), |(model, defect)| Err(Error::BadWeight { model, defect }))
}

/// What happens where a sum of precisions is not positive definite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// [`Error::NotSolved`], which names the tensor.
    #[default]
    Refuse,
    /// More damping: by the root of epsilon first, then sixteen times that, and so on up to about a quarter. What was added is in
    /// [`Solved::repaired`].
    Raise,
}

/// The merge of structured posteriors, `W* = Λ*⁻¹ Σ λ_m·Λ_m·W_m` with `Λ* = Σ λ_m·Λ_m`, damped; structures may differ between models, and
/// [`Method`] says what decides.
///
/// Every solve is centred on the first model that has evidence, `W* = W_c + Λ*⁻¹ Σ λ_m·Λ_m·(W_m − W_c)`, so that equal models give their
/// own bits. A model of weight zero, or without any evidence, takes no part; a sole one comes back bit for bit.
///
/// With [`base`](Self::base) it is `μ* = μ_0 + Λ*⁻¹ Σ λ_m·(H_m + Λ_0)(μ_m − μ_0)`, `Λ* = Λ_0 + Σ λ_m·H_m`: uncertainty-based gradient matching
/// (Daheim et al., "Model Merging by Uncertainty-Based Gradient Matching", ICLR 2024), of which task arithmetic is the case `H_m = 0` (Ilharco
/// et al., "Editing Models with Task Arithmetic", ICLR 2023). There, and only there, weights may be negative.
///
/// # Cost
/// Of `r` rows, `c` columns, `n = r·c` parameters, `M` models and `k` low-rank columns in all; [`scratch`](Self::scratch) gives the exact number.
///
/// | method | multiplications, about | numbers of scratch beside `4·n` and buffers |
/// |---|---|---|
/// | input covariance | `c³/3 + r·c² + M·n·c` | `c²` |
/// | Kronecker pair | `9·(r³ + c³) + 6·n·(r + c)` | `r² + c² + r + c + max(2·n, 2·r², 2·c²)` |
/// | dense | `n³/3 + M·n²` | `n²` |
/// | Woodbury | `n·k² + k³/3` | `n·(2·k + 1) + k² + k` |
/// | conjugate gradients, an iteration | `(M + 1)·n·(r + c)` | `5·n + r² + c²` |
///
/// The buffers are those of products and of panels, at most `172,032 + 130·max(r, c)`. A pair of 1024 by 1024 takes 8,695,808 numbers, and
/// eight times as long as one of half the side (`cargo bench --bench limits -- 0` prints both).
///
/// ```
/// use fisher_merge::{Damping, Method, Structure, StructuredMerge, StructuredPosterior};
/// let (g, a) = ([2.0, 0.0, 0.0, 1.0], [1.0, 0.5, 0.5, 1.0]);
/// let one = StructuredPosterior::new(&[1.0, 2.0, 3.0, 4.0], (2, 2), Structure::Kronecker { outputs: &g, inputs: &a })?;
/// let two = StructuredPosterior::new(&[1.0, 2.0, 5.0, 6.0], (2, 2), Structure::Kronecker { outputs: &g, inputs: &a })?;
/// const MERGE: StructuredMerge<f64> = StructuredMerge::new().damping(Damping::all(0.01));
/// let (factors, mut merged) = ([one.power(0.5), two.power(0.5)], [0.0; 4]);
/// let mut scratch = vec![0.0; MERGE.scratch(&factors)?];
/// let solved = MERGE.run(&factors, &mut merged, &mut scratch)?;
/// assert_eq!(solved.method, Method::KroneckerPair);
/// assert!(merged.iter().zip([1.0, 2.0, 4.0, 5.0]).all(|(found, mean)| (found - mean).abs() < 1e-12)); // equal precisions: the average
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StructuredMerge<'a, R, P = BuiltIn, S = AllSolvers> {
    // What is not chosen is looked up when it runs, so that a constant can hold a merge.
    product: P,
    solvers: S,
    shell: Option<Shell>,
    damping: Option<Damping<R>>,
    mean: DampingMean<'a, R>,
    base: Option<Base<'a, R>>,
    stop: Option<Stop<R>>,
    iterate: bool,
    repair: Repair,
    tensor: usize,
}

impl<R: Real> Default for StructuredMerge<'_, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Real> StructuredMerge<'_, R> {
    /// The default damping around each model's own mean, no base; conjugate gradients to a residual of 2⁻³³ (`f64`) or 2⁻¹⁷ (`f32`), at
    /// most 1,000 of them; the built-in matrix product.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            product: BuiltIn::new(),
            solvers: AllSolvers,
            shell: None,
            damping: None,
            mean: DampingMean::Own,
            base: None,
            stop: None,
            iterate: false,
            repair: Repair::Refuse,
            tensor: 0,
        }
    }
}

impl<'a, R: Real, P: MatrixProduct<R>, S: Solvers> StructuredMerge<'a, R, P, S> {
    /// Another matrix product, of the caller's. Promise 8 is that of the built-in one.
    #[must_use]
    pub fn product<Q: MatrixProduct<R>>(self, product: Q) -> StructuredMerge<'a, R, Q, S> {
        let Self { solvers, shell, damping, mean, base, stop, iterate, repair, tensor, .. } = self;
        StructuredMerge { product, solvers, shell, damping, mean, base, stop, iterate, repair, tensor }
    }

    /// With these solvers alone.
    #[must_use]
    pub const fn solvers<T: Solvers>(self, solvers: T) -> StructuredMerge<'a, R, P, T>
    where
        // Nothing is dropped in a constant.
        P: Copy,
        S: Copy,
    {
        let Self { product, shell, damping, mean, base, stop, iterate, repair, tensor, .. } = self;
        StructuredMerge { product, solvers, shell, damping, mean, base, stop, iterate, repair, tensor }
    }

    /// How much damping.
    #[must_use]
    pub const fn damping(mut self, damping: Damping<R>) -> Self {
        self.damping = Some(damping);
        self
    }

    /// The mean of what damping adds.
    #[must_use]
    pub const fn damping_mean(mut self, mean: DampingMean<'a, R>) -> Self {
        self.mean = mean;
        self
    }

    /// The model that all were trained from, with the precision of the prior around it: each posterior is `H_m + Λ_0`, its factor gives `H_m`, and
    /// the prior is counted once.
    #[must_use]
    pub const fn base(mut self, mean: &'a [R], prior: Structure<'a, R>) -> Self {
        self.base = Some((mean, prior));
        self
    }

    /// When conjugate gradients stop: at this residual relative to the right-hand side, and after so many iterations in any case.
    #[must_use]
    pub const fn stop(mut self, tolerance: R, iterations: u32) -> Self {
        self.stop = Some(Stop { tolerance, iterations });
        self
    }

    /// Conjugate gradients even where there is a closed form: less scratch, and for a residual that need not be small less time.
    #[must_use]
    pub const fn iterate(mut self, iterate: bool) -> Self {
        self.iterate = iterate;
        self
    }

    /// What happens where the sum is not positive definite.
    #[must_use]
    pub const fn repair(mut self, repair: Repair) -> Self {
        self.repair = repair;
        self
    }

    /// The number by which errors call this tensor.
    #[must_use]
    pub const fn tensor(mut self, tensor: usize) -> Self {
        self.tensor = tensor;
        self
    }

    /// The instruction-set shell of the loops that are no products. Changes no bit.
    #[must_use]
    pub const fn shell(mut self, shell: Shell) -> Self {
        self.shell = Some(shell);
        self
    }

    fn sum<'f>(&self, factors: &'f [StructuredFactor<'a, R>], extra: R) -> Sum<'f, 'a, R> {
        let shape = factors.first().map_or((0, 0), |factor| factor.posterior.shape);
        Sum {
            factors,
            prior: self.base.map(|(_, prior)| prior),
            damping: self.damping.unwrap_or_default().raised(extra),
            shape,
            iterate: self.iterate,
        }
    }

    /// Numbers of scratch that [`run`](Self::run) takes: four matrices of parameters, and those of the solver.
    ///
    /// # Errors
    /// As [`run`](Self::run), but for the numbers.
    pub fn scratch(&self, factors: &[StructuredFactor<'a, R>]) -> Result<usize, Error> {
        self.check(factors)?;
        let sum = self.sum(factors, R::ZERO);
        let apply = operator::scratch(&self.product, sum.shape, sum.is_dense());
        let solve = solve::scratch::<S, R>(&self.product, sum).map_err(|fault| self.fault(fault))?;
        Ok(4 * sum.shape.0 * sum.shape.1 + apply.max(solve))
    }

    fn fault(&self, fault: LinearFault) -> Error {
        Error::NotSolved { tensor: self.tensor, fault }
    }

    /// An error of a posterior, which does not know its tensor.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Length { model, role, expected, found, .. } => Error::Length { tensor: self.tensor, model, role, expected, found },
            other => other,
        }
    }

    /// Shapes and weights.
    fn check(&self, factors: &[StructuredFactor<'a, R>]) -> Result<(), Error> {
        let first = factors.first().ok_or(Error::NoModels)?.posterior.shape;
        for factor in factors {
            let (rows, columns) = factor.posterior.shape;
            for (expected, found) in [(first.0, rows), (first.1, columns)] {
                if expected != found {
                    return Err(self.fault(LinearFault::Shape { expected, found }));
                }
            }
        }
        let n = first.0.saturating_mul(first.1);
        for mean in self.base.map(|(mean, _)| mean).into_iter().chain(self.given()) {
            if mean.len() != n {
                return Err(Error::Length { tensor: self.tensor, model: 0, role: Role::PriorMean, expected: n, found: mean.len() });
            }
        }
        if let Some((mean, prior)) = self.base {
            StructuredPosterior::new(mean, first, prior).map_err(|error| self.named(error))?;
        }
        self.damping.unwrap_or_default().check()?;
        weights(factors)?;
        if let (None, Some(model)) = (self.base, factors.iter().position(|factor| factor.weight < R::ZERO)) {
            return Err(Error::BadWeight { model, defect: Defect::Negative });
        }
        if self.base.is_none() && factors.iter().all(|factor| factor.weight == R::ZERO) {
            return Err(Error::AllWeightsZero);
        }
        Ok(())
    }

    fn given(&self) -> Option<&'a [R]> {
        if let DampingMean::Given(mean) = self.mean { Some(mean) } else { None }
    }

    /// Merges into `out`, row by row. Nothing is written to it if that fails.
    ///
    /// # Errors
    /// [`Error::NoModels`], [`Error::BadWeight`], [`Error::AllWeightsZero`], [`Error::BadDamping`]; [`Error::Length`] for the output, [`Error::Scratch`];
    /// [`Error::BadNumber`] for NaN, infinities and negative precisions; [`Error::NotSolved`] for shapes that differ, matrices that are not
    /// symmetric, sums that are not positive definite, and those that no solver is [there](Solvers) for. All name the tensor.
    pub fn run(&self, factors: &[StructuredFactor<'a, R>], out: &mut [R], scratch: &mut [R]) -> Result<Solved, Error> {
        let needed = self.scratch(factors)?;
        let sum = self.sum(factors, R::ZERO);
        let (expected, found) = (sum.shape.0 * sum.shape.1, out.len());
        if expected != found {
            return Err(Error::Length { tensor: self.tensor, model: 0, role: Role::MeanOut, expected, found });
        }
        if scratch.len() < needed {
            return Err(Error::Scratch { needed, found: scratch.len() });
        }
        self.verify(factors)?;
        if let Some((mean, no_evidence)) = self.copied(factors) {
            copy(out, mean);
            return Ok(Solved { method: Method::Copied, iterations: 0, residual: 0.0, no_evidence, repaired: 0.0 });
        }
        let mut work = Work::cut(scratch, expected).map_err(|fault| self.fault(fault))?;
        let method = sum.method::<S>();
        if method == Method::ElementWise {
            let no_evidence = match self.base {
                None => elementwise::merge(factors, self.tensor, work.right, work.solution)?,
                Some((mean, _)) => elementwise::around(sum, mean, &mut work).map_err(|fault| self.fault(fault))?,
            };
            copy(out, work.solution);
            return Ok(Solved { method, iterations: 0, residual: 0.0, no_evidence, repaired: 0.0 });
        }
        let system = System { base: self.base, mean: self.average(factors, &mut work)?, stop: self.stop.unwrap_or_default() };
        let solved = self.attempts(factors, &system, &mut work)?;
        copy(out, work.solution);
        Ok(solved)
    }

    /// Looks at all numbers.
    fn verify(&self, factors: &[StructuredFactor<'a, R>]) -> Result<(), Error> {
        let place = |model| Place { tensor: self.tensor, model };
        for (model, factor) in factors.iter().enumerate().filter(|(_, factor)| factor.weight != R::ZERO) {
            verify::posterior(place(model), &factor.posterior)?;
        }
        if let (Some((mean, structure)), Some(first)) = (self.base, factors.first()) {
            verify::mean(place(0), Role::PriorMean, mean)?;
            verify::posterior(place(0), &StructuredPosterior { mean, shape: first.posterior.shape, structure })?;
        }
        self.given().map_or(Ok(()), |mean| verify::mean(place(0), Role::PriorMean, mean))
    }

    /// The mean that comes back as it is, and for how many elements without evidence.
    fn copied<'f>(&self, factors: &'f [StructuredFactor<'a, R>]) -> Option<(&'f [R], u64)> {
        if self.base.is_some() {
            return None;
        }
        let mut weighted = factors.iter().filter(|factor| factor.weight > R::ZERO);
        let mut taking = factors.iter().filter(|factor| takes_part(factor));
        let (target, first, second) = (weighted.next()?, taking.next(), taking.next());
        match (first, second) {
            // A sole weight is asked before any evidence.
            (first, None) => {
                let sole = if weighted.next().is_none() { target } else { first.unwrap_or(target) };
                let nothing = first.is_none();
                Some((sole.posterior.mean, if nothing { sole.posterior.mean.len() as u64 } else { 0 }))
            }
            _ => None,
        }
    }

    /// The mean of the damping's prior, if it is not each model's own.
    fn average<'w>(&self, factors: &[StructuredFactor<'a, R>], work: &mut Work<'w, R>) -> Result<Option<&'w [R]>, Error> {
        let average = core::mem::take(&mut work.average);
        match self.mean {
            DampingMean::Own => return Ok(None),
            DampingMean::Given(mean) => copy(average, mean),
            // Of models that are taken out there is no average.
            DampingMean::Average if !factors.iter().any(|factor| factor.weight > R::ZERO) => match self.base {
                Some((mean, _)) => copy(average, mean),
                None => return Ok(None),
            },
            DampingMean::Average => {
                let mut product = RunningProduct::start(work.right, average, NoEvidence::KeepTarget)?;
                for factor in factors.iter().filter(|factor| factor.weight > R::ZERO) {
                    product.absorb(&Posterior::isotropic(factor.posterior.mean).power(factor.weight))?;
                }
                let _ = product.finish()?;
            }
        }
        Ok(Some(average))
    }

    /// Solves, with more and more damping where that is asked for.
    fn attempts(&self, factors: &[StructuredFactor<'a, R>], system: &System<'_, R>, work: &mut Work<'_, R>) -> Result<Solved, Error> {
        let tools = Tools { product: &self.product, shell: self.shell.unwrap_or_default() };
        let mut extra = R::ZERO;
        loop {
            match system.solve::<S, P>(tools, self.sum(factors, extra), work) {
                Err(LinearFault::NotPositiveDefinite { pivot }) => {
                    let next = if extra == R::ZERO { R::epsilon().sqrt() } else { extra * R::from_f64(16.0) };
                    if self.repair == Repair::Refuse || next > R::from_f64(0.25) {
                        return Err(self.fault(LinearFault::NotPositiveDefinite { pivot }));
                    }
                    extra = next;
                }
                Err(fault) => return Err(self.fault(fault)),
                Ok(solved) => return Ok(Solved { repaired: extra.as_f64(), ..solved }),
            }
        }
    }
}
