//! Slices whose storage type is known at run time: what a store lends.

use super::bits::{Bf16Bits, F16Bits};
use super::bytes::LeBytes;
use super::sealed::{Load, Save, fill, store};
use super::{BLOCK, Stored};
use crate::error::Error;
use crate::scalar::encoding::{Encoding, F32};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

/// A slice of numbers of any storage type. Made by `From` of a slice or a view, so that models of different types can stand in one call.
///
/// ```
/// use fisher_merge::{AnySlice, Bf16Bits, Dtype, Stored, Values};
/// let slices = [AnySlice::from(&[1.0_f32][..]), AnySlice::from(Bf16Bits(&[0x3f80_u16][..]))];
/// let ones: Vec<Option<f64>> = slices.iter().map(|slice| slice.at(0)).collect();
/// assert_eq!(ones, [Some(1.0); 2]);
/// assert_eq!(slices[1].dtype(), Dtype::Bf16);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AnySlice<'a> {
    /// `f64` numbers.
    F64(&'a [f64]),
    /// `f32` numbers.
    F32(&'a [f32]),
    /// binary16 patterns.
    F16(&'a [u16]),
    /// bfloat16 patterns.
    Bf16(&'a [u16]),
    /// Little-endian bytes at any alignment.
    Le(LeBytes<&'a [u8]>),
}

/// A slice of numbers of any storage type, to write to.
///
/// ```
/// use fisher_merge::{AnySliceMut, F16Bits, ValuesMut};
/// let mut bits = [0_u16; 1];
/// AnySliceMut::from(F16Bits(&mut bits[..])).put(0, 1.0_f32);
/// assert_eq!(bits, [0x3c00]);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AnySliceMut<'a> {
    /// `f64` numbers.
    F64(&'a mut [f64]),
    /// `f32` numbers.
    F32(&'a mut [f32]),
    /// binary16 patterns.
    F16(&'a mut [u16]),
    /// bfloat16 patterns.
    Bf16(&'a mut [u16]),
    /// Little-endian bytes at any alignment.
    Le(LeBytes<&'a mut [u8]>),
}

/// A slice of the arithmetic's own type.
pub(crate) fn of_reals<R: Real>(values: &[R]) -> AnySlice<'_> {
    match R::Native::lend(values) {
        Some(values) => AnySlice::F32(values),
        None => AnySlice::F64(R::Native::lend(values).unwrap_or_default()),
    }
}

/// [`of_reals`], to write to.
pub(crate) fn of_reals_mut<R: Real>(values: &mut [R]) -> AnySliceMut<'_> {
    if R::DTYPE == Dtype::F32 {
        AnySliceMut::F32(R::Native::lend_mut(values).unwrap_or_default())
    } else {
        AnySliceMut::F64(R::Native::lend_mut(values).unwrap_or_default())
    }
}

/// Evaluates an expression with the view that a slice of any type stands for.
macro_rules! with_view {
    ($any:expr, $name:ident, |$view:ident| $value:expr) => {
        match $any {
            $name::F64($view) => $value,
            $name::F32($view) => $value,
            $name::F16(bits) => {
                let $view = F16Bits(bits);
                $value
            }
            $name::Bf16(bits) => {
                let $view = Bf16Bits(bits);
                $value
            }
            $name::Le($view) => $value,
        }
    };
}

/// Bytes as a slice of the numbers they are, where address and byte order allow that.
#[cfg(feature = "bytemuck")]
macro_rules! typed_bytes {
    ($name:ident, $dtype:expr, $cast:ident, $bytes:expr) => {
        if cfg!(target_endian = "little") {
            match $dtype {
                Dtype::F64 => bytemuck::$cast($bytes).ok().map($name::F64),
                Dtype::F32 => bytemuck::$cast($bytes).ok().map($name::F32),
                Dtype::F16 => bytemuck::$cast($bytes).ok().map($name::F16),
                Dtype::Bf16 => bytemuck::$cast($bytes).ok().map($name::Bf16),
            }
        } else {
            None
        }
    };
}

impl<'a> AnySlice<'a> {
    /// Little-endian bytes, for instance of a file. With the `bytemuck` feature they are a typed slice where address and byte order allow
    /// that, which is faster and changes no number.
    ///
    /// # Errors
    /// [`Error::RaggedBytes`] if the bytes are not a whole number of numbers.
    ///
    /// ```
    /// use fisher_merge::{AnySlice, Dtype, Values};
    /// let value: Option<f32> = AnySlice::of_bytes(Dtype::F32, &[0, 0, 128, 63])?.at(0);
    /// assert_eq!(value, Some(1.0));
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn of_bytes(dtype: Dtype, bytes: &'a [u8]) -> Result<Self, Error> {
        let view = LeBytes::new(dtype, bytes)?;
        #[cfg(feature = "bytemuck")]
        if let Some(typed) = typed_bytes!(Self, dtype, try_cast_slice, bytes) {
            return Ok(typed);
        }
        Ok(Self::Le(view))
    }

    /// The numbers `at .. at + n`; `None` if they are not all there.
    #[must_use]
    pub fn range(self, at: usize, n: usize) -> Option<Self> {
        let end = at.checked_add(n)?;
        Some(match self {
            Self::F64(values) => Self::F64(values.get(at..end)?),
            Self::F32(values) => Self::F32(values.get(at..end)?),
            Self::F16(bits) => Self::F16(bits.get(at..end)?),
            Self::Bf16(bits) => Self::Bf16(bits.get(at..end)?),
            Self::Le(view) => Self::Le(view.range(at, n)?),
        })
    }

    /// Reads the numbers `at .. at + tile.len()`; `None`, with nothing read, if they are not all there.
    pub fn read<R: Real>(self, at: usize, tile: &mut [R]) -> Option<()> {
        let source = self.range(at, tile.len())?;
        with_view!(source, AnySlice, |view| fill(&view, 0, tile));
        Some(())
    }
}

impl<'a> AnySliceMut<'a> {
    /// [`AnySlice::of_bytes`], to write to.
    ///
    /// # Errors
    /// As [`AnySlice::of_bytes`].
    pub fn of_bytes(dtype: Dtype, bytes: &'a mut [u8]) -> Result<Self, Error> {
        #[cfg(feature = "bytemuck")]
        if cfg!(target_endian = "little") && bytes.as_ptr().align_offset(dtype.bytes()) == 0 {
            let found = bytes.len();
            return typed_bytes!(Self, dtype, try_cast_slice_mut, bytes).ok_or(Error::RaggedBytes { dtype, found });
        }
        Ok(Self::Le(LeBytes::new(dtype, bytes)?))
    }

    /// The same slice, lent for a shorter time.
    #[must_use]
    pub fn reborrow(&mut self) -> AnySliceMut<'_> {
        match self {
            Self::F64(values) => AnySliceMut::F64(values),
            Self::F32(values) => AnySliceMut::F32(values),
            Self::F16(bits) => AnySliceMut::F16(bits),
            Self::Bf16(bits) => AnySliceMut::Bf16(bits),
            Self::Le(view) => AnySliceMut::Le(view.reborrow()),
        }
    }

    /// The same numbers, to read.
    #[must_use]
    pub fn as_any(&self) -> AnySlice<'_> {
        match self {
            Self::F64(values) => AnySlice::F64(values),
            Self::F32(values) => AnySlice::F32(values),
            Self::F16(bits) => AnySlice::F16(bits),
            Self::Bf16(bits) => AnySlice::Bf16(bits),
            Self::Le(view) => AnySlice::Le(view.as_view()),
        }
    }

    /// The numbers `at .. at + n`; `None` if they are not all there.
    #[must_use]
    pub fn range(self, at: usize, n: usize) -> Option<Self> {
        let end = at.checked_add(n)?;
        Some(match self {
            Self::F64(values) => Self::F64(values.get_mut(at..end)?),
            Self::F32(values) => Self::F32(values.get_mut(at..end)?),
            Self::F16(bits) => Self::F16(bits.get_mut(at..end)?),
            Self::Bf16(bits) => Self::Bf16(bits.get_mut(at..end)?),
            Self::Le(view) => Self::Le(view.range_mut(at, n)?),
        })
    }

    /// Writes the numbers `at .. at + tile.len()`, each rounded once; `None`, with nothing written, if there is not room for all.
    pub fn write<R: Real>(&mut self, at: usize, tile: &[R]) -> Option<()> {
        let target = self.reborrow().range(at, tile.len())?;
        with_view!(target, AnySliceMut, |view| store(&mut { view }, 0, tile));
        Some(())
    }
}

impl Stored for AnySlice<'_> {
    #[inline]
    fn count(&self) -> usize {
        with_view!(self, AnySlice, |view| view.count())
    }
    #[inline]
    fn dtype(&self) -> Dtype {
        with_view!(self, AnySlice, |view| view.dtype())
    }
}

impl Stored for AnySliceMut<'_> {
    #[inline]
    fn count(&self) -> usize {
        self.as_any().count()
    }
    #[inline]
    fn dtype(&self) -> Dtype {
        self.as_any().dtype()
    }
}

impl Load for AnySlice<'_> {
    /// Of the one variant whose patterns are lent, the commonest.
    type Encoding = F32;
    #[inline(always)]
    fn patterns(&self, at: usize, n: usize) -> Option<&[f32]> {
        match self {
            AnySlice::F32(values) => values.patterns(at, n),
            _ => None,
        }
    }
    #[inline(always)]
    fn number<R: Real>(&self, index: usize) -> Option<R> {
        with_view!(self, AnySlice, |view| view.number::<R>(index))
    }
    #[inline(always)]
    fn block<'b, I: Isa, R: Real>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
        match self {
            AnySlice::F64(view) => view.block::<I, R>(at, n, buffer),
            AnySlice::F32(view) => view.block::<I, R>(at, n, buffer),
            AnySlice::F16(bits) => converted(F16Bits(*bits).block::<I, R>(at, n, buffer).len(), buffer),
            AnySlice::Bf16(bits) => converted(Bf16Bits(*bits).block::<I, R>(at, n, buffer).len(), buffer),
            AnySlice::Le(view) => view.block::<I, R>(at, n, buffer),
        }
    }
}

