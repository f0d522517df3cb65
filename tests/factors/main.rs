//! Kronecker factors and dense Fishers: against sums of single examples in exact arithmetic, in both conventions of weight sharing, states that
//! combine and travel, and every wrong way with the error that it gets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod batch;
mod closed_form;
mod edges;
mod explicit;
mod states;
mod wrong_ways;

#[path = "../common/mod.rs"]
mod common;
