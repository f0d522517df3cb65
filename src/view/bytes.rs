//! Little-endian bytes at any alignment as views, the storage type known at run time: what a file or a flash page holds.

use super::sealed::{Load, Save};
use super::{BLOCK, Stored, window, window_mut};
use crate::error::Error;
use crate::scalar::encoding::{Bf16, Encoding, F16, F32, F64};
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};

/// Numbers as little-endian bytes, at any alignment: `LeBytes<&[u8]>` to read, `LeBytes<&mut [u8]>` to write.
///
/// On a little-endian machine a typed slice cast to bytes is a view of this kind too, so that models stored in different types can be
/// merged in one call.
///
/// ```
/// use fisher_merge::{Dtype, LeBytes, Values};
/// let bytes = [0xff, 0x00, 0x00, 0x80, 0x3f]; // 1.0_f32 at an odd address
/// let view = LeBytes::new(Dtype::F32, &bytes[1..])?;
/// let value: Option<f32> = view.at(0);
/// assert_eq!(value, Some(1.0));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LeBytes<T> {
    dtype: Dtype,
    bytes: T,
}

impl<T: AsRef<[u8]>> LeBytes<T> {
    /// Takes `bytes` for numbers of type `dtype`. No bytes are no numbers.
    ///
    /// # Errors
    /// [`Error::RaggedBytes`] if the length is not a multiple of the type's size.
    pub fn new(dtype: Dtype, bytes: T) -> Result<Self, Error> {
        let found = bytes.as_ref().len();
        if found % dtype.bytes() == 0 { Ok(Self { dtype, bytes }) } else { Err(Error::RaggedBytes { dtype, found }) }
    }

    /// The bytes themselves.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.bytes
    }
}

impl LeBytes<&[u8]> {
    /// The numbers `at .. at + n`; `None` if they are not all there.
    pub(super) fn range(self, at: usize, n: usize) -> Option<Self> {
        let width = self.dtype.bytes();
        let (from, to) = (at.checked_mul(width)?, at.checked_add(n)?.checked_mul(width)?);
        Some(Self { bytes: self.bytes.get(from..to)?, ..self })
    }
}

impl LeBytes<&mut [u8]> {
    /// The same bytes, lent for a shorter time.
    pub(super) fn reborrow(&mut self) -> LeBytes<&mut [u8]> {
        LeBytes { dtype: self.dtype, bytes: &mut *self.bytes }
    }

    /// The same bytes, to read.
    pub(super) fn as_view(&self) -> LeBytes<&[u8]> {
        LeBytes { dtype: self.dtype, bytes: &*self.bytes }
    }
}

impl LeBytes<&mut [u8]> {
    /// [`range`](LeBytes::range), to write to.
    pub(super) fn range_mut(self, at: usize, n: usize) -> Option<Self> {
        let width = self.dtype.bytes();
        let (from, to) = (at.checked_mul(width)?, at.checked_add(n)?.checked_mul(width)?);
        Some(Self { dtype: self.dtype, bytes: self.bytes.get_mut(from..to)? })
    }
}

impl<T: AsRef<[u8]>> Stored for LeBytes<T> {
    #[inline]
    fn count(&self) -> usize {
        self.bytes.as_ref().len() / self.dtype.bytes()
    }
    #[inline]
    fn dtype(&self) -> Dtype {
        self.dtype
    }
}

/// `bytes` as the patterns `at ..` of width `N`, `n` at most.
#[inline(always)]
fn patterns<E: Encoding>(bytes: &[u8], at: usize, n: usize) -> &[u8] {
    let width = E::DTYPE.bytes();
    window(bytes, at.saturating_mul(width), n.saturating_mul(width))
}

#[inline(always)]
fn number<E: Encoding, R: Real>(bytes: &[u8], index: usize) -> Option<R> {
    let raw = patterns::<E>(bytes, index, 1);
    (!raw.is_empty()).then(|| E::decode(E::from_le(raw)))
}

#[inline(always)]
fn load<'b, E: Encoding, I: Isa, R: Real>(bytes: &[u8], at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
    let mut raw = [E::BLANK; BLOCK];
    let chunks = patterns::<E>(bytes, at, n).chunks_exact(E::DTYPE.bytes());
    let n = chunks.len();
    for (out, chunk) in raw.iter_mut().zip(chunks) {
        *out = E::from_le(chunk);
    }
    let out = window_mut(&mut buffer[..], 0, n);
    E::decode_slice::<I, R>(&raw[..], out);
    out
}

