//! Folding low-rank adapters: against exact arithmetic, the same bits for any cut, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::exact::{Exact, Ratio};
use common::generators::{Arithmetic, DTYPES, Kind, Numbers, check, pattern};
use common::random::Random;
use common::tolerance::{fold_bound, half_ulp};
use fisher_merge::adapters::LowRankAdapter;
use fisher_merge::{AnySlice, AnySliceMut, Bf16Bits, Defect, Dtype, Error, F16Bits, LeBytes, Merge, Posterior, Real, Role, Shell};
use proptest::prelude::*;

/// A layer with an adapter, each of its three tensors in a storage type of its own.
struct Case {
    shape: (usize, usize),
    rank: usize,
    scale: f64,
    w: Numbers,
    b: Numbers,
    a: Numbers,
}

/// Numbers of a storage type that the arithmetic holds.
fn numbers<R: Real>(random: &mut Random, count: usize, kind: Kind) -> Numbers {
    let held: Vec<Dtype> = DTYPES.into_iter().filter(|&dtype| R::DTYPE.holds(dtype)).collect();
    let dtype = held[random.bits() as usize % held.len()];
    let bits = (0..count).map(|_| pattern(dtype, kind, true, ((random.bits() >> 8) as u8, random.bits()))).collect();
    Numbers { dtype, bits }
}

fn case<R: Real>(seed: u64, kind: Kind) -> Case {
    let mut random = Random(seed);
    let mut below = |bound: u64| random.bits() as usize % bound as usize;
    // Rows beyond a block now and then.
    let (outputs, inputs, rank) = (1 + below(5), if below(4) == 0 { 250 + below(20) } else { 1 + below(40) }, 1 + below(17));
    let scale = [1.0, 2.0, 0.5, -1.0, 0.1, 16.0 / 3.0][below(6)];
    let w = numbers::<R>(&mut random, outputs * inputs, kind);
    let (b, a) = (numbers::<R>(&mut random, outputs * rank, kind), numbers::<R>(&mut random, rank * inputs, kind));
    Case { shape: (outputs, inputs), rank, scale, w, b, a }
}

/// The patterns of numbers as bytes, in order.
fn bytes(numbers: &Numbers) -> Vec<u8> {
    let width = numbers.dtype.bytes();
    numbers.bits.iter().flat_map(|bits| bits.to_le_bytes().into_iter().take(width)).collect()
}

/// Folds a range of a case into its own storage type or the arithmetic's; the numbers that come of it as patterns.
fn fold<R: Arithmetic>(case: &Case, range: std::ops::Range<usize>, output: Dtype, shell: Shell) -> Result<Vec<u64>, Error> {
    let (b, a, w) = (bytes(&case.b), bytes(&case.a), bytes(&case.w));
    let (b, a) = (AnySlice::of_bytes(case.b.dtype, &b)?, AnySlice::of_bytes(case.a.dtype, &a)?);
    let w = AnySlice::of_bytes(case.w.dtype, &w)?.range(range.start, range.len()).unwrap();
    let width = output.bytes();
    let mut out = vec![0xa5; width * range.len()];
    let adapter = LowRankAdapter::new(case.shape, case.rank, (b, a), R::ONE)?.scale(R::from_f64(case.scale))?.shell(shell);
    let summary = adapter.fold(range.start, w, AnySliceMut::of_bytes(output, &mut out)?)?;
    assert_eq!(summary.elements, range.len() as u64);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    Ok(out.chunks_exact(width).map(number).collect())
}

/// `w + s·Σ b·a` and `|w| + |s|·Σ|b·a|`, exactly.
fn exact<R: Real>(case: &Case, index: usize) -> (Exact, Exact) {
    let (o, i) = (index / case.shape.1, index % case.shape.1);
    let scale = Exact::of(R::from_f64(case.scale).as_f64());
    let w = case.w.exact(index).unwrap();
    let (mut sum, mut size) = (Exact::zero(), Exact::zero());
    for k in 0..case.rank {
        let term = &case.b.exact(o * case.rank + k).unwrap() * &case.a.exact(k * case.shape.1 + i).unwrap();
        size = &size + &term.abs();
        sum = &sum + &term;
    }
    (&w + &(&scale * &sum), &w.abs() + &(&scale.abs() * &size))
}

