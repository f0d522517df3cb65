//! Log-determinants, log-densities, divergences and samples of every structure against dense references.

use fisher_merge::{Damping, Density, Error, LinearFault, Real, Structure, StructuredPosterior};
use proptest::prelude::*;

use crate::common::tolerance;
use crate::kit::*;
use crate::twice::{Twice, solve, times};

const CONDITION: f64 = 100.0;

/// The dense side of a posterior.
struct Dense {
    precision: Vec<Twice>,
    mean: Vec<Twice>,
    log_determinant: f64,
}

impl Dense {
    fn of<R: Real>(part: &Part<R>) -> Self {
        let precision = part.precision.dense(part.shape, Damping::all(R::ZERO));
        let (_, log_determinant) = solve(precision.clone(), vec![], part.mean.len());
        Self { precision, mean: twice(&part.mean), log_determinant }
    }

    /// `(x − μ)ᵀΛ(x − μ)`
    fn distance(&self, x: &[Twice]) -> f64 {
        let shift: Vec<Twice> = x.iter().zip(&self.mean).map(|(&x, &mean)| x - mean).collect();
        shift.iter().zip(times(&self.precision, &shift)).fold(Twice::ZERO, |sum, (&a, b)| sum + a * b).near()
    }

    /// `KL(self ‖ other)`, by its definition.
    fn divergence(&self, other: &Self) -> f64 {
        let n = self.mean.len();
        let eye = (0..n * n).map(|at| if at % (n + 1) == 0 { Twice::of(1.0) } else { Twice::ZERO }).collect();
        let (covariance, _) = solve(self.precision.clone(), eye, n);
        // Both are symmetric.
        let trace = covariance.iter().zip(&other.precision).fold(Twice::ZERO, |sum, (&a, &b)| sum + a * b).near();
        0.5 * (trace - n as f64 + other.distance(&self.mean) + self.log_determinant - other.log_determinant)
    }
}

/// Calls with a density in exactly the memory and scratch that it asks for, full of what must not matter.
fn with<R: Real, T>(part: &Part<R>, call: impl FnOnce(&Density<'_, '_, R>, &mut [R]) -> T) -> T {
    let (posterior, junk) = (part.posterior(), R::from_f64(f64::NAN));
    let (mut memory, mut scratch) = (vec![junk; Density::memory(&posterior)], vec![junk; Density::scratch(&posterior)]);
    let density = Density::new(posterior, &mut memory, &mut scratch).unwrap();
    scratch.fill(junk);
    call(&density, &mut scratch)
}

/// How far a logarithm or a trace over `n` parameters may be off.
fn close<R: Real>(found: f64, expected: f64, n: usize) -> bool {
    let size = n as f64 + expected.abs();
    (found - expected).abs() <= tolerance::DENSITY.of::<R>(CONDITION) * size
}

fn check<R: Real>(seed: u64, (kind, other): (usize, usize), shape: Shape) {
    let (mut random, n) = (Random(seed), shape.0 * shape.1);
    let part: Part<R> = Part::random(&mut random, kind, shape, CONDITION);
    let second: Part<R> = Part::random(&mut random, other, shape, CONDITION);
    let (dense, dense_second) = (Dense::of(&part), Dense::of(&second));
    let x: Vec<R> = random.numbers(n);
    with(&part, |density, scratch| {
        let log = density.log_determinant();
        assert!(close::<R>(log, dense.log_determinant, n), "{log} {}", dense.log_determinant);
        let distance = dense.distance(&twice(&x));
        assert!(close::<R>(density.distance(&x, scratch).unwrap(), distance, n));
        let expected = 0.5 * (dense.log_determinant - n as f64 * (2.0 * core::f64::consts::PI).ln() - distance);
        assert!(close::<R>(density.log_density(&x, scratch).unwrap(), expected, n));
        samples(density, &part, &dense, scratch);
        let more = 2 * n + Density::scratch(&part.posterior()).max(Density::scratch(&second.posterior()));
        let mut scratch = vec![R::from_f64(f64::NAN); more];
        let itself = density.divergence(density, &mut scratch).unwrap();
        assert!(close::<R>(itself, 0.0, n), "{itself:e}");
        with(&second, |other, _| {
            let (found, expected) = (density.divergence(other, &mut scratch).unwrap(), dense.divergence(&dense_second));
            assert!(found >= 0.0 && expected >= 0.0 && close::<R>(found, expected, n), "{found} {expected}");
            let needed = more;
            assert_eq!(density.divergence(other, &mut scratch[..more - 1]), Err(Error::Scratch { needed, found: more - 1 }));
        });
    });
}

