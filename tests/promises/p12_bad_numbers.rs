//! Promise 12: NaN, infinity and negative precisions or weights are found and named, or propagated and counted, and never averaged silently.

use fisher_merge::{
    BadNumbers, Defect, Dtype, Error, Factor, LeBytes, Merge, NoEvidence, Posterior, Precision, Role, RunningProduct, Values,
};
use proptest::prelude::*;

use crate::common::exact::layout;
use crate::common::generators::{Arithmetic, Case, Kind, Numbers, check};
use crate::harness::{Bytes, FEW, Lent, Policy, Rule, Storage, cases, conditionings, every_storage};

/// A bad number to be put somewhere: model, element, whether into the precision, and which.
type Spot = (prop::sample::Index, prop::sample::Index, bool, u8);

fn spots() -> impl Strategy<Value = Vec<Spot>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>(), 0..5_u8), 1..4)
}

/// The pattern of a bad number: NaN (quiet, negative, loud) or an infinity; a precision may be negative instead.
fn bad_pattern(dtype: Dtype, precision: bool, which: u8) -> u64 {
    let (fraction, exponent) = layout(dtype);
    let (infinite, sign) = (((1_u64 << exponent) - 1) << fraction, 1_u64 << (fraction + exponent));
    match which {
        0 => infinite | 1 << (fraction - 1),
        1 => infinite | sign | 1,
        2 => infinite,
        3 => infinite | sign,
        _ if precision => sign | 1,
        _ => infinite | 1,
    }
}

/// What a pattern is as an input of this role.
fn defect(numbers: &Numbers, index: usize, role: Role) -> Option<Defect> {
    let (fraction, exponent) = layout(numbers.dtype);
    let magnitude = numbers.bits[index] & ((1 << (fraction + exponent)) - 1);
    let infinite = ((1_u64 << exponent) - 1) << fraction;
    let negative = numbers.bits[index] != magnitude && magnitude != 0;
    match magnitude {
        _ if magnitude > infinite => Some(Defect::Nan),
        _ if magnitude == infinite => Some(Defect::Infinite),
        _ if negative && role == Role::Precision => Some(Defect::Negative),
        _ => None,
    }
}

fn spoil<R: Arithmetic>(case: &mut Case<R>, spots: &[Spot]) {
    for &(model, element, precision, which) in spots {
        let (model, element) = (model.index(case.models.len()), element.index(case.count));
        let model = &mut case.models[model];
        let numbers = if precision { &mut model.fisher } else { &mut model.mean };
        numbers.bits[element] = bad_pattern(numbers.dtype, precision, which);
    }
}

/// All bad inputs of models that take part: (element, model, role, defect), in that order, means before precisions.
fn bad_inputs<R: Arithmetic>(case: &Case<R>) -> Vec<(usize, usize, Role, Defect)> {
    let mut found = Vec::new();
    for index in 0..case.count {
        for (number, model) in case.models.iter().enumerate().filter(|(_, model)| model.weight > R::ZERO) {
            for (role, numbers) in [(Role::Mean, &model.mean), (Role::Precision, &model.fisher)] {
                found.extend(defect(numbers, index, role).map(|defect| (index, number, role, defect)));
            }
        }
    }
    found
}

/// Refused with the tensor, the model, the role, the index and the defect of the first; fused by element, one factor after the other when running.
fn refused<R: Arithmetic, S: Storage<R>>() {
    check(
        48,
        (cases::<R, S>(1..=5_usize, 1..=FEW, (Kind::Wild, Kind::WithZeros)), spots(), conditionings(true)),
        |(mut case, spots, conditioning)| {
            prop_assume!(case.takes_part());
            spoil(&mut case, &spots);
            let mut bad = bad_inputs(&case);
            let rule = Rule { conditioning, ..Rule::new(Policy::KeepTarget) };
            let lent = Lent::<R, S>::new(&case);
            let name = |bad: &[(usize, usize, Role, Defect)], tensor| {
                bad.first().map(|&(index, model, role, defect)| Error::BadNumber { tensor, model, role, index, defect })
            };
            prop_assert_eq!(lent.fused_wide(&rule).err(), name(&bad, 0));
            let factors = lent.factors(&rule.conditioning);
            bad.sort_by_key(|&(index, model, ..)| (model, index));
            prop_assert_eq!(Merge::new().tensor(4).check(&factors).err(), name(&bad, 4));
            running_refuses(&case, &factors, &bad)
        },
    );
}

