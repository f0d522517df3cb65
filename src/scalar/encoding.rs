//! Storage types as encodings: a raw pattern, its number in an arithmetic type, and back. A new storage type is a new marker here.

use super::dtype::Dtype;
use super::isa::Isa;
use super::real::Real;
use super::{bits16, sealed::Sealed};

/// A storage type: how a raw pattern stands for a number.
pub trait Encoding: Copy + Sealed {
    /// Its name.
    const DTYPE: Dtype;
    /// What a slice of it holds.
    type Raw: Copy;
    /// A pattern to fill buffers with.
    const BLANK: Self::Raw;

    /// Whether a conversion is so cheap that a kernel's loop should do it itself instead of by slice beforehand.
    const INLINE: bool = true;

    /// The number of a pattern. Exact where `R` holds the type, else rounded to nearest.
    fn decode<R: Real>(raw: Self::Raw) -> R;
    /// Whether all patterns are of numbers from the one nearest to `least` to the one nearest to `greatest`, both positive, but neither zero
    /// nor infinite.
    fn all_between<R: Real>(raw: &[Self::Raw], least: R, greatest: R) -> bool;
    /// Whether all patterns are of finite numbers.
    fn all_finite(raw: &[Self::Raw]) -> bool;
    /// The pattern nearest to a number.
    fn encode<R: Real>(value: R) -> Self::Raw;
    /// The same for anything but NaN.
    #[inline(always)]
    fn encode_not_nan<R: Real>(value: R) -> Self::Raw {
        Self::encode(value)
    }
    /// The patterns themselves where they are numbers of `R`.
    #[inline(always)]
    fn lend<R: Real>(_: &[Self::Raw]) -> Option<&[R]> {
        None
    }
    /// [`lend`](Self::lend), to write to.
    #[inline(always)]
    fn lend_mut<R: Real>(_: &mut [Self::Raw]) -> Option<&mut [R]> {
        None
    }
    /// The patterns two at a time, where that is of use.
    #[inline(always)]
    fn words<I: Isa>(_: &[Self::Raw]) -> Option<&[u32]> {
        None
    }
    /// [`words`](Self::words), to write to.
    #[inline(always)]
    fn words_mut<I: Isa>(_: &mut [Self::Raw]) -> Option<&mut [u32]> {
        None
    }
    /// The two numbers of a word, that of its lower half first. Which of them came first in memory is the machine's affair.
    #[inline(always)]
    fn decode_word<R: Real>(_: u32) -> [R; 2] {
        [R::ZERO; 2]
    }
    /// The inverse, for anything but NaN.
    #[inline(always)]
    fn encode_word_not_nan<R: Real>(_: [R; 2]) -> u32 {
        0
    }
    /// Little-endian bytes as a pattern; short input counts as zero bytes.
    fn from_le(bytes: &[u8]) -> Self::Raw;
    /// Writes a pattern as little-endian bytes, as far as there is room.
    fn to_le(raw: Self::Raw, bytes: &mut [u8]);

    /// [`decode`](Self::decode) by slice, up to the shorter one.
    #[inline(always)]
    fn decode_slice<I: Isa, R: Real>(source: &[Self::Raw], target: &mut [R]) {
        for (out, &raw) in target.iter_mut().zip(source) {
            *out = Self::decode(raw);
        }
    }
    /// [`encode`](Self::encode) by slice, up to the shorter one.
    #[inline(always)]
    fn encode_slice<I: Isa, R: Real>(source: &[R], target: &mut [Self::Raw]) {
        for (out, &value) in target.iter_mut().zip(source) {
            *out = Self::encode(value);
        }
    }
}

macro_rules! le_bytes {
    ($raw:ty) => {
        #[inline(always)]
        fn from_le(bytes: &[u8]) -> $raw {
            const N: usize = size_of::<$raw>();
            // The whole pattern at once where it is all there, which is what vectorises.
            match bytes.first_chunk::<N>() {
                Some(all) => <$raw>::from_le_bytes(*all),
                None => <$raw>::default(),
            }
        }
        #[inline(always)]
        fn to_le(raw: $raw, bytes: &mut [u8]) {
            for (out, byte) in bytes.iter_mut().zip(raw.to_le_bytes()) {
                *out = byte;
            }
        }
    };
}

/// Looks at slices of patterns as integers, which order as the positive numbers they stand for. Nothing but what moves a sign bit, gathered
/// by `|`: a loop that any instruction set vectorises, with no comparison in it.
macro_rules! watched {
    ($bits:ty, |$raw:ident| $to_bits:expr, $infinite:literal) => {
        #[inline(always)]
        fn all_between<R: Real>(raw: &[Self::Raw], least: R, greatest: R) -> bool {
            let bits = |$raw: Self::Raw| -> $bits { $to_bits };
            let (least, greatest) = (bits(Self::encode(least)).max(1), bits(Self::encode(greatest)).min($infinite - 1));
            let mut outside: $bits = 0;
            for &raw in raw {
                outside = outside.max(bits(raw).wrapping_sub(least));
            }
            least <= greatest && outside <= greatest - least
        }
        #[inline(always)]
        fn all_finite(raw: &[Self::Raw]) -> bool {
            let mut beyond: $bits = 0;
            for &$raw in raw {
                // What is missing between infinity and the sign bit.
                beyond |= ($to_bits & (<$bits>::MAX >> 1)) + ((<$bits>::MAX >> 1) + 1 - $infinite);
            }
            beyond >> (<$bits>::BITS - 1) == 0
        }
    };
}