/// `S·Sᵀ·Λ = 1`: the columns of `S` are samples of unit vectors, less the mean.
fn samples<R: Real>(density: &Density<'_, '_, R>, part: &Part<R>, dense: &Dense, scratch: &mut [R]) {
    let n = part.mean.len();
    let centred = vec![R::ZERO; n];
    let (mut out, mut columns) = (vec![R::ZERO; n], vec![]);
    // A posterior around zero has the same root, without the rounding of the mean.
    let around = Part { mean: centred, ..part.clone() };
    with(&around, |around, scratch| {
        for at in 0..n {
            let unit: Vec<R> = (0..n).map(|i| if i == at { R::ONE } else { R::ZERO }).collect();
            around.sample(&unit, &mut out, scratch).unwrap();
            columns.push(twice(&out));
        }
    });
    for j in 0..n {
        // Column j of S·Sᵀ·Λ.
        let image: Vec<Twice> = (0..n).map(|i| dense.precision[i * n + j]).collect();
        let inner: Vec<Twice> =
            columns.iter().map(|column| column.iter().zip(&image).fold(Twice::ZERO, |sum, (&a, &b)| sum + a * b)).collect();
        for i in 0..n {
            let entry = columns.iter().zip(&inner).fold(Twice::ZERO, |sum, (column, &inner)| sum + column[i] * inner).near();
            let error = (entry - f64::from(u8::from(i == j))).abs();
            assert!(error <= tolerance::DENSITY.of::<R>(CONDITION * CONDITION), "{error:e} at {i}, {j}");
        }
    }
    density.sample(&vec![R::ZERO; n], &mut out, scratch).unwrap();
    assert_eq!(bits(&out), bits(&part.mean));
}

proptest! {
    #![proptest_config(crate::common::generators::cases(150))]
    #[test]
    fn densities_agree(seed: u64, kind in 0..KINDS, other in 0..KINDS, rows in 1..8_usize, columns in 1..8_usize) {
        check::<f64>(seed, (kind, other), (rows, columns));
        check::<f32>(seed, (kind, other), (rows, columns));
    }
}

#[test]
fn every_pair_of_structures_has_a_divergence() {
    for kind in 0..KINDS {
        for other in 0..KINDS {
            for shape in [(1, 1), (1, 5), (5, 1), (3, 4)] {
                check::<f64>(1, (kind, other), shape);
            }
        }
    }
}

