//! Fishers: estimates against closed forms and exact arithmetic, layers against gradients of single examples, states on the wire, and every
//! wrong way with the error that it gets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accurate;
mod closed_form;
mod layers;
mod spread;
mod states;
mod wrong_ways;

#[path = "../common/mod.rs"]
mod common;

use common::random::Random;

/// `p(y|x)` from logits.
fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The score of a label at the logits: one there, less the probabilities. At the label, `1 − p` as the sum of the others.
fn score(p: &[f64], label: usize) -> Vec<f64> {
    let others: f64 = p.iter().enumerate().filter(|&(class, _)| class != label).map(|(_, p)| p).sum();
    p.iter().enumerate().map(|(class, &p)| if class == label { others } else { -p }).collect()
}
