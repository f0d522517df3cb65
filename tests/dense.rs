//! Two models whose Fisher entries are all above zero have bodies of their own, block by block, until a block is of another kind. A third model
//! that knows nothing keeps a merge off them and changes nothing: both ways must come to the same bits and counts, in every storage.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use fisher_merge::{BadNumbers, Bf16Bits, Dtype, F16Bits, Factor, Job, LeBytes, Merge, Posterior, Real, Summary, Values, ValuesMut};

/// One number among ordinary ones.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Fisher(f32),
    Mean(f32),
}

/// Two models of `n` numbers, behind `start` others, one of them odd in one of the models.
#[derive(Clone, Copy, Debug)]
struct Case {
    n: usize,
    start: usize,
    weights: [f64; 2],
    odd: Option<(usize, usize, Odd)>,
}

impl Case {
    /// Painted inputs: periods are prime and differ, so that a block read from the wrong place shows.
    fn model(self, model: usize) -> [Vec<f32>; 2] {
        let all = 0..self.start + self.n;
        let mut mean: Vec<f32> = all.clone().map(|i| ((i * 7 + model * 31) % 101) as f32 - 50.3).collect();
        let mut fisher: Vec<f32> = all.map(|i| ((i + 5 * model) % 97 + 1) as f32 / 32.0).collect();
        match self.odd {
            Some((at, whose, Odd::Fisher(value))) if whose == model => fisher[self.start + at] = value,
            Some((at, whose, Odd::Mean(value))) if whose == model => mean[self.start + at] = value,
            _ => {}
        }
        [mean, fisher]
    }
}

/// Places on and beside the edges of blocks, odd numbers of every kind in turn.
fn cases() -> impl Iterator<Item = Case> {
    let odd = [0.0, 1e-42, -0.75, f32::INFINITY, f32::NAN].map(Odd::Fisher).into_iter().chain([f32::INFINITY, 3e38].map(Odd::Mean));
    let mut odd = odd.cycle();
    let lengths = [0_usize, 1, 2, 33, 255, 256, 257, 513, 770, 5000];
    lengths.into_iter().flat_map(move |n| {
        let places = [0, 31, 254, 255, 256, 511, 512, 4100, n.saturating_sub(1)].into_iter().filter(move |&at| at < n).map(Some);
        let mut cases = Vec::new();
        for (number, at) in places.chain([None]).enumerate() {
            // Ordinary ones, and those with which λF leaves the range of the arithmetic, or of a storage, at one of its ends.
            for weights in [[0.3, 0.7], [1e-38, 3e-37], [0.5, 1e36], [1e-12, 2e-11], [1e12, 3e-4]] {
                cases.push(Case { n, start: [0, 1, 3][number % 3], weights, odd: at.map(|at| (at, number % 2, odd.next().unwrap())) });
            }
        }
        cases
    })
}

/// The pattern of a number.
trait Pattern: Copy {
    fn pattern(self) -> u64;
}
macro_rules! pattern {
    ($($number:ty, |$x:ident| $bits:expr;)*) => {$(
        impl Pattern for $number {
            fn pattern(self) -> u64 {
                let $x = self;
                u64::from($bits)
            }
        }
    )*};
}
pattern! { f32, |x| x.to_bits(); f64, |x| x.to_bits(); u16, |x| x; u8, |x| x; }

fn patterns<T: Pattern>(values: &[T]) -> Vec<u64> {
    values.iter().map(|value| value.pattern()).collect()
}

