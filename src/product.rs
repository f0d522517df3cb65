//! The running product of posteriors: one model at a time into a state that the caller keeps.
//!
//! The state is itself a posterior (Λ, μ), valid after every call, so that a power loss never leaves half a merge. It is the recurrence of
//! `kernel::step`; natural parameters are a conversion from it, not its storage. It cannot scale what it has written: what leaves the
//! normal range saturates and is counted.

mod block;

use crate::door::{self, Expected};
use crate::error::{Error, Role};
use crate::gaussian::{Factor, Posterior};
use crate::kernel::Shell;
use crate::kernel::coefficient::saturate;
use crate::kernel::step::exact_sum;
use crate::kernel::stream::{self, Counts};
use crate::policy::{BadNumbers, NoEvidence};
use crate::scalar::Real;
use crate::summary::Summary;
use crate::view::Values;

/// A product of posteriors in the making, over two slices of the caller's: the precision Λ and the mean μ.
///
/// Absorbing the factors of a [`Merge`](crate::Merge) in their order gives the bits of that merge wherever no precision leaves the normal
/// range; the one difference is a sole factor with a floor, whose floor shows in the precision here.
///
/// ```
/// use fisher_merge::{NoEvidence, Posterior, RunningProduct};
/// let (mut precision, mut mean) = ([0.0; 2], [0.0; 2]);
/// let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget)?;
/// product.absorb(&Posterior::diagonal(&[1.0, 5.0][..], &[3.0, 0.0][..])?.power(1.0))?;
/// product.absorb(&Posterior::diagonal(&[2.0, 7.0][..], &[1.0, 0.0][..])?.power(1.0))?;
/// let summary = product.finish()?;
/// assert_eq!((mean, precision), ([1.25, 5.0], [4.0, 0.0]));
/// assert_eq!(summary.no_evidence, 1);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Debug)]
pub struct RunningProduct<'a, R: Real> {
    precision: &'a mut [R],
    mean: &'a mut [R],
    no_evidence: NoEvidence<'a, R>,
    bad_numbers: BadNumbers,
    shell: Shell,
    tensor: usize,
    /// Σλ as an unevaluated sum of two numbers, for the prior that is counted once.
    weight: (R, R),
    /// Σλ rounded at every step, the Λ of the weighted mean where there is no evidence.
    votes: R,
    absorbed: usize,
    summary: Summary,
}

impl<'a, R: Real> RunningProduct<'a, R> {
    /// The empty product: Λ = 0 everywhere. The first factor of positive weight is the target, whose mean is copied whole.
    ///
    /// # Errors
    /// [`Error::Length`] if the slices, or the policy's prior mean, differ in length; [`Error::BadNumber`] if the prior mean holds a bad
    /// number.
    pub fn start(precision: &'a mut [R], mean: &'a mut [R], no_evidence: NoEvidence<'a, R>) -> Result<Self, Error> {
        let product = Self::over(precision, mean, no_evidence)?;
        product.precision.fill(R::ZERO);
        Ok(product)
    }

    /// Goes on with a state that was kept, made of `absorbed` factors of total weight `weight`.
    ///
    /// # Errors
    /// As [`start`](Self::start), [`Error::BadWeight`] for the weight, and [`Error::BadNumber`] if the state holds a bad number.
    pub fn resume(
        precision: &'a mut [R],
        mean: &'a mut [R],
        no_evidence: NoEvidence<'a, R>,
        (weight, absorbed): (R, usize),
    ) -> Result<Self, Error> {
        door::weight(0, weight)?;
        let product = Self { weight: (weight, R::ZERO), votes: weight, absorbed, ..Self::over(precision, mean, no_evidence)? };
        door::numbers(&product.posterior().power(R::ONE), (0, 0), BadNumbers::Refuse, product.shell, &mut Summary::default())?;
        Ok(product)
    }

