//! From a symmetric matrix to a tridiagonal one by Householder's reflections, `A = Q·T·Qᵀ`.
//!
//! From the last row up, so that what is left is a leading block and reflections lie in rows: `H_i = 1 − τ_i·v_i·v_iᵀ` with `v_i` in row
//! `i`, `Q = H_{n−1}·…·H_1`. [`PANEL`] reflections are made with one pass over the untouched matrix each, `w_i = τ·A·v_i` with
//! corrections, and applied to it together, `A − Σ (v_i·w_iᵀ + w_i·v_iᵀ)` (J. J. Dongarra, D. C. Sorensen & S. J. Hammarling, "Block
//! reduction of matrices to condensed forms for eigenvalue computations", 1989).

use super::loops::{dot, subtract_two, times_power, times_symmetric};
use super::matrix::{Matrix, MatrixMut};
use super::product::MatrixProduct;
use super::tools::{Tools, lend};
use crate::error::LinearFault;
use crate::kernel::dispatch::Kernel;
use crate::scalar::Real;
use crate::scalar::isa::Isa;

/// Reflections that are applied together.
const PANEL: usize = 32;
/// Rows of the matrix that are updated together, up to their diagonal.
const STRIP: usize = 128;
/// Reflections that are multiplied into `Q` together.
const GROUP: usize = 64;

/// The tridiagonal matrix and the scales of the reflections, `n` numbers each.
#[derive(Debug)]
pub(super) struct Tridiagonal<'a, R> {
    pub(super) diagonal: &'a mut [R],
    /// `[i]` is between the rows `i` and `i + 1`.
    pub(super) beside: &'a mut [R],
    pub(super) tau: &'a mut [R],
}

/// Numbers of scratch that both steps take.
pub(super) fn scratch<R: Real>(product: &impl MatrixProduct<R>, n: usize) -> usize {
    let group = n.min(GROUP);
    (n * PANEL).max(2 * n * group + 2 * group * group) + product.scratch(n, n, n)
}

/// Reduces `A`, of which the lower triangle is read. Row `i` holds `v_i` afterwards, with its one at `i − 1` and zeros up to the end of
/// its panel.
pub(super) fn reduce<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    mut a: MatrixMut<'_, R>,
    out: &mut Tridiagonal<'_, R>,
    room: &mut [R],
) -> Result<(), LinearFault> {
    let n = a.rows();
    let mut end = n;
    while end > 0 {
        let first = end.saturating_sub(PANEL);
        let (w, room) = lend(room, n * (end - first))?;
        tools.shell.run(Panel { a: a.lent(), first, end, w: &mut *w, out: &mut *out });
        let (mut left, rows) = a.split(first);
        let (v, w) = (rows.as_matrix().block(0..end - first, 0..first), Matrix::strided(w, (end - first, first), n)?);
        for row in (0..first).step_by(STRIP) {
            let till = first.min(row + STRIP);
            for (x, y) in [(v, w), (w, v)] {
                let target = left.block(row..till, 0..till);
                tools.subtract(x.block(0..PANEL, row..till).transposed(), y.block(0..PANEL, 0..till), target, room)?;
            }
        }
        end = first;
    }
    Ok(())
}

/// The reflections of rows `first..end`, the last one first.
struct Panel<'a, 'b, R> {
    a: MatrixMut<'a, R>,
    first: usize,
    end: usize,
    /// `w_i` in row `i − first`, `n` apart.
    w: &'a mut [R],
    out: &'a mut Tridiagonal<'b, R>,
}

impl<R: Real> Kernel for Panel<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        for i in (self.first..self.end).rev() {
            let _: Option<()> = self.row(i);
        }
    }
}

impl<R: Real> Panel<'_, '_, R> {
    /// `None` is out of reach: every place is inside of what [`reduce`] lent.
    #[inline(always)]
    fn row(&mut self, i: usize) -> Option<()> {
        let n = self.a.row_stride().min(self.a.columns());
        let (mut above, mut later) = self.a.split(i + 1);
        let (above, mut here) = above.split(i);
        let (w, later_w) = self.w.get_mut((i - self.first) * n..)?.split_at_mut_checked(n)?;
        let (row, w) = (here.row(0, 0), w.get_mut(..i)?);
        let earlier = || (0..self.end - i - 1).zip(later_w.chunks_exact(n.max(1)));
        for (p, w) in earlier() {
            let v: &[R] = later.row(p, 0);
            subtract_two(row.get_mut(..=i)?, (*v.get(i)?, w), (*w.get(i)?, v));
        }
        let (v, rest) = row.split_at_mut_checked(i)?;
        *self.out.diagonal.get_mut(i)? = *rest.first()?;
        rest.get_mut(..self.end - i)?.fill(R::ZERO);
        let (beside, tau) = reflection(v);
        *self.out.tau.get_mut(i)? = tau;
        if let Some(out) = i.checked_sub(1).and_then(|before| self.out.beside.get_mut(before)) {
            *out = beside;
        }
        if tau == R::ZERO {
            w.fill(R::ZERO);
            return Some(());
        }
        times_symmetric(above.as_matrix().block(0..i, 0..i), v, w);
        for (p, other) in earlier() {
            let (other_v, other_w): (&[R], _) = (later.row(p, 0).get(..i)?, other.get(..i)?);
            let (along_w, along_v) = (dot(other_w, v), dot(other_v, v));
            subtract_two(w, (along_w, other_v), (along_v, other_w));
        }
        w.iter_mut().for_each(|value| *value = tau * *value);
        let half = R::from_f64(0.5) * tau * dot(w, v);
        w.iter_mut().zip(v.iter()).for_each(|(w, &v)| *w = *w - half * v);
        Some(())
    }
}

