//! Whole-model sums: one order for any split, units that follow the largest entry, and what is passed over.

use alloc::vec;
use alloc::vec::Vec;

use super::{alloc, scaled};
use crate::kernel::Shell;
use crate::kernel::sums::FisherStatistics;
use crate::view::BLOCK;

fn of(parts: &[&[f64]]) -> FisherStatistics {
    let mut statistics = FisherStatistics::new();
    parts.iter().for_each(|&part| statistics.observe_in(part, Shell::BASELINE));
    statistics
}

fn mean(parts: &[&[f64]]) -> f64 {
    of(parts).mean().unwrap().as_f64()
}

/// Entries go to lanes by their place among all of them. Here that place alone decides the last digit: what is too little to be kept
/// beside the half step in the first lane is kept in the others.
#[test]
fn lanes_go_by_position_not_by_call() {
    let mut entries = [0.0; 32];
    (entries[0], entries[8]) = (1.0, scaled(1.0, -53));
    for place in 1..8 {
        (entries[8 + place], entries[16 + place]) = (scaled(1.0, -106), scaled(1.0, -106));
    }
    let all = mean(&[&entries]) * 32.0;
    assert_eq!(all, 1.0 + f64::EPSILON);
    for cut in 0..32 {
        let (front, back) = entries.split_at(cut);
        assert_eq!(mean(&[front, back]) * 32.0, all, "cut at {cut}");
    }
    let one_by_one: Vec<&[f64]> = entries.chunks(1).collect();
    assert_eq!(mean(&one_by_one) * 32.0, all);
    // In the first lane they are lost, which shows that the last digit is decided by place.
    let mut first_lane = [0.0; 32];
    (first_lane[0], first_lane[8], first_lane[16], first_lane[24]) = (1.0, scaled(1.0, -53), scaled(1.0, -106), scaled(1.0, -106));
    assert_eq!(mean(&[&first_lane]) * 32.0, 1.0);
}

/// The squares have the same lanes.
#[test]
fn lanes_of_squares_go_by_position() {
    let mut entries = [0.0; 64];
    (entries[0], entries[8], entries[16], entries[24]) = (1.0, 1.0, 1.0, scaled(1.0, -26));
    for place in 1..8 {
        for row in [32, 40, 48, 56] {
            entries[row + place] = scaled(1.0, -53);
        }
    }
    let norm = |parts: &[&[f64]]| of(parts).l2().unwrap().as_f64();
    let all = norm(&[&entries]);
    assert_eq!(all, libm::sqrt(3.0 + 2.0 * f64::EPSILON));
    assert_ne!(all, libm::sqrt(3.0));
    for cut in 0..64 {
        let (front, back) = entries.split_at(cut);
        assert_eq!(norm(&[front, back]), all, "cut at {cut}");
    }
}

/// Blocks end where the next ones begin: every entry counts once, at lengths on and beside their ends.
#[test]
fn every_entry_counts_once() {
    for count in [1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 3, 5 * BLOCK - 1] {
        #[allow(clippy::cast_precision_loss, reason = "small integers")]
        let entries: Vec<f64> = (1..=count).map(|place| place as f64).collect();
        let statistics = of(&[&entries]);
        let n = entries.len() as u64;
        let sum = n * (n + 1) / 2;
        let squares = sum * (2 * n + 1) / 3;
        assert_eq!(statistics.count(), n);
        #[allow(clippy::cast_precision_loss, reason = "small integers")]
        let expected = (sum as f64 / n as f64, (squares as f64).sqrt());
        assert_eq!((statistics.mean().unwrap().as_f64(), statistics.l2().unwrap().as_f64()), expected, "{count} entries");
    }
}

/// A sum goes over to a larger unit when an entry asks for it, before and after in any order, and neither end of the range is lost.
#[test]
fn units_follow_the_largest_entry() {
    for exponent in [-1074, -1022, -900, -769, -768, -767, -300, -257, -256, -255, -1, 0, 255, 256, 257, 511, 512, 767, 768, 1000, 1020] {
        let unit = scaled::<f64>(1.0, exponent);
        let single = of(&[&[unit]]);
        assert_eq!((single.mean().unwrap().as_f64(), single.l2().unwrap().as_f64()), (unit, unit), "2^{exponent}");
        if exponent > -1072 {
            let four = of(&[&[unit, unit], &[unit], &[unit]]);
            assert_eq!((four.mean().unwrap().as_f64(), four.l2().unwrap().as_f64()), (unit, 2.0 * unit), "2^{exponent}");
        }
        // Entries that differ by some octaves, on both sides of where units change, small ones first and last.
        if (-1000..=900).contains(&exponent) {
            let (small, large) = (scaled::<f64>(1.0, exponent), scaled::<f64>(1.0, exponent + 20));
            let expected = (small + large) / 2.0;
            assert_eq!(
                (mean(&[&[small], &[large]]), mean(&[&[large], &[small]]), mean(&[&[small, large]])),
                (expected, expected, expected)
            );
            let norms = [[small, large], [large, small]].map(|[x, y]| of(&[&[x], &[y]]).l2().unwrap().as_f64());
            let expected = libm::sqrt(1.0 + scaled::<f64>(1.0, -40)) * large;
            assert_eq!(norms, [expected; 2], "2^{exponent}");
        }
    }
}

/// What is no precision is passed over, and without an entry above zero there is nothing to divide by.
#[test]
fn odd_entries_are_passed_over() {
    let odd = [f64::NAN, f64::INFINITY, -f64::INFINITY, -3.0, 0.0, -0.0];
    assert!(of(&[&odd]).mean().is_none() && of(&[&odd]).l2().is_none() && of(&[]).mean().is_none());
    assert_eq!(of(&[&odd]).count(), 6);
    let with = [f64::NAN, 3.0, f64::INFINITY, -7.0, 4.0, 0.0, -f64::INFINITY, -f64::MAX];
    assert_eq!((of(&[&with]).l2().unwrap().as_f64(), mean(&[&with])), (5.0, 7.0 / 8.0));
    // Zeros ask for no unit of their own.
    let tiny = scaled::<f64>(1.0, -1000);
    assert_eq!(of(&[&[0.0], &[tiny]]).l2().unwrap().as_f64(), tiny);
    // Entries among many: another lane's rest, block after block.
    let many = vec![0.1; 4 * BLOCK];
    assert_eq!(mean(&[&many]), 0.1);
}
