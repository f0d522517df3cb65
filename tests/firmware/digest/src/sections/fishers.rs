//! Fisher accumulators: every estimator, units, loss scales, slots, combination, standard errors.

use fisher_merge::{
    Bf16Bits, CombineFisher, DiagonalFisher, Dtype, Error, Estimator, FisherAccumulator, FisherSpec, FisherSpread, Gradient,
    LabelCovariance, MeanGradient, Real, Sampling, SecondMoment, Shell, StandardErrors, student_t,
};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::Kind;

const N: usize = 45;
/// Numbers of a state of three slots and two planes.
const STATE: usize = 3 * 2 * (N + 4);
const EXAMPLES: usize = 12;

fn flavour(round: usize) -> Flavour {
    [Flavour::Tame, Flavour::Edges, Flavour::Wild, Flavour::Bad][round % 4]
}

pub(super) fn run<R: Real, K: Kind<R>>(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(11));
    for round in 0..8 {
        let outcomes = [
            exact::<R, K>(&mut digest, &mut generator, round, shell),
            sampled::<R, K>(&mut digest, &mut generator, round, shell),
            observed::<R, K>(&mut digest, &mut generator, round, shell),
            means::<R, K>(&mut digest, &mut generator, round, shell),
            second_moment::<R, K>(&mut digest, &mut generator, round),
            spread(&mut digest, &mut generator, round),
        ];
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).for_each(|error| digest.error(error));
    }
    (0..60).for_each(|degrees| digest.number(student_t(degrees)));
    digest
}

fn gradient<R: Real, K: Kind<R>>(generator: &mut Generator, round: usize) -> [K::Raw; N] {
    let mut gradient = [K::Raw::default(); N];
    generator.means::<R, K>(flavour(round), &mut gradient);
    gradient
}

fn finish<R: Real, E: Sampling>(digest: &mut Digest, fisher: &DiagonalFisher<'_, E, R>) -> Result<(), Error> {
    digest.numbers(fisher.state());
    let mut out = [R::ZERO; N];
    digest.record(&fisher.finish_into(&mut out[..])?);
    digest.numbers(&out);
    let mut narrow = [0; N];
    fisher.finish_into(Bf16Bits(&mut narrow[..]))?;
    digest.view::<f32>(&Bf16Bits(&narrow[..]));
    Ok(())
}

/// Probabilities that are sixteenths.
fn exact<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, round: usize, shell: Shell) -> Result<(), Error> {
    let spec = FisherSpec::new(N).slots(3).unit([0, 20, -9][round % 3]);
    let mut state = [R::ZERO; STATE];
    let mut fisher = DiagonalFisher::exact(spec, &mut state[..spec.state_len::<R>()])?.shell(shell);
    for example in 0..EXAMPLES {
        fisher.begin_block(example as u64)?;
        fisher.begin_example(R::from_f64(1.0 + example as f64))?;
        for share in [7.0, 5.0, 4.0] {
            let gradient = gradient::<R, K>(generator, round);
            if let Err(error) = fisher.label(R::from_f64(share / 16.0), Gradient::new(K::view(&gradient))) {
                digest.error(&error);
            }
        }
        if let Err(error) = fisher.end_example() {
            digest.error(&error);
            fisher.reset();
        }
    }
    finish(digest, &fisher)
}

fn sampled<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, round: usize, shell: Shell) -> Result<(), Error> {
    let spec = FisherSpec::new(N).model(5);
    let (mut state, mut other) = ([R::ZERO; STATE], [R::ZERO; STATE]);
    let mut fisher = DiagonalFisher::sampled(3, spec, &mut state[..spec.state_len::<R>()])?.shell(shell);
    let mut there = DiagonalFisher::sampled(3, spec, &mut other[..spec.state_len::<R>()])?.shell(shell);
    for _ in 0..EXAMPLES / 3 {
        for _ in 0..3 {
            for fisher in [&mut fisher, &mut there] {
                let gradient = gradient::<R, K>(generator, round % 2);
                fisher.draw(Gradient::new(K::view(&gradient)).loss_scale(1024.0))?;
            }
        }
        fisher.end_example()?;
        there.end_example()?;
    }
    fisher.combine(&there)?;
    finish(digest, &fisher)
}

fn observed<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, round: usize, shell: Shell) -> Result<(), Error> {
    let spec = FisherSpec::new(N);
    let mut state = [R::ZERO; STATE];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state[..spec.state_len::<R>()])?.shell(shell);
    for _ in 0..EXAMPLES {
        let gradient = gradient::<R, K>(generator, round);
        if let Err(error) = fisher.example(Gradient::new(K::view(&gradient)).loss_scale(3.0)) {
            digest.error(&error);
        }
    }
    finish(digest, &fisher)
}

fn means<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, round: usize, shell: Shell) -> Result<(), Error> {
    let spec = FisherSpec::new(N);
    let mut state = [R::ZERO; STATE];
    let mut fisher = DiagonalFisher::batch_means(8, spec, &mut state[..spec.state_len::<R>()])?.shell(shell);
    for batch in [8, 8, 7] {
        let gradient = gradient::<R, K>(generator, round % 3);
        if let Err(error) = fisher.batch(MeanGradient::new(K::view(&gradient), batch)) {
            digest.error(&error);
        }
    }
    finish(digest, &fisher)
}

fn second_moment<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, round: usize) -> Result<(), Error> {
    let mut moment = [K::Raw::default(); N];
    generator.precisions::<R, K>(flavour(round), &mut moment);
    let mut out = [R::ZERO; N];
    let rule = SecondMoment::new([0.999, 0.95, 0.9][round % 3], 1 + 37 * round as u64, 32)?;
    digest.record(&rule.fisher_into::<R>(K::view(&moment), &mut out[..])?);
    digest.numbers(&out);
    Ok(())
}

/// Standard errors, and the covariance of a softmax's labels.
fn spread(digest: &mut Digest, generator: &mut Generator, round: usize) -> Result<(), Error> {
    const WIDTH: usize = 5;
    let (mut state, mut out) = ([0.0; FisherSpread::state_len(WIDTH)], [0.0; WIDTH]);
    let mut fisher = FisherSpread::start(Estimator::MonteCarlo { draws: 2 }, WIDTH, &mut state)?;
    for _ in 0..10 {
        for _ in 0..2 {
            let gradient = [(); WIDTH].map(|()| f64::from_bits(generator.mean(Dtype::F64, flavour(round % 2))));
            fisher.observe(0.5, &gradient)?;
        }
        fisher.end(1.0)?;
    }
    for which in [StandardErrors::Conditional, StandardErrors::Population] {
        fisher.standard_errors(which, &mut out)?;
        digest.numbers(&out);
    }
    let mut probabilities = [(); WIDTH].map(|()| 1.0 + generator.below(1 << 30) as f64);
    let sum: f64 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|p| *p /= sum);
    let mut suffix = [0.0; WIDTH];
    let covariance = LabelCovariance::new(&probabilities, &mut suffix)?;
    covariance.variances(&mut out)?;
    digest.numbers(&out);
    for column in 0..covariance.columns() {
        covariance.column(column, &mut out)?;
        digest.numbers(&out);
    }
    Ok(())
}