/// Large enough for every block: a Kronecker product against the diagonal that it is.
#[test]
fn large_densities_agree_with_their_diagonals() {
    let (rows, columns) = (40, 70);
    let mut random = Random(4);
    let (g, a): (Vec<f64>, Vec<f64>) = (random.positive(rows, 100.0), random.positive(columns, 100.0));
    let whole = |values: &[f64]| -> Vec<f64> {
        let n = values.len();
        (0..n * n).map(|at| if at % (n + 1) == 0 { values[at / n] } else { 0.0 }).collect()
    };
    let mean: Vec<f64> = random.numbers(rows * columns);
    let product = Part { mean: mean.clone(), shape: (rows, columns), precision: Owned::Kronecker(whole(&g), whole(&a)), weight: 1.0 };
    let values = (0..rows * columns).map(|at| g[at / columns] * a[at % columns]).collect();
    let diagonal = Part { mean, shape: (rows, columns), precision: Owned::Diagonal(values), weight: 1.0 };
    let x: Vec<f64> = random.numbers(rows * columns);
    let answers = |part: &Part<f64>| {
        with(part, |density, scratch| {
            let mut sample = vec![0.0; x.len()];
            density.sample(&x, &mut sample, scratch).unwrap();
            (density.log_determinant(), density.log_density(&x, scratch).unwrap(), sample)
        })
    };
    let (one, two) = (answers(&product), answers(&diagonal));
    assert!((one.0 - two.0).abs() < 1e-9 && (one.1 - two.1).abs() < 1e-9);
    assert!(one.2.iter().zip(&two.2).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn what_is_no_density_is_refused() {
    let (mean, zero) = ([1.0; 4], [0.0; 16]);
    let hidden = [1.0, 1.0, 1.0, 1.0];
    for structure in [
        Structure::Scalar(0.0),
        Structure::Rows(&[1.0, 0.0]),
        Structure::Diagonal(&[1.0, 1.0, 0.0, 1.0]),
        Structure::InputCovariance(&hidden),
        Structure::Kronecker { outputs: &hidden, inputs: &[1.0, 0.0, 0.0, 1.0] },
        Structure::Kronecker { outputs: &[1.0, 0.0, 0.0, 1.0], inputs: &hidden },
        Structure::Dense(&zero),
        Structure::LowRank { diagonal: &mean[..], factor: &[] },
        Structure::LowRank { diagonal: &[1.0, 1.0, 0.0, 1.0], factor: &[1.0; 4] },
    ] {
        let posterior = StructuredPosterior::new(&mean, (2, 2), structure).unwrap();
        let (mut memory, mut scratch) = (vec![0.0; Density::memory(&posterior)], vec![0.0; Density::scratch(&posterior)]);
        let needed = scratch.len();
        let refused = Density::new(posterior, &mut memory, &mut scratch[..needed - 1]).map(|_| ());
        assert_eq!(refused, Err(Error::Scratch { needed, found: needed - 1 }));
        if let Some(found) = memory.len().checked_sub(1) {
            let refused = Density::new(posterior, &mut memory[..found], &mut scratch).map(|_| ());
            assert_eq!(refused, Err(Error::Scratch { needed: found + 1, found }));
        }
        let density = Density::new(posterior, &mut memory, &mut scratch);
        if matches!(structure, Structure::LowRank { factor: [], .. }) {
            let (density, mut scratch) = (density.unwrap(), vec![0.0; needed]);
            let shape = Err(Error::NotSolved { tensor: 0, fault: LinearFault::Shape { expected: 4, found: 3 } });
            assert_eq!(density.distance(&[0.0; 3], &mut scratch), shape);
            assert_eq!(density.sample(&[0.0; 4], &mut [0.0; 3], &mut scratch), shape.map(|_| ()));
            assert_eq!(density.log_density(&[0.0; 4], &mut []), Err(Error::Scratch { needed, found: 0 }));
        } else {
            let refused = density.map(|_| ());
            assert!(
                matches!(refused, Err(Error::NotSolved { fault: LinearFault::NotPositiveDefinite { .. }, .. })),
                "{structure:?} {refused:?}"
            );
        }
    }
}

#[test]
fn nothing_has_a_density_too() {
    for kind in 0..KINDS {
        for shape in [(0, 0), (0, 3), (3, 0)] {
            let part: Part<f64> = Part::random(&mut Random(1), kind, shape, 10.0);
            with(&part, |density, scratch| {
                assert_eq!((density.log_determinant(), density.log_density(&[], scratch)), (0.0, Ok(0.0)));
                assert_eq!((density.sample(&[], &mut [], scratch), density.divergence(density, scratch)), (Ok(()), Ok(0.0)));
            });
        }
    }
}
