//! No entry of the table of tolerances is looser than it says: over the generators, the worst error reaches the stated share of its bound.

use fisher_merge::{FisherStatistics, NoEvidence, Posterior, RunningProduct, from_natural, to_natural};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::common::exact::{Evidence, Exact, Ratio, largest_mean, natural_product, product_mean};
use crate::common::generators::{Kind, check, number};
use crate::common::tolerance::{self, TABLE, Tolerance};
use fisher_merge::Dtype;

type Numbers = Vec<(f64, f64, f64)>;

fn ordinary(models: usize) -> impl Strategy<Value = Numbers> {
    let one = |signed| number(Dtype::F64, Kind::Ordinary, signed).prop_map(f64::from_bits);
    prop::collection::vec((one(false), one(false), one(true)), models)
}

fn evidence(factors: &[(f64, f64, f64)]) -> Vec<Evidence> {
    factors.iter().map(|&(weight, precision, mean)| (Exact::of(weight), Exact::of(precision), Exact::of(mean))).collect()
}

/// The running product of all factors, then without some.
fn product(factors: &[(f64, f64, f64)], removed: &[(f64, f64, f64)]) -> Option<(f64, f64)> {
    let (mut precision, mut mean) = ([0.0], [0.0]);
    let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
    for (weight, fisher, mean) in factors {
        product.absorb(&Posterior::diagonal(&[*mean][..], &[*fisher][..]).unwrap().power(*weight)).unwrap();
    }
    for (weight, fisher, mean) in removed {
        product.remove(&Posterior::diagonal(&[*mean][..], &[*fisher][..]).unwrap().power(*weight)).ok()?;
    }
    Some((precision[0], mean[0]))
}

/// How much of an entry one draw uses.
fn used(entry: &Tolerance, factors: &Numbers) -> f64 {
    let (all, whole) = (evidence(factors), |exact: &Exact| Ratio::whole(exact.clone()));
    let pair = &all[..2];
    let (total, precision_mean) = natural_product(pair);
    let (first, largest) = (factors[0], largest_mean(pair));
    let of = |size: &Exact| entry.of::<f64>(2, size);
    let merged = product(&factors[..2], &[]).unwrap();
    // A removal with Λ' about Λ/2 to Λ: a third of the second factor out of the first.
    let state = [(1.0, first.1, first.2)];
    let part = (first.1 / 3.0, factors[1].1.min(1.0), factors[1].2);
    let left = evidence(&[state[0], (-part.0, part.1, part.2)]);
    match entry.name {
        name if name == tolerance::MEAN.name => product_mean(pair).unwrap().used(&Exact::of(merged.1), &of(&largest)),
        name if name == tolerance::REORDERED.name => {
            let other = product(&[factors[1], factors[0]], &[]).unwrap();
            whole(&Exact::of(merged.1)).used(&Exact::of(other.1), &of(&largest))
        }
        name if name == tolerance::PRECISION.name => whole(&total).used(&Exact::of(merged.0), &of(&total)),
        name if name == tolerance::REMOVAL.name || name == tolerance::REMOVAL_PRECISION.name => {
            let Some(found) = product(&state, &[part]) else { return 0.0 };
            let (rest, num) = natural_product(&left);
            let size = &Exact::of(first.1) * &largest_mean(&left);
            if name == tolerance::REMOVAL_PRECISION.name {
                return whole(&rest).used(&Exact::of(found.0), &of(&rest));
            }
            whole(&num).used(&(&Exact::of(found.1) * &rest), &of(&size))
        }
        name if name == tolerance::CHAIN.name => {
            let Some(found) = product(&factors[..2], &[(factors[1].0 * 0.75, factors[1].1, factors[1].2)]) else { return 0.0 };
            let mut models = pair.to_vec();
            models.push((-&Exact::of(factors[1].0 * 0.75), Exact::of(factors[1].1), Exact::of(factors[1].2)));
            let (rest, num) = natural_product(&models);
            whole(&(&num * &rest)).used(&(&(&Exact::of(found.1) * &rest) * &rest), &of(&(&(&total * &total) * &largest)))
        }
        name if name == tolerance::NATURAL.name => {
            let (mut eta, mut back) = ([0.0], [0.0]);
            let _ = to_natural(&[first.1], &[first.2], &mut eta).unwrap();
            let _ = from_natural(&[first.1], &eta, &mut back).unwrap();
            let mean = Exact::of(first.2);
            whole(&mean).used(&Exact::of(back[0]), &of(&mean.abs()))
        }
        name if name == tolerance::POWER.name => {
            let (mut precision, mut mean) = ([first.1], [first.2]);
            RunningProduct::resume(&mut precision, &mut mean, NoEvidence::KeepTarget, (1.0, 1)).unwrap().raise(first.0).unwrap();
            let exact = &Exact::of(first.1) * &Exact::of(first.0);
            whole(&exact).used(&Exact::of(precision[0]), &of(&exact))
        }
        name => statistics(factors.iter().map(|factor| factor.1).collect(), name == tolerance::FISHER_MEAN.name).0,
    }
    .max(if precision_mean.is_zero() { 0.0 } else { f64::MIN_POSITIVE })
}

/// How much of its bound the mean or the norm of these entries uses, and whether it keeps it (or leaves the range, where there is nothing to judge).
fn statistics(entries: Vec<f64>, mean: bool) -> (f64, bool) {
    let mut statistics = FisherStatistics::new();
    statistics.observe(&entries[..]);
    let found = if mean { statistics.mean() } else { statistics.l2() };
    let Some(found) = found else { return (0.0, entries.iter().all(|&entry| entry == 0.0)) };
    let found = found.as_f64();
    if !(f64::MIN_POSITIVE..f64::MAX).contains(&found) {
        return (0.0, true);
    }
    let power = |value: f64| if mean { Exact::of(value) } else { &Exact::of(value) * &Exact::of(value) };
    let sum = entries.iter().fold(Exact::zero(), |sum, &entry| &sum + &power(entry));
    let count = Exact::scaled(if mean { i64::try_from(entries.len()).unwrap() } else { 1 }, 0);
    let entry = if mean { &tolerance::FISHER_MEAN } else { &tolerance::FISHER_SQUARES };
    let (result, bound) = (&power(found) * &count, entry.of::<f64>(1, &sum));
    let exact = Ratio::whole(sum);
    (exact.used(&result, &bound), exact.within(&result, &bound))
}

/// The same draws every time: this is a statement about the table, not a search.
#[test]
fn no_tolerance_is_looser_than_it_says() {
    let (mut runner, strategy) = (TestRunner::deterministic(), ordinary(9));
    let draws: Vec<Numbers> = (0..4000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    for entry in TABLE {
        let worst = draws.iter().map(|draw| used(entry, draw)).fold(0.0, f64::max);
        println!("{entry:?}: {:.4} of it was used at two models; {}", worst, entry.reason);
        assert!(worst <= 1.0, "{entry:?} is exceeded: {worst}");
        assert!(worst >= entry.reached, "{entry:?}: only {worst} of it was used, {} is stated", entry.reached);
    }
}

/// Whole-model sums against exact ones, for entries all over the range: neither 1e-300² nor 1e300² leaves it.
#[test]
fn promise_06_accurate_statistics() {
    for kind in [Kind::Ordinary, Kind::Wild] {
        let entries = prop::collection::vec(number(Dtype::F64, kind, false).prop_map(f64::from_bits), 1..300);
        check(96, (entries, any::<bool>()), |(entries, mean)| {
            let (used, kept) = statistics(entries, mean);
            prop_assert!(kept, "{} of the bound", used);
            Ok(())
        });
    }
}
