//! Layers without gradients per example: from a batch of inputs and gradients at the outputs.

use super::diagonal::DiagonalFisher;
use super::gradient::Gradient;
use super::ledger::{Ledger, expect, refuse_weight};
use super::sampling::PerExample;
use crate::error::{Error, FisherFault, Role};
use crate::kernel::outer::{Outer, Outputs, SCRATCH};
use crate::kernel::scaled::defect;
use crate::kernel::squares::Sums;
use crate::scalar::Real;
use crate::view::{BLOCK, Values};

/// A batch that went through a layer: its inputs `a [B, T, in]`, the gradients at its outputs `g [B, T, out]` for one label (or draw) of every
/// example, and for every example the weight of that label: `w·p(y|x)` for the exact expectation, `w/draws` for a draw, `w` for an observed
/// label.
///
/// With `T` positions (of a sequence, or of an image whose patches were unfolded) an example's gradient is the sum over them, `Σ_t g_t·a_tᵀ`,
/// and is squared after that sum: weight sharing. Examples of unequal lengths take zeros at the end. Weights that are tied between layers
/// are not covered: their gradients are to be added before they are squared.
#[derive(Clone, Copy, Debug)]
pub struct LayerBatch<'a, A, G, R> {
    inputs: A,
    gradients: Gradient<G>,
    weights: &'a [R],
    positions: usize,
    columns: u32,
    outputs: Outputs,
    /// Whether it is the whole expectation or a column of its root, and not one label of it.
    whole: bool,
}

impl<'a, A, G, R: Real> LayerBatch<'a, A, G, R> {
    /// One position an example.
    pub const fn new(inputs: A, gradients: G, weights: &'a [R]) -> Self {
        Self { inputs, gradients: Gradient::new(gradients), weights, positions: 1, columns: 1, outputs: Outputs::Gradients, whole: false }
    }

    /// Expected squares of the gradients at the outputs in place of gradients, for instance the variances of
    /// [`LabelCovariance`](super::LabelCovariance) at a layer of logits: the whole expectation at once, for
    /// [`ExactLabels`](super::ExactLabels) alone. One position an example.
    pub const fn of_variances(inputs: A, variances: G, weights: &'a [R]) -> Self {
        Self { inputs, gradients: Gradient::new(variances), weights, positions: 1, columns: 1, outputs: Outputs::Variances, whole: true }
    }

    /// So many positions an example.
    #[must_use]
    pub fn positions(self, positions: usize) -> Self {
        Self { positions, ..self }
    }

    /// As one of so many columns of a square root of the expectation, each of the example's full weight.
    #[must_use]
    pub fn columns(self, columns: u32) -> Self {
        Self { columns, whole: true, ..self }
    }

    /// As [`Gradient::loss_scale`].
    #[must_use]
    pub fn loss_scale(self, scale: f64) -> Self {
        Self { gradients: self.gradients.loss_scale(scale), ..self }
    }
}

/// A range of numbers of a block of columns, at every position.
struct Columns {
    at: usize,
    n: usize,
    width: usize,
}

