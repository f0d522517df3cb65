//! What is observed: a gradient of one example, or of the mean over a batch. Two types, since their squares are not the same thing.

use crate::error::{Defect, Error, FisherFault};
use crate::scalar::Real;

/// The gradient of `log p(y|x)` of one example and one label, in a view of any storage type.
///
/// Squares are taken in the arithmetic of the accumulator, after the loss scale is divided out: a square in 16 bits would be zero below
/// 2.4e-4 and infinite above 255.
///
/// ```compile_fail
/// use fisher_merge::{DiagonalFisher, FisherSpec, MeanGradient};
/// let mut state = [0.0_f64; 6];
/// let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(2), &mut state).unwrap();
/// // The mean over a batch is not the gradient of an example.
/// fisher.example(MeanGradient::new(&[0.25, -0.25][..], 32)).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gradient<V> {
    pub(super) values: V,
    loss_scale: f64,
}

impl<V> Gradient<V> {
    /// A gradient as it is.
    pub const fn new(values: V) -> Self {
        Self { values, loss_scale: 1.0 }
    }

    /// A gradient of the loss times `scale`, as mixed-precision training has it; it is divided by `scale` before it is squared.
    #[must_use]
    pub fn loss_scale(self, scale: f64) -> Self {
        Self { loss_scale: scale, ..self }
    }

    /// What the values are multiplied by.
    pub(super) fn scale<R: Real>(&self, unit: i32) -> Result<R, Error> {
        let scale = R::from_f64(1.0 / self.loss_scale).times_power_of_two(unit);
        let defect = if self.loss_scale.is_nan() {
            Defect::Nan
        } else if self.loss_scale <= 0.0 {
            Defect::Negative
        } else if !scale.is_normal() {
            Defect::Infinite
        } else {
            return Ok(scale);
        };
        Err(FisherFault::BadWeight { defect }.into())
    }
}

/// The gradient of the mean loss over a batch.
///
/// With `g` the examples' gradients, its square is about `Var(g)/B + (E g)²`, not `E g²`.
#[derive(Clone, Copy, Debug)]
pub struct MeanGradient<V> {
    pub(super) gradient: Gradient<V>,
    pub(super) batch: u32,
}

impl<V> MeanGradient<V> {
    /// A mean over `batch` examples.
    pub const fn new(values: V, batch: u32) -> Self {
        Self { gradient: Gradient::new(values), batch }
    }

    /// As [`Gradient::loss_scale`].
    #[must_use]
    pub fn loss_scale(self, scale: f64) -> Self {
        Self { gradient: self.gradient.loss_scale(scale), ..self }
    }
}
