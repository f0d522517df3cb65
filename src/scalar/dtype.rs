//! The storage types by name, for checks and messages at run time.

use core::fmt;

/// How a number is stored.
///
/// ```
/// use fisher_merge::Dtype;
/// assert_eq!(Dtype::Bf16.bytes(), 2);
/// assert!(Dtype::F32.holds(Dtype::F16));
/// assert!(!Dtype::F32.holds(Dtype::F64));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE 754 binary64.
    F64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32 (8 exponent bits, 7 fraction bits).
    Bf16,
}

impl Dtype {
    /// Bytes one number takes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The ends of its range.
    pub(crate) const fn range(self) -> Range {
        // Largest `2^(e+1) − 2^(e−f)`, and half a unit more, for a largest exponent e and f fraction bits.
        const fn binary(tiniest: i32, e: i32, f: i32) -> Range {
            let largest = power_of_two(e) * (2.0 - power_of_two(-f));
            Range { tiniest: power_of_two(tiniest), largest, overflow: power_of_two(e) * (2.0 - power_of_two(-f - 1)) }
        }
        match self {
            Self::F64 => Range { tiniest: f64::from_bits(1), largest: f64::MAX, overflow: f64::INFINITY },
            Self::F32 => binary(-149, 127, 23),
            Self::F16 => binary(-24, 15, 10),
            Self::Bf16 => binary(-133, 127, 7),
        }
    }

    /// Whether every finite `other` is a number of this type too.
    #[must_use]
    pub const fn holds(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::F64, _) | (Self::F32, Self::F32 | Self::F16 | Self::Bf16) | (Self::F16, Self::F16) | (Self::Bf16, Self::Bf16)
        )
    }
}

/// `2^exponent`, for a normal number.
#[allow(clippy::cast_sign_loss, reason = "a biased exponent is positive")]
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The ends of a storage type's range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The least positive number.
    pub(crate) tiniest: f64,
    /// The largest finite number.
    pub(crate) largest: f64,
    /// The least magnitude that rounds to infinity.
    pub(crate) overflow: f64,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::encoding::{Bf16, Encoding, F16, F32};

    /// The constants are what they say: the first patterns, and the last numbers that do not become infinite.
    #[test]
    fn ranges_are_the_formats_own() {
        let [f32s, f16s, bf16s] = [Dtype::F32, Dtype::F16, Dtype::Bf16].map(Dtype::range);
        assert_eq!((F32::encode(f32s.tiniest).to_bits(), F32::encode(f32s.largest)), (1, f32::MAX));
        assert_eq!((F32::encode(f32s.overflow), F32::encode(f32s.overflow.next_down())), (f32::INFINITY, f32::MAX));
        assert_eq!((F16::encode(f16s.tiniest), F16::encode(f16s.largest)), (1, 0x7bff));
        assert_eq!((F16::encode(f16s.overflow), F16::encode(f16s.overflow.next_down())), (0x7c00, 0x7bff));
        assert_eq!((Bf16::encode(bf16s.tiniest), Bf16::encode(bf16s.largest)), (1, 0x7f7f));
        assert_eq!((Bf16::encode(bf16s.overflow), Bf16::encode(bf16s.overflow.next_down())), (0x7f80, 0x7f7f));
    }
}
