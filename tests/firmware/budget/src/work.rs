//! What is measured: two models, or a gradient, from flash into the caller's memory.
#![allow(dead_code, reason = "not every feature needs all of it; what it does not need is not linked")]

use core::hint::black_box;

use fisher_merge::adapters::LowRankAdapter;
use fisher_merge::*;

use crate::N;

macro_rules! flash {
    ($($name:ident: $type:ty, |$random:ident| $value:expr, $seed:literal, $last:expr;)*) => {$(
        static $name: [$type; N + 1] = {
            let (mut all, mut at, mut random): ([$type; N + 1], usize, u32) = ([0 as $type; N + 1], 0, $seed);
            while at < N {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let $random = random >> 8;
                all[at] = $value;
                at += 1;
            }
            all[N] = $last;
            all
        };
    )*};
}
// From one to below four, and one element more whose Fisher takes the longest way: subnormal, or zero.
flash! {
    MEAN_A: f32, |random| f32::from_bits(0x3f80_0000 + (random & 0xff_ffff)), 1, 1.0;
    FISHER_A: f32, |random| f32::from_bits(0x3f80_0000 + (random & 0xff_ffff)), 2, f32::from_bits(1);
    MEAN_B: f32, |random| f32::from_bits(0x3f80_0000 + (random & 0xff_ffff)), 3, 2.0;
    FISHER_B: f32, |random| f32::from_bits(0x3f80_0000 + (random & 0xff_ffff)), 4, f32::from_bits(3);
    HALF_A: u16, |random| 0x3c00 + (random & 0x7ff) as u16, 5, 0x3c00;
    HALF_B: u16, |random| 0x3c00 + (random & 0x7ff) as u16, 6, 0x3c00;
    HALF_F: u16, |random| 0x3c00 + (random & 0x7ff) as u16, 7, 0;
    HALF_G: u16, |random| 0x3c00 + (random & 0x7ff) as u16, 8, 0;
}

/// The caller's memory.
pub(crate) struct State {
    out: [f32; N + 1],
    precision: [f32; N + 1],
    halves: [u16; N + 1],
    sums: [f32; 2 * (N + 5)],
    wide_sums: [f64; N + 5],
}

impl State {
    pub(crate) const NEW: Self =
        Self { out: [0.0; N + 1], precision: [0.0; N + 1], halves: [0; N + 1], sums: [0.0; 2 * (N + 5)], wide_sums: [0.0; N + 5] };
}

fn first<T>(values: &[T], n: usize) -> &[T] {
    black_box(values.get(..n).unwrap_or_default())
}

fn first_mut<T>(values: &mut [T], n: usize) -> &mut [T] {
    black_box(values.get_mut(..n).unwrap_or_default())
}

/// One call of every feature that is on.
#[inline(never)]
pub(crate) fn work(state: &mut State, n: usize) -> bool {
    let mut right = true;
    if cfg!(feature = "merge-f32") {
        right &= merge(singles(n), first_mut(&mut state.out, n)).is_ok();
    }
    if cfg!(feature = "merge-f16") {
        right &= merge(halves(n).map(F16Bits), F16Bits(first_mut(&mut state.halves, n))).is_ok();
    }
    if cfg!(feature = "merge-bf16") {
        right &= merge(halves(n).map(Bf16Bits), Bf16Bits(first_mut(&mut state.halves, n))).is_ok();
    }
    if cfg!(feature = "running-f32") {
        right &= running(singles(n), state, n).is_ok();
    }
    if cfg!(feature = "store-f32") {
        right &= store(singles(n), first_mut(&mut state.out, n), n).is_ok();
    }
    if cfg!(feature = "fisher-f32") {
        right &= estimate(first(&MEAN_A, n), first_mut(&mut state.sums, 2 * (n + 4)), first_mut(&mut state.out, n)).is_ok();
    }
    if cfg!(feature = "fisher-f64") {
        right &= estimate(first(&MEAN_A, n), first_mut(&mut state.wide_sums, n + 4), first_mut(&mut state.out, n)).is_ok();
    }
    if cfg!(feature = "fold-f32") {
        right &= fold(singles(n), first_mut(&mut state.out, n)).is_ok();
    }
    right
}

/// All inputs, which are no part of what a feature takes.
#[inline(never)]
pub(crate) fn inputs(n: usize) {
    black_box((singles(n), halves(n)));
}

/// Means and Fishers of two models.
fn singles(n: usize) -> [&'static [f32]; 4] {
    [&MEAN_A, &FISHER_A, &MEAN_B, &FISHER_B].map(|values| first(values, n))
}

fn halves(n: usize) -> [&'static [u16]; 4] {
    [&HALF_A, &HALF_F, &HALF_B, &HALF_G].map(|values| first(values, n))
}

fn merge<V: Values<f32> + Copy>([a, f, b, g]: [V; 4], out: impl ValuesMut<f32>) -> Result<(), Error> {
    let (a, b) = (Posterior::diagonal(a, f)?, Posterior::diagonal(b, g)?);
    Merge::<f32>::new().run(&[a.power(0.5), b.power(0.75)], out).map(|_| ())
}

/// Two models, one after the other.
fn running([a, f, b, g]: [&[f32]; 4], state: &mut State, n: usize) -> Result<(), Error> {
    let (precision, mean) = (first_mut(&mut state.precision, n), first_mut(&mut state.out, n));
    let mut product = RunningProduct::start(precision, mean, NoEvidence::KeepTarget)?;
    product.absorb(&Posterior::diagonal(a, f)?.power(0.5))?;
    product.absorb(&Posterior::diagonal(b, g)?.power(0.75))?;
    product.finish().map(|_| ())
}

/// A whole model of one tensor, by name, in tiles of the scratch.
fn store([a, f, b, g]: [&[f32]; 4], out: &mut [f32], n: usize) -> Result<(), Error> {
    let shape = [n];
    let [a, f, b, g] = [a, f, b, g].map(|values| Tensor::new("weight", &shape, values));
    let (a, f, b, g) = ([a?], [f?], [b?], [g?]);
    let (a, f, b, g) = (Tensors(&a), Tensors(&f), Tensors(&b), Tensors(&g));
    let mut target = [TensorMut::new("weight", &shape, out)?];
    let models = [Model::diagonal(&a, &f, 0.5), Model::diagonal(&b, &g, 0.75_f32)];
    StoreMerge::new().run(&models, &mut TensorsMut(&mut target), &mut []).map(|_| ())
}

/// One gradient, and the Fisher that comes of it.
fn estimate<R: Real>(gradient: &[f32], sums: &mut [R], out: &mut [f32]) -> Result<(), Error> {
    let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(gradient.len()), sums)?;
    fisher.example(Gradient::new(gradient))?;
    fisher.finish_into(out).map(|_| ())
}

/// An adapter of rank 4 into a row of weights.
fn fold([w, f, a, _]: [&[f32]; 4], out: &mut [f32]) -> Result<(), Error> {
    let inputs = w.len() / 4;
    let (w, out) = (w.get(..inputs).unwrap_or_default(), out.get_mut(..inputs).unwrap_or_default());
    let (b, a) = (f.get(..4).unwrap_or_default(), a.get(..4 * inputs).unwrap_or_default());
    LowRankAdapter::new((1, inputs), 4, (b, a), 8.0_f32)?.fold(0, w, out).map(|_| ())
}
