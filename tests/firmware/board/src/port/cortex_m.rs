//! Cortex-M, through the debugger's semihosting.

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, syscall1};

#[entry]
fn main() -> ! {
    exit(crate::run())
}

pub(crate) fn print(text: &[u8]) {
    for byte in text {
        // SAFETY: this call reads the one byte it is given the address of.
        unsafe { syscall1!(WRITEC, core::ptr::from_ref(byte)) };
    }
}

pub(crate) fn exit(success: bool) -> ! {
    loop {
        debug::exit(if success { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    }
}
