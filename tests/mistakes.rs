//! What the field gets wrong, each as a case: first what the wrong formula gives, then that this crate does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use fisher_merge::{
    Bf16Bits, Conditioning, FisherStatistics, Floor, FloorOn, LeBytes, Merge, NoEvidence, Normalize, Posterior, RunningProduct, Summary,
    ValuesMut,
};

/// Merges single elements `(λ, F, μ)` in f64.
fn merge(models: &[(f64, f64, f64)]) -> (f64, Summary) {
    merge_with(models, |_, fisher| *fisher, &Conditioning::new())
}

/// The same under a conditioning, whose statistics are of `norm_of` the element's model.
fn merge_with(models: &[(f64, f64, f64)], norm_of: impl Fn(usize, &f64) -> f64, rule: &Conditioning) -> (f64, Summary) {
    let slices: Vec<_> = models.iter().map(|&(_, fisher, mean)| ([mean], [fisher])).collect();
    let mut factors = Vec::new();
    for (model, ((mean, fisher), &(weight, entry, _))) in slices.iter().zip(models).enumerate() {
        let mut statistics = FisherStatistics::new();
        statistics.observe(&[norm_of(model, &entry)][..]);
        let scale = rule.scale(&statistics, model == 0).unwrap();
        factors.push(Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(weight).conditioned(&scale));
    }
    let mut out = [f64::NAN];
    let summary = Merge::new().run(&factors, &mut out[..]).unwrap();
    (out[0], summary)
}

/// `ΣFθ/(ΣF + ε)` erases a weight that no model has evidence for.
#[test]
fn an_epsilon_in_the_denominator() {
    let wrong = |fisher: f64| (2.0 * fisher * 1.0) / (2.0 * fisher + 1e-8);
    assert!((wrong(1e-10) - 0.020).abs() < 1e-3 && wrong(0.0) == 0.0);
    assert_eq!(merge(&[(1.0, 1e-10, 1.0), (1.0, 1e-10, 1.0)]).0, 1.0);
    let (kept, summary) = merge(&[(1.0, 0.0, 1.0), (1.0, 0.0, 1.0)]);
    assert_eq!((kept, summary.no_evidence), (1.0, 1));
}

/// A floor on the target alone gives 0/0 where the target's weight is zero and the other has no evidence.
#[test]
fn a_floor_on_a_target_that_takes_no_part() {
    let wrong = |f: f64| (0.0 * f64::max(f, 1e-6) * 5.0 + 1.0 * 0.0 * 7.0) / (0.0 * f64::max(f, 1e-6) + 1.0 * 0.0);
    assert!(wrong(0.0).is_nan());
    let rule = Conditioning::new().floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target);
    assert_eq!(merge_with(&[(0.0, 0.0, 5.0), (1.0, 0.0, 7.0)], |_, f| *f, &rule).0, 7.0);
}

/// With equal Fishers of 1e-7 that floor gives the target nine tenths: what is asked for, but only where it is asked for.
#[test]
fn a_floor_on_the_target_alone_is_no_default() {
    let models = [(0.5, 1e-7, 1.0), (0.5, 1e-7, 0.0)];
    let rule = Conditioning::new().floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target);
    let (asked, summary) = merge_with(&models, |_, f| *f, &rule);
    assert!((asked - 0.909).abs() < 1e-3);
    assert_eq!(summary.floored, 1);
    assert_eq!(merge(&models).0, 0.5);
}

/// Floor-then-normalise and normalise-then-floor differ; the published code does the first.
#[test]
fn the_order_of_floor_and_norm() {
    let (models, norms) = ([(0.5, 0.0, 1.0), (0.5, 3e-6, 0.0)], [2.0, 4e-3]);
    let floor_first = (1e-6 / 2.0) / (1e-6 / 2.0 + 3e-6 / 4e-3);
    let norm_first = 1e-6 / (1e-6 + 3e-6 / 4e-3);
    assert!((floor_first / norm_first - 1.0_f64).abs() > 0.4);
    let rule = Conditioning::new().floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target).normalize(Normalize::L2);
    let merged = merge_with(&models, |model, _| norms[model], &rule).0;
    assert!((merged - floor_first).abs() < 8.0 * f64::EPSILON, "{merged}");
}

/// An additive floor with a norm gives a model that is surer by a hundred a small weight; a floor here is a lower bound.
#[test]
fn an_additive_floor() {
    let floored = |fisher: f64, norm: f64| (fisher + 1e-6) / norm;
    let (sure, unsure) = (floored(1e-7, 1e-5), floored(1e-9, 1e-7 * 12.0));
    let wrong = sure / (sure + unsure);
    assert!(wrong < 0.2, "{wrong}");
    let rule = Conditioning::new().floor(Floor::Absolute(1e-9)).normalize(Normalize::None);
    let merged = merge_with(&[(0.5, 1e-7, 1.0), (0.5, 1e-9, 0.0)], |_, f| *f, &rule).0;
    assert!((merged - 100.0 / 101.0).abs() < 1e-12);
}

/// The L2 norm of a Fisher near 1e-25, summed in f32, is 0.
#[test]
fn the_norm_of_a_tiny_fisher() {
    let fisher = [1e-25_f32; 4];
    assert_eq!(fisher.iter().map(|f| f * f).sum::<f32>().sqrt(), 0.0);
    let mut statistics = FisherStatistics::new();
    statistics.observe(&fisher[..]);
    let norm = statistics.l2().unwrap().as_f64();
    assert!((norm / (2.0 * f64::from(1e-25_f32)) - 1.0).abs() < 1e-15);
}

