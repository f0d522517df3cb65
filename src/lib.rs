#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! fisher-merge
#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod conditioning;
mod door;
mod error;
mod gaussian;
mod kernel;
mod merge;
mod policy;
mod product;
pub mod reference;
mod scalar;
mod summary;
mod view;

pub use conditioning::{Conditioning, ModelScale, target};
pub use error::{Defect, Error, Role};
pub use gaussian::{Factor, Posterior, Precision, from_natural, to_natural};
pub use kernel::sums::FisherStatistics;
pub use kernel::{Magnitude, Shell};
pub use merge::{Job, Merge};
pub use policy::{BadNumbers, Floor, FloorOn, FloorScope, NoEvidence, Normalize};
pub use product::RunningProduct;
pub use scalar::{Dtype, Real};
pub use summary::Summary;
pub use view::{Bf16Bits, F16Bits, LeBytes, Stored, Values, ValuesMut};
