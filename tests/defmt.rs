//! What firmware may log.
#![cfg(feature = "defmt")]

use fisher_merge::{
    CompactCount, Cursor, Defect, Dtype, Error, Estimator, Fault, FisherFault, FisherRecord, FisherStructure, LinearFault, Method,
    Mismatch, Outcome, Pass, Role, Solved, StoreError, StoreErrorKind, Summary,
};

const fn logged<T: defmt::Format>() {}

/// It compiles.
#[test]
fn errors_and_summaries_have_a_format() {
    logged::<(Error, FisherFault, LinearFault, Mismatch, StoreError)>();
    logged::<(Role, Defect, Estimator, FisherStructure, Fault, StoreErrorKind, Dtype)>();
    logged::<(Summary, FisherRecord, CompactCount, Outcome, Cursor, Pass, Solved, Method)>();
}
