//! Promise 8 (and 10): the bits of a merge through the driver are those of `Merge` over whole slices, whatever the stores and the tiles.

use core::cell::RefCell;
use core::ops::ControlFlow;
use std::rc::Rc;

use fisher_merge::{
    AnySliceMut, Conditioning, Dtype, Element, FisherStatistics, Floor, FloorOn, FloorScope, LeBytes, Merge, Model, ModelPrecision,
    NoEvidence, Normalize, ParameterInfo, ParameterSource, ParameterTarget, Posterior, Real, StoreError, StoreMerge, Summary, Values,
    target,
};

use crate::kit::{Kit, Random, models, run};

/// The merge of whole slices, tensor by tensor, with the conditioning worked out by hand.
fn whole<R: Real>(means: &[Kit], fishers: &[Kit], rule: Conditioning, policy: Merge<'_, R>, out: &mut Kit, precision: &mut Kit) -> Summary {
    let weights: Vec<R> = models::<R>(means, fishers).iter().map(|model| model.weight).collect();
    let scale = |model: usize| {
        let mut statistics = FisherStatistics::new();
        fishers[model].tensors.iter().for_each(|tensor| statistics.observe(tensor.view()));
        rule.scale(&statistics, target(&weights) == Some(model)).unwrap()
    };
    let mut total = Summary::default();
    for (number, (out, precision)) in out.tensors.iter_mut().zip(&mut precision.tensors).enumerate() {
        let factor = |model: usize| {
            let (mean, fisher) = (means[model].tensors[number].view(), fishers[model].tensors[number].view());
            Posterior::diagonal(mean, fisher).unwrap().power(weights[model]).conditioned(&scale(model))
        };
        let factors: Vec<_> = (0..means.len()).map(factor).collect();
        let mean = LeBytes::new(out.dtype.unwrap(), &mut out.bytes[..]).unwrap();
        let precision = LeBytes::new(precision.dtype.unwrap(), &mut precision.bytes[..]).unwrap();
        total.add(&policy.run_with_precision(&factors, mean, precision).unwrap());
    }
    total
}

fn conditionings() -> Vec<Conditioning> {
    let relative = |scope| Floor::Relative { share: 0.125, scope };
    vec![
        Conditioning::new(),
        Conditioning::new().normalize(Normalize::L2).floor(Floor::Absolute(0.01)).floor_on(FloorOn::Target),
        Conditioning::new().normalize(Normalize::Mean).floor(relative(FloorScope::Tensor)),
        Conditioning::new().floor(relative(FloorScope::Model)),
    ]
}

