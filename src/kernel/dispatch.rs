//! Instruction-set shells: one body, compiled once per instruction set, and the choice between them.
//!
//! The only file of the crate that may hold `unsafe`. There is one shell: a function with `#[target_feature]` into which any [`Kernel`]
//! is inlined whole. What a shell changes is speed; `promise_08` compares the bits of all that the machine has.
#![allow(unsafe_code, reason = "calling a function with target features is unsafe below Rust 1.86, and so are their intrinsics")]

use crate::scalar::isa::{Isa, Portable};

/// A piece of work that is generic over the instruction set. `run` must be `#[inline(always)]`, all the way down.
pub(crate) trait Kernel {
    type Output;
    fn run<I: Isa>(self) -> Self::Output;
}

/// Which shell the kernels run in: a token that is only made where the machine has the instructions.
///
/// ```
/// use fisher_merge::Shell;
/// // `detect` is the default of every merge; the bits are the same in all of them.
/// assert!(Shell::available().any(|shell| shell == Shell::detect()));
/// assert!(Shell::available().any(|shell| shell == Shell::BASELINE));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shell(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Shell {
    /// The instructions that the crate was compiled for.
    pub const BASELINE: Self = Self(Level::Baseline);

    /// The fastest shell that this machine has. With `std` it asks the processor (once, then from a cache); without, it takes what the
    /// crate was compiled for.
    #[inline]
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            return Self(Level::Avx2);
        }
        Self::BASELINE
    }

    /// All shells that this machine has, the baseline first: for tests that compare their bits.
    pub fn available() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        core::iter::once(Self::BASELINE).chain((best != Self::BASELINE).then_some(best))
    }

    /// Runs a kernel inside this shell.
    #[inline(always)]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Level::Baseline => kernel.run::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Level::Avx2` is made by `detect` alone, after `has_avx2` said that AVX2 and F16C are there.
            Level::Avx2 => unsafe { x86::avx2(kernel) },
        }
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self::detect()
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx2() -> bool {
    #[cfg(feature = "std")]
    {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("f16c")
    }
    #[cfg(not(feature = "std"))]
    {
        cfg!(all(target_feature = "avx2", target_feature = "f16c"))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{
        __m256i, _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm_sfence, _mm_storeu_si128, _mm256_cvtph_ps, _mm256_cvtps_ph,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_storeu_ps, _mm256_stream_si256,
    };

    use super::Kernel;
    use crate::scalar::isa::{Isa, Portable};

    /// A token that exists inside the shell alone.
    #[derive(Clone, Copy)]
    struct Avx2;

    /// The shell.
    ///
    /// # Safety
    /// The machine must have AVX2 and F16C.
    #[target_feature(enable = "avx2,f16c")]
    pub(super) unsafe fn avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    /// Registers converted in a turn of the loop, since the compiler does not unroll loops of intrinsics; eight numbers each.
    const REGISTERS: usize = 4;
    const UNROLLED: usize = 8 * REGISTERS;

    /// Both slices, cut to the shorter one.
    #[inline(always)]
    fn common<'s, 't, S, T>(source: &'s [S], target: &'t mut [T]) -> (&'s [S], &'t mut [T]) {
        let n = source.len().min(target.len());
        (source.get(..n).unwrap_or_default(), target.get_mut(..n).unwrap_or_default())
    }

    /// Takes the numbers of a turn off the front of both slices, if there are as many. (Chunks of a length divide by it, and where that is
    /// no constant, since a function was not inlined, a panic is left.)
    #[inline(always)]
    fn turn<'s, 't, S, T>(source: &mut &'s [S], target: &mut &'t mut [T]) -> Option<(&'s [S; UNROLLED], &'t mut [T; UNROLLED])> {
        let (many, rest) = source.split_first_chunk()?;
        let (out, room) = core::mem::take(target).split_first_chunk_mut()?;
        (*source, *target) = (rest, room);
        Some((many, out))
    }

    impl Isa for Avx2 {
        #[inline(always)]
        fn widen_f16(source: &[u16], target: &mut [f32]) {
            let (mut source, mut target) = common(source, target);
            while let Some((many, out)) = turn(&mut source, &mut target) {
                for register in 0..REGISTERS {
                    // SAFETY: both arrays hold as many registers of eight numbers, the load and the store ask for no alignment, and this
                    // token is used only inside `avx2`, whose caller vouched for F16C.
                    unsafe {
                        let eight = _mm_loadu_si128(many.as_ptr().add(8 * register).cast());
                        _mm256_storeu_ps(out.as_mut_ptr().add(8 * register), _mm256_cvtph_ps(eight));
                    }
                }
            }
            Portable::widen_f16(source, target);
        }

        #[inline(always)]
        fn narrow_f16(source: &[f32], target: &mut [u16]) {
            let (mut source, mut target) = common(source, target);
            while let Some((many, out)) = turn(&mut source, &mut target) {
                for register in 0..REGISTERS {
                    // SAFETY: as above.
                    unsafe {
                        let eight = _mm256_loadu_ps(many.as_ptr().add(8 * register));
                        let packed = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(eight);
                        _mm_storeu_si128(out.as_mut_ptr().add(8 * register).cast(), packed);
                    }
                }
            }
            Portable::narrow_f16(source, target);
        }

        #[inline(always)]
        fn words(patterns: &[u16]) -> Option<&[u32]> {
            // SAFETY: any two 16-bit patterns are one of 32 bits.
            let (before, words, _) = unsafe { patterns.align_to() };
            before.is_empty().then_some(words)
        }

        #[inline(always)]
        fn words_mut(patterns: &mut [u16]) -> Option<&mut [u32]> {
            // SAFETY: as above, in both directions.
            let (before, words, _) = unsafe { patterns.align_to_mut() };
            before.is_empty().then_some(words)
        }

        const STREAMS: bool = true;

        #[inline(always)]
        fn stream<T: Copy>(source: &[T], target: &mut [T]) {
            let (source, target) = common(source, target);
            let bytes = size_of_val(source);
            let (from, to) = (source.as_ptr().cast::<__m256i>(), target.as_mut_ptr().cast::<__m256i>());
            if !to.is_aligned() || bytes % size_of::<__m256i>() != 0 {
                target.copy_from_slice(source);
                return;
            }
            for register in 0..bytes / size_of::<__m256i>() {
                // SAFETY: both slices hold `bytes` bytes, of plain numbers; the target was seen to be aligned; this token is used only
                // inside `avx2`.
                unsafe { _mm256_stream_si256(to.add(register), _mm256_loadu_si256(from.add(register))) };
            }
        }

        #[inline(always)]
        fn fence() {
            // SAFETY: every x86-64 has it.
            unsafe { _mm_sfence() };
        }
    }
}
