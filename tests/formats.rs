//! The 16-bit formats over all of their 65,536 patterns, against a model written from the formats' definition: by number and by slice, in
//! every shell, in both arithmetics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::exact::Exact;
use fisher_merge::{BadNumbers, Bf16Bits, Dtype, F16Bits, LeBytes, Merge, Posterior, Real, Shell, Values, ValuesMut};

const FORMATS: [Dtype; 2] = [Dtype::F16, Dtype::Bf16];

/// All patterns as little-endian bytes.
fn all() -> Vec<u8> {
    (0..=u16::MAX).flat_map(u16::to_le_bytes).collect()
}

/// A merge of one model copies: from one storage to another by the block.
fn copied<R: Real>(source: LeBytes<&[u8]>, count: usize, shell: Shell) -> Vec<R> {
    let mut out = vec![R::ZERO; count];
    let one = [Posterior::isotropic(source).power(R::ONE)];
    let _ = Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell).run(&one, &mut out[..]).unwrap();
    out
}

/// Numbers to patterns, by the block.
fn narrowed<R: Real>(values: &[R], to: Dtype, shell: Shell) -> Vec<u16> {
    let mut out = vec![0; 2 * values.len()];
    let one = [Posterior::isotropic(values).power(R::ONE)];
    let merge = Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell);
    let _ = merge.run(&one, LeBytes::new(to, &mut out[..]).unwrap()).unwrap();
    out.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn single<R: Real>(value: R, to: Dtype) -> u16 {
    let mut bytes = [0; 2];
    LeBytes::new(to, &mut bytes[..]).unwrap().put(0, value);
    u16::from_le_bytes(bytes)
}

fn widening_is_exact<R: Real>() {
    let bytes = all();
    for format in FORMATS {
        let source = LeBytes::new(format, &bytes[..]).unwrap();
        for shell in Shell::available() {
            for (bits, value) in (0..=u16::MAX).zip(copied::<R>(source, 1 << 16, shell)) {
                let one: R = source.at(usize::from(bits)).unwrap();
                assert!(one.as_f64().to_bits() == value.as_f64().to_bits() || one.is_nan() && value.is_nan());
                match Exact::from_pattern(format, u64::from(bits)) {
                    Some(exact) => {
                        assert_eq!(Exact::of(value.as_f64()), exact);
                        assert_eq!(value.is_sign_negative(), bits >> 15 == 1, "{format} {bits:#x}");
                    }
                    None => {
                        let fraction = bits & if format == Dtype::F16 { 0x3ff } else { 0x7f };
                        assert_eq!((value.is_nan(), value.is_infinite()), (fraction != 0, fraction == 0), "{format} {bits:#x}");
                    }
                }
            }
        }
    }
}

#[test]
fn widening_is_exact_on_all_patterns() {
    widening_is_exact::<f32>();
    widening_is_exact::<f64>();
}

/// Every pattern, the midpoint to its upper neighbour, and the numbers beside that: where rounding decides.
fn hard_points<R: Real>(format: Dtype) -> Vec<(R, u16)> {
    let bytes: Vec<u8> = all();
    let numbers: Vec<f64> = copied(LeBytes::new(format, &bytes[..]).unwrap(), 1 << 16, Shell::BASELINE);
    let infinite: u16 = if format == Dtype::F16 { 0x7c00 } else { 0x7f80 };
    let mut points = Vec::new();
    for sign in [0, 0x8000] {
        for low in 0..infinite {
            let here = numbers[usize::from(sign | low)];
            // The number after the largest, as rounding has it.
            let next = if low + 1 < infinite {
                numbers[usize::from(sign | (low + 1))]
            } else {
                2.0 * here - numbers[usize::from(sign | (low - 1))]
            };
            let (middle, up) = ((here + next) / 2.0, (sign | low) + 1);
            let even = if low % 2 == 0 { sign | low } else { up };
            points.push((R::from_f64(here), sign | low));
            points.push((R::from_f64(middle), even));
            // The nearest numbers of the arithmetic below and above the midpoint.
            let step = |by: i64| R::from_f64(nudge::<R>(middle, by));
            points.push((step(-1), if low == 0 && R::from_f64(nudge::<R>(middle, -1)) == R::ZERO { sign } else { sign | low }));
            points.push((step(1), up));
        }
    }
    points
}

/// The neighbour of a number, in units of the last place of the arithmetic, away from zero or towards it.
fn nudge<R: Real>(value: f64, by: i64) -> f64 {
    match R::DTYPE {
        Dtype::F32 => f64::from(f32::from_bits((value as f32).to_bits().wrapping_add(by as u32))),
        _ => f64::from_bits(value.to_bits().wrapping_add(by as u64)),
    }
}

