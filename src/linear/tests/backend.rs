//! Products of the caller's.

use core::cell::Cell;

use super::*;
use crate::error::LinearFault;
use crate::linear::pair::{diagonalise, scratch};

/// Three loops, in f64 whatever the numbers; fails at a call of one's choice.
struct Plain {
    left: Cell<u32>,
}

impl<R: Real> MatrixProduct<R> for Plain {
    fn scratch(&self, _: usize, _: usize, _: usize) -> usize {
        0
    }

    fn multiply(
        &self,
        alpha: R,
        a: Matrix<'_, R>,
        b: Matrix<'_, R>,
        beta: R,
        mut c: MatrixMut<'_, R>,
        _: &mut [R],
    ) -> Result<(), LinearFault> {
        self.left.set(self.left.get().checked_sub(1).ok_or(LinearFault::Backend { code: 7 })?);
        let at = |m: &Matrix<'_, R>, i: usize, j: usize| m.values()[i * m.row_stride() + j * m.column_stride()].as_f64();
        for i in 0..c.rows() {
            for j in 0..c.columns() {
                let sum: f64 = (0..a.columns()).map(|k| at(&a, i, k) * at(&b, k, j)).sum();
                let place = i * c.row_stride() + j;
                let old = if beta == R::ZERO { 0.0 } else { beta.as_f64() * c.values_mut()[place].as_f64() };
                c.values_mut()[place] = R::from_f64(old + alpha.as_f64() * sum);
            }
        }
        Ok(())
    }
}

/// Shares of two f32 matrices.
fn shares<P: MatrixProduct<f32>>(product: &P, n: usize) -> Result<Vec<f32>, LinearFault> {
    let mut random = Random(41);
    let narrow = |a: Vec<f64>| a.iter().map(|x| x.as_f32()).collect::<Vec<_>>();
    let (mut a1, mut a2) = (narrow(symmetric(&mut random, &spectrum(n, 10.0))), narrow(symmetric(&mut random, &spectrum(n, 5.0))));
    let (mut found, mut p, mut room) = (vec![0.0; n], vec![0.0; n * n], vec![0.0; scratch::<f32>(product, n)]);
    let (a1, a2, p) = (MatrixMut::new(&mut a1, n, n)?, MatrixMut::new(&mut a2, n, n)?, MatrixMut::new(&mut p, n, n)?);
    diagonalise(Tools { product, shell: Shell::detect() }, a1, a2, &mut found, p, &mut room)?;
    Ok(found)
}

#[test]
fn any_product_gives_the_same_shares() {
    let n = 90;
    let (ours, theirs) = (shares(&BuiltIn::new(), n).unwrap(), shares(&Plain { left: Cell::new(u32::MAX) }, n).unwrap());
    // Both are within the bound for pairs of what is right.
    let bound = 2.0 * 64.0 * 90.0 * f32::EPSILON * 10.0;
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= bound));
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-4), "far below the bound, in fact");
}

#[test]
fn a_failure_comes_through() {
    for calls in [0, 1, 5, 11] {
        assert_eq!(shares(&Plain { left: Cell::new(calls) }, 90).unwrap_err(), LinearFault::Backend { code: 7 });
    }
}
