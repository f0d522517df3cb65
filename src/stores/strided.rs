//! Models as strided views: transposed, sliced or reversed arrays, as array libraries hold them.

use super::slices::OUT_OF_RANGE;
use crate::error::{Error, Role, StoreError};
use crate::scalar::Real;
use crate::store::{Element, ParameterInfo, ParameterSource, ParameterTarget};
use crate::view::{AnySlice, AnySliceMut, Stored, Values, ValuesMut};

/// Where the elements of an array lie: element `(i₀, i₁, …)` at `start + Σ iₖ·strideₖ`, counted in elements.
#[derive(Clone, Copy, Debug)]
struct Layout<'a> {
    shape: &'a [usize],
    strides: &'a [isize],
    start: usize,
}

impl<'a> Layout<'a> {
    /// Checks that every element lies in memory of `found` numbers.
    fn new(shape: &'a [usize], strides: &'a [isize], start: usize, found: usize) -> Result<Self, Error> {
        let beyond = |expected| Error::Length { tensor: 0, model: 0, role: Role::Mean, expected, found };
        if shape.len() != strides.len() {
            return Err(Error::Length { tensor: 0, model: 0, role: Role::Mean, expected: shape.len(), found: strides.len() });
        }
        let empty = shape.contains(&0);
        let (mut first, mut last) = (start, start);
        for (&extent, &stride) in shape.iter().zip(strides).filter(|_| !empty) {
            let reach = stride.unsigned_abs().checked_mul(extent - 1).ok_or(beyond(usize::MAX))?;
            if stride < 0 {
                first = first.checked_sub(reach).ok_or(beyond(usize::MAX))?;
            } else {
                last = last.checked_add(reach).ok_or(beyond(usize::MAX))?;
            }
        }
        let counted = shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent)).is_some();
        if !counted || (!empty && last >= found) { Err(beyond(last.saturating_add(1))) } else { Ok(Self { shape, strides, start }) }
    }

    /// Whether no two elements share a place, in the sense that every stride steps over all that smaller ones reach.
    fn is_injective(&self) -> bool {
        let extents = || self.shape.iter().zip(self.strides).filter(|(extent, _)| **extent > 1);
        extents().enumerate().all(|(k, (_, stride))| {
            let smaller = |(j, (_, other)): &(usize, (&usize, &isize))| {
                other.unsigned_abs() < stride.unsigned_abs() || (other.unsigned_abs() == stride.unsigned_abs() && *j < k)
            };
            let reach = extents()
                .enumerate()
                .filter(smaller)
                .fold(0_usize, |reach, (_, (extent, other))| reach.saturating_add(other.unsigned_abs().saturating_mul(extent - 1)));
            stride.unsigned_abs() > reach
        })
    }

    /// Where the element of a row-major index lies.
    fn place(&self, mut index: usize) -> usize {
        let mut place = self.start;
        for (&extent, &stride) in self.shape.iter().zip(self.strides).rev() {
            // Every place was seen to lie in memory; a wrong one finds nothing there.
            let step = (index % extent.max(1)).wrapping_mul(stride.unsigned_abs());
            place = if stride < 0 { place.wrapping_sub(step) } else { place.wrapping_add(step) };
            index /= extent.max(1);
        }
        place
    }

    /// Calls `visit` with the position in a tile and the place of each of its elements: one division a row.
    fn visit(&self, offset: usize, count: usize, mut visit: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
        let total: usize = self.shape.iter().product();
        if offset.checked_add(count).is_none_or(|end| end > total) {
            return None;
        }
        let (extent, stride) = self.shape.last().zip(self.strides.last()).map_or((1, 0), |(&extent, &stride)| (extent.max(1), stride));
        let mut at = 0;
        while at < count {
            let index = offset.checked_add(at)?;
            let mut place = self.place(index);
            let run = (extent - index % extent).min(count - at);
            for i in at..at + run {
                visit(i, place)?;
                place = place.wrapping_add_signed(stride);
            }
            at += run;
        }
        Some(())
    }
}

