//! What a running product keeps from call to call: the digits of its total weight, its evidence, its counts, its place in a tensor; and
//! what natural parameters count.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use fisher_merge::{Conditioning, Error, FisherStatistics, Floor, NoEvidence, Posterior, RunningProduct, from_natural, to_natural};

/// Natural parameters: what is counted there and back, each cause by itself.
#[test]
fn natural_parameters_count_what_they_lose() {
    let there = |precision: f64, mean: f64| {
        let mut eta = [f64::NAN];
        let summary = to_natural(&[precision], &[mean], &mut eta).unwrap();
        assert_eq!(summary.elements, 1);
        (eta[0], summary.out_of_range, summary.no_evidence)
    };
    let least = f64::MIN_POSITIVE;
    assert_eq!((there(2.0, 3.0), there(2.0, -3.0), there(2.0, 0.0)), ((6.0, 0, 0), (-6.0, 0, 0), (0.0, 0, 0)));
    assert_eq!((there(0.0, 3.0), there(0.0, least)), ((0.0, 0, 1), (0.0, 0, 1)));
    assert_eq!((there(1e200, 1e200), there(1e200, -1e200)), ((f64::INFINITY, 1, 0), (f64::NEG_INFINITY, 1, 0)));
    assert_eq!(there(1.0, f64::INFINITY), (f64::INFINITY, 0, 0));
    assert_eq!((there(1.0, least), there(1.0, -least), there(0.5, least)), ((least, 0, 0), (-least, 0, 0), (least / 2.0, 1, 0)));
    assert_eq!(there(1e-200, -1e-200).1, 1);

    let back = |precision: f64, eta: f64| {
        let mut mean = [7.0];
        let summary = from_natural(&[precision], &[eta], &mut mean).unwrap();
        assert_eq!(summary.elements, 1);
        (mean[0], [summary.no_evidence, summary.negative, summary.out_of_range, summary.nan])
    };
    assert_eq!((back(2.0, 6.0), back(2.0, 0.0)), ((3.0, [0; 4]), (0.0, [0; 4])));
    assert_eq!((back(0.0, 6.0), back(-0.0, 6.0), back(-2.0, 6.0)), ((7.0, [1, 0, 0, 0]), (7.0, [1, 0, 0, 0]), (7.0, [1, 1, 0, 0])));
    assert_eq!((back(1e-300, 1e300), back(1.0, f64::INFINITY)), ((f64::INFINITY, [0, 0, 1, 0]), (f64::INFINITY, [0; 4])));
    let (nan, counts) = back(f64::NAN, 6.0);
    assert!(nan.is_nan() && counts == [0, 0, 0, 1]);
    // Several at once add up.
    let mut means = [7.0; 6];
    let summary = from_natural(&[-1.0, 0.0, -3.0, f64::NAN, 1e-300, f64::NAN], &[1e300; 6], &mut means).unwrap();
    assert_eq!((summary.no_evidence, summary.negative, summary.out_of_range, summary.nan), (3, 2, 1, 2));
    let mut eta = [0.0; 4];
    let summary = to_natural(&[0.0, 1e200, 0.0, 1e200], &[1e200; 4], &mut eta).unwrap();
    assert_eq!((summary.elements, summary.no_evidence, summary.out_of_range), (4, 2, 2));
}

/// The total weight is a sum of two numbers: what rounding drops from the first is there when a prior is counted once, also in a product
/// that was combined and raised.
#[test]
fn the_total_weight_keeps_its_last_digits() {
    let (mean, prior_mean, prior) = ([3.0], [3.0], [2_f64.powi(60)]);
    let little = 2_f64.powi(-60);
    let factor = |precision: &'static [f64; 1], weight: f64| Posterior::diagonal(&[3.0][..], &precision[..]).unwrap().power(weight);
    let (mut states, mut means) = ([[0.0]; 2], [mean; 2]);
    let ([first, second], [first_mean, second_mean]) = (&mut states, &mut means);
    let mut product = RunningProduct::start(first, first_mean, NoEvidence::KeepTarget).unwrap();
    let mut other = RunningProduct::start(second, second_mean, NoEvidence::KeepTarget).unwrap();
    product.absorb(&factor(&[2.0], 1.0)).unwrap();
    product.absorb(&factor(&[0.0], little)).unwrap();
    other.absorb(&factor(&[2.0], 1.0)).unwrap();
    other.absorb(&factor(&[0.0], 2.0 * little)).unwrap();
    product.combine(&other).unwrap();
    product.raise(0.5).unwrap();
    assert_eq!((product.weight(), product.absorbed()), (1.0, 4));
    // Precision 2, and one and a half times 2⁻⁶⁰ copies of the prior too many.
    product.count_prior_once(&Posterior::diagonal(&prior_mean[..], &prior[..]).unwrap()).unwrap();
    assert_eq!((product.weight(), product.absorbed(), states[0], means[0]), (1.0, 4, [0.5], [3.0]));
    // Two halves of a last digit are one.
    let mut product = RunningProduct::start(&mut states[0], &mut means[0], NoEvidence::KeepTarget).unwrap();
    [1.0, f64::EPSILON / 2.0, f64::EPSILON / 2.0].iter().for_each(|&weight| product.absorb(&factor(&[2.0], weight)).unwrap());
    assert_eq!(product.weight(), 1.0 + f64::EPSILON);
}

