//! Answers from elsewhere: the reference in plain code, the dense Gaussian product, Bayesian linear regression on pooled data, and real
//! checkpoints.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod common;

use common::exact::{Evidence, Exact, Ratio, largest_mean};
use common::generators::{Arithmetic, Kind, check, number};
use common::tolerance::{self, Tolerance};
use fisher_merge::{
    Conditioning, Dtype, FisherStatistics, Floor, FloorOn, LeBytes, Magnitude, Merge, NoEvidence, Normalize, Posterior, Real,
    RunningProduct, Values, reference,
};
use proptest::prelude::*;

/// `|found − num/den| ≤ tolerance · size`.
fn near<R: Real>(tolerance: &Tolerance, models: usize, exact: &Ratio, (found, size): (f64, &Exact)) {
    let (found, bound) = (Exact::of(found), tolerance.of::<R>(models, size));
    assert!(exact.within(&found, &bound), "{tolerance:?}: {} uses {:.3}", found.approximate(), exact.used(&found, &bound));
}

/// λ, F and μ of some models.
type Columns = (Vec<f64>, Vec<f64>, Vec<f64>);

fn columns(models: core::ops::RangeInclusive<usize>, kind: Kind) -> impl Strategy<Value = Columns> {
    let one = move |signed| number(Dtype::F64, kind, signed).prop_map(f64::from_bits);
    let drawn = prop::collection::vec((one(false), one(false), one(true)), models);
    drawn.prop_map(|drawn| {
        let column = |pick: fn(&(f64, f64, f64)) -> f64| drawn.iter().map(pick).collect();
        (column(|model| model.0), column(|model| model.1), column(|model| model.2))
    })
}

/// One element merged, precision and mean.
fn merged((weights, fishers, means): &Columns, scales: Option<(f64, &[f64])>) -> (f64, f64) {
    let factor = |model: usize| {
        let posterior = Posterior::diagonal(&means[model..=model], &fishers[model..=model]).unwrap().power(weights[model]);
        let Some((floor, norms)) = scales else { return posterior };
        // A model of one more entry, so that the norm is what the reference is told.
        let rule = Conditioning::new().floor(Floor::Absolute(floor)).floor_on(FloorOn::Target).normalize(Normalize::L2);
        let mut statistics = FisherStatistics::new();
        statistics.observe(&norms[model..=model]);
        posterior.conditioned(&rule.scale(&statistics, model == 0).unwrap())
    };
    let factors: Vec<_> = (0..weights.len()).map(factor).collect();
    let (mut mean, mut precision) = ([0.0], [0.0]);
    let _ = Merge::new().run_with_precision(&factors, &mut mean[..], &mut precision[..]).unwrap();
    (precision[0], mean[0])
}

/// The plain formulas and the crate round differently and mean the same.
#[test]
fn the_reference_agrees() {
    check(
        1024,
        (columns(2..=8, Kind::Ordinary), number(Dtype::F64, Kind::Ordinary, false).prop_map(f64::from_bits)),
        |(columns, floor)| {
            let (weights, fishers, means) = &columns;
            let (models, largest) = (weights.len(), means.iter().map(|mean| Exact::of(mean.abs())).max().unwrap());
            let same =
                |plain: f64, found: f64| near::<f64>(&tolerance::REORDERED, models, &Ratio::whole(Exact::of(plain)), (found, &largest));
            let found = merged(&columns, None);
            let (precision, mean) = reference::posterior_product(weights, fishers, means).unwrap();
            same(mean, found.1);
            same(reference::fisher_weighted(weights, fishers, means).unwrap(), found.1);
            near::<f64>(&tolerance::REORDERED, models, &Ratio::whole(Exact::of(precision)), (found.0, &Exact::of(precision)));
            let flat = (weights.clone(), vec![1.0; models], means.clone());
            same(reference::isotropic(weights, means).unwrap(), merged(&flat, None).1);
            let norms: Vec<f64> = fishers.iter().rev().copied().collect();
            same(reference::floored_normalized(weights, fishers, &norms, floor, means).unwrap(), merged(&columns, Some((floor, &norms))).1);
            Ok(())
        },
    );
}

