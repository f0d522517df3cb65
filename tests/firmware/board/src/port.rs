//! How a machine starts, prints and stops.
#![allow(unsafe_code, reason = "machines are entered, and left, by symbols and registers")]

#[cfg(all(target_arch = "arm", target_os = "none"))]
#[path = "port/cortex_m.rs"]
mod machine;
#[cfg(target_os = "linux")]
#[path = "port/linux.rs"]
mod machine;
#[cfg(target_arch = "riscv32")]
#[path = "port/riscv.rs"]
mod machine;
#[cfg(target_arch = "wasm32")]
#[path = "port/wasm.rs"]
mod machine;

// All of it: a program without panics has no need to stop before its end.
pub(crate) use machine::*;
