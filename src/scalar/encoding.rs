//! Storage types as encodings: a raw pattern, its number in an arithmetic type, and back. A new storage type is a new marker here.

use super::dtype::Dtype;
use super::isa::Isa;
use super::real::Real;
use super::{bits16, sealed::Sealed};

/// A storage type: how a raw pattern stands for a number.
pub(crate) trait Encoding: Copy + Sealed {
    /// Its name.
    const DTYPE: Dtype;
    /// What a slice of it holds.
    type Raw: Copy;
    /// A pattern to fill buffers with.
    const BLANK: Self::Raw;

    /// The number of a pattern. Exact where `R` holds the type, else rounded to nearest.
    fn decode<R: Real>(raw: Self::Raw) -> R;
    /// The pattern nearest to a number.
    fn encode<R: Real>(value: R) -> Self::Raw;
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

/// IEEE 754 binary64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F64;

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
        value.to_f64()
    }
    le_bytes!(f64);
}

/// IEEE 754 binary32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F32;

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
        value.to_f32()
    }
    le_bytes!(f32);
}

/// IEEE 754 binary16 patterns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F16;

impl Encoding for F16 {
    const DTYPE: Dtype = Dtype::F16;
    type Raw = u16;
    const BLANK: u16 = 0;
    #[inline(always)]
    fn decode<R: Real>(raw: u16) -> R {
        R::from_f32(bits16::f16_to_f32(raw))
    }
    #[inline(always)]
    fn encode<R: Real>(value: R) -> u16 {
        value.to_f16_bits()
    }
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
pub(crate) struct Bf16;

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
                *out = value.to_bf16_bits_not_nan();
            }
        } else {
            for (out, &value) in target.iter_mut().zip(source) {
                *out = Self::encode(value);
            }
        }
    }
}
