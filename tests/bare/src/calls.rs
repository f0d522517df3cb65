//! One call of everything.

use core::hint::black_box;

use fisher_merge::adapters::LowRankAdapter;
use fisher_merge::{
    BadNumbers, Bf16Bits, BuiltIn, Conditioning, Dtype, Error, F16Bits, Factor, FisherStatistics, Floor, FloorOn, FloorScope, Job, LeBytes,
    LinearFault, Matrix, MatrixMut, MatrixProduct, Merge, NoEvidence, Normalize, Posterior, Real, RunningProduct, Values, ValuesMut,
    from_natural, target, to_natural,
};

/// Numbers in a merge: more than a block of small targets.
pub const N: usize = 40;

/// Whether every call went through and a merged value is right.
pub fn all() -> bool {
    let f32s = [[black_box(1.0_f32); N], [black_box(3.0); N], [black_box(2.0); N], [black_box(1.0); N]];
    let f64s = [[black_box(1.0_f64); N], [black_box(3.0); N], [black_box(2.0); N], [black_box(1.0); N]];
    let halves = [[black_box(0x3c00_u16); N], [black_box(0x4200); N], [black_box(0x4000); N], [black_box(0x3c00); N]];
    let bytes = [[black_box(0x3f_u8); 4 * N]; 4];
    let (mut single, mut double, mut half, mut raw) = ([0.0_f32; N], [0.0_f64; N], [0_u16; N], [0_u8; 4 * N]);
    let mut right = true;
    {
        let [a, f, b, g] = &f32s;
        right &= merge::<_, f32>([&a[..], &f[..], &b[..], &g[..]], &mut single[..]).is_ok();
        right &= merge::<_, f64>([&a[..], &f[..], &b[..], &g[..]], &mut single[..]).is_ok();
        right &= algebra::<_, f32>([&a[..], &f[..], &b[..], &g[..]]).is_ok();
    }
    right &= single.first() == Some(&1.25);
    {
        let [a, f, b, g] = &f64s;
        right &= merge::<_, f64>([&a[..], &f[..], &b[..], &g[..]], &mut double[..]).is_ok();
        right &= algebra::<_, f64>([&a[..], &f[..], &b[..], &g[..]]).is_ok();
    }
    let [a, f, b, g] = &halves;
    right &= merge::<_, f32>([&a[..], &f[..], &b[..], &g[..]].map(F16Bits), F16Bits(&mut half[..])).is_ok();
    right &= merge::<_, f64>([&a[..], &f[..], &b[..], &g[..]].map(Bf16Bits), Bf16Bits(&mut half[..])).is_ok();
    let mut views = bytes.iter().filter_map(|all| LeBytes::new(black_box(Dtype::F32), &all[..]).ok());
    if let (Some(a), Some(f), Some(b), Some(g)) = (views.next(), views.next(), views.next(), views.next()) {
        if let Ok(out) = LeBytes::new(black_box(Dtype::F32), &mut raw[..]) {
            right &= merge::<_, f32>([a, f, b, g], out).is_ok();
        }
    }
    right &= product::<f32>().is_ok() && product::<f64>().is_ok();
    let [a, b, w, _] = &halves;
    right &= fold::<_, f32>([&a[..], &b[..], &w[..]].map(F16Bits), F16Bits(&mut half[..])).is_ok();
    right &= fold::<_, f64>([&a[..], &b[..], &w[..]].map(Bf16Bits), &mut double[..]).is_ok();
    black_box((&single, &double, &half, &raw));
    right
}

/// A matrix product, plain and transposed.
#[inline(never)]
fn product<R: Real>() -> Result<(), LinearFault> {
    let (values, mut out, mut scratch) = ([black_box(R::ONE); 12], [R::ZERO; 16], [R::ZERO; 128]);
    for (rows, columns) in [(3, 4), (4, 3)] {
        let a = Matrix::new(&values, black_box(rows), black_box(columns))?;
        let c = MatrixMut::strided(&mut out, (black_box(rows), black_box(rows)), 4)?;
        BuiltIn::new().multiply(black_box(R::ONE), a, a.transposed(), black_box(R::ZERO), c, &mut scratch)?;
    }
    Ok(())
}

/// An adapter of rank 2 into a part of a layer of three rows.
#[inline(never)]
fn fold<V: Values<R> + Copy, R: Real>([a, b, w]: [V; 3], out: impl ValuesMut<R>) -> Result<(), Error> {
    // Longer than the factors of any layer of these sides: what comes back is the error.
    let refused = LowRankAdapter::new((black_box(3), black_box(N)), black_box(2), (b, a), black_box(R::ONE)).is_err();
    let adapter = LowRankAdapter::new((black_box(N / 2), black_box(N / 2)), black_box(2), (b, a), black_box(R::ONE))?;
    let adapter = adapter.scale(R::from_f64(black_box(0.5)))?.shell(fisher_merge::Shell::detect());
    let _ = black_box((refused, adapter.fold(black_box(7), w, out)?));
    Ok(())
}

