//! The linear-Gaussian oracle: where the posterior is exactly Gaussian, merging the posteriors of disjoint shards is fitting all data at once.
//!
//! `Y = X·Wᵀ + noise`, several outputs. The noise's precision is `S`, so the likelihood's is `S ⊗ XᵀX`; with a prior `S ⊗ B` around `W_0` the
//! posterior is again a Kronecker product.

use fisher_merge::{Damping, StructuredMerge};

use crate::kit::*;
use crate::twice::{Twice, solve};

const ROWS_OUT: usize = 3;
const COLUMNS: usize = 5;
const SHAPE: Shape = (ROWS_OUT, COLUMNS);
const EXAMPLES: usize = 12;

/// Inputs and outputs of one shard.
struct Shard {
    x: Vec<f64>,
    y: Vec<f64>,
}

/// Shards of inputs that lie differently, so that no two precisions are alike.
fn shards(count: usize) -> Vec<Shard> {
    let mut random = Random(count as u64);
    let truth: Vec<f64> = random.numbers(ROWS_OUT * COLUMNS);
    let shard = |_| {
        let turn: Vec<f64> = random.numbers(COLUMNS * COLUMNS);
        let raw: Vec<f64> = random.numbers(EXAMPLES * COLUMNS);
        let x: Vec<f64> = (0..EXAMPLES * COLUMNS)
            .map(|at| (0..COLUMNS).map(|k| raw[at / COLUMNS * COLUMNS + k] * turn[k * COLUMNS + at % COLUMNS]).sum())
            .collect();
        let signal = |n: usize, i: usize| (0..COLUMNS).map(|k| x[n * COLUMNS + k] * truth[i * COLUMNS + k]).sum::<f64>();
        let y = (0..EXAMPLES * ROWS_OUT).map(|at| signal(at / ROWS_OUT, at % ROWS_OUT) + random.signed()).collect();
        Shard { x, y }
    };
    (0..count).map(shard).collect()
}

/// The second moment of the inputs.
fn moment(shards: &[Shard]) -> Vec<f64> {
    let entry = |at: usize| shards.iter().flat_map(|shard| shard.x.chunks(COLUMNS)).map(|x| x[at / COLUMNS] * x[at % COLUMNS]).sum();
    (0..COLUMNS * COLUMNS).map(entry).collect()
}

/// `W (A + B) = YᵀX + W_0·B`: the normal equations with a prior of the inputs' side `B`, in twice the digits.
fn fit(shards: &[Shard], prior: &[f64], base: &[f64]) -> Vec<f64> {
    let entry = |at: usize| {
        let pairs =
            shards.iter().flat_map(|shard| shard.x.chunks(COLUMNS)).map(|x| Twice::of(x[at / COLUMNS]) * Twice::of(x[at % COLUMNS]));
        pairs.fold(Twice::of(prior[at]), |sum, pair| sum + pair)
    };
    let gram: Vec<Twice> = (0..COLUMNS * COLUMNS).map(entry).collect();
    let right = |at: usize| {
        let (column, row) = (at / ROWS_OUT, at % ROWS_OUT);
        let examples = shards.iter().flat_map(|shard| shard.x.chunks(COLUMNS).zip(shard.y.chunks(ROWS_OUT)));
        let data = examples.fold(Twice::ZERO, |sum, (x, y)| sum + Twice::of(x[column]) * Twice::of(y[row]));
        (0..COLUMNS).fold(data, |sum, k| sum + Twice::of(base[row * COLUMNS + k]) * Twice::of(prior[k * COLUMNS + column]))
    };
    let (solution, _) = solve(gram, (0..COLUMNS * ROWS_OUT).map(right).collect(), COLUMNS);
    (0..ROWS_OUT * COLUMNS).map(|at| solution[at % COLUMNS * ROWS_OUT + at / COLUMNS].near()).collect()
}

fn kronecker(g: &[f64], a: &[f64]) -> Vec<f64> {
    Owned::Kronecker(g.to_vec(), a.to_vec()).dense(SHAPE, Damping::all(0.0)).into_iter().map(Twice::near).collect()
}

/// Each structure of a shard's likelihood, exact but for the last.
fn structures(noise: &[f64], shard: &[Shard]) -> Vec<(&'static str, Owned<f64>)> {
    let a = moment(shard);
    let dense = kronecker(noise, &a);
    let n = ROWS_OUT * COLUMNS;
    let diagonal = (0..n).map(|i| dense[i * n + i]).collect();
    vec![
        ("Kronecker", Owned::Kronecker(noise.to_vec(), a.clone())),
        ("dense", Owned::Dense(dense)),
        ("input covariance", Owned::InputCovariance(a)),
        ("diagonal", Owned::Diagonal(diagonal)),
    ]
}

fn distance(one: &[f64], two: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut one.iter().zip(two).map(|(a, b)| a - b)) / norm(&mut two.iter().copied())
}

