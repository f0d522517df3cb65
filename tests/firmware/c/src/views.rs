//! Pointers as slices.

use core::ffi::c_void;
use core::slice;

use fisher_merge::{AnySlice, AnySliceMut};

use crate::Refusal;

/// A storage type: float.
pub const FM_F32: u32 = 1;
/// A storage type: patterns of IEEE binary16, as uint16_t of this machine.
pub const FM_F16: u32 = 2;
/// A storage type: patterns of bfloat16, as uint16_t of this machine.
pub const FM_BF16: u32 = 3;

/// Numbers to read; how many is said by the function.
/// cbindgen:field-names=[type, data]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Numbers {
    /// FM_F32, FM_F16 or FM_BF16.
    pub dtype: u32,
    /// The first of them.
    pub data: *const c_void,
}

/// Numbers to write; each is rounded once to its type.
/// cbindgen:field-names=[type, data]
#[repr(C)]
pub struct NumbersOut {
    /// FM_F32, FM_F16 or FM_BF16.
    pub dtype: u32,
    /// The first of them.
    pub data: *mut c_void,
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
                FM_F32 => Ok(AnySlice::F32(read(self.data.cast(), n)?)),
                FM_F16 => Ok(AnySlice::F16(read(self.data.cast(), n)?)),
                FM_BF16 => Ok(AnySlice::Bf16(read(self.data.cast(), n)?)),
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
                FM_F32 => Ok(AnySliceMut::F32(write(self.data.cast(), n)?)),
                FM_F16 => Ok(AnySliceMut::F16(write(self.data.cast(), n)?)),
                FM_BF16 => Ok(AnySliceMut::Bf16(write(self.data.cast(), n)?)),
                _ => Err(Refusal::Type),
            }
        }
    }
}
