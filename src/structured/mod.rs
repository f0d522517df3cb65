//! Posteriors that know more than a diagonal: Kronecker-factored, input covariance, dense, low rank; their merge, and what they are for.

mod damping;
mod density;
mod elementwise;
mod merge;
mod operator;
mod posterior;
mod problem;
mod project;
mod side;
mod solve;
mod solved;
mod solvers;
mod system;
mod verify;

pub use damping::{Damping, DampingMean};
pub use density::Density;
pub use merge::{Repair, StructuredMerge};
pub use posterior::{Structure, StructuredFactor, StructuredPosterior};
pub use project::{StructureMut, merged_precision};
pub use solved::{Method, Solved};
pub use solvers::{AllSolvers, Solvers};
