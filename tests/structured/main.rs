//! Structured posteriors against dense references of twice the digits, their promises, an oracle without tolerances to argue about, base
//! models, densities, and everything that is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod base;
mod density;
mod hostile;
mod kit;
mod oracle;
mod precision;
mod promises;
mod refused;
mod solvers;
mod twice;

#[path = "../common/mod.rs"]
mod common;
