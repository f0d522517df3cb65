//! The stated bounds, against exact arithmetic, and sums that are known to stall, underflow or overflow elsewhere.

use fisher_merge::{
    Bf16Bits, DiagonalFisher, Dtype, Error, F16Bits, FisherSpec, Gradient, LayerBatch, LeBytes, ObservedLabels, Real, Role, Values,
};
use proptest::prelude::*;

use crate::common::exact::Exact;
use crate::common::generators::{Kind, Numbers, check, number};
use crate::common::tolerance::fisher_bound;

/// Gradients of one parameter with their weights and loss scales, in a storage type.
fn observations(dtype: Dtype) -> impl Strategy<Value = Vec<(u64, f64, u8)>> {
    let weight = number(Dtype::F64, Kind::Ordinary, false).prop_map(f64::from_bits);
    prop::collection::vec((number(dtype, Kind::Ordinary, true), weight, 0_u8..3), 1..40)
}

const LOSS_SCALES: [f64; 3] = [1.0, 65536.0, 3.0];

/// `Σ w·(g/S)² / Σ w` as numerator and denominator, the loss scale of 3 on both sides: `(9·Σ…)/(9·Σ…)`.
fn exact(dtype: Dtype, all: &[(u64, f64, u8)]) -> (Exact, Exact) {
    let (mut num, mut den) = (Exact::zero(), Exact::zero());
    for &(bits, weight, scale) in all {
        let (g, w) = (Exact::from_pattern(dtype, bits).unwrap(), Exact::of(weight));
        let unscaled = [Exact::scaled(9, 0), Exact::scaled(9, -32), Exact::scaled(1, 0)][usize::from(scale)].clone();
        num = &num + &(&(&w * &(&g * &g)) * &unscaled);
        den = &den + &(&w * &Exact::scaled(9, 0));
    }
    (num, den)
}

fn observe<R: Real, V: Values<R>>(fisher: &mut DiagonalFisher<'_, ObservedLabels, R>, view: V, weight: f64, scale: u8) {
    fisher.begin_example(R::from_f64(weight)).unwrap();
    fisher.example(Gradient::new(view).loss_scale(LOSS_SCALES[usize::from(scale)])).unwrap();
}

/// The estimate in `R`, whose weights are rounded to `R` first; `None` where something left the range.
fn estimate<R: Real>(dtype: Dtype, all: &[(u64, f64, u8)]) -> Option<f64> {
    let spec = FisherSpec::new(1);
    let mut state = vec![R::ZERO; spec.state_len::<R>()];
    let mut fisher = DiagonalFisher::<ObservedLabels, R>::observed_labels(spec, &mut state).unwrap();
    for &(bits, weight, scale) in all {
        let bytes = Numbers { dtype, bits: vec![bits] }.bytes();
        match dtype {
            Dtype::F16 => observe(&mut fisher, F16Bits(&[bits as u16][..]), weight, scale),
            Dtype::Bf16 => observe(&mut fisher, Bf16Bits(&[bits as u16][..]), weight, scale),
            _ => observe(&mut fisher, LeBytes::new(dtype, &bytes[..]).unwrap(), weight, scale),
        }
    }
    let mut out = [R::ZERO];
    let record = fisher.finish_into(&mut out[..]).unwrap();
    (record.out_of_range == 0).then(|| out[0].as_f64())
}

fn within_bound<R: Real>(dtype: Dtype, mut all: Vec<(u64, f64, u8)>) -> Result<(), TestCaseError> {
    for (_, weight, _) in &mut all {
        *weight = R::from_f64(*weight).as_f64();
    }
    let Some(found) = estimate::<R>(dtype, &all) else { return Ok(()) };
    let (num, den) = exact(dtype, &all);
    let error = (&(&Exact::of(found) * &den) - &num).abs();
    prop_assert!(error <= fisher_bound::<R>(all.len() as u64, false, &num), "{found} for {} / {}", num.approximate(), den.approximate());
    Ok(())
}

#[test]
fn entries_are_within_the_stated_bound() {
    for dtype in [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16] {
        check(200, observations(dtype), |all| within_bound::<f64>(dtype, all));
        if dtype != Dtype::F64 {
            check(200, observations(dtype), |all| within_bound::<f32>(dtype, all));
        }
    }
}