/// IEEE 754 binary64.
#[derive(Clone, Copy, Debug)]
pub struct F64;

impl Encoding for F64 {
    const DTYPE: Dtype = Dtype::F64;
    type Raw = f64;
    const BLANK: f64 = 0.0;
    #[inline(always)]
    fn decode<R: Real>(raw: f64) -> R {
        R::from_f64(raw)
    }
    #[inline(always)]
    fn encode<R: Real>(value: R) -> f64 {
        value.as_f64()
    }
    #[inline(always)]
    fn lend<R: Real>(raw: &[f64]) -> Option<&[R]> {
        R::of_f64s(raw)
    }
    #[inline(always)]
    fn lend_mut<R: Real>(raw: &mut [f64]) -> Option<&mut [R]> {
        R::of_f64s_mut(raw)
    }
    watched!(u64, |raw| raw.to_bits(), 0x7ff0_0000_0000_0000);
    le_bytes!(f64);
}

/// IEEE 754 binary32.
#[derive(Clone, Copy, Debug)]
pub struct F32;

impl Encoding for F32 {
    const DTYPE: Dtype = Dtype::F32;
    type Raw = f32;
    const BLANK: f32 = 0.0;
    #[inline(always)]
    fn decode<R: Real>(raw: f32) -> R {
        R::from_f32(raw)
    }
    #[inline(always)]
    fn encode<R: Real>(value: R) -> f32 {
        value.as_f32()
    }
    #[inline(always)]
    fn lend<R: Real>(raw: &[f32]) -> Option<&[R]> {
        R::of_f32s(raw)
    }
    #[inline(always)]
    fn lend_mut<R: Real>(raw: &mut [f32]) -> Option<&mut [R]> {
        R::of_f32s_mut(raw)
    }
    watched!(u32, |raw| raw.to_bits(), 0x7f80_0000);
    le_bytes!(f32);
}

/// IEEE 754 binary16 patterns.
#[derive(Clone, Copy, Debug)]
pub struct F16;

impl Encoding for F16 {
    const DTYPE: Dtype = Dtype::F16;
    type Raw = u16;
    const BLANK: u16 = 0;
    // An instruction set may have instructions for slices.
    const INLINE: bool = false;
    #[inline(always)]
    fn decode<R: Real>(raw: u16) -> R {
        R::from_f32(bits16::f16_to_f32(raw))
    }
    #[inline(always)]
    fn encode<R: Real>(value: R) -> u16 {
        value.to_f16_bits()
    }
    watched!(u16, |raw| raw, 0x7c00);
    le_bytes!(u16);
    #[inline(always)]
    fn decode_slice<I: Isa, R: Real>(source: &[u16], target: &mut [R]) {
        R::widen_f16::<I>(source, target);
    }
    #[inline(always)]
    fn encode_slice<I: Isa, R: Real>(source: &[R], target: &mut [u16]) {
        R::narrow_f16::<I>(source, target);
    }
}

/// bfloat16 patterns.
#[derive(Clone, Copy, Debug)]
pub struct Bf16;

impl Encoding for Bf16 {
    const DTYPE: Dtype = Dtype::Bf16;
    type Raw = u16;
    const BLANK: u16 = 0;
    #[inline(always)]
    fn decode<R: Real>(raw: u16) -> R {
        R::from_f32(bits16::bf16_to_f32(raw))
    }
    #[inline(always)]
    fn encode<R: Real>(value: R) -> u16 {
        value.to_bf16_bits()
    }
    #[inline(always)]
    fn encode_not_nan<R: Real>(value: R) -> u16 {
        value.to_bf16_bits_not_nan()
    }
    #[inline(always)]
    fn words<I: Isa>(raw: &[u16]) -> Option<&[u32]> {
        I::words(raw)
    }
    #[inline(always)]
    fn words_mut<I: Isa>(raw: &mut [u16]) -> Option<&mut [u32]> {
        I::words_mut(raw)
    }
    #[inline(always)]
    fn decode_word<R: Real>(word: u32) -> [R; 2] {
        [word << 16, word & 0xffff_0000].map(|bits| R::from_f32(f32::from_bits(bits)))
    }
    #[inline(always)]
    fn encode_word_not_nan<R: Real>([low, high]: [R; 2]) -> u32 {
        u32::from(low.to_bf16_bits_not_nan()) | u32::from(high.to_bf16_bits_not_nan()) << 16
    }
    watched!(u16, |raw| raw, 0x7f80);
    le_bytes!(u16);

    #[inline(always)]
    fn encode_slice<I: Isa, R: Real>(source: &[R], target: &mut [u16]) {
        // Looking for NaN first is cheaper than making room for it in every number.
        let mut nan = R::Lane::default();
        for &value in source {
            nan |= R::Lane::from(value.is_nan());
        }
        if nan.into() == 0 {
            for (out, &value) in target.iter_mut().zip(source) {
                *out = Self::encode_not_nan(value);
            }
        } else {
            for (out, &value) in target.iter_mut().zip(source) {
                *out = Self::encode(value);
            }
        }
    }
}
