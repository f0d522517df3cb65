//! Promise 5: a power of two on every Fisher, or on every λ, changes no bit of the mean.

use proptest::prelude::*;

use crate::common::exact::Exact;
use crate::common::generators::{Arithmetic, Case, Kind, Numbers, check, model_counts};
use crate::harness::{FEW, Lent, Outcome, Rule, Storage, cases, conditionings, every_storage, policies};

/// A shift that all of these numbers can take within their types, chosen by `draw`.
fn shift(numbers: impl Iterator<Item = (Exact, fisher_merge::Dtype)>, draw: u64) -> i64 {
    let (mut low, mut high) = (-2200, 2200);
    for (least, most) in numbers.filter_map(|(number, dtype)| number.room(dtype)) {
        (low, high) = (low.max(least), high.min(most));
    }
    low + i64::try_from(draw % u64::try_from(high - low + 1).unwrap()).unwrap()
}

fn shifted(numbers: &Numbers, by: i64) -> Numbers {
    let bits = (0..numbers.bits.len()).map(|index| numbers.exact(index).unwrap().shifted(by).pattern(numbers.dtype).unwrap());
    Numbers { dtype: numbers.dtype, bits: bits.collect() }
}

fn fishers_shifted<R: Arithmetic>(case: &Case<R>, draw: u64) -> Case<R> {
    let mut scaled = case.clone();
    let fishers = case.models.iter().map(|model| &model.fisher);
    let by = shift(fishers.flat_map(|fisher| (0..case.count).map(|index| (fisher.exact(index).unwrap(), fisher.dtype))), draw);
    scaled.models.iter_mut().for_each(|model| model.fisher = shifted(&model.fisher, by));
    scaled
}

fn weights_shifted<R: Arithmetic>(case: &Case<R>, draw: u64) -> Case<R> {
    let mut scaled = case.clone();
    let by = shift(case.models.iter().map(|model| (Exact::of(model.weight.as_f64()), R::DTYPE)), draw);
    for model in &mut scaled.models {
        model.weight = R::from_pattern(Exact::of(model.weight.as_f64()).shifted(by).pattern(R::DTYPE).unwrap());
    }
    scaled
}

/// Merged the same way, both have the same means.
fn same<R: Arithmetic, S: Storage<R>>(case: &Case<R>, scaled: &Case<R>, rule: &Rule<R>) -> Result<(), TestCaseError> {
    let (plain, scaled) = (Lent::<R, S>::new(case), Lent::<R, S>::new(scaled));
    // A floor is a share, three at most, of a mean, both numbers of the arithmetic; where either leaves the normal range, as a mean of zero of entries that are
    // not, the scaled values are not representable.
    let regular = |floor: R| floor >= R::MIN_NORMAL * R::from_f64(4.0) && floor < R::MAX;
    let (floors, scaled_floors) = (plain.factors(&rule.conditioning), scaled.factors(&rule.conditioning));
    let mut floors = floors.iter().zip(&scaled_floors).map(|(plain, scaled)| (plain.floor(), scaled.floor()));
    if !floors.all(|(plain, scaled)| (plain == R::ZERO && scaled == R::ZERO) || (regular(plain) && regular(scaled))) {
        return Ok(());
    }
    let means = |merged: Result<Outcome, _>| merged.map(|merged| merged.mean);
    prop_assert_eq!(means(plain.fused_wide(rule)), means(scaled.fused_wide(rule)));
    if let (Ok(plain), Ok(scaled)) = (plain.running(rule), scaled.running(rule)) {
        // The running form promises nothing once it has counted something out of range.
        if plain.summary.out_of_range + scaled.summary.out_of_range == 0 {
            prop_assert_eq!(plain.mean, scaled.mean);
        }
    }
    Ok(())
}

fn scales<R: Arithmetic, S: Storage<R>>() {
    for kind in [Kind::Ordinary, Kind::Wild] {
        let drawn = (cases::<R, S>(model_counts(), 1..=FEW, (kind, kind)), policies::<R>(), conditionings(false), any::<u64>());
        check(64, drawn, |(case, policy, conditioning, draw)| {
            prop_assume!(case.takes_part());
            let rule = Rule { conditioning, ..Rule::new(policy) }.fit(case.count);
            same::<R, S>(&case, &fishers_shifted(&case, draw), &rule)?;
            same::<R, S>(&case, &weights_shifted(&case, draw), &rule)
        });
    }
}

#[test]
fn promise_05_scale_changes_no_bit() {
    every_storage!(scales);
}
