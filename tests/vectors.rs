//! The published vectors (`tests/vectors`), made by a script that shares no code with the crate: every bit of every line, in every shell,
//! fused and running.
#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeMap;

use fisher_merge::{Dtype, Factor, LeBytes, Merge, NoEvidence, Posterior, Real, RunningProduct, Shell, Values, ValuesMut};

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