fn narrowing_rounds_once<R: Real>() {
    for format in FORMATS {
        let (values, expected): (Vec<R>, Vec<u16>) = hard_points::<R>(format).into_iter().unzip();
        for shell in Shell::available() {
            assert_eq!(narrowed(&values, format, shell), expected, "{format} in {shell:?}");
        }
        for (&value, &bits) in values.iter().zip(&expected) {
            assert_eq!(single(value, format), bits, "{value:e} to {format}");
        }
    }
}

#[test]
fn narrowing_rounds_once_to_nearest_even() {
    narrowing_rounds_once::<f32>();
    narrowing_rounds_once::<f64>();
}

#[test]
fn specials_stay_what_they_are() {
    for (format, infinite) in FORMATS.into_iter().zip([0x7c00_u16, 0x7f80]) {
        let values = [f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, f32::from_bits(1), -f32::from_bits(1)];
        let largest = infinite;
        let expected = [infinite, infinite | 0x8000, 0, 0x8000, largest, 0, 0x8000];
        // The slice is long enough for the fast bodies.
        let (many, wanted): (Vec<f32>, Vec<u16>) = values.into_iter().zip(expected).cycle().take(700).unzip();
        let nans: Vec<f32> = (0..700_u32).map(|i| f32::from_bits((0x7f80_0001 + i * 5993) | ((i & 1) << 31))).collect();
        for shell in Shell::available() {
            assert_eq!(narrowed(&many, format, shell), wanted);
            for bits in narrowed(&nans, format, shell) {
                assert!(bits & 0x7fff > infinite, "{bits:#x}");
            }
        }
    }
}

/// The same bits through every kind of view of the same numbers, at every alignment.
#[test]
fn views_agree() {
    let bytes = all();
    let bits: Vec<u16> = (0..=u16::MAX).collect();
    for format in FORMATS {
        let mut shifted = vec![0; bytes.len() + 8];
        for offset in 0..8 {
            shifted[offset..offset + bytes.len()].copy_from_slice(&bytes);
            let view = LeBytes::new(format, &shifted[offset..offset + bytes.len()]).unwrap();
            let raw = |index: usize| -> f32 {
                match format {
                    Dtype::F16 => F16Bits(&bits[..]).at(index).unwrap(),
                    _ => Bf16Bits(&bits[..]).at(index).unwrap(),
                }
            };
            for (index, value) in copied::<f32>(view, 1 << 16, Shell::detect()).into_iter().enumerate() {
                assert!(value.to_bits() == raw(index).to_bits() || value.is_nan() && raw(index).is_nan(), "{format} {index:#x}");
            }
        }
    }
}

#[cfg(feature = "half")]
#[test]
fn the_half_crate_agrees() {
    use half::{bf16, f16};
    for bits in 0..=u16::MAX {
        let (a, b): (f32, f32) = (F16Bits(&[bits][..]).at(0).unwrap(), Bf16Bits(&[bits][..]).at(0).unwrap());
        let (c, d) = (f16::from_bits(bits), bf16::from_bits(bits));
        assert!(a.to_bits() == c.to_f32().to_bits() || a.is_nan() && c.is_nan());
        assert!(b.to_bits() == d.to_f32().to_bits() || b.is_nan() && d.is_nan());
        let typed: [Option<f64>; 2] = [(&[c][..]).at(0), (&[d][..]).at(0)];
        assert!(typed[0].unwrap().to_bits() == f64::from(a).to_bits() || a.is_nan());
        assert!(typed[1].unwrap().to_bits() == f64::from(b).to_bits() || b.is_nan());
    }
    let mut out = [f16::ZERO; 3];
    let source = [f16::from_f32(1.0), f16::from_f32(-0.0), f16::from_f32(3.0)];
    let _ = Merge::new().run(&[Posterior::isotropic(&source[..]).power(1.0_f32)], &mut out[..]).unwrap();
    assert_eq!(out.map(f16::to_bits), source.map(f16::to_bits));
}

#[cfg(feature = "bytemuck")]
#[test]
fn aligned_bytes_are_lent() {
    let numbers = [1.0_f32, 2.0, 3.0];
    if cfg!(target_endian = "little") {
        let view = LeBytes::of(Dtype::F32, &numbers[..]).unwrap();
        assert_eq!(view.aligned::<f32>(), Some(&numbers[..]));
        assert_eq!(view.aligned::<u16>(), None);
        let bytes = view.into_inner();
        let odd = LeBytes::new(Dtype::F32, &bytes[1..9]).unwrap();
        assert_eq!(odd.aligned::<f32>(), None);
    }
    assert!(LeBytes::of(Dtype::F64, &numbers[..]).is_err());
}
