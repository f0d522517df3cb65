//! Narrowing to 16 bits: the result is the nearest of the neighbouring patterns by exact comparison of distances, ties to the even one; in
//! every shell, by slice and one by one.
#![no_main]

use fisher_merge::{BadNumbers, Bf16Bits, F16Bits, Merge, Posterior, Real, Shell, Values, ValuesMut};
use fisher_merge_fuzz::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    match bytes.byte() % 2 {
        0 => check(&(0..bytes.0.len() / 4).map(|_| bytes.real::<f32>()).collect::<Vec<_>>()),
        _ => check(&(0..bytes.0.len() / 8).map(|_| bytes.real::<f64>()).collect::<Vec<_>>()),
    }
});

fn check<R: Real>(values: &[R])
where
    for<'a> &'a [R]: Values<R>,
{
    for shell in Shell::available() {
        let one = [Posterior::isotropic(values).power(R::ONE)];
        let merge = Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell);
        let (mut f16, mut bf16) = (vec![0_u16; values.len()], vec![0_u16; values.len()]);
        let _ = merge.run(&one, F16Bits(&mut f16[..])).unwrap();
        let _ = merge.run(&one, Bf16Bits(&mut bf16[..])).unwrap();
        for (index, &value) in values.iter().enumerate() {
            let mut single = [0_u16; 2];
            let (first, second) = single.split_at_mut(1);
            F16Bits(first).put(0, value);
            Bf16Bits(second).put(0, value);
            assert_eq!(single, [f16[index], bf16[index]]);
            nearest(value.as_f64(), f16[index], |bits| F16Bits(&[bits][..]).at(0).unwrap(), 0x7c00);
            nearest(value.as_f64(), bf16[index], |bits| Bf16Bits(&[bits][..]).at(0).unwrap(), 0x7f80);
        }
    }
}

/// Whether `bits` is the pattern nearest to `value`. Infinity stands for the number after the largest, as rounding has it. The distances
/// are exact in `f64` where they decide: neighbours differ in a few bits.
fn nearest(value: f64, bits: u16, number: impl Fn(u16) -> f64, infinite: u16) {
    if value.is_nan() {
        assert!(number(bits).is_nan());
        return;
    }
    assert_eq!(value.is_sign_negative(), bits & 0x8000 != 0);
    let (value, magnitude) = (value.abs(), bits & 0x7fff);
    let number = |magnitude: u16| if magnitude == infinite { number(infinite - 1) * 2.0 - number(infinite - 2) } else { number(magnitude) };
    // Midpoints between neighbours, exact: two numbers of one exponent or of neighbouring ones.
    let middle = |low: u16| (number(low) + number(low + 1)) / 2.0;
    if magnitude > 0 {
        let below = middle(magnitude - 1);
        assert!(value > below || value == below && magnitude % 2 == 0, "{value:e} became {bits:#x}");
    }
    if magnitude < infinite {
        let above = middle(magnitude);
        assert!(value < above || value == above && magnitude % 2 == 0, "{value:e} became {bits:#x}");
    }
}
