//! Pointers as slices.

use core::ffi::c_void;
use core::slice;

use fisher_merge::{AnySlice, AnySliceMut};

use crate::Refusal;

/// `fm_numbers`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Numbers {
    pub(crate) dtype: u32,
    pub(crate) data: *const c_void,
}

/// `fm_numbers_out`.
#[repr(C)]
pub struct NumbersOut {
    dtype: u32,
    data: *mut c_void,
}

/// # Safety
/// What is not null must point to `n` numbers.
pub(crate) unsafe fn read<'a, T>(data: *const T, n: usize) -> Result<&'a [T], Refusal> {
    if data.is_null() {
        return Err(Refusal::Null);
    }
    // SAFETY: the caller's.
    Ok(unsafe { slice::from_raw_parts(data, n) })
}

/// # Safety
/// What is not null must point to `n` numbers that nothing else refers to.
pub(crate) unsafe fn write<'a, T>(data: *mut T, n: usize) -> Result<&'a mut [T], Refusal> {
    if data.is_null() {
        return Err(Refusal::Null);
    }
    // SAFETY: the caller's.
    Ok(unsafe { slice::from_raw_parts_mut(data, n) })
}

impl Numbers {
    /// # Safety
    /// As [`read`].
    pub(crate) unsafe fn view<'a>(self, n: usize) -> Result<AnySlice<'a>, Refusal> {
        // SAFETY: the caller's, of the type that it names.
        unsafe {
            match self.dtype {
                1 => Ok(AnySlice::F32(read(self.data.cast(), n)?)),
                2 => Ok(AnySlice::F16(read(self.data.cast(), n)?)),
                3 => Ok(AnySlice::Bf16(read(self.data.cast(), n)?)),
                _ => Err(Refusal::Type),
            }
        }
    }
}

impl NumbersOut {
    /// # Safety
    /// As [`write`].
    pub(crate) unsafe fn view<'a>(self, n: usize) -> Result<AnySliceMut<'a>, Refusal> {
        // SAFETY: the caller's, of the type that it names.
        unsafe {
            match self.dtype {
                1 => Ok(AnySliceMut::F32(write(self.data.cast(), n)?)),
                2 => Ok(AnySliceMut::F16(write(self.data.cast(), n)?)),
                3 => Ok(AnySliceMut::Bf16(write(self.data.cast(), n)?)),
                _ => Err(Refusal::Type),
            }
        }
    }
}
