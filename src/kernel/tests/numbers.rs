//! One number or one element at a time: the forms of the recurrence, its inverse, exact sums and products, coefficients.

use super::{means, regular, same, scaled};
use crate::error::{Defect, Role};
use crate::kernel::coefficient::{Coefficient, Magnitude, saturate};
use crate::kernel::scaled::{self, Element, Evidence, defect};
use crate::kernel::step::{absorb, absorb_dense, absorb_regular, between, between_strictly, exact_product, exact_sum, is_finite, remove};
use crate::scalar::Real;

/// Where they overlap, all forms of the recurrence have the same bits.
#[test]
fn the_forms_of_the_recurrence_agree() {
    fn run<R: Real>() {
        for precision in regular::<R>() {
            for p in regular::<R>() {
                for mean in means::<R>() {
                    for other in means::<R>() {
                        let (total, x) = absorb(precision, mean, p, other);
                        let agrees =
                            |(found, y): (R, R)| assert!(found == total && same(x, y), "{precision}, {mean}, {p}, {other}: {x}, {y}");
                        agrees(absorb_regular(precision, mean, p, other));
                        if precision > R::ZERO && p > R::ZERO {
                            agrees(absorb_dense(precision, mean, p, other));
                            agrees((total, between_strictly(mean, other, p / total)));
                        }
                    }
                }
            }
        }
    }
    run::<f32>();
    run::<f64>();
}

/// A share of a half is the middle, whichever of the two comes first; no share leaves the two, and either end is one of them.
#[test]
fn a_step_stays_between_its_means() {
    fn run<R: Real>() {
        for a in means::<R>() {
            for b in means::<R>() {
                for step in [between::<R>, between_strictly::<R>] {
                    assert!(same(step(a, a, R::from_f64(0.3)), a) && step(a, b, R::ZERO) == a && step(a, b, R::ONE) == b);
                    for share in [1e-9, 0.1, 0.3, 0.9, 1.0 - 1e-7] {
                        let found = step(a, b, R::from_f64(share));
                        assert!(found >= a.min(b) && found <= a.max(b), "{a}, {b}, {share}: {found}");
                    }
                }
            }
        }
        assert_eq!(between(R::ONE, R::from_f64(3.0), R::from_f64(0.25)), R::from_f64(1.5));
        assert_eq!(between_strictly(R::from_f64(3.0), R::ONE, R::from_f64(0.25)), R::from_f64(2.5));
    }
    run::<f32>();
    run::<f64>();
}

/// A state without evidence takes the first mean over, the sign of its zero included; no evidence leaves a state alone; what is no number
/// stays none; and a sum beyond the range is the largest number.
#[test]
fn the_ends_of_the_recurrence() {
    fn run<R: Real>() {
        let (one, two) = (R::ONE, R::ONE + R::ONE);
        for mean in means::<R>() {
            for other in means::<R>() {
                let (total, first) = absorb(R::ZERO, mean, R::TINIEST, other);
                assert!(total == R::TINIEST && same(first, other), "{mean}, {other}");
                let (total, kept) = absorb(two, mean, R::ZERO, other);
                assert!(total == two && same(kept, mean));
            }
            let (total, spoilt) = absorb(one, mean, R::nan(), one);
            assert!(total.is_nan() && spoilt.is_nan());
        }
        assert_eq!(absorb(R::MAX, one, R::MAX, two).0, R::MAX);
        assert!(is_finite(R::MAX) && !is_finite(R::infinity()) && !is_finite(R::nan()));
    }
    run::<f32>();
    run::<f64>();
}

