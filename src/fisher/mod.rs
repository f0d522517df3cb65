//! Fisher information from gradients: estimators as types, accumulators that cannot lose a count, layers without per-example gradients, Kronecker
//! factors, dense blocks, and a compact storage.

mod accumulator;
mod compact;
mod dense;
mod diagonal;
mod gradient;
mod header;
mod kronecker;
mod layers;
mod ledger;
mod observed;
mod sampling;
mod second_moment;
mod shared;
mod softmax;
mod spec;
mod spread;
mod symmetric;

pub use accumulator::{CombineFisher, FisherAccumulator};
pub use compact::{CompactCount, CompactFisher};
pub use dense::DenseFisher;
pub use diagonal::DiagonalFisher;
pub use gradient::{Gradient, MeanGradient};
pub use header::{FISHER_HEADER, FisherHeader};
pub use kronecker::KroneckerFisher;
pub use layers::LayerBatch;
pub use observed::{LayerGradients, LayerInputs};
pub use sampling::{BatchMeans, ExactLabels, ObservedLabels, PerExample, SampledLabels, Sampling};
pub use second_moment::SecondMoment;
pub use softmax::LabelCovariance;
pub use spec::{FisherRecord, FisherSpec};
pub use spread::{FisherSpread, StandardErrors, student_t};