/// One merge in several ways: tiles of any size, lent or read, in any order of the names.
fn agree<R: Real>(seed: u64) {
    let mut random = Random::new(seed);
    let count = 1 + random.below(5);
    let kits = |random: &mut Random, value: fn(&mut Random) -> f64| -> Vec<Kit> {
        (0..count).map(|_| Kit::model(random, R::DTYPE, value)).collect()
    };
    let (means, fishers) = (kits(&mut random, Random::mean), kits(&mut random, Random::fisher));
    let blank = [Kit::model(&mut random, R::DTYPE, |_| 0.0), Kit::model(&mut random, R::DTYPE, |_| 0.0)];
    let policy = Merge::<R>::new().no_evidence(if seed % 2 == 0 { NoEvidence::WeightedMean } else { NoEvidence::KeepTarget });
    for rule in conditionings() {
        let [mut expected, mut expected_precision] = blank.clone();
        let summary = whole(&means, &fishers, rule, policy, &mut expected, &mut expected_precision);
        for (tile, lends) in [(1, false), (37, false), (4096, false), (64, true)] {
            let mixed = |kits: &[Kit]| -> Vec<Kit> {
                kits.iter().enumerate().map(|(number, kit)| kit.clone().lending(lends && number % 2 == 0)).collect()
            };
            let (means, mut fishers) = (mixed(&means), mixed(&fishers));
            fishers.iter_mut().for_each(|fisher| fisher.tensors.reverse());
            let [out, precision] = blank.clone();
            let (mut out, mut precision) = (out.lending(lends), precision.lending(lends && seed % 3 == 0));
            let driver = StoreMerge::new().policies(policy).conditioning(rule);
            let models = models::<R>(&means, &fishers);
            let mut scratch = vec![R::ZERO; tile * driver.scratch_per_element(&models, true)];
            let outcome = run(&driver, &models, &mut out, Some(&mut precision), &mut scratch, &mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!((outcome.summary, outcome.stopped), (summary, None), "seed {seed}, {rule:?}, tiles of {tile}");
            assert_eq!(out.bytes(), expected.bytes(), "seed {seed}, {rule:?}, tiles of {tile}");
            assert_eq!(precision.bytes(), expected_precision.bytes(), "seed {seed}, {rule:?}, tiles of {tile}");
            assert_eq!(out.finished, [0, 1, 2, 3, 4]);
            // Means are read once, Fishers once more for a norm or a mean of the model, and once more for a mean of the tensor.
            if !lends {
                let numbers: usize = expected.tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
                assert!(means.iter().all(|mean| mean.elements_read.get() == numbers));
                assert!(fishers.iter().all(|fisher| fisher.elements_read.get() <= 3 * numbers));
            }
        }
    }
}

#[test]
fn promise_08_tiles_and_stores_do_not_show_in_the_bits() {
    (0..12).for_each(agree::<f32>);
    (0..12).for_each(agree::<f64>);
}

/// Typed slices take the bodies of their type, the same models as bytes take the general one.
#[test]
fn promise_08_lent_slices_of_one_type_merge_as_slices_do() {
    use fisher_merge::{Tensor, TensorMut, Tensors, TensorsMut};
    let mut random = Random::new(5);
    let mut numbers = |value: fn(&mut Random) -> f64| -> Vec<f32> { (0..1000).map(|_| value(&mut random) as f32).collect() };
    let (a, f, b, g) = (numbers(Random::mean), numbers(Random::fisher), numbers(Random::mean), numbers(Random::fisher));
    let factors = [Posterior::diagonal(&a[..], &f[..]).unwrap().power(0.5_f64), Posterior::diagonal(&b[..], &g[..]).unwrap().power(0.25)];
    let mut expected = vec![0.0_f32; 1000];
    let summary = Merge::new().run(&factors, &mut expected[..]).unwrap();
    let tensor = |values| [Tensor::new("w", &[10, 100], values).unwrap()];
    let (a, f, b, g) = (tensor(&a[..]), tensor(&f[..]), tensor(&b[..]), tensor(&g[..]));
    let (a, f, b, g) = (Tensors(&a), Tensors(&f), Tensors(&b), Tensors(&g));
    let mut merged = vec![0.0_f32; 1000];
    let mut target = [TensorMut::new("w", &[10, 100], &mut merged[..]).unwrap()];
    let models = [Model::diagonal(&a, &f, 0.5), Model::diagonal(&b, &g, 0.25)];
    let outcome = StoreMerge::<f64>::new().run(&models, &mut TensorsMut(&mut target), &mut []).unwrap();
    assert_eq!((merged, outcome.summary), (expected, summary));
}

/// In place: the target holds the first model.
#[test]
fn promise_08_in_place_is_out_of_place() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let means = [Kit::model(&mut random, Dtype::F64, Random::mean), Kit::model(&mut random, Dtype::F64, Random::mean)];
        let fishers = [Kit::model(&mut random, Dtype::F64, Random::fisher), Kit::model(&mut random, Dtype::F64, Random::fisher)];
        let [first, second] = models::<f64>(&means, &fishers)[..] else { unreachable!("there are two") };
        let mut scratch = [0.0; 5 * 11];
        let mut expected = means[0].clone();
        let outcome = StoreMerge::new().run(&[first, second], &mut expected, &mut scratch).unwrap();
        for lends in [false, true] {
            let mut out = means[0].clone().lending(lends);
            let in_place =
                StoreMerge::new().run(&[Model::in_place(first.precision, first.weight), second], &mut out, &mut scratch).unwrap();
            assert_eq!((out.bytes(), in_place), (expected.bytes(), outcome));
        }
    }
}

/// A framework's tensor that several stores share.
struct Shared(Rc<RefCell<Vec<f32>>>);

impl<R: Real> ParameterSource<R> for Shared {
    fn count(&self) -> usize {
        1
    }
    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        (index == 0).then_some(ParameterInfo { name: "w", shape: &[100], element: Element::Number(Dtype::F32) })
    }
    fn read(&self, _: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        fisher_merge::AnySlice::from(&self.0.borrow()[..]).read(offset, tile).unwrap();
        Ok(())
    }
}

