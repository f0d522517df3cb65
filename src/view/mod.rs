//! Views: slices of numbers as they are stored, read and written a block at a time in an arithmetic type.
//!
//! | view | storage |
//! |---|---|
//! | `&[f32]`, `&[f64]`, `&mut` of both | typed slices |
//! | `&[half::f16]`, `&[half::bf16]`, `&mut` of both | the same with the `half` feature |
//! | [`F16Bits`], [`Bf16Bits`] | raw 16-bit patterns |
//! | [`LeBytes`] | little-endian bytes at any alignment, the type known at run time |
//! | [`AnySlice`], [`AnySliceMut`] | any of these, the type known at run time |
//!
//! A view that already holds the arithmetic type lends its own memory; every other one converts into the block that it is lent. Whole
//! tensors with names and shapes are not here: a store hands out views.

mod any;
mod bits;
mod bytes;
mod typed;

pub use any::{AnySlice, AnySliceMut};
pub(crate) use any::{of_reals, of_reals_mut};
pub use bits::{Bf16Bits, F16Bits};
pub use bytes::LeBytes;
pub(crate) use sealed::{store, store_each};

use crate::scalar::{Dtype, Real};

/// Numbers in a block: what a conversion buffer on the stack holds. Smaller where memory is: a block never changes a bit.
pub(crate) const BLOCK: usize = if size_of::<usize>() >= 8 { 256 } else { 32 };

/// Bytes of an output from which on it is streamed: more than caches keep for whoever reads it next.
const STREAMED: usize = 1 << 22;

/// What is known of a view without reading it.
pub trait Stored {
    /// How many numbers it holds.
    fn count(&self) -> usize;
    /// How they are stored.
    fn dtype(&self) -> Dtype;
}

/// A view that can be read in the arithmetic type `R`. Implemented by the views of this room only.
///
/// ```
/// use fisher_merge::{F16Bits, Values};
/// let one_and_a_half = F16Bits(&[0x3e00_u16][..]);
/// let value: f32 = one_and_a_half.at(0).unwrap();
/// assert_eq!(value, 1.5);
/// ```
pub trait Values<R: Real>: Stored + sealed::Load {
    /// The number at `index`, or `None` past the end. Exact where `R` holds the storage type.
    fn at(&self, index: usize) -> Option<R> {
        self.number(index)
    }
}
impl<R: Real, V: Stored + sealed::Load> Values<R> for V {}

/// A view that can be written in the arithmetic type `R`, each number rounded once, to nearest even.
///
/// ```
/// use fisher_merge::{ValuesMut, Bf16Bits, Stored, Values};
/// let mut bits = [0_u16; 2];
/// let mut view = Bf16Bits(&mut bits[..]);
/// view.put(1, 1.0_f32);
/// assert_eq!(bits, [0, 0x3f80]);
/// ```
pub trait ValuesMut<R: Real>: sealed::Save {
    /// Stores `value` at `index`; past the end nothing happens.
    fn put(&mut self, index: usize, value: R) {
        self.set(index, value);
    }
}
impl<R: Real, V: sealed::Save> ValuesMut<R> for V {}

pub(crate) mod sealed {
    //! How the kernels read and write a view. Sealed, so that it can follow the kernels.

    use super::{BLOCK, STREAMED, Stored, window_mut};
    use crate::scalar::Real;
    use crate::scalar::encoding::Encoding;
    use crate::scalar::isa::{Isa, Portable};

