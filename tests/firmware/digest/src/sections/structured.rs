//! Structured posteriors: merges by every solver, merged precisions, densities.

use fisher_merge::{
    BuiltIn, Damping, DampingMean, Density, Dtype, Error, Real, Repair, Shell, Structure, StructureMut, StructuredFactor, StructuredMerge,
    StructuredPosterior, merged_precision,
};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::Kind;

/// What every solver and density of the shapes below takes, on any machine.
const SCRATCH: usize = 24_000;

/// A posterior's numbers in every structure, of `ROWS·COLUMNS = N` parameters.
struct Numbers<R, const ROWS: usize, const COLUMNS: usize, const N: usize> {
    mean: [R; N],
    diagonal: [R; N],
    rows: [R; ROWS],
    outputs: [[R; ROWS]; ROWS],
    inputs: [[R; COLUMNS]; COLUMNS],
}

impl<R: Real, const ROWS: usize, const COLUMNS: usize, const N: usize> Numbers<R, ROWS, COLUMNS, N> {
    fn new<K: Kind<R, Raw = R>>(generator: &mut Generator, flavour: Flavour) -> Self {
        let zero = R::ZERO;
        let mut numbers = Self {
            mean: [zero; N],
            diagonal: [zero; N],
            rows: [zero; ROWS],
            outputs: gram::<R, K, ROWS>(generator, flavour),
            inputs: gram::<R, K, COLUMNS>(generator, flavour),
        };
        generator.means::<R, K>(flavour, &mut numbers.mean);
        generator.precisions::<R, K>(flavour, &mut numbers.diagonal);
        generator.precisions::<R, K>(flavour, &mut numbers.rows);
        numbers
    }

    fn posterior<'a>(&'a self, structure: Structure<'a, R>) -> Result<StructuredPosterior<'a, R>, Error> {
        StructuredPosterior::new(&self.mean, (ROWS, COLUMNS), structure)
    }

    fn inputs(&self) -> Structure<'_, R> {
        Structure::InputCovariance(self.inputs.as_flattened())
    }

    fn kronecker(&self) -> Structure<'_, R> {
        Structure::Kronecker { outputs: self.outputs.as_flattened(), inputs: self.inputs.as_flattened() }
    }
}

/// The sum of a few products of a vector with itself: positive definite while its numbers are tame.
fn gram<R: Real, K: Kind<R, Raw = R>, const SIDE: usize>(generator: &mut Generator, flavour: Flavour) -> [[R; SIDE]; SIDE] {
    let mut sums = [[R::ZERO; SIDE]; SIDE];
    for _ in 0..SIDE + 2 {
        let mut vector = [R::ZERO; SIDE];
        generator.means::<R, K>(flavour, &mut vector);
        for (row, &x) in sums.iter_mut().zip(&vector) {
            row.iter_mut().zip(&vector).for_each(|(sum, &y)| *sum = *sum + x * y);
        }
    }
    sums
}

pub(super) fn run<R: Real, K: Kind<R, Raw = R>>(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(19));
    let refused = |digest: &mut Digest, outcome: Result<(), Error>| {
        if let Err(error) = outcome {
            digest.error(&error);
        }
    };
    for flavour in [Flavour::Tame, Flavour::Wild, Flavour::Edges, Flavour::Tame] {
        let outcome = every_structure::<R, K>(&mut digest, &mut generator, flavour, shell);
        refused(&mut digest, outcome);
    }
    let outcome = layers::<R, K>(&mut digest, &mut generator, shell);
    refused(&mut digest, outcome);
    digest
}

/// Every pair of structures, with a third one and with a base; small, since some are promoted to dense ones.
fn every_structure<R: Real, K: Kind<R, Raw = R>>(
    digest: &mut Digest,
    generator: &mut Generator,
    flavour: Flavour,
    shell: Shell,
) -> Result<(), Error> {
    const N: usize = 15;
    let [one, two, base] = [(); 3].map(|()| Numbers::<R, 3, 5, N>::new::<K>(generator, flavour));
    let (dense, mut factor, mut scratch) = (gram::<R, K, N>(generator, flavour), [R::ZERO; 2 * N], [R::ZERO; SCRATCH]);
    generator.means::<R, K>(flavour, &mut factor);
    let structures = |numbers| {
        let Numbers { diagonal, rows, .. }: &Numbers<R, 3, 5, N> = numbers;
        [
            Structure::Scalar(diagonal[0]),
            Structure::Rows(rows),
            Structure::Diagonal(diagonal),
            numbers.inputs(),
            numbers.kronecker(),
            Structure::Dense(dense.as_flattened()),
            Structure::LowRank { diagonal, factor: &factor },
        ]
    };
    let weights = [0.5, 0.25, 1.0].map(R::from_f64);
    for (index, first) in structures(&one).into_iter().enumerate() {
        for second in structures(&two) {
            let posteriors = [one.posterior(first)?, two.posterior(second)?, base.posterior(base.kronecker())?];
            let factors = [posteriors[0].power(weights[0]), posteriors[1].power(weights[1]), posteriors[2].power(weights[2])];
            let merge = merge(shell).damping_mean([DampingMean::Own, DampingMean::Average, DampingMean::Given(&base.mean)][index % 3]);
            merged(digest, &merge, &factors[..2], &mut scratch);
            merged(digest, &merge.stop(R::epsilon(), 25), &factors, &mut scratch);
            let forgotten = [factors[0], posteriors[1].power(R::from_f64(-0.125))];
            merged(digest, &merge.base(&base.mean, base.kronecker()).repair(Repair::Raise), &forgotten, &mut scratch);
            precisions(digest, &factors[..2]);
        }
        let outcome = density(digest, one.posterior(first)?, two.posterior(two.kronecker())?, &mut scratch);
        digest.size(usize::from(outcome.is_ok()));
    }
    Ok(())
}

