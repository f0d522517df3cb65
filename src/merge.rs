//! The fused merge: all models of a tensor in one pass, block by block.
//!
//! Here are the options and the calls; `merge/stretch.rs` goes through the blocks, `merge/dense.rs` does those of the common kind,
//! `merge/block.rs` any other. The running form, one model at a time, is the
//! `product` room; both are the recurrence of `kernel::step` and give the same bits where nothing leaves the normal range.

mod block;
mod careful;
mod dense;
mod narrow;
mod stretch;

use block::Active;
use careful::Careful;

use crate::door::{self, Expected};
use crate::error::{Error, Role};
use crate::gaussian::Factor;
use crate::kernel::{NARROW, Shell};
use crate::policy::{BadNumbers, NoEvidence};
use crate::scalar::Real;
use crate::summary::Summary;
use crate::view::{Values, ValuesMut};

/// How to merge one tensor: `μ* = (Σ λ_m Λ_m)⁻¹ Σ λ_m Λ_m μ_m`, the mode of the weighted product of the models' posteriors, and `Λ* = Σ
/// λ_m Λ_m`, its precision (Fisher merging in Matena & Raffel 2022, with the Fisher as Λ), element by element.
///
/// Every call compares all of its slices before it writes; nothing is written if they disagree. Numbers are looked at on the way: if the
/// policy refuses one, or refuses an element without evidence, the outputs hold no usable result. [`check`](Self::check) looks at them
/// without writing. No outcome depends on the shell, on the block size or on how a tensor is split into calls.
///
/// ```
/// use fisher_merge::{Merge, NoEvidence, Posterior};
/// let a = Posterior::diagonal(&[1.0, 5.0][..], &[3.0, 0.0][..])?;
/// let b = Posterior::diagonal(&[2.0, 7.0][..], &[1.0, 0.0][..])?;
/// let (mut mean, mut precision) = ([0.0; 2], [0.0; 2]);
/// let summary = Merge::new()
///     .no_evidence(NoEvidence::WeightedMean)
///     .run_with_precision(&[a.power(0.5), b.power(0.5)], &mut mean[..], &mut precision[..])?;
/// assert_eq!((mean, precision), ([1.25, 6.0], [2.0, 0.0]));
/// assert_eq!(summary.no_evidence, 1);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Merge<'a, R: Real> {
    no_evidence: NoEvidence<'a, R>,
    bad_numbers: BadNumbers,
    tensor: usize,
    shell: Option<Shell>,
}

impl<R: Real> Default for Merge<'_, R> {
    fn default() -> Self {
        Self::new()
    }
}

/// One merge among several over the same inputs: its factors, its outputs and what it counted. See [`Merge::run_all`].
#[derive(Debug)]
pub struct Job<'f, V, P, R: Real, O, Q = O> {
    factors: &'f [Factor<V, P, R>],
    mean: O,
    precision: Option<Q>,
    /// What the merge counted.
    pub summary: Summary,
}

impl<'f, V, P, R: Real, O> Job<'f, V, P, R, O> {
    /// A merge of these factors into these means.
    #[must_use]
    pub fn new(factors: &'f [Factor<V, P, R>], mean: O) -> Self {
        Self { factors, mean, precision: None, summary: Summary::default() }
    }
}

impl<'f, V, P, R: Real, O, Q> Job<'f, V, P, R, O, Q> {
    /// The same, with the merged precision beside the mean.
    #[must_use]
    pub fn with_precision(factors: &'f [Factor<V, P, R>], mean: O, precision: Q) -> Self {
        Self { factors, mean, precision: Some(precision), summary: Summary::default() }
    }
}

impl<'a, R: Real> Merge<'a, R> {
    /// Keeps the target where there is no evidence and refuses bad numbers.
    #[must_use]
    pub const fn new() -> Self {
        Self { no_evidence: NoEvidence::KeepTarget, bad_numbers: BadNumbers::Refuse, tensor: 0, shell: None }
    }

    /// What an element without evidence gets.
    #[must_use]
    pub const fn no_evidence(mut self, policy: NoEvidence<'a, R>) -> Self {
        self.no_evidence = policy;
        self
    }

    /// What happens to NaN, infinities and negative precisions.
    #[must_use]
    pub const fn bad_numbers(mut self, policy: BadNumbers) -> Self {
        self.bad_numbers = policy;
        self
    }

    /// The number by which errors call this tensor.
    #[must_use]
    pub const fn tensor(mut self, number: usize) -> Self {
        self.tensor = number;
        self
    }

    /// The instruction-set shell, if not the best one. Changes no bit.
    #[must_use]
    pub const fn shell(mut self, shell: Shell) -> Self {
        self.shell = Some(shell);
        self
    }

    /// Merges into `mean`, in any storage type, each number rounded once. Empty slices merge to nothing.
    ///
    /// # Errors
    /// [`Error::NoModels`], [`Error::TooManyModels`], [`Error::BadWeight`], [`Error::AllWeightsZero`], [`Error::Length`] and
    /// [`Error::NarrowArithmetic`] before anything is written; [`Error::BadNumber`] and [`Error::NoEvidence`] where the policies say so,
    /// on the first such element.
    pub fn run<V, P, O>(&self, factors: &[Factor<V, P, R>], mean: O) -> Result<Summary, Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        O: ValuesMut<R>,
    {
        self.one(factors, mean, None::<O>)
    }

    /// Merges into `mean`, and writes the precision `Λ* = Σ λ_m Λ_m` that was used into `precision`, so that the outcome is a posterior
    /// again. A precision that leaves the range of its storage saturates and is counted; it never becomes zero or infinite.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with_precision<V, P, O, Q>(&self, factors: &[Factor<V, P, R>], mean: O, precision: Q) -> Result<Summary, Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        O: ValuesMut<R>,
        Q: ValuesMut<R>,
    {
        self.one(factors, mean, Some(precision))
    }