/// What a view without numbers of its own has left in the buffer.
#[inline(always)]
fn converted<R: Real>(n: usize, buffer: &[R; BLOCK]) -> &[R] {
    buffer.get(..n).unwrap_or_default()
}

impl Save for AnySliceMut<'_> {
    type Encoding = F32;
    #[inline(always)]
    fn patterns_mut(&mut self, at: usize, n: usize) -> Option<&mut [f32]> {
        match self {
            AnySliceMut::F32(values) => values.patterns_mut(at, n),
            _ => None,
        }
    }
    #[inline(always)]
    fn set<R: Real>(&mut self, index: usize, value: R) {
        match self {
            AnySliceMut::F64(view) => view.set(index, value),
            AnySliceMut::F32(view) => view.set(index, value),
            AnySliceMut::F16(bits) => F16Bits(&mut **bits).set(index, value),
            AnySliceMut::Bf16(bits) => Bf16Bits(&mut **bits).set(index, value),
            AnySliceMut::Le(view) => view.set(index, value),
        }
    }
    #[inline(always)]
    fn block_mut<'b, R: Real>(&'b mut self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b mut [R] {
        match self {
            AnySliceMut::F64(view) => view.block_mut(at, n, buffer),
            AnySliceMut::F32(view) => view.block_mut(at, n, buffer),
            _ => buffer.get_mut(..n).unwrap_or_default(),
        }
    }
    #[inline(always)]
    fn commit<I: Isa, R: Real>(&mut self, at: usize, values: &[R]) {
        match self {
            AnySliceMut::F64(view) => view.commit::<I, R>(at, values),
            AnySliceMut::F32(view) => view.commit::<I, R>(at, values),
            AnySliceMut::F16(bits) => F16Bits(&mut **bits).commit::<I, R>(at, values),
            AnySliceMut::Bf16(bits) => Bf16Bits(&mut **bits).commit::<I, R>(at, values),
            AnySliceMut::Le(view) => view.commit::<I, R>(at, values),
        }
    }
}

