//! What a whole model must answer to be merged: names, shapes and types at once, numbers by range when asked.
//!
//! Traits only. They are implementable by a framework whose numbers lie behind a lock, on another device, in a file or on a flash page: a
//! store is not asked for a slice, it is asked to fill a range; lending one is an optional fast path. Ready-made stores are in `stores`.

use core::fmt;

use crate::error::StoreError;
use crate::scalar::{Dtype, Real};
use crate::view::{AnySlice, AnySliceMut};

/// What the elements of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// Floating-point numbers, which are merged.
    Number(Dtype),
    /// Anything else (integers, booleans, packed weights), by the name of its type: never merged, and left to its owner.
    Other(&'a str),
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(dtype) => dtype.fmt(f),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// What is known of a tensor without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterInfo<'a> {
    /// Its name, by which the tensors of several models are paired.
    pub name: &'a str,
    /// Its shape; no dimensions are one number.
    pub shape: &'a [usize],
    /// What it holds, and how that is stored.
    pub element: Element<'a>,
}

impl ParameterInfo<'_> {
    /// How many elements the shape has; `None` if that is more than a `usize`.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent))
    }
}

/// A model (its means, or its Fisher) that can be read by range, in the arithmetic type `R`. Object safe; tensors go by their number. Three
/// methods are a store; [`ParameterTarget`] shows one that is merged.
pub trait ParameterSource<R: Real> {
    /// How many tensors there are.
    fn count(&self) -> usize;

    /// Name, shape and type of a tensor; `None` past the last one.
    fn info(&self, index: usize) -> Option<ParameterInfo<'_>>;

    /// Fills `tile` with the elements `offset .. offset + tile.len()` of a tensor of numbers, in row-major order. The driver stays within
    /// the shape, and asks for ranges in ascending order.
    ///
    /// # Errors
    /// The store's own; the merge ends with it.
    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError>;

    /// The same numbers where they lie, if they lie one after the other in memory that can be lent. Must be exactly `count` long to be used.
    fn lend(&self, index: usize, offset: usize, count: usize) -> Option<AnySlice<'_>> {
        let _ = (index, offset, count);
        None
    }

    /// The number of the tensor of this name. `hint` is where it stands in the target: stores in one order answer at the first comparison.
    fn find(&self, name: &str, hint: usize) -> Option<usize> {
        let named = |&index: &usize| self.info(index).is_some_and(|info| info.name == name);
        core::iter::once(hint).chain(0..self.count()).find(named)
    }
}

/// A model that can be written by range as well. Every range is read, from all stores, before it is written.
///
/// A store of a made-up framework, whole, and a merge of two of its models into the first:
///
/// ```
/// use fisher_merge::{
///     Dtype, Element, Model, ModelPrecision, ParameterInfo, ParameterSource, ParameterTarget, Real, StoreError, StoreErrorKind, StoreMerge,
/// };
/// use std::sync::RwLock;
///
/// /// Values behind a lock, copied in and out by range.
/// struct Parameter { name: String, shape: Vec<usize>, values: RwLock<Vec<f32>> }
/// struct Network(Vec<Parameter>);
///
/// impl<R: Real> ParameterSource<R> for Network {
///     fn count(&self) -> usize {
///         self.0.len()
///     }
///     fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
///         let Parameter { name, shape, .. } = self.0.get(index)?;
///         Some(ParameterInfo { name, shape, element: Element::Number(Dtype::F32) })
///     }
///     fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
///         let values = self.0[index].values.read().map_err(|_| StoreError::new(StoreErrorKind::Read))?;
///         tile.iter_mut().zip(&values[offset..]).for_each(|(out, &value)| *out = R::from_f32(value));
///         Ok(())
///     }
/// }
///
/// impl<R: Real> ParameterTarget<R> for Network {
///     fn write(&mut self, index: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
///         let mut values = self.0[index].values.write().map_err(|_| StoreError::new(StoreErrorKind::Write))?;
///         values[offset..].iter_mut().zip(tile).for_each(|(out, value)| *out = value.as_f32());
///         Ok(())
///     }
/// }
///
/// let network = |values: [f32; 2]| Network(vec![Parameter { name: "bias".into(), shape: vec![2], values: RwLock::new(values.into()) }]);
/// let (mut a, fisher_a) = (network([1.0, 7.0]), network([3.0, 0.0]));
/// let (b, fisher_b) = (network([2.0, 9.0]), network([1.0, 0.0]));
/// // The first model's means are read from the target, where the merge goes.
/// let models = [Model::in_place(ModelPrecision::Diagonal(&fisher_a), 0.5_f64), Model::diagonal(&b, &fisher_b, 0.5)];
/// let mut scratch = vec![0.0; 1024 * StoreMerge::new().scratch_per_element(&models, false)];
/// let outcome = StoreMerge::new().run(&models, &mut a, &mut scratch)?;
/// assert_eq!(*a.0[0].values.read().unwrap(), [1.25, 7.0]);
/// assert_eq!(outcome.summary.no_evidence, 1);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
pub trait ParameterTarget<R: Real>: ParameterSource<R> {
    /// Stores `tile` as the elements `offset .. offset + tile.len()`, each number rounded once to the tensor's type.
    ///
    /// # Errors
    /// The store's own; the merge ends with it, and the ranges before this one stay written.
    fn write(&mut self, index: usize, offset: usize, tile: &[R]) -> Result<(), StoreError>;

    /// Room for the same range where it lies, if that can be lent. Must be exactly `count` long to be used. What is written there counts as
    /// written only when the merge goes on; where it refuses a number, the room holds no result.
    fn lend_mut(&mut self, index: usize, offset: usize, count: usize) -> Option<AnySliceMut<'_>> {
        let _ = (index, offset, count);
        None
    }

    /// Called when the last range of a tensor is written: a framework rebuilds its parameter, a flash programs its last page.
    ///
    /// # Errors
    /// The store's own; the merge ends with it.
    fn finish(&mut self, index: usize) -> Result<(), StoreError> {
        let _ = index;
        Ok(())
    }
}

/// A store that is borrowed: how a `&dyn ParameterTarget` goes where a `&dyn ParameterSource` is asked for.
impl<R: Real, S: ParameterSource<R> + ?Sized> ParameterSource<R> for &S {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        (**self).info(index)
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        (**self).read(index, offset, tile)
    }

    fn lend(&self, index: usize, offset: usize, count: usize) -> Option<AnySlice<'_>> {
        (**self).lend(index, offset, count)
    }

    fn find(&self, name: &str, hint: usize) -> Option<usize> {
        (**self).find(name, hint)
    }
}
