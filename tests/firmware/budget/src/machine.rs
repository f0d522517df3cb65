//! The machine: a clock that counts instructions (under QEMU's `-icount shift=0`), the stack, the debugger.
#![allow(unsafe_code, reason = "registers, the stack's memory and the debugger are reached by address")]

use core::arch::asm;
use core::panic::PanicInfo;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, syscall1};

unsafe extern "C" {
    /// Defined nowhere: a reference to it fails the link.
    fn a_panic_can_be_reached() -> !;
    /// Where static memory ends, by the linker script.
    static mut __sheap: u32;
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

pub(crate) fn print(text: &[u8]) {
    for byte in text {
        // SAFETY: this call reads the one byte it is given the address of.
        unsafe { syscall1!(WRITEC, core::ptr::from_ref(byte)) };
    }
}

const CONTROL: *mut u32 = 0xe000_e010 as *mut u32;
const RELOAD: *mut u32 = 0xe000_e014 as *mut u32;
const CURRENT: *mut u32 = 0xe000_e018 as *mut u32;
const MOST: u32 = 0x00ff_ffff;

/// Ticks of the processor's clock in a call.
#[inline(never)]
pub(crate) fn ticks(call: impl FnOnce()) -> u64 {
    // SAFETY: the system timer of every Cortex-M; nothing else here uses it. A write to its count clears it.
    unsafe {
        RELOAD.write_volatile(MOST);
        CURRENT.write_volatile(0);
        CONTROL.write_volatile(5);
    }
    call();
    // SAFETY: as above.
    match unsafe { CURRENT.read_volatile() } {
        // The first tick loads it.
        0 => 0,
        left => u64::from(MOST - left),
    }
}

/// A million instructions, to find how many a tick is.
pub(crate) fn million_instructions() {
    // SAFETY: changes the one register it declares, and flags.
    unsafe {
        asm!("2:", "subs {n}, #1", "bne 2b", n = inout(reg) 500_000 => _);
    }
}

const PAINT: u32 = 0x5afe_57ac;

/// How deep a call goes into the stack; nothing if it fails.
#[inline(never)]
pub(crate) fn stack(call: impl FnOnce() -> bool) -> Option<usize> {
    let here: *mut u32;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) here, options(nomem, nostack)) };
    let end = (&raw mut __sheap).wrapping_add(16);
    // Some room for the frames of this loop's own calls.
    let mut at = here.wrapping_sub(16);
    while at > end {
        // SAFETY: between static memory and the stack's end, where nothing lives.
        unsafe { at.write_volatile(PAINT) };
        at = at.wrapping_sub(1);
    }
    let right = call();
    let mut at = end.wrapping_add(1);
    // SAFETY: as above.
    while at < here && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    right.then_some(here as usize - at as usize)
}