macro_rules! from_views {
    ($($variant:ident, |$view:ident: $shared:ty, $mutable:ty| $inner:expr;)*) => {$(
        impl<'a> From<$shared> for AnySlice<'a> {
            fn from($view: $shared) -> Self {
                Self::$variant($inner)
            }
        }
        impl<'a> From<$mutable> for AnySliceMut<'a> {
            fn from($view: $mutable) -> Self {
                Self::$variant($inner)
            }
        }
    )*};
}
from_views! {
    F64, |values: &'a [f64], &'a mut [f64]| values;
    F32, |values: &'a [f32], &'a mut [f32]| values;
    F16, |bits: F16Bits<&'a [u16]>, F16Bits<&'a mut [u16]>| bits.0;
    Bf16, |bits: Bf16Bits<&'a [u16]>, Bf16Bits<&'a mut [u16]>| bits.0;
    Le, |bytes: LeBytes<&'a [u8]>, LeBytes<&'a mut [u8]>| bytes;
}

#[cfg(feature = "half")]
mod halves {
    use half::slice::HalfFloatSliceExt;
    use half::{bf16, f16};

    use super::{AnySlice, AnySliceMut};

    macro_rules! from_halves {
        ($($variant:ident, $half:ty;)*) => {$(
            impl<'a> From<&'a [$half]> for AnySlice<'a> {
                fn from(values: &'a [$half]) -> Self {
                    Self::$variant(values.reinterpret_cast())
                }
            }
            impl<'a> From<&'a mut [$half]> for AnySliceMut<'a> {
                fn from(values: &'a mut [$half]) -> Self {
                    Self::$variant(values.reinterpret_cast_mut())
                }
            }
        )*};
    }
    from_halves! { F16, f16; Bf16, bf16; }
}
