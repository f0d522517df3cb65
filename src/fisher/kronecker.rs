//! Kronecker factors of a layer's Fisher, `F ≈ G ⊗ A`: the covariance of its inputs and that of the gradients at its outputs.

use core::marker::PhantomData;

use super::ledger::{Ledger, expect};
use super::observed::{LayerGradients, LayerInputs, lend};
use super::sampling::{ExactLabels, PerExample, Sampling};
use super::spec::{FisherRecord, triangle};
use super::symmetric::Symmetric;
use crate::error::{Error, FisherFault, FisherStructure};
use crate::kernel::gram::{Gram, Positions};
use crate::scalar::Real;
use crate::view::{Values, ValuesMut};

/// An estimate of the Kronecker factors `F ≈ G ⊗ A` of a linear layer's weight `[outputs, inputs]` (row-major) in the making.
///
/// `A [in, in]` comes from the inputs `a`, `G [out, out]` from the gradients `g` at the outputs (J. Martens & R. Grosse, "Optimizing Neural
/// Networks with Kronecker-factored Approximate Curvature", ICML 2015). Where a layer is used at `T` positions of an example, there are two
/// conventions (R. Eschenhagen et al., "Kronecker-Factored Approximate Curvature for Modern Neural Network Architectures", NeurIPS 2023),
/// which do not combine:
///
/// | convention | `A` | `G` |
/// |---|---|---|
/// | [expand](super::FisherSpec::kronecker_expand) | `Σ_n w_n·Σ_t a·aᵀ / Σ_n w_n·T_n` | `Σ_n w_n·Σ_t E[g·gᵀ] / Σ w` |
/// | [reduce](super::FisherSpec::kronecker_reduce) | `Σ_n w_n·ā·āᵀ / Σ w`, `ā` the mean over `t` | `Σ_n w_n·E[ĝ·ĝᵀ] / Σ w`, `ĝ` the sum over `t` |
///
/// With one position they are the same, and for a single example (or inputs independent of gradients) `G ⊗ A` is the Fisher itself. Reduce is
/// exact for layers whose outputs are averaged later, expand for those whose every position has a loss of its own.
///
/// With [`FisherSpec::homogeneous`] the bias is folded in: `A` is `[in + 1, in + 1]`, its last input the constant one.
///
/// A batch is observed as its inputs, once, and its gradients, for every label, draw or column; then it is [ended](Self::end_batch). Which
/// labels is a type, as of a [`DiagonalFisher`](super::DiagonalFisher); as there, the state is a slice that the caller lends, of
/// [`FisherSpec::state_len`] numbers: the lower triangle of `A`, row behind row, that of `G`, `Σ w·T` (of expand) and four tallies, `f32` in two
/// planes, once for each slot. No heap. Scratch of [`FisherSpec::factor_scratch`] numbers is lent to each observation.
///
/// # Accuracy
/// Of `n` observed vectors, an entry is within `(76 + 2T + 2n)·2⁻⁵³` of the exact one in `f64`, relatively to `Σ w·|x_i|·|x_j| / Σ w`, and within
/// `(76 + 2T + 2n·2⁻²³)·2⁻²⁴` in `f32`: up to 64 vectors are added in the arithmetic first, and of reduce `T` positions. It does not stall.
/// [`FisherRecord::out_of_range`] counts the squares of inputs and of gradients that leave the normal range.
///
/// ```
/// use fisher_merge::{FisherSpec, Gradient, KroneckerFisher, LayerGradients, LayerInputs};
/// // Two inputs and a bias, one output; two examples with observed labels.
/// let spec = FisherSpec::kronecker_expand((1, 2)).homogeneous(true);
/// let (mut state, mut scratch) = (vec![0.0_f64; spec.state_len::<f64>()], vec![0.0; spec.factor_scratch::<f64>()]);
/// let (inputs, gradients, weights) = ([1.0, 2.0, 3.0, 0.0], [1.0, -2.0], [1.0, 1.0]);
/// let mut fisher = KroneckerFisher::observed_labels(spec, &mut state)?;
/// fisher.observe_inputs(&LayerInputs::new(&inputs[..], &weights), &mut scratch)?;
/// fisher.observe_outputs(&LayerGradients::new(Gradient::new(&gradients[..]), &weights), &mut scratch)?;
/// fisher.end_batch(&weights)?;
/// let (mut a, mut g) = ([0.0; 9], [0.0; 1]);
/// let record = fisher.finish_into(&mut a[..], &mut g[..])?;
/// assert_eq!((record.examples, a, g), (2, [5.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 1.0], [2.5]));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
///
/// [`FisherSpec::homogeneous`]: super::FisherSpec::homogeneous
/// [`FisherSpec::state_len`]: super::FisherSpec::state_len
/// [`FisherSpec::factor_scratch`]: super::FisherSpec::factor_scratch
#[derive(Debug)]
pub struct KroneckerFisher<'s, E, R: Real> {
    pub(super) ledger: Ledger<'s, R>,
    pub(super) kind: PhantomData<E>,
}