/// One, two and three models, all policies, with and without the precision, several at once.
#[inline(never)]
fn merge<V: Values<R> + Values<f64> + Copy, R: Real>([a, f, b, g]: [V; 4], mut out: impl ValuesMut<R>) -> Result<(), Error> {
    let half = R::from_f64(black_box(0.5));
    let prior = [R::ONE; N];
    let (first, second) = (Posterior::diagonal(a, f)?.power(half), Posterior::diagonal(b, g)?.power(half));
    let third = Posterior::new(a, fisher_merge::Precision::PerTensor(half))?.power(half);
    for policy in [NoEvidence::WeightedMean, NoEvidence::PriorMean(&prior), NoEvidence::Error, NoEvidence::KeepTarget] {
        for numbers in [BadNumbers::Propagate, BadNumbers::Refuse] {
            let merge = Merge::new().no_evidence(black_box(policy)).bad_numbers(black_box(numbers)).tensor(1);
            let (mut mean, mut precision) = ([R::ZERO; N], [R::ZERO; N]);
            let _ = merge.run(&[first], &mut mean[..])?;
            let _ = merge.run(&[first, second, third], &mut mean[..])?;
            let _ = merge.run_with_precision(&[third, second, first], &mut mean[..], &mut precision[..])?;
            let _ = merge.check(&[first, second])?;
            let (mut here, mut there) = ([R::ZERO; N], [R::ZERO; N]);
            merge.run_all(&mut [Job::new(&[first, second], &mut here[..]), Job::new(&[second, first], &mut there[..])])?;
            black_box((&mean, &precision, &here, &there));
        }
    }
    let conditioned = conditioned(first, f)?;
    let mut mean = [R::ZERO; N];
    let _ = Merge::new().run(&[conditioned, second], &mut mean[..])?;
    black_box(&mean);
    out.put(0, half);
    let _ = Merge::new().run(&[first, second], out)?;
    Ok(())
}

/// Statistics, floors and norms.
#[inline(never)]
fn conditioned<V: Values<R> + Values<f64> + Copy, R: Real>(factor: Factor<V, V, R>, fisher: V) -> Result<Factor<V, V, R>, Error> {
    let mut statistics = FisherStatistics::new();
    statistics.observe(fisher);
    let is_target = target(&[factor.weight()]) == Some(0);
    let mut conditioned = factor;
    for scope in [FloorScope::Tensor, FloorScope::Model] {
        for normalize in [Normalize::L2, Normalize::Mean] {
            let floor = Floor::Relative { share: black_box(0.5), scope };
            let rule = Conditioning::new().floor(black_box(floor)).floor_on(black_box(FloorOn::Target)).normalize(black_box(normalize));
            conditioned = factor.conditioned(&rule.scale(&statistics, is_target)?);
        }
    }
    Ok(conditioned)
}

/// The running product and natural parameters.
#[inline(never)]
fn algebra<V: Values<R> + Copy, R: Real>([a, f, b, g]: [V; 4]) -> Result<(), Error> {
    let (one, two) = (R::from_f64(black_box(1.0)), R::from_f64(black_box(2.0)));
    let (first, second) = (Posterior::diagonal(a, f)?, Posterior::diagonal(b, g)?);
    let (mut precision, mut mean) = ([R::ZERO; N], [R::ZERO; N]);
    let (mut other_precision, mut other_mean) = ([R::ZERO; N], [R::ZERO; N]);
    let mut other = RunningProduct::start(&mut other_precision, &mut other_mean, NoEvidence::WeightedMean)?;
    other.absorb(&second.power(two))?;
    let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget)?.bad_numbers(BadNumbers::Propagate);
    product.absorb(&first.power(one))?;
    product.combine(&other)?;
    product.raise(two)?;
    product.remove(&first.power(one))?;
    let summary = product.finish()?;
    let mut resumed = RunningProduct::resume(&mut precision, &mut mean, NoEvidence::Error, (two, 2))?;
    resumed.count_prior_once(&Posterior::<V, V, R>::scaled(a, R::from_f64(black_box(0.125))))?;
    let _ = resumed.finish()?;
    let mut eta = [R::ZERO; N];
    let _ = to_natural(&precision, &mean, &mut eta)?;
    let _ = from_natural(&precision, &eta, &mut mean)?;
    black_box((&mean, &eta, &summary));
    Ok(())
}
