//! What the fuzz targets share: numbers from bytes, and the exact judge of the tests.

use fisher_merge::{Dtype, LeBytes, Real, Values};

#[path = "../../tests/common/exact.rs"]
#[allow(dead_code, reason = "the targets take a part of it")]
mod judge;

use judge::{Exact, largest_mean, product_mean};

/// Bytes that never end: zeros follow the last.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let (front, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        let mut bytes = front.to_vec();
        bytes.resize(count, 0);
        bytes
    }

    pub fn dtype(&mut self) -> Dtype {
        [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16][usize::from(self.byte() % 4)]
    }

    /// A number of the arithmetic, of any pattern.
    pub fn real<R: Real>(&mut self) -> R {
        LeBytes::new(R::DTYPE, self.take(R::DTYPE.bytes())).unwrap().at(0).unwrap()
    }

    /// A weight: mostly one that is allowed.
    pub fn weight<R: Real>(&mut self) -> R {
        match self.byte() % 4 {
            0 => R::from_f64(f64::from(self.byte()) / 255.0),
            1 => R::ONE,
            _ => self.real(),
        }
    }
}

/// One element of one model.
#[derive(Clone, Copy, Debug)]
pub struct Element<R> {
    pub weight: R,
    pub fisher: R,
    pub mean: R,
}

/// Whether all of an element's numbers are finite, and its evidence is not negative.
pub fn is_clean<R: Real>(element: &Element<R>) -> bool {
    element.fisher.is_finite() && element.fisher >= R::ZERO && element.mean.is_finite()
}

/// Asserts promises 2 and 6 of a merged element; `bound` is in epsilons of the largest contributing mean. Nothing to assert without
/// evidence.
pub fn assert_accurate<R: Real>(models: &[Element<R>], merged: R, bound: i64) {
    let exact = |value: R| Exact::of(value.as_f64());
    let evidence: Vec<_> = models.iter().map(|m| (exact(m.weight), exact(m.fisher), exact(m.mean))).collect();
    let Some(answer) = product_mean(&evidence) else { return };
    let largest = largest_mean(&evidence).max(exact(R::MIN_NORMAL));
    let fraction_bits = if R::DTYPE == Dtype::F32 { 23 } else { 52 };
    let bound = &largest * &Exact::scaled(bound, -fraction_bits);
    assert!(answer.within(&exact(merged), &bound), "{merged} of {models:?}");

    let contributing = || models.iter().filter(|m| m.weight > R::ZERO && m.fisher > R::ZERO).map(|m| m.mean);
    let (low, high) = contributing().fold((R::infinity(), R::neg_infinity()), |(low, high), mean| (low.min(mean), high.max(mean)));
    assert!(low <= merged && merged <= high, "{merged} is outside of {low} .. {high}");
}
