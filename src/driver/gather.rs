//! Something for each model, on the stack where their number is known to the compiler, else on the heap.

use crate::error::Error;

/// How many models there are, and where to keep something for each.
pub(super) trait Gather: Copy {
    type Of<T: Copy>: AsRef<[T]>;

    /// Something for each model, up to the first error. `fill` takes the places behind it.
    fn gather<T: Copy>(self, fill: T, each: impl FnMut(usize) -> Result<T, Error>) -> Result<Self::Of<T>, Error>;
}

/// `M` models.
#[derive(Clone, Copy)]
pub(super) struct Fixed<const M: usize>;

impl<const M: usize> Gather for Fixed<M> {
    type Of<T: Copy> = [T; M];

    fn gather<T: Copy>(self, fill: T, mut each: impl FnMut(usize) -> Result<T, Error>) -> Result<[T; M], Error> {
        let mut failed = None;
        let all = core::array::from_fn(|model| {
            if failed.is_some() {
                return fill;
            }
            each(model).unwrap_or_else(|error| {
                failed = Some(error);
                fill
            })
        });
        failed.map_or(Ok(all), Err)
    }
}

/// Any number of models.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy)]
pub(super) struct Counted(pub(super) usize);

#[cfg(feature = "alloc")]
impl Gather for Counted {
    type Of<T: Copy> = alloc::vec::Vec<T>;

    fn gather<T: Copy>(self, _: T, each: impl FnMut(usize) -> Result<T, Error>) -> Result<alloc::vec::Vec<T>, Error> {
        (0..self.0).map(each).collect()
    }
}
