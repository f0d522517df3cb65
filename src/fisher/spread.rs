//! How sure a Fisher is: its standard errors, and when there are enough examples.

use super::accumulator::{CombineFisher, FisherAccumulator};
use super::ledger::refuse_shares;
use super::spec::FisherRecord;
use crate::error::{Defect, Error, Estimator, FisherFault, FisherStructure, Role};
use crate::kernel::scaled::defect;
use crate::scalar::Real;

/// Sums of every parameter.
const PLANES: usize = 6;

/// What is summed, by plane. `z` is an example's own Fisher, `Σ p·g²` over its labels or the mean over its draws.
#[derive(Clone, Copy)]
enum Plane {
    /// `Σ w·z`
    Sum,
    /// `Σ w²·z`
    Squared,
    /// `Σ w²·z²`
    Fourth,
    /// `Σ w²·Var(z)`, over the draws.
    Draws,
    /// Of the open example: `Σ` of the weights times `g²`.
    Example,
    /// Of the open example: `Σ g⁴`.
    ExampleFourth,
}

/// Which error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardErrors {
    /// Over the draws of labels, the examples being given. Zero for the exact expectation; a single draw does not tell.
    Conditional,
    /// Over the examples (and the draws of their labels) as a sample of a population.
    Population,
}

/// A diagonal Fisher with its standard errors: a [`FisherAccumulator`] in `f64` with six sums for every parameter.
///
/// With the examples' own Fishers `z_n` of weights `w_n`, `F = Σwz/Σw`, the error over examples is
/// `√( n/(n−1) · Σ w²(z − F)² ) / Σw`, and the one over `D` draws is `√( Σ w²·s² ) / Σw` with `s² = Σ_d (g_d² − z)² / (D(D−1))`. An interval of
/// 95 % is [`student_t`]`(n − 1)` errors to either side; it takes some fifty examples that reach the parameter at all.
///
/// ```
/// use fisher_merge::{Estimator, FisherAccumulator, FisherSpread, StandardErrors};
/// let mut state = [0.0; FisherSpread::state_len(1)];
/// let mut fisher = FisherSpread::start(Estimator::Empirical, 1, &mut state)?;
/// for gradient in [1.0, 2.0, 3.0] {
///     fisher.observe(1.0, &[gradient])?;
///     fisher.end(1.0)?;
/// }
/// let mut error = [0.0];
/// fisher.standard_errors(StandardErrors::Population, &mut error)?;
/// let mean: f64 = 14.0 / 3.0; // of 1, 4 and 9
/// let variance = ((1.0 - mean).powi(2) + (4.0 - mean).powi(2) + (9.0 - mean).powi(2)) / 2.0;
/// assert!((error[0] - (variance / 3.0).sqrt()).abs() < 1e-14);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Debug)]
pub struct FisherSpread<'s> {
    estimator: Estimator,
    length: usize,
    state: &'s mut [f64],
    examples: u64,
    weight: f64,
    squared_weight: f64,
    share: f64,
    observations: u32,
}

impl<'s> FisherSpread<'s> {
    /// Numbers of a state for so many parameters.
    #[must_use]
    pub const fn state_len(length: usize) -> usize {
        length.saturating_mul(PLANES)
    }