/// Layers whose sides are cut into blocks and panels, by small machines into smaller ones.
fn layers<R: Real, K: Kind<R, Raw = R>>(digest: &mut Digest, generator: &mut Generator, shell: Shell) -> Result<(), Error> {
    let [one, two] = [(); 2].map(|()| Numbers::<R, 11, 37, 407>::new::<K>(generator, Flavour::Tame));
    let mut scratch = [R::ZERO; SCRATCH];
    let weights = [0.5, 0.75].map(R::from_f64);
    for (first, second) in [(one.inputs(), two.inputs()), (one.kronecker(), two.kronecker()), (one.kronecker(), two.inputs())] {
        let factors = [one.posterior(first)?.power(weights[0]), two.posterior(second)?.power(weights[1])];
        merged(digest, &merge(shell), &factors, &mut scratch);
        merged(digest, &merge(shell).iterate(true).stop(R::epsilon(), 15), &factors, &mut scratch);
    }
    Ok(())
}

fn merge<'a, R: Real>(shell: Shell) -> StructuredMerge<'a, R> {
    StructuredMerge::new().product(BuiltIn::in_shell(shell)).shell(shell)
}

fn merged<R: Real>(digest: &mut Digest, merge: &StructuredMerge<'_, R>, factors: &[StructuredFactor<'_, R>], scratch: &mut [R]) {
    let mut out = [R::nan(); 407];
    let (rows, columns) = factors[0].posterior().shape();
    let out = &mut out[..rows * columns];
    match merge.run(factors, out, scratch) {
        Ok(solved) => {
            digest.done += 1;
            digest.size(solved.method as usize);
            digest.word(solved.no_evidence);
            digest.word(u64::from(solved.iterations));
            [solved.residual, solved.repaired].iter().for_each(|&number| digest.number(number));
        }
        Err(error) => digest.error(&error),
    }
    digest.numbers(out);
}

/// The precision of a merge in three structures.
fn precisions<R: Real>(digest: &mut Digest, factors: &[StructuredFactor<'_, R>]) {
    let (mut diagonal, mut outputs, mut inputs, mut dense) = ([R::ZERO; 15], [R::ZERO; 9], [R::ZERO; 25], [R::ZERO; 225]);
    let mut outcome = |outcome: Result<f64, Error>| match outcome {
        Ok(distance) => digest.number(distance),
        Err(error) => digest.error(&error),
    };
    outcome(merged_precision(factors, Damping::default(), StructureMut::Diagonal(&mut diagonal)));
    outcome(merged_precision(factors, Damping::default(), StructureMut::Dense(&mut dense)));
    // Of f32 it sums products of two of them in f64, for which s390x has an instruction that QEMU 7.2 gets wrong (MDEBR takes the first
    // factor for an f64).
    if R::DTYPE == Dtype::F64 {
        outcome(merged_precision(factors, Damping::default(), StructureMut::Kronecker { outputs: &mut outputs, inputs: &mut inputs }));
    }
    [&diagonal[..], &outputs, &inputs, &dense].iter().for_each(|numbers| digest.numbers(numbers));
}

/// What a density says of another's mean, a sample, and how far both are from each other.
fn density<R: Real>(
    digest: &mut Digest,
    here: StructuredPosterior<'_, R>,
    there: StructuredPosterior<'_, R>,
    scratch: &mut [R],
) -> Result<(), Error> {
    let (mut memory, mut other_memory, mut sample) = ([R::ZERO; 300], [R::ZERO; 300], [R::ZERO; 15]);
    let density = Density::new(here, &mut memory, scratch)?;
    digest.number(density.log_determinant());
    digest.number(density.log_density(there.mean(), scratch)?);
    density.sample(there.mean(), &mut sample, scratch)?;
    digest.numbers(&sample);
    let other = Density::new(there, &mut other_memory, scratch)?;
    digest.number(density.divergence(&other, scratch)?);
    Ok(())
}
