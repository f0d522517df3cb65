//! What an instruction set may do better than the portable bodies: today the 16-bit conversions by slice.
//!
//! Every body of the kernels is generic over an [`Isa`]; the tokens that name a real instruction set are made by the dispatch beside the
//! kernels, which is the only place that may use intrinsics. A token's methods give the same bits as the portable ones.

use super::bits16;

/// Conversions that an instruction set may replace. Slices of unequal length are converted up to the shorter one.
pub trait Isa: Copy {
    /// Widens binary16 patterns.
    #[inline(always)]
    fn widen_f16(source: &[u16], target: &mut [f32]) {
        for (out, &bits) in target.iter_mut().zip(source) {
            *out = bits16::f16_to_f32(bits);
        }
    }

    /// Narrows to binary16 patterns.
    #[inline(always)]
    fn narrow_f16(source: &[f32], target: &mut [u16]) {
        for (out, &value) in target.iter_mut().zip(source) {
            *out = bits16::f32_to_f16(value);
        }
    }
}

/// The bodies as the compiler's baseline makes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Isa for Portable {}
