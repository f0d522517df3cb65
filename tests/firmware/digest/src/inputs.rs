//! Inputs: bit patterns from an integer generator, of every kind that has gone wrong somewhere.

use fisher_merge::{Dtype, Real};

use crate::kinds::Kind;

/// SplitMix64 (Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
pub(crate) struct Generator(pub(crate) u64);

/// Which patterns a slice is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Numbers around one.
    Tame,
    /// Finite numbers of any size.
    Wild,
    /// Zeros of both signs, subnormal numbers, the ends of the range, neighbours of one.
    Edges,
    /// Infinities and NaN as well.
    Bad,
}

/// Digits of the exponent and of the fraction.
const fn layout(dtype: Dtype) -> (u32, u32) {
    match dtype {
        Dtype::F64 => (11, 52),
        Dtype::F32 => (8, 23),
        Dtype::F16 => (5, 10),
        Dtype::Bf16 => (8, 7),
        _ => panic!("no such storage type"),
    }
}

impl Generator {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((self.next() >> 32) * bound) >> 32
    }

    /// The pattern of a number that is not negative.
    fn magnitude(&mut self, dtype: Dtype, flavour: Flavour) -> u64 {
        let (exponent, fraction) = layout(dtype);
        let (infinity, one) = (((1 << exponent) - 1) << fraction, ((1 << (exponent - 1)) - 1) << fraction);
        let random = self.next();
        let mantissa = random & ((1 << fraction) - 1);
        match flavour {
            Flavour::Tame => one - (2 << fraction) + (self.below(4) << fraction) + mantissa,
            Flavour::Wild => random % infinity,
            Flavour::Edges => match self.below(12) {
                0 | 1 => 0,
                2 => 1,
                3 => mantissa,
                4 => (1 << fraction) - 1,
                5 => 1 << fraction,
                6 => infinity - 1,
                7 => infinity - (1 << fraction),
                8 => one - 1,
                9 => one + 1,
                10 => one,
                _ => one + mantissa,
            },
            Flavour::Bad => match self.below(24) {
                0 => infinity,
                1 => infinity + (1 << (fraction - 1)),
                2 => infinity + 1,
                3..8 => self.magnitude(dtype, Flavour::Edges),
                _ => self.magnitude(dtype, Flavour::Tame),
            },
        }
    }

    /// The pattern of a mean.
    pub(crate) fn mean(&mut self, dtype: Dtype, flavour: Flavour) -> u64 {
        let sign = (self.next() & 1) << (8 * dtype.bytes() - 1);
        self.magnitude(dtype, flavour) | sign
    }

    /// The pattern of a precision: negative among the bad ones alone, zero here and there unless tame.
    pub(crate) fn precision(&mut self, dtype: Dtype, flavour: Flavour) -> u64 {
        let sign = u64::from(flavour == Flavour::Bad && self.below(32) == 0) << (8 * dtype.bytes() - 1);
        let zero = flavour != Flavour::Tame && self.below(8) == 0;
        if zero { sign } else { self.magnitude(dtype, flavour) | sign }
    }

    /// A weight, zero now and then.
    pub(crate) fn weight<R: Real>(&mut self) -> R {
        const WEIGHTS: [f64; 8] = [1.0, 0.5, 0.25, 0.1, 0.0, 3.0, 1e-30, 7e9];
        let rarely = self.below(4) == 0;
        let index = self.below(if rarely { 8 } else { 4 }) as usize;
        R::from_f64(WEIGHTS[index])
    }

    pub(crate) fn means<R: Real, K: Kind<R>>(&mut self, flavour: Flavour, out: &mut [K::Raw]) {
        out.iter_mut().for_each(|out| *out = K::raw(self.mean(K::DTYPE, flavour)));
    }

    pub(crate) fn precisions<R: Real, K: Kind<R>>(&mut self, flavour: Flavour, out: &mut [K::Raw]) {
        out.iter_mut().for_each(|out| *out = K::raw(self.precision(K::DTYPE, flavour)));
    }
}
