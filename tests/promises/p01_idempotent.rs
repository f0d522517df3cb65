//! Promise 1: merging models whose parameters have the same bits returns those bits, in every storage type.

use proptest::prelude::*;

use crate::common::generators::{Arithmetic, Kind, Numbers, check, model_counts};
use crate::harness::{FEW, Lent, Policy, Storage, cases, every_storage, rules};
use fisher_merge::{Error, Values};

/// Any weights, Fishers, floors and norms; the policy's prior, if there is one, is the common mean too.
fn idempotent<R: Arithmetic, S: Storage<R>>() {
    check(48, (cases::<R, S>(model_counts(), 1..=FEW, (Kind::Wild, Kind::Wild)), rules::<R>()), |(mut case, mut rule)| {
        prop_assume!(case.takes_part());
        let common = case.models[0].mean.clone();
        case.models.iter_mut().for_each(|model| model.mean = common.clone());
        let owned = S::own(&common);
        let wide: Vec<R> = (0..case.count).map(|index| S::view(&owned).at(index).unwrap()).collect();
        if matches!(rule.policy, Policy::PriorMean(_)) {
            rule.policy = Policy::PriorMean(wide.clone());
        }
        let lent = Lent::<R, S>::new(&case);
        for (merged, expected) in [(lent.fused(&rule, (common.dtype, common.dtype)), &common), (lent.running(&rule), &Numbers::of(&wide))] {
            match merged {
                Ok(merged) => prop_assert_eq!(&merged.mean, expected),
                Err(refused) => prop_assert!(rule.policy == Policy::Error && matches!(refused, Error::NoEvidence { .. }), "{}", refused),
            }
        }
        Ok(())
    });
}

#[test]
fn promise_01_idempotent() {
    every_storage!(idempotent);
}
