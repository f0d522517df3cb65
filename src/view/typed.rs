//! Typed slices as views: `f32` and `f64`, and the `half` types where that crate is there.

use super::sealed::{Load, Save};
use super::{BLOCK, STREAMED, Stored, lead, window, window_mut};
use crate::scalar::encoding::{Encoding, F32, F64};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

impl<T: Real> Stored for &[T] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }
    #[inline]
    fn dtype(&self) -> Dtype {
        T::DTYPE
    }
}

impl<T: Real> Stored for &mut [T] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }
    #[inline]
    fn dtype(&self) -> Dtype {
        T::DTYPE
    }
}

/// A slice of the arithmetic type itself: lent, never copied.
impl<R: Real> Load<R> for &[R] {
    #[inline(always)]
    fn number(&self, index: usize) -> Option<R> {
        self.get(index).copied()
    }
    #[inline(always)]
    fn block<'b, I: Isa>(&'b self, at: usize, n: usize, _: &'b mut [R; BLOCK]) -> &'b [R] {
        window(self, at, n)
    }
}

impl<R: Real> Save<R> for &mut [R] {
    fn lead(&self) -> usize {
        lead(self)
    }
    #[inline(always)]
    fn set(&mut self, index: usize, value: R) {
        if let Some(out) = self.get_mut(index) {
            *out = value;
        }
    }
    #[inline(always)]
    fn block_mut<'b>(&'b mut self, at: usize, n: usize, _: &'b mut [R; BLOCK]) -> &'b mut [R] {
        window_mut(self, at, n)
    }
    #[inline(always)]
    fn commit<I: Isa>(&mut self, _: usize, _: &[R]) {}
    #[inline(always)]
    fn is_streamed(&self) -> bool {
        size_of_val(&**self) >= STREAMED
    }
    #[inline(always)]
    fn stream<I: Isa>(&mut self, at: usize, values: &[R]) {
        I::stream(values, window_mut(self, at, values.len()));
    }
}

/// Decodes a block of raw patterns.
#[inline(always)]
pub(super) fn decode_block<'b, E: Encoding, I: Isa, R: Real>(raw: &[E::Raw], at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
    let raw = window(raw, at, n);
    let out = window_mut(&mut buffer[..], 0, raw.len());
    E::decode_slice::<I, R>(raw, out);
    out
}

/// Encodes a block of raw patterns.
#[inline(always)]
pub(super) fn encode_block<E: Encoding, I: Isa, R: Real>(raw: &mut [E::Raw], at: usize, values: &[R]) {
    let out = window_mut(raw, at, values.len());
    E::encode_slice::<I, R>(values, out);
}

/// A slice of raw patterns in another type than the arithmetic's.
macro_rules! converted {
    ($(($raw:ty, $encoding:ty, $real:ty);)*) => {$(
        impl Load<$real> for &[$raw] {
            #[inline(always)]
            fn number(&self, index: usize) -> Option<$real> {
                self.get(index).map(|&raw| <$encoding>::decode(raw))
            }
            #[inline(always)]
            fn block<'b, I: Isa>(&'b self, at: usize, n: usize, buffer: &'b mut [$real; BLOCK]) -> &'b [$real] {
                decode_block::<$encoding, I, $real>(self, at, n, buffer)
            }
        }
        impl Save<$real> for &mut [$raw] {
            fn lead(&self) -> usize {
                lead(self)
            }
            #[inline(always)]
            fn set(&mut self, index: usize, value: $real) {
                if let Some(out) = self.get_mut(index) {
                    *out = <$encoding>::encode(value);
                }
            }
            #[inline(always)]
            fn block_mut<'b>(&'b mut self, _: usize, n: usize, buffer: &'b mut [$real; BLOCK]) -> &'b mut [$real] {
                window_mut(&mut buffer[..], 0, n)
            }
            #[inline(always)]
            fn commit<I: Isa>(&mut self, at: usize, values: &[$real]) {
                encode_block::<$encoding, I, $real>(self, at, values);
            }
        }
    )*};
}
converted! { (f64, F64, f32); (f32, F32, f64); }

/// The `half` types are their patterns, and are read and written through the views of those.
#[cfg(feature = "half")]
mod halves {
    use half::slice::HalfFloatSliceExt;
    use half::{bf16, f16};

    use super::*;
    use crate::scalar::encoding::{Bf16, F16};

    macro_rules! stored {
        ($($slice:ty, $dtype:expr;)*) => {$(
            impl Stored for $slice {
                #[inline]
                fn count(&self) -> usize {
                    self.len()
                }
                #[inline]
                fn dtype(&self) -> Dtype {
                    $dtype
                }
            }
        )*};
    }
    stored! { &[f16], Dtype::F16; &mut [f16], Dtype::F16; &[bf16], Dtype::Bf16; &mut [bf16], Dtype::Bf16; }

    macro_rules! halves {
        ($(($half:ty, $encoding:ty);)*) => {$(
            impl<R: Real> Load<R> for &[$half] {
                #[inline(always)]
                fn number(&self, index: usize) -> Option<R> {
                    self.get(index).map(|raw| <$encoding>::decode(raw.to_bits()))
                }
                #[inline(always)]
                fn block<'b, I: Isa>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
                    decode_block::<$encoding, I, R>(self.reinterpret_cast(), at, n, buffer)
                }
            }
            impl<R: Real> Save<R> for &mut [$half] {
                fn lead(&self) -> usize {
                    lead(self)
                }
                #[inline(always)]
                fn set(&mut self, index: usize, value: R) {
                    if let Some(out) = self.get_mut(index) {
                        *out = <$half>::from_bits(<$encoding>::encode(value));
                    }
                }
                #[inline(always)]
                fn block_mut<'b>(&'b mut self, _: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b mut [R] {
                    window_mut(&mut buffer[..], 0, n)
                }
                #[inline(always)]
                fn commit<I: Isa>(&mut self, at: usize, values: &[R]) {
                    encode_block::<$encoding, I, R>(self.reinterpret_cast_mut(), at, values);
                }
            }
        )*};
    }
    halves! { (f16, F16); (bf16, Bf16); }
}