/// Equal terms, 2¹⁶ at a time, through the sums that every observation goes through.
fn equal_terms<R: Real>(gradient: f64, log2: u32) -> (f64, f64) {
    let gradient = R::from_f64(gradient);
    let spec = FisherSpec::new(1);
    let mut state = vec![R::ZERO; spec.state_len::<R>()];
    let mut fisher = DiagonalFisher::<ObservedLabels, R>::observed_labels(spec, &mut state).unwrap();
    let (gradients, weights) = (vec![gradient; 1 << 16], vec![R::ONE; 1 << 16]);
    for _ in 0..1 << (log2 - 16) {
        fisher.observe_bias(&LayerBatch::new(&[][..] as &[R], &gradients[..], &weights)).unwrap();
        fisher.end_batch(&weights).unwrap();
    }
    let mut out = [R::ZERO];
    let record = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!(
        (record.examples, record.weight, record.squared_weight, record.out_of_range),
        (1 << log2, 2f64.powi(log2 as i32), 2f64.powi(log2 as i32), 0)
    );
    (out[0].as_f64(), gradient.as_f64())
}

fn stays<R: Real>(gradient: f64, log2: u32) {
    let (found, gradient) = equal_terms::<R>(gradient, log2);
    let square = &Exact::of(gradient) * &Exact::of(gradient);
    let error = (&Exact::of(found) - &square).abs();
    assert!(error <= fisher_bound::<R>(1 << log2, false, &square), "{found} for {}", square.approximate());
}

/// A plain `f32` sum of ones ends at 2²⁴, a sum with one correction that only grows at 2²⁵.
#[test]
fn equal_terms_do_not_stall() {
    stays::<f32>(1.0, 26);
    stays::<f32>(0.1, 25);
    stays::<f64>(0.1, 25);
}

#[test]
fn small_and_large_gradients_keep_their_digits() {
    stays::<f64>(1e-20, 17);
    stays::<f64>(1e15, 17);
    stays::<f32>(1e15, 17);
    // In f32 the square of 1e-20 is subnormal: counted, and right in another unit.
    let gradient = [1e-20_f32];
    let square = 1e-20_f32 as f64 * 1e-20_f32 as f64;
    for (unit, out_of_range) in [(0, 1), (60, 0)] {
        let spec = FisherSpec::new(1).unit(unit);
        let mut state = vec![0.0_f32; spec.state_len::<f32>()];
        let mut fisher = DiagonalFisher::<ObservedLabels, f32>::observed_labels(spec, &mut state).unwrap();
        fisher.example(Gradient::new(&gradient[..])).unwrap();
        let mut out = [0.0_f32];
        assert_eq!(fisher.finish_into(&mut out[..]).unwrap().out_of_range, out_of_range);
        // What comes out is subnormal in f32 whatever the unit, but rounded once.
        assert!(out_of_range > 0 || out[0] == square as f32);
    }
}

/// 4,096 × 1e-6 in bf16: a sum of squares in bf16 would stop 8 times too low.
#[test]
fn sixteen_bit_gradients_are_squared_in_the_arithmetic() {
    let bits = (1e-6_f32.to_bits() >> 16) as u16;
    let value = f64::from(f32::from_bits(u32::from(bits) << 16));
    for half in [false, true] {
        let spec = FisherSpec::new(1);
        let mut state = vec![0.0_f32; spec.state_len::<f32>()];
        let mut fisher = DiagonalFisher::<ObservedLabels, f32>::observed_labels(spec, &mut state).unwrap();
        for _ in 0..4096 {
            if half {
                // The square of the least number of f16, 2⁻²⁴, and 60,000 squared are far outside of f16.
                fisher.example(Gradient::new(F16Bits(&[0x0001_u16][..]))).unwrap();
            } else {
                fisher.example(Gradient::new(Bf16Bits(&[bits][..]))).unwrap();
            }
        }
        let mut out = [0.0_f32];
        let _ = fisher.finish_into(&mut out[..]).unwrap();
        let exact = if half { 2f64.powi(-48) } else { value * value };
        assert!((f64::from(out[0]) - exact).abs() <= 1e-6 * exact, "{} {exact}", out[0]);
    }
}

/// A sum that leaves the range is an error that names the parameter, and nothing is written.
#[test]
fn overflow_is_refused() {
    let spec = FisherSpec::new(2);
    let mut state = vec![0.0_f32; spec.state_len::<f32>()];
    let mut fisher = DiagonalFisher::<ObservedLabels, f32>::observed_labels(spec, &mut state).unwrap();
    fisher.example(Gradient::new(&[1.0, 1e20_f32][..])).unwrap();
    assert_eq!(fisher.record().out_of_range, 1);
    let mut out = [7.0_f32; 2];
    assert!(matches!(fisher.finish_into(&mut out[..]), Err(Error::BadNumber { role: Role::Precision, index: 1, .. })));
    assert_eq!(out, [7.0; 2]);
}

/// No parameters are an estimate of nothing, but one of so many examples.
#[test]
fn no_parameters_are_a_fisher_too() {
    let spec = FisherSpec::new(0);
    let mut state = vec![0.0; spec.state_len::<f64>()];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
    fisher.example(Gradient::new(&[][..] as &[f64])).unwrap();
    assert_eq!(fisher.finish_into(&mut [][..] as &mut [f64]).unwrap().examples, 1);
}
