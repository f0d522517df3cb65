//! Views: slices of numbers as they are stored, read and written a block at a time in an arithmetic type.
//!
//! | view | storage |
//! |---|---|
//! | `&[f32]`, `&[f64]`, `&mut` of both | typed slices |
//! | `&[half::f16]`, `&[half::bf16]`, `&mut` of both | the same with the `half` feature |
//! | [`F16Bits`], [`Bf16Bits`] | raw 16-bit patterns |
//! | [`LeBytes`] | little-endian bytes at any alignment, the type known at run time |
//!
//! A view that already holds the arithmetic type lends its own memory; every other one converts into the block that it is lent. Whole
//! tensors with names and shapes are not here: a store hands out views.

mod bits;
mod bytes;
mod typed;

pub use bits::{Bf16Bits, F16Bits};
pub use bytes::LeBytes;

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
pub trait Values<R: Real>: Stored + sealed::Load<R> {
    /// The number at `index`, or `None` past the end. Exact where `R` holds the storage type.
    fn at(&self, index: usize) -> Option<R> {
        self.number(index)
    }
}
impl<R: Real, V: Stored + sealed::Load<R>> Values<R> for V {}

/// A view that can be written in the arithmetic type `R`, each number rounded once, to nearest even.
///
/// ```
/// use fisher_merge::{ValuesMut, Bf16Bits, Stored, Values};
/// let mut bits = [0_u16; 2];
/// let mut view = Bf16Bits(&mut bits[..]);
/// view.put(1, 1.0_f32);
/// assert_eq!(bits, [0, 0x3f80]);
/// ```
pub trait ValuesMut<R: Real>: Stored + sealed::Save<R> {
    /// Stores `value` at `index`; past the end nothing happens.
    fn put(&mut self, index: usize, value: R) {
        self.set(index, value);
    }
}
impl<R: Real, V: Stored + sealed::Save<R>> ValuesMut<R> for V {}

pub(crate) mod sealed {
    //! How the kernels read and write a view. Sealed, so that it can follow the kernels.

    use super::BLOCK;
    use crate::scalar::{Real, isa::Isa};

    /// Reading.
    pub trait Load<R: Real> {
        /// The number at `index`.
        fn number(&self, index: usize) -> Option<R>;
        /// The numbers `at .. at + n` (`n ≤ BLOCK`), in place or decoded into `buffer`; fewer at the view's end.
        fn block<'b, I: Isa>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R];
    }

    /// Writing: fill what [`block_mut`](Save::block_mut) lends, then [`commit`](Save::commit) it.
    pub trait Save<R: Real> {
        /// How many numbers stand in front of the next boundary of a cache line, fewer than a block.
        fn lead(&self) -> usize;
        /// Stores one number.
        fn set(&mut self, index: usize, value: R);
        /// Room for the numbers `at .. at + n`: the view's own memory, or `buffer`.
        fn block_mut<'b>(&'b mut self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b mut [R];
        /// Stores a block, at most [`BLOCK`] numbers, that was written to a buffer. Nothing to do where the view lent its own memory.
        fn commit<I: Isa>(&mut self, at: usize, values: &[R]);
        /// Whether the view's own memory is large and holds numbers of `R`, so that blocks are better [streamed](Save::stream) into it
        /// than written in place.
        fn is_streamed(&self) -> bool {
            false
        }
        /// Stores a block that was written to a buffer past the caches.
        fn stream<I: Isa>(&mut self, at: usize, values: &[R]) {
            self.commit::<I>(at, values);
        }
    }
}

/// `values[at .. at + n]`, cut short at the end and never a panic.
#[inline(always)]
fn window<T>(values: &[T], at: usize, n: usize) -> &[T] {
    let rest = values.get(at..).unwrap_or_default();
    rest.get(..n).unwrap_or(rest)
}

/// Numbers in front of the next boundary of 64 bytes.
#[inline]
fn lead<T>(values: &[T]) -> usize {
    let numbers = values.as_ptr().align_offset(64);
    if numbers < BLOCK { numbers } else { 0 }
}

/// [`window`], to write to.
#[inline(always)]
fn window_mut<T>(values: &mut [T], at: usize, n: usize) -> &mut [T] {
    let rest = values.get_mut(at..).unwrap_or_default();
    let n = n.min(rest.len());
    rest.get_mut(..n).unwrap_or_default()
}