/// A state that was kept is not empty for having absorbed nothing since: it can be finished, and combined into another.
#[test]
fn a_state_with_evidence_is_not_empty() {
    let ((mut kept, mut kept_mean), (mut state, mut mean)) = (([2.0, 0.0], [5.0, 6.0]), ([1.0, 1.0], [2.0, 3.0]));
    let other = RunningProduct::resume(&mut kept, &mut kept_mean, NoEvidence::KeepTarget, (1.0, 0)).unwrap();
    let mut product = RunningProduct::resume(&mut state, &mut mean, NoEvidence::KeepTarget, (1.0, 1)).unwrap();
    product.combine(&other).unwrap();
    assert_eq!((other.finish().map(|summary| summary.no_evidence), product.weight()), (Ok(1), 2.0));
    assert_eq!((state, mean), ([3.0, 1.0], [4.0, 3.0]));
    let mut kept = RunningProduct::resume(&mut state, &mut mean, NoEvidence::KeepTarget, (1.0, 0)).unwrap();
    kept.absorb(&Posterior::diagonal(&[0.0, 7.0][..], &[1.0, 3.0][..]).unwrap().power(1.0)).unwrap();
    assert_eq!((state, mean), ([4.0, 4.0], [3.0, 6.0]));
    let none = RunningProduct::resume(&mut state[..0], &mut mean[..0], NoEvidence::KeepTarget, (1.0, 0)).unwrap();
    assert_eq!(none.finish(), Err(Error::NothingAbsorbed));
}

/// Counts add up from factor to factor: entries below a floor, and precisions out of range.
#[test]
fn running_counts_add_up() {
    let (mean, fisher) = ([1.0_f32, 2.0, 3.0, 4.0], [1e-3_f32, 0.5, 1e-44, 2.0]);
    let plain = Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(1.0_f32);
    let scale = Conditioning::new().floor(Floor::Absolute(0.75)).scale(&FisherStatistics::new(), true).unwrap();
    let (mut precision, mut state) = ([0.0; 4], [0.0; 4]);
    let mut product = RunningProduct::start(&mut precision, &mut state, NoEvidence::KeepTarget).unwrap();
    for (floored, out_of_range) in [(3, 1), (6, 2), (9, 3)] {
        product.absorb(&plain.conditioned(&scale)).unwrap();
        product.absorb(&plain).unwrap();
        let summary = product.summary();
        assert_eq!((summary.floored, summary.out_of_range, summary.elements), (floored, out_of_range, 4));
    }
}

/// A total weight out of range spoils weighted means, so these elements count; no other policy looks at it.
#[test]
fn a_total_weight_out_of_range_counts_where_it_is_used() {
    let (mean, fisher) = ([1.0_f32, 2.0, 3.0], [0.0_f32, 1e-36, 0.0]);
    let factor = |weight: f32| Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(weight);
    for (policy, weights, expected) in [
        (NoEvidence::WeightedMean, [3e38, 3e38, 1.0], 2),
        (NoEvidence::WeightedMean, [3e38; 3], 4),
        (NoEvidence::WeightedMean, [1e38; 3], 0),
        (NoEvidence::KeepTarget, [3e38; 3], 0),
    ] {
        let (mut precision, mut state) = ([0.0; 3], [0.0; 3]);
        let mut product = RunningProduct::start(&mut precision, &mut state, policy).unwrap();
        weights.iter().for_each(|&weight| product.absorb(&factor(weight)).unwrap());
        assert_eq!(product.finish().unwrap().out_of_range, expected, "{weights:?}");
        assert_eq!(state, mean);
    }
}

/// Removals over several blocks are removals one by one, and a refusal names its element.
#[test]
fn removals_find_their_place_in_any_block() {
    let n = 600;
    let (kept, mean): (Vec<f64>, Vec<f64>) = (0..n).map(|i| (f64::from(i % 7 + 9), f64::from(i % 101) - 50.0)).unzip();
    let (fisher, other): (Vec<f64>, Vec<f64>) = (0..n).map(|i| (f64::from(i % 8 + 1), f64::from(i % 97) - 40.0)).unzip();
    let remove = |at: std::ops::Range<usize>, fisher: &[f64]| {
        let (mut precision, mut state) = (kept[at.clone()].to_vec(), mean[at.clone()].to_vec());
        let factor = Posterior::diagonal(&other[at.clone()], &fisher[at]).unwrap().power(1.0);
        let mut product = RunningProduct::resume(&mut precision, &mut state, NoEvidence::KeepTarget, (2.0, 2)).unwrap();
        let removed = product.remove(&factor);
        (removed, precision, state)
    };
    let (removed, precision, state) = remove(0..n as usize, &fisher);
    assert_eq!(removed, Ok(()));
    for at in 0..n as usize {
        assert_eq!((precision[at], state[at]), (remove(at..at + 1, &fisher).1[0], remove(at..at + 1, &fisher).2[0]), "{at}");
    }
    for at in [0, 1, 255, 256, 257, 511, 512, 599] {
        let mut too_much = fisher.clone();
        too_much[at] = 100.0;
        let (refused, precision, state) = remove(0..n as usize, &too_much);
        assert_eq!(refused, Err(Error::NotRemovable { tensor: 0, index: at }));
        assert_eq!((precision, state), (kept.clone(), mean.clone()));
    }
}
