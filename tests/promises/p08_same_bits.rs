//! Promise 8: the same bits in every shell, for every split into calls or threads, fused or running, alone or among other jobs.

use fisher_merge::{Factor, FisherStatistics, Job, Merge, NoEvidence, Posterior, RunningProduct, Shell, Summary};
use proptest::prelude::*;

use crate::common::generators::{Arithmetic, Case, Kind, Numbers, check};
use crate::harness::{Lent, Outcome, Policy, Rule, Storage, cases, conditionings, every_storage};

/// On and beside the edges of blocks (256 numbers) and of vector registers.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 1..=40_usize, 255..=257_usize, 511..=514_usize]
}

/// A long case: a few drawn elements, repeated at a stride that is no divisor of any block.
fn long<R: Arithmetic, S: Storage<R>>(kind: Kind) -> impl Strategy<Value = Case<R>> {
    (cases::<R, S>(1..=4_usize, 37..=37, (kind, kind)), lengths()).prop_map(|(mut case, count)| {
        let stretch = |numbers: &mut Numbers| numbers.bits = numbers.bits.iter().copied().cycle().take(count).collect();
        for model in &mut case.models {
            stretch(&mut model.mean);
            stretch(&mut model.fisher);
        }
        Case { count, ..case }
    })
}

/// The elements `from .. to` of a case.
fn part<R: Arithmetic>(case: &Case<R>, from: usize, to: usize) -> Case<R> {
    let mut case = Case { count: to - from, ..case.clone() };
    for numbers in case.models.iter_mut().flat_map(|model| [&mut model.mean, &mut model.fisher]) {
        numbers.bits = numbers.bits[from..to].to_vec();
    }
    case
}

fn joined(parts: Vec<Outcome>) -> Outcome {
    parts
        .into_iter()
        .reduce(|mut whole, part| {
            whole.mean.bits.extend(part.mean.bits);
            whole.precision.bits.extend(part.precision.bits);
            whole.summary.add(&part.summary);
            whole
        })
        .unwrap()
}

type Rules = (bool, fisher_merge::Conditioning);

fn rule<R: Arithmetic>((weighted, conditioning): Rules) -> Rule<R> {
    Rule { conditioning, ..Rule::new(if weighted { Policy::WeightedMean } else { Policy::KeepTarget }) }
}

fn shells<R: Arithmetic, S: Storage<R>>() {
    check(24, (long::<R, S>(Kind::Wild), any::<bool>(), conditionings(true)), |(case, weighted, conditioning)| {
        prop_assume!(case.takes_part());
        let (rule, lent) = (rule::<R>((weighted, conditioning)), Lent::<R, S>::new(&case));
        let merged = |shell: Shell| lent.in_shell(&rule, shell);
        let expected = merged(Shell::BASELINE);
        for shell in Shell::available() {
            prop_assert_eq!(&merged(shell), &expected);
        }
        // What is not asked for changes nothing, nor do other jobs.
        prop_assert_eq!(lent.means_alone(&rule), expected[0].mean.clone());
        prop_assert_eq!(lent.among_jobs(&rule), expected[0].clone());
        Ok(())
    });
}

#[test]
fn promise_08_same_bits_in_every_shell() {
    every_storage!(shells);
}

impl<R: Arithmetic, S: Storage<R>> Lent<R, S> {
    /// Fused and running in one shell.
    fn in_shell(&self, rule: &Rule<R>, shell: Shell) -> [Outcome; 2] {
        let (mut mean, mut precision) = (vec![R::nan(); self.count()], vec![R::nan(); self.count()]);
        let factors = self.factors(&rule.conditioning);
        let summary = rule.merge().shell(shell).run_with_precision(&factors, &mut mean[..], &mut precision[..]).unwrap();
        let fused = Outcome { mean: Numbers::of(&mean), precision: Numbers::of(&precision), summary };
        let mut product = RunningProduct::start(&mut precision, &mut mean, rule.policy.lend()).unwrap().shell(shell);
        factors.iter().for_each(|factor| product.absorb(factor).unwrap());
        let summary = product.finish().unwrap();
        [fused, Outcome { mean: Numbers::of(&mean), precision: Numbers::of(&precision), summary }]
    }

    /// Without the precision.
    fn means_alone(&self, rule: &Rule<R>) -> Numbers {
        let mut mean = vec![R::nan(); self.count()];
        let _ = rule.merge().run(&self.factors(&rule.conditioning), &mut mean[..]).unwrap();
        Numbers::of(&mean)
    }

    /// As the second of three jobs of other lengths and weights.
    fn among_jobs(&self, rule: &Rule<R>) -> Outcome {
        let factors = self.factors(&rule.conditioning);
        let others: Vec<Factor<S::View<'_>, S::View<'_>, R>> = factors.iter().map(|factor| factor.posterior().power(R::ONE)).collect();
        let (mut mean, mut precision) = (vec![R::nan(); self.count()], vec![R::nan(); self.count()]);
        let mut rest = [vec![R::nan(); self.count()], vec![R::nan(); self.count()]];
        let [first, last] = &mut rest;
        let mut jobs = [
            Job::new(&others, &mut first[..]),
            Job::with_precision(&factors, &mut mean[..], &mut precision[..]),
            Job::new(&others[..1], &mut last[..]),
        ];
        rule.merge().run_all(&mut jobs).unwrap();
        let summary = jobs[1].summary;
        Outcome { mean: Numbers::of(&mean), precision: Numbers::of(&precision), summary }
    }
}

