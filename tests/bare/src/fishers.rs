//! Estimates of Fishers, their layers, their bytes, and the compact form.

use core::hint::black_box;

use fisher_merge::{
    Bf16Bits, CombineFisher, CompactFisher, DenseFisher, DiagonalFisher, Error, Estimator, F16Bits, FisherAccumulator, FisherHeader,
    FisherSpec, FisherSpread, Gradient, KroneckerFisher, LabelCovariance, LayerBatch, LayerGradients, LayerInputs, MeanGradient, Merge,
    PerExample, Posterior, Real, SecondMoment, StandardErrors, student_t,
};

use crate::calls::N;

/// Numbers of a state of two slots in either type.
const STATE: usize = 2 * 2 * (N + 4);

/// Whether every call went through and an estimate is right.
pub fn all() -> bool {
    let mut out = [0.0_f32; N];
    let right = kinds::<f64>().is_ok()
        && kinds::<f32>().is_ok()
        && factors::<f64>().is_ok()
        && factors::<f32>().is_ok()
        && spread().is_ok()
        && compact(&mut out).is_ok();
    right && out.first() == Some(&1.5)
}

#[inline(never)]
fn kinds<R: Real>() -> Result<(), Error> {
    let spec = FisherSpec::new(black_box(N)).slots(black_box(2)).unit(black_box(1)).model(black_box(3));
    let planes = spec.state_len::<R>();
    let (mut here, mut there, mut bytes) = ([R::ZERO; STATE], [R::ZERO; STATE], [0_u8; 8 * STATE]);
    let (mut scratch, half) = ([R::ZERO; 4096], R::from_f64(black_box(0.5)));
    let (Some(here), Some(there)) = (here.get_mut(..planes), there.get_mut(..planes)) else { return Err(Error::NoModels) };
    let gradient = [half; N];
    let halves = [black_box(0x3800_u16); N];

    let mut fisher = DiagonalFisher::exact(spec, here)?;
    fisher.begin_block(black_box(1))?;
    fisher.begin_example(R::ONE)?;
    fisher.label(half, Gradient::new(&gradient[..]).loss_scale(black_box(2.0)))?;
    fisher.label(half, Gradient::new(F16Bits(&halves[..])))?;
    fisher.end_example()?;
    let (mut suffix, mut column) = ([R::ZERO; 2], [R::ZERO; 2]);
    let probabilities = [half, half];
    let covariance = LabelCovariance::new(&probabilities, &mut suffix)?;
    covariance.column(black_box(0), &mut column)?;
    covariance.variances(&mut column)?;
    fisher.column(1, Gradient::new(Bf16Bits(&halves[..])))?;
    fisher.end_sequences(&[R::ONE], &[1])?;
    layers(&mut fisher, &gradient, &mut scratch)?;
    fisher.reset();

    let mut fisher = DiagonalFisher::sampled(black_box(1), spec, there)?;
    fisher.draw(Gradient::new(&gradient[..]))?;
    fisher.end_example()?;
    let width = planes * size_of::<R>();
    let Some(bytes) = bytes.get_mut(..width) else { return Err(Error::NoModels) };
    let header = fisher.write_state(bytes)?;
    let header = FisherHeader::from_bytes(&black_box(header.to_bytes()))?;
    let mut again = [R::ZERO; STATE];
    let Some(again) = again.get_mut(..planes) else { return Err(Error::NoModels) };
    let other = DiagonalFisher::<fisher_merge::SampledLabels, R>::read_state(&header, bytes, again)?;
    fisher.combine(&other)?;
    let mut out = [R::ZERO; N];
    let object: &mut dyn FisherAccumulator<R> = &mut fisher;
    object.observe(R::ONE, &gradient)?;
    object.end(R::ONE)?;
    let record = object.finish(&mut out)?;
    black_box((&out, record.effective_examples(), column));

    let mut small = [R::ZERO; 12];
    let one = FisherSpec::new(2);
    let Some(small) = small.get_mut(..one.state_len::<R>()) else { return Err(Error::NoModels) };
    let mut observed = DiagonalFisher::observed_labels(one, small)?;
    observed.example(Gradient::new(&probabilities[..]))?;
    let _ = observed.finish_into(&mut column[..])?;
    let mut means = DiagonalFisher::batch_means(black_box(4), one, small)?;
    means.batch(MeanGradient::new(&probabilities[..], 4))?;
    let _ = means.finish_into(&mut column[..])?;
    let _ = SecondMoment::new(black_box(0.9), 3, 2)?.fisher_into::<R>(&probabilities[..], &mut column[..])?;
    black_box(&column);
    Ok(())
}

