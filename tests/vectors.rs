//! The published vectors (`tests/vectors`), made by a script that shares no code with the crate: every bit of every line, in every shell,
//! fused and running; and those bits against the definition, by the table of tolerances.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

mod common;

use std::collections::BTreeMap;

use common::exact::{Evidence, Exact, Ratio, largest_mean, natural_product, product_mean, tiniest_exponent};
use common::tolerance;
use fisher_merge::{Dtype, Factor, LeBytes, Merge, NoEvidence, Posterior, Real, RunningProduct, Shell, Values, ValuesMut, reference};

/// The lines of a file, split, without comments.
fn lines(name: &str) -> Vec<Vec<String>> {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let data = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    data.map(|line| line.split(' ').map(String::from).collect()).collect()
}

fn dtype(name: &str) -> Dtype {
    [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16].into_iter().find(|dtype| dtype.to_string() == name).unwrap()
}

/// A hexadecimal pattern as little-endian bytes.
fn le(pattern: &str) -> Vec<u8> {
    let big: Vec<u8> = (0..pattern.len() / 2).map(|i| u8::from_str_radix(&pattern[2 * i..2 * i + 2], 16).unwrap()).collect();
    big.into_iter().rev().collect()
}

/// The one number of a pattern, in the arithmetic.
fn number<R: Real>(storage: Dtype, pattern: &str) -> R {
    LeBytes::new(storage, le(pattern)).unwrap().at(0).unwrap()
}

/// The pattern of one number of the arithmetic.
fn pattern<R: Real>(value: R) -> Vec<u8> {
    let mut bytes = vec![0; R::DTYPE.bytes()];
    LeBytes::new(R::DTYPE, &mut bytes[..]).unwrap().put(0, value);
    bytes
}

type Bytes<'a> = LeBytes<&'a [u8]>;

/// One line of a file of merges.
struct Case<R> {
    id: String,
    means: Vec<Vec<u8>>,
    fishers: Vec<Vec<u8>>,
    weights: Vec<R>,
    /// Storage of means, Fishers and output.
    storage: [Dtype; 3],
    /// Mean in the output's storage; mean and precision in the arithmetic.
    expected: [Vec<u8>; 3],
}

impl<R: Real> Case<R> {
    fn of(fields: &[String]) -> Self {
        let count: usize = fields[4].parse().unwrap();
        let models: Vec<_> = fields[5..5 + 3 * count].chunks(3).collect();
        assert_eq!(fields.len(), 9 + 3 * count, "{}", fields[0]);
        Self {
            id: fields[0].clone(),
            storage: [dtype(&fields[1]), dtype(&fields[2]), dtype(&fields[3])],
            weights: models.iter().map(|model| number(R::DTYPE, &model[0])).collect(),
            fishers: models.iter().map(|model| le(&model[1])).collect(),
            means: models.iter().map(|model| le(&model[2])).collect(),
            expected: [0, 1, 2].map(|column| le(&fields[5 + 3 * count + column])),
        }
    }

    fn factors(&self) -> Vec<Factor<Bytes<'_>, Bytes<'_>, R>> {
        let views = self.means.iter().zip(&self.fishers).map(|(mean, fisher)| {
            Posterior::diagonal(LeBytes::new(self.storage[0], &mean[..]).unwrap(), LeBytes::new(self.storage[1], &fisher[..]).unwrap())
                .unwrap()
        });
        views.zip(&self.weights).map(|(posterior, &weight)| posterior.power(weight)).collect()
    }

    fn check(&self, shell: Shell) {
        let (mut stored, mut mean, mut precision) = (vec![0; self.storage[2].bytes()], [R::nan()], [R::nan()]);
        let merge = Merge::new().shell(shell);
        let _ = merge.run(&self.factors(), LeBytes::new(self.storage[2], &mut stored[..]).unwrap()).unwrap();
        let _ = merge.run_with_precision(&self.factors(), &mut mean[..], &mut precision[..]).unwrap();
        let found = [stored, pattern(mean[0]), pattern(precision[0])];
        assert_eq!(found, self.expected, "{} in {shell:?}", self.id);
    }

