//! Whole models: what the promises say of merges of slices, they say of merges through the driver and through every store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod broken;
mod compared;
mod kit;
mod layouts;
mod named;
mod resumed;
mod same_bits;
