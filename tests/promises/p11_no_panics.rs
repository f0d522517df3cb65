//! Promise 11: no bytes, weights, lengths or policies make it panic; every call gives results or a typed error. (That no panic is even reachable is proved
//! by the bare binary that links without one.)

use fisher_merge::{
    BadNumbers, Conditioning, Dtype, Error, FisherStatistics, Floor, FloorOn, FloorScope, Job, LeBytes, Magnitude, Merge, NoEvidence,
    Normalize, Posterior, RunningProduct, Stored, Summary, Values, ValuesMut, from_natural, to_natural,
};
use proptest::prelude::*;

use crate::common::generators::{Arithmetic, DTYPES, Kind, check, pattern};

/// Storage types of mean and Fisher by number, their bytes, and a weight.
type RawModel = (usize, usize, Vec<u8>, Vec<u8>, (u8, u64));

/// Raw material: nothing about it is known to be right.
#[derive(Clone, Debug)]
struct Raw {
    models: Vec<RawModel>,
    outputs: (usize, usize, usize, usize),
    prior: Vec<(u8, u64)>,
    floor: (u8, u64),
    choices: [u8; 6],
}

fn raw() -> impl Strategy<Value = Raw> {
    let bytes = || {
        prop_oneof![Just(64).boxed(), (0..70_usize).boxed()]
            .prop_flat_map(|len| prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0xff)], len))
    };
    let model = (0..4_usize, 0..4_usize, bytes(), bytes(), any::<(u8, u64)>());
    let outputs = (0..4_usize, 0..4_usize, prop_oneof![Just(64), 0..70_usize], prop_oneof![Just(64), 0..70_usize]);
    let models = prop::collection::vec(model, 0..5);
    (models, outputs, prop::collection::vec(any::<(u8, u64)>(), 6..18), any::<(u8, u64)>(), any::<[u8; 6]>())
        .prop_map(|(models, outputs, prior, floor, choices)| Raw { models, outputs, prior, floor, choices })
}

fn number<R: Arithmetic>(drawn: (u8, u64)) -> R {
    R::from_pattern(pattern(R::DTYPE, Kind::Any, true, drawn))
}

fn policy<R: Arithmetic>(choice: u8, prior: &[R]) -> NoEvidence<'_, R> {
    [NoEvidence::KeepTarget, NoEvidence::WeightedMean, NoEvidence::PriorMean(prior), NoEvidence::Error][usize::from(choice % 4)]
}

fn conditioning(choices: [u8; 3], floor: f64) -> Conditioning {
    let scope = if choices[0] & 4 == 0 { FloorScope::Tensor } else { FloorScope::Model };
    let floors = [Floor::None, Floor::Absolute(floor), Floor::Relative { share: floor, scope }];
    let norms = [Normalize::None, Normalize::L2, Normalize::Mean];
    let on = if choices[1] & 1 == 0 { FloorOn::All } else { FloorOn::Target };
    Conditioning::new().floor(floors[usize::from(choices[0] % 3)]).floor_on(on).normalize(norms[usize::from(choices[2] % 3)])
}

/// Views of equal length where that is possible, cut to what the bytes hold; ragged bytes are refused by name.
fn view(dtype: Dtype, bytes: &[u8]) -> Result<LeBytes<&[u8]>, TestCaseError> {
    match LeBytes::new(dtype, bytes) {
        Ok(view) => Ok(view),
        Err(Error::RaggedBytes { dtype: named, found }) => {
            prop_assert_eq!((named, found), (dtype, bytes.len()));
            prop_assert!(bytes.len() % dtype.bytes() != 0);
            Ok(LeBytes::new(dtype, &bytes[..bytes.len() / dtype.bytes() * dtype.bytes()]).unwrap())
        }
        Err(other) => Err(TestCaseError::fail(other.to_string())),
    }
}

