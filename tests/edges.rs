//! Lengths at and beside the edges of blocks, and values at the ends of the range: whole tensors against one element at a time, bit for
//! bit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use fisher_merge::{
    BadNumbers, Bf16Bits, Conditioning, Defect, Error, F16Bits, Factor, FisherStatistics, Floor, Job, Merge, NoEvidence, Normalize,
    Posterior, RunningProduct, Shell, Summary, Values, ValuesMut,
};

/// Painted inputs: periods are prime and differ, so that a block read from the wrong place shows.
fn painted(n: usize, model: usize) -> (Vec<f32>, Vec<f32>) {
    let mean = (0..n).map(|i| ((i * 7 + model * 31) % 101) as f32 - 50.3).collect();
    // Every 13th entry is zero, and a few are at the ends of the range.
    let fisher = (0..n).map(|i| match (i + 5 * model) % 103 {
        k if k % 13 == 0 => 0.0,
        50 => 1e-44,
        51 => 3e38,
        k => k as f32 * 1e-3,
    });
    (mean, fisher.collect())
}

fn factors<'a>(models: &'a [(Vec<f32>, Vec<f32>)], cut: std::ops::Range<usize>) -> Vec<Factor<&'a [f32], &'a [f32], f32>> {
    let posterior = |(mean, fisher): &'a (Vec<f32>, Vec<f32>)| Posterior::diagonal(&mean[cut.clone()], &fisher[cut.clone()]).unwrap();
    models.iter().map(posterior).zip(1_u8..).map(|(posterior, k)| posterior.power(f32::from(k) / 7.0)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Lengths around one, two and three blocks of 256 and of 32, and all small ones.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=70).chain(250..=262).chain(508..=516).chain([600, 767, 768, 769])
}

#[test]
fn block_edges_show_nowhere() {
    for count in [1, 2, 3, 5] {
        for n in lengths() {
            let models: Vec<_> = (0..count).map(|model| painted(n, model)).collect();
            for policy in [NoEvidence::KeepTarget, NoEvidence::WeightedMean] {
                let merge = Merge::new().no_evidence(policy);
                let (mut mean, mut precision) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                let whole = merge.run_with_precision(&factors(&models, 0..n), &mut mean[..], &mut precision[..]).unwrap();
                let (mut one_mean, mut one_precision) = (vec![f32::NAN; n], vec![f32::NAN; n]);
                let mut sum = Summary::default();
                for i in 0..n {
                    let (mean, precision) = (&mut one_mean[i..=i], &mut one_precision[i..=i]);
                    sum.add(&merge.run_with_precision(&factors(&models, i..i + 1), mean, precision).unwrap());
                }
                assert_eq!(
                    (bits(&mean), bits(&precision), whole),
                    (bits(&one_mean), bits(&one_precision), sum),
                    "{count} models, {n} elements"
                );
            }
        }
    }
}

/// An output that starts anywhere in memory: the short first block moves, the bits do not.
#[test]
fn the_start_of_the_output_shows_nowhere() {
    let n = 600;
    let models = [painted(n, 0), painted(n, 1)];
    let mut memory = vec![f32::NAN; n + 20];
    let mut expected = vec![f32::NAN; n];
    let _ = Merge::new().run(&factors(&models, 0..n), &mut expected[..]).unwrap();
    for start in 0..20 {
        let _ = Merge::new().run(&factors(&models, 0..n), &mut memory[start..start + n]).unwrap();
        assert_eq!(bits(&memory[start..start + n]), bits(&expected));
    }
}

