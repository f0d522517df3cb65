//! Small dense linear algebra, row-major, in the caller's memory: what structured posteriors stand on.
//!
//! `matrix` is a view, `product` the interface that all heavy work goes through (a caller may put another backend behind it) and `packed`
//! the built-in one. Every sum has one order, whatever the block sizes and the instruction set; sizes of blocks that do show in the order
//! of a sum are constants of the definition, the same everywhere.

pub(crate) mod cholesky;
pub(crate) mod eigen;
pub(crate) mod loops;
mod matrix;
mod packed;
pub(crate) mod pair;
mod product;
mod rotate;
mod sweeps;
pub(crate) mod tools;
pub(crate) mod triangular;
mod tridiagonal;

#[cfg(test)]
mod tests;

pub use matrix::{Matrix, MatrixMut};
pub use product::{BuiltIn, MatrixProduct};
