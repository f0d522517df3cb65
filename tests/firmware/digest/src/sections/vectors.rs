//! The published vectors: every bit of every row, fused and running.

use fisher_merge::{BadNumbers, Dtype, Factor, LeBytes, Merge, NoEvidence, Posterior, Real, RunningProduct, Shell, Values, ValuesMut};

use crate::fnv::Digest;

type Bytes<'a> = LeBytes<&'a [u8]>;

/// As many as a row has at most.
const MODELS: usize = 64;

static MERGE_F32: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/merge_f32"));
static MERGE_F64: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/merge_f64"));
static CONVERT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/convert"));

/// The rows of a file, as the build script wrote them.
struct Rows(&'static [u8]);

impl Rows {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().expect("a whole row");
        self.0 = rest;
        first
    }

    fn dtype(&mut self) -> Dtype {
        [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16][usize::from(self.byte())]
    }

    /// The bytes of a number.
    fn bytes(&mut self, dtype: Dtype) -> &'static [u8] {
        let (number, rest) = self.0.split_at(dtype.bytes());
        self.0 = rest;
        number
    }

    fn view(&mut self, dtype: Dtype) -> Bytes<'static> {
        LeBytes::new(dtype, self.bytes(dtype)).expect("a whole number")
    }

    fn number<R: Real>(&mut self, dtype: Dtype) -> R {
        self.view(dtype).at(0).expect("one number")
    }
}

/// What a row expects.
struct Expected {
    storage: Dtype,
    stored: &'static [u8],
    mean: &'static [u8],
    precision: &'static [u8],
}

fn is<R: Real>(value: R, pattern: &[u8]) -> bool {
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..R::DTYPE.bytes()];
    LeBytes::new(R::DTYPE, &mut *bytes).expect("one number").put(0, value);
    bytes == pattern
}

pub(super) fn merges_f32(shell: Shell) -> Digest {
    merges::<f32>(MERGE_F32, shell)
}

pub(super) fn merges_f64(shell: Shell) -> Digest {
    merges::<f64>(MERGE_F64, shell)
}

fn merges<R: Real>(file: &'static [u8], shell: Shell) -> Digest {
    let (mut digest, mut rows, mut row) = (Digest::default(), Rows(file), 0);
    while !rows.0.is_empty() {
        let [mean, fisher, storage] = [(); 3].map(|()| rows.dtype());
        let models = usize::from(rows.byte());
        let none = LeBytes::new(storage, &[][..]).expect("no numbers");
        let mut factors = [Posterior::<Bytes<'_>, Bytes<'_>, R>::isotropic(none).power(R::ZERO); MODELS];
        for factor in &mut factors[..models] {
            let (weight, fisher, mean) = (rows.number::<R>(R::DTYPE), rows.view(fisher), rows.view(mean));
            *factor = Posterior::diagonal(mean, fisher).expect("one number each").power(weight);
        }
        let expected = Expected { storage, stored: rows.bytes(storage), mean: rows.bytes(R::DTYPE), precision: rows.bytes(R::DTYPE) };
        check(&mut digest, row, &factors[..models], &expected, shell);
        row += 1;
    }
    digest
}

fn check<R: Real>(digest: &mut Digest, row: u32, factors: &[Factor<Bytes<'_>, Bytes<'_>, R>], expected: &Expected, shell: Shell) {
    let (mut stored, mut mean, mut precision) = ([0; 8], [R::nan()], [R::nan()]);
    let stored = &mut stored[..expected.storage.bytes()];
    let merge = Merge::new().shell(shell);
    let view = LeBytes::new(expected.storage, &mut *stored).expect("one number");
    digest.outcome(&merge.run(factors, view));
    digest.outcome(&merge.run_with_precision(factors, &mut mean[..], &mut precision[..]));
    digest.bytes(stored);
    digest.numbers(&mean);
    digest.numbers(&precision);
    digest.expect(row, *stored == *expected.stored && is(mean[0], expected.mean) && is(precision[0], expected.precision));
    running(digest, factors, shell);
}

/// The running form. Where it leaves the normal range it may differ from the fused one, so it goes into the number only.
fn running<R: Real>(digest: &mut Digest, factors: &[Factor<Bytes<'_>, Bytes<'_>, R>], shell: Shell) {
    let (mut precision, mut mean) = ([R::ZERO], [R::ZERO]);
    let Ok(product) = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget) else { return };
    let mut product = product.shell(shell);
    for factor in factors {
        digest.size(usize::from(product.absorb(factor).is_ok()));
    }
    digest.outcome(&product.finish());
    digest.numbers(&mean);
    digest.numbers(&precision);
}

pub(super) fn conversions(shell: Shell) -> Digest {
    let (mut digest, mut rows, mut row) = (Digest::default(), Rows(CONVERT), 0);
    while !rows.0.is_empty() {
        let [from, to] = [(); 2].map(|()| rows.dtype());
        let (input, expected) = (rows.view(from), rows.bytes(to));
        if from == Dtype::F64 {
            convert::<f64>(&mut digest, row, input, (to, expected), shell);
        } else {
            convert::<f32>(&mut digest, row, input, (to, expected), shell);
        }
        row += 1;
    }
    digest
}

/// By slice (a merge of one model) and one by one.
fn convert<R: Real>(digest: &mut Digest, row: u32, input: Bytes<'_>, (to, expected): (Dtype, &[u8]), shell: Shell) {
    let (mut slice, mut single) = ([0; 8], [0; 8]);
    let (slice, single) = (&mut slice[..to.bytes()], &mut single[..to.bytes()]);
    let one = [Posterior::isotropic(input).power(R::ONE)];
    let merge = Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell);
    digest.outcome(&merge.run(&one, LeBytes::new(to, &mut *slice).expect("one number")));
    LeBytes::new(to, &mut *single).expect("one number").put(0, input.at(0).unwrap_or(R::nan()));
    digest.bytes(slice);
    digest.expect(row, *slice == *expected && *single == *expected);
}
