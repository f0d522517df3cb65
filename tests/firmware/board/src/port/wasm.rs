//! WebAssembly: the host starts it, and lends a way to print and to stop.

use core::arch::wasm32::unreachable;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    fn print_bytes(bytes: *const u8, count: usize);
    safe fn stop(success: bool);
}

/// What the host calls.
#[unsafe(no_mangle)]
extern "C" fn start() {
    exit(crate::run())
}

pub(crate) fn print(text: &[u8]) {
    // SAFETY: the host reads as many bytes as it is told, which are there.
    unsafe { print_bytes(text.as_ptr(), text.len()) };
}

pub(crate) fn exit(success: bool) -> ! {
    stop(success);
    unreachable()
}
