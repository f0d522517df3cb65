//! How a machine starts, prints and stops.
#![allow(unsafe_code, reason = "machines are entered, and left, by symbols and registers")]

#[cfg(all(target_arch = "arm", target_os = "none"))]
mod cortex_m;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_arch = "riscv32")]
mod riscv;
#[cfg(target_arch = "wasm32")]
mod wasm;

#[cfg(all(target_arch = "arm", target_os = "none"))]
pub(crate) use cortex_m::{exit, print};
#[cfg(target_os = "linux")]
pub(crate) use linux::{exit, print};
#[cfg(target_arch = "riscv32")]
pub(crate) use riscv::{exit, print};
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{exit, print};
