//! Fisher information from gradients: estimators as types, accumulators that cannot lose a count, layers without per-example gradients, and a compact
//! storage.

mod accumulator;
mod compact;
mod diagonal;
mod gradient;
mod header;
mod layers;
mod sampling;
mod second_moment;
mod softmax;
mod spec;
mod spread;

pub use accumulator::{CombineFisher, FisherAccumulator};
pub use compact::{CompactCount, CompactFisher};
pub use diagonal::DiagonalFisher;
pub use gradient::{Gradient, MeanGradient};
pub use header::{FISHER_HEADER, FisherHeader};
pub use layers::LayerBatch;
pub use sampling::{BatchMeans, ExactLabels, ObservedLabels, PerExample, SampledLabels, Sampling};
pub use second_moment::SecondMoment;
pub use softmax::LabelCovariance;
pub use spec::{FisherRecord, FisherSpec};
pub use spread::{FisherSpread, StandardErrors, student_t};
