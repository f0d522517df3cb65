//! The library for C. `include/fisher_merge.h` is made of what is public here and of its comments, which therefore speak to C.
//!
//! Links only into programs that cannot panic: the panic handler calls a function that exists nowhere.
#![no_std]
#![allow(unsafe_code, reason = "pointers come from C, whose caller vouches for them as the header says")]

// The order of the header.
mod codes;
mod views;

mod merge;

mod fisher;

use core::panic::PanicInfo;

use fisher_merge::Error;

use crate::codes::{FM_MODELS, FM_NULL, FM_OK, FM_POLICY, FM_TYPE};

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
        Ok(()) => FM_OK,
        Err(Refusal::Library(error)) => i32::from(error.code()),
        Err(Refusal::Null) => FM_NULL,
        Err(Refusal::Type) => FM_TYPE,
        Err(Refusal::Models) => FM_MODELS,
        Err(Refusal::Policy) => FM_POLICY,
    }
}
