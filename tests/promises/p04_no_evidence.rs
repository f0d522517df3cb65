//! Promise 4: where the total precision is zero a policy decides, the summary counts it, and the result is never a zero or a NaN of the merge's own making.

use fisher_merge::Error;
use proptest::prelude::*;

use crate::common::exact::{Evidence, Exact, product_mean};
use crate::common::generators::{Arithmetic, Case, Kind, check, model_counts};
use crate::common::tolerance;
use crate::harness::{FEW, Lent, Policy, Rule, Storage, cases, every_storage, policies};

/// The elements at which no model that takes part has evidence.
fn empty_elements<R: Arithmetic>(case: &Case<R>) -> Vec<usize> {
    let empty = |&index: &usize| case.evidence(index).iter().all(|(weight, fisher, _)| weight.is_zero() || fisher.is_zero());
    (0..case.count).filter(empty).collect()
}

/// Whether `found` is what the policy says of an element.
fn obeys<R: Arithmetic>(case: &Case<R>, policy: &Policy<R>, index: usize, found: &Exact) -> bool {
    let target = case.target().mean.exact(index).unwrap();
    match policy {
        Policy::PriorMean(prior) if case.active() > 1 => *found == Exact::of(prior[index].as_f64()),
        Policy::WeightedMean => {
            let votes: Vec<Evidence> =
                case.evidence(index).into_iter().map(|(weight, _, mean)| (weight, Exact::scaled(1, 0), mean)).collect();
            let largest = crate::common::exact::largest_mean(&votes);
            let bound = tolerance::mean_bound::<R>(case.active(), &largest, (found, R::DTYPE));
            product_mean(&votes).unwrap().within(found, &bound)
        }
        _ => *found == target,
    }
}

/// Fishers that are zero at most elements, with these kinds of means and weights.
fn decided<R: Arithmetic, S: Storage<R>>() {
    let drawn = (cases::<R, S>(model_counts(), 1..=FEW, (Kind::Wild, Kind::Wild)), policies::<R>(), any::<u8>());
    check(96, drawn, |(mut case, policy, full)| {
        prop_assume!(case.takes_part());
        for model in &mut case.models {
            for (index, bits) in model.fisher.bits.iter_mut().enumerate().filter(|(index, _)| full >> index & 1 == 0) {
                // Zeros of both signs.
                *bits = (index as u64 % 2) << (8 * model.fisher.dtype.bytes() - 1);
            }
        }
        let (rule, lent) = (Rule::new(policy).fit(case.count), Lent::<R, S>::new(&case));
        let empty = empty_elements(&case);
        for (form, merged) in [("fused", lent.fused_wide(&rule)), ("running", lent.running(&rule))] {
            if let (Policy::Error, true, Some(&index)) = (&rule.policy, case.active() > 1, empty.first()) {
                prop_assert_eq!(merged, Err(Error::NoEvidence { tensor: 0, index }));
                continue;
            }
            let merged = merged.unwrap();
            prop_assert_eq!(merged.summary.no_evidence, empty.len() as u64);
            for &index in &empty {
                let found = merged.mean.exact(index).expect("a finite mean");
                // The running form's total weight cannot be scaled again; where it leaves the range it must say so.
                let counted = form == "running" && merged.summary.out_of_range > 0;
                prop_assert!(counted || obeys(&case, &rule.policy, index, &found), "{} element {}: {:?}", form, index, merged);
                prop_assert_eq!(merged.precision.exact(index), Some(Exact::zero()));
            }
        }
        Ok(())
    });
}

#[test]
fn promise_04_no_evidence_is_never_zero() {
    every_storage!(decided);
}

/// The same policies, fused and running: the same bits where the weights are of moderate size.
fn agrees<R: Arithmetic, S: Storage<R>>() {
    let drawn = (cases::<R, S>(model_counts(), 1..=FEW, (Kind::WithZeros, Kind::WithZeros)), policies::<R>(), any::<u8>());
    check(96, drawn, |(mut case, policy, full)| {
        prop_assume!(case.takes_part());
        for model in &mut case.models {
            model.fisher.bits.iter_mut().enumerate().filter(|(index, _)| full >> index & 1 == 0).for_each(|(_, bits)| *bits = 0);
        }
        let (rule, lent) = (Rule::new(policy).fit(case.count), Lent::<R, S>::new(&case));
        let (fused, running) = (lent.fused_wide(&rule), lent.running(&rule));
        prop_assert_eq!(fused, running);
        Ok(())
    });
}

#[test]
fn promise_04_fused_and_running_decide_alike() {
    every_storage!(agrees);
}
