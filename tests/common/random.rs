//! Numbers that are drawn once for a seed, without a generator's shrinking.

/// Numbers that a seed stands for (G. Steele, D. Lea & C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From zero to below one.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From minus one to one.
    pub(crate) fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// A place, each as often as its probability.
    pub(crate) fn draw(&mut self, probabilities: &[f64]) -> usize {
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
