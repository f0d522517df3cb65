//! Linux without `std`, through the C library.

use core::ffi::{c_int, c_void};

unsafe extern "C" {
    safe fn _exit(status: c_int) -> !;
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
}

/// Where the C library starts.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    exit(crate::run())
}

pub(crate) fn print(mut text: &[u8]) {
    while !text.is_empty() {
        // SAFETY: it reads as many bytes as it is told, which are there.
        let written = unsafe { write(1, text.as_ptr().cast(), text.len()) };
        let Some(rest) = usize::try_from(written).ok().and_then(|written| text.get(written..)) else { _exit(2) };
        text = rest;
    }
}

pub(crate) fn exit(success: bool) -> ! {
    _exit(if success { 0 } else { 1 })
}