/// Sums in f32 stall at 2²⁴ equal terms.
#[test]
fn a_sum_that_stalls() {
    let ones = vec![1.0_f32; 1 << 12];
    assert_eq!((1 << 24) as f32 + 1.0, (1 << 24) as f32);
    let mut statistics = FisherStatistics::new();
    (0..(1 << 13)).for_each(|_| statistics.observe(&ones[..]));
    assert_eq!((statistics.count(), statistics.mean().unwrap().as_f64()), (1 << 25, 1.0));
}

/// The ratio form changes identical models; the recurrence returns them.
#[test]
fn the_ratio_form_is_not_idempotent() {
    let values: Vec<f32> = (1..2000).map(|i| (i as f32).sqrt()).collect();
    let (f, g): (Vec<f32>, Vec<f32>) = (1..2000).map(|i| ((i as f32).ln() + 0.1, 1.0 / i as f32)).unzip();
    let changed =
        (0..values.len()).filter(|&i| (0.3 * f[i] * values[i] + 0.7 * g[i] * values[i]) / (0.3 * f[i] + 0.7 * g[i]) != values[i]).count();
    assert!(changed * 10 > values.len(), "{changed}");
    let factors =
        [Posterior::diagonal(&values[..], &f[..]).unwrap().power(0.3_f32), Posterior::diagonal(&values[..], &g[..]).unwrap().power(0.7)];
    let mut out = vec![0.0_f32; values.len()];
    let _ = Merge::new().run(&factors, &mut out[..]).unwrap();
    assert_eq!(out, values);
}

/// A centred update misses the end point at gain one, to either side.
#[test]
fn centred_updates() {
    let centred = |m: f32, x: f32, r: f32| m + r * (x - m);
    let (m, x) = (1e8_f32, 0.1_f32);
    assert_ne!(centred(m, x, 1.0), x);
    let merged = |f: f32, g: f32| {
        let (a, b, f, g) = ([m], [x], [f], [g]);
        let mut out = [f32::NAN];
        let factors =
            [Posterior::diagonal(&a[..], &f[..]).unwrap().power(1.0_f32), Posterior::diagonal(&b[..], &g[..]).unwrap().power(1.0)];
        let _ = Merge::new().run(&factors, &mut out[..]).unwrap();
        out[0]
    };
    assert_eq!(merged(0.0, 1.0), x);
    let gain = 1.0;
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Cubed, so that differences are not exact.
        ((state >> 8) as f32 / (1 << 24) as f32 - 0.5).powi(3)
    };
    let pairs = (0..10_000).map(|_| (next(), next()));
    let outside = pairs.filter(|&(m, x)| centred(m, x, gain) < m.min(x) || centred(m, x, gain) > m.max(x)).count();
    assert!(outside > 0, "the centred form leaves the hull somewhere");
    for g in [1.0_f32, 1e3, 1e7, 1e12] {
        assert!((x..=m).contains(&merged(1.0, g)));
    }
}

/// Mixing weights cast to bf16: 0.3 becomes 0.30078.
#[test]
fn weights_keep_their_digits() {
    let mut bits = [0_u16];
    Bf16Bits(&mut bits[..]).put(0, 0.3_f64);
    assert_eq!(bits, [0x3e9a]);
    let (one, zero) = ([0x3f80_u16], [0_u16]);
    let factors = [Posterior::isotropic(Bf16Bits(&one[..])).power(0.3_f64), Posterior::isotropic(Bf16Bits(&zero[..])).power(0.7)];
    let mut out = [f64::NAN];
    let _ = Merge::new().run(&factors, &mut out[..]).unwrap();
    assert!((out[0] - 0.3).abs() < 1e-15);
}

/// Merging models that are the same changes entries of narrow types if every step is rounded to them.
#[test]
fn narrow_types_are_rounded_once() {
    let bits: Vec<u16> = (0x3f80..0x4080).collect();
    let fisher: Vec<u16> = bits.iter().rev().copied().collect();
    let model = Posterior::diagonal(Bf16Bits(&bits[..]), Bf16Bits(&fisher[..])).unwrap();
    let mut out = vec![0; bits.len()];
    let _ = Merge::new().run(&[model.power(0.3_f32), model.power(0.3), model.power(0.4)], Bf16Bits(&mut out[..])).unwrap();
    assert_eq!(out, bits);
}

/// A dead input's zero evidence keeps the mean in the running form too, and a later model with evidence takes over whole.
#[test]
fn zero_evidence_is_a_state_not_a_zero() {
    let (mut precision, mut mean) = ([f64::NAN], [f64::NAN]);
    let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap();
    product.absorb(&Posterior::diagonal(&[0.7][..], &[0.0][..]).unwrap().power(0.5)).unwrap();
    assert_eq!(product.posterior().mean(), &[0.7][..]);
    product.absorb(&Posterior::diagonal(&[0.1][..], &[1e-300][..]).unwrap().power(0.5)).unwrap();
    assert_eq!(product.posterior().mean(), &[0.1][..]);
}

/// Bytes of a file are not aligned, and taking them for aligned numbers is not needed.
#[test]
fn unaligned_bytes() {
    let mut bytes = vec![0_u8];
    [1.5_f32, -2.0].iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    let view = LeBytes::new(fisher_merge::Dtype::F32, &bytes[1..]).unwrap();
    let mut out = [0.0_f32; 2];
    let _ = Merge::new().run(&[Posterior::isotropic(view).power(1.0_f32)], &mut out[..]).unwrap();
    assert_eq!(out, [1.5, -2.0]);
}
