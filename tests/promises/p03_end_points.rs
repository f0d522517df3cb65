//! Promise 3: a model that carries all the evidence comes back bit for bit; a model of weight 0 takes no part.

use fisher_merge::Values;
use proptest::prelude::*;

use crate::common::generators::{Arithmetic, Case, Kind, Model, Numbers, check, model_counts, pattern};
use crate::harness::{FEW, Lent, Policy, Rule, Storage, cases, every_storage, policies, rules};

/// The mean of one model in the arithmetic type.
fn widened<R: Arithmetic, S: Storage<R>>(mean: &Numbers) -> Numbers {
    let owned = S::own(mean);
    let wide: Vec<R> = (0..mean.bits.len()).map(|index| S::view(&owned).at(index).unwrap()).collect();
    Numbers::of(&wide)
}

/// All Fishers are zero (of either sign) but one model's, whose entries are above zero.
fn sole_evidence<R: Arithmetic, S: Storage<R>>() {
    let drawn = (cases::<R, S>(model_counts(), 1..=FEW, (Kind::Wild, Kind::Wild)), policies::<R>(), any::<usize>());
    check(48, drawn, |(mut case, policy, sole)| {
        let sole = sole % case.models.len();
        prop_assume!(case.models[sole].weight > R::ZERO);
        for (number, model) in case.models.iter_mut().enumerate() {
            let (one, zero) =
                (pattern(model.fisher.dtype, Kind::Ordinary, false, (0, 0)), pattern(model.fisher.dtype, Kind::Wild, true, (7, 1 << 63)));
            for (index, bits) in model.fisher.bits.iter_mut().enumerate() {
                *bits = if number != sole {
                    zero * (index as u64 % 2)
                } else if *bits == 0 {
                    one
                } else {
                    *bits
                };
            }
        }
        let (rule, lent) = (Rule::new(policy).fit(case.count), Lent::<R, S>::new(&case));
        let mean = &case.models[sole].mean;
        let fused = lent.fused(&rule, (mean.dtype, mean.dtype)).unwrap();
        prop_assert_eq!((&fused.mean, fused.summary.no_evidence), (mean, 0));
        prop_assert_eq!(lent.running(&rule).unwrap().mean, widened::<R, S>(mean));
        Ok(())
    });
}

/// Gives a model numbers that may be anything, NaN and negative precisions too.
fn fill_with_noise<R>(model: &mut Model<R>, number: usize, noise: &[(u8, u64)]) {
    for (index, &(pick, raw)) in noise.iter().take(model.mean.bits.len()).enumerate() {
        let drawn = (pick.wrapping_add(u8::try_from(number).unwrap()), raw);
        model.mean.bits[index] = pattern(model.mean.dtype, Kind::Any, true, drawn);
        model.fisher.bits[index] = pattern(model.fisher.dtype, Kind::Any, true, drawn);
    }
}

/// Turns every model but one into one of weight zero with any numbers.
fn silence<R: Arithmetic>(case: &mut Case<R>, sole: usize, noise: &[(u8, u64)]) {
    for (number, model) in case.models.iter_mut().enumerate().filter(|&(number, _)| number != sole) {
        model.weight = R::ZERO;
        fill_with_noise(model, number, noise);
    }
}

/// Exactly one weight is positive: that model comes back before any policy, floor or prior, zero Fishers or not. The norm is of its own Fisher.
fn sole_weight<R: Arithmetic, S: Storage<R>>() {
    let noise = prop::collection::vec(any::<(u8, u64)>(), FEW);
    let drawn = (cases::<R, S>(model_counts(), 1..=FEW, (Kind::Wild, Kind::Wild)), rules::<R>(), any::<usize>(), any::<bool>(), noise);
    check(48, drawn, |(mut case, rule, sole, empty, noise)| {
        let sole = sole % case.models.len();
        prop_assume!(case.models[sole].weight > R::ZERO);
        silence(&mut case, sole, &noise);
        if empty {
            case.models[sole].fisher.bits.fill(0);
        }
        let (rule, lent) = (rule.fit(case.count), Lent::<R, S>::new(&case));
        let model = &case.models[sole];
        let zeros = model.fisher.bits.iter().filter(|&&bits| bits == 0).count() as u64;
        let fused = lent.fused(&rule, (model.mean.dtype, model.fisher.dtype)).unwrap();
        prop_assert_eq!((&fused.mean, fused.summary.no_evidence, fused.summary.floored), (&model.mean, zeros, 0));
        prop_assert_eq!((fused.summary.nan, fused.summary.infinite, fused.summary.negative), (0, 0, 0));
        prop_assert_eq!(lent.running(&rule).unwrap().mean, widened::<R, S>(&model.mean));
        Ok(())
    });
}

/// Weight-0 models among several others change no bit and no count, and the target is the first model of positive weight.
fn weightless_models_take_no_part<R: Arithmetic, S: Storage<R>>() {
    let noise = prop::collection::vec(any::<(u8, u64)>(), FEW);
    let drawn = (cases::<R, S>(2..=5_usize, 1..=FEW, (Kind::Wild, Kind::Wild)), rules::<R>(), any::<u8>(), noise);
    check(48, drawn, |(mut case, rule, mask, noise)| {
        let rule = rule.fit(case.count);
        for (number, model) in case.models.iter_mut().enumerate() {
            if mask >> number & 1 == 1 {
                model.weight = R::ZERO;
            }
        }
        prop_assume!(case.takes_part());
        let mut without = case.clone();
        without.models.retain(|model| model.weight > R::ZERO);
        for (number, model) in case.models.iter_mut().enumerate().filter(|(_, model)| model.weight == R::ZERO) {
            fill_with_noise(model, number, &noise);
        }
        let (with, without) = (Lent::<R, S>::new(&case), Lent::<R, S>::new(&without));
        prop_assert_eq!(with.fused_wide(&rule), without.fused_wide(&rule));
        prop_assert_eq!(with.running(&rule), without.running(&rule));
        Ok(())
    });
}

#[test]
fn promise_03_sole_evidence_comes_back() {
    every_storage!(sole_evidence);
}

#[test]
fn promise_03_sole_weight_comes_back() {
    every_storage!(sole_weight);
}

#[test]
fn promise_03_weightless_models_take_no_part() {
    every_storage!(weightless_models_take_no_part);
}

/// The paper's floor on the first model gave NaN at λ = (0, 1); `KeepTarget` must keep the first model that takes part.
#[test]
fn promise_03_the_target_is_the_first_model_of_positive_weight() {
    let numbers = |values: &[f32]| Numbers::of(values);
    let model = |mean: f32, fisher: f32, weight: f64| Model { mean: numbers(&[mean]), fisher: numbers(&[fisher]), weight };
    let case = Case { models: vec![model(f32::NAN, 1.0, 0.0), model(5.0, 0.0, 0.5), model(7.0, 0.0, 0.5)], count: 1 };
    let lent = Lent::<f64, crate::harness::Typed<f32>>::new(&case);
    let rule = Rule::new(Policy::KeepTarget);
    assert_eq!(lent.fused_wide(&rule).unwrap().mean, Numbers::of(&[5.0_f64]));
    assert_eq!(lent.running(&rule).unwrap().mean, Numbers::of(&[5.0_f64]));
}
