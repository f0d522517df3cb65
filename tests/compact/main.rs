//! The eight-bit code of Fishers: every code of every scale, where rounding decides, what it counts, what it refuses, and what it does to a
//! merge. Judged by a model of the code that knows no bit patterns.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod codes;
mod digits;
mod grid;
#[path = "../../examples/shared/images.rs"]
#[allow(dead_code, reason = "the examples take more of it")]
mod images;
mod merged;
#[path = "../../examples/shared/network.rs"]
#[allow(dead_code, reason = "the examples take more of it")]
mod network;
mod refused;

use fisher_merge::{CompactCount, CompactFisher, Real, Values};

/// A Fisher in a vector of the right length.
fn encoded(values: impl Values<f64>) -> (Vec<u8>, CompactCount) {
    let mut bytes = vec![0xa5; CompactFisher::encoded_len(values.count())];
    let count = CompactFisher::encode_into(values, &mut bytes).unwrap();
    (bytes, count)
}

/// All numbers of a coded Fisher.
fn decoded<R: Real>(bytes: &[u8], length: usize) -> Vec<R> {
    let mut numbers = vec![R::nan(); length];
    CompactFisher::new(bytes, length).unwrap().read(0, &mut numbers).unwrap();
    numbers
}

/// A number so many places after a positive one.
fn beside(value: f64, by: i64) -> f64 {
    f64::from_bits(value.to_bits().wrapping_add_signed(by))
}

/// Sebastiano Vigna's splitmix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From zero to one.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2_f64.powi(-53)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }
}
