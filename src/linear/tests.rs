//! Unit tests: nothing here but the product can be reached from outside.
//!
//! Bounds, with `u` the epsilon of the arithmetic and `n` the size; each is the textbook's worst case to first order, where `c·n·u` is
//! that of `n` sums, times what is said:
//!
//! | what | bound | why |
//! |---|---|---|
//! | product | equal bits | its order is its definition |
//! | `A − L·Lᵀ`, element by element | `(n+2)·u·√(a_ii·a_jj)` | Higham, "Accuracy and Stability of Numerical Algorithms", theorem 10.3 |
//! | `L·X − B` and its three sisters, element by element | `(n+2)·u·(abs(L)·abs(X))` | the same, theorem 8.5 |
//! | `A·v − a·v`, `QᵀQ − 1`, norms | `16·n·u` (of the norm of `A`, of one) | orthogonal transformations in rows; 16 covers three stages of them |
//! | `Pᵀ(A1+A2)P − 1`, `PᵀA2P − a` | `64·n·u·κ(A1+A2)` | the errors above, through `L⁻¹` on both sides |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that panics is a test that fails")]

extern crate alloc;
extern crate std;

mod backend;
mod cholesky;
mod eigen;
mod pair;
mod product;
mod timing;

use alloc::vec;
use alloc::vec::Vec;

use super::tools::Tools;
use super::{BuiltIn, Matrix, MatrixMut, MatrixProduct};
use crate::kernel::Shell;
use crate::scalar::Real;

/// A small generator (Marsaglia's xorshift64*), so that the tests need no crate and run the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// In [−1, 1).
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn number(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn numbers<R: Real>(&mut self, n: usize) -> Vec<R> {
        (0..n).map(|_| R::from_f64(self.number())).collect()
    }
}

/// Bits, so that NaN equals itself and zeros have signs.
fn bits<R: Real>(values: &[R]) -> Vec<u64> {
    values.iter().map(|&value| value.pattern().into()).collect()
}

/// `A·B` in f64, by the definition.
fn times(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
        }
    }
    c
}

/// The built-in tools in a shell.
fn tools(product: &BuiltIn, shell: Shell) -> Tools<'_, BuiltIn> {
    Tools { product, shell }
}

fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..columns * rows).map(|at| a[at % rows * columns + at / rows]).collect()
}

/// `n` numbers from one down to `1/condition`, evenly by their logarithms.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn spectrum(n: usize, condition: f64) -> Vec<f64> {
    (0..n).map(|i| libm::pow(condition, -(i as f64) / (n.max(2) - 1) as f64)).collect()
}

/// `Q·diag(values)·Qᵀ` with a random orthogonal `Q`: a reflection for every row. Symmetric to the last bit.
fn symmetric(random: &mut Random, values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut a = vec![0.0; n * n];
    for (i, &value) in values.iter().enumerate() {
        a[i * n + i] = value;
    }
    for _ in 0..n {
        let v: Vec<f64> = random.numbers(n);
        let square: f64 = v.iter().map(|x| x * x).sum();
        let reflect = |a: &[f64]| {
            let row = times(&v, a, 1, n, n);
            let mut out = a.to_vec();
            for i in 0..n {
                for j in 0..n {
                    out[i * n + j] -= 2.0 * v[i] * row[j] / square;
                }
            }
            transposed(&out, n, n)
        };
        a = reflect(&reflect(&a));
    }
    for i in 0..n {
        for j in 0..i {
            a[j * n + i] = a[i * n + j];
        }
    }
    a
}
