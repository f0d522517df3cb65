//! Promise 9: everything is compared before anything is written, and every disagreement is listed.

use core::ops::ControlFlow;

use fisher_merge::{Dtype, Element, Error, Fault, Mismatch, Model, ParameterInfo, Role, StoreMerge};

use crate::kit::{Kit, Owned, Random, models, run};

fn kits(seed: u64) -> ([Kit; 2], [Kit; 2], Kit) {
    let mut random = Random::new(seed);
    let mut kit = |value| Kit::model(&mut random, Dtype::F32, value);
    let means = [kit(Random::mean), kit(Random::mean)];
    (means, [kit(Random::fisher), kit(Random::fisher)], kit(|_| 0.0))
}

/// What is listed, and what the driver refuses on; nothing is written.
fn faults(means: &[Kit; 2], fishers: &[Kit; 2], target: &Kit) -> Vec<(usize, usize, Role, Fault)> {
    let models = models::<f32>(means, fishers);
    let driver = StoreMerge::new();
    let listed: Vec<Mismatch> = driver.mismatches(&models, target, None).collect();
    let mut out = target.clone();
    let refused = run(&driver, &models, &mut out, None, &mut [0.0; 500], &mut |_| ControlFlow::Continue(()));
    match listed.first() {
        Some(&first) => assert_eq!(refused, Err(Error::Mismatch(first))),
        None => assert!(refused.is_ok()),
    }
    if !listed.is_empty() {
        assert_eq!((out.bytes(), out.writes), (target.bytes(), 0));
    }
    listed.iter().map(|found| (found.tensor, found.model, found.role, found.fault)).collect()
}

#[test]
fn promise_09_models_that_agree_have_no_fault() {
    let (mut means, fishers, target) = kits(1);
    means[1].tensors.reverse();
    assert_eq!(faults(&means, &fishers, &target), []);
}

#[test]
fn promise_09_every_fault_is_listed() {
    let (mut means, mut fishers, target) = kits(2);
    means[1].tensors.remove(3);
    means[1].tensors[0].shape.reverse();
    means[1].tensors.push(Owned::new("more", &[2], Dtype::F32, || 0.0));
    fishers[0].tensors[1] = Owned::integers("scalar", &[]);
    fishers[1].tensors.push(Owned::new("last", &[2, 3], Dtype::F32, || 0.0));
    let expected = [
        (1, 0, Role::Precision, Fault::Element),
        (0, 1, Role::Mean, Fault::Shape),
        (3, 1, Role::Mean, Fault::Missing),
        (4, 1, Role::Mean, Fault::Extra),
        (5, 1, Role::Precision, Fault::Duplicate),
    ];
    assert_eq!(faults(&means, &fishers, &target), expected);
}

#[test]
fn promise_09_a_fault_is_explained_by_what_was_expected_and_found() {
    let (mut means, fishers, target) = kits(3);
    means[0].tensors[0].shape = vec![101, 7];
    let models = models::<f32>(&means, &fishers);
    let driver = StoreMerge::new();
    let found = driver.mismatches(&models, &target, None).next().unwrap();
    let (expected, found) = driver.mismatches(&models, &target, None).explain(&found);
    assert_eq!((expected.unwrap().shape, found.unwrap().shape), (&[7, 101][..], &[101, 7][..]));
    assert_eq!(expected.unwrap().name, "wide");
}

#[test]
fn promise_09_numbers_that_the_arithmetic_cannot_hold_are_faults() {
    let (mut means, fishers, mut target) = kits(4);
    means[0].tensors[4] = Owned::new("last", &[2, 3], Dtype::F64, || 1.0);
    assert_eq!(faults(&means, &fishers, &target), [(4, 0, Role::Mean, Fault::Narrow)]);
    target.tensors[4] = Owned::new("last", &[2, 3], Dtype::F64, || 1.0);
    assert_eq!(faults(&means, &fishers, &target), [(4, 0, Role::MeanOut, Fault::Narrow), (4, 0, Role::Mean, Fault::Narrow)]);
}

#[test]
fn promise_09_the_outputs_of_the_precision_are_compared_too() {
    let (means, fishers, mut target) = kits(5);
    let mut precision = target.clone();
    precision.tensors[0].name = "other".into();
    let models = models::<f32>(&means, &fishers);
    let refused = run(&StoreMerge::new(), &models, &mut target, Some(&mut precision), &mut [0.0; 500], &mut |_| ControlFlow::Continue(()));
    let missing = Mismatch { tensor: 0, model: 0, role: Role::PrecisionOut, fault: Fault::Missing };
    assert_eq!((refused, target.writes, precision.writes), (Err(Error::Mismatch(missing)), 0, 0));
}

#[test]
fn promise_09_weights_and_scales_are_looked_at_first() {
    let (means, _, mut target) = kits(6);
    let scales = [1.0; 4];
    let model = Model::isotropic(&means[0], 1.0_f64);
    let short = Model { precision: fisher_merge::ModelPrecision::PerTensor(&scales), ..model };
    let mut refused = |models: &[Model<'_, f64>]| {
        run(&StoreMerge::new(), models, &mut target, None, &mut [], &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    assert_eq!(refused(&[]), Error::NoModels);
    assert_eq!(refused(&[Model { weight: 0.0, ..model }]), Error::AllWeightsZero);
    assert!(matches!(refused(&[model, Model { weight: f64::NAN, ..model }]), Error::BadWeight { model: 1, .. }));
    assert!(matches!(refused(&[short]), Error::Length { model: 0, role: Role::Precision, expected: 5, found: 4, .. }));
    assert_eq!(refused(&[model]), Error::Scratch { needed: 2, found: 0 });
}

/// What is not selected is neither compared, read nor written; what is not numbers is compared and no more.
#[test]
fn promise_09_parts_and_integers_are_left_alone() {
    let (mut means, mut fishers, mut target) = kits(7);
    means[1].tensors[0].shape.reverse();
    fishers[0].tensors.remove(3);
    for kit in means.iter_mut().chain([&mut target]) {
        kit.tensors.push(Owned::integers("steps", &[4]));
    }
    let only = |info: &ParameterInfo<'_>| !["wide", "vector"].contains(&info.name);
    let driver = StoreMerge::<f32>::new().only(&only);
    let models = models::<f32>(&means, &fishers);
    assert_eq!(driver.mismatches(&models, &target, None).count(), 0);
    let before = target.clone();
    let outcome = run(&driver, &models, &mut target, None, &mut [0.0; 500], &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome.summary.elements, 7);
    assert_eq!(target.finished, [1, 2, 4]);
    for untouched in [0, 3, 5] {
        assert_eq!(target.tensors[untouched].bytes, before.tensors[untouched].bytes);
    }
    means[1].tensors[5] = Owned::new("steps", &[4], Dtype::F32, || 0.0);
    let models = self::models::<f32>(&means, &fishers);
    let fault = driver.mismatches(&models, &target, None).next().unwrap();
    assert_eq!((fault.role, fault.fault), (Role::Mean, Fault::Element));
    let (expected, found) = driver.mismatches(&models, &target, None).explain(&fault);
    assert_eq!(expected.unwrap().element, Element::Other("I64"));
    assert_eq!(found.unwrap().element, Element::Number(Dtype::F32));
}