    fn over(precision: &'a mut [R], mean: &'a mut [R], no_evidence: NoEvidence<'a, R>) -> Result<Self, Error> {
        let expected = Expected { tensor: 0, count: mean.len(), arithmetic: R::DTYPE };
        expected.length(0, Role::Precision, precision.len())?;
        if let NoEvidence::PriorMean(prior) = no_evidence {
            expected.length(0, Role::PriorMean, prior.len())?;
            for (index, &value) in prior.iter().enumerate() {
                door::judge(BadNumbers::Refuse, (0, 0, Role::PriorMean, index), value, &mut Summary::default())?;
            }
        }
        let summary = Summary { elements: mean.len() as u64, ..Summary::default() };
        let (weight, shell) = ((R::ZERO, R::ZERO), Shell::detect());
        Ok(Self {
            precision,
            mean,
            no_evidence,
            bad_numbers: BadNumbers::Refuse,
            shell,
            tensor: 0,
            weight,
            votes: R::ZERO,
            absorbed: 0,
            summary,
        })
    }

    /// What happens to NaN, infinities and negative precisions.
    #[must_use]
    pub fn bad_numbers(mut self, policy: BadNumbers) -> Self {
        self.bad_numbers = policy;
        self
    }

    /// The number by which errors call this tensor.
    #[must_use]
    pub fn tensor(mut self, number: usize) -> Self {
        self.tensor = number;
        self
    }

    /// The instruction-set shell, if not the best one. Changes no bit.
    #[must_use]
    pub fn shell(mut self, shell: Shell) -> Self {
        self.shell = shell;
        self
    }

    /// Multiplies a factor in: `Λ' = Λ + λΛ_m`, `Λ'μ' = Λμ + λΛ_mμ_m`. A factor of weight zero changes nothing.
    ///
    /// The factor is looked at whole first; an error leaves the state as it was.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NarrowArithmetic`], [`Error::BadWeight`], and [`Error::BadNumber`] where the policy says so. Errors
    /// call the factor by the number of factors absorbed before it.
    pub fn absorb<V, P>(&mut self, factor: &Factor<V, P, R>) -> Result<(), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
    {
        let expected = Expected { tensor: self.tensor, count: self.mean.len(), arithmetic: R::DTYPE };
        expected.factor(self.absorbed, factor)?;
        if !factor.is_active() {
            return Ok(());
        }
        let mut counted = self.summary;
        door::numbers(factor, (self.tensor, self.absorbed), self.bad_numbers, self.shell, &mut counted)?;
        self.summary = counted;
        self.summary.normalized |= factor.is_normalized();
        let idle = self.before(factor.weight());
        let first = self.absorbed == 0;
        let counts = self.shell.run(block::Absorb { factor, idle, first, precision: &mut *self.precision, mean: &mut *self.mean });
        self.after((factor.weight(), R::ZERO), factor.weight(), 1, counts);
        Ok(())
    }

    /// Multiplies another product in, as if its factors were one: `Λ' = Λ + Λ_b`, `Λ'μ' = Λμ + Λ_bμ_b`. An empty one changes nothing.
    ///
    /// # Errors
    /// As [`absorb`](Self::absorb).
    pub fn combine(&mut self, other: &RunningProduct<'_, R>) -> Result<(), Error> {
        let state = other.posterior().power(R::ONE);
        Expected { tensor: self.tensor, count: self.mean.len(), arithmetic: R::DTYPE }.factor(self.absorbed, &state)?;
        if other.absorbed == 0 && other.is_empty() {
            return Ok(());
        }
        // Where they propagate, the other product has counted them.
        door::numbers(&state, (self.tensor, self.absorbed), self.bad_numbers, self.shell, &mut Summary::default())?;
        let idle = self.before(other.votes);
        let first = self.absorbed == 0;
        let counts = self.shell.run(block::Absorb { factor: &state, idle, first, precision: &mut *self.precision, mean: &mut *self.mean });
        let elements = self.summary.elements;
        self.summary.add(&other.summary);
        self.summary.elements = elements;
        self.after(other.weight, other.votes, other.absorbed, counts);
        Ok(())
    }

