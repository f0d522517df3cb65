//! Storage types (what numbers are kept in) and arithmetic types (what they are reckoned in).
//!
//! Not here: slices of either (the `view` room) and any formula of a merge. A new storage type is a [`Dtype`] and a marker in
//! `encoding`; its bit patterns, if they are new, go into a file of their own beside `bits16`.

pub(crate) mod bits16;
mod dtype;
pub(crate) mod encoding;
pub(crate) mod isa;
mod real;

pub use dtype::Dtype;
pub use real::Real;

/// Keeps [`Real`] and the encodings this crate's own to extend.
pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for super::encoding::F64 {}
    impl Sealed for super::encoding::F32 {}
    impl Sealed for super::encoding::F16 {}
    impl Sealed for super::encoding::Bf16 {}
}
