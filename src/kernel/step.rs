//! The recurrence of every element-wise merge, one element at a time, and its inverse.
//!
//! The state is itself a posterior (Λ, μ). With `p = λF` and `p > 0`:
//!
//! ```text
//! Λ' = Λ + p,   r = p/Λ',   x = (1 − r)·μ + r·μ_m,   μ' = clamp(x, min(μ, μ_m), max(μ, μ_m))
//! ```
//!
//! `p = 0` leaves the state alone; at `Λ = 0` the bits of `μ_m` are copied. This form returns equal means unchanged, stays in the hull and
//! is exact at its end points; the ratio form `ΣλFμ/ΣλF` does the first two only up to rounding, and the centred form
//! `μ + r·(μ_m − μ)` leaves the hull at gains near one. Selections instead of branches, and one unconditional division of operands
//! that were selected before, are what lets it vectorise on every target.

use crate::scalar::Real;

/// `if condition { yes } else { no }` as a value: what a vectorised loop turns into a blend.
#[inline(always)]
pub(crate) fn select<T: Copy>(condition: bool, yes: T, no: T) -> T {
    if condition { yes } else { no }
}

/// `x − x`: zero for a finite number, NaN for any other.
#[inline(always)]
#[allow(clippy::eq_op, reason = "the difference is NaN where x is not finite, which is the point")]
pub(crate) fn residue<R: Real>(x: R) -> R {
    x - x
}

/// Neither NaN nor infinite, in one subtraction and one comparison.
#[inline(always)]
pub(crate) fn is_finite<R: Real>(x: R) -> bool {
    residue(x) == R::ZERO
}

/// Moves `μ` towards `μ_m` by the share `r`, never leaving the two: the median of both and `x`, which clamps `x` between them. Every
/// comparison is with `x`: one of the two means alone would be made in their storage type, and cost a conversion of its outcome.
#[inline(always)]
pub(crate) fn between<R: Real>(mean: R, other: R, r: R) -> R {
    let x = (R::ONE - r) * mean + r * other;
    let (low, high) = (select(mean < x, mean, x), select(mean > x, mean, x));
    let below = select(other < high, other, high);
    select(below > low, below, low)
}

/// Whether numbers are compared by instructions, not by functions.
pub(super) const HAS_FLOATS: bool = cfg!(any(target_pointer_width = "64", target_abi = "eabihf", target_arch = "wasm32"));

/// [`between`] for machines without vectors: most of the time `x` lies between the two, which the signs of its differences tell, or the
/// patterns where a difference is a call.
#[inline(always)]
pub(crate) fn between_strictly<R: Real>(mean: R, other: R, r: R) -> R {
    let x = (R::ONE - r) * mean + r * other;
    let inside = if HAS_FLOATS { R::has_other_sign(x - mean, x - other) } else { x.is_below(mean) != x.is_below(other) };
    if inside { x } else { between(mean, other, r) }
}

/// Absorbs the precision `p` (zero, positive or NaN) with the mean `other` into the state. A sum that leaves the range saturates.
#[inline(always)]
pub(crate) fn absorb<R: Real>(precision: R, mean: R, p: R, other: R) -> (R, R) {
    let some = p != R::ZERO;
    let first = precision == R::ZERO && p > R::ZERO;
    let sum = precision + p;
    let sum = select(sum > R::MAX, R::MAX, sum);
    let r = p / select(some, sum, R::ONE);
    let x = select(first, other, between(mean, other, r));
    (select(some, sum, precision), select(some, x, mean))
}

/// [`absorb`] where `p` and the precision are zero or between the least normal number and the middle of the range, and the means are
/// finite: the same bits with fewer selections. Anything else gives a number that means nothing.
#[inline(always)]
pub(crate) fn absorb_regular<R: Real>(precision: R, mean: R, p: R, other: R) -> (R, R) {
    let sum = precision + p;
    let r = p / select(sum > R::MIN_NORMAL, sum, R::MIN_NORMAL);
    let x = select(precision == R::ZERO, other, between(mean, other, r));
    (sum, select(p == R::ZERO, mean, x))
}

/// [`absorb_regular`] where neither precision is zero.
#[inline(always)]
pub(crate) fn absorb_dense<R: Real>(precision: R, mean: R, p: R, other: R) -> (R, R) {
    let sum = precision + p;
    (sum, between(mean, other, p / sum))
}

/// `a·b` as an unevaluated sum of two numbers, exact for factors of moderate exponents (T. J. Dekker, "A floating-point technique for
/// extending the available precision", 1971). Not `mul_add`: without the instruction that calls a function.
#[inline(always)]
pub(crate) fn exact_product<R: Real>(a: R, b: R) -> (R, R) {
    let halves = |x: R| {
        // 2^⌈p/2⌉ + 1 with p = 24 or 53.
        let split = R::from_f64(if R::DIGITS == 24 { 4097.0 } else { 134_217_729.0 }) * x;
        let high = split - (split - x);
        (high, x - high)
    };
    let product = a * b;
    let ((ah, al), (bh, bl)) = (halves(a), halves(b));
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

/// `a + b` as an unevaluated sum of two numbers, exact (D. E. Knuth, "The Art of Computer Programming", volume 2, 4.2.2).
#[inline(always)]
pub(crate) fn exact_sum<R: Real>(a: R, b: R) -> (R, R) {
    let sum = a + b;
    let back = sum - a;
    (sum, (a - (sum - back)) + (b - back))
}

/// Takes a posterior of precision `λF` and mean `other` out of the state: `Λ' = Λ − λF`, `μ' = μ + (λF/Λ')·(μ − μ_m)`.
///
/// `None` where `Λ' ≤ 2¹⁰·eps·Λ`, that is where rounding errors of the parts that were multiplied would be most of what is left. `λF` is
/// subtracted exactly, so that the error grows with `Λ/Λ'` and not with its square. `None` as well where what is left is no number of the
/// arithmetic. All factors are scaled by powers of two first, so that no intermediate leaves the range.
#[inline]
pub(crate) fn remove<R: Real>(precision: R, mean: R, (weight, fisher): (R, R), other: R) -> Option<(R, R)> {
    if weight == R::ZERO || fisher == R::ZERO {
        return Some((precision, mean));
    }
    // Any other number that is no precision shows in what is left: as NaN, or as not above the least.
    if fisher < R::ZERO {
        return None;
    }
    let ((w, we), (f, fe), (total, te)) = (weight.split(), fisher.split(), precision.split());
    let shift = we + fe - te;
    let (high, low) = exact_product(w, f);
    let (high, low) = (high.times_power_of_two(shift), low.times_power_of_two(shift));
    let left = (total - high) - low;
    let least = R::from_f64(1024.0) * R::epsilon() * total;
    if left.is_nan() || left <= least {
        return None;
    }
    // (μ − μ_m)/2, so that the difference of two huge means stays finite.
    let half = R::from_f64(0.5);
    let difference = half * mean - half * other;
    let x = half * mean + (high / left) * difference;
    let (precision, mean) = (left.times_power_of_two(te), x + x);
    (precision > R::ZERO && is_finite(mean)).then_some((precision, mean))
}
