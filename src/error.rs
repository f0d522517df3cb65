//! What can be wrong with a call: small `Copy` values that name the tensor, the model, what was expected and what was found.
//!
//! Numbers that a policy decides about (no evidence, NaN) are errors only where that policy says so. Nothing here owns memory; names
//! belong to stores, so a tensor and a model go by their numbers.

mod fisher;
mod linear;
mod mismatch;
mod store;

use core::fmt;

pub use fisher::{Estimator, FisherFault, FisherStructure};
pub use linear::LinearFault;
pub use mismatch::{Fault, Mismatch};
pub use store::{StoreError, StoreErrorKind};

use crate::scalar::Dtype;

/// Which of the slices of a call is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Role {
    /// The means (parameters) of a model.
    Mean,
    /// The precisions (Fisher) of a model.
    Precision,
    /// The weight λ of a model.
    Weight,
    /// The means of a prior or of the no-evidence policy.
    PriorMean,
    /// The merged means.
    MeanOut,
    /// The merged precisions.
    PrecisionOut,
    /// A gradient.
    Gradient,
    /// The factor `A` of a low-rank adapter.
    AdapterA,
    /// The factor `B` of a low-rank adapter.
    AdapterB,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Precision => "precision",
            Self::Weight => "weight",
            Self::PriorMean => "prior mean",
            Self::MeanOut => "merged mean",
            Self::PrecisionOut => "merged precision",
            Self::Gradient => "gradient",
            Self::AdapterA => "the adapter's A",
            Self::AdapterB => "the adapter's B",
        })
    }
}

/// What is bad about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Defect {
    /// Not a number.
    Nan,
    /// Infinite.
    Infinite,
    /// Below zero where only zero and above have a meaning.
    Negative,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nan => "NaN",
            Self::Infinite => "infinite",
            Self::Negative => "negative",
        })
    }
}

