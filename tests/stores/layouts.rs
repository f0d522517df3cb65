//! Strided views read and write what an index would, and no layout makes them panic (promise 11).

use fisher_merge::{
    AnySlice, AnySliceMut, Bf16Bits, Error, F16Bits, Model, ParameterSource, ParameterTarget, StoreMerge, Strided, StridedMut,
    StridedTensor, StridedTensorMut, Tensor, TensorMut, Tensors, TensorsMut, Values,
};
use proptest::prelude::*;

/// A transposed and a reversed matrix merge as their row-major copies do.
#[test]
fn promise_08_strides_do_not_show_in_the_bits() {
    let numbers: Vec<f32> = (0..24).map(|index| (index * 7 % 24) as f32 / 3.0).collect();
    let shape = [4, 6];
    let row_major: Vec<f32> = (0..4).flat_map(|i| (0..6).map(move |j| (i, j))).map(|(i, j)| numbers[j * 4 + (3 - i)]).collect();
    let (mean, fisher) = ([StridedTensor::new("w", &shape, &[-1, 4], 3, &numbers[..]).unwrap()], &numbers);
    let (copied, fisher) = ([Tensor::new("w", &shape, &row_major[..]).unwrap()], [Tensor::new("w", &shape, &fisher[..]).unwrap()]);
    let (mut expected, mut merged) = (vec![0.0_f32; 24], vec![0.0_f32; 24]);
    let fisher = Tensors(&fisher);
    let (copied, strided) = (Tensors(&copied), Strided(&mean));
    let driver = StoreMerge::<f64>::new();
    let mut out = [TensorMut::new("w", &shape, &mut expected[..]).unwrap()];
    let plain = [Model::diagonal(&copied, &fisher, 0.5), Model::diagonal(&fisher, &copied, 0.5)];
    let _ = driver.run(&plain, &mut TensorsMut(&mut out), &mut [0.0; 25]).unwrap();
    let mut out = [StridedTensorMut::new("w", &shape, &[-1, 4], 3, &mut merged[..]).unwrap()];
    let by_strides = [Model::diagonal(&strided, &fisher, 0.5), Model::diagonal(&fisher, &strided, 0.5)];
    let _ = driver.run(&by_strides, &mut StridedMut(&mut out), &mut [0.0; 25]).unwrap();
    for i in 0..4 {
        for j in 0..6 {
            assert_eq!(merged[j * 4 + (3 - i)].to_bits(), expected[i * 6 + j].to_bits());
        }
    }
}

#[test]
fn strides_that_share_a_place_are_not_written() {
    let mut numbers = [0.0_f64; 8];
    let mut made = |shape: &[usize], strides: &[isize]| StridedTensorMut::new("w", shape, strides, 0, &mut numbers[..]).map(|_| ());
    assert_eq!(made(&[2, 3], &[0, 1]), Err(Error::Overlap));
    assert_eq!(made(&[2, 3], &[2, 1]), Err(Error::Overlap));
    assert_eq!(made(&[2, 2], &[1, 1]), Err(Error::Overlap));
    assert_eq!(made(&[2, 3], &[3, 1]), Ok(()));
    assert_eq!(made(&[3, 2], &[1, 4]), Ok(()));
    assert_eq!(made(&[1, 3], &[0, 2]), Ok(()));
}

fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..=4_usize, 1 => Just(usize::MAX), 1 => Just(1 << 40)]
}

fn stride() -> impl Strategy<Value = isize> {
    prop_oneof![8 => -5..=5_isize, 1 => Just(isize::MAX), 1 => Just(isize::MIN)]
}

proptest! {
    /// A view is refused, or every element lies where the formula says, whatever the tile.
    #[test]
    fn promise_11_any_layout_is_refused_or_right(
        dims in proptest::collection::vec((extent(), stride()), 0..4),
        start in prop_oneof![0..40_usize, Just(usize::MAX)],
        (offset, count) in (0..70_usize, 0..70_usize),
    ) {
        let (shape, strides): (Vec<usize>, Vec<isize>) = dims.into_iter().unzip();
        let numbers: Vec<f64> = (0..40).map(f64::from).collect();
        let Ok(tensor) = StridedTensor::new("w", &shape, &strides, start, &numbers[..]) else { return Ok(()) };
        let total: usize = shape.iter().product();
        let mut tile = vec![-1.0; count];
        let read = Strided(&[tensor]).read(0, offset, &mut tile);
        if offset + count <= total {
            prop_assert!(read.is_ok());
            for (k, &value) in tile.iter().enumerate() {
                let (mut index, mut place) = (offset + k, start as isize);
                for (&extent, &stride) in shape.iter().zip(&strides).rev() {
                    place += (index % extent) as isize * stride;
                    index /= extent;
                }
                prop_assert_eq!(value, numbers[place as usize]);
            }
        } else if count > 0 {
            prop_assert!(read.is_err() || shape.is_empty() || total == 0);
        }
        let mut copy = numbers.clone();
        if let Ok(tensor) = StridedTensorMut::new("w", &shape, &strides, start, &mut copy[..]) {
            let mut tensors = [tensor];
            let mut store = StridedMut(&mut tensors);
            if offset + count <= total {
                store.write(0, offset, &tile).unwrap();
                prop_assert_eq!(&copy, &numbers);
            }
        }
    }

    /// Ranges of slices of any type are all there or refused; what is written is read again.
    #[test]
    fn promise_11_any_range_is_refused_or_right(at in any::<usize>(), near in 0..12_usize, n in 0..600_usize, small in any::<bool>()) {
        let at = if small { near } else { at };
        let mut halves = vec![0_u16; 300];
        let mut doubles = vec![0.0_f64; 300];
        let tile: Vec<f32> = (0..n).map(|index| index as f32).collect();
        let fits = at.checked_add(n).is_some_and(|end| end <= 300);
        for (mut target, exact) in [(AnySliceMut::from(&mut doubles[..]), 600), (AnySliceMut::from(F16Bits(&mut halves.clone()[..])), 600), (AnySliceMut::from(Bf16Bits(&mut halves[..])), 256)] {
            prop_assert_eq!(target.write(at, &tile).is_some(), fits);
            let source: AnySlice<'_> = target.as_any();
            prop_assert_eq!(source.range(at, n).is_some(), fits);
            let mut back = vec![-1.0_f32; n];
            prop_assert_eq!(source.read(at, &mut back).is_some(), fits);
            if fits {
                prop_assert!(back.iter().zip(&tile).take(exact).all(|(back, &value)| *back == value));
                prop_assert_eq!(source.at(at + n), (at + n < 300).then_some(0.0_f64));
            }
        }
    }
}
