//! What is refused: numbers that are no precisions, with nothing written, and bytes that no Fisher was coded to.

use fisher_merge::{CompactFisher, Defect, Error, FisherFault, Posterior, Role, Values};

use crate::{Random, decoded, encoded};

#[test]
fn bad_numbers_are_named_and_nothing_is_written() {
    let bad = [
        (f32::NAN, Defect::Nan),
        (-f32::NAN, Defect::Nan),
        (f32::INFINITY, Defect::Infinite),
        (f32::NEG_INFINITY, Defect::Infinite),
        (-1.0, Defect::Negative),
        (-f32::from_bits(1), Defect::Negative),
    ];
    for (value, defect) in bad {
        for index in [0, 1, 255, 256, 299] {
            let mut values = vec![1.0_f32; 300];
            values[299] = -3.0;
            values[index] = value;
            let mut bytes = vec![0xa5; CompactFisher::encoded_len(300)];
            let expected = Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index, defect });
            assert_eq!(CompactFisher::encode_into(&values[..], &mut bytes), expected);
            let wide: Vec<f64> = values.iter().copied().map(f64::from).collect();
            assert_eq!(CompactFisher::encode_into(&wide[..], &mut bytes), expected);
            assert!(bytes.iter().all(|&byte| byte == 0xa5));
        }
    }
    // −0 is no evidence, as 0 is.
    let (bytes, count) = encoded(&[-0.0_f32, 0.0][..]);
    assert_eq!((count.zeros, decoded::<f32>(&bytes, 2)[0].to_bits()), (2, 0));
}

#[test]
fn room_for_exactly_all() {
    for length in [0, 1, 256, 257] {
        let values = vec![1.0; length];
        let expected = CompactFisher::encoded_len(length);
        for found in [0, expected.saturating_sub(1), expected + 1, 2 * expected + 5] {
            if found == expected {
                continue;
            }
            let fault = Error::Fisher(FisherFault::Length { expected, found });
            let mut bytes = vec![0xa5; found];
            assert_eq!(CompactFisher::encode_into(&values[..], &mut bytes), Err(fault));
            assert!(bytes.iter().all(|&byte| byte == 0xa5));
            assert_eq!(CompactFisher::new(&bytes, length).unwrap_err(), fault, "looked at before the scales");
        }
    }
    assert!(CompactFisher::new(&[], 0).is_ok());
    for length in [usize::MAX, usize::MAX - 1, usize::MAX / 258 * 256] {
        assert!(CompactFisher::new(&[0x80, 0x3f, 255], length).is_err());
    }
    assert_eq!(CompactFisher::encoded_len(usize::MAX), usize::MAX);
    let (bytes, _) = encoded(&[1.0_f32; 3][..]);
    let compact = CompactFisher::new(&bytes, 3).unwrap();
    assert!(matches!(Posterior::<_, _, f32>::diagonal(&[1.0_f32; 2][..], compact), Err(Error::Length { expected: 2, found: 3, .. })));
}

/// All 65,536 patterns in the place of a scale: positive normal numbers of three fraction bits, and no others.
#[test]
fn scales_are_what_encoding_writes() {
    for found in 0..=u16::MAX {
        let value = f32::from_bits(u32::from(found) << 16);
        let sound = value.is_sign_positive() && value.is_normal() && found.trailing_zeros() >= 4;
        let mut bytes = vec![0; CompactFisher::encoded_len(513)];
        for block in 0..3 {
            bytes[258 * block..][..2].copy_from_slice(&[0x80, 0x3f]);
        }
        bytes[258 * 2..][..2].copy_from_slice(&found.to_le_bytes());
        match CompactFisher::new(&bytes, 513) {
            Ok(_) => assert!(sound, "{found:#x}"),
            Err(error) => {
                assert!(!sound, "{found:#x}");
                assert_eq!((error, error.code()), (Error::Fisher(FisherFault::Scale { block: 2, found }), 50));
            }
        }
    }
    let blank = CompactFisher::new(&[0xff; 3], 1).unwrap_err().to_string();
    assert_eq!(blank, "block 0 of a compact Fisher has the scale 0xffff, expected a normal number of three fraction bits");
}

/// Bytes of any kind are refused or are numbers.
#[test]
fn hostile_bytes_do_not_panic() {
    let mut random = Random(4);
    let mut taken = 0;
    for _ in 0..20_000 {
        let length = random.below(600);
        let mut bytes: Vec<u8> = (0..CompactFisher::encoded_len(length)).map(|_| random.bits() as u8).collect();
        for scale in bytes.chunks_mut(258) {
            scale[0] &= 0xf0;
            scale[1] &= 0x7f;
        }
        let cut = if random.below(8) == 0 { random.below(bytes.len() + 1) } else { bytes.len() };
        if let Ok(view) = CompactFisher::new(&bytes[..cut], length) {
            taken += 1;
            let index = random.below(length.max(1));
            let _: Option<f64> = view.at(index);
            assert!(decoded::<f32>(&bytes, length).iter().all(|value| *value == 0.0 || value.is_normal() && *value > 0.0));
        }
    }
    assert!(taken > 1000);
}