/// The running product refuses exactly the factors that hold a bad number, and keeps its state.
fn running_refuses<R: Arithmetic, V: Values<R> + Copy>(
    case: &Case<R>,
    factors: &[Factor<V, V, R>],
    bad: &[(usize, usize, Role, Defect)],
) -> Result<(), TestCaseError> {
    let (mut precision, mut mean) = (vec![R::ZERO; case.count], vec![R::ONE; case.count]);
    let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap().tensor(4);
    for (number, factor) in factors.iter().enumerate() {
        let (before, summary, absorbed) = (state(&product), product.summary(), product.absorbed());
        let first = bad.iter().find(|&&(_, model, ..)| model == number);
        let expected = first.map(|&(index, _, role, defect)| Error::BadNumber { tensor: 4, model: absorbed, role, index, defect });
        prop_assert_eq!(product.absorb(factor).err(), expected);
        if expected.is_some() {
            prop_assert_eq!((&state(&product), product.summary(), product.absorbed()), (&before, summary, absorbed));
            let removed = first.map(|&(index, _, role, defect)| Error::BadNumber { tensor: 4, model: 0, role, index, defect });
            prop_assert_eq!(product.remove(factor).err(), removed);
            prop_assert_eq!((state(&product), product.summary(), product.absorbed()), (before, summary, absorbed));
        }
    }
    Ok(())
}

fn state<R: Arithmetic>(product: &RunningProduct<'_, R>) -> (Numbers, Numbers) {
    let posterior = product.posterior();
    let Precision::Diagonal(precision) = posterior.precision() else { unreachable!("a product is diagonal") };
    (Numbers::of(precision), Numbers::of(posterior.mean()))
}

#[test]
fn promise_12_bad_numbers_are_named() {
    every_storage!(refused);
}

/// Propagated: every bad input is counted for what it is; an element with a bad precision comes out NaN with a NaN precision; all others have the bits they
/// have without the bad ones, unless a bad mean has evidence there.
fn propagated<R: Arithmetic, S: Storage<R>>() {
    check(
        48,
        (cases::<R, S>(1..=5_usize, 1..=FEW, (Kind::Ordinary, Kind::WithZeros)), spots(), conditionings(false)),
        |(clean, spots, conditioning)| {
            prop_assume!(clean.takes_part());
            let mut case = clean.clone();
            spoil(&mut case, &spots);
            let bad = bad_inputs(&case);
            let rule = Rule { conditioning, bad: BadNumbers::Propagate, ..Rule::new(Policy::KeepTarget) };
            let lent = Lent::<R, S>::new(&case);
            let count = |which| bad.iter().filter(|&&(.., defect)| defect == which).count() as u64;
            for merged in [lent.fused_wide(&rule).unwrap(), lent.running(&rule).unwrap()] {
                let summary = merged.summary;
                prop_assert_eq!(
                    (summary.nan, summary.infinite, summary.negative),
                    (count(Defect::Nan), count(Defect::Infinite), count(Defect::Negative))
                );
                for index in 0..case.count {
                    let here = |role| bad.iter().any(|&(at, _, found, _)| at == index && found == role);
                    let nan = |numbers: &Numbers| defect(numbers, index, Role::Mean) == Some(Defect::Nan);
                    if here(Role::Precision) {
                        prop_assert!(nan(&merged.mean) && nan(&merged.precision), "element {}: {:?}", index, merged);
                    } else if here(Role::Mean) {
                        // All precisions are above zero here, so a bad mean has evidence.
                        prop_assert!(
                            defect(&merged.mean, index, Role::Mean).is_some() && !nan(&merged.precision),
                            "element {}: {:?}",
                            index,
                            merged
                        );
                    } else {
                        prop_assert!(
                            merged.mean.exact(index).is_some() && merged.precision.exact(index).is_some(),
                            "element {}: {:?}",
                            index,
                            merged
                        );
                    }
                }
            }
            let counted = Merge::new().bad_numbers(BadNumbers::Propagate).check(&lent.factors(&rule.conditioning)).unwrap();
            prop_assert_eq!(
                (counted.nan, counted.infinite, counted.negative),
                (count(Defect::Nan), count(Defect::Infinite), count(Defect::Negative))
            );
            Ok(())
        },
    );
}

#[test]
fn promise_12_bad_numbers_are_counted() {
    every_storage!(propagated);
}

