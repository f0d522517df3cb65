//! Promise 6: the error against the exact rational answer, for ordinary, subnormal, tiny, huge and adversarial numbers.

use fisher_merge::{Dtype, Error, LeBytes, Merge, NoEvidence, Posterior, Role, RunningProduct, Summary};
use proptest::prelude::*;

use crate::common::exact::{Evidence, Exact, Ratio, largest_mean, layout, natural_product, product_mean, tiniest_exponent};
use crate::common::generators::{Arithmetic, Case, DTYPES, Kind, Numbers, check, model_counts};
use crate::common::tolerance;
use crate::harness::{Bytes, FEW, Lent, Outcome, Policy, Rule, Storage, cases, every_storage, output};

/// The largest finite number of a storage type.
fn largest_number(dtype: Dtype) -> Exact {
    let (fraction, exponent) = layout(dtype);
    Exact::from_pattern(dtype, (((1 << exponent) - 1) << fraction) - 1).unwrap()
}

/// Judges one mean. An infinite one is right only if the exact one, give or take the bound, does not fit its storage.
fn judge_mean<R: Arithmetic>(models: &[Evidence], found: &Numbers, index: usize) -> Result<(), TestCaseError> {
    let Some(exact) = product_mean(models) else { return Ok(()) };
    let (largest, dtype) = (largest_mean(models), found.dtype);
    let Some(result) = found.exact(index) else {
        let (most, negative) = (largest_number(dtype), !exact.num.is_positive());
        let bound = tolerance::mean_bound::<R>(models.len(), &largest, (&most, dtype));
        let edge = if negative { -&most } else { most };
        let beyond = Ratio { num: exact.num.abs(), den: exact.den.clone() }.num >= &(&edge.abs() - &bound) * &exact.den;
        prop_assert!(dtype != R::DTYPE && beyond, "element {} became {:x}", index, found.bits[index]);
        return Ok(());
    };
    let bound = tolerance::mean_bound::<R>(models.len(), &largest, (&result, dtype));
    prop_assert!(
        exact.within(&result, &bound),
        "element {}: {} uses {:.3} of its bound",
        index,
        result.approximate(),
        exact.used(&result, &bound)
    );
    Ok(())
}

/// Judges one precision: within the bound, or saturated at an end of its storage, where it is counted.
fn judge_precision<R: Arithmetic>(models: &[Evidence], found: &Numbers, index: usize, summary: &Summary) -> Result<(), TestCaseError> {
    let (exact, dtype) = (natural_product(models).0, found.dtype);
    let result = found.exact(index).expect("a finite precision");
    prop_assert_eq!(result.is_zero(), exact.is_zero(), "a non-zero factor never becomes no evidence, nor the reverse");
    let mut bound = tolerance::precision_bound::<R>(models.len(), &exact);
    if dtype != R::DTYPE {
        bound = &bound + &tolerance::half_ulp(&result, dtype);
    }
    if !Ratio::whole(exact.clone()).within(&result, &bound) {
        let least = |dtype| Exact::scaled(1, tiniest_exponent(dtype));
        let low = [least(dtype), least(R::DTYPE)].contains(&result) && exact < &result + &bound;
        let high = [largest_number(dtype), largest_number(R::DTYPE)].contains(&result) && exact > &result - &bound;
        // An arithmetic that saturated first passes its own end on, rounded.
        let passed_on = exact < least(R::DTYPE) || exact > largest_number(R::DTYPE);
        prop_assert!(low || high || passed_on, "precision {}: {} for {}", index, result.approximate(), exact.approximate());
        prop_assert!(summary.out_of_range > 0);
    }
    Ok(())
}

fn judge<R: Arithmetic>(case: &Case<R>, merged: &Outcome) -> Result<(), TestCaseError> {
    for index in 0..case.count {
        let models: Vec<Evidence> = case.evidence(index).into_iter().filter(|(weight, ..)| !weight.is_zero()).collect();
        judge_mean::<R>(&models, &merged.mean, index)?;
        judge_precision::<R>(&models, &merged.precision, index, &merged.summary)?;
    }
    Ok(())
}

fn fused<R: Arithmetic, S: Storage<R>>() {
    for kind in [Kind::Ordinary, Kind::Wild] {
        check(96, (cases::<R, S>(model_counts(), 1..=FEW, (kind, kind)), output::<R, S>(), output::<R, S>()), |(case, mean, precision)| {
            prop_assume!(case.takes_part());
            judge(&case, &Lent::<R, S>::new(&case).fused(&Rule::new(Policy::KeepTarget), (mean, precision)).unwrap())
        });
    }
}

#[test]
fn promise_06_accurate_fused() {
    every_storage!(fused);
}

