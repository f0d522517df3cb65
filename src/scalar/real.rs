//! Arithmetic types: what numbers are reckoned in.

use core::fmt;
use core::ops::{AddAssign, BitOrAssign};

use num_traits::float::FloatCore;

use super::dtype::Dtype;
use super::encoding::{self, Encoding};
use super::isa::Isa;
use super::{bits16, sealed::Sealed};

/// An arithmetic type, `f32` or `f64`. Sealed: adding one is this crate's decision, adding a method stays possible.
///
/// It builds on [`FloatCore`], so that generic callers need no second bound; roots and powers of two come from `libm`, with and
/// without `std`, so that a feature never changes a number.
///
/// ```
/// use fisher_merge::Real;
/// fn halve<R: Real>(x: R) -> R { x / (R::ONE + R::ONE) }
/// assert_eq!(halve(3.0_f32), 1.5);
/// ```
pub trait Real: FloatCore + fmt::Debug + fmt::Display + fmt::LowerExp + Default + Send + Sync + Sealed + 'static {
    /// The same type as a storage type.
    const DTYPE: Dtype;
    /// How it is stored as itself.
    #[doc(hidden)]
    type Native: Encoding<Raw = Self>;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The largest finite number.
    const MAX: Self;
    /// The least positive normal number.
    const MIN_NORMAL: Self;
    /// The least positive number.
    const TINIEST: Self;
    /// Where the largest precision of an element is put when its precisions are scaled: `2^27` below the overflow, so that the sum
    /// of up to 2²⁶ of them stays finite (see the recurrence in the `product` room).
    #[doc(hidden)]
    const TOP_EXPONENT: i32;
    /// Exponent of the least normal number.
    #[doc(hidden)]
    const MIN_EXPONENT: i32;
    /// `2^TOP_EXPONENT`.
    #[doc(hidden)]
    const TOP: Self;
    /// Digits of the significand.
    #[doc(hidden)]
    const DIGITS: u32;
    /// An unsigned integer of the same width: a count or a flag for every lane of a vectorised loop.
    #[doc(hidden)]
    type Lane: Copy + Default + AddAssign + BitOrAssign + Into<u64> + From<bool>;
    /// The bit pattern: zero for `x − x` of a finite `x`, not zero for that of any other.
    #[doc(hidden)]
    fn pattern(self) -> Self::Lane;
    /// Whether it is a normal number above zero and up to [`TOP`](Self::TOP), by its pattern.
    #[doc(hidden)]
    fn is_regular(self) -> bool;
    /// Whether it is less, by its pattern: −0 comes before +0.
    #[doc(hidden)]
    fn is_below(self, other: Self) -> bool;
    /// Whether two numbers differ in their sign bits.
    #[doc(hidden)]
    fn has_other_sign(self, other: Self) -> bool;

    /// The nearest number to `value`.
    fn from_f64(value: f64) -> Self;
    /// The same number (exact).
    fn as_f64(self) -> f64;
    /// The same number (exact).
    fn from_f32(value: f32) -> Self;
    /// The nearest `f32`, ties to even; beyond its range an infinity.
    fn as_f32(self) -> f32;
    /// The square root, correctly rounded.
    #[must_use]
    fn sqrt(self) -> Self;
    /// `self · 2^exponent`, rounded once.
    #[must_use]
    fn times_power_of_two(self, exponent: i32) -> Self;
    /// `2^exponent` for the exponent of a normal number.
    #[doc(hidden)]
    #[must_use]
    fn two_to(exponent: i32) -> Self;
    /// `(m, e)` with `self = m · 2^e` and `1 ≤ m < 2`, for a positive finite number.
    fn split(self) -> (Self, i32);

    /// The slice itself where this is its type.
    #[doc(hidden)]
    fn of_f32s(values: &[f32]) -> Option<&[Self]>;
    #[doc(hidden)]
    fn of_f32s_mut(values: &mut [f32]) -> Option<&mut [Self]>;
    #[doc(hidden)]
    fn of_f64s(values: &[f64]) -> Option<&[Self]>;
    #[doc(hidden)]
    fn of_f64s_mut(values: &mut [f64]) -> Option<&mut [Self]>;
    #[doc(hidden)]
    fn to_f16_bits(self) -> u16;
    #[doc(hidden)]
    fn to_bf16_bits(self) -> u16;
    /// The same for anything but NaN.
    #[doc(hidden)]
    fn to_bf16_bits_not_nan(self) -> u16;
    #[doc(hidden)]
    fn widen_f16<I: Isa>(source: &[u16], target: &mut [Self]);
    #[doc(hidden)]
    fn narrow_f16<I: Isa>(source: &[Self], target: &mut [u16]);
}

impl Real for f32 {
    const DTYPE: Dtype = Dtype::F32;
    type Native = encoding::F32;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const MAX: Self = Self::MAX;
    const MIN_NORMAL: Self = Self::MIN_POSITIVE;
    const TINIEST: Self = Self::from_bits(1);
    const TOP_EXPONENT: i32 = 100;
    const MIN_EXPONENT: i32 = -126;
    const TOP: Self = Self::from_bits((100 + 127) << 23);
    const DIGITS: u32 = 24;
    type Lane = u32;

