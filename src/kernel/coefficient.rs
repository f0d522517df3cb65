//! What a model's Fisher is multiplied with: its weight λ over its norm, held so that neither can leave a range.

use crate::scalar::Real;

/// `m · 2^e` with `1 ≤ m < 2`: a positive number without the limits of an exponent field.
///
/// ```
/// use fisher_merge::Magnitude;
/// let norm = Magnitude::new(3.0).unwrap();
/// assert_eq!(norm.as_f64(), 3.0);
/// assert!(Magnitude::new(0.0).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Magnitude {
    pub(crate) mantissa: f64,
    pub(crate) exponent: i32,
}

impl Magnitude {
    /// One.
    pub const ONE: Self = Self { mantissa: 1.0, exponent: 0 };

    /// A positive finite number; `None` for any other.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        if value > 0.0 && value.is_finite() {
            let (mantissa, exponent) = value.split();
            Some(Self { mantissa, exponent })
        } else {
            None
        }
    }

    /// Whether it is one. Patterns, since a comparison of `f64` is a function where there is no hardware for it.
    pub(crate) fn is_one(self) -> bool {
        self.exponent == 0 && self.mantissa.to_bits() == 1.0_f64.to_bits()
    }

    /// `self · 2^shift`.
    #[must_use]
    pub(crate) fn shifted(self, shift: i32) -> Self {
        Self { exponent: self.exponent + shift, ..self }
    }

    /// The nearest `f64`: infinite or zero where its exponent field ends.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.mantissa.times_power_of_two(self.exponent)
    }
}

/// `λ/norm`, rounded once to the arithmetic's significand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coefficient<R: Real> {
    /// Between 1 and 2, or zero for a weight of zero.
    pub(crate) mantissa: R,
    pub(crate) exponent: i32,
    /// Held where memory is plenty; on the way of `merge/narrow.rs` reckoned where it is used, which halves a factor.
    #[cfg(all(target_pointer_width = "64", not(fisher_merge_narrow)))]
    reach: Reach<R>,
}

/// A coefficient in the arithmetic type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach<R> {
    /// The number, saturated at the arithmetic's least positive and its largest one.
    pub(crate) value: R,
    /// Whether `value` is a normal number or zero, and so holds all digits.
    pub(crate) regular: bool,
    /// For Fisher entries between these, λF/norm is surely regular (see `fused`), and so is the sum of two of them. A factor of two inside
    /// of the range, so that both may be rounded to a storage type.
    pub(crate) least: R,
    pub(crate) greatest: R,
}

impl<R: Real> Coefficient<R> {
    /// For a weight that is finite and not negative (any other counts as zero; the door refuses it).
    #[inline]
    pub(crate) fn new(weight: R, norm: Magnitude) -> Self {
        let (mantissa, exponent) = parts(weight, norm);
        Self {
            mantissa,
            exponent,
            #[cfg(all(target_pointer_width = "64", not(fisher_merge_narrow)))]
            reach: Reach::of(mantissa, exponent),
        }
    }

    /// The number in the arithmetic type, if it is zero or surely a normal one: most are.
    #[inline(always)]
    pub(crate) fn inside(&self) -> Option<R> {
        inside(self.mantissa, self.exponent)
    }

    #[cfg(all(target_pointer_width = "64", not(fisher_merge_narrow)))]
    #[inline(always)]
    pub(crate) fn reach(&self) -> Reach<R> {
        self.reach
    }

    #[cfg(not(all(target_pointer_width = "64", not(fisher_merge_narrow))))]
    #[inline(always)]
    pub(crate) fn reach(&self) -> Reach<R> {
        Reach::of(self.mantissa, self.exponent)
    }
}

/// The number, if it is zero or surely a normal one, by its exponent.
#[inline(always)]
fn inside<R: Real>(mantissa: R, exponent: i32) -> Option<R> {
    if mantissa == R::ZERO {
        Some(R::ZERO)
    } else if exponent >= R::MIN_EXPONENT && exponent < -R::MIN_EXPONENT {
        Some(mantissa * R::two_to(exponent))
    } else {
        None
    }
}

impl<R: Real> Reach<R> {
    #[inline(always)]
    fn of(mantissa: R, exponent: i32) -> Self {
        if mantissa == R::ZERO {
            return Self { value: R::ZERO, regular: true, least: R::ONE, greatest: R::ONE };
        }
        let inside = inside(mantissa, exponent);
        let value = inside.unwrap_or_else(|| saturate_product(mantissa, exponent));
        let regular = inside.is_some() || value >= R::MIN_NORMAL && value < R::MAX;
        // What the exponents say, without a division that could leave the range.
        let least = R::ONE.times_power_of_two(1 - exponent + R::MIN_EXPONENT);
        let greatest = R::ONE.times_power_of_two(R::TOP_EXPONENT - 3 - exponent);
        Self { value, regular, least, greatest }
    }
}

/// `m · 2^e` back in the range.
#[cold]
#[inline(never)]
fn saturate_product<R: Real>(mantissa: R, exponent: i32) -> R {
    saturate(mantissa.times_power_of_two(exponent))
}

/// `λ/norm` as a number from 1 to below 2 and an exponent, or zero.
#[inline(never)]
fn parts<R: Real>(weight: R, norm: Magnitude) -> (R, i32) {
    if !(weight > R::ZERO && weight.is_finite()) {
        return (R::ZERO, 0);
    }
    if norm.is_one() { weight.split() } else { quotient(weight, norm) }
}

/// `λ/norm` of a positive weight, rounded once, as a number from 1 to below 2 and an exponent.
#[inline(never)]
fn quotient<R: Real>(weight: R, norm: Magnitude) -> (R, i32) {
    let (mantissa, exponent) = weight.as_f64().split();
    // Both lie in [1, 2); rounding the quotient to R may reach 2 again, which split() normalises.
    let (mantissa, carried) = R::from_f64(mantissa / norm.mantissa).split();
    (mantissa, exponent - norm.exponent + carried)
}

/// A positive result back into the range it left: never zero, never infinite. NaN stays.
#[inline(always)]
pub(crate) fn saturate<R: Real>(value: R) -> R {
    if value == R::ZERO {
        R::TINIEST
    } else if value > R::MAX {
        R::MAX
    } else {
        value
    }
}
