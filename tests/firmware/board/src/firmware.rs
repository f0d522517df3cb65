//! Runs the scenes of firmware, and cannot panic: the panic handler calls a function that exists nowhere, so that no program comes of the
//! link where a panic can be reached. A linker of WebAssembly may make an import of it instead, and then no host has it.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod port;

use core::panic::PanicInfo;

use image::SCENES;

/// Whether every scene came out as it must.
fn run() -> bool {
    SCENES.iter().fold(true, |right, scene| {
        let outcome = scene.is_right();
        port::print(if outcome { b"right: " } else { b"WRONG: " });
        port::print(scene.name.as_bytes());
        port::print(b"\n");
        right && outcome
    })
}

#[panic_handler]
#[allow(unsafe_code, reason = "a function that does not exist cannot be safe")]
fn panic(_: &PanicInfo) -> ! {
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }
    // SAFETY: never called; that it is not even referenced is what the link checks.
    unsafe { a_panic_can_be_reached() }
}