/// Integers of 53 digits, in both orders: what an error-free transformation gives is the sum or the product, to the last digit.
#[test]
fn sums_and_products_of_two_numbers_are_exact() {
    let integers = [1_i64 << 52, (1 << 53) - 1, 0x13_5793_579b_df13, 0x1f_ffff_f000_0001, 0x10_0000_0800_0001, -0x15_5555_5555_5555];
    for &a in &integers {
        for &b in &integers {
            #[allow(clippy::cast_precision_loss, reason = "of 53 digits each")]
            let (x, y) = (a as f64, b as f64);
            let whole = |(high, low): (f64, f64)| high as i128 + low as i128;
            assert_eq!(whole(exact_product(x, y)), i128::from(a) * i128::from(b), "{a} · {b}");
            for shift in [0, 1, 20, 52, 60] {
                let far = scaled::<f64>(x, shift);
                assert_eq!(whole(exact_sum(far, y)), (i128::from(a) << shift) + i128::from(b), "{a} · 2^{shift} + {b}");
                assert_eq!(whole(exact_sum(y, far)), (i128::from(a) << shift) + i128::from(b), "{b} + {a} · 2^{shift}");
            }
        }
    }
    // Of 24 digits, judged in f64: it holds their products, and these sums.
    let integers = [8_388_608.0_f32, 16_777_215.0, 11_184_811.0, 12_345_679.0, -8_392_705.0];
    for &a in &integers {
        for &b in &integers {
            let whole = |(high, low): (f32, f32)| f64::from(high) + f64::from(low);
            assert_eq!(whole(exact_product(a, b)), f64::from(a) * f64::from(b));
            assert_eq!(whole(exact_sum(a, 4096.5 * b)), f64::from(a) + f64::from(4096.5 * b));
        }
    }
}

/// Removal refuses up to `2¹⁰·eps` of the state and not a step above; huge means do not leave the range on the way.
#[test]
fn what_can_be_removed() {
    fn run<R: Real>() {
        let (one, number) = (R::ONE, R::from_f64);
        let kept = |steps: f64| one - number(steps) * R::epsilon();
        for scale in [R::MIN_EXPONENT + 30, 0, 90] {
            let state = one.times_power_of_two(scale);
            assert_eq!(remove(state, one, (state, kept(1024.0)), one), None, "2^{scale}");
            let left = (number(1025.0) * R::epsilon()).times_power_of_two(scale);
            assert_eq!(remove(state, one, (state, kept(1025.0)), one), Some((left, one)), "2^{scale}");
            let (half_more, kept) = (number(1.5) * state, |steps: f64| number(1.5) - number(steps) * R::epsilon());
            assert_eq!(remove(half_more, one, (state, kept(1536.0)), one), None, "3/2 · 2^{scale}");
            assert!(remove(half_more, one, (state, kept(1538.0)), one).is_some(), "3/2 · 2^{scale}");
        }
        // Digits of λF beyond the arithmetic's own are subtracted too: 1 − (1 − 2¹¹·eps)² is 2¹²·eps − 2²²·eps².
        let nearly = kept(2048.0);
        let exact = number(4096.0) * R::epsilon() * (one - number(1024.0) * R::epsilon());
        assert_eq!(remove(one, one, (nearly, nearly), one), Some((exact, one)));
        assert_eq!(remove(R::TINIEST, one, (kept(4096.0), R::TINIEST), one), None, "what is left is no number");
        // Precisions 3/2 − 1 and 3 − 3/2, with the same exponent and with another.
        assert_eq!(remove(number(1.5), number(4.0), (one, one), number(5.0)), Some((number(0.5), number(2.0))));
        assert_eq!(remove(number(3.0), number(4.0), (number(0.5), number(3.0)), number(5.0)), Some((number(1.5), number(3.0))));
        // Nothing is removed whatever its numbers are, and nothing from what is no posterior.
        for odd in [R::nan(), R::infinity(), -one, R::ZERO] {
            assert_eq!(remove(one, number(2.0), (R::ZERO, odd), one), Some((one, number(2.0))));
            assert_eq!(remove(one, number(2.0), (one, R::ZERO), odd).map(|state| state.0), Some(one));
            assert_eq!(remove(odd, one, (number(1e-3), one), one), None, "from {odd}");
            if odd != R::ZERO {
                assert_eq!(remove(one, one, (number(1e-3), odd), one), None, "of {odd}");
            }
        }
        // More than there is, by far and by little.
        for much in [one, number(1.1), number(2.0), number(1e9), R::MAX] {
            assert_eq!(remove(one, one, (much, number(1.5)), one), None);
        }
        let high = scaled::<R>(1.5, 1 - R::MIN_EXPONENT);
        let moved = remove(number(9.0), high, (one, one), -high);
        assert_eq!(moved, Some((number(8.0), scaled(1.875, 1 - R::MIN_EXPONENT))));
        assert_eq!(remove(number(9.0), R::MAX, (one, one), -R::MAX), None, "what is left has no finite mean");
    }
    run::<f32>();
    run::<f64>();
}

