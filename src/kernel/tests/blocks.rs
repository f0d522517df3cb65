//! Blocks: what one odd element among ordinary ones does to a report, and what is counted.

use alloc::vec;
use alloc::vec::Vec;

use super::{alloc, same, scaled};
use crate::kernel::coefficient::{Coefficient, Magnitude, Reach};
use crate::kernel::fused::{
    Part, Tally, absorb_part, absorb_part_dense, all_finite, is_dense, pair, pair_dense, pair_precisions, start_dense, without_evidence,
};
use crate::kernel::range::{overflows, saturate_precisions};
use crate::kernel::step::absorb;
use crate::kernel::stream::{Block, Counts, absorb_block, first_refusal, remove_block, take_target};
use crate::scalar::isa::Portable;
use crate::scalar::{Dtype, Real};

const N: usize = 5;

/// A model's block of ordinary numbers.
struct Model<R> {
    weight: R,
    floor: R,
    fisher: Vec<R>,
    mean: Vec<R>,
}

impl<R: Real> Model<R> {
    fn ordinary(seed: f64) -> Self {
        let numbers = |start: f64, step: f64| {
            (0..N)
                .scan(start, |x, _| {
                    *x += step;
                    Some(R::from_f64(*x))
                })
                .collect()
        };
        Self { weight: R::from_f64(0.3 + seed), floor: R::ZERO, fisher: numbers(0.4 * seed, 0.7), mean: numbers(-1.3, 0.9 + seed) }
    }

    fn reach(&self) -> Reach<R> {
        Coefficient::new(self.weight, Magnitude::ONE).reach()
    }

    fn part(&self) -> Part<'_, R> {
        let Reach { value: coefficient, least, greatest, .. } = self.reach();
        Part { coefficient, least, greatest, floor: self.floor, fisher: &self.fisher, mean: &self.mean }
    }

    fn block(&self) -> Block<'_, R> {
        Block { coefficient: self.reach(), floor: self.floor, fisher: &self.fisher, mean: &self.mean }
    }
}

/// What the body for two models and the body for any number report, each model's report on its own.
fn reports<R: Real>(a: &Model<R>, b: &Model<R>) -> [Tally; 2] {
    let mut out = vec![R::nan(); N];
    let both = pair(a.part(), b.part(), &mut out);
    let (mut precision, mut mean) = (vec![R::ZERO; N], a.mean.clone());
    let (first, second) = (absorb_part(a.part(), &mut precision, &mut mean), absorb_part(b.part(), &mut precision, &mut mean));
    let tally = Tally {
        irregular: first.irregular || second.irregular,
        no_evidence: without_evidence(&precision),
        floored: first.floored + second.floored,
    };
    if !both.irregular {
        assert_eq!(out, mean);
    }
    [both, tally]
}

/// Ordinary blocks are regular; one odd number, wherever it stands and whosever it is, makes a block irregular. So does a negative entry
/// that a floor hides.
#[test]
fn one_odd_number_makes_a_block_irregular() {
    fn run<R: Real>() {
        let [one, tiny] = [R::ONE, R::MIN_NORMAL];
        let fishers = [R::nan(), R::infinity(), -one, -tiny, R::TINIEST, R::TOP * R::from_f64(4.0)];
        for floor in [R::ZERO, one] {
            for whose in 0..2 {
                for at in [0, 2, N - 1] {
                    let models = |change: &dyn Fn(&mut Model<R>)| {
                        let mut models = [Model::ordinary(0.1), Model::ordinary(0.2)];
                        models[whose].floor = floor;
                        change(&mut models[whose]);
                        reports(&models[0], &models[1]).map(|tally| tally.irregular)
                    };
                    assert_eq!(models(&|_| ()), [false; 2]);
                    for odd in fishers {
                        // A floor is there to raise what is too low.
                        let raised = odd > R::ZERO && odd < floor;
                        assert_eq!(models(&|model| model.fisher[at] = odd), [!raised; 2], "{odd} at {at} above {floor}");
                    }
                    for odd in [R::nan(), R::infinity(), -R::infinity()] {
                        assert_eq!(models(&|model| model.mean[at] = odd), [true; 2], "mean {odd} at {at}");
                    }
                    assert_eq!(models(&|model| model.mean[at] = R::MAX), [false; 2], "the largest mean is one like any other");
                    assert_eq!(models(&|model| model.floor = R::TOP * R::from_f64(8.0)), [true; 2], "a floor out of range");
                }
            }
        }
    }
    run::<f32>();
    run::<f64>();
}

