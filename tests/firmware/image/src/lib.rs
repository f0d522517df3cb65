//! What firmware does that merges two adapters, as scenes that come out right or wrong on any machine.
//!
//! Means and Fishers are constants in flash, read a page at a time; the merge goes to RAM, in place. `board` runs them, with a panic
//! handler that calls a function which exists nowhere: it links only if no panic can be reached.
#![no_std]
#![deny(unsafe_code)]

mod flash;
mod layout;
mod model;
mod refusals;
mod scenes;

/// What is shown, and whether it comes out as it must.
#[derive(Clone, Copy)]
pub struct Scene {
    pub name: &'static str,
    run: fn() -> Option<bool>,
}

impl Scene {
    /// Runs it; something that had to go through and did not is wrong as well.
    #[must_use]
    pub fn is_right(&self) -> bool {
        (self.run)() == Some(true)
    }
}

/// All scenes.
pub static SCENES: [Scene; 4] = [
    Scene { name: "a merge in place", run: scenes::fused },
    Scene { name: "one after the other, valid in between", run: scenes::running },
    Scene { name: "a Fisher from gradients", run: scenes::fisher },
    Scene { name: "refusals", run: refusals::all },
];