    /// Reading.
    pub trait Load {
        /// How a number is stored.
        type Encoding: Encoding;
        /// The patterns `at .. at + n`, fewer at the view's end; `None` where memory does not hold them as such.
        fn patterns(&self, at: usize, n: usize) -> Option<&[<Self::Encoding as Encoding>::Raw]>;
        /// The number at `index`.
        #[inline(always)]
        fn number<R: Real>(&self, index: usize) -> Option<R> {
            self.patterns(index, 1)?.first().map(|&raw| Self::Encoding::decode(raw))
        }
        /// The numbers `at .. at + n` (`n ≤ BLOCK`), in place or decoded into `buffer`; fewer at the view's end.
        #[inline(always)]
        fn block<'b, I: Isa, R: Real>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
            let raw = self.patterns(at, n).unwrap_or_default();
            Self::Encoding::lend(raw).unwrap_or_else(|| {
                let out = window_mut(&mut buffer[..], 0, raw.len());
                Self::Encoding::decode_slice::<I, R>(raw, out);
                out
            })
        }
    }

    /// Reads the numbers from `at` on, as many as are asked for and there.
    #[inline(always)]
    pub(crate) fn fill<V: Load, R: Real>(view: &V, at: usize, out: &mut [R]) {
        if let Some(raw) = view.patterns(at, out.len()) {
            return V::Encoding::decode_slice::<Portable, R>(raw, out);
        }
        let mut buffer = [R::ZERO; BLOCK];
        for (k, out) in out.chunks_mut(BLOCK).enumerate() {
            let block = view.block::<Portable, R>(at.saturating_add(k * BLOCK), out.len(), &mut buffer);
            out.iter_mut().zip(block).for_each(|(out, &value)| *out = value);
        }
    }

    /// Stores numbers from `at` on, as many as there is room for.
    #[inline(always)]
    pub(crate) fn store<V: Save, R: Real>(view: &mut V, at: usize, values: &[R]) {
        if let Some(raw) = view.patterns_mut(at, values.len()) {
            return V::Encoding::encode_slice::<Portable, R>(values, raw);
        }
        for (k, block) in values.chunks(BLOCK).enumerate() {
            view.commit::<Portable, R>(at.saturating_add(k * BLOCK), block);
        }
    }

    /// Stores the first `n` numbers one after the other, as many as there is room for.
    #[inline(always)]
    pub(crate) fn store_each<V: Save, R: Real>(view: &mut V, n: usize, number: impl Fn(usize) -> R) {
        if let Some(raw) = view.patterns_mut(0, n) {
            raw.iter_mut().enumerate().for_each(|(at, raw)| *raw = V::Encoding::encode(number(at)));
            return;
        }
        for at in 0..n {
            view.set(at, number(at));
        }
    }

    /// Writing: fill what [`block_mut`](Save::block_mut) lends, then [`commit`](Save::commit) it.
    pub trait Save: Stored {
        /// How a number is stored.
        type Encoding: Encoding;
        /// Room for the patterns `at .. at + n`, fewer at the view's end; `None` where memory does not hold them as such.
        fn patterns_mut(&mut self, at: usize, n: usize) -> Option<&mut [<Self::Encoding as Encoding>::Raw]>;
        /// Stores one number.
        #[inline(always)]
        fn set<R: Real>(&mut self, index: usize, value: R) {
            match self.patterns_mut(index, 1) {
                Some(raw) => raw.iter_mut().for_each(|raw| *raw = Self::Encoding::encode(value)),
                None => self.commit::<Portable, R>(index, &[value]),
            }
        }
        /// Room for the numbers `at .. at + n`: the view's own memory, or `buffer`.
        #[inline(always)]
        fn block_mut<'b, R: Real>(&'b mut self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b mut [R] {
            let own = self.patterns_mut(at, n).and_then(Self::Encoding::lend_mut);
            own.unwrap_or_else(|| window_mut(&mut buffer[..], 0, n))
        }
        /// Stores a block, at most [`BLOCK`] numbers, that was written to a buffer. Nothing to do where the view lent its own memory.
        #[inline(always)]
        fn commit<I: Isa, R: Real>(&mut self, at: usize, values: &[R]) {
            if let Some(raw) = self.patterns_mut(at, values.len()) {
                if Self::Encoding::DTYPE != R::DTYPE {
                    Self::Encoding::encode_slice::<I, R>(values, raw);
                }
            }
        }
        /// How many numbers stand in front of the next boundary of a cache line, fewer than a block.
        #[inline]
        fn lead(&mut self) -> usize {
            let numbers = self.patterns_mut(0, 1).map_or(0, |raw| raw.as_ptr().align_offset(64));
            if numbers < BLOCK { numbers } else { 0 }
        }
        /// Whether the view's memory is so large that blocks are better [streamed](Save::stream) into it.
        #[inline]
        fn is_streamed<I: Isa, R: Real>(&mut self) -> bool {
            let is_large = self.count().saturating_mul(self.dtype().bytes()) >= STREAMED;
            I::STREAMS && Self::Encoding::DTYPE == R::DTYPE && is_large && self.patterns_mut(0, 1).is_some()
        }
        /// Stores patterns past the caches.
        #[inline(always)]
        fn stream<I: Isa>(&mut self, at: usize, raw: &[<Self::Encoding as Encoding>::Raw]) {
            if let Some(out) = self.patterns_mut(at, raw.len()) {
                I::stream(raw, out);
            }
        }
    }
}

/// `values[at .. at + n]`, cut short at the end and never a panic.
#[inline(always)]
fn window<T>(values: &[T], at: usize, n: usize) -> &[T] {
    let rest = values.get(at..).unwrap_or_default();
    rest.get(..n).unwrap_or(rest)
}

/// [`window`], to write to.
#[inline(always)]
fn window_mut<T>(values: &mut [T], at: usize, n: usize) -> &mut [T] {
    let rest = values.get_mut(at..).unwrap_or_default();
    let n = n.min(rest.len());
    rest.get_mut(..n).unwrap_or_default()
}
