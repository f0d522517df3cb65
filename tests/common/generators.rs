//! What goes into a merge: means, Fishers and weights in every storage type, ordinary and adversarial, as patterns.
//!
//! A number is drawn as a kind and 64 raw bits, and shrinks to kind 0 (one): cheap to draw, and the same for all formats.

use core::fmt;
use core::ops::RangeInclusive;

use fisher_merge::{Dtype, Real};
use proptest::prelude::*;

use super::exact::{Evidence, Exact, layout};

/// The storage types, the narrow ones first.
pub(crate) const DTYPES: [Dtype; 4] = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64];

/// An arithmetic type with its patterns.
pub(crate) trait Arithmetic: Real {
    fn from_pattern(bits: u64) -> Self;
    fn pattern_bits(self) -> u64;
}

impl Arithmetic for f32 {
    fn from_pattern(bits: u64) -> Self {
        Self::from_bits(u32::try_from(bits).unwrap())
    }
    fn pattern_bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Arithmetic for f64 {
    fn from_pattern(bits: u64) -> Self {
        Self::from_bits(bits)
    }
    fn pattern_bits(self) -> u64 {
        self.to_bits()
    }
}

/// What a generator may draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Magnitudes between 2⁻⁶ and 2⁶: no product or sum of a few leaves the normal range of `f32`.
    Ordinary,
    /// As ordinary, and zeros of both signs.
    WithZeros,
    /// All finite numbers: zeros, subnormals, the ends of the range, powers of two all over it.
    Wild,
    /// Every pattern, NaN and infinities as well.
    Any,
}

/// The pattern of one number: `kind`, and which one by `pick` and `raw`.
pub(crate) fn pattern(dtype: Dtype, kind: Kind, signed: bool, (pick, raw): (u8, u64)) -> u64 {
    let (fraction_bits, exponent_bits) = layout(dtype);
    let (bias, top) = ((1_u64 << (exponent_bits - 1)) - 1, (1_u64 << exponent_bits) - 1);
    let fraction = raw & ((1 << fraction_bits) - 1);
    let other = raw >> fraction_bits;
    let sign = if signed { (raw >> 63) << (fraction_bits + exponent_bits) } else { 0 };
    let number = |exponent: u64, fraction: u64| sign | exponent << fraction_bits | fraction;
    let ordinary = number(bias - 6 + other % 12, fraction);
    match (kind, pick % 16) {
        (Kind::Any, 0..=3) => raw >> (63 - fraction_bits - exponent_bits),
        (Kind::Any, 4) => number(top, 0),
        (_, 0) => number(bias, 0),
        (Kind::Ordinary, _) | (_, 1..=6) => ordinary,
        (_, 7) | (Kind::WithZeros, 8) => sign,
        (Kind::WithZeros, _) => ordinary,
        (_, 8) => number(0, 1),
        (_, 9) => number(0, fraction),
        (_, 10) => number(1 + other % 3, fraction),
        (_, 11) => number(top - 1 - other % 3, fraction),
        (_, 12) => number(top - 1, (1 << fraction_bits) - 1),
        (_, 13) => number(1 + other % (top - 1), 0),
        _ => number(other % top, fraction),
    }
}

/// One pattern.
pub(crate) fn number(dtype: Dtype, kind: Kind, signed: bool) -> impl Strategy<Value = u64> {
    any::<(u8, u64)>().prop_map(move |drawn| pattern(dtype, kind, signed, drawn))
}

/// The numbers of one slice as they are stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) dtype: Dtype,
    pub(crate) bits: Vec<u64>,
}

/// On one line, patterns as hexadecimals, so that a minimal failing input can be read and pasted.
impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<String> = self.bits.iter().map(|bits| format!("{bits:#x}")).collect();
        write!(f, "{} [{}]", self.dtype, patterns.join(", "))
    }
}

impl Numbers {
    /// Zeros.
    pub(crate) fn blank(dtype: Dtype, count: usize) -> Self {
        Self { dtype, bits: vec![0; count] }
    }

    /// The values of an arithmetic slice.
    pub(crate) fn of<R: Arithmetic>(values: &[R]) -> Self {
        Self { dtype: R::DTYPE, bits: values.iter().map(|value| value.pattern_bits()).collect() }
    }

    /// As little-endian bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let width = self.dtype.bytes();
        self.bits.iter().flat_map(|bits| bits.to_le_bytes().into_iter().take(width)).collect()
    }

    /// From little-endian bytes.
    pub(crate) fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Self {
        let number = |chunk: &[u8]| chunk.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
        Self { dtype, bits: bytes.chunks_exact(dtype.bytes()).map(number).collect() }
    }

    /// As 16-bit patterns.
    pub(crate) fn halves(&self) -> Vec<u16> {
        self.bits.iter().map(|&bits| u16::try_from(bits).unwrap()).collect()
    }

    /// As a slice of an arithmetic type that is its storage type.
    pub(crate) fn reals<R: Arithmetic>(&self) -> Vec<R> {
        assert_eq!(self.dtype, R::DTYPE);
        self.bits.iter().map(|&bits| R::from_pattern(bits)).collect()
    }

    /// The exact value, `None` if it is NaN or infinite.
    pub(crate) fn exact(&self, index: usize) -> Option<Exact> {
        Exact::from_pattern(self.dtype, self.bits[index])
    }
}