impl<E: PerExample, R: Real> KroneckerFisher<'_, E, R> {
    /// Adds a batch's inputs to `A`. Once for a batch, before or after its gradients.
    ///
    /// # Errors
    /// [`FisherFault::Inputs`] for a second time before the batch is ended; [`FisherFault::Length`] for sizes that do not go together
    /// (another number of positions than the gradients' among them), [`FisherFault::Zero`] for no positions, [`Error::Scratch`], [`FisherFault::BadWeight`], [`Error::BadNumber`]; nothing is added then.
    pub fn observe_inputs<A: Values<R>>(&mut self, batch: &LayerInputs<'_, A, R>, scratch: &mut [R]) -> Result<(), Error> {
        let spec = self.ledger.spec;
        let (weight, positions) = batch.door(&self.ledger, spec.inputs)?;
        if let Some(expected) = self.ledger.open.inputs {
            return Err(FisherFault::Inputs { expected, found: expected + weight }.into());
        }
        self.refuse_positions(batch.positions)?;
        let scratch = lend(&self.ledger, scratch)?;
        let (shell, expand) = (self.ledger.shell, spec.structure == FisherStructure::KroneckerExpand);
        let out_of_range = shell.run(Gram {
            sums: self.ledger.part(0, triangle(spec.sides().1)),
            values: &batch.values,
            width: spec.inputs,
            homogeneous: spec.homogeneous,
            positions: batch.positions,
            lengths: batch.lengths,
            vectors: if expand { Positions::Each } else { Positions::Mean },
            weights: batch.weights,
            scale: R::ONE,
            scratch,
        });
        if expand {
            self.ledger.count_at(self.positions_at(), positions);
        }
        self.ledger.left_range(out_of_range);
        self.ledger.open.inputs = Some(weight);
        self.ledger.open.positions = Some(batch.positions);
        Ok(())
    }

    /// Adds a batch's gradients at the outputs to `G`: for every label, draw or column once.
    ///
    /// # Errors
    /// As [`observe_inputs`](Self::observe_inputs), but for the first; [`FisherFault::Estimator`] for columns of labels that are not
    /// [`ExactLabels`].
    pub fn observe_outputs<G: Values<R>>(&mut self, batch: &LayerGradients<'_, G, R>, scratch: &mut [R]) -> Result<(), Error> {
        let (spec, (side, before)) = (self.ledger.spec, self.ledger.spec.sides());
        let scale = batch.door(&self.ledger, side)?;
        self.refuse_positions(batch.positions)?;
        let scratch = lend(&self.ledger, scratch)?;
        let shell = self.ledger.shell;
        let out_of_range = shell.run(Gram {
            sums: self.ledger.part(triangle(before), triangle(side)),
            values: &batch.gradient.values,
            width: side,
            homogeneous: false,
            positions: batch.positions,
            lengths: None,
            vectors: if spec.structure == FisherStructure::KroneckerExpand { Positions::Each } else { Positions::Sum },
            weights: batch.weights,
            scale,
            scratch,
        });
        batch.observed(&mut self.ledger, out_of_range);
        self.ledger.open.positions = Some(batch.positions);
        Ok(())
    }

    /// A layer has its inputs and its outputs at the same positions.
    fn refuse_positions(&self, found: usize) -> Result<(), Error> {
        self.ledger.open.positions.map_or(Ok(()), |expected| expect(expected, found))
    }

    /// Ends the examples of a batch, which have these weights. Of no outputs, no gradients need have been observed.
    ///
    /// # Errors
    /// [`FisherFault::Share`] if the weights of the batch's gradients do not add up to theirs: a label, a draw or a column is missing;
    /// [`FisherFault::Inputs`] if those of its inputs do not, or there were none; [`FisherFault::Draws`], [`FisherFault::SoleLabel`],
    /// [`FisherFault::BadWeight`]. What is missing may still be observed; what is too much stays until [`reset`](Self::reset).
    pub fn end_batch(&mut self, weights: &[R]) -> Result<(), Error> {
        self.end(weights, None)
    }

    fn end(&mut self, weights: &[R], positions: Option<&[u32]>) -> Result<(), Error> {
        let share = Ledger::expected_share(weights, positions)?;
        let inputs_alone = self.ledger.spec.length == 0 && self.ledger.open.observations == 0;
        if !inputs_alone {
            self.ledger.refuse_shares(share)?;
        }
        let expected = weights.iter().map(|weight| weight.as_f64()).sum();
        if self.ledger.open.inputs != Some(expected) {
            return Err(FisherFault::Inputs { expected, found: self.ledger.open.inputs.unwrap_or_default() }.into());
        }
        self.ledger.end(weights.iter().map(|weight| weight.as_f64()));
        Ok(())
    }
}

