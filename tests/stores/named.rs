//! Promise 12 through the driver: bad numbers are named by their place in the whole tensor, and what is in place is not half merged.

use core::ops::ControlFlow;

use fisher_merge::{BadNumbers, Conditioning, Defect, Dtype, Error, Merge, Model, NoEvidence, Normalize, Role, StoreMerge};

use crate::kit::{Kit, Owned, Random, models, run};

/// Two models and a target, all in f32.
fn kits() -> ([Kit; 2], [Kit; 2], Kit) {
    let mut random = Random::new(23);
    let mut kit = |value: fn(&mut Random) -> f64| {
        let mut kit = Kit::model(&mut random, Dtype::F32, value);
        kit.tensors.iter_mut().for_each(|tensor| *tensor = Owned::new(&tensor.name, &tensor.shape, Dtype::F32, || value(&mut random)));
        kit
    };
    ([kit(Random::mean), kit(Random::mean)], [kit(Random::fisher), kit(Random::fisher)], kit(|_| 0.0))
}

#[test]
fn promise_12_a_bad_number_is_named_by_its_place_in_the_tensor() {
    for (value, defect) in [(f64::NAN, Defect::Nan), (f64::INFINITY, Defect::Infinite), (-1.0, Defect::Negative)] {
        for (model, index) in [(0, 0), (1, 706), (1, 255), (0, 500)] {
            for tile in [1, 100, 1000] {
                let (means, mut fishers, mut target) = kits();
                fishers[model].tensors[0].put(index, value);
                let scratch = &mut vec![0.0; 5 * tile];
                let models = models::<f64>(&means, &fishers);
                let refused = run(&StoreMerge::new(), &models, &mut target, None, scratch, &mut |_| ControlFlow::Continue(()));
                assert_eq!(refused, Err(Error::BadNumber { tensor: 0, model, role: Role::Precision, index, defect }));
            }
        }
    }
}

#[test]
fn promise_12_what_propagates_is_counted() {
    let (mut means, mut fishers, mut target) = kits();
    means[0].tensors[3].put(299, f64::INFINITY);
    fishers[1].tensors[0].put(5, f64::NAN);
    fishers[0].tensors[4].put(0, -2.0);
    let models = models::<f64>(&means, &fishers);
    let driver = StoreMerge::new().policies(Merge::new().bad_numbers(BadNumbers::Propagate));
    let summary = run(&driver, &models, &mut target, None, &mut [0.0; 5 * 64], &mut |_| ControlFlow::Continue(())).unwrap().summary;
    assert_eq!((summary.infinite, summary.nan, summary.negative), (1, 1, 1));
    assert!(target.tensors[0].numbers()[5].is_nan() && target.tensors[4].numbers()[0].is_nan());
}

/// A number that is refused at the very end leaves a target in place, or one that was looked at first, as it was.
#[test]
fn promise_12_a_refusal_leaves_what_is_in_place_as_it_was() {
    let (means, mut fishers, target) = kits();
    fishers[1].tensors[4].put(5, f64::NAN);
    let [first, second] = models::<f64>(&means, &fishers)[..] else { unreachable!("there are two") };
    for driver in [StoreMerge::new(), StoreMerge::new().conditioning(Conditioning::new().normalize(Normalize::L2))] {
        let mut in_place = means[0].clone();
        let refused = driver.run(&[Model::in_place(first.precision, first.weight), second], &mut in_place, &mut [0.0; 5 * 50]);
        assert!(matches!(refused, Err(Error::BadNumber { tensor: 4, model: 1, index: 5, .. })));
        assert_eq!((in_place.bytes(), in_place.writes), (means[0].bytes(), 0));
        let mut looked_at = target.clone();
        assert!(driver.look_first(true).run(&[first, second], &mut looked_at, &mut [0.0; 5 * 50]).is_err());
        assert_eq!((looked_at.bytes(), looked_at.writes), (target.bytes(), 0));
    }
}

#[test]
fn promise_12_without_evidence_is_refused_in_place_too() {
    let (means, mut fishers, _) = kits();
    for fisher in &mut fishers {
        fisher.tensors.iter_mut().for_each(|tensor| (0..tensor.numbers().len()).for_each(|index| tensor.put(index, 1.0)));
        fisher.tensors[3].put(299, 0.0);
    }
    let [first, second] = models::<f64>(&means, &fishers)[..] else { unreachable!("there are two") };
    let policies = Merge::new().no_evidence(NoEvidence::Error).bad_numbers(BadNumbers::Propagate);
    let mut in_place = means[0].clone();
    let refused = StoreMerge::new().policies(policies).run(
        &[Model::in_place(first.precision, first.weight), second],
        &mut in_place,
        &mut [0.0; 5 * 50],
    );
    assert_eq!(refused, Err(Error::NoEvidence { tensor: 3, index: 299 }));
    assert_eq!(in_place.bytes(), means[0].bytes());
}