/// The ends of the regular range belong to it, their neighbours outside do not.
#[test]
fn the_ends_of_the_regular_range() {
    fn run<R: Real>() {
        let step = R::ONE + R::epsilon();
        let cases = [(R::MIN_NORMAL, false), (R::MIN_NORMAL - R::TINIEST, true), (R::TOP, false), (R::TOP * step, true), (R::ZERO, false)];
        for (fisher, irregular) in cases {
            let mut models = [Model::ordinary(0.1), Model::ordinary(0.2)];
            for model in &mut models {
                (model.weight, model.fisher[3]) = (R::ONE, fisher);
            }
            // Alone, so that no sum leaves the range.
            models[1].fisher[3] = R::ZERO;
            assert_eq!(reports(&models[0], &models[1]).map(|tally| tally.irregular), [irregular; 2], "{fisher}");
            assert_eq!(reports(&models[1], &models[0]).map(|tally| tally.irregular), [irregular; 2], "{fisher}");
        }
    }
    run::<f32>();
    run::<f64>();
}

/// Elements without evidence and entries below their floor are counted one by one; an entry that is its floor is not below it.
#[test]
fn reports_count() {
    fn run<R: Real>() {
        let number = R::from_f64;
        let mut models = [Model::ordinary(0.1), Model::ordinary(0.2)];
        (models[0].fisher, models[1].fisher) =
            ([0.0, 1.0, 0.0, 2.0, 0.0].map(number).to_vec(), [0.0, 0.5, 3.0, 2.0, 0.0].map(number).to_vec());
        for tally in reports(&models[0], &models[1]) {
            assert_eq!((tally.irregular, tally.no_evidence, tally.floored), (false, 2, 0));
        }
        models[0].floor = R::ONE;
        for tally in reports(&models[0], &models[1]) {
            assert_eq!((tally.irregular, tally.no_evidence, tally.floored), (false, 0, 3));
        }
        models[1].floor = number(2.0);
        for tally in reports(&models[0], &models[1]) {
            assert_eq!((tally.irregular, tally.no_evidence, tally.floored), (false, 0, 6));
        }
        assert_eq!((without_evidence(&[R::ZERO, R::ONE, -R::ZERO]), without_evidence::<R>(&[])), (2, 0));
        assert!(all_finite(&[R::ONE, R::MAX]) && !all_finite(&[R::ONE, R::infinity()]) && !all_finite(&[R::nan(), R::ONE]));
    }
    run::<f32>();
    run::<f64>();
}

/// A block too short for the means that are asked for is reported, not half merged.
#[test]
fn short_blocks_are_irregular() {
    let (a, b) = (Model::<f64>::ordinary(0.1), Model::ordinary(0.2));
    let mut out = [0.0; N + 1];
    assert!(pair(a.part(), b.part(), &mut out).irregular);
    let mut precision = [0.0; N + 1];
    assert!(absorb_part(a.part(), &mut precision, &mut out).irregular);
    assert_eq!(out, [0.0; N + 1]);
}

/// A block is dense if it has no floor and every entry lies between its coefficient's ends. A dense block has the bits of any block.
#[test]
fn dense_blocks_are_found_and_are_the_same() {
    fn run<R: Real>() {
        let [mut a, b, c] = [0.1, 0.2, 0.5].map(Model::<R>::ordinary);
        assert!([&a, &b, &c].iter().all(|model| is_dense(&model.part())));
        let (mut precision, mut mean) = (vec![R::nan(); N], vec![R::nan(); N]);
        start_dense(a.part(), &mut precision, &mut mean);
        absorb_part_dense(b.part(), &mut precision, &mut mean);
        let mut out = vec![R::nan(); N];
        pair_dense::<Portable, R, R::Native, R::Native, R::Native>(a.part(), b.part(), &mut out);
        let mut both = vec![R::nan(); N];
        pair_precisions(a.part(), b.part(), &mut both);
        assert_eq!((&out, &both), (&mean, &precision));
        absorb_part_dense(c.part(), &mut precision, &mut mean);
        let (mut state, mut state_mean) = (vec![R::ZERO; N], a.mean.clone());
        for model in [&a, &b, &c] {
            let _ = absorb_part(model.part(), &mut state, &mut state_mean);
        }
        assert_eq!((state, state_mean), (precision, mean));
        for odd in [R::ZERO, -R::ZERO, -R::ONE, R::nan(), R::infinity(), R::TINIEST, R::MAX] {
            a.fisher[N - 1] = odd;
            assert!(!is_dense(&a.part()), "{odd}");
        }
        a.fisher[N - 1] = R::ONE;
        a.floor = R::TINIEST;
        assert!(!is_dense(&a.part()), "a floor is not the dense bodies' affair");
    }
    run::<f32>();
    run::<f64>();
}

