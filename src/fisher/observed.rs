//! What factors and dense Fishers observe: a batch's inputs, and the gradients of one label (or draw) of each of its examples.

use super::gradient::Gradient;
use super::ledger::{Ledger, expect, refuse_weight};
use crate::error::{Error, FisherFault};
use crate::scalar::Real;
use crate::view::Values;

/// A batch of a layer's inputs, `a [B, T, in]`, and for every example its weight: the same for every label, so observed once.
///
/// ```
/// use fisher_merge::LayerInputs;
/// // Two sequences of three positions, of which the second has a single one: the rest is not looked at.
/// let (a, weights) = ([1.0_f32, 2.0, 3.0, 4.0, 0.0, 0.0], [1.0_f32; 2]);
/// let inputs = LayerInputs::new(&a[..], &weights).positions(3).lengths(&[3, 1]);
/// # let _ = inputs;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LayerInputs<'a, A, R> {
    pub(super) values: A,
    pub(super) weights: &'a [R],
    pub(super) positions: usize,
    pub(super) lengths: Option<&'a [usize]>,
}

impl<'a, A, R: Real> LayerInputs<'a, A, R> {
    /// One position an example.
    pub const fn new(inputs: A, weights: &'a [R]) -> Self {
        Self { values: inputs, weights, positions: 1, lengths: None }
    }

    /// So many positions an example.
    #[must_use]
    pub fn positions(self, positions: usize) -> Self {
        Self { positions, ..self }
    }

    /// So many of them each, at least one, where examples are of unequal lengths: only these are averaged over.
    #[must_use]
    pub fn lengths(self, lengths: &'a [usize]) -> Self {
        Self { lengths: Some(lengths), ..self }
    }

    /// Compares sizes and looks at numbers before anything is added. Gives `Σ w` and `Σ w·T`.
    pub(super) fn door(&self, ledger: &Ledger<'_, R>, width: usize) -> Result<(f64, f64), Error>
    where
        A: Values<R>,
    {
        if self.positions == 0 || self.lengths.is_some_and(|lengths| lengths.contains(&0)) {
            return Err(FisherFault::Zero.into());
        }
        if let Some(lengths) = self.lengths {
            expect(self.weights.len(), lengths.len())?;
            if let Some(&found) = lengths.iter().find(|&&length| length > self.positions) {
                return Err(FisherFault::Length { expected: self.positions, found }.into());
            }
        }
        expect(self.weights.len().saturating_mul(self.positions).saturating_mul(width), self.values.count())?;
        ledger.refuse_bad(&self.values)?;
        self.weights.iter().try_for_each(|&weight| refuse_weight(weight))?;
        let length = |example: usize| self.lengths.and_then(|lengths| lengths.get(example)).copied().unwrap_or(self.positions);
        #[allow(clippy::cast_precision_loss, reason = "sequences of 2^53 positions are out of reach")]
        let positions = self.weights.iter().enumerate().map(|(example, weight)| weight.as_f64() * length(example) as f64).sum();
        Ok((total(self.weights), positions))
    }
}

/// The gradients `g [B, T, out]` of `log p(y|x)` for one label (or draw) of every example of a batch, at a layer's outputs or by the parameters
/// of a dense block, and for every example the weight of that label: `w·p(y|x)` for the exact expectation, `w/draws` for a draw, `w` for an
/// observed label. Examples of unequal lengths take zeros at the end.
///
/// ```
/// use fisher_merge::{Gradient, LayerGradients};
/// let (g, weights) = ([0.5_f32, -0.5], [1.0_f32; 2]);
/// let gradients = LayerGradients::new(Gradient::new(&g[..]).loss_scale(1024.0), &weights);
/// # let _ = gradients;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LayerGradients<'a, G, R> {
    pub(super) gradient: Gradient<G>,
    pub(super) weights: &'a [R],
    pub(super) positions: usize,
    pub(super) columns: u32,
    /// Whether it is a column of the expectation's root, and not one label of it.
    pub(super) whole: bool,
}

impl<'a, G, R: Real> LayerGradients<'a, G, R> {
    /// One position an example.
    pub const fn new(gradients: Gradient<G>, weights: &'a [R]) -> Self {
        Self { gradient: gradients, weights, positions: 1, columns: 1, whole: false }
    }

    /// So many positions an example.
    #[must_use]
    pub fn positions(self, positions: usize) -> Self {
        Self { positions, ..self }
    }

    /// As one of so many columns of a square root of the expectation, such as [`LabelCovariance`](super::LabelCovariance)'s, each of the
    /// example's full weight. For [`ExactLabels`](super::ExactLabels) alone.
    #[must_use]
    pub fn columns(self, columns: u32) -> Self {
        Self { columns, whole: true, ..self }
    }

    /// Compares sizes and looks at numbers before anything is added. Gives the gradients' scale.
    pub(super) fn door(&self, ledger: &Ledger<'_, R>, width: usize) -> Result<R, Error>
    where
        G: Values<R>,
    {
        if self.positions == 0 || self.columns == 0 {
            return Err(FisherFault::Zero.into());
        }
        ledger.refuse_whole(self.whole)?;
        expect(self.weights.len().saturating_mul(self.positions).saturating_mul(width), self.gradient.values.count())?;
        ledger.refuse_bad(&self.gradient.values)?;
        self.weights.iter().try_for_each(|&weight| refuse_weight(weight))?;
        self.gradient.scale(ledger.spec.unit)
    }

    /// Counts them as the share of their examples that they are.
    pub(super) fn observed(&self, ledger: &mut Ledger<'_, R>, out_of_range: u64) {
        ledger.observed(total(self.weights) / f64::from(self.columns), out_of_range);
        ledger.open.whole |= self.whole;
    }
}

fn total<R: Real>(weights: &[R]) -> f64 {
    weights.iter().map(|weight| weight.as_f64()).sum()
}

/// As much scratch as an observation takes.
pub(super) fn lend<'s, R: Real>(ledger: &Ledger<'_, R>, scratch: &'s mut [R]) -> Result<&'s mut [R], Error> {
    let (needed, found) = (ledger.spec.factor_scratch::<R>(), scratch.len());
    scratch.get_mut(..needed).ok_or(Error::Scratch { needed, found })
}
