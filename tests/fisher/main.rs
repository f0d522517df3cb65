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

/// Numbers that a seed stands for (G. Steele, D. Lea & C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From zero to below one.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From minus one to one.
    fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// A place, each as often as its probability.
    fn draw(&mut self, probabilities: &[f64]) -> usize {
        let mut left = self.unit();
        for (place, p) in probabilities.iter().enumerate() {
            left -= p;
            if left < 0.0 {
                return place;
            }
        }
        probabilities.len() - 1
    }
}

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
