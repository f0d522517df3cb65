//! How a matrix product of the caller's is handed to this crate.

use fisher_merge::{LinearFault, Matrix, MatrixMut, MatrixProduct};

/// `matrixmultiply` as a backend. Its interface is pointers, so it is the caller's to vouch for: this crate's views promise that every
/// element lies in its slice.
#[derive(Clone, Copy, Debug)]
pub struct MatrixMultiply;

impl MatrixProduct<f64> for MatrixMultiply {
    fn scratch(&self, _: usize, _: usize, _: usize) -> usize {
        0
    }

    fn multiply(
        &self,
        alpha: f64,
        a: Matrix<'_, f64>,
        b: Matrix<'_, f64>,
        beta: f64,
        mut c: MatrixMut<'_, f64>,
        _: &mut [f64],
    ) -> Result<(), LinearFault> {
        let (m, k, n) = (c.rows(), a.columns(), c.columns());
        for (expected, found) in [(m, a.rows()), (k, b.rows()), (n, b.columns())] {
            if expected != found {
                return Err(LinearFault::Shape { expected, found });
            }
        }
        let strides = |matrix: &Matrix<'_, f64>| (matrix.row_stride() as isize, matrix.column_stride() as isize);
        let ((rsa, csa), (rsb, csb), rsc) = (strides(&a), strides(&b), c.row_stride() as isize);
        let (a, b, c) = (a.values().as_ptr(), b.values().as_ptr(), c.values_mut().as_mut_ptr());
        // SAFETY: the shapes go together, every element of a view lies in its slice, and `c` is borrowed alone, with rows apart.
        unsafe { matrixmultiply::dgemm(m, k, n, alpha, a, rsa, csa, b, rsb, csb, beta, c, rsc, 1) };
        Ok(())
    }
}
