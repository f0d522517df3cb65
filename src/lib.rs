#![no_std]
#![deny(unsafe_code, missing_docs)]
// What concerns a library alone; lints for tests and examples as well are in Cargo.toml.
#![warn(missing_debug_implementations, unreachable_pub)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! Merge models that share an architecture and an initialisation, as Gaussian posteriors.
//!
//! Each model is a posterior over the same parameters: its mean is the parameters, its precision their Fisher information (the Laplace
//! approximation). The merge is the mode of the product of the posteriors, `μ* = (Σ λ_m Λ_m)⁻¹ Σ λ_m Λ_m μ_m` (Matena & Raffel, "Merging
//! Models with Fisher-Weighted Averaging", NeurIPS 2022), and comes back with its own precision `Λ* = Σ λ_m Λ_m`, so that merges chain.
//! The crate owns no tensor type, no runtime and no memory: it works on slices that the caller lends.
//!
//! ```
//! use fisher_merge::{Merge, Posterior};
//!
//! // Parameters and diagonal Fisher of two models. The first is sure of its first parameter, neither knows the last.
//! let a = Posterior::diagonal(&[1.0_f32, 1.0, 7.0][..], &[9.0_f32, 1.0, 0.0][..])?;
//! let b = Posterior::diagonal(&[2.0_f32, 2.0, 8.0][..], &[1.0_f32, 1.0, 0.0][..])?;
//!
//! let mut merged = [0.0_f32; 3];
//! let summary = Merge::<f64>::new().run(&[a.power(0.5), b.power(0.5)], &mut merged[..])?;
//! assert_eq!(merged, [1.1, 1.5, 7.0]); // where nobody has evidence the first model's value stays
//! assert_eq!(summary.no_evidence, 1);
//! # Ok::<(), fisher_merge::Error>(())
//! ```
//!
//! # The way of a number
//!
//! ```text
//! view ──block──▶ kernel::fused ──▶ mean and precision out       Merge: all models of a tensor at once
//! view ──block──▶ kernel::stream ─▶ the caller's (Λ, μ)          RunningProduct: one model at a time
//! store ──tile──▶ Merge ──────────▶ tile ──▶ target              StoreMerge: whole models, by name
//! gradients ────▶ kernel::squares ▶ the caller's sums ▶ Fisher   DiagonalFisher: one example and label at a time
//! layer's batch ▶ kernel::outer ──▶ the caller's sums ▶ Fisher   observe_linear: no gradient of a single example is ever held
//! layer's batch ▶ kernel::gram ───▶ the caller's sums ▶ factors  KroneckerFisher, DenseFisher: second moments
//! factors ──────▶ linear ─────────▶ merged layer                 StructuredMerge: a whole layer at a time
//! layer's batch ▶ kernel::gram ───▶ the caller's sums ▶ A, G     KroneckerFisher, and DenseFisher from gradients
//! ```
//!
//! # The rooms: which file to open
//!
//! | room | what it is | open it for |
//! |---|---|---|
//! | `scalar` | storage types ([`Dtype`]) and arithmetic types ([`Real`]) | **a new storage type**: `dtype.rs`, a marker in `encoding.rs`, bit patterns beside `bits16.rs` |
//! | `error` | what can be wrong with a call ([`Error`]) | a new way to refuse |
//! | `policy` | what the caller may decide ([`NoEvidence`], [`BadNumbers`], [`Floor`], [`Normalize`]) | **a new policy**: its type here; `merge/block.rs` and `product.rs` carry out the first two, `conditioning` the others |
//! | `summary` | what a merge counted ([`Summary`]) | a new count |
//! | `view` | slices, raw 16-bit patterns and bytes, read and written by the block ([`Values`], [`ValuesMut`]) | a new way to hold numbers |
//! | `kernel` | the loops: `step` is the recurrence, `scaled` its form at the ends of the range, `dispatch` the instruction sets ([`Shell`]) | speed |
//! | `linear` | dense matrices: products ([`MatrixProduct`]), Cholesky, eigenvalues | **another matrix product**; what structured posteriors stand on |
//! | `fisher` | estimates of Fishers ([`DiagonalFisher`], [`KroneckerFisher`], [`DenseFisher`], [`FisherSpread`]), their bytes ([`FisherHeader`]), eight bits an entry ([`CompactFisher`]) | **a new estimator**: a marker in `sampling.rs`, a number in `header.rs`; **a new structure**: a [`FisherStructure`], its sums in `spec.rs`, a line in `shared.rs` (what all have alike is in `ledger.rs`); **a new layer**: a method in `layers.rs` |
//! | `gaussian` | [`Posterior`], its power [`Factor`], natural parameters | **a new posterior**: a variant of [`Precision`] in `posterior.rs` |
//! | `conditioning` | floors and norms of Fishers ([`Conditioning`], [`FisherStatistics`]) | how a Fisher is prepared |
//! | `door` | what is compared before the first number is written | a new check |
//! | `merge` | the fused merge ([`Merge`], [`Job`]) | options, the order of things in a block |
//! | `product` | the running product and its algebra ([`RunningProduct`]) | removal, combination, priors |
//! | `store` | what a whole model must answer ([`ParameterSource`], [`ParameterTarget`]) | the interface to frameworks and files |
//! | [`adapters`] | low-rank adapters folded into weights ([`LowRankAdapter`](adapters::LowRankAdapter)) | what merging LoRA means |
//! | `stores` | ready-made ones: slices and bytes ([`Tensors`]), strided views ([`Strided`]) | **a new store** of this crate's |
//! | `structured` | posteriors with more than a diagonal ([`StructuredPosterior`], [`Structure`]), their merge ([`StructuredMerge`]), densities and samples ([`Density`]) | **a new structure**: a variant of [`Structure`], its product in `operator.rs`; **a new solver**: a file in `solve`, a constant in `solvers.rs` |
//! | `driver` | the loop over whole models ([`StoreMerge`], [`Model`]): comparing, tiles, progress, resuming | a new kind of precision of a [`Model`] |
//! | [`reference`](mod@reference) | the formulas as the papers write them, one coordinate at a time | reading and checking |
//!
//! Each room imports only from rooms above it in this order: `scalar`, `error`, `policy`, `summary`, `view`, `kernel`, `linear`, `fisher`, `gaussian`,
//! `conditioning`, `door`, `merge`, `product`, `store`, `adapters`, `stores`, `structured`, `driver`; `reference` imports none.
//!
//! # Where Fishers come from
//!
//! `F = 1/N Σ_n E_{y∼p(y|x_n)} [(∇ log p(y|x_n))²]`: squared **per example and per label**. [`DiagonalFisher`] takes gradients one at a
//! time, or a batch of a layer's inputs and output gradients at once. Which expectation is a type: [`ExactLabels`], [`SampledLabels`],
//! [`ObservedLabels`] (the empirical Fisher); a mean over a batch ([`BatchMeans`]) and an optimiser's [`SecondMoment`] are something else,
//! and recorded as such. Probabilities that do not add up, missing draws, a sole label and mixed estimators are errors. Counts are in the
//! state, so that parts combine.
//!
//! ```
//! use fisher_merge::{DiagonalFisher, FisherSpec, LabelCovariance, LayerBatch};
//!
//! // A last layer of two inputs and three classes, two examples: the exact expectation over labels in one matrix product.
//! let (inputs, p) = ([1.0_f64, 2.0, 0.5, -1.0], [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]);
//! let mut variances = [[0.0; 3]; 2];
//! for (p, out) in p.iter().zip(&mut variances) {
//!     LabelCovariance::new(p, &mut [0.0; 3])?.variances(out)?; // p(1 − p), without cancellation
//! }
//! let spec = FisherSpec::new(3 * 2);
//! let (mut state, mut scratch) = (vec![0.0; spec.state_len::<f64>()], vec![0.0; DiagonalFisher::<fisher_merge::ExactLabels, f64>::LINEAR_SCRATCH]);
//! let mut fisher = DiagonalFisher::exact(spec, &mut state)?;
//! fisher.observe_linear((3, 2), &LayerBatch::of_variances(&inputs[..], variances.as_flattened(), &[1.0; 2]), &mut scratch)?;
//! fisher.end_batch(&[1.0; 2])?;
//! let mut out = [0.0_f32; 6];
//! let record = fisher.finish_into(&mut out[..])?;
//! assert_eq!((record.examples, out[0]), (2, ((0.21 * 1.0 + 0.09 * 0.25) / 2.0) as f32));
//! # Ok::<(), fisher_merge::Error>(())
//! ```
//!
//! # What it promises
//!
//! Each sentence is a property test of its number (`cargo test promise_`).
//!
//! 1. Merging models whose parameters have the same bits returns those bits, in every storage type, −0.0 included.
//! 2. Every merged element lies between the least and the greatest contributing value (before narrowing to a smaller output type; finite
//!    values, non-negative weights).
//! 3. If one model carries all evidence at an element, its value comes back bit for bit. A model of weight 0 takes no part. A sole model
//!    of positive weight comes back before any policy.
//! 4. Where no model has evidence a typed policy decides, and the summary counts it; it never is zero by accident.
//! 5. Multiplying all Fishers or all weights by a power of two changes no bit of the mean (without absolute floors; scaled values
//!    representable).
//! 6. The error against the exact rational answer is at most half a unit in the last place of the output and `max(8, 2M+4)` epsilons of
//!    the arithmetic times the largest contributing magnitude. Arithmetic narrower than a storage type is a typed error.
//! 7. The precision that was used comes back beside the mean; products associate and commute to a stated bound; a removal that would leave
//!    rounding errors is refused.
//! 8. The bits do not depend on the block size, the split into calls or threads, the instruction set or the platform, nor on the fused or
//!    the running form where nothing leaves the normal range.
//! 9. All lengths, storage types and weights are compared before the first number is written; between stores all names, shapes and types, and
//!    the report lists every disagreement. Tensors are paired by name.
//! 10. No heap: memory is the caller's, and a few blocks on the stack.
//! 11. No input makes it panic.
//! 12. NaN, infinities and negative precisions are refused with tensor, model and index, or counted and propagated; never averaged
//!     silently.
//!
//! # Memory
//!
//! One pass over the means and Fishers; one earlier pass over the Fishers of a model if its norm or its mean is asked for; one validating
//! pass in the running form and in [`Merge::check`]. The stack holds blocks of 256 numbers (32 on targets narrower than 64 bits), up to
//! eight at a time.
//!
//! # Features
//!
//! Features only add items; none changes a number.
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | the choice of the instruction set at run time |
//! | `alloc` | with `std` | `Merge::to_vec`, which owns its output |
//! | `half` | yes | views of `half::f16` and `half::bf16` slices |
//! | `bytemuck` | yes | `LeBytes::of` and `LeBytes::aligned` |
//! | `defmt` | no | `defmt::Format` of errors, of summaries and of what they are made of |
//!
//! The minimum supported Rust version is 1.85.

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod adapters;
mod conditioning;
mod door;
mod driver;
mod error;
mod fisher;
mod gaussian;
mod kernel;
mod linear;
mod merge;
mod policy;
mod product;
pub mod reference;
mod scalar;
mod store;
mod stores;
mod structured;
mod summary;
mod view;

