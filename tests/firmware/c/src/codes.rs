//! What the functions give. The library's own codes are compared with the library when this is compiled.

use fisher_merge::{Defect, Error, Estimator, FisherFault, FisherStructure, Role};

/// Done. The codes above zero are the library's, those below zero of this interface.
pub const FM_OK: i32 = 0;

/// There is no model.
pub const FM_NO_MODELS: i32 = 1;
/// A weight is NaN, infinite or negative.
pub const FM_BAD_WEIGHT: i32 = 4;
/// Every weight is zero, so that nothing takes part.
pub const FM_ALL_WEIGHTS_ZERO: i32 = 5;
/// A mean, a precision or a gradient is NaN or infinite, or a precision is negative.
pub const FM_BAD_NUMBER: i32 = 6;
/// No model has evidence at an element, which FM_REFUSE refuses.
pub const FM_NO_EVIDENCE: i32 = 7;
/// A Fisher's header is of another estimator than observed labels.
pub const FM_FISHER_ESTIMATOR: i32 = 32;
/// A Fisher's header is of another number of parameters or of slots.
pub const FM_FISHER_LENGTH: i32 = 35;
/// A Fisher has no examples yet.
pub const FM_NO_EXAMPLES: i32 = 39;
/// A loss scale is NaN, zero or negative, or its inverse is no normal number.
pub const FM_BAD_LOSS_SCALE: i32 = 42;
/// A Fisher's header has a count of zero where there must be one.
pub const FM_FISHER_ZERO: i32 = 43;
/// The bytes are no header of a Fisher.
pub const FM_FISHER_FOREIGN: i32 = 45;
/// A Fisher's header is of another version.
pub const FM_FISHER_VERSION: i32 = 46;
/// A Fisher's header is of sums of another type than float.
pub const FM_FISHER_ELEMENT: i32 = 47;
/// The counts in a Fisher's header are not those of its state: they do not belong together.
pub const FM_FISHER_COUNTS: i32 = 48;
/// A Fisher's header is of another structure than a diagonal.
pub const FM_FISHER_STRUCTURE: i32 = 52;

/// A pointer is null that must not be.
pub const FM_NULL: i32 = -1;
/// No storage type has this number.
pub const FM_TYPE: i32 = -2;
/// More models than FM_MODELS_MAX.
pub const FM_MODELS: i32 = -3;
/// No policy has this number.
pub const FM_POLICY: i32 = -4;

/// A number that has left its meaning fails the build.
const _: () = {
    const fn is(error: Error, code: i32) {
        assert!(error.code() as i32 == code, "the library has another code for this");
    }
    const fn fisher(fault: FisherFault, code: i32) {
        is(Error::Fisher(fault), code);
    }
    let (defect, estimator, structure) = (Defect::Nan, Estimator::Exact, FisherStructure::Dense);
    is(Error::NoModels, FM_NO_MODELS);
    is(Error::BadWeight { model: 0, defect }, FM_BAD_WEIGHT);
    is(Error::AllWeightsZero, FM_ALL_WEIGHTS_ZERO);
    is(Error::BadNumber { tensor: 0, model: 0, role: Role::Mean, index: 0, defect }, FM_BAD_NUMBER);
    is(Error::NoEvidence { tensor: 0, index: 0 }, FM_NO_EVIDENCE);
    fisher(FisherFault::Estimator { expected: estimator, found: estimator }, FM_FISHER_ESTIMATOR);
    fisher(FisherFault::Length { expected: 0, found: 0 }, FM_FISHER_LENGTH);
    fisher(FisherFault::NoExamples, FM_NO_EXAMPLES);
    fisher(FisherFault::BadWeight { defect }, FM_BAD_LOSS_SCALE);
    fisher(FisherFault::Zero, FM_FISHER_ZERO);
    fisher(FisherFault::Foreign, FM_FISHER_FOREIGN);
    fisher(FisherFault::Version { found: 0 }, FM_FISHER_VERSION);
    fisher(FisherFault::Element { found: 0 }, FM_FISHER_ELEMENT);
    fisher(FisherFault::Counts, FM_FISHER_COUNTS);
    fisher(FisherFault::Structure { expected: structure, found: structure }, FM_FISHER_STRUCTURE);
};