/// A batch of every kind of layer, of as many parameters as the accumulator has. Two observations each: labels of probability one half.
fn layers<E: PerExample, R: Real>(fisher: &mut DiagonalFisher<'_, E, R>, values: &[R; N], scratch: &mut [R]) -> Result<(), Error> {
    let half = [R::from_f64(black_box(0.5))];
    let (out, ins) = (black_box(4), black_box(N / 4));
    let (inputs, gradients) = (values.get(..2 * ins).unwrap_or_default(), values.get(..2 * out).unwrap_or_default());
    // More scratch than a host has on this stack: what comes back is the error.
    let linear = LayerBatch::new(inputs, gradients, &half).positions(2);
    if let Err(Error::Scratch { .. }) = fisher.observe_linear((out, ins), &linear, scratch) {
        black_box(&half);
    } else {
        fisher.observe_linear((out, ins), &linear, scratch)?;
        fisher.end_batch(&[R::ONE])?;
    }
    let whole = LayerBatch::new(&values[..], &values[..], &half);
    for _ in 0..2 {
        fisher.observe_bias(&whole)?;
    }
    fisher.end_batch(&[R::ONE])?;
    for _ in 0..2 {
        fisher.observe_scale(&whole)?;
    }
    fisher.end_batch(&[R::ONE])?;
    let row = LayerBatch::new(inputs, values.get(..ins).unwrap_or_default(), &half);
    for _ in 0..2 {
        fisher.observe_rows(ins, &[black_box(1)], &row)?;
    }
    fisher.end_batch(&[R::ONE])
}

