//! Throughput for people: `cargo bench --bench kernels`. The merge of two models beside the roof (a plain sum of four slices into a fifth)
//! and what a Rust user would write today. The enforced ratios are in `limits`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fisher_merge::{Bf16Bits, F16Bits, Merge, Posterior, Real, Values, ValuesMut};
use ndarray::{Array1, Zip};

const WEIGHTS: [f64; 2] = [0.3, 0.7];

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 * 0.999 + 0.001
    };
    (0..n).map(next).collect()
}

/// Merges two models given as mean, Fisher, mean, Fisher.
macro_rules! merge {
    ($real:ty, $models:expr, $out:expr) => {{
        let [a, f, b, g] = $models;
        let factors = [
            Posterior::diagonal(a, f).unwrap().power(<$real>::from_f64(WEIGHTS[0])),
            Posterior::diagonal(b, g).unwrap().power(<$real>::from_f64(WEIGHTS[1])),
        ];
        Merge::<$real>::new().run(&factors, $out).unwrap()
    }};
}

fn merges(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge of two models");
    for log2 in [11, 16, 22] {
        let n = 1_usize << log2;
        let f32s: [Vec<f32>; 4] = [1, 2, 3, 4].map(|seed| numbers(n, seed));
        let f64s: [Vec<f64>; 4] = f32s.each_ref().map(|values| values.iter().map(|&value| f64::from(value)).collect());
        let bf16s: [Vec<u16>; 4] = f32s.each_ref().map(|values| values.iter().map(|value| (value.to_bits() >> 16) as u16).collect());
        let f16s: [Vec<u16>; 4] = f32s.each_ref().map(|values| {
            let mut bits = vec![0; n];
            values.iter().enumerate().for_each(|(i, &value)| F16Bits(&mut bits[..]).put(i, value));
            bits
        });
        let (mut out32, mut out64, mut out16) = (vec![0.0_f32; n], vec![0.0_f64; n], vec![0_u16; n]);

        group.throughput(Throughput::Bytes(20 << log2));
        group.bench_function(BenchmarkId::new("f32", n), |bench| {
            bench.iter(|| merge!(f32, f32s.each_ref().map(|v| &v[..]), &mut out32[..]))
        });
        group.bench_function(BenchmarkId::new("f32 in f64", n), |bench| {
            bench.iter(|| merge!(f64, f32s.each_ref().map(|v| &v[..]), &mut out32[..]));
        });
        group.throughput(Throughput::Bytes(40 << log2));
        group.bench_function(BenchmarkId::new("f64", n), |bench| {
            bench.iter(|| merge!(f64, f64s.each_ref().map(|v| &v[..]), &mut out64[..]))
        });
        group.throughput(Throughput::Bytes(10 << log2));
        group.bench_function(BenchmarkId::new("bf16", n), |bench| {
            bench.iter(|| merge!(f32, bf16s.each_ref().map(|v| Bf16Bits(&v[..])), Bf16Bits(&mut out16[..])));
        });
        group.bench_function(BenchmarkId::new("f16", n), |bench| {
            bench.iter(|| merge!(f32, f16s.each_ref().map(|v| F16Bits(&v[..])), F16Bits(&mut out16[..])));
        });
        let check: f32 = (&out32[..]).at(0).unwrap();
        assert!(check.is_finite(), "the outputs hold what was merged");
    }
    group.finish();
}

fn today(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("without the crate, f32");
    for log2 in [11, 16, 22] {
        let n = 1_usize << log2;
        let arrays: [Array1<f32>; 4] = [1, 2, 3, 4].map(|seed| Array1::from(numbers(n, seed)));
        let [a, f, b, g] = &arrays;
        let [c, d] = WEIGHTS.map(|weight| weight as f32);
        let mut out = Array1::<f32>::zeros(n);
        group.throughput(Throughput::Bytes(20 << log2));
        group.bench_function(BenchmarkId::new("the roof: a sum of four", n), |bench| {
            let [a, b, c, d] = arrays.each_ref().map(|array| &array.as_slice().unwrap()[..n]);
            let out = &mut out.as_slice_mut().unwrap()[..n];
            bench.iter(|| {
                for i in 0..n {
                    out[i] = a[i] + b[i] + c[i] + d[i];
                }
            });
        });
        group.bench_function(BenchmarkId::new("ndarray Zip", n), |bench| {
            bench.iter(|| {
                Zip::from(&mut out).and(a).and(f).and(b).and(g).for_each(|out, &a, &f, &b, &g| {
                    *out = (c * f * a + d * g * b) / (c * f + d * g);
                });
            });
        });
        group.bench_function(BenchmarkId::new("ndarray operators", n), |bench| {
            bench.iter(|| out = (f * a * c + g * b * d) / (f * c + g * d));
        });
        group.bench_function(BenchmarkId::new("indexed loop", n), |bench| {
            bench.iter(|| {
                for i in 0..n {
                    let (p, q) = (c * f[i], d * g[i]);
                    out[i] = if p + q > 0.0 { (p * a[i] + q * b[i]) / (p + q) } else { a[i] };
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, merges, today);
criterion_main!(benches);
