//! The promises of the crate, one module each: `cargo test promise_` runs them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod harness;
mod p01_idempotent;
mod p02_hull;
mod p03_end_points;
mod p04_no_evidence;
mod p05_scale;
mod p06_accurate;
mod p07_algebra;
mod p08_same_bits;
mod p09_checked;
mod p11_no_panics;
mod p12_bad_numbers;
mod tolerances;
