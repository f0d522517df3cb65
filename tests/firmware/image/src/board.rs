//! The machine: how the program starts, prints and stops, and that it cannot panic.
#![allow(unsafe_code, reason = "the debugger is called through registers, and a function that does not exist cannot be safe")]

use core::panic::PanicInfo;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, syscall1};

unsafe extern "C" {
    /// Defined nowhere: a reference to it fails the link.
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // SAFETY: never called; that it is not even referenced is what the link checks.
    unsafe { a_panic_can_be_reached() }
}

#[entry]
fn main() -> ! {
    let status = if crate::run() { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE };
    loop {
        debug::exit(status);
    }
}

pub(crate) fn print(text: &str) {
    for byte in text.as_bytes() {
        // SAFETY: this call reads the one byte it is given the address of.
        unsafe { syscall1!(WRITEC, core::ptr::from_ref(byte)) };
    }
}
