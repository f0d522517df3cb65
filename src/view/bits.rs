//! Raw 16-bit patterns as views, without any crate for the types.

use super::sealed::{Load, Save};
use super::typed::{decode_block, encode_block};
use super::{BLOCK, Stored, lead, window_mut};
use crate::scalar::encoding::{Bf16, Encoding, F16};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

/// binary16 patterns: `F16Bits(&[u16])` to read, `F16Bits(&mut [u16])` to write.
///
/// ```
/// use fisher_merge::{Dtype, F16Bits, Stored};
/// let view = F16Bits(&[0x3c00_u16, 0xbc00][..]);
/// assert_eq!((view.count(), view.dtype()), (2, Dtype::F16));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct F16Bits<T>(pub T);

/// bfloat16 patterns: `Bf16Bits(&[u16])` to read, `Bf16Bits(&mut [u16])` to write.
///
/// ```
/// use fisher_merge::{Bf16Bits, Values};
/// let value: Option<f64> = Bf16Bits(&[0x3f80_u16][..]).at(0);
/// assert_eq!(value, Some(1.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bf16Bits<T>(pub T);

macro_rules! patterns {
    ($(($view:ident, $encoding:ty);)*) => {$(
        impl<T: AsRef<[u16]>> Stored for $view<T> {
            #[inline]
            fn count(&self) -> usize {
                self.0.as_ref().len()
            }
            #[inline]
            fn dtype(&self) -> Dtype {
                <$encoding>::DTYPE
            }
        }
        impl<R: Real, T: AsRef<[u16]>> Load<R> for $view<T> {
            #[inline(always)]
            fn number(&self, index: usize) -> Option<R> {
                self.0.as_ref().get(index).map(|&raw| <$encoding>::decode(raw))
            }
            #[inline(always)]
            fn block<'b, I: Isa>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
                decode_block::<$encoding, I, R>(self.0.as_ref(), at, n, buffer)
            }
        }
        impl<R: Real, T: AsRef<[u16]> + AsMut<[u16]>> Save<R> for $view<T> {
            fn lead(&self) -> usize {
                lead(self.0.as_ref())
            }
            #[inline(always)]
            fn set(&mut self, index: usize, value: R) {
                if let Some(out) = self.0.as_mut().get_mut(index) {
                    *out = <$encoding>::encode(value);
                }
            }
            #[inline(always)]
            fn block_mut<'b>(&'b mut self, _: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b mut [R] {
                window_mut(&mut buffer[..], 0, n)
            }
            #[inline(always)]
            fn commit<I: Isa>(&mut self, at: usize, values: &[R]) {
                encode_block::<$encoding, I, R>(self.0.as_mut(), at, values);
            }
        }
    )*};
}
patterns! { (F16Bits, F16); (Bf16Bits, Bf16); }