/// A coefficient is `λ/norm` rounded once, and knows whether the arithmetic holds it. Between its ends a precision surely is regular, as
/// is a sum of two; and not a factor of eight further.
#[test]
fn coefficients_and_their_reach() {
    fn run<R: Real>() {
        let (bottom, top) = (R::MIN_EXPONENT - 60, 60 - R::MIN_EXPONENT);
        for exponent in bottom..=top {
            for weight in [1.0, 1.3, 1.9] {
                let norm = Magnitude::ONE.shifted(-exponent);
                let weight = R::from_f64(weight);
                let coefficient = Coefficient::new(weight, norm);
                assert_eq!((coefficient.mantissa, coefficient.exponent), (weight, exponent));
                let (reach, value) = (coefficient.reach(), weight.times_power_of_two(exponent));
                assert_eq!((reach.value, reach.regular), (saturate(value), value >= R::MIN_NORMAL && value <= R::MAX), "2^{exponent}");
                let (low, high) = (reach.value * reach.least, reach.value * reach.greatest);
                let eight = R::from_f64(8.0);
                if reach.regular && reach.least >= R::MIN_NORMAL {
                    assert!(low >= R::MIN_NORMAL && low < eight * R::MIN_NORMAL, "2^{exponent}: {low} is no least");
                }
                if reach.regular && is_finite(reach.greatest) {
                    assert!(high + high <= R::TOP && high * eight >= R::TOP, "2^{exponent}: {high} is no greatest");
                }
                if reach.regular && reach.least < R::MIN_NORMAL {
                    assert!(R::MIN_NORMAL * reach.value > R::MIN_NORMAL, "2^{exponent}: no normal entry is below it");
                }
            }
        }
        // Rounded once, and to two at most.
        let third = Coefficient::new(R::ONE, Magnitude::new(3.0).unwrap());
        assert_eq!((third.reach().value, third.exponent), (R::ONE / R::from_f64(3.0), -2));
        let below = Magnitude { mantissa: 1.0 + f64::EPSILON, exponent: 0 };
        let almost = Coefficient::new(R::from_f64(2.0), below);
        assert_eq!(almost.reach().value, R::from_f64(2.0 / (1.0 + f64::EPSILON)));
        assert!(almost.mantissa >= R::ONE && almost.mantissa < R::from_f64(2.0));
        for none in [R::ZERO, -R::ONE, R::nan(), R::infinity()] {
            let nothing = Coefficient::new(none, Magnitude::ONE);
            assert_eq!((nothing.mantissa, nothing.reach().value, nothing.reach().regular), (R::ZERO, R::ZERO, true));
        }
    }
    run::<f32>();
    run::<f64>();
}

#[test]
fn magnitudes_and_saturation() {
    assert_eq!(Magnitude::new(6.0), Some(Magnitude { mantissa: 1.5, exponent: 2 }));
    for none in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Magnitude::new(none), None);
    }
    let six = Magnitude::new(6.0).unwrap();
    assert_eq!((six.as_f64(), six.shifted(-3).as_f64(), six.shifted(2000).as_f64()), (6.0, 0.75, f64::INFINITY));
    assert!(Magnitude::ONE.is_one() && !Magnitude::ONE.shifted(1).is_one() && !six.shifted(-2).is_one());
    for kept in [f32::MAX, f32::from_bits(1), 1.0] {
        assert_eq!(saturate(kept), kept);
    }
    assert_eq!((saturate(0.0_f32), saturate(f32::INFINITY)), (f32::from_bits(1), f32::MAX));
    assert!(saturate(f32::NAN).is_nan());
}