/// The precision of a pair takes the floors along.
#[test]
fn precisions_of_a_pair_are_floored() {
    let (mut a, mut b) = (Model::<f64>::ordinary(0.1), Model::ordinary(0.2));
    (a.weight, a.floor, a.fisher[0]) = (2.0, 1.0, 0.25);
    (b.weight, b.floor, b.fisher[0]) = (4.0, 0.5, 0.75);
    (a.fisher[1], b.fisher[1]) = (1.5, 0.25);
    let mut out = [f64::NAN; N];
    pair_precisions(a.part(), b.part(), &mut out);
    assert_eq!(out[..2], [2.0 + 3.0, 3.0 + 2.0]);
    // No sum starts at −0.
    (a.weight, b.weight) = (0.0, 0.0);
    (a.fisher[0], b.fisher[0], a.floor, b.floor) = (-0.0, -0.0, 0.0, 0.0);
    pair_precisions(a.part(), b.part(), &mut out);
    assert_eq!(out[0].to_bits(), 0);
}

/// Absorbs a block of one element into a state of one.
fn streamed<R: Real>(state: (R, R), weight: R, floor: R, (fisher, mean): (R, R), idle: R) -> ((R, R), (u64, u64)) {
    let coefficient = Coefficient::new(weight, Magnitude::ONE).reach();
    let (mut precision, mut state_mean) = ([state.0], [state.1]);
    let block = Block { coefficient, floor, fisher: &[fisher], mean: &[mean] };
    let Counts { floored, out_of_range } = absorb_block(block, idle, &mut precision, &mut state_mean);
    ((precision[0], state_mean[0]), (floored, out_of_range))
}

/// What a running product counts at one element, and that it saturates there.
#[test]
fn running_blocks_count_and_saturate() {
    fn run<R: Real>() {
        let (zero, one, tiny, number) = (R::ZERO, R::ONE, R::MIN_NORMAL, R::from_f64);
        let counts = |state: R, weight: R, floor: R, fisher: R| streamed((state, one), weight, floor, (fisher, number(3.0)), zero);
        // In range, at both of its ends.
        assert_eq!(counts(one, one, zero, one), ((number(2.0), number(2.0)), (0, 0)));
        assert_eq!(counts(zero, one, zero, tiny), ((tiny, number(3.0)), (0, 0)));
        assert_eq!(counts(zero, one, zero, R::MAX), ((R::MAX, number(3.0)), (0, 0)));
        assert_eq!(counts(one, one, zero, zero), ((one, one), (0, 0)));
        // Below and above it, by the entry, the product and the sum.
        assert_eq!(counts(zero, one, zero, R::TINIEST), ((R::TINIEST, number(3.0)), (0, 1)));
        assert_eq!(counts(zero, number(1e-3), zero, R::TINIEST), ((R::TINIEST, number(3.0)), (0, 1)));
        assert_eq!(counts(zero, number(8.0), zero, R::MAX), ((R::MAX, number(3.0)), (0, 1)));
        assert_eq!(counts(R::MAX, one, zero, R::MAX), ((R::MAX, number(3.0)), (0, 1)));
        assert_eq!(counts(one, number(8.0), zero, R::MAX), ((R::MAX, number(3.0)), (0, 1)));
        let large = R::MAX * number(0.25);
        assert_eq!(counts(large, one, zero, large), ((large + large, number(2.0)), (0, 0)));
        // A coefficient that has lost digits counts, but not where there is nothing to multiply.
        assert_eq!(counts(zero, R::TINIEST, zero, number(1e30)).1, (0, 1));
        assert_eq!(counts(one, R::TINIEST, zero, zero), ((one, one), (0, 0)));
        // Floors: below, at, and under what is no number.
        assert_eq!(counts(one, one, one, number(0.5)), ((number(2.0), number(2.0)), (1, 0)));
        assert_eq!(counts(one, one, one, zero), ((number(2.0), number(2.0)), (1, 0)));
        assert_eq!(counts(one, one, one, one), ((number(2.0), number(2.0)), (0, 0)));
        for odd in [R::nan(), R::infinity(), -one, -R::TINIEST] {
            for floor in [zero, one] {
                let ((precision, mean), counted) = counts(one, one, floor, odd);
                assert!(precision.is_nan() && mean.is_nan() && counted == (0, 0), "{odd} above {floor}");
            }
        }
    }
    run::<f32>();
    run::<f64>();
}