/// A bad number spoils its own element alone: its neighbours have the bits that they have in a clean merge.
#[test]
fn promise_12_bad_numbers_spoil_no_neighbour() {
    fn run<R: Arithmetic>() {
        check(128, (cases::<R, Bytes>(1..=4_usize, 2..=FEW, (Kind::Wild, Kind::WithZeros)), spots()), |(clean, spots)| {
            prop_assume!(clean.takes_part());
            let mut case = clean.clone();
            spoil(&mut case, &spots);
            let rule = Rule { bad: BadNumbers::Propagate, ..Rule::new(Policy::KeepTarget) };
            let (spoilt, clean_lent) = (Lent::<R, Bytes>::new(&case), Lent::<R, Bytes>::new(&clean));
            let pairs = [(spoilt.fused_wide(&rule), clean_lent.fused_wide(&rule)), (spoilt.running(&rule), clean_lent.running(&rule))];
            let bad = bad_inputs(&case);
            for (spoilt, clean) in pairs.map(|(spoilt, clean)| (spoilt.unwrap(), clean.unwrap())) {
                for index in (0..case.count).filter(|&index| bad.iter().all(|&(at, ..)| at != index)) {
                    let bits = |outcome: &crate::harness::Outcome| (outcome.mean.bits[index], outcome.precision.bits[index]);
                    prop_assert_eq!(bits(&spoilt), bits(&clean));
                }
            }
            Ok(())
        });
    }
    run::<f32>();
    run::<f64>();
}

/// A tensor's one precision, a prior mean and a power are looked at too.
#[test]
fn promise_12_bad_scalars_and_priors_are_named() {
    let (means, mut out) = ([[1.0_f64, 2.0], [3.0, 4.0]], [0.0_f64; 2]);
    let bytes = |values: &[f64; 2]| [values[0].to_le_bytes(), values[1].to_le_bytes()].concat();
    let (first, second) = (bytes(&means[0]), bytes(&means[1]));
    let (first, second) = (LeBytes::new(Dtype::F64, &first[..]).unwrap(), LeBytes::new(Dtype::F64, &second[..]).unwrap());
    let named = |role, model, index, defect| Err(Error::BadNumber { tensor: 0, model, role, index, defect });
    for (value, defect) in [(f64::NAN, Defect::Nan), (f64::INFINITY, Defect::Infinite), (-1e-300, Defect::Negative)] {
        let factors = [Posterior::isotropic(first).power(0.5), Posterior::scaled(second, value).power(0.5)];
        assert_eq!(Merge::new().run(&factors, &mut out[..]).map(|_| ()), named(Role::Precision, 1, 0, defect));
        let (mut precision, mut mean) = ([1.0_f64; 2], [1.0; 2]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
        assert_eq!(product.raise(value), Err(Error::BadWeight { model: 0, defect }));
        precision[1] = value;
        let resumed = RunningProduct::resume(&mut precision, &mut mean, NoEvidence::KeepTarget, (1.0, 1)).map(|_| ());
        assert_eq!(resumed, named(Role::Precision, 0, 1, defect));
    }
    let prior = [5.0, f64::NAN];
    let zero = [Posterior::scaled(first, 0.0).power(0.5), Posterior::scaled(second, 0.0).power(0.5)];
    let merge = Merge::new().no_evidence(NoEvidence::PriorMean(&prior));
    assert_eq!(merge.run(&zero, &mut out[..]).map(|_| ()), named(Role::PriorMean, 0, 1, Defect::Nan));
    let merged = merge.bad_numbers(BadNumbers::Propagate).run(&zero, &mut out[..]).unwrap();
    assert!(merged.nan == 1 && merged.no_evidence == 2 && out[0] == 5.0 && out[1].is_nan());
    let (mut precision, mut mean) = ([0.0; 2], [0.0; 2]);
    let started = RunningProduct::start(&mut precision, &mut mean, NoEvidence::PriorMean(&prior)).map(|_| ());
    assert_eq!(started, named(Role::PriorMean, 0, 1, Defect::Nan));
}

/// A product that let bad numbers through is not taken in by one that refuses them.
#[test]
fn promise_12_combining_looks_at_the_numbers() {
    let (mut state, mut other) = (([0.0], [0.0]), ([0.0], [0.0]));
    let mut spoilt = RunningProduct::start(&mut other.0, &mut other.1, NoEvidence::KeepTarget).unwrap().bad_numbers(BadNumbers::Propagate);
    spoilt.absorb(&Posterior::diagonal(&[f64::NAN][..], &[1.0][..]).unwrap().power(1.0)).unwrap();
    let mut product = RunningProduct::start(&mut state.0, &mut state.1, NoEvidence::KeepTarget).unwrap().tensor(4);
    product.absorb(&Posterior::diagonal(&[2.0][..], &[1.0][..]).unwrap().power(1.0)).unwrap();
    let named = Error::BadNumber { tensor: 4, model: 1, role: Role::Mean, index: 0, defect: Defect::Nan };
    assert_eq!(product.combine(&spoilt), Err(named));
    assert_eq!((product.absorbed(), product.weight(), state), (1, 1.0, ([1.0], [2.0])));
}