/// Outputs large enough to go past the caches hold the same bits, at any alignment.
#[test]
fn streamed_outputs_are_the_same() {
    let n = (1 << 20) + 77;
    let models = [painted(n, 0), painted(n, 1)];
    let mut expected = vec![f32::NAN; n];
    let _ = Merge::new().shell(Shell::BASELINE).run(&factors(&models, 0..n), &mut expected[..]).unwrap();
    let (mut memory, mut other) = (vec![f32::NAN; n + 3], vec![f32::NAN; n]);
    for start in [0, 3] {
        let _ = Merge::new().run(&factors(&models, 0..n), &mut memory[start..start + n]).unwrap();
        assert!(bits(&memory[start..start + n]) == bits(&expected));
        memory.fill(f32::NAN);
        let both = factors(&models, 0..n);
        let mut jobs = [Job::new(&both, &mut memory[start..start + n]), Job::new(&both, &mut other[..])];
        Merge::new().run_all(&mut jobs).unwrap();
        assert!(bits(&memory[start..start + n]) == bits(&expected) && bits(&other) == bits(&expected));
    }
}

#[test]
fn sixty_four_models_and_none() {
    let models: Vec<_> = (0..64).map(|model| painted(40, model)).collect();
    let mut mean = [0.0_f32; 40];
    let summary = Merge::new().run(&factors(&models, 0..40), &mut mean[..]).unwrap();
    assert_eq!((summary.elements, summary.no_evidence), (40, 0));
    let none: &[Factor<&[f32], &[f32], f32>] = &[];
    assert_eq!(Merge::new().run(none, &mut mean[..]), Err(Error::NoModels));
    // An empty tensor merges to nothing, and counts nothing.
    assert_eq!(Merge::new().run(&factors(&models, 0..0), &mut mean[..0]), Ok(Summary::default()));
}

#[test]
fn the_largest_means_stay_in_the_range() {
    let (a, b) = ([f32::MAX, -f32::MAX, f32::MAX, 1e-45], [f32::MAX, f32::MAX, -f32::MAX, -1e-45]);
    let (f, g) = ([1.0_f32, 3.0, 1e-45, 1.0], [2.0_f32, 1.0, 1e-45, 1e30]);
    let mut out = [0.0_f32; 4];
    let pair = [Posterior::diagonal(&a[..], &f[..]).unwrap().power(0.5_f32), Posterior::diagonal(&b[..], &g[..]).unwrap().power(0.5)];
    let _ = Merge::new().run(&pair, &mut out[..]).unwrap();
    assert_eq!((out[0], out[2], out[3]), (f32::MAX, 0.0, -1e-45));
    assert!((out[1] / f32::MAX + 0.5).abs() < 1e-6);
}