fn survives<R: Arithmetic>(raw: &Raw) -> Result<(), TestCaseError> {
    let prior: Vec<R> = raw.prior.iter().map(|&drawn| number(drawn)).collect();
    let bad = if raw.choices[1] & 2 == 0 { BadNumbers::Refuse } else { BadNumbers::Propagate };
    let rule = conditioning([raw.choices[2], raw.choices[3], raw.choices[4]], number(raw.floor));
    let mut factors = Vec::new();
    for (number_of, (mean, fisher, mean_bytes, fisher_bytes, weight)) in raw.models.iter().enumerate() {
        let (mean, fisher) = (view(DTYPES[*mean], mean_bytes)?, view(DTYPES[*fisher], fisher_bytes)?);
        let mut statistics = FisherStatistics::new();
        statistics.observe(fisher);
        let whole = if raw.choices[5] & 1 == 0 { Posterior::scaled(mean, number::<R>(*weight)) } else { Posterior::isotropic(mean) };
        let posterior = Posterior::diagonal(mean, fisher).unwrap_or(whole);
        let factor = posterior.power(number::<R>((weight.0.wrapping_add(1), weight.1)));
        // A bad floor is an error, and nothing else about a Fisher is.
        factors.push(match rule.scale(&statistics, number_of == 0) {
            Ok(scale) => factor.conditioned(&scale),
            Err(refused) => {
                let (named, floor) = (matches!(refused, Error::BadFloor { .. }), number::<f64>(raw.floor));
                prop_assert!(named && !(floor >= 0.0 && floor.is_finite()));
                factor
            }
        });
    }
    let count = factors.first().map_or(0, |factor| factor.count());
    let policy = policy(raw.choices[0], if raw.choices[0] & 8 == 0 { prior.get(..count).unwrap_or(&prior) } else { &prior });
    let merge = Merge::new().no_evidence(policy).bad_numbers(bad);
    let (mean, precision, mean_len, precision_len) = raw.outputs;
    let fit = |dtype: Dtype, len: usize| if raw.choices[5] & 2 == 0 { count * dtype.bytes() } else { len / dtype.bytes() * dtype.bytes() };
    let (mut means, mut precisions) = (vec![0; fit(DTYPES[mean], mean_len)], vec![0; fit(DTYPES[precision], precision_len)]);
    let outputs = (LeBytes::new(DTYPES[mean], &mut means[..]).unwrap(), LeBytes::new(DTYPES[precision], &mut precisions[..]).unwrap());
    let elements = outputs.0.count() as u64;
    if let Ok(summary) = merge.run_with_precision(&factors, outputs.0, outputs.1) {
        prop_assert_eq!(summary.elements, elements);
    }
    let _ = merge.check(&factors);
    let _ = merge.run_all::<LeBytes<&[u8]>, LeBytes<&[u8]>, &mut [R], &mut [R]>(&mut []);
    let _ = merge.run_all(&mut [Job::new(&factors, LeBytes::new(DTYPES[mean], &mut means[..]).unwrap())]);
    running(&factors, policy, bad, &prior)
}

type Lent<'a, R> = fisher_merge::Factor<LeBytes<&'a [u8]>, LeBytes<&'a [u8]>, R>;

/// All verbs of a running product, over factors that may not fit.
fn running<R: Arithmetic>(factors: &[Lent<'_, R>], policy: NoEvidence<'_, R>, bad: BadNumbers, numbers: &[R]) -> Result<(), TestCaseError> {
    let count = factors.first().map_or(0, |factor| factor.count());
    let (mut precision, mut mean) = (vec![R::ZERO; count], vec![R::ZERO; count]);
    let (mut other_precision, mut other_mean) = (precision.clone(), mean.clone());
    let other = RunningProduct::start(&mut other_precision, &mut other_mean, NoEvidence::KeepTarget);
    let Ok(mut product) = RunningProduct::start(&mut precision, &mut mean, policy) else { return Ok(()) };
    product = product.bad_numbers(bad);
    let mut other = other.unwrap().bad_numbers(bad);
    for (index, factor) in factors.iter().enumerate() {
        let _ = (product.absorb(factor), other.absorb(factor), product.combine(&other));
        let _ = (product.remove(factor), product.raise(numbers[index]), product.count_prior_once(&factor.posterior()));
    }
    let kept = (product.weight(), product.absorbed());
    let _: (Summary, _) = (product.summary(), product.finish());
    let _ = RunningProduct::resume(&mut precision, &mut mean, policy, kept).map(|product| product.absorbed());
    let mut eta = vec![R::ZERO; count];
    let _ = (to_natural(&precision, &mean, &mut eta), from_natural(&precision, &eta, &mut mean));
    let _ = (to_natural(numbers, &mean, &mut eta), from_natural(&precision, numbers, &mut mean));
    Ok(())
}

#[test]
fn promise_11_no_panics_on_data() {
    check(1500, raw(), |raw| {
        survives::<f32>(&raw)?;
        survives::<f64>(&raw)
    });
}

/// Single numbers: past the end there is nothing to read and nothing is written, at any index.
#[test]
fn promise_11_no_panics_at_any_index() {
    check(
        512,
        (0..4_usize, prop::collection::vec(any::<u8>(), 0..40), prop_oneof![0..9_usize, any::<usize>()], any::<u64>()),
        |(dtype, mut bytes, index, raw)| {
            let dtype = DTYPES[dtype];
            bytes.truncate(bytes.len() / dtype.bytes() * dtype.bytes());
            let count = bytes.len() / dtype.bytes();
            let before = bytes.clone();
            let found: Option<f64> = LeBytes::new(dtype, &bytes[..]).unwrap().at(index);
            prop_assert_eq!(found.is_some(), index < count);
            LeBytes::new(dtype, &mut bytes[..]).unwrap().put(index, f64::from_bits(raw));
            prop_assert!(index < count || bytes == before);
            let positive = f64::from_bits(raw) > 0.0 && f64::from_bits(raw).is_finite();
            prop_assert_eq!(Magnitude::new(f64::from_bits(raw)).map(Magnitude::as_f64), positive.then_some(f64::from_bits(raw)));
            Ok(())
        },
    );
}