/// Why a call was refused. [`code`](Error::code) is stable across versions.
///
/// ```
/// use fisher_merge::{Error, Merge, Posterior};
/// let mut out = [0.0; 2];
/// let a = Posterior::isotropic(&[1.0, 2.0][..]);
/// let b = Posterior::isotropic(&[3.0][..]);
/// let refused = Merge::new().tensor(7).run(&[a.power(0.5), b.power(0.5)], &mut out[..]).unwrap_err();
/// assert_eq!(refused.code(), 2);
/// assert_eq!(refused.to_string(), "tensor 7, model 1: mean has 1 elements, expected 2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// There is no model.
    NoModels,
    /// A slice is not as long as the output. Code 2.
    Length {
        /// The tensor, as the caller numbered it.
        tensor: usize,
        /// The model, in the order given (0 for outputs and priors).
        model: usize,
        /// Which slice.
        role: Role,
        /// The output's length.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// The arithmetic cannot hold a storage type. Code 3.
    NarrowArithmetic {
        /// The tensor, as the caller numbered it.
        tensor: usize,
        /// The model, in the order given (0 for outputs).
        model: usize,
        /// Which slice.
        role: Role,
        /// How that slice is stored.
        storage: Dtype,
        /// What was to be reckoned in.
        arithmetic: Dtype,
    },
    /// A weight is NaN, infinite or negative. Code 4.
    BadWeight {
        /// The model, in the order given.
        model: usize,
        /// What is bad about it.
        defect: Defect,
    },
    /// Every weight is zero, so nothing takes part. Code 5.
    AllWeightsZero,
    /// A mean or a precision is NaN or infinite, or a precision is negative. Code 6.
    BadNumber {
        /// The tensor, as the caller numbered it.
        tensor: usize,
        /// The model, in the order given (0 for the prior mean).
        model: usize,
        /// Mean, precision or prior mean; of weights into which an adapter is folded, merged mean.
        role: Role,
        /// The element.
        index: usize,
        /// What is bad about it.
        defect: Defect,
    },
    /// No model has evidence at an element, and the policy is to refuse that. Code 7.
    NoEvidence {
        /// The tensor, as the caller numbered it.
        tensor: usize,
        /// The first such element.
        index: usize,
    },
    /// A removal would leave no trustworthy precision, `Λ' ≤ 2¹⁰·eps·Λ`, or a mean out of the range. Code 8.
    NotRemovable {
        /// The tensor, as the caller numbered it.
        tensor: usize,
        /// The first such element.
        index: usize,
    },
    /// A floor is NaN, infinite or negative. Code 9.
    BadFloor {
        /// What is bad about it.
        defect: Defect,
    },
    /// Bytes do not make a whole number of numbers. Code 10.
    RaggedBytes {
        /// What they were to hold.
        dtype: Dtype,
        /// How many bytes there are.
        found: usize,
    },
    /// Bytes of this machine are not little-endian. Code 11.
    ForeignEndian,
    /// More models than a sum of scaled precisions holds (2²⁶). Code 12.
    TooManyModels {
        /// How many there are.
        found: usize,
    },
    /// A running product was asked for something that its state does not hold. Code 13.
    NothingAbsorbed,
    /// Elements of a strided target may share a place. Code 14.
    Overlap,
    /// A store does not go with the target. Code 15.
    Mismatch(Mismatch),
    /// A store failed. Code 16.
    Store {
        /// The tensor, by its number in the target.
        tensor: usize,
        /// The model whose store it is (0 for targets and the prior mean).
        model: usize,
        /// Which of its stores.
        role: Role,
        /// What the store says.
        error: StoreError,
    },
    /// The scratch does not hold a tile of one element. Code 17.
    Scratch {
        /// How many numbers it takes at least.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// A damping is NaN, infinite or negative. Code 18.
    BadDamping {
        /// What is bad about it.
        defect: Defect,
    },
    /// The scale of an adapter, `α/r`, is NaN or infinite. Code 19.
    BadScale {
        /// What is bad about it.
        defect: Defect,
    },
    /// A call of a Fisher accumulator. Codes 32 to 52.
    Fisher(FisherFault),
    /// A matrix or a product of matrices. Codes 64 to 72.
    Linear(LinearFault),
    /// The merge of structured posteriors of a tensor has no solution. Its code is that of its fault.
    NotSolved {
        /// The tensor, as the caller numbered it.
        tensor: usize,
        /// Why.
        fault: LinearFault,
    },
}

impl From<FisherFault> for Error {
    fn from(fault: FisherFault) -> Self {
        Self::Fisher(fault)
    }
}

impl From<LinearFault> for Error {
    fn from(fault: LinearFault) -> Self {
        Self::Linear(fault)
    }
}

impl Error {
    /// The same with the element counted from the start of the tensor instead of a part of it.
    pub(crate) fn in_part(self, offset: usize) -> Self {
        match self {
            Self::BadNumber { tensor, model, role, index, defect } => {
                Self::BadNumber { tensor, model, role, index: index + offset, defect }
            }
            Self::NoEvidence { tensor, index } => Self::NoEvidence { tensor, index: index + offset },
            other => other,
        }
    }

    /// A number for wires and C callers; it never changes its meaning.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::NoModels => 1,
            Self::Length { .. } => 2,
            Self::NarrowArithmetic { .. } => 3,
            Self::BadWeight { .. } => 4,
            Self::AllWeightsZero => 5,
            Self::BadNumber { .. } => 6,
            Self::NoEvidence { .. } => 7,
            Self::NotRemovable { .. } => 8,
            Self::BadFloor { .. } => 9,
            Self::RaggedBytes { .. } => 10,
            Self::ForeignEndian => 11,
            Self::TooManyModels { .. } => 12,
            Self::NothingAbsorbed => 13,
            Self::Overlap => 14,
            Self::Mismatch(_) => 15,
            Self::Store { .. } => 16,
            Self::Scratch { .. } => 17,
            Self::BadDamping { .. } => 18,
            Self::BadScale { .. } => 19,
            Self::Fisher(fault) => fault.code(),
            Self::Linear(fault) | Self::NotSolved { fault, .. } => fault.code(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoModels => f.write_str("there is no model to merge"),
            Self::Length { tensor, model, role, expected, found } => {
                write!(f, "tensor {tensor}, model {model}: {role} has {found} elements, expected {expected}")
            }
            Self::NarrowArithmetic { tensor, model, role, storage, arithmetic } => {
                write!(f, "tensor {tensor}, model {model}: {role} is stored as {storage}, which {arithmetic} arithmetic cannot hold")
            }
            Self::BadWeight { model, defect } => write!(f, "model {model}: the weight is {defect}, expected zero or more"),
            Self::AllWeightsZero => f.write_str("every weight is zero, expected at least one above zero"),
            Self::BadNumber { tensor, model, role, index, defect } => {
                write!(f, "tensor {tensor}, model {model}: {role} [{index}] is {defect}")
            }
            Self::NoEvidence { tensor, index } => {
                write!(f, "tensor {tensor}: no model has evidence at element {index}, expected a precision above zero")
            }
            Self::NotRemovable { tensor, index } => {
                write!(f, "tensor {tensor}: removal leaves no trustworthy precision at element {index}")
            }
            Self::BadFloor { defect } => write!(f, "the floor is {defect}, expected zero or more"),
            Self::BadDamping { defect } => write!(f, "the damping is {defect}, expected zero or more"),
            Self::BadScale { defect } => write!(f, "the adapter's scale is {defect}, expected a finite number"),
            Self::RaggedBytes { dtype, found } => {
                write!(f, "{found} bytes do not make whole {dtype} numbers of {} bytes", dtype.bytes())
            }
            Self::ForeignEndian => f.write_str("slices of this machine are not little-endian bytes"),
            Self::TooManyModels { found } => write!(f, "{found} models, expected at most 67108864"),
            Self::NothingAbsorbed => f.write_str("nothing was absorbed yet"),
            Self::Overlap => f.write_str("strides let two elements of a target share a place"),
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::Store { tensor, model, role, error } => write!(f, "tensor {tensor}, model {model}: {role}: {error}"),
            Self::Fisher(fault) => fault.fmt(f),
            Self::Linear(fault) => fault.fmt(f),
            Self::NotSolved { tensor, fault } => write!(f, "tensor {tensor}: {fault}"),
            Self::Scratch { needed, found } => write!(f, "the scratch holds {found} numbers, expected at least {needed}"),
        }
    }
}

impl core::error::Error for Error {}
