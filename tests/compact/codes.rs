//! The code itself, over all scales, all codes and the numbers between them.

use fisher_merge::{CompactFisher, Dtype, F16Bits, LeBytes, Merge, Posterior, Real, Shell, Values};

use crate::grid::{Coded, Grid};
use crate::{Random, beside, decoded, encoded};

/// Steps of all scales: `2^-126` to `1.875·2^127`.
const SCALES: core::ops::RangeInclusive<u16> = 8..=2039;

/// A block of all 256 codes.
fn all_codes(step: u16) -> Vec<u8> {
    (step << 4).to_le_bytes().into_iter().chain(0..=255).collect()
}

/// What they stand for, by the definition: the step's number, and the steps below it.
fn numbers(grid: &Grid, step: u16) -> Vec<f64> {
    let number = |code: usize| grid.numbers[(usize::from(step) + code).saturating_sub(255).max(grid.least)];
    (0..256).map(|code| if code == 0 { 0.0 } else { number(code) }).collect()
}

#[test]
fn every_code_of_every_scale_is_its_number_and_comes_back() {
    let grid = Grid::new(3);
    for step in SCALES {
        let bytes = all_codes(step);
        let expected = numbers(&grid, step);
        let found: Vec<f64> = decoded(&bytes, 256);
        let narrow: Vec<f32> = decoded(&bytes, 256);
        assert_eq!(found, expected, "step {step}");
        for (index, (&wide, &narrow)) in found.iter().zip(&narrow).enumerate() {
            assert_eq!(wide.to_bits(), f64::from(narrow).to_bits(), "no rounding, no subnormal number, no −0");
            assert_eq!((wide == 0.0, wide >= 0.0 && narrow.is_finite()), (index == 0, true));
            assert!(index == 0 || narrow.is_normal());
        }
        let (again, count) = encoded(&found[..]);
        assert_eq!((count.elements, count.zeros, count.below, count.above), (256, 1, 0, 0));
        assert_eq!(decoded::<f64>(&again, 256), expected);
        assert_eq!(encoded(&narrow[..]), (again.clone(), count));
        // Where no two codes stand for the same number.
        assert_eq!(again == bytes, step >= 8 + 254, "step {step}");
    }
}

/// Both neighbours, the midpoint and the numbers beside it in `f32` and in `f64`, for every pair of codes of every scale.
#[test]
fn rounding_is_to_nearest_even_everywhere() {
    let grid = Grid::new(3);
    for step in SCALES {
        let top = grid.numbers[usize::from(step)];
        let lowest = usize::from(step).saturating_sub(256);
        let middles: Vec<f64> = (lowest..usize::from(step)).map(|place| (grid.numbers[place] + grid.numbers[place + 1]) / 2.0).collect();
        for nudge in [-1_i64, 0, 1] {
            #[allow(clippy::cast_possible_truncation, reason = "a midpoint is a number of f32, and so is one beside it")]
            let narrow = |middle: f64| f32::from_bits((middle as f32).to_bits().wrapping_add_signed(nudge as i32));
            // In blocks that begin with the top.
            for part in middles.chunks(255) {
                let wide: Vec<f64> = core::iter::once(top).chain(part.iter().map(|&middle| beside(middle, nudge))).collect();
                let narrow: Vec<f32> = core::iter::once(top as f32).chain(part.iter().map(|&middle| narrow(middle))).collect();
                agrees(&grid, &wide);
                agrees(&grid, &narrow);
            }
        }
    }
}

/// Encodes and decodes as the definition does; gives what that says.
fn agrees<T: Real>(grid: &Grid, values: &[T]) -> Coded {
    let expected = grid.code(&values.iter().map(|value| value.as_f64()).collect::<Vec<f64>>(), 256);
    let (bytes, count) = encoded(values);
    let found: Vec<f64> = decoded(&bytes, values.len());
    assert_eq!((count.elements, count.zeros), (values.len() as u64, expected.zeros));
    assert_eq!((count.below, count.above), (expected.below, expected.above));
    assert!(found.iter().zip(&expected.numbers).all(|(a, b)| a.to_bits() == b.to_bits()), "{values:?}");
    expected
}