/// The running form stays within the bound where it counts nothing; where it does, its state stays finite and keeps its evidence.
fn running<R: Arithmetic, S: Storage<R>>() {
    for kind in [Kind::Ordinary, Kind::Wild] {
        check(96, cases::<R, S>(model_counts(), 1..=2, (kind, kind)), |case| {
            prop_assume!(case.takes_part());
            let merged = Lent::<R, S>::new(&case).running(&Rule::new(Policy::KeepTarget)).unwrap();
            for index in 0..case.count {
                let precision = merged.precision.exact(index).expect("a finite precision");
                prop_assert_eq!(precision.is_zero(), natural_product(&case.evidence(index)).0.is_zero());
            }
            let counted = merged.summary.out_of_range > 0;
            if counted { Ok(()) } else { judge(&case, &merged) }
        });
    }
}

#[test]
fn promise_06_accurate_running_or_counted() {
    every_storage!(running);
}

/// Fishers in a geometric row of any ratio, forwards or backwards, and means at the ends of the range with changing signs: what loses most in the
/// ratio form, and where a state saturates first.
fn adversarial<R: Arithmetic>(count: usize) -> impl Strategy<Value = Case<R>> {
    let exponents = -tiniest_exponent(R::DTYPE) - 60;
    let model = (any::<bool>(), 0..3_u64, 0..4_u8);
    (-40..=40_i64, -exponents..=exponents, prop::collection::vec(model, count)).prop_map(move |(ratio, start, models)| {
        let dtype = R::DTYPE;
        let top = largest_number(dtype).pattern(dtype).unwrap();
        let (low, high) = (tiniest_exponent(dtype), largest_number(dtype).log2().unwrap());
        let mut made = Vec::new();
        for (number, (negative, below, weight)) in models.into_iter().enumerate() {
            let exponent = (start + ratio * i64::try_from(number).unwrap()).clamp(low, high);
            let fisher = Exact::scaled(1, exponent).pattern(dtype).unwrap();
            let sign = u64::from(negative) << (8 * dtype.bytes() - 1);
            let weight = [R::ONE, R::from_f64(0.3), R::TINIEST, R::MAX][usize::from(weight)];
            let mean = Numbers { dtype, bits: vec![(top - below) | sign] };
            made.push(crate::common::generators::Model { mean, fisher: Numbers { dtype, bits: vec![fisher] }, weight });
        }
        Case { models: made, count: 1 }
    })
}

#[test]
fn promise_06_accurate_adversarial() {
    fn run<R: Arithmetic>() {
        for models in [1, 2, 3, 16, 64] {
            check(64, adversarial::<R>(models), |case| {
                judge(&case, &Lent::<R, Bytes>::new(&case).fused(&Rule::new(Policy::KeepTarget), (R::DTYPE, R::DTYPE)).unwrap())
            });
        }
    }
    run::<f32>();
    run::<f64>();
}

/// Arithmetic narrower than a mean, a Fisher or an output is a typed error that names it.
#[test]
fn promise_06_narrow_arithmetic_is_refused() {
    let bytes = |dtype: Dtype| vec![0; dtype.bytes()];
    for wide in 0..4 {
        let types: Vec<Dtype> = (0..4).map(|slot| if slot == wide { Dtype::F64 } else { DTYPES[slot % 3] }).collect();
        let (mean, fisher) = (bytes(types[0]), bytes(types[1]));
        let (mean, fisher) = (LeBytes::new(types[0], &mean[..]).unwrap(), LeBytes::new(types[1], &fisher[..]).unwrap());
        let factor = Posterior::diagonal(mean, fisher).unwrap().power(1.0_f32);
        let (mut out, mut precision) = (bytes(types[2]), bytes(types[3]));
        let outputs = (LeBytes::new(types[2], &mut out[..]).unwrap(), LeBytes::new(types[3], &mut precision[..]).unwrap());
        let role = [Role::Mean, Role::Precision, Role::MeanOut, Role::PrecisionOut][wide];
        let expected = Error::NarrowArithmetic { tensor: 9, model: 0, role, storage: Dtype::F64, arithmetic: Dtype::F32 };
        assert_eq!(Merge::new().tensor(9).run_with_precision(&[factor], outputs.0, outputs.1), Err(expected));
        if wide < 2 {
            let (mut state, mut state_mean) = ([0.0], [0.0]);
            let mut product = RunningProduct::start(&mut state, &mut state_mean, NoEvidence::KeepTarget).unwrap().tensor(9);
            assert_eq!(product.absorb(&factor), Err(expected));
            assert_eq!(Merge::new().tensor(9).check(&[factor]), Err(expected));
        }
    }
}