/// Factors of a layer of three inputs, a bias and two outputs, and a dense block, through their bytes.
#[inline(never)]
fn factors<R: Real>() -> Result<(), Error> {
    let shape = (black_box(2), black_box(3));
    let specs = [FisherSpec::kronecker_expand(shape), FisherSpec::kronecker_reduce(shape).homogeneous(true)];
    let (values, half, two) = ([R::from_f64(black_box(0.5)); 12], [R::from_f64(black_box(0.5)); 2], black_box(2));
    let halves = [black_box(0x3800_u16); 12];
    let (mut scratch, mut a, mut g) = ([R::ZERO; 64 * (4 + 16)], [R::ZERO; 16], [R::ZERO; 4]);
    for spec in specs {
        let spec = spec.slots(black_box(2)).unit(black_box(1));
        let (mut here, mut there, mut bytes) = ([R::ZERO; 80], [R::ZERO; 80], [0_u8; 8 * 80]);
        let n = spec.state_len::<R>();
        let (Some(here), Some(there)) = (here.get_mut(..n), there.get_mut(..n)) else { return Err(Error::NoModels) };
        let mut fisher = KroneckerFisher::exact(spec, here)?;
        fisher.begin_block(black_box(1))?;
        let ones = [R::ONE, R::ONE];
        let inputs = LayerInputs::new(&values[..], &ones).positions(two);
        fisher.observe_inputs(&inputs.lengths(&[black_box(1), two]), &mut scratch)?;
        let gradients = values.get(..8).unwrap_or_default();
        fisher.observe_outputs(&LayerGradients::new(Gradient::new(gradients), &half).positions(two), &mut scratch)?;
        let gradients = Gradient::new(F16Bits(halves.get(..8).unwrap_or_default()));
        fisher.observe_outputs(&LayerGradients::new(gradients, &half).positions(two), &mut scratch)?;
        fisher.end_sequences(&[R::ONE, R::ONE], &[1, 1])?;
        let Some(bytes) = bytes.get_mut(..n * size_of::<R>()) else { return Err(Error::NoModels) };
        let header = FisherHeader::from_bytes(&black_box(fisher.write_state(bytes)?.to_bytes()))?;
        let other = KroneckerFisher::<fisher_merge::ExactLabels, R>::read_state(&header, bytes, there)?;
        fisher.combine(&other)?;
        let side = spec.sides().1;
        let Some(a) = a.get_mut(..side * side) else { return Err(Error::NoModels) };
        let _ = black_box(fisher.finish_into(&mut *a, &mut g[..])?);
        let _ = black_box(fisher.input_covariance_into(a)?);
        fisher.reset();
        black_box((fisher.record(), fisher.spec()));
    }
    let spec = FisherSpec::dense(black_box(4));
    let mut state = [R::ZERO; 28];
    let Some(state) = state.get_mut(..spec.state_len::<R>()) else { return Err(Error::NoModels) };
    let mut dense = DenseFisher::sampled(black_box(1), spec, state)?;
    let gradients = Gradient::new(values.get(..8).unwrap_or_default());
    dense.observe(&LayerGradients::new(gradients, &[R::ONE, R::ONE]), &mut scratch)?;
    dense.end_batch(&[R::ONE, R::ONE])?;
    let _ = black_box(dense.finish_into(&mut a[..])?);
    Ok(())
}

#[inline(never)]
fn spread() -> Result<(), Error> {
    let (mut here, mut there, mut out) = ([0.0; FisherSpread::state_len(N)], [0.0; FisherSpread::state_len(N)], [0.0; N]);
    let mut spread = FisherSpread::start(black_box(Estimator::MonteCarlo { draws: 2 }), N, &mut here)?;
    let mut other = FisherSpread::start(black_box(Estimator::MonteCarlo { draws: 2 }), N, &mut there)?;
    for gradient in [black_box(1.0), black_box(2.0)] {
        spread.observe(0.5, &[gradient; N])?;
        spread.observe(0.5, &[gradient; N])?;
        spread.end(1.0)?;
        other.observe(0.5, &[gradient; N])?;
        other.observe(0.5, &[gradient; N])?;
        other.end(1.0)?;
    }
    spread.combine(&other)?;
    spread.standard_errors(black_box(StandardErrors::Population), &mut out)?;
    black_box((spread.is_enough(0.1, 2), student_t(black_box(3)), &out));
    let _ = spread.finish(&mut out)?;
    Ok(())
}

#[inline(never)]
fn compact(out: &mut [f32; N]) -> Result<(), Error> {
    let mut bytes = [0; CompactFisher::encoded_len(N)];
    let mut count = CompactFisher::encode_into(&[black_box(0.25_f32); N][..], &mut bytes)?;
    count.add(&CompactFisher::encode_into(F16Bits(&[black_box(0x3800_u16); N][..]), &mut bytes)?);
    let view = CompactFisher::new(&bytes, black_box(N))?;
    let (a, b) = ([black_box(1.0_f32); N], [black_box(2.0_f32); N]);
    let factors = [Posterior::diagonal(&a[..], view)?.power(0.5_f32), Posterior::diagonal(&b[..], view)?.power(0.5)];
    let _ = Merge::new().run(&factors, &mut out[..])?;
    let mut tile = [0.0_f64; 2];
    let _ = black_box((view.read(black_box(1), &mut tile), tile, view.into_inner(), count));
    Ok(())
}