/// Both ways, and without the precision: the outputs are means, precisions, means alone, and again means and precisions of three models.
fn merged<R: Real, V: Values<R> + Copy, O: ValuesMut<R>>(
    models: [[V; 2]; 2],
    nothing: V,
    weights: [f64; 2],
    [mean, precision, alone, three_mean, three_precision]: [O; 5],
) -> [Summary; 3] {
    let [a, b] = models.map(|[mean, fisher]| Posterior::diagonal(mean, fisher).unwrap());
    let [a, b] = [a.power(R::from_f64(weights[0])), b.power(R::from_f64(weights[1]))];
    let third = Posterior::diagonal(nothing, nothing).unwrap().power(R::ONE);
    let merge = Merge::new().bad_numbers(BadNumbers::Propagate);
    [
        merge.run_with_precision(&[a, b], mean, precision).unwrap(),
        merge.run(&[a, b], alone).unwrap(),
        merge.run_with_precision(&[a, b, third], three_mean, three_precision).unwrap(),
    ]
}

fn slice<T>(numbers: T) -> T {
    numbers
}

/// Inputs and outputs of these element types, lent by these views.
macro_rules! both_ways {
    ($arithmetic:ty, $input:ty, $lend:path, $output:ty, $out:path, $case:expr) => {{
        let case: Case = $case;
        let store = |numbers: &[f32]| {
            let mut stored = vec![<$input>::default(); numbers.len()];
            let mut view = $lend(&mut stored[..]);
            numbers.iter().enumerate().for_each(|(i, &number)| view.put(i, <$arithmetic as Real>::from_f32(number)));
            stored
        };
        let models = [0, 1].map(|model| case.model(model).map(|numbers| store(&numbers)));
        let nothing = store(&vec![0.0; case.start + case.n]);
        let mut outputs = [(); 5].map(|()| vec![<$output>::default(); case.start + case.n]);
        let lent = [&models[0], &models[1]].map(|[mean, fisher]| [$lend(&mean[case.start..]), $lend(&fisher[case.start..])]);
        let out = outputs.each_mut().map(|out| $out(&mut out[case.start..]));
        let [both, alone, three] = merged::<$arithmetic, _, _>(lent, $lend(&nothing[case.start..]), case.weights, out);
        let [mean, precision, mean_alone, three_mean, three_precision] = outputs.each_ref().map(|out| patterns(out));
        assert!(mean == three_mean && precision == three_precision && both == three, "{case:?}: {both:?}, {three:?}");
        // A precision that leaves the range is not missed where none is asked for.
        let mut expected = both;
        expected.out_of_range = alone.out_of_range;
        assert!(mean == mean_alone && expected == alone, "{case:?}: {both:?}, {alone:?}");
    }};
}

#[test]
fn a_model_without_evidence_changes_no_bit() {
    for case in cases() {
        both_ways!(f32, f32, slice, f32, slice, case);
        both_ways!(f64, f64, slice, f64, slice, case);
        both_ways!(f64, f32, slice, f32, slice, case);
        both_ways!(f32, u16, Bf16Bits, u16, Bf16Bits, case);
        both_ways!(f32, u16, F16Bits, u16, F16Bits, case);
        both_ways!(f32, u16, F16Bits, f32, slice, case);
        both_ways!(f32, u16, Bf16Bits, f32, slice, case);
        both_ways!(f32, f32, slice, u16, F16Bits, case);
        both_ways!(f64, f32, slice, u16, Bf16Bits, case);
    }
}

/// Outputs so large that they go past the caches.
#[test]
fn nor_in_a_streamed_output() {
    let case = |n: usize, odd| Case { n, start: 3, weights: [0.3, 0.7], odd };
    let zero = Some(((1 << 19) + 5, 1, Odd::Fisher(0.0)));
    both_ways!(f32, f32, slice, f32, slice, case((1 << 20) + 77, zero));
    both_ways!(f32, u16, Bf16Bits, u16, Bf16Bits, case((1 << 21) + 77, None));
    both_ways!(f32, u16, F16Bits, u16, F16Bits, case((1 << 21) + 77, zero));
    both_ways!(f32, f32, slice, u16, F16Bits, case((1 << 21) + 77, Some((7, 0, Odd::Mean(3e38)))));
}

