//! The running product against the fused merge and against the exact answer: absorb in any order, combine, raise, remove, count a prior
//! once.
#![no_main]

use fisher_merge::{Error, Merge, NoEvidence, Posterior, Real, RunningProduct};
use fisher_merge_fuzz::{Bytes, Element, assert_accurate, is_clean};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    if bytes.byte() % 2 == 0 { run::<f32>(bytes) } else { run::<f64>(bytes) }
});

fn run<R: Real>(mut bytes: Bytes) {
    let count = 1 + usize::from(bytes.byte() % 5);
    let models: Vec<Element<R>> =
        (0..count).map(|_| Element { weight: bytes.weight(), fisher: bytes.real(), mean: bytes.real() }).collect();
    let slices: Vec<_> = models.iter().map(|model| ([model.mean], [model.fisher])).collect();
    let posteriors = slices.iter().map(|(mean, fisher)| Posterior::diagonal(&mean[..], &fisher[..]).unwrap());
    let factors: Vec<_> = posteriors.zip(&models).map(|(posterior, model)| posterior.power(model.weight)).collect();

    let (mut precision, mut mean) = ([R::ZERO], [R::ZERO]);
    let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
    let mut taken = Vec::new();
    for (factor, model) in factors.iter().zip(&models) {
        let kept = [product.posterior().mean()[0], state(&product)].map(|value| value.as_f64().to_bits());
        let outcome = product.absorb(factor);
        match outcome {
            // A factor of weight zero is not looked at.
            Ok(()) if model.weight == R::ZERO => {}
            Ok(()) => taken.push(*model),
            Err(Error::BadWeight { .. }) => assert!(!(model.weight >= R::ZERO && model.weight.is_finite())),
            Err(Error::BadNumber { .. }) => assert!(!is_clean(model)),
            Err(other) => panic!("{other}"),
        }
        if outcome.is_err() {
            assert_eq!(kept, [product.posterior().mean()[0], state(&product)].map(|value| value.as_f64().to_bits()));
        }
    }
    if product.absorbed() == 0 {
        assert_eq!(product.count_prior_once(&factors[0].posterior()), Err(Error::NothingAbsorbed));
        return;
    }
    let in_range = product.summary().out_of_range == 0;
    if in_range {
        assert_accurate(&taken, product.posterior().mean()[0], (2 * taken.len() as i64 + 4).max(8));
        let kept: Vec<_> = taken.iter().map(|model| ([model.mean], [model.fisher], model.weight)).collect();
        let fused: Vec<_> =
            kept.iter().map(|(mean, fisher, weight)| Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(*weight)).collect();
        let mut merged = [R::nan()];
        let _ = Merge::new().run(&fused, &mut merged[..]).unwrap();
        assert_eq!(merged[0].as_f64().to_bits(), product.posterior().mean()[0].as_f64().to_bits());
    }
    // What follows may be refused, and never panics or leaves a state that is no posterior.
    let _ = product.raise(bytes.weight());
    let _ = product.remove(&factors[0]);
    assert_posterior(&product);
    if product.absorbed() > 0 {
        let _ = product.count_prior_once(&factors[count - 1].posterior());
    }
    assert_posterior(&product);
    let (mut other_precision, mut other_mean) = ([R::ZERO], [R::ZERO]);
    let mut other = RunningProduct::start(&mut other_precision, &mut other_mean, NoEvidence::WeightedMean).unwrap();
    other.combine(&product).unwrap();
    assert_eq!(state(&other).as_f64().to_bits(), state(&product).as_f64().to_bits());
}

/// The precision of a product's one element.
fn state<R: Real>(product: &RunningProduct<'_, R>) -> R {
    let fisher_merge::Precision::Diagonal(precision) = product.posterior().precision() else { unreachable!("a state is diagonal") };
    precision[0]
}

fn assert_posterior<R: Real>(product: &RunningProduct<'_, R>) {
    assert!(state(product) >= R::ZERO && state(product).is_finite() && product.posterior().mean()[0].is_finite());
}