/// A named tensor that is a strided view of a slice.
///
/// ```
/// use fisher_merge::{ParameterSource, Strided, StridedTensor};
/// // The transpose of a matrix of two rows.
/// let matrix = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let tensors = [StridedTensor::new("weight", &[3, 2], &[1, 3], 0, &matrix[..])?];
/// let mut row_major = [0.0_f32; 6];
/// Strided(&tensors).read(0, 0, &mut row_major)?;
/// assert_eq!(row_major, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StridedTensor<'a> {
    name: &'a str,
    layout: Layout<'a>,
    values: AnySlice<'a>,
}

impl<'a> StridedTensor<'a> {
    /// The view whose element `(i₀, i₁, …)` is `values[start + Σ iₖ·strides[k]]`. A stride of zero repeats, a negative one goes backwards.
    ///
    /// # Errors
    /// [`Error::Length`] (tensor 0, model 0) if shape and strides differ in length, or an element would lie outside of the slice.
    pub fn new(
        name: &'a str,
        shape: &'a [usize],
        strides: &'a [isize],
        start: usize,
        values: impl Into<AnySlice<'a>>,
    ) -> Result<Self, Error> {
        let values = values.into();
        Ok(Self { name, layout: Layout::new(shape, strides, start, values.count())?, values })
    }
}

/// A model as a slice of strided tensors.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a>(pub &'a [StridedTensor<'a>]);

/// Reads a tile, checked against the shape.
fn read<R: Real>(layout: &Layout<'_>, values: AnySlice<'_>, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
    let count = tile.len();
    let mut tile = tile.iter_mut();
    let visited = layout.visit(offset, count, |_, place| {
        *tile.next()? = values.at(place)?;
        Some(())
    });
    visited.ok_or(OUT_OF_RANGE)
}

impl<R: Real> ParameterSource<R> for Strided<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        let &StridedTensor { name, layout, values } = self.0.get(index)?;
        Some(ParameterInfo { name, shape: layout.shape, element: Element::Number(values.dtype()) })
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let tensor = self.0.get(index).ok_or(OUT_OF_RANGE)?;
        read(&tensor.layout, tensor.values, offset, tile)
    }
}

/// A named tensor that is a strided view of a slice that is written.
#[derive(Debug)]
pub struct StridedTensorMut<'a> {
    name: &'a str,
    layout: Layout<'a>,
    values: AnySliceMut<'a>,
}

impl<'a> StridedTensorMut<'a> {
    /// As [`StridedTensor::new`]; no two elements may share a place.
    ///
    /// # Errors
    /// As [`StridedTensor::new`], and [`Error::Overlap`] where elements may share a place.
    pub fn new(
        name: &'a str,
        shape: &'a [usize],
        strides: &'a [isize],
        start: usize,
        values: impl Into<AnySliceMut<'a>>,
    ) -> Result<Self, Error> {
        let values = values.into();
        let layout = Layout::new(shape, strides, start, values.count())?;
        if layout.is_injective() { Ok(Self { name, layout, values }) } else { Err(Error::Overlap) }
    }
}

/// A model as a slice of strided tensors that are written.
#[derive(Debug)]
pub struct StridedMut<'a, 't>(pub &'a mut [StridedTensorMut<'t>]);

impl<R: Real> ParameterSource<R> for StridedMut<'_, '_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        let StridedTensorMut { name, layout, values } = self.0.get(index)?;
        Some(ParameterInfo { name, shape: layout.shape, element: Element::Number(values.dtype()) })
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let tensor = self.0.get(index).ok_or(OUT_OF_RANGE)?;
        read(&tensor.layout, tensor.values.as_any(), offset, tile)
    }
}

impl<R: Real> ParameterTarget<R> for StridedMut<'_, '_> {
    fn write(&mut self, index: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
        let StridedTensorMut { layout, values, .. } = self.0.get_mut(index).ok_or(OUT_OF_RANGE)?;
        let count = values.count();
        let mut numbers = tile.iter();
        let visited = layout.visit(offset, tile.len(), |_, place| {
            let &value = numbers.next()?;
            (place < count).then(|| values.put(place, value))
        });
        visited.ok_or(OUT_OF_RANGE)
    }
}
