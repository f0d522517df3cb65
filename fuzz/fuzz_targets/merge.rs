//! The fused merge of arbitrary patterns under any policy: it never panics, errs only as documented, is within its bound of the exact
//! answer, stays in the hull, and counts right.
#![no_main]

use fisher_merge::{BadNumbers, Error, LeBytes, Merge, NoEvidence, Posterior, Real, Shell, Stored, Values};
use fisher_merge_fuzz::{Bytes, Element, assert_accurate, is_clean};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    if bytes.byte() % 2 == 0 { run::<f32>(bytes) } else { run::<f64>(bytes) }
});

fn run<R: Real>(mut bytes: Bytes) {
    let (models, count) = (usize::from(bytes.byte() % 5), usize::from(bytes.byte() % 40));
    let (storage, fisher_storage) = (bytes.dtype(), bytes.dtype());
    let weights: Vec<R> = (0..models).map(|_| bytes.weight()).collect();
    let stored: Vec<_> = (0..models).map(|_| (bytes.take(count * storage.bytes()), bytes.take(count * fisher_storage.bytes()))).collect();
    let prior: Vec<R> = (0..count).map(|_| bytes.real()).collect();
    let policy =
        [NoEvidence::KeepTarget, NoEvidence::WeightedMean, NoEvidence::PriorMean(&prior), NoEvidence::Error][usize::from(bytes.byte() % 4)];
    let numbers = [BadNumbers::Refuse, BadNumbers::Propagate][usize::from(bytes.byte() % 2)];

    let views =
        stored.iter().map(|(mean, fisher)| (LeBytes::new(storage, &mean[..]).unwrap(), LeBytes::new(fisher_storage, &fisher[..]).unwrap()));
    let factors: Vec<_> =
        views.zip(&weights).map(|((mean, fisher), &weight)| Posterior::diagonal(mean, fisher).unwrap().power(weight)).collect();
    let merge = Merge::new().no_evidence(policy).bad_numbers(numbers);
    let (mut mean, mut precision) = (vec![R::nan(); count], vec![R::nan(); count]);
    let outcome = merge.run_with_precision(&factors, &mut mean[..], &mut precision[..]);

    let mut again = vec![R::nan(); count];
    assert_eq!(outcome.map(|s| s.no_evidence), merge.shell(Shell::BASELINE).run(&factors, &mut again[..]).map(|s| s.no_evidence));
    let summary = match outcome {
        Ok(summary) => summary,
        Err(error) => return assert_deserved(error, &weights, R::DTYPE.holds(storage) && R::DTYPE.holds(fisher_storage)),
    };
    let mut no_evidence = 0;
    for index in 0..count {
        let element = |(factor, &weight): (&fisher_merge::Factor<LeBytes<&[u8]>, LeBytes<&[u8]>, R>, &R)| {
            let fisher_merge::Precision::Diagonal(fisher) = factor.posterior().precision() else { unreachable!("all are diagonal") };
            Element { weight, fisher: fisher.at(index).unwrap(), mean: factor.posterior().mean().at(index).unwrap() }
        };
        let active: Vec<Element<R>> = factors.iter().zip(&weights).map(element).filter(|element| element.weight > R::ZERO).collect();
        no_evidence += u64::from(active.iter().all(|element| element.fisher == R::ZERO));
        if active.iter().all(is_clean) {
            assert_accurate(&active, mean[index], (2 * active.len() as i64 + 4).max(8));
            assert_eq!(mean[index].as_f64().to_bits(), again[index].as_f64().to_bits());
            assert!(precision[index].is_finite() && precision[index] >= R::ZERO);
            assert_eq!(precision[index] == R::ZERO, active.iter().all(|element| element.fisher == R::ZERO));
        } else if active.iter().any(|element| !(element.fisher >= R::ZERO && element.fisher.is_finite())) {
            assert!(mean[index].is_nan() && precision[index].is_nan());
        }
    }
    assert_eq!((summary.elements, summary.no_evidence), (factors[0].posterior().mean().count() as u64, no_evidence));
}

fn assert_deserved<R: Real>(error: Error, weights: &[R], wide: bool) {
    match error {
        Error::NoModels => assert!(weights.is_empty()),
        Error::BadWeight { model, .. } => assert!(!(weights[model] >= R::ZERO && weights[model].is_finite())),
        Error::AllWeightsZero => assert!(weights.iter().all(|&weight| weight == R::ZERO)),
        Error::NarrowArithmetic { .. } => assert!(!wide),
        Error::BadNumber { .. } | Error::NoEvidence { .. } => {}
        other => panic!("{other}"),
    }
}
