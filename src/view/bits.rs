//! Raw 16-bit patterns as views, without any crate for the types.

use super::sealed::{Load, Save};
use super::{Stored, window, window_mut};
use crate::scalar::Dtype;
use crate::scalar::encoding::{Bf16, Encoding, F16};

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
        impl<T: AsRef<[u16]>> Load for $view<T> {
            type Encoding = $encoding;
            #[inline(always)]
            fn patterns(&self, at: usize, n: usize) -> Option<&[u16]> {
                Some(window(self.0.as_ref(), at, n))
            }
        }
        impl<T: AsRef<[u16]> + AsMut<[u16]>> Save for $view<T> {
            type Encoding = $encoding;
            #[inline(always)]
            fn patterns_mut(&mut self, at: usize, n: usize) -> Option<&mut [u16]> {
                Some(window_mut(self.0.as_mut(), at, n))
            }
        }
    )*};
}
patterns! { (F16Bits, F16); (Bf16Bits, Bf16); }
