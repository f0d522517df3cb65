//! Unit tests: which blocks take which way. The bits are the same on all of them, so this shows in nothing but the time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics is a test that fails")]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use super::super::dense::Common;
use super::{Active, BLOCK, Dense, Job, Place, TURN, is_candidate};
use crate::gaussian::{Factor, Posterior};
use crate::kernel::Shell;
use crate::scalar::{Dtype, Real};
use crate::view::{Bf16Bits, F16Bits, LeBytes, Values, ValuesMut};

const N: usize = 3 * BLOCK + 5;

/// Where the dense bodies stop in tensors of these lengths: the end, or the block's start and number, and the job.
fn stops<V: Values<R> + Copy, R: Real, O: ValuesMut<R>>(
    jobs: &mut [Job<'_, V, V, R, O>],
    lead: usize,
    shell: Shell,
) -> Option<(usize, usize, usize)> {
    let end = jobs.iter().map(|job| job.mean.count()).max().unwrap();
    let place = shell.run(Dense { from: Place::first(jobs.len(), lead, end), jobs });
    (!place.is_end()).then_some((place.at, place.block, place.job))
}

/// A dense tensor is one stretch, from its first number to its last, in every storage, with a precision or without.
#[test]
fn a_dense_tensor_is_one_stretch() {
    fn run<V: Values<R> + Copy, R: Real, O: ValuesMut<R>>(ones: V, out: impl Fn() -> [O; 2]) {
        let pair = [0.3, 0.7].map(|weight| Posterior::diagonal(ones, ones).unwrap().power(R::from_f64(weight)));
        assert!(is_candidate(&Active::of(&pair), out()[0].dtype()));
        for shell in Shell::available() {
            for lead in [0, 7, 3] {
                let [mean, precision] = out();
                assert_eq!(stops(&mut [Job::new(&pair, mean)], lead, shell), None);
                let [mean, other] = out();
                assert_eq!(stops(&mut [Job::with_precision(&pair, mean, precision), Job::new(&pair, other)], lead, shell), None);
            }
        }
    }
    let leak = |numbers: Vec<u16>| -> &'static mut [u16] { numbers.leak() };
    let (singles, doubles) = (vec![1.0_f32; N], vec![1.0_f64; N]);
    run::<_, f32, _>(&singles[..], || [0, 1].map(|_| vec![0.0_f32; N].leak()));
    run::<_, f64, _>(&doubles[..], || [0, 1].map(|_| vec![0.0_f64; N].leak()));
    run::<_, f64, _>(&singles[..], || [0, 1].map(|_| vec![0.0_f32; N].leak()));
    let (halves, brains) = (vec![0x3c00_u16; N], vec![0x3f80_u16; N]);
    run::<_, f32, _>(F16Bits(&halves[..]), || [0, 1].map(|_| F16Bits(leak(vec![0; N]))));
    run::<_, f32, _>(Bf16Bits(&brains[..]), || [0, 1].map(|_| Bf16Bits(leak(vec![0; N]))));
    let bytes: Vec<u8> = singles.iter().flat_map(|one| one.to_le_bytes()).collect();
    run::<_, f32, _>(LeBytes::new(Dtype::F32, &bytes[..]).unwrap(), || [0, 1].map(|_| vec![0.0_f32; N].leak()));
}

/// A block with a zero, or with a mean that is not finite, ends the stretch, in the job that has it.
#[test]
fn a_block_of_another_kind_ends_the_stretch() {
    let ones = vec![1.0_f32; N];
    for (at, ends) in [(0, 0), (BLOCK - 1, 0), (BLOCK, 1), (2 * BLOCK + 9, 2), (N - 1, 3)] {
        for (spoilt, value) in [(0, 0.0), (1, f32::INFINITY), (1, f32::NAN), (0, 1e-42), (0, -1.0)] {
            let mut numbers = [ones.clone(), ones.clone()];
            numbers[spoilt][at] = value;
            let [fisher, mean] = &numbers;
            let good = [0.5_f32; 2].map(|weight| Posterior::diagonal(&ones[..], &ones[..]).unwrap().power(weight));
            let bad = [good[0], Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(0.5)];
            let mut outs = [(); 3].map(|()| vec![0.0_f32; N]);
            let [first, second, third] = &mut outs;
            let mut jobs = [Job::new(&good, &mut first[..]), Job::new(&bad, &mut second[..]), Job::new(&good, &mut third[..])];
            assert_eq!(stops(&mut jobs, 0, Shell::detect()), Some((ends * BLOCK, ends, 1)), "{value} at {at}");
        }
    }
}

/// The dense bodies are not for one model or three, a floor, a coefficient out of range, or an output that can overflow.
#[test]
fn what_may_be_dense() {
    let ones = [1.0_f32; 2];
    let factor = |weight: f32| Posterior::diagonal(&ones[..], &ones[..]).unwrap().power(weight);
    let may = |factors: &[Factor<&[f32], &[f32], f32>], storage| is_candidate(&Active::of(factors), storage);
    let (a, none) = (factor(0.5), factor(0.0));
    let floored = a.with_scale(f32::MIN_POSITIVE, a.norm());
    assert!(may(&[a, a], Dtype::F32) && may(&[a, none, a], Dtype::F32));
    for factors in [&[a][..], &[a, none], &[a, a, a], &[a, floored], &[floored, a], &[a, factor(1e-42)], &[factor(1e-42), a]] {
        assert!(!may(factors, Dtype::F32));
    }
    assert!(!may(&[a, a], Dtype::F16) && !may(&[a, a], Dtype::Bf16));
    let halves = [0x3c00_u16; 2];
    let narrow = Posterior::diagonal(F16Bits(&halves[..]), F16Bits(&halves[..])).unwrap().power(0.5_f32);
    assert!(is_candidate(&Active::of(&[narrow, narrow]), Dtype::F16) && !is_candidate(&Active::of(&[narrow, narrow]), Dtype::Bf16));
}

/// What several jobs read is looked at once, for the least range of them all, and only if they all read the same.
#[test]
fn jobs_over_the_same_inputs_have_one_look() {
    let (ones, others) = (vec![1.0_f32; N], vec![1.0_f32; N]);
    type Pair<'a> = [Factor<&'a [f32], &'a [f32], f32>; 2];
    fn pair<'a>(mean: &'a [f32], fisher: &'a [f32], weights: [f32; 2]) -> Pair<'a> {
        weights.map(|weight| Posterior::diagonal(mean, fisher).unwrap().power(weight))
    }
    fn known(pairs: &[Pair<'_>], turn: (usize, usize)) -> Option<bool> {
        let mut outs = [[0.0_f32; 1]; 3];
        let jobs: Vec<Job<'_, _, _, f32, &mut [f32]>> =
            pairs.iter().zip(&mut outs).map(|(pair, out)| Job::new(pair, &mut out[..])).collect();
        Common::of(&jobs).map(|common| common.is_dense(turn))
    }
    let (good, other) = (pair(&ones[..], &ones[..], [0.3, 0.7]), pair(&ones[..], &ones[..], [0.9, 1.1]));
    assert_eq!(known(&[], (0, N)), None);
    assert_eq!(known(&[good], (0, N)), None);
    assert_eq!(known(&[good, other], (0, N)), Some(true));
    for different in
        [pair(&others[..], &ones[..], [0.3, 0.7]), pair(&ones[..], &others[..], [0.3, 0.7]), pair(&ones[1..], &ones[1..], [0.3, 0.7])]
    {
        assert_eq!(known(&[good, different], (0, N)), None);
        assert_eq!(known(&[good, other, [good[0], different[1]]], (0, N)), None);
    }
    // Ranges of one job alone, at either end, of either factor.
    for (weights, spoilt) in [([4e-38, 1.0], 0.125), ([1.0, 4e-38], 0.125), ([2e29, 1.0], 16.0), ([1.0, 2e29], 16.0)] {
        let mut fishers = ones.clone();
        fishers[2 * BLOCK + 1] = spoilt;
        let (plain, narrow) = (pair(&ones[..], &fishers[..], [1.0, 1.0]), pair(&ones[..], &fishers[..], weights));
        for jobs in [[plain, narrow], [narrow, plain]] {
            let (at, n) = (2 * BLOCK, BLOCK);
            assert_eq!(known(&jobs, (at, n)), Some(false), "{weights:?}");
            assert_eq!(known(&jobs, (0, N)), Some(false), "{weights:?}");
            assert_eq!((known(&jobs, (0, at)), known(&jobs, (at + n, 5))), (Some(true), Some(true)), "{weights:?}");
        }
        assert_eq!(known(&[plain, plain], (0, N)), Some(true));
    }
    for bad in [f32::INFINITY, f32::NAN] {
        let mut means = ones.clone();
        means[N - 1] = bad;
        let jobs = [pair(&means[..], &ones[..], [1.0, 1.0]); 2];
        assert_eq!((known(&jobs, (0, N)), known(&jobs, (0, N - 1))), (Some(false), Some(true)));
    }
}

/// Jobs take turns of some blocks, each over its own tensor from its first number to its last; the first block alone is short. A sole job
/// has one turn.
#[test]
fn jobs_take_turns() {
    for (lead, first) in [(0, BLOCK), (7, 7)] {
        for counts in [&[43 * BLOCK + 3][..], &[43 * BLOCK + 3, 2, 17 * BLOCK, 0, 33 * BLOCK + 1]] {
            let end = counts.iter().copied().max().unwrap();
            let (mut place, mut seen, mut turns) = (Place::first(counts.len(), lead, end), vec![0; counts.len()], vec![]);
            while !place.is_end() {
                let Some(&count) = counts.get(place.job) else {
                    place = place.next_turn();
                    continue;
                };
                let (mut blocks, from, whole) = (0, seen[place.job], place.whole_turn(count));
                while let Some((at, n)) = place.within(count) {
                    assert_eq!(place.whole_turn(count), whole);
                    assert_eq!(at, seen[place.job]);
                    assert_eq!(n, if at == 0 { first } else { BLOCK }.min(count - at));
                    seen[place.job] += n;
                    blocks += 1;
                    place = place.next_block(n);
                }
                assert_eq!(whole, (from, seen[place.job] - from));
                turns.push((place.job, blocks));
                place = place.next_job();
            }
            assert_eq!(seen, counts);
            // The blocks of the longest, whose last one is there because of the short first one or because of the odd end.
            let longest: Vec<usize> = turns.iter().filter(|(job, _)| *job == 0).map(|&(_, blocks)| blocks).collect();
            let blocks = 1 + (counts[0] - first).div_ceil(BLOCK);
            let turn = if counts.len() == 1 { blocks } else { TURN };
            let expected: Vec<usize> = (0..blocks).step_by(turn).map(|from| turn.min(blocks - from)).collect();
            assert!(counts.len() == 1 || expected.len() == 3);
            assert_eq!(longest, expected);
            assert!(turns.iter().map(|&(job, _)| job).eq((0..counts.len()).cycle().take(turns.len())), "in their order");
        }
    }
}