/// One model of a case; the weight is in the arithmetic of the merge.
#[derive(Clone)]
pub(crate) struct Model<R> {
    pub(crate) mean: Numbers,
    pub(crate) fisher: Numbers,
    pub(crate) weight: R,
}

impl<R: fmt::Debug> fmt::Debug for Model<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "λ {:?}, F {:?}, μ {:?}", self.weight, self.fisher, self.mean)
    }
}

/// The models of one tensor.
#[derive(Clone, Debug)]
pub(crate) struct Case<R> {
    pub(crate) models: Vec<Model<R>>,
    pub(crate) count: usize,
}

impl<R: Arithmetic> Case<R> {
    /// Whether some weight is above zero, without which a merge is refused.
    pub(crate) fn takes_part(&self) -> bool {
        self.models.iter().any(|model| model.weight > R::ZERO)
    }

    /// How many models take part.
    pub(crate) fn active(&self) -> usize {
        self.models.iter().filter(|model| model.weight > R::ZERO).count()
    }

    /// The first model of positive weight.
    pub(crate) fn target(&self) -> &Model<R> {
        self.models.iter().find(|model| model.weight > R::ZERO).unwrap()
    }

    /// Every model's exact (λ, Λ, μ) at one element.
    pub(crate) fn evidence(&self, index: usize) -> Vec<Evidence> {
        let each =
            |model: &Model<R>| (Exact::of(model.weight.as_f64()), model.fisher.exact(index).unwrap(), model.mean.exact(index).unwrap());
        self.models.iter().map(each).collect()
    }
}

/// So many cases, or `PROPTEST_CASES` if that is set. As many may be rejected.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, max_global_rejects: cases.max(1024), ..ProptestConfig::default() }
}

/// Runs a property on so many [`cases`], each drawn anew.
pub(crate) fn check<S: Strategy>(count: u32, strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..cases(count) };
    if let Err(failure) = proptest::test_runner::TestRunner::new(config).run(&strategy, property) {
        panic!("{failure}");
    }
}

/// Storage types that an arithmetic holds.
pub(crate) fn storage<R: Arithmetic>() -> impl Strategy<Value = Dtype> {
    let held: Vec<Dtype> = DTYPES.into_iter().filter(|&dtype| R::DTYPE.holds(dtype)).collect();
    proptest::sample::select(held)
}

/// Fewer models more often, up to 64.
pub(crate) fn model_counts() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 2..=2_usize, 3 => 1..=5_usize, 1 => 6..=64_usize]
}

/// A case of any storage types: each model's mean and Fisher have their own. A quarter of the elements has one mean in common where the types allow it.
pub(crate) fn case<R: Arithmetic>(
    models: impl Strategy<Value = usize>,
    count: RangeInclusive<usize>,
    (kind, weights): (Kind, Kind),
) -> impl Strategy<Value = Case<R>> {
    (models, count, storage::<R>(), storage::<R>(), any::<bool>()).prop_flat_map(move |(models, count, mean, fisher, mixed)| {
        let types = prop::collection::vec((storage::<R>(), storage::<R>()), models);
        let types = types.prop_map(move |drawn| if mixed { drawn } else { vec![(mean, fisher); drawn.len()] });
        types.prop_flat_map(move |types| typed_case(types, count, (kind, weights)))
    })
}

/// A case of given storage types (mean, Fisher) for each model.
pub(crate) fn typed_case<R: Arithmetic>(
    types: Vec<(Dtype, Dtype)>,
    count: usize,
    (kind, weights): (Kind, Kind),
) -> impl Strategy<Value = Case<R>> {
    let drawn = || prop::collection::vec(any::<(u8, u64)>(), count);
    let models: Vec<_> = types.iter().map(|_| (drawn(), drawn(), number(R::DTYPE, weights, false))).collect();
    (models, prop::collection::vec(0..4_u8, count)).prop_map(move |(drawn, equal)| {
        let mut models = Vec::new();
        for (&(mean, fisher), (means, fishers, weight)) in types.iter().zip(drawn) {
            let numbers = |dtype, signed, drawn: &[(u8, u64)]| Numbers {
                dtype,
                bits: drawn.iter().map(|&drawn| pattern(dtype, kind, signed, drawn)).collect(),
            };
            models.push(Model {
                mean: numbers(mean, true, &means),
                fisher: numbers(fisher, false, &fishers),
                weight: R::from_pattern(weight),
            });
        }
        share_means(&mut models, &equal);
        Case { models, count }
    })
}

/// Where `equal` is zero, gives every model the first model's mean if it is stored in that type.
fn share_means<R>(models: &mut [Model<R>], equal: &[u8]) {
    let Some((first, rest)) = models.split_first_mut() else { return };
    for model in rest.iter_mut().filter(|model| model.mean.dtype == first.mean.dtype) {
        for (index, _) in equal.iter().enumerate().filter(|&(_, &draw)| draw == 0) {
            model.mean.bits[index] = first.mean.bits[index];
        }
    }
}