#[inline(always)]
fn save<E: Encoding, I: Isa, R: Real>(bytes: &mut [u8], at: usize, values: &[R]) {
    let mut raw = [E::BLANK; BLOCK];
    E::encode_slice::<I, R>(values, &mut raw[..]);
    let width = E::DTYPE.bytes();
    let out = window_mut(bytes, at.saturating_mul(width), values.len().saturating_mul(width));
    for (&raw, chunk) in raw.iter().zip(out.chunks_exact_mut(width)) {
        E::to_le(raw, chunk);
    }
}

/// Calls a function of an encoding with the one that a type stands for.
macro_rules! by_dtype {
    ($dtype:expr, $function:ident::<$($generic:ty),*>($($argument:expr),*)) => {
        match $dtype {
            Dtype::F64 => $function::<F64, $($generic),*>($($argument),*),
            Dtype::F32 => $function::<F32, $($generic),*>($($argument),*),
            Dtype::F16 => $function::<F16, $($generic),*>($($argument),*),
            Dtype::Bf16 => $function::<Bf16, $($generic),*>($($argument),*),
        }
    };
}

impl<T: AsRef<[u8]>> Load for LeBytes<T> {
    /// Of no matter: no patterns are lent.
    type Encoding = F32;
    #[inline(always)]
    fn patterns(&self, _: usize, _: usize) -> Option<&[f32]> {
        None
    }
    #[inline(always)]
    fn number<R: Real>(&self, index: usize) -> Option<R> {
        by_dtype!(self.dtype, number::<R>(self.bytes.as_ref(), index))
    }
    #[inline(always)]
    fn block<'b, I: Isa, R: Real>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
        by_dtype!(self.dtype, load::<I, R>(self.bytes.as_ref(), at, n, buffer))
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Save for LeBytes<T> {
    type Encoding = F32;
    #[inline(always)]
    fn patterns_mut(&mut self, _: usize, _: usize) -> Option<&mut [f32]> {
        None
    }
    #[inline(always)]
    fn commit<I: Isa, R: Real>(&mut self, at: usize, values: &[R]) {
        by_dtype!(self.dtype, save::<I, R>(self.bytes.as_mut(), at, values));
    }
}

#[cfg(feature = "bytemuck")]
impl<'a> LeBytes<&'a [u8]> {
    /// The bytes of a slice of plain numbers, so that it can stand beside views of other storage types in one call.
    ///
    /// # Errors
    /// [`Error::RaggedBytes`] if `T` is not as wide as `dtype`, and [`Error::ForeignEndian`] on a big-endian machine, where a slice's
    /// bytes are in the other order.
    ///
    /// ```
    /// use fisher_merge::{Dtype, LeBytes, Stored};
    /// # if cfg!(target_endian = "little") {
    /// let view = LeBytes::of(Dtype::F32, &[1.0_f32, 2.0][..])?;
    /// assert_eq!(view.count(), 2);
    /// # }
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn of<T: bytemuck::NoUninit>(dtype: Dtype, values: &'a [T]) -> Result<Self, Error> {
        if cfg!(target_endian = "big") {
            return Err(Error::ForeignEndian);
        }
        if size_of::<T>() != dtype.bytes() {
            return Err(Error::RaggedBytes { dtype, found: size_of::<T>() });
        }
        Self::new(dtype, bytemuck::cast_slice(values))
    }

    /// The numbers as a typed slice, where address and byte order allow it: the fast path of a file that happens to be aligned.
    ///
    /// `None` if the bytes are not aligned for `T`, if `T` is not as wide as the type, or on a big-endian machine.
    ///
    /// ```
    /// use fisher_merge::{Dtype, LeBytes};
    /// let view = LeBytes::new(Dtype::F64, &[][..])?;
    /// assert_eq!(view.aligned::<u16>(), None);
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    #[must_use]
    pub fn aligned<T: bytemuck::AnyBitPattern>(&self) -> Option<&'a [T]> {
        if cfg!(target_endian = "big") || size_of::<T>() != self.dtype.bytes() {
            return None;
        }
        bytemuck::try_cast_slice(self.bytes).ok()
    }
}
