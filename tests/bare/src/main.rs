//! A binary without `std`, heap or panics: its panic handler calls a function that exists nowhere, so that it links only if no panic can
//! be reached from what it calls, which is every entry point of the crate over every kind of view. The numbers are read through a black
//! box, so that nothing is computed at compile time.
//!
//! On Linux it runs as well, and exits with 0 if a merge came out right. It is also built for Cortex-M.
#![no_std]
#![no_main]

mod calls;
mod fishers;
mod stores;
mod structured;

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Defined nowhere: a reference to it fails the link.
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // SAFETY: never called; that it is not even referenced is what the link checks.
    unsafe { a_panic_can_be_reached() }
}

/// Where the C library starts.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    i32::from(!(calls::all() && stores::all() && fishers::all() && structured::all()))
}

/// Where a linker without a script starts, and what it keeps is reached from.
#[cfg(not(target_os = "linux"))]
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    core::hint::black_box(calls::all() && stores::all() && fishers::all() && structured::all());
    loop {
        core::hint::spin_loop();
    }
}
