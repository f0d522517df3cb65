//! What an instruction set may do better than the portable bodies: today the binary16 conversions by slice, 16-bit patterns two at a time,
//! and stores past the caches.
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

    /// 16-bit patterns two at a time, if they lie so that this is possible (and of use: it saves the instructions that spread them over
    /// wider lanes and pack them again). An odd one at the end is left out.
    #[inline(always)]
    fn words(_: &[u16]) -> Option<&[u32]> {
        None
    }

    /// [`words`](Isa::words), to write to.
    #[inline(always)]
    fn words_mut(_: &mut [u16]) -> Option<&mut [u32]> {
        None
    }

    /// Whether [`stream`](Isa::stream) goes past the caches.
    const STREAMS: bool = false;

    /// Copies to memory that will not be read soon. A [`fence`](Isa::fence) must follow before anything else relies on it.
    #[inline(always)]
    fn stream<T: Copy>(source: &[T], target: &mut [T]) {
        for (out, &value) in target.iter_mut().zip(source) {
            *out = value;
        }
    }

    /// Brings streamed numbers in order with other stores.
    #[inline(always)]
    fn fence() {}
}

/// The bodies as the compiler's baseline makes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Isa for Portable {}
