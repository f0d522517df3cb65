//! Plain loops over slices in the arithmetic type: no names, no policies, no storage types. One body each.
//!
//! `dispatch` runs them in the fastest shell of the machine; `step` is the recurrence that all of them share, and `scaled` its form for
//! precisions that leave the range of the arithmetic.

pub(crate) mod coefficient;
pub(crate) mod dispatch;
pub(crate) mod fused;
pub(crate) mod gram;
pub(crate) mod outer;
pub(crate) mod range;
pub(crate) mod scaled;
pub(crate) mod squares;
pub(crate) mod step;
pub(crate) mod stream;
pub(crate) mod sums;
#[cfg(test)]
mod tests;

pub use coefficient::Magnitude;
pub use dispatch::Shell;

/// Whether there are no vectors to use, and no memory to waste. (The configuration is for tests of that way on other machines.)
pub(crate) const NARROW: bool = cfg!(any(not(target_pointer_width = "64"), fisher_merge_narrow));
