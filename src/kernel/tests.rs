//! Unit tests: what the loops report and where their forms agree, element by element. Whole merges are judged from outside.
//!
//! Nothing is drawn: short lists of numbers at the edges of what the loops tell apart, in all combinations.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics is a test that fails")]
#![allow(clippy::float_cmp, reason = "bits are what is promised")]

extern crate alloc;
extern crate std;

mod blocks;
mod numbers;
mod statistics;

use alloc::vec;
use alloc::vec::Vec;

use crate::scalar::Real;

/// A power of two times a number.
fn scaled<R: Real>(value: f64, exponent: i32) -> R {
    R::from_f64(value).times_power_of_two(exponent)
}

/// Zero and precisions that are regular, up to half of the top, so that sums of two are as well.
fn regular<R: Real>() -> Vec<R> {
    let (least, half) = (R::MIN_NORMAL, R::TOP * R::from_f64(0.5));
    vec![R::ZERO, least, least * R::from_f64(1.7), R::from_f64(0.3), R::ONE, R::from_f64(5.3), R::from_f64(1e9), half]
}

/// Finite means.
fn means<R: Real>() -> Vec<R> {
    let positive = [R::ZERO, R::TINIEST, R::MIN_NORMAL, R::ONE, R::ONE + R::epsilon(), R::from_f64(1.1), R::from_f64(7e8), R::MAX];
    positive.into_iter().chain(positive.map(|x| -x)).collect()
}

/// The same number with the same sign.
fn same<R: Real>(a: R, b: R) -> bool {
    a == b && a.is_sign_negative() == b.is_sign_negative()
}