#[test]
fn infinities_and_nan_propagate_where_they_are() {
    let n = 300;
    let (mut mean, fisher) = (vec![1.0_f32; n], vec![1.0_f32; n]);
    (mean[7], mean[280]) = (f32::INFINITY, f32::NAN);
    let mut bad_fisher = fisher.clone();
    (bad_fisher[100], bad_fisher[101], bad_fisher[102]) = (f32::INFINITY, -1.0, f32::NAN);
    let other = vec![3.0_f32; n];
    let pair = [
        Posterior::diagonal(&mean[..], &bad_fisher[..]).unwrap().power(1.0_f32),
        Posterior::diagonal(&other[..], &fisher[..]).unwrap().power(1.0),
    ];
    let mut out = vec![0.0_f32; n];
    let summary = Merge::new().bad_numbers(BadNumbers::Propagate).run(&pair, &mut out[..]).unwrap();
    assert_eq!((summary.nan, summary.infinite, summary.negative, summary.floored), (2, 2, 1, 0));
    let three = [pair[0], pair[1], pair[1].posterior().power(0.5)];
    let summary = Merge::new().bad_numbers(BadNumbers::Propagate).run(&three, &mut vec![0.0_f32; n][..]).unwrap();
    assert_eq!((summary.nan, summary.infinite, summary.negative, summary.floored), (2, 2, 1, 0));
    for (i, value) in out.iter().enumerate() {
        match i {
            7 => assert_eq!(*value, f32::INFINITY),
            100 | 101 | 102 | 280 => assert!(value.is_nan()),
            _ => assert_eq!(*value, 2.0, "{i}"),
        }
    }
    let (mut precision, mut state) = (vec![0.0_f32; n], vec![0.0_f32; n]);
    let mut product = RunningProduct::start(&mut precision, &mut state, NoEvidence::KeepTarget).unwrap().bad_numbers(BadNumbers::Propagate);
    pair.iter().for_each(|factor| product.absorb(factor).unwrap());
    let summary = product.finish().unwrap();
    assert_eq!((summary.nan, summary.infinite, summary.negative), (2, 2, 1));
    assert!(state.iter().zip(&out).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
}

/// A floor hides no negative entry, with evidence beside it or without, and counts none, fused or running.
#[test]
fn a_floor_hides_no_negative_entry() {
    let mean = [1.0_f32, 2.0, 3.0];
    let scale = Conditioning::new().floor(Floor::Absolute(0.5)).scale(&FisherStatistics::new(), true).unwrap();
    for others in [[0.0_f32; 3], [2.0; 3]] {
        let (first, second) = ([0.0_f32, -1.0, 1.0], others);
        let [a, b] = [&first, &second].map(|fisher| Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(1.0).conditioned(&scale));
        for factors in [&[a, b][..], &[b, a], &[b, a, b]] {
            let mut out = [0.0_f32; 3];
            let refused = Merge::new().run(factors, &mut out[..]);
            assert!(matches!(refused, Err(Error::BadNumber { index: 1, defect: Defect::Negative, .. })), "{refused:?}");
            let summary = Merge::new().bad_numbers(BadNumbers::Propagate).run(factors, &mut out[..]).unwrap();
            assert!(summary.negative == 1 && (out[0], out[2]) == (1.0, 3.0) && out[1].is_nan(), "{out:?}");
            let mut precision = [0.0; 3];
            let mut product = RunningProduct::start(&mut precision, &mut out, NoEvidence::KeepTarget).unwrap();
            product = product.bad_numbers(BadNumbers::Propagate);
            factors.iter().for_each(|factor| product.absorb(factor).unwrap());
            let zeros = if others[0] == 0.0 { 3 * (factors.len() as u64 - 1) } else { 0 };
            assert_eq!((summary.floored, product.summary().floored), (1 + zeros, 1 + zeros));
        }
    }
}

/// A mean that a narrow type cannot hold is counted, and so is a precision, which saturates.
#[test]
fn narrow_outputs_count_what_they_lose() {
    let (mean, fisher) = ([1e6_f32, 1.0, 1.0], [1e9_f32, 1e-9, 1.0]);
    let (mut out, mut precision) = ([0_u16; 3], [0_u16; 3]);
    let one = [Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(1.0_f32)];
    let summary = Merge::new().run_with_precision(&one, F16Bits(&mut out[..]), F16Bits(&mut precision[..])).unwrap();
    assert_eq!((out, precision, summary.out_of_range), ([0x7c00, 0x3c00, 0x3c00], [0x7bff, 1, 0x3c00], 3));
    let mut wide = Bf16Bits(&mut out[..]);
    wide.put(7, 1.0_f32);
    let past: Option<f32> = F16Bits(&precision[..]).at(7);
    assert_eq!(past, None);
}

/// The running product's book-keeping: weights and counts through resumption, removal and combination, and products without evidence.
#[test]
fn the_running_product_keeps_its_books() {
    let one = |mean: f64, fisher: f64| ([mean], [fisher]);
    let ((m, f), (k, g)) = (one(1.0, 3.0), one(2.0, 1.0));
    let (a, b) = (Posterior::diagonal(&m[..], &f[..]).unwrap(), Posterior::diagonal(&k[..], &g[..]).unwrap());
    let (mut precision, mut mean) = ([0.0], [0.0]);
    let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
    product.absorb(&a.power(1.5)).unwrap();
    product.absorb(&b.power(0.5)).unwrap();
    product.absorb(&b.power(0.0)).unwrap();
    assert_eq!((product.weight(), product.absorbed()), (2.0, 2));
    product.remove(&b.power(0.5)).unwrap();
    assert_eq!((product.weight(), product.absorbed(), product.posterior().mean()), (1.5, 2, &[1.0][..]));
    let product = RunningProduct::resume(&mut precision, &mut mean, NoEvidence::KeepTarget, (1.5, 2)).unwrap();
    assert_eq!((product.weight(), product.absorbed()), (1.5, 2));

    // A product that absorbed a model without evidence is not an empty one: its mean is the target's.
    let (n, zero) = one(7.0, 0.0);
    let nothing = Posterior::diagonal(&n[..], &zero[..]).unwrap();
    let (mut other_precision, mut other_mean) = ([0.0], [0.0]);
    let mut other = RunningProduct::start(&mut other_precision, &mut other_mean, NoEvidence::KeepTarget).unwrap();
    let (mut empty_precision, mut empty_mean) = ([0.0], [0.5]);
    let mut empty = RunningProduct::start(&mut empty_precision, &mut empty_mean, NoEvidence::KeepTarget).unwrap();
    empty.combine(&other).unwrap();
    assert_eq!((empty.absorbed(), empty.posterior().mean()), (0, &[0.5][..]));
    other.absorb(&nothing.power(0.25)).unwrap();
    empty.combine(&other).unwrap();
    assert_eq!((empty.absorbed(), empty.weight(), empty.posterior().mean()), (1, 0.25, &[7.0][..]));
    empty.absorb(&a.power(1.0)).unwrap();
    assert_eq!((empty.weight(), empty.posterior().mean()), (1.25, &[1.0][..]));

    // Powers: what leaves the normal range is counted, once an element.
    let (mut precision, mut mean) = ([1e-300, 1.0, 0.0], [1.0, 2.0, 3.0]);
    let mut product = RunningProduct::resume(&mut precision, &mut mean, NoEvidence::KeepTarget, (2.0, 1)).unwrap();
    product.raise(1e-20).unwrap();
    assert_eq!((product.summary().out_of_range, product.weight()), (1, 2e-20));
    product.raise(1e-20).unwrap();
    assert_eq!(product.summary().out_of_range, 2);
    assert_eq!(product.raise(0.0), Err(Error::AllWeightsZero));
    assert!(precision[0] > 0.0 && precision[2] == 0.0);
}

/// Where there is no evidence, the weighted mean goes on from a kept state with its votes, raised with the product.
#[test]
fn votes_are_kept_and_raised() {
    let (mean, zero) = ([4.0], [0.0]);
    let vote = Posterior::diagonal(&mean[..], &zero[..]).unwrap().power(1.0);
    for (power, expected) in [(1.0, 2.0), (0.5, 2.5)] {
        let (mut precision, mut state) = ([0.0], [1.0]);
        let mut product = RunningProduct::resume(&mut precision, &mut state, NoEvidence::WeightedMean, (2.0, 1)).unwrap();
        product.raise(power).unwrap();
        product.absorb(&vote).unwrap();
        assert_eq!(product.finish().unwrap().no_evidence, 1);
        assert_eq!(state, [expected]);
    }
}

/// A weight over a norm that the arithmetic holds with few digits, or not at all, loses none of them in the merge.
#[test]
fn coefficients_out_of_range_keep_their_digits() {
    let merged = |shift: i32, models: usize| {
        let scale = 2_f32.powi(shift);
        let fishers = [3.0, 2.3, 1.7].map(|x: f32| [x * scale, 0.6 * x * scale]);
        let means = [[0.1_f32, 0.7], [1.3, -0.9], [2.9, 0.2]];
        let rule = Conditioning::new().normalize(Normalize::L2);
        let factor = |model: usize| {
            let mut statistics = FisherStatistics::new();
            statistics.observe(&fishers[model][..]);
            let factor = Posterior::diagonal(&means[model][..], &fishers[model][..]).unwrap().power([0.1_f32, 0.3, 0.7][model]);
            factor.conditioned(&rule.scale(&statistics, model == 0).unwrap())
        };
        let factors: Vec<_> = (0..models).map(factor).collect();
        let mut out = [f32::NAN; 2];
        let _ = Merge::new().run(&factors, &mut out[..]).unwrap();
        bits(&out)
    };
    for models in [2, 3] {
        for shift in [-120, -60, 60, 124, 126] {
            assert_eq!(merged(shift, models), merged(0, models), "2^{shift}");
        }
    }
}
