//! Models as named slices.

use crate::error::{Error, Role, StoreError, StoreErrorKind};
use crate::scalar::Real;
use crate::store::{Element, ParameterInfo, ParameterSource, ParameterTarget};
use crate::view::{AnySlice, AnySliceMut, Stored};

/// A named tensor over a slice of any storage type, in row-major order.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    name: &'a str,
    shape: &'a [usize],
    values: Values<'a>,
}

/// Numbers, or the name of the type of what is not merged.
#[derive(Clone, Copy, Debug)]
enum Values<'a> {
    Numbers(AnySlice<'a>),
    Other(&'a str),
}

/// Whether a slice has as many numbers as a shape.
pub(super) fn fits(shape: &[usize], found: usize) -> Result<(), Error> {
    match shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent)) {
        Some(expected) if expected == found => Ok(()),
        // More than can be counted is more than any slice has.
        expected => Err(Error::Length { tensor: 0, model: 0, role: Role::Mean, expected: expected.unwrap_or(usize::MAX), found }),
    }
}

pub(super) const OUT_OF_RANGE: StoreError = StoreError::new(StoreErrorKind::OutOfRange);

impl<'a> Tensor<'a> {
    /// A tensor of numbers. No dimensions are one number, a dimension of zero is none.
    ///
    /// # Errors
    /// [`Error::Length`] (tensor 0, model 0) if the slice is not as long as the shape says.
    ///
    /// ```
    /// use fisher_merge::Tensor;
    /// assert!(Tensor::new("weight", &[2, 1], &[1.0_f32, 2.0][..]).is_ok());
    /// assert!(Tensor::new("weight", &[2, 2], &[1.0_f32, 2.0][..]).is_err());
    /// ```
    pub fn new(name: &'a str, shape: &'a [usize], values: impl Into<AnySlice<'a>>) -> Result<Self, Error> {
        let values = values.into();
        fits(shape, values.count())?;
        Ok(Self { name, shape, values: Values::Numbers(values) })
    }

    /// A tensor that is not merged: integers, booleans. `element` is the name of its type.
    #[must_use]
    pub const fn other(name: &'a str, shape: &'a [usize], element: &'a str) -> Self {
        Self { name, shape, values: Values::Other(element) }
    }
}

/// A model as a slice of tensors.
///
/// ```
/// use fisher_merge::{ParameterSource, Tensor, Tensors};
/// let (weight, bias) = ([1.0_f32, 2.0], [3.0_f64]);
/// let tensors = [Tensor::new("weight", &[1, 2], &weight[..])?, Tensor::new("bias", &[1], &bias[..])?];
/// let store = Tensors(&tensors);
/// let found = ParameterSource::<f64>::find(&store, "bias", 0);
/// assert_eq!(found, Some(1));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a>(pub &'a [Tensor<'a>]);

impl<R: Real> ParameterSource<R> for Tensors<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        let &Tensor { name, shape, values } = self.0.get(index)?;
        let element = match values {
            Values::Numbers(numbers) => Element::Number(numbers.dtype()),
            Values::Other(element) => Element::Other(element),
        };
        Some(ParameterInfo { name, shape, element })
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let range = ParameterSource::<R>::lend(self, index, offset, tile.len()).ok_or(OUT_OF_RANGE)?;
        range.read(0, tile).ok_or(OUT_OF_RANGE)
    }

    fn lend(&self, index: usize, offset: usize, count: usize) -> Option<AnySlice<'_>> {
        match self.0.get(index)?.values {
            Values::Numbers(numbers) => numbers.range(offset, count),
            Values::Other(_) => None,
        }
    }
}

/// A named tensor over a slice that is written.
#[derive(Debug)]
pub struct TensorMut<'a> {
    name: &'a str,
    shape: &'a [usize],
    values: ValuesMut<'a>,
}

#[derive(Debug)]
enum ValuesMut<'a> {
    Numbers(AnySliceMut<'a>),
    Other(&'a str),
}

impl<'a> TensorMut<'a> {
    /// A tensor of numbers.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn new(name: &'a str, shape: &'a [usize], values: impl Into<AnySliceMut<'a>>) -> Result<Self, Error> {
        let values = values.into();
        fits(shape, values.count())?;
        Ok(Self { name, shape, values: ValuesMut::Numbers(values) })
    }

    /// A tensor that is not merged.
    #[must_use]
    pub const fn other(name: &'a str, shape: &'a [usize], element: &'a str) -> Self {
        Self { name, shape, values: ValuesMut::Other(element) }
    }
}

/// A model as a slice of tensors that are written.
#[derive(Debug)]
pub struct TensorsMut<'a, 't>(pub &'a mut [TensorMut<'t>]);

impl<R: Real> ParameterSource<R> for TensorsMut<'_, '_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        let TensorMut { name, shape, values } = self.0.get(index)?;
        let element = match values {
            ValuesMut::Numbers(numbers) => Element::Number(numbers.dtype()),
            ValuesMut::Other(element) => Element::Other(element),
        };
        Some(ParameterInfo { name, shape, element })
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let range = ParameterSource::<R>::lend(self, index, offset, tile.len()).ok_or(OUT_OF_RANGE)?;
        range.read(0, tile).ok_or(OUT_OF_RANGE)
    }

    fn lend(&self, index: usize, offset: usize, count: usize) -> Option<AnySlice<'_>> {
        match &self.0.get(index)?.values {
            ValuesMut::Numbers(numbers) => numbers.as_any().range(offset, count),
            ValuesMut::Other(_) => None,
        }
    }
}

impl<R: Real> ParameterTarget<R> for TensorsMut<'_, '_> {
    fn write(&mut self, index: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
        let mut range = ParameterTarget::<R>::lend_mut(self, index, offset, tile.len()).ok_or(OUT_OF_RANGE)?;
        range.write(0, tile).ok_or(OUT_OF_RANGE)
    }

    fn lend_mut(&mut self, index: usize, offset: usize, count: usize) -> Option<AnySliceMut<'_>> {
        match &mut self.0.get_mut(index)?.values {
            ValuesMut::Numbers(numbers) => numbers.reborrow().range(offset, count),
            ValuesMut::Other(_) => None,
        }
    }
}