pub use conditioning::{Conditioning, ModelScale, target};
pub use driver::{Cursor, Mismatches, Model, ModelMean, ModelPrecision, Outcome, Pass, Progress, StoreMerge};
pub use error::{Defect, Error, Estimator, Fault, FisherFault, FisherStructure, LinearFault, Mismatch, Role, StoreError, StoreErrorKind};
pub use fisher::{
    BatchMeans, CombineFisher, CompactCount, CompactFisher, DenseFisher, DiagonalFisher, ExactLabels, FISHER_HEADER, FisherAccumulator,
    FisherHeader, FisherRecord, FisherSpec, FisherSpread, Gradient, KroneckerFisher, LabelCovariance, LayerBatch, LayerGradients,
    LayerInputs, MeanGradient, ObservedLabels, PerExample, SampledLabels, Sampling, SecondMoment, StandardErrors, student_t,
};
pub use gaussian::{Factor, Posterior, Precision, from_natural, to_natural};
pub use kernel::sums::FisherStatistics;
pub use kernel::{Magnitude, Shell};
pub use linear::{BuiltIn, Matrix, MatrixMut, MatrixProduct};
pub use merge::{Job, Merge};
pub use policy::{BadNumbers, Floor, FloorOn, FloorScope, NoEvidence, Normalize};
pub use product::RunningProduct;
pub use scalar::{Dtype, Real};
pub use store::{Element, ParameterInfo, ParameterSource, ParameterTarget};
pub use stores::{Strided, StridedMut, StridedTensor, StridedTensorMut, Tensor, TensorMut, Tensors, TensorsMut};
pub use structured::{
    AllSolvers, Damping, DampingMean, Density, Method, Repair, Solved, Solvers, Structure, StructureMut, StructuredFactor, StructuredMerge,
    StructuredPosterior, merged_precision,
};
pub use summary::Summary;
pub use view::{AnySlice, AnySliceMut, Bf16Bits, F16Bits, LeBytes, Stored, Values, ValuesMut};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// And those of the page about firmware.
#[cfg(doctest)]
#[doc = include_str!("../examples/firmware.md")]
struct Firmware;