    /// The running form, where nothing leaves the normal range; whether it is there.
    fn check_running(&self, shell: Shell) -> bool {
        let (mut precision, mut mean) = ([R::ZERO], [R::ZERO]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap().shell(shell);
        self.factors().iter().for_each(|factor| product.absorb(factor).unwrap());
        // Evidence so weak that the fused form's scaled λF are no normal numbers: the means of such models may show in the sign of a zero.
        let in_range = product.finish().unwrap().out_of_range == 0 && !self.id.starts_with("sign-of-weak");
        if in_range {
            assert_eq!([pattern(mean[0]), pattern(precision[0])], self.expected[1..], "{} running in {shell:?}", self.id);
        }
        in_range
    }
}

/// Checks a file; gives how many lines of each kind the running form covered.
fn merges<R: Real>(name: &str) -> BTreeMap<String, usize> {
    let mut running = BTreeMap::new();
    let cases: Vec<Case<R>> = lines(name).iter().map(|fields| Case::of(fields)).collect();
    assert!(cases.len() > 500, "{name} has {} lines", cases.len());
    for shell in Shell::available() {
        for case in &cases {
            case.check(shell);
            *running.entry(case.id.split('-').next().unwrap().to_string()).or_default() += usize::from(case.check_running(shell));
        }
    }
    running
}

#[test]
fn merges_in_f32() {
    assert!(merges::<f32>("merge_f32.txt")["ordinary"] > 50);
}

#[test]
fn merges_in_f64() {
    assert!(merges::<f64>("merge_f64.txt")["ordinary"] > 50);
}

/// A pattern as the number that it is; `None` if it is infinite.
fn exact(storage: Dtype, pattern: &[u8]) -> Option<Exact> {
    let bits = pattern.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    Exact::from_pattern(storage, bits)
}

impl<R: Real> Case<R> {
    /// λ, F and μ of the models that the definition has not dropped.
    fn evidence(&self) -> Vec<Evidence> {
        let columns = self.weights.iter().zip(&self.fishers).zip(&self.means).filter(|((weight, _), _)| **weight != R::ZERO);
        let number = |storage, pattern: &Vec<u8>| exact(storage, pattern).unwrap();
        columns.map(|((weight, f), mean)| (Exact::of(weight.as_f64()), number(self.storage[1], f), number(self.storage[0], mean))).collect()
    }

    /// What the line expects: mean and precision in the arithmetic.
    fn answer(&self) -> [Exact; 2] {
        [1, 2].map(|column| exact(R::DTYPE, &self.expected[column]).unwrap())
    }

    /// The expected numbers against the exact ones. `active` models have evidence.
    fn judge(&self, evidence: &[Evidence], active: usize) {
        let ([mean, precision], largest) = (self.answer(), largest_mean(evidence));
        let Some(right) = product_mean(evidence) else {
            let target = self.weights.iter().position(|&weight| weight != R::ZERO).unwrap();
            assert_eq!((Some(mean), precision.is_zero()), (exact(self.storage[0], &self.means[target]), true), "{}", self.id);
            return;
        };
        assert!(right.within(&mean, &tolerance::mean_bound::<R>(active, &largest, (&mean, R::DTYPE))), "mean of {}", self.id);
        // Rounded once more, and that alone: an infinite one is left to `conversions_round_once`.
        if let Some(stored) = exact(self.storage[2], &self.expected[0]) {
            let bound = if self.storage[2] == R::DTYPE { Exact::zero() } else { tolerance::half_ulp(&stored, self.storage[2]) };
            assert!(Ratio::whole(mean).within(&stored, &bound), "stored mean of {}", self.id);
        }
        let right = natural_product(evidence).0;
        let low = right < Exact::scaled(1, tiniest_exponent(R::DTYPE)) && precision == Exact::of(R::TINIEST.as_f64());
        let high = right > Exact::of(R::MAX.as_f64()) && precision == Exact::of(R::MAX.as_f64());
        let near = Ratio::whole(right.clone()).within(&precision, &tolerance::precision_bound::<R>(active, &right));
        assert!(near || low || high, "precision of {}", self.id);
    }

