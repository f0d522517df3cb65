//! One element at a time, with its precisions scaled by a common power of two: the form for numbers at the ends of the range.
//!
//! Every `λF` is taken as a rounded significand and an exponent of any size. The largest is put at `2^TOP_EXPONENT` and the others
//! follow it, so that a sum of 2²⁶ of them is finite, while anything that underflows is at least `2²²⁶` (`f32`) times smaller than the
//! largest and cannot move the mean by a rounding error; it still counts as evidence. The outcome does not depend on the scale of the
//! Fishers. Where all `λF` are regular (see `fused`), all are normal numbers here as well, so every quotient, and with it every bit of the
//! mean, is that of the unscaled form.

use super::NARROW;
use super::coefficient::{Coefficient, saturate};
use super::step::{HAS_FLOATS, absorb, is_finite};
use crate::error::{Defect, Role};
use crate::scalar::Real;

/// What is wrong with a number that must be finite, and also not negative where it is a precision.
#[inline]
pub(crate) fn defect<R: Real>(value: R, role: Role) -> Option<Defect> {
    if value.is_nan() {
        Some(Defect::Nan)
    } else if value.is_infinite() {
        Some(Defect::Infinite)
    } else if role == Role::Precision && value < R::ZERO {
        Some(Defect::Negative)
    } else {
        None
    }
}

/// One model's part of an element. `fisher` is floored already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<R: Real> {
    pub(crate) coefficient: Coefficient<R>,
    pub(crate) fisher: R,
    pub(crate) mean: R,
}

/// The posterior of one element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<R: Real> {
    pub(crate) mean: R,
    pub(crate) precision: R,
    /// The precision is no normal number of `R`: subnormal, or saturated at either end.
    pub(crate) out_of_range: bool,
}

/// `λF` as a significand between 1 and 2 and an exponent, or `None` where it is zero.
#[inline]
fn product<R: Real>(evidence: &Evidence<R>) -> Option<(R, i32)> {
    if evidence.coefficient.mantissa == R::ZERO || evidence.fisher == R::ZERO {
        return None;
    }
    let (fisher, exponent) = evidence.fisher.split();
    let (significand, carried) = (evidence.coefficient.mantissa * fisher).split();
    Some((significand, evidence.coefficient.exponent + exponent + carried))
}

/// [`absorb`] of a precision that may have left the range.
#[inline(always)]
fn absorb_saturated<R: Real>(precision: R, mean: R, p: R, other: R) -> (R, R) {
    absorb(precision, mean, saturate(p), other)
}

/// The same as a function of its own: what it compares with then needs no registers around the calls of a loop, nor room on the stack to
/// save them.
#[inline(never)]
fn absorb_apart<R: Real>(precision: R, mean: R, p: R, other: R) -> (R, R) {
    absorb_saturated(precision, mean, p, other)
}

/// The recurrence over all models of one element; `target` is what it starts from. A precision that is NaN, infinite or negative makes
/// both results NaN.
#[inline]
pub(crate) fn merge<R: Real>(models: impl Iterator<Item = Evidence<R>> + Clone, target: R) -> Element<R> {
    let (mut largest, mut precision, mut mean) = (i32::MIN, R::ZERO, target);
    let mut absorbing = false;
    // One loop for both passes: half of its code where memory for programs is scarce.
    loop {
        for evidence in models.clone() {
            if !(is_finite(evidence.fisher) && evidence.fisher >= R::ZERO) {
                return Element { mean: R::nan(), precision: R::nan(), out_of_range: false };
            }
            let Some((significand, exponent)) = product(&evidence) else { continue };
            if absorbing {
                let p = significand.times_power_of_two(exponent - largest + R::TOP_EXPONENT);
                (precision, mean) = if NARROW && HAS_FLOATS {
                    absorb_apart(precision, mean, p, evidence.mean)
                } else {
                    absorb_saturated(precision, mean, p, evidence.mean)
                };
            } else {
                largest = largest.max(exponent);
            }
        }
        if absorbing {
            break;
        }
        absorbing = true;
    }
    if precision == R::ZERO {
        return Element { mean, precision, out_of_range: false };
    }
    let unscaled = precision.times_power_of_two(largest - R::TOP_EXPONENT);
    let out_of_range = unscaled < R::MIN_NORMAL || unscaled > R::MAX;
    Element { mean, precision: saturate(unscaled), out_of_range }
}