/// Bytes at any address have no patterns to lend; a tensor's one precision has none either.
#[test]
fn nor_where_nothing_can_be_lent() {
    for case in cases().filter(|case| case.n > 0) {
        let [[mean, fisher], [other_mean, other]] = [0, 1]
            .map(|model| case.model(model).map(|numbers| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()));
        let (from, zeros) = (4 * case.start, vec![0; 4 * (case.start + case.n)]);
        let view = |bytes| LeBytes::new(Dtype::F32, bytes).unwrap();
        let mut outputs = [(); 5].map(|()| vec![0_u8; 4 * (case.start + case.n)]);
        let lent = [[view(&mean[from..]), view(&fisher[from..])], [view(&other_mean[from..]), view(&other[from..])]];
        let out = outputs.each_mut().map(|out| LeBytes::new(Dtype::F32, &mut out[from..]).unwrap());
        let [both, _, three] = merged::<f32, _, _>(lent, view(&zeros[from..]), case.weights, out);
        assert!(outputs[0] == outputs[3] && outputs[1] == outputs[4] && outputs[0] == outputs[2] && both == three, "{case:?}");
    }
    let means: [Vec<f32>; 2] = [0, 1].map(|model| Case { n: 600, start: 0, weights: [1.0; 2], odd: None }.model(model)[0].clone());
    let [a, b] = [(&means[0][..], 0.75), (&means[1][..], 2.5)].map(|(mean, precision)| Posterior::scaled(mean, precision).power(0.5));
    let nothing = Posterior::scaled(&means[1][..], 0.0).power(1.0);
    let (mut out, mut three) = ((vec![0.0_f32; 600], vec![0.0_f32; 600]), (vec![0.0_f32; 600], vec![0.0_f32; 600]));
    let _ = Merge::new().run_with_precision(&[a, b], &mut out.0[..], &mut out.1[..]).unwrap();
    let _ = Merge::new().run_with_precision(&[a, b, nothing], &mut three.0[..], &mut three.1[..]).unwrap();
    assert_eq!(out, three);
}

/// Several weights over one pair of models, with precisions and without, in one read and one by one: the same bits and counts.
macro_rules! weights_of_one_pair {
    ($arithmetic:ty, $input:ty, $lend:path, $output:ty, $out:path, $case:expr) => {{
        let case: Case = $case;
        let models = [0, 1].map(|model| {
            case.model(model).map(|numbers| {
                let mut stored = vec![<$input>::default(); case.n];
                let mut view = $lend(&mut stored[..]);
                (0..case.n).for_each(|i| view.put(i, <$arithmetic as Real>::from_f32(numbers[i])));
                stored
            })
        });
        let [a, b] = [&models[0], &models[1]].map(|[mean, fisher]| Posterior::diagonal($lend(&mean[..]), $lend(&fisher[..])).unwrap());
        let [one, other] = case.weights;
        let pairs = [[0.4, 0.6], [one, other], [other, one], [0.9, other], [one, 0.2]]
            .map(|[one, other]| [a.power(<$arithmetic>::from_f64(one)), b.power(<$arithmetic>::from_f64(other))]);
        let room = || pairs.each_ref().map(|_| [(); 2].map(|()| vec![<$output>::default(); case.n]));
        let (mut together, mut alone, merge) = (room(), room(), Merge::new().bad_numbers(BadNumbers::Propagate));
        let mut jobs: Vec<_> = together
            .iter_mut()
            .zip(&pairs)
            .enumerate()
            .map(|(number, ([mean, precision], pair))| match number % 2 {
                0 => Job::new(pair, $out(&mut mean[..])),
                _ => Job::with_precision(pair, $out(&mut mean[..]), $out(&mut precision[..])),
            })
            .collect();
        merge.run_all(&mut jobs).unwrap();
        let summaries: Vec<Summary> = jobs.iter().map(|job| job.summary).collect();
        for (number, ([mean, precision], pair)) in alone.iter_mut().zip(&pairs).enumerate() {
            let summary = match number % 2 {
                0 => merge.run(pair, $out(&mut mean[..])),
                _ => merge.run_with_precision(pair, $out(&mut mean[..]), $out(&mut precision[..])),
            };
            assert_eq!(summary.unwrap(), summaries[number], "job {number} of {case:?}");
            assert!(
                [mean, precision].map(|of| patterns(of)) == together[number].each_ref().map(|of| patterns(of)),
                "job {number} of {case:?}"
            );
        }
    }};
}

