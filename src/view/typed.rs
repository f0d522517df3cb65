//! Typed slices as views: `f32` and `f64`, and the `half` types where that crate is there.

use super::sealed::{Load, Save};
use super::{Stored, window, window_mut};
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

impl<T: Real> Load for &[T] {
    type Encoding = T::Native;
    #[inline(always)]
    fn patterns(&self, at: usize, n: usize) -> Option<&[T]> {
        Some(window(self, at, n))
    }
}

impl<T: Real> Save for &mut [T] {
    type Encoding = T::Native;
    #[inline(always)]
    fn patterns_mut(&mut self, at: usize, n: usize) -> Option<&mut [T]> {
        Some(window_mut(self, at, n))
    }
}

/// The `half` types are their patterns.
#[cfg(feature = "half")]
mod halves {
    use half::slice::HalfFloatSliceExt;
    use half::{bf16, f16};

    use super::*;
    use crate::scalar::encoding::{Bf16, Encoding, F16};

    macro_rules! halves {
        ($(($half:ty, $encoding:ty);)*) => {$(
            impl Stored for &[$half] {
                #[inline]
                fn count(&self) -> usize {
                    self.len()
                }
                #[inline]
                fn dtype(&self) -> Dtype {
                    <$encoding>::DTYPE
                }
            }
            impl Stored for &mut [$half] {
                #[inline]
                fn count(&self) -> usize {
                    self.len()
                }
                #[inline]
                fn dtype(&self) -> Dtype {
                    <$encoding>::DTYPE
                }
            }
            impl Load for &[$half] {
                type Encoding = $encoding;
                #[inline(always)]
                fn patterns(&self, at: usize, n: usize) -> Option<&[u16]> {
                    Some(window(self.reinterpret_cast(), at, n))
                }
            }
            impl Save for &mut [$half] {
                type Encoding = $encoding;
                #[inline(always)]
                fn patterns_mut(&mut self, at: usize, n: usize) -> Option<&mut [u16]> {
                    Some(window_mut(self.reinterpret_cast_mut(), at, n))
                }
            }
        )*};
    }
    halves! { (f16, F16); (bf16, Bf16); }
}
