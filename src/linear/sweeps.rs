//! Eigenvalues of a tridiagonal matrix by implicit QL sweeps with Wilkinson's shift.
//!
//! A block is turned about where its small end is the last one (then this is the QR algorithm), so that graded matrices keep their small
//! eigenvalues (A. Dubrulle, R. S. Martin & J. H. Wilkinson, "The implicit QL algorithm", 1968; LAPACK's `steqr`).

use super::rotate::Batch;
use crate::error::LinearFault;
use crate::scalar::Real;

/// Sweeps for an eigenvalue, on average; fewer than two is usual.
const SWEEPS: usize = 30;

/// The tridiagonal matrix, and the rows that its rotations are applied to.
pub(super) struct Iteration<'a, 'b, R> {
    pub(super) diagonal: &'a mut [R],
    /// `[i]` is between the rows `i` and `i + 1`.
    pub(super) beside: &'a mut [R],
    pub(super) batch: &'a mut Batch<'b, R>,
    /// Sweeps that may still be made.
    pub(super) left: usize,
}

/// Rows `low..=high`, counted from either end.
#[derive(Clone, Copy)]
struct Block {
    low: usize,
    high: usize,
    turned: bool,
}

impl Block {
    /// Where row `i` is.
    fn row(self, i: usize) -> usize {
        if self.turned { self.low + self.high - i } else { i }
    }

    /// Where the element between `i` and `i + 1` is.
    fn between(self, i: usize) -> usize {
        if self.turned { self.low + self.high - 1 - i } else { i }
    }
}

/// Replaces the diagonal by the eigenvalues, in no order.
pub(super) fn eigenvalues<R: Real>(diagonal: &mut [R], beside: &mut [R], batch: &mut Batch<'_, R>) -> Result<(), LinearFault> {
    let n = diagonal.len();
    let mut iteration = Iteration { diagonal, beside, batch, left: SWEEPS * (n + 1) };
    let mut low = 0;
    while low < n {
        let whole = Block { low, high: n - 1, turned: false };
        let high = iteration.end(whole, low);
        let turned = iteration.d(high).abs() < iteration.d(low).abs();
        iteration.block(Block { low, high, turned })?;
        low = high + 1;
    }
    iteration.batch.apply();
    Ok(())
}

impl<R: Real> Iteration<'_, '_, R> {
    /// Every place that is asked for is a row.
    #[inline(always)]
    fn d(&self, at: usize) -> R {
        self.diagonal.get(at).copied().unwrap_or(R::ZERO)
    }

    #[inline(always)]
    fn e(&self, at: usize) -> R {
        self.beside.get(at).copied().unwrap_or(R::ZERO)
    }

    #[inline(always)]
    fn set(values: &mut [R], at: usize, value: R) {
        values.iter_mut().skip(at).take(1).for_each(|place| *place = value);
    }

    /// The last row from `from` on that no negligible element separates from it. Such an element becomes zero.
    ///
    /// Negligible is what rounding errors of its neighbours are larger than, and what would vanish when it is squared: the matrix was
    /// scaled to about one.
    fn end(&mut self, block: Block, from: usize) -> usize {
        let unit = R::from_f64(0.5) * R::epsilon();
        let least = R::MIN_NORMAL.sqrt();
        let mut m = from;
        while m < block.high {
            let size = self.e(block.between(m)).abs();
            if size <= least || size <= unit * (self.d(block.row(m)).abs() + self.d(block.row(m + 1)).abs()) {
                Self::set(self.beside, block.between(m), R::ZERO);
                break;
            }
            m += 1;
        }
        m
    }

    /// Sweeps until the block is diagonal.
    fn block(&mut self, block: Block) -> Result<(), LinearFault> {
        for l in block.low..=block.high {
            loop {
                let m = self.end(block, l);
                if m == l {
                    break;
                }
                self.left = self.left.checked_sub(1).ok_or(LinearFault::NoConvergence { row: block.row(l) })?;
                self.sweep(block, l, m);
            }
        }
        Ok(())
    }

    /// One sweep, from `m` to `l`.
    fn sweep(&mut self, block: Block, l: usize, m: usize) {
        let (first, beside) = (self.d(block.row(l)), self.e(block.between(l)));
        let slope = (self.d(block.row(l + 1)) - first) / (beside + beside);
        let root = hypotenuse(slope);
        let shift = first - beside / (slope + if slope < R::ZERO { -root } else { root });
        let mut g = self.d(block.row(m)) - shift;
        let (mut s, mut c, mut p) = (R::ONE, R::ONE, R::ZERO);
        let rotations = self.batch.sweep(block.row(m), m - l, block.turned);
        for (i, rotation) in (l..m).rev().zip(rotations.chunks_exact_mut(2)) {
            let e = self.beside.get(block.between(i)).copied().unwrap_or(R::ZERO);
            let (f, b) = (s * e, c * e);
            let r;
            (c, s, r) = plane(g, f);
            if i + 1 != m {
                Self::set(self.beside, block.between(i + 1), r);
            }
            let (here, next) = (block.row(i), block.row(i + 1));
            g = self.diagonal.get(next).copied().unwrap_or(R::ZERO) - p;
            let r = (self.diagonal.get(here).copied().unwrap_or(R::ZERO) - g) * s + (c + c) * b;
            p = s * r;
            Self::set(self.diagonal, next, g + p);
            g = c * r - b;
            if let Some(rotation) = rotation.first_chunk_mut::<2>() {
                *rotation = [c, s];
            }
        }
        let d = self.d(block.row(l)) - p;
        Self::set(self.diagonal, block.row(l), d);
        Self::set(self.beside, block.between(l), g);
    }
}

/// `√(1 + x²)`, without overflow.
fn hypotenuse<R: Real>(x: R) -> R {
    let x = x.abs();
    if x > R::ONE { x * (R::ONE + (R::ONE / x) * (R::ONE / x)).sqrt() } else { (R::ONE + x * x).sqrt() }
}

/// `(c, s, r)` with `c·g + s·f = r` and `c·f − s·g = 0`, without overflow.
#[inline(always)]
fn plane<R: Real>(g: R, f: R) -> (R, R, R) {
    if f == R::ZERO {
        return (R::ONE, R::ZERO, g);
    }
    if f.abs() > g.abs() {
        let t = g / f;
        let root = (R::ONE + t * t).sqrt();
        let s = R::ONE / root;
        (s * t, s, f * root)
    } else {
        let t = f / g;
        let root = (R::ONE + t * t).sqrt();
        let c = R::ONE / root;
        (c, c * t, g * root)
    }
}
