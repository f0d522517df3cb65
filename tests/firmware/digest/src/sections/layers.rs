//! Layers without gradients per example.

use fisher_merge::{DiagonalFisher, Error, FisherSpec, LayerBatch, ObservedLabels, Real, Shell};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::Kind;

const INPUTS: usize = 19;
const OUTPUTS: usize = 6;
const EXAMPLES: usize = 5;
const POSITIONS: usize = 3;
const ROWS: usize = EXAMPLES * POSITIONS;
/// Numbers of the scratch, the same in every arithmetic.
const SCRATCH: usize = DiagonalFisher::<'static, ObservedLabels, f64>::LINEAR_SCRATCH;

pub(super) fn run<R: Real, K: Kind<R>>(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(17));
    for round in 0..6 {
        let flavour = if round % 2 == 0 { Flavour::Tame } else { Flavour::Edges };
        if let Err(error) = layer::<R, K>(&mut digest, &mut generator, flavour, shell) {
            digest.error(&error);
        }
    }
    digest
}

fn layer<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, flavour: Flavour, shell: Shell) -> Result<(), Error> {
    let (mut inputs, mut gradients) = ([K::Raw::default(); ROWS * INPUTS], [K::Raw::default(); ROWS * OUTPUTS]);
    generator.means::<R, K>(flavour, &mut inputs);
    generator.means::<R, K>(flavour, &mut gradients);
    let weights = [1.0, 0.5, 2.0, 1.0, 0.25].map(R::from_f64);
    let mut scratch = [R::ZERO; SCRATCH];
    // One position an example, then several.
    for positions in [1, POSITIONS] {
        let (inputs, gradients) = (&inputs[..EXAMPLES * positions * INPUTS], &gradients[..EXAMPLES * positions * OUTPUTS]);
        let batch = LayerBatch::new(K::view(inputs), K::view(gradients), &weights).positions(positions).loss_scale(2.0);
        observe::<R>(digest, OUTPUTS * INPUTS, shell, &weights, |fisher| fisher.observe_linear((OUTPUTS, INPUTS), &batch, &mut scratch))?;
        observe::<R>(digest, OUTPUTS, shell, &weights, |fisher| fisher.observe_bias(&batch))?;
        let rows = [2, 0, 2, 1, 1, 0, 2, 2, 2, 0, 1, 2, 0, 0, 1];
        observe::<R>(digest, 3 * OUTPUTS, shell, &weights, |fisher| fisher.observe_rows(OUTPUTS, &rows[..EXAMPLES * positions], &batch))?;
    }
    let scaled = &inputs[..EXAMPLES * OUTPUTS];
    let batch = LayerBatch::new(K::view(scaled), K::view(&gradients[..EXAMPLES * OUTPUTS]), &weights);
    observe::<R>(digest, OUTPUTS, shell, &weights, |fisher| fisher.observe_scale(&batch))
}

fn observe<R: Real>(
    digest: &mut Digest,
    length: usize,
    shell: Shell,
    weights: &[R],
    observe: impl FnOnce(&mut DiagonalFisher<'_, ObservedLabels, R>) -> Result<(), Error>,
) -> Result<(), Error> {
    let spec = FisherSpec::new(length);
    let mut state = [R::ZERO; 2 * (OUTPUTS * INPUTS + 4)];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state[..spec.state_len::<R>()])?.shell(shell);
    if let Err(error) = observe(&mut fisher) {
        digest.error(&error);
        return Ok(());
    }
    fisher.end_batch(weights)?;
    digest.numbers(fisher.state());
    let mut out = [R::ZERO; OUTPUTS * INPUTS];
    digest.record(&fisher.finish_into(&mut out[..length])?);
    digest.numbers(&out[..length]);
    Ok(())
}