/// Merges the shards' own fits and compares with that of all data.
fn compare(what: &str, merge: &StructuredMerge<'_, f64>, parts: &[Vec<Part<f64>>; 4], pooled: &[f64]) {
    for (parts, (name, exact)) in parts.iter().zip([("Kronecker", true), ("dense", true), ("input covariance", true), ("diagonal", false)])
    {
        let (found, solved) = run(&merge.stop(1e-15, 1000), parts).unwrap();
        let error = distance(&found, pooled);
        println!("{what}, {} shards, {name}: {error:.1e} by {:?}, {} iterations", parts.len(), solved.method, solved.iterations);
        if exact {
            assert!(error < 1e-9, "{what}, {name}: {error:e} {solved:?}");
        } else {
            assert!((0.03..10.0).contains(&error), "{what}, {name}: a diagonal is not enough, but it was off by {error:e}");
        }
    }
}

/// The parts of all shards by structure: likelihoods, the fits with the prior `own` around `base`.
fn parts(shards: &[Shard], noise: &[f64], own: &[f64], base: &[f64], weight: f64) -> [Vec<Part<f64>>; 4] {
    let mut all = [vec![], vec![], vec![], vec![]];
    for shard in shards.chunks(1) {
        let mean = fit(shard, own, base);
        for (all, (_, precision)) in all.iter_mut().zip(structures(noise, shard)) {
            all.push(Part { mean: mean.clone(), shape: SHAPE, precision, weight });
        }
    }
    all
}

#[test]
fn flat_priors_pool_the_data() {
    let (noise, nothing) = (Random(1).definite::<f64>(ROWS_OUT, 10.0), vec![0.0; COLUMNS * COLUMNS]);
    for count in 2..=8 {
        let shards = shards(count);
        let pooled = fit(&shards, &nothing, &[0.0; ROWS_OUT * COLUMNS]);
        let merge = StructuredMerge::new().damping(Damping::all(0.0));
        // Equal weights of any size are none.
        for weight in [1.0, 0.125] {
            compare("flat", &merge, &parts(&shards, &noise, &nothing, &[0.0; ROWS_OUT * COLUMNS], weight), &pooled);
        }
    }
}

/// Each shard's fit holds the prior, of a Kronecker product with the noise's own side; the merge counts it once.
#[test]
fn kronecker_priors_are_counted_once() {
    let mut random = Random(2);
    let (noise, prior, base) = (random.definite::<f64>(ROWS_OUT, 10.0), random.definite::<f64>(COLUMNS, 10.0), random.numbers::<f64>(15));
    for count in 2..=8 {
        let shards = shards(count);
        let (pooled, parts) = (fit(&shards, &prior, &base), parts(&shards, &noise, &prior, &base, 1.0));
        let merge = StructuredMerge::new().damping(Damping::all(0.0));
        let sides = Owned::Kronecker(noise.clone(), prior.clone());
        let [kronecker_parts, dense_parts, input_parts, diagonal_parts] = &parts;
        let dense = Owned::Dense(kronecker(&noise, &prior));
        let inputs = Owned::InputCovariance(prior.clone());
        for (name, prior, parts) in [
            ("Kronecker", &sides, kronecker_parts),
            ("dense", &dense, dense_parts),
            ("input covariance", &inputs, input_parts),
            ("promoted", &dense, kronecker_parts),
        ] {
            let (found, solved) = run(&merge.base(&base, prior.structure()).stop(1e-15, 1000), parts).unwrap();
            let error = distance(&found, &pooled);
            println!("prior, {count} shards, {name}: {error:.1e} by {:?}", solved.method);
            assert!(error < 1e-9, "{name}: {error:e} {solved:?}");
            // Without saying so it is counted for every shard.
            let own = |part: &Part<f64>| with_prior(part, prior);
            let counted: Vec<Part<f64>> = parts.iter().map(own).collect();
            let (found, _) = run(&merge, &counted).unwrap();
            assert!(distance(&found, &pooled) > 1e-4);
        }
        let diagonal = Owned::Diagonal((0..15).map(|i| noise[i / COLUMNS * (ROWS_OUT + 1)] * prior[i % COLUMNS * (COLUMNS + 1)]).collect());
        let (found, _) = run(&merge.base(&base, diagonal.structure()), diagonal_parts).unwrap();
        let error = distance(&found, &pooled);
        println!("prior, {count} shards, diagonal: {error:.1e}");
        assert!((0.03..10.0).contains(&error), "{error:e}");
    }
}

/// The whole posterior of a part, dense.
fn with_prior(part: &Part<f64>, prior: &Owned<f64>) -> Part<f64> {
    let none = Damping::all(0.0);
    let sum = part.precision.dense(SHAPE, none).into_iter().zip(prior.dense(SHAPE, none)).map(|(a, b)| (a + b).near());
    Part { precision: Owned::Dense(sum.collect()), ..part.clone() }
}