/// Solves `A x = b` exactly, by elimination without a division: `x_i` as quotients. `A` is regular with leading minors above zero.
fn solve(mut rows: Vec<Vec<Exact>>) -> Vec<Ratio> {
    let n = rows.len();
    for pivot in 0..n {
        for row in (0..n).filter(|&row| row != pivot) {
            let (factor, lead) = (rows[row][pivot].clone(), rows[pivot][pivot].clone());
            for column in 0..=n {
                rows[row][column] = &(&rows[row][column] * &lead) - &(&rows[pivot][column] * &factor);
            }
        }
    }
    let quotient = |(index, row): (usize, &Vec<Exact>)| match row[index].is_positive() {
        true => Ratio::new(row[n].clone(), row[index].clone()).unwrap(),
        false => Ratio::new(-&row[n], -&row[index]).unwrap(),
    };
    rows.iter().enumerate().map(quotient).collect()
}

/// A dense posterior to a power: λ, the rows of Λ, μ.
type Dense = (Exact, Vec<Vec<Exact>>, Vec<Exact>);

/// The mode of a product of dense Gaussians: `(Σ λ_m Λ_m) x = Σ λ_m Λ_m μ_m`.
fn dense_product(models: &[Dense]) -> Vec<Ratio> {
    let n = models[0].2.len();
    let mut rows = vec![vec![Exact::zero(); n + 1]; n];
    for (weight, precision, mean) in models {
        for (row, entries) in rows.iter_mut().zip(precision) {
            for column in 0..n {
                let entry = weight * &entries[column];
                row[n] = &row[n] + &(&entry * &mean[column]);
                row[column] = &row[column] + &entry;
            }
        }
    }
    solve(rows)
}

/// A dense product of diagonal posteriors is the merge; with an entry off the diagonal it is not, so that this says something.
#[test]
fn the_dense_gaussian_product_agrees() {
    check(128, (columns(12..=12, Kind::Ordinary), 1..=64_i64), |((weights, fishers, means), off)| {
        const N: usize = 4;
        let exact = |values: &[f64]| values.iter().map(|&value| Exact::of(value)).collect::<Vec<Exact>>();
        let models = |off: &Exact| {
            let model = |at: usize| {
                let diagonal = exact(&fishers[at..at + N]);
                let entry = |row: usize, column: usize| if row == column { diagonal[row].clone() } else { off.clone() };
                let matrix = (0..N).map(|row| (0..N).map(|column| entry(row, column)).collect()).collect();
                (Exact::of(weights[at]), matrix, exact(&means[at..at + N]))
            };
            [model(0), model(N), model(2 * N)]
        };
        let dense = dense_product(&models(&Exact::zero()));
        let factors = [0, N, 2 * N].map(|at| Posterior::diagonal(&means[at..at + N], &fishers[at..at + N]).unwrap().power(weights[at]));
        let mut found = [0.0; N];
        let _ = Merge::new().run(&factors, &mut found[..]).unwrap();
        for (index, exact) in dense.iter().enumerate() {
            let largest = [0, N, 2 * N].map(|at| Exact::of(means[at + index].abs())).into_iter().max().unwrap();
            near::<f64>(&tolerance::MEAN, 3, exact, (found[index], &largest));
        }
        // Small enough to stay positive definite: every diagonal entry is at least 2⁻⁶.
        let coupled = dense_product(&models(&Exact::scaled(off, -20)));
        let far = |(exact, &found): (&Ratio, &f64)| !exact.within(&Exact::of(found), &Exact::scaled(1, -48));
        let differ = means.iter().any(|mean| *mean != means[0]);
        prop_assert!(!differ || coupled.iter().zip(&found).any(far));
        Ok(())
    });
}

/// A shard of data for a linear model with `XᵀX` diagonal: a scaled Hadamard block and rows with one entry each, all integers; the noise
/// has precision 1.
#[derive(Clone, Debug)]
struct Shard {
    rows: Vec<([i64; 4], i64)>,
}

const HADAMARD: [[i64; 4]; 4] = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]];