impl<E: PerExample, R: Real> DiagonalFisher<'_, E, R> {
    /// Numbers of scratch that [`observe_linear`](Self::observe_linear) takes, for layers of any size.
    pub const LINEAR_SCRATCH: usize = SCRATCH;

    /// Adds a batch of a linear layer's weight `[outputs, inputs]`, which this accumulator is of: `Σ_b w_b·(Σ_t g_bt·a_btᵀ)²`. A batch of one
    /// position takes one matrix product of squares. End the examples with [`end_batch`](Self::end_batch).
    ///
    /// Counted as [out of range](super::FisherRecord::out_of_range) are squares of gradients and of inputs, and their products where these are
    /// subnormal or infinite; products that vanish altogether are not seen.
    ///
    /// # Errors
    /// [`FisherFault::Length`] for sizes that do not go together, [`FisherFault::Zero`] for no positions, [`Error::Scratch`],
    /// [`FisherFault::BadWeight`], [`Error::BadNumber`]; nothing is added then.
    ///
    /// ```
    /// use fisher_merge::{DiagonalFisher, FisherSpec, LayerBatch};
    /// // Two examples, two inputs, one output.
    /// let (inputs, gradients, weights) = ([1.0_f64, 2.0, 3.0, 0.0], [1.0, -2.0], [1.0, 1.0]);
    /// let mut state = [0.0; 6];
    /// let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(2), &mut state)?;
    /// let mut scratch = vec![0.0; DiagonalFisher::<fisher_merge::ObservedLabels, f64>::LINEAR_SCRATCH];
    /// fisher.observe_linear((1, 2), &LayerBatch::new(&inputs[..], &gradients[..], &weights), &mut scratch)?;
    /// fisher.end_batch(&weights)?;
    /// let mut out = [0.0; 2];
    /// fisher.finish_into(&mut out[..])?;
    /// assert_eq!(out, [(1.0 + 36.0) / 2.0, 4.0 / 2.0]);
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn observe_linear<A: Values<R>, G: Values<R>>(
        &mut self,
        (outputs, inputs): (usize, usize),
        batch: &LayerBatch<'_, A, G, R>,
        scratch: &mut [R],
    ) -> Result<(), Error> {
        expect(self.ledger.spec.length, outputs.saturating_mul(inputs))?;
        let scale = self.door(batch, Some(inputs), outputs)?;
        let found = scratch.len();
        let Some(scratch) = scratch.get_mut(..SCRATCH) else { return Err(Error::Scratch { needed: SCRATCH, found }) };
        let shell = self.ledger.shell;
        let out_of_range = shell.run(Outer {
            sums: self.ledger.filling(),
            inputs: &batch.inputs,
            gradients: &batch.gradients.values,
            outputs: batch.outputs,
            positions: batch.positions,
            width: (outputs, inputs),
            weights: batch.weights,
            scale,
            scratch,
        });
        self.observed_batch(batch, out_of_range);
        Ok(())
    }

    /// Adds a batch of a bias, or of a normalisation's shift, of as many outputs as this accumulator has parameters: `Σ_b w_b·(Σ_t g_bt)²`. The
    /// inputs are not looked at.
    ///
    /// # Errors
    /// As [`observe_linear`](Self::observe_linear).
    pub fn observe_bias<A: Values<R>, G: Values<R>>(&mut self, batch: &LayerBatch<'_, A, G, R>) -> Result<(), Error> {
        let outputs = self.ledger.spec.length;
        let scale = self.door(batch, None, outputs)?;
        let positions = batch.positions;
        let variances = batch.outputs == Outputs::Variances;
        self.by_columns(batch, outputs, |Columns { at, n, width }, example, sums| {
            for t in 0..positions {
                for (i, sum) in sums.iter_mut().enumerate().take(n) {
                    let value = batch.gradients.values.at((example * positions + t) * width + at + i).unwrap_or(R::ZERO);
                    *sum = *sum + value * scale;
                }
            }
            for sum in sums.iter_mut().take(n) {
                *sum = if variances { *sum * scale } else { *sum * *sum };
            }
        });
        self.observed_batch(batch, 0);
        Ok(())
    }

    /// Adds a batch of a normalisation's scale, one for every feature, with the normalised inputs `x̂ [B, T, features]`:
    /// `Σ_b w_b·(Σ_t g_bt∘x̂_bt)²`.
    ///
    /// # Errors
    /// As [`observe_linear`](Self::observe_linear).
    pub fn observe_scale<A: Values<R>, G: Values<R>>(&mut self, batch: &LayerBatch<'_, A, G, R>) -> Result<(), Error> {
        let features = self.ledger.spec.length;
        let scale = self.door(batch, Some(features), features)?;
        let positions = batch.positions;
        let variances = batch.outputs == Outputs::Variances;
        self.by_columns(batch, features, |Columns { at, n, width }, example, sums| {
            for t in 0..positions {
                for (i, sum) in sums.iter_mut().enumerate().take(n) {
                    let at = (example * positions + t) * width + at + i;
                    let gradient = batch.gradients.values.at(at).unwrap_or(R::ZERO) * scale;
                    let input = batch.inputs.at(at).unwrap_or(R::ZERO);
                    *sum = if variances { gradient * scale * (input * input) } else { *sum + gradient * input };
                }
            }
            if !variances {
                sums.iter_mut().take(n).for_each(|sum| *sum = *sum * *sum);
            }
        });
        self.observed_batch(batch, 0);
        Ok(())
    }

    /// Adds a batch of an embedding `[rows, width]`: `rows` names the row of every position (`[B, T]`), and gradients of one row within an
    /// example are added before they are squared. Rows that do not occur are not touched. The batch's inputs are not looked at.
    ///
    /// # Errors
    /// As [`observe_linear`](Self::observe_linear); [`FisherFault::Length`] for a row that is not there.
    pub fn observe_rows<A: Values<R>, G: Values<R>>(
        &mut self,
        width: usize,
        rows: &[usize],
        batch: &LayerBatch<'_, A, G, R>,
    ) -> Result<(), Error> {
        let scale = self.door(batch, None, width)?;
        expect(batch.weights.len().saturating_mul(batch.positions), rows.len())?;
        let count = self.ledger.spec.length.checked_div(width).unwrap_or_default();
        expect(self.ledger.spec.length, count.saturating_mul(width))?;
        if let Some(&found) = rows.iter().find(|&&row| row >= count) {
            return Err(FisherFault::Length { expected: count, found }.into());
        }
        let variances = batch.outputs == Outputs::Variances;
        for (example, (rows, &weight)) in rows.chunks(batch.positions).zip(batch.weights).enumerate() {
            for (t, &row) in rows.iter().enumerate() {
                // Its sum was taken at the first.
                if rows.iter().take(t).any(|&earlier| earlier == row) {
                    continue;
                }
                let mut at = 0;
                while at < width {
                    let (mut sums, n) = ([R::ZERO; BLOCK], BLOCK.min(width - at));
                    for (same, _) in rows.iter().enumerate().skip(t).filter(|&(_, &other)| other == row) {
                        for (i, sum) in sums.iter_mut().enumerate().take(n) {
                            let at = (example * batch.positions + same) * width + at + i;
                            *sum = *sum + batch.gradients.values.at(at).unwrap_or(R::ZERO) * scale;
                        }
                    }
                    let square = |sum: R| if variances { sum * scale } else { sum * sum };
                    self.ledger.filling().add(row * width + at, sums.iter().take(n).map(|&sum| square(sum) * weight));
                    at += n;
                }
            }
        }
        self.observed_batch(batch, 0);
        Ok(())
    }

    /// Ends the examples of a batch, which have these weights.
    ///
    /// # Errors
    /// [`FisherFault::Share`] if the weights of the batch's observations do not add up to theirs: a label, a draw or a column is missing;
    /// [`FisherFault::Draws`], [`FisherFault::SoleLabel`], [`FisherFault::BadWeight`].
    pub fn end_batch(&mut self, weights: &[R]) -> Result<(), Error> {
        let share = Ledger::expected_share(weights, None)?;
        self.end_all(weights.iter().map(|weight| weight.as_f64()), share)
    }

    /// Compares sizes and looks at numbers before anything is added. Gives the gradients' scale.
    fn door<A: Values<R>, G: Values<R>>(&self, batch: &LayerBatch<'_, A, G, R>, inputs: Option<usize>, outputs: usize) -> Result<R, Error> {
        if batch.positions == 0 || batch.columns == 0 {
            return Err(FisherFault::Zero.into());
        }
        self.ledger.refuse_whole(batch.whole)?;
        let rows = batch.weights.len().saturating_mul(batch.positions);
        expect(rows.saturating_mul(outputs), batch.gradients.values.count())?;
        if let Some(inputs) = inputs {
            expect(rows.saturating_mul(inputs), batch.inputs.count())?;
            self.ledger.refuse_bad(&batch.inputs)?;
        }
        self.ledger.refuse_bad(&batch.gradients.values)?;
        if batch.outputs == Outputs::Variances {
            expect(1, batch.positions)?;
            refuse_negative(&batch.gradients.values)?;
        }
        batch.weights.iter().try_for_each(|&weight| refuse_weight(weight))?;
        batch.gradients.scale(self.ledger.spec.unit)
    }

    fn observed_batch<A, G>(&mut self, batch: &LayerBatch<'_, A, G, R>, out_of_range: u64) {
        let all: f64 = batch.weights.iter().map(|weight| weight.as_f64()).sum();
        self.ledger.observed(all / f64::from(batch.columns), out_of_range);
        self.ledger.open.whole |= batch.whole;
    }

    /// Adds, for every example and by blocks of columns, its weight times the squares that `square` gives.
    fn by_columns<A, G>(&mut self, batch: &LayerBatch<'_, A, G, R>, width: usize, square: impl Fn(Columns, usize, &mut [R; BLOCK])) {
        let mut at = 0;
        while at < width {
            let n = BLOCK.min(width - at);
            for (example, &weight) in batch.weights.iter().enumerate() {
                let mut sums = [R::ZERO; BLOCK];
                square(Columns { at, n, width }, example, &mut sums);
                let mut all: Sums<'_, R> = self.ledger.filling();
                all.add(at, sums.iter().take(n).map(|&sum| sum * weight));
            }
            at += n;
        }
    }
}

/// Expected squares are not below zero.
fn refuse_negative<R: Real>(values: &impl Values<R>) -> Result<(), Error> {
    let bad = |index| values.at(index).and_then(|value| defect(value, Role::Precision)).map(|defect| (index, defect));
    match (0..values.count()).find_map(bad) {
        None => Ok(()),
        Some((index, defect)) => Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Gradient, index, defect }),
    }
}
