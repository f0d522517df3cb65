//! Exact dyadic rationals, `integer · 2^exponent`: every finite floating-point number is one, and so are sums, differences and products.
//! Quotients are never taken: a claim about `num/den` is decided by cross-multiplication.

use core::cmp::Ordering;
use core::ops::{Add, Mul, Neg, Sub};

use fisher_merge::Dtype;
use num_bigint::{BigInt, Sign};

/// Fraction bits and exponent bits of a storage type.
pub(crate) const fn layout(dtype: Dtype) -> (u32, u32) {
    match dtype {
        Dtype::F64 => (52, 11),
        Dtype::F32 => (23, 8),
        Dtype::F16 => (10, 5),
        Dtype::Bf16 => (7, 8),
        _ => panic!("a storage type that this judge does not know"),
    }
}

/// The exponent of a storage type's least positive number.
pub(crate) const fn tiniest_exponent(dtype: Dtype) -> i64 {
    let (fraction, exponent) = layout(dtype);
    2 - (1 << (exponent - 1)) - fraction as i64
}

/// `integer · 2^exponent`.
#[derive(Clone, Debug)]
pub(crate) struct Exact {
    integer: BigInt,
    exponent: i64,
}

impl Exact {
    pub(crate) fn zero() -> Self {
        Self::scaled(0, 0)
    }

    /// `integer · 2^exponent`.
    pub(crate) fn scaled(integer: i64, exponent: i64) -> Self {
        Self { integer: BigInt::from(integer), exponent }
    }

    /// The number of a pattern, or `None` for NaN and infinities.
    pub(crate) fn from_pattern(dtype: Dtype, bits: u64) -> Option<Self> {
        let (fraction_bits, exponent_bits) = layout(dtype);
        let top = (1 << exponent_bits) - 1;
        let fraction = bits & ((1 << fraction_bits) - 1);
        let biased = (bits >> fraction_bits) & top;
        if biased == top {
            return None;
        }
        let implicit = if biased == 0 { 0 } else { 1 << fraction_bits };
        let magnitude = i64::try_from(fraction | implicit).unwrap();
        let negative = bits >> (fraction_bits + exponent_bits) & 1 == 1;
        let exponent = tiniest_exponent(dtype) + i64::try_from(biased.max(1)).unwrap() - 1;
        Some(Self::scaled(if negative { -magnitude } else { magnitude }, exponent))
    }

    /// A finite `f64` (or, widened, `f32`).
    pub(crate) fn of(value: impl Into<f64>) -> Self {
        let value = value.into();
        Self::from_pattern(Dtype::F64, value.to_bits()).unwrap_or_else(|| panic!("{value} is no rational"))
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.integer.sign() == Sign::NoSign
    }

    pub(crate) fn is_positive(&self) -> bool {
        self.integer.sign() == Sign::Plus
    }

    pub(crate) fn abs(&self) -> Self {
        Self { integer: BigInt::from(self.integer.magnitude().clone()), exponent: self.exponent }
    }

    /// `self · 2^shift`.
    pub(crate) fn shifted(&self, shift: i64) -> Self {
        Self { integer: self.integer.clone(), exponent: self.exponent + shift }
    }

    /// `⌊log2 |self|⌋`, or `None` for zero.
    pub(crate) fn log2(&self) -> Option<i64> {
        (!self.is_zero()).then(|| i64::try_from(self.integer.bits()).unwrap() - 1 + self.exponent)
    }