fn shards() -> impl Strategy<Value = Vec<Shard>> {
    let single =
        (0..4_usize, -9..=9_i64, -50..=50_i64).prop_map(|(at, x, y)| (core::array::from_fn(|column| if column == at { x } else { 0 }), y));
    let block = (0..=3_i64, prop::array::uniform4(-50..=50_i64));
    let shard = (block, prop::collection::vec(single, 0..6)).prop_map(|((scale, ys), singles)| {
        let rows = HADAMARD.iter().zip(ys).map(|(row, y)| (row.map(|x| x * scale), y));
        Shard { rows: rows.chain(singles).collect() }
    });
    prop::collection::vec(shard, 2..=5)
}

/// The exact posterior of a fit: precision, and precision times mean, of every coefficient, for a prior `N(m, (1/Λ_0)·I)`.
fn fit<'a>(shards: impl Iterator<Item = &'a Shard>, (precision, mean): (i64, i64)) -> [(i64, i64); 4] {
    let mut posterior = [(precision, precision * mean); 4];
    for (x, y) in shards.flat_map(|shard| &shard.rows) {
        for (entry, x) in posterior.iter_mut().zip(x) {
            *entry = (entry.0 + x * x, entry.1 + x * y);
        }
    }
    posterior
}

#[allow(clippy::cast_precision_loss, reason = "sums of small integers")]
fn real<R: Real>(value: i64) -> R {
    R::from_f64(value as f64)
}

/// Multiplying the posteriors of disjoint shards, the prior counted once, is fitting all data at once; dividing one out is fitting without
/// it.
fn pooling<R: Arithmetic>() {
    check(
        256,
        (shards(), 1..=20_i64, -5..=5_i64, any::<prop::sample::Index>(), any::<bool>()),
        |(shards, precision, mean, out, forget)| {
            let (prior, out) = ((precision, mean), out.index(shards.len()));
            let fits: Vec<_> = shards.iter().map(|shard| fit(core::iter::once(shard), prior)).collect();
            let states: Vec<([R; 4], [R; 4])> =
                fits.iter().map(|fit| (fit.map(|entry| real(entry.0)), fit.map(|entry| real::<R>(entry.1) / real(entry.0)))).collect();
            let posterior = |model: usize| Posterior::diagonal(&states[model].1[..], &states[model].0[..]).unwrap();
            let (mut found_precision, mut found_mean) = ([R::ZERO; 4], [R::ZERO; 4]);
            let mut product = RunningProduct::start(&mut found_precision, &mut found_mean, NoEvidence::KeepTarget).unwrap();
            (0..shards.len()).for_each(|model| product.absorb(&posterior(model).power(R::ONE)).unwrap());
            if forget {
                product.remove(&posterior(out).power(R::ONE)).unwrap();
            }
            let (prior_mean, prior_precision) = ([real::<R>(mean); 4], [real::<R>(precision); 4]);
            product.count_prior_once(&Posterior::diagonal(&prior_mean[..], &prior_precision[..]).unwrap()).unwrap();
            let left = shards.iter().enumerate().filter(|&(model, _)| !(forget && model == out));
            let pooled = fit(left.map(|(_, shard)| shard), prior);
            for index in 0..4 {
                // Integers below 2²⁴: the precision is exact.
                prop_assert_eq!(found_precision[index], real::<R>(pooled[index].0));
                let exact = Ratio::new(Exact::scaled(pooled[index].1, 0), Exact::scaled(pooled[index].0, 0)).unwrap();
                let total: i64 = fits.iter().map(|fit| fit[index].0).sum();
                let largest =
                    states.iter().map(|state| Exact::of(state.1[index].abs().as_f64())).chain([Exact::of(mean as f64)]).max().unwrap();
                // CHAIN is of (Λ/Λ')²·max|μ|; multiplied out with Λ'². It has room for the rounding of the shards' means, which the
                // product holds Λ/Λ' of.
                let size = &Exact::scaled(total * total, 0) * &largest;
                let bound = tolerance::CHAIN.of::<R>(shards.len() + 1, &size);
                let den = Exact::scaled(pooled[index].0, 0);
                let error = (&(&Exact::of(found_mean[index].as_f64()) * &den) - &exact.num).abs();
                prop_assert!(
                    &error * &den <= bound,
                    "coefficient {}: {} for {}/{}",
                    index,
                    found_mean[index],
                    pooled[index].1,
                    pooled[index].0
                );
            }
            Ok(())
        },
    );
}

