//! Ready-made stores over borrowed memory: slices of any storage type (unaligned bytes among them), and strided views.
//!
//! Not here: files. A file that is mapped or read whole is bytes, which `AnySlice` holds; one that is read by position is a store of ten
//! lines (see the `merge_checkpoints` example).

mod slices;
mod strided;

pub use slices::{Tensor, TensorMut, Tensors, TensorsMut};
pub use strided::{Strided, StridedMut, StridedTensor, StridedTensorMut};
