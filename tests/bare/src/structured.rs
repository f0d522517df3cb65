//! Structured posteriors: every solver, every structure, densities and projections.

use core::hint::black_box;

use fisher_merge::{
    Damping, DampingMean, Density, Error, Real, Repair, Structure, StructureMut, StructuredFactor, StructuredMerge, StructuredPosterior,
    merged_precision,
};

const ROWS: usize = 2;
const COLUMNS: usize = 3;
const N: usize = ROWS * COLUMNS;
/// Numbers of scratch: the largest is that of a product of all parameters.
const SCRATCH: usize = 4096;

/// Whether every call went through and a merged value is right.
pub fn all() -> bool {
    merges::<f64>() == Ok(true) && merges::<f32>() == Ok(true) && densities::<f64>().is_ok() && densities::<f32>().is_ok()
}

/// The identity, read through a black box.
fn eye<R: Real, const SIZE: usize>(n: usize) -> [R; SIZE] {
    let mut out = [R::ZERO; SIZE];
    out.iter_mut().step_by(n + 1).for_each(|entry| *entry = R::from_f64(black_box(1.0)));
    out
}

/// The numbers of every structure.
struct Numbers<R> {
    diagonal: [R; N],
    outputs: [R; ROWS * ROWS],
    inputs: [R; COLUMNS * COLUMNS],
    dense: [R; N * N],
}

impl<R: Real> Numbers<R> {
    fn new() -> Self {
        Self { diagonal: [R::from_f64(black_box(1.0)); N], outputs: eye(ROWS), inputs: eye(COLUMNS), dense: eye(N) }
    }

    fn structures(&self) -> [Structure<'_, R>; 7] {
        [
            Structure::Scalar(R::ONE),
            Structure::Rows(self.diagonal.get(..ROWS).unwrap_or_default()),
            Structure::Diagonal(&self.diagonal),
            Structure::InputCovariance(&self.inputs),
            Structure::Kronecker { outputs: &self.outputs, inputs: &self.inputs },
            Structure::Dense(&self.dense),
            Structure::LowRank { diagonal: &self.diagonal, factor: &self.diagonal },
        ]
    }
}

/// Two and three models of all pairs of structures, with every option.
#[inline(never)]
fn merges<R: Real>() -> Result<bool, Error> {
    let (numbers, half) = (Numbers::<R>::new(), R::from_f64(black_box(0.5)));
    let (one, two, mut out, mut scratch) = ([half; N], [half + R::ONE; N], [R::ZERO; N], [R::ZERO; SCRATCH]);
    let mut right = true;
    for first in numbers.structures() {
        for second in numbers.structures() {
            let (a, b) = (StructuredPosterior::new(&one, (ROWS, COLUMNS), first)?, StructuredPosterior::new(&two, (ROWS, COLUMNS), second)?);
            let factors = [a.power(half), b.power(half), a.power(half)];
            for mean in [DampingMean::Own, DampingMean::Average, DampingMean::Given(&one)] {
                let merge = StructuredMerge::new().damping(black_box(Damping::default())).damping_mean(black_box(mean));
                let merge = merge.repair(black_box(Repair::Raise)).stop(half * R::epsilon(), black_box(20)).tensor(black_box(1));
                for count in 1..=3 {
                    run(&merge, factors.get(..count).unwrap_or_default(), &mut out, &mut scratch)?;
                    right &= out.iter().all(|&value| value >= half && value <= half + R::ONE);
                }
                let forgotten = [a.power(half), b.power(-half * half * half)];
                run(&merge.base(&two, first), &forgotten, &mut out, &mut scratch)?;
            }
            precisions(&factors)?;
        }
    }
    Ok(right && merges_equal(&numbers, &one)?)
}

/// Equal models come back.
fn merges_equal<R: Real>(numbers: &Numbers<R>, mean: &[R; N]) -> Result<bool, Error> {
    let (mut out, mut scratch, mut right) = ([R::ZERO; N], [R::ZERO; SCRATCH], true);
    for structure in numbers.structures() {
        let factor = StructuredPosterior::new(mean, (ROWS, COLUMNS), structure)?.power(R::ONE);
        run(&StructuredMerge::new(), &[factor, factor], &mut out, &mut scratch)?;
        right &= out == *mean;
    }
    Ok(right)
}

fn run<'a, R: Real>(
    merge: &StructuredMerge<'a, R>,
    factors: &[StructuredFactor<'a, R>],
    out: &mut [R],
    scratch: &mut [R],
) -> Result<(), Error> {
    let needed = merge.scratch(factors)?;
    let found = scratch.len();
    let scratch = scratch.get_mut(..needed).ok_or(Error::Scratch { needed, found })?;
    let _ = black_box(merge.run(factors, out, scratch)?);
    Ok(())
}

/// Into every structure; where there is no such form, what comes back is the error.
fn precisions<R: Real>(factors: &[StructuredFactor<'_, R>]) -> Result<(), Error> {
    let (mut diagonal, mut dense) = ([R::ZERO; N], [R::ZERO; N * N]);
    let (mut outputs, mut inputs) = ([R::ZERO; ROWS * ROWS], [R::ZERO; COLUMNS * COLUMNS]);
    merged_precision(factors, Damping::default(), StructureMut::Diagonal(&mut diagonal))?;
    merged_precision(factors, Damping::default(), StructureMut::Dense(&mut dense))?;
    let covariance = merged_precision(factors, Damping::default(), StructureMut::InputCovariance(&mut inputs));
    let product = StructureMut::Kronecker { outputs: &mut outputs, inputs: &mut inputs };
    let product = merged_precision(factors, Damping::default(), product);
    black_box((&diagonal, &dense, &outputs, &inputs, covariance.is_ok(), product.is_ok()));
    Ok(())
}

/// Log-density, sample and divergence of every structure from every other.
#[inline(never)]
fn densities<R: Real>() -> Result<(), Error> {
    let (numbers, mean) = (Numbers::<R>::new(), [R::from_f64(black_box(0.5)); N]);
    let (mut here, mut there, mut scratch, mut out) = ([R::ZERO; N * N], [R::ZERO; N * N], [R::ZERO; SCRATCH], [R::ZERO; N]);
    for first in numbers.structures() {
        let density = Density::new(StructuredPosterior::new(&mean, (ROWS, COLUMNS), first)?, &mut here, &mut scratch)?;
        black_box((density.log_determinant(), density.log_density(&mean, &mut scratch)?));
        density.sample(&mean, &mut out, &mut scratch)?;
        for second in numbers.structures() {
            let other = Density::new(StructuredPosterior::new(&mean, (ROWS, COLUMNS), second)?, &mut there, &mut scratch)?;
            black_box(density.divergence(&other, &mut scratch)?);
        }
    }
    black_box(&out);
    Ok(())
}