impl<R: Real> KroneckerFisher<'_, ExactLabels, R> {
    /// Ends the examples of a batch that are sequences, of these weights and with so many labelled positions each: the probabilities of labels
    /// add up to one at every position.
    ///
    /// # Errors
    /// As [`end_batch`](Self::end_batch); [`FisherFault::Length`] if there are not as many counts as weights.
    pub fn end_sequences(&mut self, weights: &[R], positions: &[u32]) -> Result<(), Error> {
        self.end(weights, Some(positions))
    }
}

impl<E: Sampling, R: Real> KroneckerFisher<'_, E, R> {
    /// Adds what another one has summed.
    ///
    /// # Errors
    /// Where it is an estimate of another kind, convention, model, unit or size; [`FisherFault::OpenExample`]. Nothing is added then.
    pub fn combine(&mut self, other: &Self) -> Result<(), Error> {
        self.ledger.combine(&other.ledger)
    }

    /// The factors, as whole symmetric matrices `A [in, in]` and `G [out, out]` (row-major) of any storage type, each number rounded once to
    /// it. It stays an accumulator: more examples may follow.
    ///
    /// # Errors
    /// [`FisherFault::OpenExample`], [`FisherFault::NoExamples`], [`FisherFault::Length`]; [`Error::BadNumber`] for a sum that has left the
    /// range of the arithmetic, of tensor 0 for `A` and 1 for `G`. Nothing is written then.
    pub fn finish_into(&self, mut a: impl ValuesMut<R>, mut g: impl ValuesMut<R>) -> Result<FisherRecord, Error> {
        let record = self.ledger.finished()?;
        let (inputs, outputs) = (self.inputs(&record), self.outputs(&record));
        expect(outputs.side.saturating_mul(outputs.side), g.count())?;
        inputs.door(&a)?;
        outputs.door(&g)?;
        inputs.write(&mut a);
        outputs.write(&mut g);
        Ok(record)
    }

    /// `A` alone: the covariance of the inputs, which stands for the Fisher where `G` is taken for the identity (RegMean: X. Jin et al.,
    /// "Dataless Knowledge Fusion by Merging Weights of Language Models", ICLR 2023).
    ///
    /// # Errors
    /// As [`finish_into`](Self::finish_into).
    ///
    /// ```
    /// use fisher_merge::{FisherSpec, KroneckerFisher, LayerInputs, ObservedLabels};
    /// let spec = FisherSpec::kronecker_expand((0, 2)); // no outputs: no gradients to be observed
    /// let (mut state, mut scratch) = (vec![0.0_f64; spec.state_len::<f64>()], vec![0.0; spec.factor_scratch::<f64>()]);
    /// let mut fisher = KroneckerFisher::<ObservedLabels, f64>::observed_labels(spec, &mut state)?;
    /// fisher.observe_inputs(&LayerInputs::new(&[1.0, 2.0, 3.0, 0.0][..], &[1.0; 2]), &mut scratch)?;
    /// fisher.end_batch(&[1.0; 2])?;
    /// let mut a = [0.0; 4];
    /// assert_eq!(fisher.input_covariance_into(&mut a[..])?.examples, 2);
    /// assert_eq!(a, [5.0, 1.0, 1.0, 2.0]);
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn input_covariance_into(&self, mut a: impl ValuesMut<R>) -> Result<FisherRecord, Error> {
        let record = self.ledger.finished()?;
        let inputs = self.inputs(&record);
        inputs.door(&a)?;
        inputs.write(&mut a);
        Ok(record)
    }

    fn inputs(&self, record: &FisherRecord) -> Symmetric<'_, R> {
        let expand = record.structure == FisherStructure::KroneckerExpand;
        let divisor = if expand { self.ledger.tally_at(self.positions_at()) } else { record.weight };
        Symmetric { totals: self.ledger.totals(), tensor: 0, first: 0, side: self.ledger.spec.sides().1, divisor, exponent: 0 }
    }

    fn outputs(&self, record: &FisherRecord) -> Symmetric<'_, R> {
        let ((side, before), unit) = (self.ledger.spec.sides(), self.ledger.spec.unit);
        let exponent = unit.saturating_mul(-2);
        Symmetric { totals: self.ledger.totals(), tensor: 1, first: triangle(before), side, divisor: record.weight, exponent }
    }

    /// Where `Σ w·T` is: the last of the sums.
    fn positions_at(&self) -> usize {
        self.ledger.spec.sums().saturating_sub(1)
    }
}
