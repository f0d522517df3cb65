//! The library for C: the functions of `include/fisher_merge.h`, which says what they do.
//!
//! Links only into programs that cannot panic: the panic handler calls a function that exists nowhere.
#![no_std]
#![allow(unsafe_code, reason = "pointers come from C, whose caller vouches for them as the header says")]

mod fisher;
mod merge;
mod views;

use core::panic::PanicInfo;

use fisher_merge::Error;

unsafe extern "C" {
    /// Defined nowhere: a reference to it fails the link.
    fn fm_a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // SAFETY: never called; that it is not even referenced is what the link checks.
    unsafe { fm_a_panic_can_be_reached() }
}

/// Why a call was refused.
enum Refusal {
    Library(Error),
    Null,
    Type,
    Models,
    Policy,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// An outcome as C has it.
fn code(outcome: Result<(), Refusal>) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(Refusal::Library(error)) => i32::from(error.code()),
        Err(Refusal::Null) => -1,
        Err(Refusal::Type) => -2,
        Err(Refusal::Models) => -3,
        Err(Refusal::Policy) => -4,
    }
}