#[test]
fn bayesian_regression_on_shards_pools_the_data() {
    pooling::<f32>();
    pooling::<f64>();
}

/// A file of the digits data.
fn digits(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One tensor's bytes, as they lie in the file.
fn view<'a>(file: &safetensors::SafeTensors<'a>, name: &str) -> LeBytes<&'a [u8]> {
    let tensor = file.tensor(name).unwrap();
    let dtype = if tensor.dtype() == safetensors::Dtype::F64 { Dtype::F64 } else { Dtype::F32 };
    LeBytes::new(dtype, tensor.data()).unwrap()
}

/// The merge of the two digits models against a file of exact answers, rounded once to `f64`.
fn reproduces<R: Arithmetic>(expected: &str, weights: [f64; 2], fisher: bool, rule: Conditioning) {
    let read = ["low", "high"].map(|name| (digits(&format!("{name}.safetensors")), digits(&format!("{name}.fisher.safetensors"))));
    let open = |bytes| safetensors::SafeTensors::deserialize(bytes).unwrap();
    let models = [(open(&read[0].0), open(&read[0].1)), (open(&read[1].0), open(&read[1].1))];
    let expected_bytes = digits(expected);
    let expected = open(&expected_bytes);
    let mut scales = Vec::new();
    for (number, (_, fishers)) in models.iter().enumerate() {
        let mut statistics = FisherStatistics::new();
        fishers.names().into_iter().for_each(|name| statistics.observe(view(fishers, name)));
        scales.push(rule.scale(&statistics, number == 0).unwrap());
    }
    let mut elements = 0;
    for name in expected.names() {
        let inputs = [0, 1].map(|number| (view(&models[number].0, name), view(&models[number].1, name)));
        let factors = [0, 1].map(|number: usize| {
            let (mean, precision) = inputs[number];
            let posterior = if fisher { Posterior::diagonal(mean, precision).unwrap() } else { Posterior::isotropic(mean) };
            posterior.power(R::from_f64(weights[number])).conditioned(&scales[number])
        });
        let exact = view(&expected, name);
        let mut found = vec![R::nan(); factors[0].count()];
        let summary = Merge::new().run(&factors, &mut found[..]).unwrap();
        assert_eq!((summary.elements, summary.nan, summary.out_of_range), (found.len() as u64, 0, 0));
        assert_eq!(summary.normalized, factors[0].norm() != Magnitude::ONE);
        for (index, found) in found.iter().enumerate() {
            // With a floor under the first model it always contributes.
            let evidence: [Evidence; 2] = inputs.map(|(mean, precision)| {
                let fisher: f64 = if fisher && factors[0].floor() == R::ZERO { precision.at(index).unwrap() } else { 1.0 };
                (Exact::scaled(1, 0), Exact::of(fisher), Exact::of(Values::<f64>::at(&mean, index).unwrap()))
            });
            let expected = Exact::of(Values::<f64>::at(&exact, index).unwrap());
            let bound = &tolerance::mean_bound::<R>(2, &largest_mean(&evidence), (&expected, R::DTYPE))
                + &tolerance::half_ulp(&expected, Dtype::F64);
            assert!(
                (&Exact::of(Real::as_f64(*found)) - &expected).abs() <= bound,
                "{name}[{index}]: {found} for {}",
                expected.approximate()
            );
        }
        elements += found.len();
    }
    assert_eq!(elements, 64 * 64 + 64 + 32 * 64 + 32 + 10 * 32 + 10);
}

#[test]
fn real_checkpoints_merge_to_the_exact_answers() {
    let paper = Conditioning::new().floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target).normalize(Normalize::L2);
    fn both(expected: &str, weights: [f64; 2], fisher: bool, rule: Conditioning) {
        reproduces::<f32>(expected, weights, fisher, rule);
        reproduces::<f64>(expected, weights, fisher, rule);
    }
    both("expected.isotropic.f64.safetensors", [0.5, 0.5], false, Conditioning::new());
    both("expected.fisher.f64.safetensors", [0.5, 0.5], true, Conditioning::new());
    both("expected.fisher_0.3_0.7.f64.safetensors", [0.3, 0.7], true, Conditioning::new());
    both("expected.fisher_l2_floor_target.f64.safetensors", [0.5, 0.5], true, paper);
}