    /// The pattern of this number in a storage type, or `None` where that type does not hold it. Zero is positive.
    pub(crate) fn pattern(&self, dtype: Dtype) -> Option<u64> {
        let (fraction_bits, exponent_bits) = layout(dtype);
        let Some(log) = self.log2() else { return Some(0) };
        let unit = (log - i64::from(fraction_bits)).max(tiniest_exponent(dtype));
        let odd = i64::try_from(self.integer.trailing_zeros().unwrap()).unwrap() + self.exponent;
        let biased = u64::try_from(unit - tiniest_exponent(dtype)).unwrap();
        if odd < unit || biased + 2 >= 1 << exponent_bits {
            return None;
        }
        let steps = if self.exponent > unit { &self.integer << (self.exponent - unit) } else { &self.integer >> (unit - self.exponent) };
        // The implicit bit of a normal number carries into the exponent field.
        let magnitude = u64::try_from(steps.magnitude().clone()).unwrap() + (biased << fraction_bits);
        let sign = u64::from(self.integer.sign() == Sign::Minus) << (fraction_bits + exponent_bits);
        Some(magnitude | sign)
    }

    /// By which powers of two it can be multiplied within a storage type; `None` for zero, which all of them leave alone.
    pub(crate) fn room(&self, dtype: Dtype) -> Option<(i64, i64)> {
        let odd = i64::try_from(self.integer.trailing_zeros()?).unwrap() + self.exponent;
        let largest = (1 << (layout(dtype).1 - 1)) - 1;
        Some((tiniest_exponent(dtype) - odd, largest - self.log2()?))
    }

    /// The distance of neighbouring numbers of a storage type at this magnitude.
    pub(crate) fn ulp(&self, dtype: Dtype) -> Self {
        let least = tiniest_exponent(dtype);
        let exponent = self.log2().map_or(least, |log| (log - i64::from(layout(dtype).0)).max(least));
        Self::scaled(1, exponent)
    }

    /// Both integers at the lower of both exponents.
    fn aligned(&self, other: &Self) -> (BigInt, BigInt, i64) {
        if self.is_zero() {
            return (BigInt::ZERO, other.integer.clone(), other.exponent);
        }
        if other.is_zero() {
            return (self.integer.clone(), BigInt::ZERO, self.exponent);
        }
        let exponent = self.exponent.min(other.exponent);
        let lift = |of: &Self| &of.integer << u64::try_from(of.exponent - exponent).unwrap();
        (lift(self), lift(other), exponent)
    }

    /// About this number, for messages and for how much of a bound was used; never for a verdict.
    pub(crate) fn approximate(&self) -> f64 {
        let bits = i64::try_from(self.integer.bits()).unwrap();
        let drop = (bits - 60).max(0);
        let head = i64::try_from(&self.integer >> u64::try_from(drop).unwrap()).unwrap();
        #[allow(clippy::cast_precision_loss, reason = "an approximation")]
        let head = head as f64;
        // In two steps, so that a subnormal result is reached without an infinite factor.
        let exponent = i32::try_from((self.exponent + drop).clamp(-4000, 4000)).unwrap();
        head * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2)
    }
}

impl Add for &Exact {
    type Output = Exact;
    fn add(self, other: &Exact) -> Exact {
        let (a, b, exponent) = self.aligned(other);
        Exact { integer: a + b, exponent }
    }
}

impl Sub for &Exact {
    type Output = Exact;
    fn sub(self, other: &Exact) -> Exact {
        let (a, b, exponent) = self.aligned(other);
        Exact { integer: a - b, exponent }
    }
}

impl Mul for &Exact {
    type Output = Exact;
    fn mul(self, other: &Exact) -> Exact {
        Exact { integer: &self.integer * &other.integer, exponent: self.exponent + other.exponent }
    }
}

impl Neg for &Exact {
    type Output = Exact;
    fn neg(self) -> Exact {
        Exact { integer: -&self.integer, exponent: self.exponent }
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Exact {}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b, _) = self.aligned(other);
        a.cmp(&b)
    }
}

/// `num/den` with `den > 0`.
#[derive(Clone, Debug)]
pub(crate) struct Ratio {
    pub(crate) num: Exact,
    pub(crate) den: Exact,
}

impl Ratio {
    /// `None` unless the denominator is above zero.
    pub(crate) fn new(num: Exact, den: Exact) -> Option<Self> {
        den.is_positive().then_some(Self { num, den })
    }