#[test]
fn weights_of_one_pair_are_merges_of_their_own() {
    for case in cases().map(|case| Case { start: 0, ..case }) {
        weights_of_one_pair!(f32, f32, slice, f32, slice, case);
        weights_of_one_pair!(f64, f64, slice, f64, slice, case);
        weights_of_one_pair!(f64, f32, slice, f32, slice, case);
        weights_of_one_pair!(f32, u16, Bf16Bits, u16, Bf16Bits, case);
        weights_of_one_pair!(f32, u16, F16Bits, u16, F16Bits, case);
        weights_of_one_pair!(f32, u16, F16Bits, f32, slice, case);
        weights_of_one_pair!(f32, f32, slice, u16, F16Bits, case);
    }
    let long = |n: usize, odd| Case { n, start: 0, weights: [0.3, 1.7], odd };
    weights_of_one_pair!(f32, f32, slice, f32, slice, long((1 << 20) + 77, Some(((1 << 19) + 5, 1, Odd::Fisher(0.0)))));
    weights_of_one_pair!(f32, u16, F16Bits, u16, F16Bits, long((1 << 21) + 77, Some((7, 0, Odd::Mean(3e38)))));
}

/// Two factors of one tensor.
type Pair<'a> = [Factor<&'a [f32], &'a [f32], f32>; 2];

/// Merges of any lengths in one pass, dense and not, are those merges one by one.
#[test]
fn jobs_of_any_lengths_are_merges_of_their_own() {
    let case = |n, odd| Case { n, start: 0, weights: [0.3, 0.7], odd };
    let zero = |at| Some((at, 0, Odd::Fisher(0.0)));
    for cases in [
        [case(0, None), case(700, None), case(3, None), case(257, None)],
        [case(5000, None), case(256, zero(255)), case(0, None), case(4700, zero(4400))],
        [case(1, zero(0)), case(900, zero(300)), case(5000, zero(0)), case(4000, None)],
        [case(300, None), case(300, None), case(700, zero(650)), case(299, None)],
    ] {
        for start in 0..3 {
            let models = cases.map(|case| [0, 1].map(|model| case.model(model)));
            let factors: Vec<Pair<'_>> = models
                .iter()
                .map(|models| [0, 1].map(|i| Posterior::diagonal(&models[i][0][..], &models[i][1][..]).unwrap().power([0.3, 1.3][i])))
                .collect();
            let room = || cases.map(|case| (vec![f32::NAN; case.n + start], vec![f32::NAN; case.n]));
            let (mut together, mut alone) = (room(), room());
            let mut jobs: Vec<_> = together
                .iter_mut()
                .zip(&factors)
                .map(|((mean, precision), factors)| Job::with_precision(factors, &mut mean[start..], &mut precision[..]))
                .collect();
            Merge::new().run_all(&mut jobs).unwrap();
            let summaries: Vec<Summary> = jobs.iter().map(|job| job.summary).collect();
            for (number, ((mean, precision), factors)) in alone.iter_mut().zip(&factors).enumerate() {
                let summary = Merge::new().run_with_precision(factors, &mut mean[start..], &mut precision[..]).unwrap();
                assert_eq!(summary, summaries[number]);
                let (found, pair) = (&together[number], (patterns(mean), patterns(precision)));
                assert!((patterns(&found.0), patterns(&found.1)) == pair, "job {number} of {cases:?}");
            }
        }
    }
}