/// The scaled recurrence of one element: `(λ, F, μ)` of every model.
fn merged<R: Real>(models: &[(f64, R, f64)]) -> Element<R> {
    let evidence = |&(weight, fisher, mean): &(f64, R, f64)| Evidence {
        coefficient: Coefficient::new(R::from_f64(weight), Magnitude::ONE),
        fisher,
        mean: R::from_f64(mean),
    };
    scaled::merge(models.iter().map(evidence), R::from_f64(7.0))
}

/// At any scale the scaled recurrence gives the same mean, and says where its precision is no normal number.
#[test]
fn the_scaled_recurrence_has_no_scale() {
    fn run<R: Real>() {
        let (number, two) = (R::from_f64, R::ONE + R::ONE);
        let digits = i32::try_from(R::DIGITS).unwrap();
        for exponent in R::MIN_EXPONENT - digits + 3..=-R::MIN_EXPONENT {
            let one = scaled::<R>(1.0, exponent);
            let Element { mean, precision, out_of_range } = merged(&[(1.0, one, 1.0), (0.5, R::ZERO, 50.0), (0.5, one + one, 3.0)]);
            assert_eq!((mean, precision), (two, one + one), "2^{exponent}");
            assert_eq!(out_of_range, one + one < R::MIN_NORMAL, "2^{exponent}");
        }
        let sole = |fisher: R| {
            let Element { mean, precision, out_of_range } = merged(&[(1.0, fisher, 3.0)]);
            assert_eq!(mean, number(3.0));
            (precision, out_of_range)
        };
        let below = R::MIN_NORMAL - R::TINIEST;
        assert_eq!((sole(R::MIN_NORMAL), sole(below), sole(R::TINIEST)), ((R::MIN_NORMAL, false), (below, true), (R::TINIEST, true)));
        assert_eq!(sole(R::MAX), (R::MAX, false));
        let both = merged(&[(1.0, R::MAX, 1.0), (1.0, R::MAX, 3.0)]);
        assert_eq!((both.mean, both.precision, both.out_of_range), (two, R::MAX, true));
        let less = merged(&[(0.25, R::TINIEST, 1.0), (0.125, R::TINIEST, 1.0)]);
        assert_eq!((less.mean, less.precision, less.out_of_range), (R::ONE, R::TINIEST, true));
        // No evidence keeps the target, and is nothing out of range; a weight of zero is none.
        for models in [&[(1.0, R::ZERO, 3.0)][..], &[(1.0, -R::ZERO, 3.0), (0.0, R::ONE, 4.0)], &[]] {
            let Element { mean, precision, out_of_range } = merged(models);
            assert_eq!((mean, precision, out_of_range), (number(7.0), R::ZERO, false));
        }
        for odd in [R::nan(), R::infinity(), -R::ONE, -R::TINIEST] {
            let spoilt = merged(&[(1.0, R::ONE, 3.0), (1.0, odd, 3.0)]);
            assert!(spoilt.mean.is_nan() && spoilt.precision.is_nan() && !spoilt.out_of_range, "{odd}");
        }
    }
    run::<f32>();
    run::<f64>();
}

#[test]
fn defects_have_names() {
    for role in [Role::Mean, Role::Precision] {
        assert_eq!((defect(f32::NAN, role), defect(f32::INFINITY, role)), (Some(Defect::Nan), Some(Defect::Infinite)));
        assert_eq!((defect(-f32::INFINITY, role), defect(0.0_f32, role), defect(-0.0_f32, role)), (Some(Defect::Infinite), None, None));
        assert_eq!(defect(1.5_f32, role), None);
    }
    assert_eq!((defect(-1e-45_f32, Role::Precision), defect(-1e-45_f32, Role::Mean)), (Some(Defect::Negative), None));
}