    pub(crate) fn whole(num: Exact) -> Self {
        Self { num, den: Exact::scaled(1, 0) }
    }

    /// `|result − num/den| ≤ bound`, exactly.
    pub(crate) fn within(&self, result: &Exact, bound: &Exact) -> bool {
        (&(result * &self.den) - &self.num).abs() <= bound * &self.den
    }

    /// About `|result − num/den| / bound`: how much of a bound was used.
    pub(crate) fn used(&self, result: &Exact, bound: &Exact) -> f64 {
        let (error, limit) = ((&(result * &self.den) - &self.num).abs(), bound * &self.den);
        if error.is_zero() {
            return 0.0;
        }
        // Both at a moderate size, so that neither leaves the range of the approximation.
        let shift = -limit.log2().unwrap_or(0);
        error.shifted(shift).approximate() / limit.shifted(shift).approximate()
    }
}

/// One model's part of one element: λ, Λ, μ.
pub(crate) type Evidence = (Exact, Exact, Exact);

/// `(Σ λΛ, Σ λΛμ)`.
pub(crate) fn natural_product(models: &[Evidence]) -> (Exact, Exact) {
    let (mut precision, mut precision_mean) = (Exact::zero(), Exact::zero());
    for (weight, model_precision, mean) in models {
        let p = weight * model_precision;
        precision_mean = &precision_mean + &(&p * mean);
        precision = &precision + &p;
    }
    (precision, precision_mean)
}

/// The mean of the product of posteriors, `None` without evidence.
pub(crate) fn product_mean(models: &[Evidence]) -> Option<Ratio> {
    let (precision, precision_mean) = natural_product(models);
    Ratio::new(precision_mean, precision)
}

/// The largest `|μ|` among the models that contribute (`λΛ > 0`); zero without any.
pub(crate) fn largest_mean(models: &[Evidence]) -> Exact {
    let contributing = models.iter().filter(|(weight, precision, _)| !weight.is_zero() && !precision.is_zero());
    contributing.map(|(_, _, mean)| mean.abs()).max().unwrap_or_else(Exact::zero)
}

#[test]
fn the_judge_knows_a_tenth_from_its_float() {
    // 0.1_f64 is above 1/10 by less than 2⁻⁵⁷ and by more than 2⁻⁵⁸.
    let tenth = Ratio::new(Exact::scaled(1, 0), Exact::scaled(10, 0)).unwrap();
    assert!(tenth.within(&Exact::of(0.1), &Exact::scaled(1, -57)) && !tenth.within(&Exact::of(0.1), &Exact::scaled(1, -58)));
    assert!(Exact::of(f64::from_bits(1)) < Exact::of(f32::from_bits(1)) && Exact::of(-0.0) == Exact::zero());
    assert_eq!(Exact::from_pattern(Dtype::F16, 0x0001), Some(Exact::scaled(1, -24)));
    assert_eq!(Exact::from_pattern(Dtype::Bf16, 0xbfc0), Some(Exact::scaled(-3, -1)));
    assert_eq!(Exact::from_pattern(Dtype::F32, 0x7f80_0000), None);
    for (dtype, bits) in
        [(Dtype::F16, 0xfbff), (Dtype::F16, 0x83ff), (Dtype::Bf16, 0x0080), (Dtype::F32, 1), (Dtype::F64, 0x7fef_ffff_ffff_ffff)]
    {
        assert_eq!(Exact::from_pattern(dtype, bits).unwrap().pattern(dtype), Some(bits));
    }
    assert_eq!((Exact::of(65520.0).pattern(Dtype::F16), Exact::scaled(1, 1024).pattern(Dtype::F64)), (None, None));
    assert_eq!(Exact::of(f64::MAX).ulp(Dtype::F64), Exact::scaled(1, 971));
    assert_eq!(Exact::of(-1.75e-300).approximate(), -1.75e-300);
}