/// Calls on parts of a tensor, and threads over parts, give what one call gives. (A floor relative to the tensor belongs to the whole tensor, so it is made there.)
fn splits<R: Arithmetic, S: Storage<R>>() {
    check(
        24,
        (long::<R, S>(Kind::Wild), any::<bool>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        |(case, weighted, a, b)| {
            prop_assume!(case.takes_part());
            let rule = rule::<R>((weighted, fisher_merge::Conditioning::new()));
            let (a, b) = (a.index(case.count + 1), b.index(case.count + 1));
            let cuts = [0, a.min(b), a.max(b), case.count];
            let whole = Lent::<R, S>::new(&case);
            let parts: Vec<Case<R>> = cuts.windows(2).map(|cut| part(&case, cut[0], cut[1])).collect();
            let run =
                |part: &Case<R>| [Lent::<R, S>::new(part).fused_wide(&rule).unwrap(), Lent::<R, S>::new(part).running(&rule).unwrap()];
            let expected = [whole.fused_wide(&rule).unwrap(), whole.running(&rule).unwrap()];
            let one_by_one: Vec<[Outcome; 2]> = parts.iter().map(run).collect();
            let threads: Vec<[Outcome; 2]> = std::thread::scope(|scope| {
                let running: Vec<_> = parts.iter().map(|part| scope.spawn(|| run(part))).collect();
                running.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for parts in [one_by_one, threads] {
                let (fused, running) = parts.into_iter().map(|[fused, running]| (fused, running)).unzip();
                prop_assert_eq!(&[joined(fused), joined(running)], &expected);
            }
            Ok(())
        },
    );
}

#[test]
fn promise_08_same_bits_for_every_split() {
    every_storage!(splits);
}

/// Fused and running agree to the bit, precision and counts too, where nothing leaves the normal range. (A sole factor's floor is the one stated exception.)
fn forms<R: Arithmetic, S: Storage<R>>() {
    for kind in [Kind::WithZeros, Kind::Wild] {
        check(32, (long::<R, S>(kind), any::<bool>(), conditionings(true)), |(case, weighted, conditioning)| {
            prop_assume!(case.active() > 1);
            let (rule, lent) = (rule::<R>((weighted, conditioning)), Lent::<R, S>::new(&case));
            let (fused, running) = (lent.fused_wide(&rule).unwrap(), lent.running(&rule).unwrap());
            if running.summary.out_of_range == 0 && fused.summary.out_of_range == 0 {
                prop_assert_eq!(fused, running);
            }
            Ok(())
        });
    }
}

#[test]
fn promise_08_fused_is_running() {
    every_storage!(forms);
}

/// Statistics of a model do not depend on how it is split into slices, nor on the shell.
fn statistics<R: Arithmetic, S: Storage<R>>() {
    check(24, (long::<R, S>(Kind::Wild), any::<prop::sample::Index>(), any::<prop::sample::Index>()), |(case, a, b)| {
        let fisher = &case.models[0].fisher;
        let (a, b) = (a.index(case.count + 1), b.index(case.count + 1));
        let mut expected = FisherStatistics::new();
        expected.observe_in(S::view(&S::own(fisher)), Shell::BASELINE);
        for shell in Shell::available() {
            let mut split = FisherStatistics::new();
            for cut in [0, a.min(b), a.max(b), case.count].windows(2) {
                let numbers = Numbers { dtype: fisher.dtype, bits: fisher.bits[cut[0]..cut[1]].to_vec() };
                split.observe_in(S::view(&S::own(&numbers)), shell);
            }
            // What is asked of them; what is 768 octaves below the largest entry may differ inside.
            let asked = |of: &FisherStatistics| (of.count(), of.l2(), of.mean());
            prop_assert_eq!(asked(&split), asked(&expected));
        }
        Ok(())
    });
}

#[test]
fn promise_08_same_statistics_for_every_split() {
    every_storage!(statistics);
}

/// A state that was kept and resumed goes on to the same bits.
#[test]
fn promise_08_resumed_products_go_on() {
    let means = [[1.0_f32, -3.5], [0.1, 7.0], [2.5, -0.7]];
    let fishers = [[0.3_f32, 0.0], [1.7, 2.0], [0.9, 0.1]];
    let factor = |model: usize| Posterior::diagonal(&means[model][..], &fishers[model][..]).unwrap().power(0.3_f32);
    let run = |stop: usize| -> ([f32; 2], [f32; 2], Summary) {
        let (mut precision, mut mean) = ([f32::NAN; 2], [f32::NAN; 2]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
        (0..stop).for_each(|model| product.absorb(&factor(model)).unwrap());
        let kept = (product.weight(), product.absorbed());
        let mut product = RunningProduct::resume(&mut precision, &mut mean, NoEvidence::KeepTarget, kept).unwrap();
        (stop..3).for_each(|model| product.absorb(&factor(model)).unwrap());
        let summary = product.finish().unwrap();
        (precision, mean, summary)
    };
    for stop in 1..3 {
        assert_eq!(run(stop), run(3));
    }
    let mut fused = [0.0_f32; 2];
    let _ = Merge::new().run(&[factor(0), factor(1), factor(2)], &mut fused[..]).unwrap();
    assert_eq!(run(3).1, fused);
}