    #[inline(always)]
    fn one<V, P, O, Q>(&self, factors: &[Factor<V, P, R>], mut mean: O, mut precision: Option<Q>) -> Result<Summary, Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        O: ValuesMut<R>,
        Q: ValuesMut<R>,
    {
        if NARROW {
            let mut summary = self.compare(factors, &mean, precision.as_ref())?;
            let careful = Careful { rule: self, active: Active::of(factors), summary: &mut summary };
            narrow::Tensor { careful, mean: &mut mean, precision: precision.as_mut() }.run()?;
            return Ok(summary);
        }
        let mut jobs = [Job { factors, mean, precision, summary: Summary::default() }];
        self.run_all(&mut jobs)?;
        let [job] = jobs;
        Ok(job.summary)
    }

    /// Merges into a new vector.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// ```
    /// use fisher_merge::{Merge, Posterior};
    /// let (a, b) = (Posterior::isotropic(&[1.0, 2.0][..]), Posterior::isotropic(&[3.0, 6.0][..]));
    /// let (merged, summary) = Merge::new().to_vec(&[a.power(1.0), b.power(1.0)])?;
    /// assert_eq!((merged, summary.elements), (vec![2.0, 4.0], 2));
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    #[cfg(feature = "alloc")]
    pub fn to_vec<V, P>(&self, factors: &[Factor<V, P, R>]) -> Result<(alloc::vec::Vec<R>, Summary), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
    {
        let mut merged = alloc::vec![R::ZERO; factors.first().map_or(0, Factor::count)];
        let summary = self.run(factors, &mut merged[..])?;
        Ok((merged, summary))
    }

    /// Several merges in one pass: a few blocks of every job before the next blocks of any. Where the jobs share their inputs (the same views
    /// with other weights), these are read from memory once.
    ///
    /// # Errors
    /// As [`run`](Self::run). All jobs are compared before anything is written.
    ///
    /// ```
    /// use fisher_merge::{Job, Merge, Posterior};
    /// let a = Posterior::isotropic(&[0.0, 4.0][..]);
    /// let b = Posterior::isotropic(&[4.0, 0.0][..]);
    /// let (even, mostly_a) = ([a.power(0.5), b.power(0.5)], [a.power(0.75), b.power(0.25)]);
    /// let mut out = [[0.0; 2]; 2];
    /// let [first, second] = &mut out;
    /// Merge::new().run_all(&mut [Job::new(&even, &mut first[..]), Job::new(&mostly_a, &mut second[..])])?;
    /// assert_eq!(out, [[2.0, 2.0], [1.0, 3.0]]);
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn run_all<V, P, O, Q>(&self, jobs: &mut [Job<'_, V, P, R, O, Q>]) -> Result<(), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        O: ValuesMut<R>,
        Q: ValuesMut<R>,
    {
        for job in &mut *jobs {
            job.summary = self.compare(job.factors, &job.mean, job.precision.as_ref())?;
        }
        if NARROW {
            for Job { factors, mean, precision, summary } in jobs {
                let careful = Careful { rule: self, active: Active::of(factors), summary };
                narrow::Tensor { careful, mean, precision: precision.as_mut() }.run()?;
            }
            return Ok(());
        }
        stretch::run(self, jobs, self.shell.unwrap_or_else(Shell::detect))
    }

    /// Looks at every number of every factor that takes part, without writing: what a caller runs first whose target cannot be thrown
    /// away. Counts the bad numbers, or refuses the first of them (in the order of the models), as the policy says.
    ///
    /// # Errors
    /// As [`run`](Self::run), but for [`Error::NoEvidence`].
    pub fn check<V, P>(&self, factors: &[Factor<V, P, R>]) -> Result<Summary, Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
    {
        let count = factors.first().map_or(0, Factor::count);
        Expected { tensor: self.tensor, count, arithmetic: R::DTYPE }.factors(factors)?;
        let mut summary = Summary { elements: count as u64, ..Summary::default() };
        let shell = self.shell.unwrap_or_else(Shell::detect);
        for (model, factor) in factors.iter().enumerate().filter(|(_, factor)| factor.is_active()) {
            door::numbers(factor, (self.tensor, model), self.bad_numbers, shell, &mut summary)?;
        }
        Ok(summary)
    }

    /// The two policies.
    pub(crate) fn policies(&self) -> (NoEvidence<'a, R>, BadNumbers) {
        (self.no_evidence, self.bad_numbers)
    }

    /// Compares all slices of a merge, and starts its counts.
    #[inline(always)]
    fn compare<V, P, O, Q>(&self, factors: &[Factor<V, P, R>], mean: &O, precision: Option<&Q>) -> Result<Summary, Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        O: ValuesMut<R>,
        Q: ValuesMut<R>,
    {
        let expected = Expected { tensor: self.tensor, count: mean.count(), arithmetic: R::DTYPE };
        expected.storage(0, Role::MeanOut, mean.dtype())?;
        if let Some(precision) = precision {
            expected.view(0, Role::PrecisionOut, precision)?;
        }
        if let NoEvidence::PriorMean(prior) = self.no_evidence {
            expected.length(0, Role::PriorMean, prior.len())?;
        }
        expected.factors(factors)?;
        let normalized = factors.iter().any(|factor| factor.is_active() && factor.is_normalized());
        Ok(Summary { elements: mean.count() as u64, normalized, ..Summary::default() })
    }
}
