//! Little-endian bytes of any length at any alignment: decoding by the block is decoding one by one, and what was read is written back to
//! the same bytes.
#![no_main]

use fisher_merge::{BadNumbers, Dtype, Error, LeBytes, Merge, Posterior, Real, Shell, Stored, Values};
use fisher_merge_fuzz::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let (dtype, skip, wide) = (bytes.dtype(), usize::from(bytes.byte() % 9), bytes.byte() % 2 == 0);
    let rest = bytes.0.get(skip..).unwrap_or_default();
    match LeBytes::new(dtype, rest) {
        Err(Error::RaggedBytes { dtype: named, found }) => {
            assert!(named == dtype && found == rest.len() && found % dtype.bytes() != 0);
        }
        Err(other) => panic!("{other}"),
        Ok(view) if wide || dtype == Dtype::F64 => round_trip::<f64>(view),
        Ok(view) => round_trip::<f32>(view),
    }
});

fn round_trip<R: Real>(view: LeBytes<&[u8]>) {
    let (count, dtype) = (view.count(), view.dtype());
    assert_eq!(<LeBytes<&[u8]> as Values<R>>::at(&view, count), None);
    for shell in Shell::available() {
        let one = [Posterior::isotropic(view).power(R::ONE)];
        let merge = Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell);
        let (mut numbers, mut back) = (vec![R::ZERO; count], vec![0; count * dtype.bytes()]);
        let _ = merge.run(&one, &mut numbers[..]).unwrap();
        let _ = merge.run(&one, LeBytes::new(dtype, &mut back[..]).unwrap()).unwrap();
        for (index, &number) in numbers.iter().enumerate() {
            let single: R = view.at(index).unwrap();
            assert!(single.as_f64().to_bits() == number.as_f64().to_bits() || single.is_nan() && number.is_nan());
            let width = dtype.bytes() * index..dtype.bytes() * (index + 1);
            // A NaN may come back as another.
            assert!(single.is_nan() || back[width.clone()] == view.into_inner()[width]);
        }
    }
}