    /// Of nothing yet, in this memory, which is cleared.
    ///
    /// # Errors
    /// [`FisherFault::Length`]; [`FisherFault::Zero`] for no draws.
    pub fn start(estimator: Estimator, length: usize, state: &'s mut [f64]) -> Result<Self, Error> {
        let (expected, found) = (Self::state_len(length), state.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        if matches!(estimator, Estimator::MonteCarlo { draws: 0 }) {
            return Err(FisherFault::Zero.into());
        }
        state.fill(0.0);
        Ok(Self { estimator, length, state, examples: 0, weight: 0.0, squared_weight: 0.0, share: 0.0, observations: 0 })
    }

    fn plane(&self, plane: Plane) -> &[f64] {
        self.state.get(plane as usize * self.length..).and_then(|rest| rest.get(..self.length)).unwrap_or_default()
    }

    fn plane_mut(&mut self, plane: Plane) -> &mut [f64] {
        let length = self.length;
        self.state.get_mut(plane as usize * length..).and_then(|rest| rest.get_mut(..length)).unwrap_or_default()
    }

    /// What was observed so far.
    #[must_use]
    pub fn record(&self) -> FisherRecord {
        FisherRecord {
            structure: FisherStructure::Diagonal,
            estimator: self.estimator,
            examples: self.examples,
            weight: self.weight,
            squared_weight: self.squared_weight,
            out_of_range: 0,
            model: 0,
        }
    }

    fn refuse_open(&self) -> Result<(), Error> {
        if self.observations == 0 { Ok(()) } else { Err(FisherFault::OpenExample.into()) }
    }

    /// `F` of a parameter, and its squared error.
    fn entry(&self, index: usize, which: StandardErrors) -> (f64, f64) {
        let sum = |plane| self.plane(plane).get(index).copied().unwrap_or(0.0);
        let fisher = sum(Plane::Sum) / self.weight;
        let squared = self.weight * self.weight;
        let variance = match which {
            StandardErrors::Conditional => sum(Plane::Draws) / squared,
            StandardErrors::Population => {
                #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
                let n = self.examples as f64;
                let spread = sum(Plane::Fourth) - 2.0 * fisher * sum(Plane::Squared) + fisher * fisher * self.squared_weight;
                n / (n - 1.0) * spread.max(0.0) / squared
            }
        };
        (fisher, variance)
    }

    /// The standard error of every parameter's mean.
    ///
    /// # Errors
    /// [`FisherFault::Length`], [`FisherFault::OpenExample`]; [`FisherFault::NoExamples`] below two examples, or for
    /// [`StandardErrors::Conditional`] with a single draw or an estimator without draws that is not exact.
    pub fn standard_errors(&self, which: StandardErrors, out: &mut [f64]) -> Result<(), Error> {
        self.refuse_open()?;
        let (expected, found) = (self.length, out.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        let tells = match (which, self.estimator) {
            (StandardErrors::Population, _) => self.examples >= 2,
            (StandardErrors::Conditional, Estimator::Exact) => self.examples >= 1,
            (StandardErrors::Conditional, Estimator::MonteCarlo { draws }) => draws >= 2 && self.examples >= 1,
            (StandardErrors::Conditional, _) => false,
        };
        if !tells || self.weight <= 0.0 {
            return Err(FisherFault::NoExamples.into());
        }
        for (index, out) in out.iter_mut().enumerate() {
            *out = Real::sqrt(self.entry(index, which).1);
        }
        Ok(())
    }

    /// Whether there are enough examples: at least `minimum` (and two), some spread, and an error over examples of at most `tolerance` of
    /// the Fisher, both in the Euclidean norm over all parameters.
    ///
    /// ```
    /// use fisher_merge::{Estimator, FisherAccumulator, FisherSpread};
    /// let mut state = [0.0; 6];
    /// let mut fisher = FisherSpread::start(Estimator::Empirical, 1, &mut state).unwrap();
    /// let mut examples = 0;
    /// while !fisher.is_enough(0.05, 32) {
    ///     fisher.observe(1.0, &[[0.5, 1.5][examples % 2]]).unwrap();
    ///     fisher.end(1.0).unwrap();
    ///     examples += 1;
    /// }
    /// assert!(examples > 250);
    /// ```
    #[must_use]
    pub fn is_enough(&self, tolerance: f64, minimum: u64) -> bool {
        if self.examples < minimum.max(2) || self.observations > 0 {
            return false;
        }
        let (mut fisher, mut errors) = (0.0, 0.0);
        for index in 0..self.length {
            let (entry, variance) = self.entry(index, StandardErrors::Population);
            fisher += entry * entry;
            errors += variance;
        }
        errors > 0.0 && errors <= tolerance * tolerance * fisher
    }
}

impl FisherAccumulator<f64> for FisherSpread<'_> {
    fn length(&self) -> usize {
        self.length
    }

    fn observe(&mut self, weight: f64, gradient: &[f64]) -> Result<(), Error> {
        let (expected, found) = (self.length, gradient.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        if let Some(defect) = defect(weight, Role::Precision) {
            return Err(FisherFault::BadWeight { defect }.into());
        }
        if let Some(index) = gradient.iter().position(|value| !value.is_finite()) {
            let defect = if gradient.get(index).is_some_and(|value| value.is_nan()) { Defect::Nan } else { Defect::Infinite };
            return Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Gradient, index, defect });
        }
        for (sum, &value) in self.plane_mut(Plane::Example).iter_mut().zip(gradient) {
            *sum += weight * (value * value);
        }
        for (sum, &value) in self.plane_mut(Plane::ExampleFourth).iter_mut().zip(gradient) {
            *sum += (value * value) * (value * value);
        }
        self.share += weight;
        self.observations = self.observations.saturating_add(1);
        Ok(())
    }