/// Every element within its bound, in both output types.
fn accurate<R: Arithmetic>(seed: u64, kind: Kind) -> Result<(), TestCaseError> {
    let case = case::<R>(seed, kind);
    let count = case.shape.0 * case.shape.1;
    for output in [R::DTYPE, case.w.dtype] {
        let out = match fold::<R>(&case, 0..count, output, Shell::detect()) {
            Ok(out) => out,
            // Products beyond the range are refused by their place.
            Err(Error::BadNumber { role: Role::MeanOut, index, .. }) if kind == Kind::Wild => {
                prop_assert!(index < count);
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        for (index, &bits) in out.iter().enumerate() {
            let (value, size) = exact::<R>(&case, index);
            // What a narrow storage type makes infinite.
            let Some(result) = Exact::from_pattern(output, bits) else { continue };
            let bound = fold_bound::<R>(case.rank, &Exact::of(R::from_f64(case.scale).as_f64()), &size);
            let bound = if output == R::DTYPE { bound } else { &bound + &half_ulp(&result, output) };
            prop_assert!(Ratio::whole(value).within(&result, &bound), "element {index} of {:?}", case.shape);
        }
    }
    Ok(())
}

#[test]
fn folds_are_accurate() {
    check(400, any::<u64>(), |seed| {
        accurate::<f32>(seed, Kind::Ordinary)?;
        accurate::<f64>(seed, Kind::WithZeros)?;
        accurate::<f32>(seed, Kind::Wild)
    });
}

/// Whole, cut in two, and element by element; in every shell.
fn same_bits<R: Arithmetic>(seed: u64) -> Result<(), TestCaseError> {
    let case = case::<R>(seed, Kind::WithZeros);
    let count = case.shape.0 * case.shape.1;
    let cut = Random(seed ^ 1).bits() as usize % (count + 1);
    let output = if seed % 2 == 0 { R::DTYPE } else { case.w.dtype };
    let whole = fold::<R>(&case, 0..count, output, Shell::BASELINE).unwrap();
    for shell in Shell::available() {
        prop_assert_eq!(&fold::<R>(&case, 0..count, output, shell).unwrap(), &whole);
        let mut parts = fold::<R>(&case, 0..cut, output, shell).unwrap();
        parts.extend(fold::<R>(&case, cut..count, output, shell).unwrap());
        prop_assert_eq!(&parts, &whole);
    }
    let ones = (0..count).flat_map(|index| fold::<R>(&case, index..index + 1, output, Shell::detect()).unwrap());
    prop_assert_eq!(ones.collect::<Vec<_>>(), whole);
    Ok(())
}

#[test]
fn no_cut_changes_a_bit() {
    check(200, any::<u64>(), |seed| same_bits::<f32>(seed).and_then(|()| same_bits::<f64>(seed)));
}

/// The order is that of the definition: products added in ascending k, then the scale, then the weight.
#[test]
fn the_order_of_additions_is_the_definition() {
    let mut random = Random(3);
    let (outputs, inputs, rank) = (3, 37, 8);
    let mut draw = |count: usize| (0..count).map(|_| random.signed() as f32).collect::<Vec<f32>>();
    let (w, b, a) = (draw(outputs * inputs), draw(outputs * rank), draw(rank * inputs));
    let mut out = vec![0.0_f32; outputs * inputs];
    let adapter = LowRankAdapter::new((outputs, inputs), rank, (&b[..], &a[..]), 12.0_f32).unwrap();
    let _ = adapter.fold(0, &w[..], &mut out[..]).unwrap();
    for (index, &out) in out.iter().enumerate() {
        let (o, i) = (index / inputs, index % inputs);
        let mut sum = 0.0_f32;
        for k in 0..rank {
            sum += b[o * rank + k] * a[k * inputs + i];
        }
        assert_eq!(out.to_bits(), (w[index] + 1.5 * sum).to_bits());
    }
}

/// A fresh adapter, whose B is zero, changes nothing, in any storage type and with any zero.
#[test]
fn an_update_of_zero_keeps_every_bit() {
    let w = [-0.0_f32, 0.0, 1e-45, f32::MAX, -1.5, 3.0];
    let mut out = [1.0_f32; 6];
    for zero in [0.0_f32, -0.0] {
        let b = [zero; 6];
        let adapter =
            LowRankAdapter::new((2, 3), 3, (&b[..], &[1.0_f32, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, -9.0][..]), -2.0_f32).unwrap();
        let _ = adapter.fold(0, &w[..], &mut out[..]).unwrap();
        assert_eq!(out.map(f32::to_bits), w.map(f32::to_bits));
    }
    let (halves, mut out) = ([0x8000_u16, 0x3c01, 0x0001], [0; 3]);
    let adapter = LowRankAdapter::new((1, 3), 1, (F16Bits(&[0x8000_u16][..]), Bf16Bits(&[0x3f80_u16; 3][..])), 1.0_f32).unwrap();
    let _ = adapter.fold(0, F16Bits(&halves[..]), F16Bits(&mut out[..])).unwrap();
    assert_eq!(out, halves);
}

/// Views of every kind give the same bits.
#[test]
fn views_of_every_kind_are_the_same() {
    let (b, a, w) = ([0x3f80_u16, 0xbf00], [0x4040_u16, 0x3e80, 0x3f81], [0x3f80_u16; 6]);
    let wide = |bits: &[u16]| bits.iter().map(|&bits| f32::from_bits(u32::from(bits) << 16)).collect::<Vec<_>>();
    let raw = |bits: &[u16]| bits.iter().flat_map(|bits| bits.to_le_bytes()).collect::<Vec<u8>>();
    let mut singles = [0.0_f32; 6];
    let (bs, as_, ws) = (wide(&b), wide(&a), wide(&w));
    let _ = LowRankAdapter::new((2, 3), 1, (&bs[..], &as_[..]), 1.0_f32).unwrap().fold(0, &ws[..], &mut singles[..]).unwrap();
    let mut others = [[0.0_f32; 6]; 2];
    let _ = LowRankAdapter::new((2, 3), 1, (Bf16Bits(&b[..]), Bf16Bits(&a[..])), 1.0_f32)
        .unwrap()
        .fold(0, Bf16Bits(&w[..]), &mut others[0][..])
        .unwrap();
    let (br, ar, wr) = (raw(&b), raw(&a), raw(&w));
    let le = |bytes| LeBytes::new(Dtype::Bf16, bytes).unwrap();
    let _ = LowRankAdapter::new((2, 3), 1, (le(&br[..]), le(&ar[..])), 1.0_f32).unwrap().fold(0, le(&wr[..]), &mut others[1][..]).unwrap();
    assert_eq!(others, [singles; 2]);
}

/// What is refused, before anything is written unless it is a number.
#[test]
fn shapes_scales_and_numbers_are_refused() {
    let (b, a, w, mut out) = ([1.0_f32; 4], [1.0_f32; 6], [1.0_f32; 6], [7.0_f32; 6]);
    let length = |role, expected, found| Error::Length { tensor: 0, model: 0, role, expected, found };
    let new = |shape, rank, b: &[f32], a: &[f32]| LowRankAdapter::new(shape, rank, (b, a), 1.0_f32).map(|_| ());
    assert_eq!(new((2, 3), 2, &b[..3], &a).unwrap_err(), length(Role::AdapterB, 4, 3));
    assert_eq!(new((2, 3), 2, &b, &a[..5]).unwrap_err(), length(Role::AdapterA, 6, 5));
    assert_eq!(new((usize::MAX, 3), 2, &b, &a).unwrap_err(), length(Role::AdapterB, usize::MAX, 4));
    let narrow = LowRankAdapter::new((2, 3), 2, (&[1.0_f64; 4][..], &a[..]), 1.0_f32).map(|_| ()).unwrap_err();
    assert_eq!(
        (narrow.code(), narrow.to_string()),
        (3, "tensor 0, model 0: the adapter's B is stored as f64, which f32 arithmetic cannot hold".into())
    );
    let adapter = LowRankAdapter::new((2, 3), 2, (&b[..], &a[..]), 1.0_f32).unwrap();
    assert_eq!(adapter.fold(1, &w[..], &mut out[..]).unwrap_err(), length(Role::MeanOut, 6, 7));
    assert_eq!(adapter.fold(usize::MAX, &w[..], &mut out[..]).unwrap_err(), length(Role::MeanOut, 6, usize::MAX));
    assert_eq!(adapter.fold(0, &w[..5], &mut out[..]).unwrap_err(), length(Role::Mean, 6, 5));
    assert_eq!(adapter.fold(0, &[1.0_f64; 6][..], &mut out[..]).unwrap_err().code(), 3);
    for (scale, defect) in [(f32::NAN, Defect::Nan), (f32::INFINITY, Defect::Infinite), (f32::NEG_INFINITY, Defect::Infinite)] {
        assert_eq!(adapter.scale(scale).map(|_| ()).unwrap_err(), Error::BadScale { defect });
        assert_eq!(Error::BadScale { defect }.code(), 19);
    }
    assert_eq!(out, [7.0; 6]);
    // A rank of zero has no α/r.
    let empty = LowRankAdapter::new((2, 3), 0, (&b[..0], &a[..0]), 1.0_f32).map(|_| ()).unwrap_err();
    assert_eq!(empty, Error::BadScale { defect: Defect::Infinite });
    // Rows without inputs, and no range at all.
    let none = LowRankAdapter::new((2, 0), 2, (&b[..], &a[..0]), 1.0_f32).unwrap();
    assert_eq!(none.fold(0, &w[..0], &mut out[..0]).unwrap().elements, 0);
    assert_eq!(adapter.fold(6, &w[..0], &mut out[..0]).unwrap().elements, 0);
}

#[test]
fn a_number_that_is_none_is_named_by_its_place_in_the_layer() {
    let (b, w) = ([1.0_f32, 1.0], [0.0_f32; 4]);
    let mut out = [0.0_f32; 4];
    let found =
        |a: &[f32], w: &[f32], out: &mut [f32]| LowRankAdapter::new((2, 3), 1, (&b[..], a), 1.0_f32).unwrap().fold(2, w, out).unwrap_err();
    let bad = |index, defect| Error::BadNumber { tensor: 0, model: 0, role: Role::MeanOut, index, defect };
    assert_eq!(found(&[1.0, f32::NAN, 1.0], &w, &mut out), bad(4, Defect::Nan));
    assert_eq!(found(&[1.0, 1.0, f32::INFINITY], &w, &mut out), bad(2, Defect::Infinite));
    assert_eq!(found(&[1.0, 1.0, f32::MAX], &[f32::MAX; 4], &mut out), bad(2, Defect::Infinite));
    assert_eq!(found(&[0.0; 3], &[1.0, 1.0, 1.0, f32::NEG_INFINITY], &mut out), bad(5, Defect::Infinite));
    // What only the storage makes infinite is counted.
    let mut halves = [0_u16; 2];
    let adapter = LowRankAdapter::new((1, 2), 1, (&[300.0_f32][..], &[300.0_f32, 1.0][..]), 1.0_f32).unwrap();
    let summary = adapter.fold(0, F16Bits(&[0_u16; 2][..]), F16Bits(&mut halves[..])).unwrap();
    assert_eq!((halves, summary.out_of_range), ([0x7c00, 0x5cb0], 1));
}

/// What the documentation says of merging: with a shared A, the merge of B by its Fisher is the merge of the rows of B·A in that Fisher, and
/// folding commutes with it; without, there are cross terms.
#[test]
fn a_shared_factor_commutes_with_folding() {
    let mut random = Random(11);
    let (outputs, inputs, rank) = (6, 10, 4);
    let mut draw = |count: usize| (0..count).map(|_| random.signed()).collect::<Vec<f64>>();
    let (bs, alike) = ([draw(outputs * rank), draw(outputs * rank)], [draw(rank * inputs), draw(rank * inputs)]);
    let merge = |a: &[f64], b: &[f64]| {
        let mut out = vec![0.0; a.len()];
        let _ = Merge::new().run(&[Posterior::isotropic(a).power(0.5), Posterior::isotropic(b).power(0.5)], &mut out[..]).unwrap();
        out
    };
    let fold = |b: &[f64], a: &[f64]| {
        let mut out = vec![0.0; outputs * inputs];
        let _ = LowRankAdapter::new((outputs, inputs), rank, (b, a), rank as f64)
            .unwrap()
            .fold(0, &vec![0.0; outputs * inputs][..], &mut out[..])
            .unwrap();
        out
    };
    let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let b = merge(&bs[0], &bs[1]);
    let shared = merge(&fold(&bs[0], &alike[0]), &fold(&bs[1], &alike[0]));
    assert!(far(&fold(&b, &alike[0]), &shared) < 1e-14);
    let apart = merge(&fold(&bs[0], &alike[0]), &fold(&bs[1], &alike[1]));
    let by_factor = fold(&b, &merge(&alike[0], &alike[1]));
    assert!(far(&by_factor, &apart) > 0.1);
    // The difference is the quarter of the cross terms: ¼(B₁A₂ + B₂A₁) − ¼(B₁A₁ + B₂A₂).
    let cross = merge(&fold(&bs[0], &alike[1]), &fold(&bs[1], &alike[0]));
    let expected: Vec<f64> = apart.iter().zip(&cross).map(|(apart, cross)| 0.5 * apart + 0.5 * cross).collect();
    assert!(far(&by_factor, &expected) < 1e-14);
}