/// The promises by themselves: every entry that is in range, or not counted, is within 1/17; zero alone becomes zero.
fn keeps_its_promises<T: Real>(values: &[T], found: &[f64], outside: u64) {
    let mut missed = 0;
    for (values, found) in values.chunks(256).zip(found.chunks(256)) {
        let top = values.iter().map(|value| value.as_f64()).fold(0.0, f64::max);
        for (value, &found) in values.iter().map(|value| value.as_f64()).zip(found) {
            assert_eq!(value == 0.0, found == 0.0, "{value:e}");
            // One rounding of the product.
            let within = (found - value).abs() * 17.0 <= value * (1.0 + f64::EPSILON);
            let in_range = value >= top * 2_f64.powi(-31) && (2_f64.powi(-126)..=1.875 * 2_f64.powi(127)).contains(&value);
            assert!(within || !in_range, "{value:e} became {found:e} below {top:e}");
            missed += u64::from(!within);
        }
    }
    assert!(missed <= outside, "{missed} entries are further off, {outside} counted");
}

fn random_blocks<T: Real>(seed: u64) {
    let (grid, mut random) = (Grid::new(3), Random(seed));
    for round in 0..3000_u64 {
        let length = random.below(600);
        let (centre, spread) = (random.below(300) as i32 - 150, [1, 20, 33, 80, 300][random.below(5)]);
        let values: Vec<T> = (0..length)
            .map(|_| match random.below(12) {
                0 => T::ZERO,
                1 => -T::ZERO,
                2 => T::TINIEST,
                3 if round % 7 == 0 => T::MAX,
                _ => {
                    // A significand of few bits half of the time: midpoints and their like.
                    let fraction = random.bits() >> 12 & if random.below(2) == 0 { 0xf_8000_0000_0000 } else { u64::MAX };
                    let exponent = centre + random.below(spread) as i32 - spread as i32 / 2;
                    let value = T::from_f64(f64::from_bits(0x3ff << 52 | fraction)).times_power_of_two(exponent);
                    if value.is_finite() { value } else { T::ONE }
                }
            })
            .collect();
        let (bytes, count) = encoded(&values[..]);
        let found: Vec<f64> = decoded(&bytes, length);
        let expected = grid.code(&values.iter().map(|value| value.as_f64()).collect::<Vec<f64>>(), 256);
        assert_eq!(found, expected.numbers);
        assert_eq!((count.zeros, count.below, count.above), (expected.zeros, expected.below, expected.above));
        keeps_its_promises(&values, &found, count.below + count.above);
    }
}

#[test]
fn random_and_adversarial_numbers_keep_the_promises() {
    random_blocks::<f32>(1);
    random_blocks::<f64>(2);
}

/// Largest entries at the ends of the range, with everything else far below or beside them.
#[test]
fn the_ends_of_the_range() {
    let grid = Grid::new(3);
    let tiniest = f32::from_bits(1);
    let coded = agrees(&grid, &[tiniest, f32::MIN_POSITIVE, 0.0, f32::MIN_POSITIVE / 2.0]);
    assert_eq!((coded.below, coded.zeros), (2, 1), "subnormal numbers become the least normal one");
    let coded = agrees(&grid, &[tiniest; 3]);
    assert_eq!((coded.below, coded.numbers), (3, vec![f64::from(f32::MIN_POSITIVE); 3]));
    let coded = agrees(&grid, &[f32::MAX, tiniest]);
    assert_eq!((coded.above, coded.below, coded.numbers), (1, 1, vec![1.875 * 2_f64.powi(127), grid.numbers[2039 - 254]]));
    // Half a step above the greatest is a tie, to the even step, which is not there.
    let half = 1.9375 * 2_f64.powi(127);
    assert_eq!(agrees(&grid, &[half, beside(half, -1)]).above, 1);
    let coded = agrees(&grid, &[f64::MAX, f64::from_bits(1), beside(2_f64.powi(-126), -1), 0.0]);
    assert_eq!((coded.above, coded.below, coded.zeros), (1, 2, 1));
    assert!(coded.numbers[..3].iter().all(|&number| number > 0.0));
    // 31 octaves and six steps below the largest is the last code, half a step less is not.
    let last = grid.numbers[1000 - 254];
    let middle = (last + grid.numbers[1000 - 255]) / 2.0;
    assert_eq!(agrees(&grid, &[grid.numbers[1000], last, beside(middle, 1)]).below, 0);
    assert_eq!(agrees(&grid, &[grid.numbers[1000], beside(middle, -1)]).below, 1);
}