impl<R: Real> ParameterTarget<R> for Shared {
    fn write(&mut self, _: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
        AnySliceMut::from(&mut self.0.borrow_mut()[..]).write(offset, tile).unwrap();
        Ok(())
    }
}

/// In place without saying so: the target's memory is a model's.
#[test]
fn promise_08_an_aliased_target_is_read_before_it_is_written() {
    let mut random = Random::new(3);
    let mut numbers =
        |value: fn(&mut Random) -> f64| Rc::new(RefCell::new((0..100).map(|_| value(&mut random) as f32).collect::<Vec<_>>()));
    let (a, f, b, g) = (numbers(Random::mean), numbers(Random::fisher), numbers(Random::mean), numbers(Random::fisher));
    let mut expected = vec![0.0_f32; 100];
    {
        let (a, f, b, g) = (a.borrow(), f.borrow(), b.borrow(), g.borrow());
        let factors = [Posterior::diagonal(&a[..], &f[..]).unwrap().power(0.5), Posterior::diagonal(&b[..], &g[..]).unwrap().power(0.5)];
        let _ = Merge::<f32>::new().run(&factors, &mut expected[..]).unwrap();
    }
    let (first, fisher, second, other) = (Shared(a), Shared(f), Shared(b.clone()), Shared(g));
    let models = [Model::diagonal(&first, &fisher, 0.5_f32), Model::diagonal(&second, &other, 0.5)];
    let _ = StoreMerge::new().run(&models, &mut Shared(b.clone()), &mut [0.0; 5 * 7]).unwrap();
    assert_eq!(*b.borrow(), expected);
}

/// Precisions of one number a tensor, and none.
#[test]
fn scalars_weigh_as_diagonals_of_them() {
    let mut random = Random::new(9);
    let means = [Kit::model(&mut random, Dtype::F32, Random::mean), Kit::model(&mut random, Dtype::F32, Random::mean)];
    let scales = [0.5, 2.0, 1.0, 0.0, 4.0];
    let mut fishers = [means[0].clone(), means[1].clone()];
    for (tensor, &scale) in fishers[0].tensors.iter_mut().zip(&scales) {
        (0..tensor.numbers().len()).for_each(|index| tensor.put(index, scale));
    }
    fishers[1].tensors.iter_mut().for_each(|tensor| (0..tensor.numbers().len()).for_each(|index| tensor.put(index, 1.0)));
    let rule = Conditioning::new().normalize(Normalize::Mean);
    let driver = StoreMerge::<f64>::new().conditioning(rule);
    let [first, second] = models::<f64>(&means, &fishers)[..] else { unreachable!("there are two") };
    let (mut expected, mut out) = (means[0].clone(), means[0].clone());
    let one = driver.run(&[first, second], &mut expected, &mut [0.0; 500]).unwrap();
    let (per_tensor, isotropic) = (ModelPrecision::PerTensor(&scales), ModelPrecision::Isotropic);
    let other =
        driver.run(&[Model { precision: per_tensor, ..first }, Model { precision: isotropic, ..second }], &mut out, &mut [0.0; 500]);
    assert_eq!((out.bytes(), other.unwrap()), (expected.bytes(), one));
}

/// The prior's value, by name, where there is no evidence.
#[test]
fn a_prior_mean_comes_from_its_store() {
    let mut random = Random::new(11);
    let means = [Kit::model(&mut random, Dtype::F64, Random::mean)];
    let fishers = [Kit::model(&mut random, Dtype::F64, |_| 0.0)];
    let mut prior = Kit::model(&mut random, Dtype::F64, Random::mean);
    let two = [models::<f64>(&means, &fishers)[0]; 2];
    let mut out = prior.clone();
    out.tensors.iter_mut().for_each(|tensor| tensor.bytes.fill(0));
    let expected = prior.clone();
    prior.tensors.reverse();
    let outcome = StoreMerge::new().prior_mean(&prior).run(&two, &mut out, &mut [0.0; 6 * 13]).unwrap();
    assert_eq!(out.bytes(), expected.bytes());
    assert_eq!(outcome.summary.no_evidence, outcome.summary.elements);
    let _: Option<f64> = out.tensors[0].view().at(0);
}