    fn end(&mut self, weight: f64) -> Result<(), Error> {
        // A gradient here may stand for the whole expectation: nothing tells it from a label's.
        refuse_shares(self.estimator, (self.share, self.observations), weight, true)?;
        let sampled = self.estimator.observations().map(f64::from).filter(|&draws| draws >= 2.0);
        for index in 0..self.length {
            let take = |state: &mut [f64]| state.get_mut(index).map_or(0.0, core::mem::take);
            let (example, fourth) = (take(self.plane_mut(Plane::Example)), take(self.plane_mut(Plane::ExampleFourth)));
            // A weight of zero has added nothing.
            let z = if weight > 0.0 { example / weight } else { 0.0 };
            let drawn = sampled.map_or(0.0, |draws| ((fourth / draws - z * z) / (draws - 1.0)).max(0.0));
            let squared = weight * weight;
            let terms =
                [(Plane::Sum, example), (Plane::Squared, squared * z), (Plane::Fourth, squared * z * z), (Plane::Draws, squared * drawn)];
            for (plane, term) in terms {
                if let Some(sum) = self.plane_mut(plane).get_mut(index) {
                    *sum += term;
                }
            }
        }
        self.examples += 1;
        self.weight += weight;
        self.squared_weight += weight * weight;
        (self.share, self.observations) = (0.0, 0);
        Ok(())
    }

    fn reset(&mut self) {
        self.state.fill(0.0);
        (self.examples, self.weight, self.squared_weight) = (0, 0.0, 0.0);
        (self.share, self.observations) = (0.0, 0);
    }

    fn finish(&self, out: &mut [f64]) -> Result<FisherRecord, Error> {
        self.refuse_open()?;
        let (expected, found) = (self.length, out.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        if self.examples == 0 || self.weight <= 0.0 {
            return Err(FisherFault::NoExamples.into());
        }
        for (out, &sum) in out.iter_mut().zip(self.plane(Plane::Sum)) {
            *out = sum / self.weight;
        }
        Ok(self.record())
    }
}

impl CombineFisher<f64> for FisherSpread<'_> {
    fn combine(&mut self, other: &Self) -> Result<(), Error> {
        self.refuse_open()?;
        other.refuse_open()?;
        if self.estimator != other.estimator {
            return Err(FisherFault::Estimator { expected: self.estimator, found: other.estimator }.into());
        }
        if self.length != other.length {
            return Err(FisherFault::Length { expected: self.length, found: other.length }.into());
        }
        for (sum, &term) in self.state.iter_mut().zip(&*other.state) {
            *sum += term;
        }
        self.examples += other.examples;
        self.weight += other.weight;
        self.squared_weight += other.squared_weight;
        Ok(())
    }
}

/// The number of standard errors to either side of a mean that hold 95 %: the 97.5 % quantile of Student's distribution, to four digits
/// from ten degrees of freedom on (G. W. Hill's form of the Cornish-Fisher expansion, CACM 13 (1970) 619). Infinite without a degree.
///
/// ```
/// assert!((fisher_merge::student_t(31) - 2.0395).abs() < 1e-4);
/// ```
#[must_use]
pub fn student_t(degrees: u64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    let z2 = Z * Z;
    #[allow(clippy::cast_precision_loss, reason = "a quantile needs no digits of a large count")]
    let n = degrees as f64;
    let second = Z * (z2 + 1.0) / 4.0;
    let third = Z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let fourth = Z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    let fifth = Z * ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92160.0;
    Z + (second + (third + (fourth + fifth / n) / n) / n) / n
}
