//! RISC-V in QEMU's virt machine: a serial port, and a device that ends the emulation.

use core::arch::global_asm;

// Nothing else is set up by the time the first instruction runs.
global_asm!(".section .text.start, \"ax\"", ".globl _start", "_start:", "la sp, stack_top", "call start");

const SERIAL: *mut u8 = 0x1000_0000 as *mut u8;
const ENDING: *mut u32 = 0x10_0000 as *mut u32;

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    exit(crate::run())
}

pub(crate) fn print(text: &[u8]) {
    for &byte in text {
        // SAFETY: the machine's serial port takes a byte there at any time.
        unsafe { SERIAL.write_volatile(byte) };
    }
}

pub(crate) fn exit(success: bool) -> ! {
    loop {
        // SAFETY: the device there takes these words: the emulation ends, with 0 or with 1.
        unsafe { ENDING.write_volatile(if success { 0x5555 } else { 0x1_3333 }) };
    }
}