    /// Divides a factor out: `Λ' = Λ − λΛ_m`, `μ' = μ + (λΛ_m/Λ')·(μ − μ_m)`. The floor and norm of the factor do not take part. What
    /// comes back is within `16·(Λ/Λ')·eps·max|μ|` of the exact quotient, but may lie outside the hull of what went in. Under
    /// [`NoEvidence::WeightedMean`] an element without evidence keeps the vote of the factor.
    ///
    /// # Errors
    /// As [`absorb`](Self::absorb), and [`Error::NotRemovable`] where `Λ' ≤ 2¹⁰·eps·Λ` or what is left is no finite number; every element
    /// is looked at before the state changes. Bad numbers are refused whatever the policy.
    ///
    /// ```
    /// use fisher_merge::{Error, NoEvidence, Posterior, RunningProduct};
    /// let (mut precision, mut mean) = ([0.0], [0.0]);
    /// let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget)?;
    /// let (a, b) = (Posterior::diagonal(&[1.0][..], &[3.0][..])?, Posterior::diagonal(&[2.0][..], &[1.0][..])?);
    /// product.absorb(&a.power(1.0))?;
    /// product.absorb(&b.power(1.0))?;
    /// product.remove(&a.power(1.0))?;
    /// assert_eq!(product.remove(&b.power(1.0)), Err(Error::NotRemovable { tensor: 0, index: 0 }));
    /// assert_eq!((product.posterior().mean(), product.weight()), (&[2.0][..], 1.0));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn remove<V, P>(&mut self, factor: &Factor<V, P, R>) -> Result<(), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
    {
        let expected = Expected { tensor: self.tensor, count: self.mean.len(), arithmetic: R::DTYPE };
        expected.factor(0, factor)?;
        if !factor.is_active() {
            return Ok(());
        }
        door::numbers(factor, (self.tensor, 0), BadNumbers::Refuse, self.shell, &mut Summary::default())?;
        if let Some(index) = self.shell.run(block::Remove { factor, precision: &mut *self.precision, mean: &mut *self.mean }) {
            return Err(Error::NotRemovable { tensor: self.tensor, index });
        }
        self.weight = added(self.weight, (-factor.weight(), R::ZERO));
        self.votes = self.weight.0;
        Ok(())
    }

    /// Leaves a prior that every absorbed posterior carried (`Λ_m = H_m + Λ_0`) in the product once: it is there `Σλ` times, so `Σλ − 1`
    /// copies are divided out, or `1 − Σλ` multiplied in. Then `Λ* = Λ_0 + Σ λ_m H_m` and `Λ*(μ* − μ_0) = Σ λ_m (H_m + Λ_0)(μ_m − μ_0)`
    /// (uncertainty-based gradient matching, Daheim et al. 2024, with the posteriors' precisions in the place of their Hessians, at
    /// λ = 1). The total weight counts as 1 afterwards. An element without evidence, in the product and in the prior, keeps its mean.
    ///
    /// # Errors
    /// As [`remove`](Self::remove); [`Error::NothingAbsorbed`] on an empty product.
    pub fn count_prior_once<V, P>(&mut self, prior: &Posterior<V, P, R>) -> Result<(), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
    {
        if self.absorbed == 0 {
            return Err(Error::NothingAbsorbed);
        }
        let absorbed = self.absorbed;
        let copies = added(self.weight, (-R::ONE, R::ZERO)).0;
        if copies > R::ZERO {
            self.remove(&prior.power(copies))?;
        } else {
            self.absorb(&prior.power(-copies))?;
        }
        (self.weight, self.votes, self.absorbed) = ((R::ONE, R::ZERO), R::ONE, absorbed);
        Ok(())
    }

