//! The interface to matrix products, and the built-in one.

use super::matrix::{Matrix, MatrixMut};
use super::packed::{self, Packed};
use crate::error::LinearFault;
use crate::kernel::Shell;
use crate::scalar::Real;

/// What multiplies matrices: `C ← β·C + α·A·B`. A backend that knows the machine better goes here.
///
/// Nothing but speed and rounding errors may depend on the backend.
pub trait MatrixProduct<R: Real> {
    /// Numbers of scratch that a product of `[m, k]` by `[k, n]` takes. It must not be less for a larger product than for one
    /// that fits inside of it.
    fn scratch(&self, m: usize, n: usize, k: usize) -> usize;

    /// `C ← β·C + α·A·B` with `A` `[m, k]`, `B` `[k, n]` and `C` `[m, n]`; where `β` is zero `C` is not read.
    ///
    /// # Errors
    /// Shapes that do not go together, too short a scratch, or what the backend says.
    fn multiply(
        &self,
        alpha: R,
        a: Matrix<'_, R>,
        b: Matrix<'_, R>,
        beta: R,
        c: MatrixMut<'_, R>,
        scratch: &mut [R],
    ) -> Result<(), LinearFault>;
}

/// The product of this crate: `C_ij ← ((β·C_ij + (α·A_i0)·B_0j) + (α·A_i1)·B_1j) + …`, each operation rounded, in this order.
///
/// So the bits depend neither on the machine nor on how a product is cut into parts, along any of its three sides.
///
/// ```
/// use fisher_merge::{BuiltIn, Matrix, MatrixMut, MatrixProduct};
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
/// let (mut c, mut scratch) = ([0.0; 2], [0.0; 64]);
/// let product = BuiltIn::new();
/// assert!(MatrixProduct::<f64>::scratch(&product, 2, 1, 2) <= scratch.len());
/// product.multiply(1.0, Matrix::new(&a, 2, 2)?, Matrix::new(&b, 2, 1)?, 0.0, MatrixMut::new(&mut c, 2, 1)?, &mut scratch)?;
/// assert_eq!(c, [17.0, 39.0]);
/// # Ok::<(), fisher_merge::LinearFault>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn {
    /// `None` is the fastest.
    shell: Option<Shell>,
}

impl BuiltIn {
    /// In the fastest shell of the machine.
    #[must_use]
    pub const fn new() -> Self {
        Self { shell: None }
    }

    /// In a shell of the caller's choice.
    #[must_use]
    pub const fn in_shell(shell: Shell) -> Self {
        Self { shell: Some(shell) }
    }
}

impl<R: Real> MatrixProduct<R> for BuiltIn {
    /// `k'·(⌈m'⌉ + ⌈n'⌉)` with each side cut to its block and the last two rounded up to whole panels: at most 163,840.
    fn scratch(&self, m: usize, n: usize, k: usize) -> usize {
        packed::scratch::<R>(m, n, k)
    }

    fn multiply(
        &self,
        alpha: R,
        a: Matrix<'_, R>,
        b: Matrix<'_, R>,
        beta: R,
        c: MatrixMut<'_, R>,
        scratch: &mut [R],
    ) -> Result<(), LinearFault> {
        let (m, n, k) = (c.rows(), c.columns(), a.columns());
        for (expected, found) in [(m, a.rows()), (k, b.rows()), (n, b.columns())] {
            if expected != found {
                return Err(LinearFault::Shape { expected, found });
            }
        }
        let (needed, found) = (packed::scratch::<R>(m, n, k), scratch.len());
        if found < needed {
            return Err(LinearFault::Scratch { needed, found });
        }
        self.shell.unwrap_or_default().run(Packed { alpha, a, b, beta, c, scratch });
        Ok(())
    }
}