    /// The expected numbers against `reference`, which is in `f64` and has errors of its own; whether its formulas stay in the range of
    /// normal numbers here.
    fn judge_by_reference(&self, evidence: &[Evidence], active: usize) -> bool {
        let column = |storage: Dtype, patterns: &[Vec<u8>]| -> Vec<f64> {
            patterns.iter().map(|pattern| exact(storage, pattern).unwrap().approximate()).collect()
        };
        let weights: Vec<f64> = self.weights.iter().map(|weight| weight.as_f64()).collect();
        let (fishers, means) = (column(self.storage[1], &self.fishers), column(self.storage[0], &self.means));
        let normal = |factors: &[f64]| {
            let product: f64 = factors.iter().product();
            factors.contains(&0.0) || (1e-250..1e250).contains(&product.abs())
        };
        let models = weights.iter().zip(&fishers).zip(&means);
        if !models.clone().all(|((&weight, &f), &mean)| normal(&[weight, f]) && normal(&[weight, f, mean])) {
            return false;
        }
        let Some((precision, mean)) = reference::posterior_product(&weights, &fishers, &means) else {
            assert_eq!(active, 0, "{}", self.id);
            return true;
        };
        let ([found, found_precision], largest) = (self.answer(), largest_mean(evidence));
        let own = tolerance::MEAN.of::<f64>(active, &largest);
        let bound = &tolerance::mean_bound::<R>(active, &largest, (&found, R::DTYPE)) + &own;
        assert!(Ratio::whole(Exact::of(mean)).within(&found, &bound), "{} by the reference", self.id);
        let right = Exact::of(precision);
        let bound = &tolerance::precision_bound::<R>(active, &right) + &tolerance::PRECISION.of::<f64>(active, &right);
        let saturated = [R::TINIEST, R::MAX].iter().any(|end| found_precision == Exact::of(end.as_f64()));
        assert!(saturated || Ratio::whole(right).within(&found_precision, &bound), "precision of {} by the reference", self.id);
        true
    }
}

/// Judges a file; gives how many of its lines are within the reach of the reference, and how many there are.
fn judged<R: Real>(name: &str) -> (usize, usize) {
    let cases: Vec<Case<R>> = lines(name).iter().map(|fields| Case::of(fields)).collect();
    let judge = |case: &Case<R>| {
        let evidence = case.evidence();
        let active = evidence.iter().filter(|(_, fisher, _)| !fisher.is_zero()).count();
        case.judge(&evidence, active);
        case.judge_by_reference(&evidence, active)
    };
    (cases.iter().filter(|case| judge(case)).count(), cases.len())
}

/// What is published is right, not only what the crate computes: with the tests above, the crate's bits are.
#[test]
fn published_bits_are_within_the_tolerances() {
    let (by_reference, all) = judged::<f32>("merge_f32.txt");
    assert_eq!(by_reference, all, "no f32 leaves the range of the reference");
    let (by_reference, all) = judged::<f64>("merge_f64.txt");
    assert!(2 * by_reference > all, "{by_reference} of {all}: the others are at the ends of its range");
}

/// Narrowing and widening by slice (a merge of one model) and one by one.
fn convert<R: Real>(from: Dtype, to: Dtype, inputs: &[u8], expected: &[u8]) {
    let source = LeBytes::new(from, inputs).unwrap();
    for shell in Shell::available() {
        let mut out = vec![0; expected.len()];
        let one = [Posterior::isotropic(source).power(R::ONE)];
        let _ = Merge::new()
            .bad_numbers(fisher_merge::BadNumbers::Propagate)
            .shell(shell)
            .run(&one, LeBytes::new(to, &mut out[..]).unwrap())
            .unwrap();
        assert_eq!(out, expected, "{from} to {to} in {shell:?}");
    }
    let mut out = vec![0; expected.len()];
    let mut view = LeBytes::new(to, &mut out[..]).unwrap();
    for index in 0..expected.len() / to.bytes() {
        let value: R = source.at(index).unwrap();
        view.put(index, value);
    }
    assert_eq!(out, expected, "{from} to {to}, one by one");
}

#[test]
fn conversions_round_once() {
    let mut columns: BTreeMap<(String, String), (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    for fields in lines("convert.txt") {
        let (inputs, outputs) = columns.entry((fields[0].clone(), fields[1].clone())).or_default();
        inputs.extend(le(&fields[2]));
        outputs.extend(le(&fields[3]));
    }
    assert!(columns.len() >= 7, "every pair of types is there");
    for ((from, to), (inputs, outputs)) in &columns {
        match dtype(from) {
            Dtype::F64 => convert::<f64>(dtype(from), dtype(to), inputs, outputs),
            _ => convert::<f32>(dtype(from), dtype(to), inputs, outputs),
        }
    }
}
