//! Promise 7: posterior in, posterior out. What comes back says which precision was used, products chain, and what was multiplied in can be divided out.

use fisher_merge::{Error, Factor, Merge, NoEvidence, Posterior, Precision, RunningProduct, from_natural, to_natural};
use proptest::prelude::*;

use crate::common::exact::{Evidence, Exact, Ratio, largest_mean, natural_product, product_mean};
use crate::common::generators::{Arithmetic, Kind, check, number};
use crate::common::tolerance::{self, Tolerance};
use crate::harness::{FEW, Lent, Rule, Storage, cases, every_storage, rules};

/// A product, or a factor of one, of one element.
type State<R> = (R, R);

fn exact<R: Arithmetic>(value: R) -> Exact {
    Exact::of(value.as_f64())
}

/// λ, Λ, μ.
fn factors_of<R: Arithmetic>(kind: Kind, models: core::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<(R, R, R)>> {
    let one = move |signed| number(R::DTYPE, kind, signed).prop_map(R::from_pattern);
    prop::collection::vec((one(false), one(false), one(true)), models)
}

/// The same of ordinary size, all positive precisions.
fn factors<R: Arithmetic>(models: core::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<(R, R, R)>> {
    factors_of(Kind::Ordinary, models)
}

fn evidence<R: Arithmetic>(factors: &[(R, R, R)]) -> Vec<Evidence> {
    factors.iter().map(|&(weight, precision, mean)| (exact(weight), exact(precision), exact(mean))).collect()
}

/// Fused product of one element.
fn product<R: Arithmetic>(factors: &[(R, R, R)]) -> State<R> {
    let slices: Vec<([R; 1], [R; 1])> = factors.iter().map(|&(_, precision, mean)| ([precision], [mean])).collect();
    let lent: Vec<Factor<&[R], &[R], R>> =
        slices.iter().zip(factors).map(|((p, m), factor)| Posterior::diagonal(&m[..], &p[..]).unwrap().power(factor.0)).collect();
    let (mut mean, mut precision) = ([R::nan()], [R::nan()]);
    let summary = Merge::new().run_with_precision(&lent, &mut mean[..], &mut precision[..]).unwrap();
    assert_eq!(summary.out_of_range, 0, "nothing leaves the normal range here");
    (precision[0], mean[0])
}

/// Absorbs into a running product of one element.
fn absorb<R: Arithmetic>(product: &mut RunningProduct<'_, R>, &(weight, precision, mean): &(R, R, R)) -> Result<(), Error> {
    product.absorb(&Posterior::diagonal(&[mean][..], &[precision][..]).unwrap().power(weight))
}

fn remove<R: Arithmetic>(product: &mut RunningProduct<'_, R>, &(weight, precision, mean): &(R, R, R)) -> Result<(), Error> {
    product.remove(&Posterior::diagonal(&[mean][..], &[precision][..]).unwrap().power(weight))
}

fn within<R: Arithmetic>(tolerance: &Tolerance, models: usize, exact: &Ratio, (result, size): (R, &Exact)) -> Result<(), TestCaseError> {
    let (result, bound) = (Exact::of(result.as_f64()), tolerance.of::<R>(models, size).max(tolerance::min_normal::<R>()));
    prop_assert!(exact.within(&result, &bound), "{:?} is exceeded: {:.3}", tolerance, exact.used(&result, &bound));
    Ok(())
}

/// The precision that comes back is `Σ λ·max(F, floor)/norm`; the summary says whether a norm or a floor took part, and how often.
fn flags<R: Arithmetic, S: Storage<R>>() {
    check(64, (cases::<R, S>(1..=5_usize, 1..=FEW, (Kind::WithZeros, Kind::WithZeros)), rules::<R>()), |(case, rule)| {
        prop_assume!(case.takes_part());
        let rule: Rule<R> = Rule { conditioning: rule.conditioning, ..Rule::new(crate::harness::Policy::KeepTarget) };
        let lent = Lent::<R, S>::new(&case);
        let factors = lent.factors(&rule.conditioning);
        let takes_part = |model: &usize| case.models[*model].weight > R::ZERO;
        let active: Vec<usize> = (0..case.models.len()).filter(takes_part).collect();
        let low = |&model: &usize| {
            let floor = exact(factors[model].floor());
            (0..case.count).filter(|&index| case.models[model].fisher.exact(index).unwrap() < floor).count() as u64
        };
        let floored = if active.len() > 1 { active.iter().map(low).sum() } else { 0 };
        let normalized = active.iter().any(|&model| factors[model].norm() != fisher_merge::Magnitude::ONE);
        let merged = lent.fused_wide(&rule).unwrap();
        prop_assert_eq!((merged.summary.floored, merged.summary.normalized), (floored, normalized));
        prop_assert_eq!(merged.summary.elements, case.count as u64);
        prop_assert_eq!(lent.running(&rule).unwrap().summary.normalized, normalized);
        Ok(())
    });
}

#[test]
fn promise_07_precision_is_flagged() {
    every_storage!(flags);
}

/// Products in two brackets and in two orders, fused and running: each near the exact product, and near one another.
fn chains<R: Arithmetic>() {
    check(512, (factors::<R>(2..=12), any::<prop::sample::Index>(), any::<u64>()), |(factors, cut, shuffle)| {
        let models = evidence(&factors);
        let (mean, largest, count) = (product_mean(&models).unwrap(), largest_mean(&models), models.len());
        let (front, back) = factors.split_at(cut.index(factors.len() - 1) + 1);
        let (a, b) = (product(front), product(back));
        let bracketed = product(&[(R::ONE, a.0, a.1), (R::ONE, b.0, b.1)]);
        let mut shuffled = factors.clone();
        for index in (1..count).rev() {
            shuffled.swap(index, usize::try_from(shuffle.rotate_left(5 * u32::try_from(index).unwrap()) % (index as u64 + 1)).unwrap());
        }
        let whole = product(&factors);
        for other in [bracketed, product(&shuffled), combined(front, back)] {
            within(&tolerance::MEAN, count, &mean, (other.1, &largest))?;
            within(&tolerance::REORDERED, count, &Ratio::whole(exact(whole.1)), (other.1, &largest))?;
            let total = natural_product(&models).0;
            within(&tolerance::PRECISION, count, &Ratio::whole(total.clone()), (other.0, &total))?;
        }
        Ok(())
    });
}

/// Two running products, combined.
fn combined<R: Arithmetic>(front: &[(R, R, R)], back: &[(R, R, R)]) -> State<R> {
    let (mut first, mut second) = (([R::nan()], [R::nan()]), ([R::nan()], [R::nan()]));
    let mut left = RunningProduct::start(&mut first.0, &mut first.1, NoEvidence::KeepTarget).unwrap();
    let mut right = RunningProduct::start(&mut second.0, &mut second.1, NoEvidence::KeepTarget).unwrap();
    front.iter().for_each(|factor| absorb(&mut left, factor).unwrap());
    back.iter().for_each(|factor| absorb(&mut right, factor).unwrap());
    left.combine(&right).unwrap();
    assert_eq!((left.absorbed(), left.summary().out_of_range), (front.len() + back.len(), 0));
    (first.0[0], first.1[0])
}

#[test]
fn promise_07_products_chain() {
    chains::<f32>();
    chains::<f64>();
}

/// A removal from any state is within its bound of the exact quotient, and refused where almost nothing of the precision is left; then the state keeps its bits.
fn removes<R: Arithmetic>(kind: Kind) {
    let near = (0..20_u32, any::<bool>());
    check(1024, (factors_of::<R>(kind, 2..=2), near), |(mut pair, (bits, close))| {
        prop_assume!(pair[0].1 > R::ZERO);
        if close {
            // A factor that is nearly the whole product: 1 − 2^−bits of it. With a weight of its own, so that λΛ is no number of the arithmetic.
            let nearly = pair[0].1 * (R::ONE - R::from_f64(2f64.powi(-i32::try_from(bits).unwrap())));
            let divided = nearly / pair[1].0;
            pair[1].1 = if divided.is_finite() { divided } else { nearly };
        }
        let (state, factor) = ((pair[0].1, pair[0].2), pair[1]);
        let (mut precision, mut mean) = ([state.0], [state.1]);
        let mut product = RunningProduct::resume(&mut precision, &mut mean, NoEvidence::KeepTarget, (R::from_f64(100.0), 2)).unwrap();
        let outcome = remove(&mut product, &factor);
        let models = [(exact(R::ONE), exact(state.0), exact(state.1)), (-&exact(factor.0), exact(factor.1), exact(factor.2))];
        let (left, precision_mean) = natural_product(&models);
        let least = &exact(state.0) * &Exact::scaled(1024, -i64::from(R::DIGITS) + 1);
        if outcome.is_err() {
            prop_assert_eq!(outcome, Err(Error::NotRemovable { tensor: 0, index: 0 }));
            // What is left was rounded before it was compared; and a mean or a precision out of the range may be refused instead.
            let beyond = precision_mean.abs() > &exact(R::MAX) * &left || left < tolerance::min_normal::<R>();
            prop_assert!(beyond || left <= &least + &tolerance::REMOVAL_PRECISION.of::<R>(1, &least), "refused {}", left.approximate());
            prop_assert_eq!((precision[0].pattern_bits(), mean[0].pattern_bits()), (state.0.pattern_bits(), state.1.pattern_bits()));
            return Ok(());
        }
        prop_assert!(left > &least - &tolerance::REMOVAL_PRECISION.of::<R>(1, &least), "removed what it could not");
        prop_assert!(precision[0] > R::ZERO && precision[0].is_finite() && mean[0].is_finite(), "left {} and {}", precision[0], mean[0]);
        let bound = &tolerance::REMOVAL_PRECISION.of::<R>(1, &left) + &tolerance::half_ulp(&Exact::zero(), R::DTYPE);
        prop_assert!(
            Ratio::whole(left.clone()).within(&exact(precision[0]), &bound),
            "{} is left for {}",
            precision[0],
            left.approximate()
        );
        within_ratio::<R>(
            &tolerance::REMOVAL,
            1,
            &Ratio::new(precision_mean, left).unwrap(),
            mean[0],
            (&exact(state.0), &largest_mean(&models)),
        )
    });
}

/// `|result − num/den| ≤ tolerance · (Λ/den)·max|μ|`, multiplied out with `den`.
fn within_ratio<R: Arithmetic>(
    tolerance: &Tolerance,
    models: usize,
    exact: &Ratio,
    result: R,
    (total, largest): (&Exact, &Exact),
) -> Result<(), TestCaseError> {
    let result = Exact::of(result.as_f64());
    let error = (&(&result * &exact.den) - &exact.num).abs();
    let bound = &tolerance.of::<R>(models, &(total * largest)) + &(&tolerance::min_normal::<R>() * &exact.den);
    prop_assert!(error <= bound, "{:?} is exceeded: {}", tolerance, Ratio::whole(Exact::zero()).used(&error, &bound));
    Ok(())
}

#[test]
fn promise_07_removal_keeps_its_bound_or_refuses() {
    removes::<f32>(Kind::Ordinary);
    removes::<f64>(Kind::Ordinary);
}

/// The same all over the range: what is left is a posterior, with a finite mean and a precision above zero.
#[test]
fn promise_07_removal_at_the_ends_of_the_range() {
    removes::<f32>(Kind::Wild);
    removes::<f64>(Kind::Wild);
}

/// What is left after a removal goes on as a posterior: absorbing more gives the product of both, also where as many factors were divided out as multiplied in.
fn goes_on<R: Arithmetic>() {
    check(512, factors::<R>(4..=4), |mut factors| {
        // A second part of the first model's precision, so that it can be divided out again.
        factors[1].1 = factors[0].1;
        factors[1].0 = factors[0].0 * R::from_f64(0.25);
        let (mut precision, mut mean) = ([R::nan()], [R::nan()]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
        absorb(&mut product, &factors[0]).unwrap();
        remove(&mut product, &factors[1]).unwrap();
        let Precision::Diagonal(left) = product.posterior().precision() else { unreachable!("a product is diagonal") };
        let state = (R::ONE, left[0], product.posterior().mean()[0]);
        for factor in &factors[2..] {
            absorb(&mut product, factor).unwrap();
        }
        prop_assert!(product.finish().is_ok());
        let models = evidence(&[state, factors[2], factors[3]]);
        within(&tolerance::MEAN, 3, &product_mean(&models).unwrap(), (mean[0], &largest_mean(&models)))?;
        let total = natural_product(&models).0;
        within(&tolerance::PRECISION, 3, &Ratio::whole(total.clone()), (precision[0], &total))
    });
}

#[test]
fn promise_07_what_is_left_goes_on() {
    goes_on::<f32>();
    goes_on::<f64>();
}

/// A prior that every posterior carried, counted once, against the exact `Λ_0 + Σ λ(Λ_m − Λ_0)` and its mean.
fn prior_once<R: Arithmetic>() {
    check(512, (factors::<R>(1..=6), factors::<R>(1..=1)), |(mut factors, prior)| {
        let (_, prior_precision, prior_mean) = prior[0];
        for factor in &mut factors {
            factor.1 = factor.1 + prior_precision;
        }
        let (mut precision, mut mean) = ([R::nan()], [R::nan()]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
        factors.iter().for_each(|factor| absorb(&mut product, factor).unwrap());
        let mut models = evidence(&factors);
        let total = natural_product(&models).0;
        let copies = models.iter().fold(Exact::scaled(1, 0), |copies, (weight, ..)| &copies - weight);
        models.push((copies, exact(prior_precision), exact(prior_mean)));
        let (left, precision_mean) = natural_product(&models);
        let (total, largest) = (total.max(left.clone()), largest_mean(&models));
        // The weights need not sum to a number of the arithmetic: where almost nothing is left, that rounding alone may refuse or admit.
        prop_assume!(left > &total * &Exact::scaled(1, -8));
        product.count_prior_once(&Posterior::diagonal(&[prior_mean][..], &[prior_precision][..]).unwrap()).unwrap();
        prop_assert_eq!((product.weight(), product.absorbed()), (R::ONE, factors.len()));
        // CHAIN is of (Λ/Λ')²: multiplied out with Λ'².
        let result = exact(mean[0]);
        let error = &(&(&result * &left) - &precision_mean).abs() * &left;
        let bound = tolerance::CHAIN.of::<R>(factors.len() + 1, &(&(&total * &total) * &largest));
        prop_assert!(error <= bound, "{:?} is exceeded: {}", tolerance::CHAIN, Ratio::whole(Exact::zero()).used(&error, &bound));
        Ok(())
    });
}

#[test]
fn promise_07_prior_is_counted_once() {
    prior_once::<f32>();
    prior_once::<f64>();
}

/// A power leaves the mean alone and multiplies precision and weight; it keeps out what would leave nothing.
fn raises<R: Arithmetic>() {
    check(256, factors::<R>(2..=2), |factors| {
        let ((power, state, mean), weight) = (factors[0], factors[1].0);
        let (mut precision, mut means) = ([state, R::ZERO], [mean, mean]);
        let mut product = RunningProduct::resume(&mut precision, &mut means, NoEvidence::KeepTarget, (weight, 3)).unwrap();
        product.raise(power).unwrap();
        let (exact_precision, exact_weight) = (&exact(state) * &exact(power), &exact(weight) * &exact(power));
        let raised = product.weight();
        prop_assert_eq!(product.summary().out_of_range, 0);
        prop_assert_eq!(product.raise(R::ZERO), Err(Error::AllWeightsZero));
        within(&tolerance::POWER, 1, &Ratio::whole(exact_weight.clone()), (raised, &exact_weight))?;
        within(&tolerance::POWER, 1, &Ratio::whole(exact_precision.clone()), (precision[0], &exact_precision))?;
        prop_assert_eq!((precision[1], means), (R::ZERO, [mean, mean]));
        Ok(())
    });
}

/// At the ends of the range a power saturates, precision and weight alike: neither becomes zero nor infinite.
#[test]
fn promise_07_power_at_the_ends_of_the_range() {
    fn run<R: Arithmetic>() {
        check(256, factors_of::<R>(Kind::Wild, 2..=2), |factors| {
            let ((power, state, mean), weight) = (factors[0], factors[1].0);
            prop_assume!(power > R::ZERO && weight > R::ZERO);
            let (mut precision, mut means) = ([state], [mean]);
            let mut product = RunningProduct::resume(&mut precision, &mut means, NoEvidence::KeepTarget, (weight, 3)).unwrap();
            product.raise(power).unwrap();
            let raised = product.weight();
            prop_assert!(raised > R::ZERO && raised.is_finite(), "weight {}", raised);
            prop_assert_eq!((precision[0] > R::ZERO, precision[0].is_finite(), means), (state > R::ZERO, true, [mean]));
            Ok(())
        });
    }
    run::<f32>();
    run::<f64>();
}

#[test]
fn promise_07_power_keeps_the_mean() {
    raises::<f32>();
    raises::<f64>();
}

/// Natural parameters and back.
fn natural<R: Arithmetic>() {
    let any = |signed| number(R::DTYPE, Kind::Wild, signed).prop_map(R::from_pattern);
    check(1024, (any(false), any(true)), |(precision, mean)| {
        let (mut eta, mut back) = ([R::nan()], [mean]);
        let there = to_natural(&[precision], &[mean], &mut eta).unwrap();
        prop_assert_eq!(there.no_evidence, u64::from(precision == R::ZERO));
        let product = &exact(precision) * &exact(mean);
        let normal = product.is_zero() || product.abs() >= tolerance::min_normal::<R>();
        // Rounding to the least normal number or to infinity happens a little inside of them.
        prop_assert_eq!(
            there.out_of_range == 0,
            normal && eta[0].is_finite()
                || product.abs().log2() == tolerance::min_normal::<R>().log2().map(|log| log - 1) && there.out_of_range == 0
        );
        if there.out_of_range == 0 {
            let again = from_natural(&[precision], &eta, &mut back).unwrap();
            prop_assert_eq!(again.no_evidence, u64::from(precision == R::ZERO));
            let size = exact(mean).abs();
            if precision == R::ZERO || again.out_of_range > 0 {
                return Ok(());
            }
            let bound = tolerance::NATURAL.of::<R>(1, &size).max(tolerance::min_normal::<R>());
            prop_assert!(Ratio::whole(exact(mean)).within(&exact(back[0]), &bound));
        }
        Ok(())
    });
}

#[test]
fn promise_07_natural_parameters_and_back() {
    natural::<f32>();
    natural::<f64>();
}