    #[inline(always)]
    fn pattern(self) -> u32 {
        self.to_bits()
    }
    #[inline(always)]
    fn is_regular(self) -> bool {
        const LEAST: u32 = f32::MIN_POSITIVE.to_bits();
        self.to_bits().wrapping_sub(LEAST) <= Self::TOP.to_bits() - LEAST
    }
    #[inline(always)]
    fn is_below(self, other: Self) -> bool {
        let key = |bits: u32| (bits ^ ((bits as i32 >> 31) as u32 >> 1)) as i32;
        key(self.to_bits()) < key(other.to_bits())
    }
    #[inline(always)]
    fn has_other_sign(self, other: Self) -> bool {
        (self.to_bits() ^ other.to_bits()) >> 31 != 0
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "rounding to nearest is what is asked for")]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline]
    fn sqrt(self) -> Self {
        libm::sqrtf(self)
    }
    #[inline]
    fn times_power_of_two(self, exponent: i32) -> Self {
        libm::ldexpf(self, exponent)
    }
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, reason = "not below zero for the exponent of a normal number")]
    fn two_to(exponent: i32) -> Self {
        Self::from_bits(((exponent + 127) as u32) << 23)
    }
    #[inline]
    fn split(self) -> (Self, i32) {
        let (half, exponent) = libm::frexpf(self);
        (half * 2.0, exponent - 1)
    }
    #[inline(always)]
    fn of_f32s(values: &[f32]) -> Option<&[Self]> {
        Some(values)
    }
    #[inline(always)]
    fn of_f32s_mut(values: &mut [f32]) -> Option<&mut [Self]> {
        Some(values)
    }
    #[inline(always)]
    fn of_f64s(_: &[f64]) -> Option<&[Self]> {
        None
    }
    #[inline(always)]
    fn of_f64s_mut(_: &mut [f64]) -> Option<&mut [Self]> {
        None
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn as_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn to_f16_bits(self) -> u16 {
        bits16::f32_to_f16(self)
    }
    #[inline(always)]
    fn to_bf16_bits(self) -> u16 {
        bits16::f32_to_bf16(self)
    }
    #[inline(always)]
    fn to_bf16_bits_not_nan(self) -> u16 {
        bits16::f32_to_bf16_not_nan(self)
    }
    #[inline(always)]
    fn widen_f16<I: Isa>(source: &[u16], target: &mut [Self]) {
        I::widen_f16(source, target);
    }
    #[inline(always)]
    fn narrow_f16<I: Isa>(source: &[Self], target: &mut [u16]) {
        I::narrow_f16(source, target);
    }
}

impl Real for f64 {
    const DTYPE: Dtype = Dtype::F64;
    type Native = encoding::F64;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const MAX: Self = Self::MAX;
    const MIN_NORMAL: Self = Self::MIN_POSITIVE;
    const TINIEST: Self = Self::from_bits(1);
    const TOP_EXPONENT: i32 = 996;
    const MIN_EXPONENT: i32 = -1022;
    const TOP: Self = Self::from_bits((996 + 1023) << 52);
    const DIGITS: u32 = 53;
    type Lane = u64;

    #[inline(always)]
    fn pattern(self) -> u64 {
        self.to_bits()
    }
    #[inline(always)]
    fn is_regular(self) -> bool {
        const LEAST: u64 = f64::MIN_POSITIVE.to_bits();
        self.to_bits().wrapping_sub(LEAST) <= Self::TOP.to_bits() - LEAST
    }
    #[inline(always)]
    fn is_below(self, other: Self) -> bool {
        let key = |bits: u64| (bits ^ ((bits as i64 >> 63) as u64 >> 1)) as i64;
        key(self.to_bits()) < key(other.to_bits())
    }
    #[inline(always)]
    fn has_other_sign(self, other: Self) -> bool {
        (self.to_bits() ^ other.to_bits()) >> 63 != 0
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
    #[inline]
    fn sqrt(self) -> Self {
        libm::sqrt(self)
    }
    #[inline]
    fn times_power_of_two(self, exponent: i32) -> Self {
        libm::ldexp(self, exponent)
    }
    #[inline(always)]
    #[allow(clippy::cast_sign_loss, reason = "not below zero for the exponent of a normal number")]
    fn two_to(exponent: i32) -> Self {
        Self::from_bits(((exponent + 1023) as u64) << 52)
    }
    #[inline]
    fn split(self) -> (Self, i32) {
        let (half, exponent) = libm::frexp(self);
        (half * 2.0, exponent - 1)
    }
    #[inline(always)]
    fn of_f32s(_: &[f32]) -> Option<&[Self]> {
        None
    }
    #[inline(always)]
    fn of_f32s_mut(_: &mut [f32]) -> Option<&mut [Self]> {
        None
    }
    #[inline(always)]
    fn of_f64s(values: &[f64]) -> Option<&[Self]> {
        Some(values)
    }
    #[inline(always)]
    fn of_f64s_mut(values: &mut [f64]) -> Option<&mut [Self]> {
        Some(values)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        Self::from(value)
    }
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "rounding to nearest is what is asked for")]
    fn as_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn to_f16_bits(self) -> u16 {
        bits16::f64_to_f16(self)
    }
    #[inline(always)]
    fn to_bf16_bits(self) -> u16 {
        bits16::f64_to_bf16(self)
    }
    #[inline(always)]
    fn to_bf16_bits_not_nan(self) -> u16 {
        bits16::f64_to_bf16(self)
    }
    #[inline(always)]
    fn widen_f16<I: Isa>(source: &[u16], target: &mut [Self]) {
        for (out, &bits) in target.iter_mut().zip(source) {
            *out = Self::from(bits16::f16_to_f32(bits));
        }
    }
    #[inline(always)]
    fn narrow_f16<I: Isa>(source: &[Self], target: &mut [u16]) {
        // Not through f32, which would round twice.
        for (out, &value) in target.iter_mut().zip(source) {
            *out = bits16::f64_to_f16(value);
        }
    }
}