/// Without evidence an element moves by its share, and by nothing else: not where it has evidence, gets some, or is to stay.
#[test]
fn idle_elements_move_by_their_share() {
    let idle = |state: f64, fisher: f64, share: f64| streamed((state, 1.0), 1.0, 0.0, (fisher, 3.0), share).0;
    assert_eq!((idle(0.0, 0.0, 0.25), idle(0.0, 0.0, 0.0)), ((0.0, 1.5), (0.0, 1.0)));
    assert!(same(streamed((0.0, -0.0), 1.0, 0.0, (0.0, 3.0), 0.0).0.1, -0.0));
    assert_eq!((idle(2.0, 0.0, 0.25), idle(0.0, 2.0, 0.25), idle(2.0, 2.0, 0.25)), ((2.0, 1.0), (2.0, 3.0), (4.0, 2.0)));
}

/// Every element of a running block has the recurrence's own numbers; short blocks are left alone.
#[test]
fn running_blocks_are_the_recurrence() {
    let model = Model::<f64>::ordinary(0.1);
    let (mut precision, mut mean) = ([0.5, 0.0, 2.0, 0.25, 1.0], [4.0, -1.0, 2.5, 0.125, 0.0]);
    let expected: Vec<(f64, f64)> = (0..N).map(|i| absorb(precision[i], mean[i], model.weight * model.fisher[i], model.mean[i])).collect();
    let counts = absorb_block(model.block(), 0.0, &mut precision, &mut mean);
    assert_eq!((counts.floored, counts.out_of_range), (0, 0));
    assert_eq!(precision.into_iter().zip(mean).collect::<Vec<_>>(), expected);
    let (mut long, mut means) = ([1.0; N + 1], [7.0; N + 1]);
    let _ = absorb_block(model.block(), 0.0, &mut long, &mut means);
    assert_eq!((long, means), ([1.0; N + 1], [7.0; N + 1]));
    let (mut state, target) = ([1.0, 2.0, 3.0], [7.0, 8.0, 9.0]);
    take_target(&target, &[0.0, 1.0, -0.0], &mut state);
    assert_eq!(state, [7.0, 2.0, 9.0]);
}

/// Removal finds the first element that cannot be, and leaves such ones alone.
#[test]
fn removal_finds_the_first_refusal() {
    let (mut precision, mut mean) = ([3.0, 2.0, 1.0, 1.0], [2.0; 4]);
    let (fisher, other) = ([1.0, 1.0, 1.0, 2.0], [2.0; 4]);
    assert_eq!(first_refusal(1.0, &fisher, &other, &precision, &mean), Some(2));
    assert_eq!(first_refusal(0.5, &fisher, &other, &precision, &mean), Some(3));
    assert_eq!(first_refusal(0.25, &fisher, &other, &precision, &mean), None);
    remove_block(1.0, &fisher, &other, &mut precision, &mut mean);
    assert_eq!((precision, mean), ([2.0, 1.0, 1.0, 1.0], [2.0; 4]));
}

/// What becomes infinite in a narrower type is counted one by one: from half a step above its largest number on, of either sign, but not
/// what is infinite already. Precisions saturate instead, and at the lower end from half its least number on.
#[test]
fn narrow_types_count_what_they_lose() {
    for (storage, exponent, digits, tiniest) in [(Dtype::F16, 15, 11, -24), (Dtype::Bf16, 127, 8, -133), (Dtype::F32, 127, 24, -149)] {
        let limit = scaled::<f64>(2.0 - scaled::<f64>(1.0, -digits), exponent);
        let largest = scaled::<f64>(2.0 - scaled::<f64>(1.0, 1 - digits), exponent);
        let (tiniest, half, below) = (scaled::<f64>(1.0, tiniest), scaled::<f64>(0.5, tiniest), limit.next_down());
        for (values, lost) in [
            (&[limit][..], 1),
            (&[-limit], 1),
            (&[below, -below, largest, 0.0], 0),
            (&[f64::INFINITY, f64::NAN, -f64::INFINITY], 0),
            (&[limit, 1.0, -limit, f64::MAX], 3),
        ] {
            assert_eq!(overflows(values, storage), lost, "{values:?} in {storage}");
        }
        let mut precisions = [0.0, half, half.next_up(), tiniest, 1.0, below, limit, f64::MAX];
        assert_eq!(saturate_precisions(&mut precisions, storage), 3);
        assert_eq!(precisions, [0.0, tiniest, half.next_up(), tiniest, 1.0, below, largest, largest]);
        for (value, counted) in [(half, 1), (limit, 1), (0.0, 0), (below, 0)] {
            assert_eq!(saturate_precisions(&mut [value], storage), counted, "{value} in {storage}");
        }
    }
}
