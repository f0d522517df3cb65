//! One program over a fixed, adversarial set of inputs, whose results go into one number for each section: what a platform, an instruction
//! set or a feature changes shows as another number.
//!
//! Neither `std` nor a heap is needed. Inputs come from an integer generator, so that they are the same everywhere. Payloads and signs of
//! NaNs are left out, since the hardware is free to choose them.
#![no_std]
#![deny(unsafe_code)]

mod fnv;
mod inputs;
mod kinds;
mod sections;

pub use fnv::{Digest, hex};
pub use sections::{SECTIONS, Section};