/// Blocks that are short, full, and begun; read by the number, by the tile and by the merge's block, at every alignment, in every shell.
#[test]
fn lengths_and_ways_to_read() {
    let mut random = Random(3);
    for length in [0, 1, 2, 255, 256, 257, 511, 512, 513, 1300] {
        let values: Vec<f32> = (0..length).map(|index| if index % 9 == 4 { 0.0 } else { random.bits() as f32 * 1e-19 }).collect();
        let (bytes, _) = encoded(&values[..]);
        assert_eq!((bytes.len(), CompactFisher::encoded_len(length)), (length + 2 * length.div_ceil(256), bytes.len()));
        let expected = Grid::new(3).code(&values.iter().copied().map(f64::from).collect::<Vec<f64>>(), 256).numbers;
        for offset in 0..3 {
            let shifted: Vec<u8> = core::iter::repeat_n(0xff, offset).chain(bytes.iter().copied()).collect();
            let view = CompactFisher::new(&shifted[offset..], length).unwrap();
            assert_eq!(view.into_inner(), &bytes[..]);
            assert_eq!((0..length).map(|index| view.at(index).unwrap()).collect::<Vec<f64>>(), expected);
            // The last one's place in memory would wrap around to the first block.
            for beyond in [length, usize::MAX, (usize::MAX / 258 + 1) * 256] {
                assert_eq!(Values::<f32>::at(&view, beyond), None);
            }
            for at in (0..length).step_by(37) {
                let mut tile = vec![f64::NAN; (length - at).min(300)];
                assert_eq!(view.read(at, &mut tile), Some(()));
                assert_eq!(tile, expected[at..at + tile.len()]);
            }
            let mut beyond = [7.0_f64];
            assert_eq!((view.read(length, &mut beyond), view.read(usize::MAX, &mut beyond), beyond), (None, None, [7.0]));
            assert_eq!(view.read::<f32>(length, &mut []), Some(()));
            precisions_are(view, &expected);
        }
    }
}

/// A merge of one model gives its precision back, in every shell.
fn precisions_are(view: CompactFisher<'_>, expected: &[f64]) {
    let means = vec![1.0_f32; expected.len()];
    for shell in Shell::available() {
        let one = [Posterior::diagonal(&means[..], view).unwrap().power(1.0_f32)];
        let (mut merged, mut precision) = (vec![0.0_f32; means.len()], vec![0.0_f32; means.len()]);
        let merge = Merge::new().shell(shell);
        let _ = merge.run_with_precision(&one, &mut merged[..], &mut precision[..]).unwrap();
        assert_eq!(precision.into_iter().map(f64::from).collect::<Vec<f64>>(), expected);
    }
}

/// Any storage type is coded as the numbers it holds.
#[test]
fn narrow_storage_is_coded_too() {
    let grid = Grid::new(3);
    let patterns: Vec<u16> = (0..0x7c00).collect();
    let numbers: Vec<f64> = patterns.iter().enumerate().map(|(index, _)| F16Bits(&patterns[..]).at(index).unwrap()).collect();
    let mut bytes = vec![0; CompactFisher::encoded_len(patterns.len())];
    let count = CompactFisher::encode_into(F16Bits(&patterns[..]), &mut bytes).unwrap();
    assert_eq!((count.below, count.above), (0, 0));
    assert_eq!(decoded::<f64>(&bytes, patterns.len()), grid.code(&numbers, 256).numbers);
    // What was coded is a source as well: coded again, it is the same.
    let mut again = vec![0; bytes.len()];
    let view = CompactFisher::new(&bytes, patterns.len()).unwrap();
    let _ = CompactFisher::encode_into(view, &mut again).unwrap();
    assert_eq!(decoded::<f64>(&again, patterns.len()), decoded::<f64>(&bytes, patterns.len()));
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let _ = CompactFisher::encode_into(LeBytes::new(Dtype::F64, &raw[..]).unwrap(), &mut again).unwrap();
    assert_eq!(again, bytes);
}
