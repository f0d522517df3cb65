//! Promise 2: every merged element lies between the least and the greatest contributing value, before it is narrowed.

use fisher_merge::{Error, Factor};
use proptest::prelude::*;

use crate::common::exact::Exact;
use crate::common::generators::{Arithmetic, Case, Kind, check, model_counts};
use crate::harness::{FEW, Lent, Policy, Rule, Storage, cases, every_storage, rules};

/// What may be returned at an element: what the models with evidence say, or what the policy names.
fn contributors<R: Arithmetic, V, P>(case: &Case<R>, rule: &Rule<R>, factors: &[Factor<V, P, R>], index: usize) -> Vec<Exact> {
    let active: Vec<usize> = (0..case.models.len()).filter(|&model| case.models[model].weight > R::ZERO).collect();
    let floored = |model: usize| active.len() > 1 && factors[model].floor() > R::ZERO;
    let mean = |model: usize| case.models[model].mean.exact(index).unwrap();
    let evidence = |&&model: &&usize| floored(model) || case.models[model].fisher.exact(index).unwrap().is_positive();
    let with_evidence: Vec<Exact> = active.iter().filter(evidence).map(|&model| mean(model)).collect();
    if !with_evidence.is_empty() {
        return with_evidence;
    }
    match &rule.policy {
        Policy::WeightedMean => active.iter().map(|&model| mean(model)).collect(),
        Policy::PriorMean(prior) if active.len() > 1 => vec![Exact::of(prior[index].as_f64())],
        _ => vec![mean(active[0])],
    }
}

fn in_the_hull<R: Arithmetic, S: Storage<R>>() {
    check(64, (cases::<R, S>(model_counts(), 1..=FEW, (Kind::Wild, Kind::Wild)), rules::<R>()), |(case, rule)| {
        prop_assume!(case.takes_part());
        let (rule, lent) = (rule.fit(case.count), Lent::<R, S>::new(&case));
        for merged in [lent.fused_wide(&rule), lent.running(&rule)] {
            let merged = match merged {
                Err(Error::NoEvidence { .. }) if rule.policy == Policy::Error => continue,
                merged => merged.unwrap(),
            };
            let factors = lent.factors(&rule.conditioning);
            for index in 0..case.count {
                let hull = contributors(&case, &rule, &factors, index);
                let found = merged.mean.exact(index).expect("a finite mean");
                prop_assert!(
                    hull.iter().min().unwrap() <= &found && &found <= hull.iter().max().unwrap(),
                    "element {} left the hull: {:?}",
                    index,
                    merged
                );
            }
        }
        Ok(())
    });
}

#[test]
fn promise_02_in_the_hull() {
    every_storage!(in_the_hull);
}