/// Replaces `x` by `v` with `(1 − τ·v·vᵀ)·x = (0, …, 0, b)` and a one at its end; gives `(b, τ)`. Where there is nothing to do `τ` and `v`
/// are zero.
#[inline(always)]
fn reflection<R: Real>(x: &mut [R]) -> (R, R) {
    let Some((&mut alpha, others)) = x.split_last_mut() else { return (R::ZERO, R::ZERO) };
    let largest = others.iter().fold(R::ZERO, |largest, value| if value.abs() > largest { value.abs() } else { largest });
    if largest == R::ZERO {
        x.fill(R::ZERO);
        return (alpha, R::ZERO);
    }
    // Squares of a power of two's multiples neither overflow nor vanish.
    let exponent = (if alpha.abs() > largest { alpha.abs() } else { largest }).split().1;
    times_power(others, -exponent);
    let scaled = alpha.times_power_of_two(-exponent);
    let norm = (scaled * scaled + dot(others, others)).sqrt();
    // Away from zero, so that no digits cancel.
    let b = if scaled > R::ZERO { -norm } else { norm };
    let scale = scaled - b;
    others.iter_mut().for_each(|value| *value = *value / scale);
    if let Some(last) = x.last_mut() {
        *last = R::ONE;
    }
    (b.times_power_of_two(exponent), (b - scaled) / b)
}

/// `Qᵀ = H_1·…·H_{n−1}` from the rows of [`reduce`].
///
/// [`GROUP`] reflections at a time, as `1 − Vᵀ·T·V` with a triangle `T` (R. Schreiber & C. Van Loan, "A storage-efficient WY
/// representation for products of Householder transformations", 1989).
pub(super) fn accumulate<R: Real, P: MatrixProduct<R>>(
    tools: Tools<'_, P>,
    mut v: MatrixMut<'_, R>,
    tau: &[R],
    mut q: MatrixMut<'_, R>,
    room: &mut [R],
) -> Result<(), LinearFault> {
    let n = v.rows();
    for i in 0..n {
        let row = q.row(i, 0);
        row.fill(R::ZERO);
        row.iter_mut().skip(i).take(1).for_each(|one| *one = R::ONE);
    }
    for first in (0..n).step_by(GROUP) {
        let end = n.min(first + GROUP);
        let count = end - first;
        for i in first..end {
            v.row(i, i).iter_mut().take(end - i).for_each(|value| *value = R::ZERO);
        }
        let v = v.as_matrix().block(first..end, 0..end);
        let (gram, room) = lend(room, count * count)?;
        let (t, room) = lend(room, count * count)?;
        let (x, room) = lend(room, end * count)?;
        let (xt, room) = lend(room, end * count)?;
        tools.set(v, v.transposed(), MatrixMut::new(gram, count, count)?, room)?;
        triangle(Matrix::new(gram, count, count)?, tau.get(first..end).unwrap_or_default(), MatrixMut::new(t, count, count)?);
        tools.set(q.as_matrix().block(0..end, 0..end), v.transposed(), MatrixMut::new(x, end, count)?, room)?;
        tools.set(Matrix::new(x, end, count)?, Matrix::new(t, count, count)?, MatrixMut::new(xt, end, count)?, room)?;
        tools.subtract(Matrix::new(xt, end, count)?, v, q.block(0..end, 0..end), room)?;
    }
    Ok(())
}

/// `T` with `H_1·…·H_k = 1 − Vᵀ·T·V`, from `V·Vᵀ`: `T_kk = τ_k` and above it `−τ_k·T·(V·v_k)`.
fn triangle<R: Real>(gram: Matrix<'_, R>, tau: &[R], mut t: MatrixMut<'_, R>) {
    for (k, &tau) in tau.iter().enumerate() {
        for i in 0..k {
            let row = t.row(i, 0);
            let sum = row
                .iter()
                .enumerate()
                .take(k)
                .skip(i)
                .fold(R::ZERO, |sum, (j, &t)| sum + t * gram.stored(j, k, 1).first().copied().unwrap_or(R::ZERO));
            row.iter_mut().skip(k).take(1).for_each(|out| *out = -tau * sum);
        }
        let row = t.row(k, 0);
        row.iter_mut().take(k).for_each(|out| *out = R::ZERO);
        row.iter_mut().skip(k).take(1).for_each(|out| *out = tau);
    }
}
