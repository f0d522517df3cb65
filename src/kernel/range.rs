//! The last look at a block before a narrower storage type takes it.

use super::step::{is_finite, select};
use crate::scalar::{Dtype, Real};

/// How many finite numbers of a block become infinite in `storage`.
#[inline(always)]
pub(crate) fn overflows<R: Real>(values: &[R], storage: Dtype) -> u64 {
    let limit = R::from_f64(storage.range().overflow);
    let mut count = R::Lane::default();
    for &value in values {
        count += R::Lane::from((value >= limit || value <= -limit) && is_finite(value));
    }
    count.into()
}

/// Saturates the precisions of a block at the ends of `storage`: none becomes infinite, and none above zero becomes zero. Counts them.
#[inline(always)]
pub(crate) fn saturate_precisions<R: Real>(values: &mut [R], storage: Dtype) -> u64 {
    let range = storage.range();
    let (tiniest, largest, limit) = (R::from_f64(range.tiniest), R::from_f64(range.largest), R::from_f64(range.overflow));
    // What lies at or below half a step rounds to zero (ties to even).
    let half = tiniest * R::from_f64(0.5);
    let mut count = R::Lane::default();
    for value in values {
        let (low, high) = (*value > R::ZERO && *value <= half, *value >= limit);
        count += R::Lane::from(low || high);
        *value = select(high, largest, select(low, tiniest, *value));
    }
    count.into()
}
