//! The covariance of a softmax's labels, `diag(p) − p·pᵀ`: the Fisher of its logits, without cancellation.

use crate::error::{Error, FisherFault};
use crate::scalar::Real;

/// The covariance of one example's label, by its probabilities.
///
/// Its diagonal is `p_i·(1 − p_i)`, taken as `p_i·Σ_{j≠i} p_j`: near `p_i = 1` the first form loses every digit. Its square root with one
/// column less than there are classes lets a caller propagate `C − 1` gradients backward instead of `C`: with the suffix sums
/// `q_j = Σ_{i≥j} p_i`, column `j` is `√(p_j·q_{j+1}/q_j)` times `1` at `j`, `−p_i/q_{j+1}` at `i > j` and zero elsewhere, and all zero where
/// `q_{j+1} = 0`. The sum of the columns' squares is the covariance.
///
/// ```
/// use fisher_merge::LabelCovariance;
/// let p = [0.5_f64, 0.25, 0.25];
/// let mut suffix = [0.0; 3];
/// let covariance = LabelCovariance::new(&p, &mut suffix)?;
/// let (mut column, mut root) = ([0.0; 3], [[0.0; 3]; 3]);
/// for j in 0..covariance.columns() {
///     covariance.column(j, &mut column)?;
///     for a in 0..3 {
///         for b in 0..3 {
///             root[a][b] += column[a] * column[b];
///         }
///     }
/// }
/// assert!((root[0][0] - 0.25).abs() < 1e-15 && (root[1][2] + 0.0625).abs() < 1e-15);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LabelCovariance<'a, R> {
    probabilities: &'a [R],
    /// `q_j`.
    suffix: &'a [R],
}

impl<'a, R: Real> LabelCovariance<'a, R> {
    /// Of these probabilities; `suffix` is scratch of the same length.
    ///
    /// # Errors
    /// [`FisherFault::Length`] if it is not.
    pub fn new(probabilities: &'a [R], suffix: &'a mut [R]) -> Result<Self, Error> {
        let (expected, found) = (probabilities.len(), suffix.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        let mut sum = R::ZERO;
        for (out, &p) in suffix.iter_mut().zip(probabilities).rev() {
            sum = sum + p;
            *out = sum;
        }
        Ok(Self { probabilities, suffix })
    }

    /// Columns of the root: one less than there are classes, none for no classes.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.probabilities.len().saturating_sub(1)
    }

    /// Column `j` of the root, as a gradient at the logits.
    ///
    /// # Errors
    /// [`FisherFault::Length`] if `out` is not as long as the probabilities, or there is no such column.
    pub fn column(&self, j: usize, out: &mut [R]) -> Result<(), Error> {
        let (expected, found) = (self.probabilities.len(), out.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        let (Some(&p), Some(&q), Some(&next)) = (self.probabilities.get(j), self.suffix.get(j), self.suffix.get(j + 1)) else {
            return Err(FisherFault::Length { expected: self.columns(), found: j }.into());
        };
        out.fill(R::ZERO);
        if next > R::ZERO {
            let root = (p * (next / q)).sqrt();
            for (k, (out, &other)) in out.iter_mut().zip(self.probabilities).enumerate().skip(j) {
                *out = if k == j { root } else { -(root * (other / next)) };
            }
        }
        Ok(())
    }

    /// The diagonal, `p_i·Σ_{j≠i} p_j`: what a layer of logits weighs the squares of its inputs with.
    ///
    /// # Errors
    /// [`FisherFault::Length`].
    pub fn variances(&self, out: &mut [R]) -> Result<(), Error> {
        let (expected, found) = (self.probabilities.len(), out.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        let mut before = R::ZERO;
        let behind = self.suffix.iter().copied().skip(1).chain([R::ZERO]);
        for ((out, &p), behind) in out.iter_mut().zip(self.probabilities).zip(behind) {
            *out = p * (before + behind);
            before = before + p;
        }
        Ok(())
    }
}