    /// Raises the product to the power `weight`: `Λ' = weight·Λ`, the mean stays. What leaves the normal range saturates and is counted.
    ///
    /// # Errors
    /// [`Error::BadWeight`] unless the power is finite and above zero ([`Error::AllWeightsZero`] for zero, which would leave nothing).
    pub fn raise(&mut self, weight: R) -> Result<(), Error> {
        door::weight(0, weight)?;
        if weight == R::ZERO {
            return Err(Error::AllWeightsZero);
        }
        for precision in &mut *self.precision {
            let raised = *precision * weight;
            if *precision > R::ZERO {
                self.summary.out_of_range += u64::from(!(raised >= R::MIN_NORMAL && raised <= R::MAX));
                *precision = saturate(raised);
            }
        }
        self.weight = (saturate(self.weight.0 * weight), self.weight.1 * weight);
        self.votes = saturate(self.votes * weight);
        Ok(())
    }

    /// The state as a posterior.
    #[must_use]
    pub fn posterior(&self) -> Posterior<&[R], &[R], R> {
        Posterior::paired(&*self.mean, &*self.precision)
    }

    /// The total weight Σλ of what is in the product.
    #[must_use]
    pub fn weight(&self) -> R {
        self.weight.0
    }

    /// How many factors of positive weight were multiplied in. Dividing one out does not count, since it may be a part of one.
    #[must_use]
    pub fn absorbed(&self) -> usize {
        self.absorbed
    }

    /// What was counted so far, elements without evidence by the present state.
    pub fn summary(&self) -> Summary {
        let no_evidence = self.precision.iter().filter(|&&precision| precision == R::ZERO).count() as u64;
        Summary { no_evidence, ..self.summary }
    }

    /// Ends the product. The slices hold the posterior.
    ///
    /// # Errors
    /// [`Error::NothingAbsorbed`] on an empty product; [`Error::NoEvidence`] if that is the policy, there is such an element and more than
    /// one factor. The state stays valid.
    pub fn finish(self) -> Result<Summary, Error> {
        if self.absorbed == 0 && self.is_empty() {
            return Err(Error::NothingAbsorbed);
        }
        if matches!(self.no_evidence, NoEvidence::Error) && self.absorbed > 1 {
            if let Some(index) = self.precision.iter().position(|&precision| precision == R::ZERO) {
                return Err(Error::NoEvidence { tensor: self.tensor, index });
            }
        }
        Ok(self.summary())
    }

    /// The share by which elements without evidence move towards a factor of this weight.
    fn before(&self, weight: R) -> R {
        match self.no_evidence {
            NoEvidence::WeightedMean => weight / self.voted(weight),
            _ => R::ZERO,
        }
    }

    /// Whether no element has evidence.
    fn is_empty(&self) -> bool {
        self.precision.iter().all(|&precision| precision == R::ZERO)
    }

    /// Σλ with another weight, saturated.
    fn voted(&self, weight: R) -> R {
        saturate(self.votes + weight)
    }

    fn after(&mut self, weight: (R, R), votes: R, absorbed: usize, counts: Counts) {
        // A total weight that leaves the range spoils the weighted means.
        if (self.votes + votes).is_infinite() && matches!(self.no_evidence, NoEvidence::WeightedMean) {
            self.summary.out_of_range += self.summary().no_evidence;
        }
        self.votes = self.voted(votes);
        self.weight = added(self.weight, weight);
        self.absorbed += absorbed;
        // One factor comes back before any policy, so the prior's mean enters with the second.
        if let (NoEvidence::PriorMean(prior), 2..) = (self.no_evidence, self.absorbed) {
            stream::take_target(prior, self.precision, self.mean);
        }
        self.summary.floored += counts.floored;
        self.summary.out_of_range += counts.out_of_range;
    }
}

/// The sum of two unevaluated sums; saturated, since a total weight has no policy.
fn added<R: Real>(a: (R, R), b: (R, R)) -> (R, R) {
    let (high, low) = exact_sum(a.0, b.0);
    if high.is_infinite() { (R::MAX, R::ZERO) } else { exact_sum(high, low + (a.1 + b.1)) }
}
