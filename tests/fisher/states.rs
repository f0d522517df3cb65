//! States: the same bits for any number of workers, parts that combine, and bytes that come back or say what is wrong with them.

use fisher_merge::{
    CombineFisher, DiagonalFisher, Dtype, Error, Estimator, ExactLabels, FISHER_HEADER, FisherAccumulator, FisherFault, FisherHeader,
    FisherSpec, Gradient, ObservedLabels, Real, SampledLabels,
};
use proptest::prelude::*;

use crate::Random;
use crate::common::generators::check;

const LENGTH: usize = 5;
const BLOCK: usize = 3;

/// Gradients over many magnitudes, so that another order of additions is other bits.
fn gradients(seed: u64, examples: usize) -> Vec<[f64; LENGTH]> {
    let mut random = Random(seed);
    (0..examples).map(|_| core::array::from_fn(|_| random.signed() * 10f64.powf(3.0 * random.signed()))).collect()
}

/// Every worker has a state of its own and the blocks whose slot is its; the states are added in the given order.
fn by_workers<R: Real>(gradients: &[[f64; LENGTH]], slots: u32, workers: usize, order: impl Fn(usize) -> usize) -> Vec<R> {
    let spec = FisherSpec::new(LENGTH).slots(slots).model(3);
    let mut states = vec![vec![R::ZERO; spec.state_len::<R>()]; workers];
    let mut header = None;
    for (worker, state) in states.iter_mut().enumerate() {
        let mut fisher = DiagonalFisher::<ObservedLabels, R>::observed_labels(spec, state).unwrap();
        for (block, examples) in gradients.chunks(BLOCK).enumerate().filter(|(block, _)| block % slots as usize % workers == worker) {
            fisher.begin_block(block as u64).unwrap();
            for example in examples {
                fisher.example(Gradient::new(&example.map(R::from_f64)[..])).unwrap();
            }
        }
        header = Some(fisher.header().unwrap());
    }
    // An all-reduce by sum.
    let mut all = vec![R::ZERO; spec.state_len::<R>()];
    for at in 0..workers {
        all.iter_mut().zip(&states[order(at)]).for_each(|(sum, &number)| *sum = *sum + number);
    }
    let fisher = DiagonalFisher::<ObservedLabels, R>::resume_sum(&header.unwrap(), &mut all).unwrap();
    let mut out = vec![R::ZERO; LENGTH];
    let record = fisher.finish_into(&mut out[..]).unwrap();
    assert_eq!((record.examples, record.weight), (gradients.len() as u64, gradients.len() as f64));
    out
}

#[test]
fn slots_give_the_same_bits_for_any_number_of_workers() {
    check(40, (any::<u64>(), 1_usize..80), |(seed, examples)| {
        let gradients = gradients(seed, examples);
        let (one, single) = (by_workers::<f64>(&gradients, 8, 1, |at| at), by_workers::<f32>(&gradients, 8, 1, |at| at));
        for workers in [2, 3, 4, 5, 8] {
            for order in [0, 1] {
                let turned = move |at: usize| if order == 0 { at } else { workers - 1 - at };
                prop_assert_eq!(&one, &by_workers::<f64>(&gradients, 8, workers, turned));
                prop_assert_eq!(&single, &by_workers::<f32>(&gradients, 8, workers, turned));
            }
        }
        Ok(())
    });
}

/// Without slots the bits would differ: the promise is not an empty one.
#[test]
fn one_slot_depends_on_the_order() {
    let differs = (0..20).any(|seed| {
        let gradients = gradients(seed, 60);
        let sums = |split: usize| {
            let mut parts = [[0.0; LENGTH + 4]; 2];
            for (part, state) in [&gradients[..split], &gradients[split..]].into_iter().zip(&mut parts) {
                let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(LENGTH), state).unwrap();
                part.iter().for_each(|example| fisher.example(Gradient::new(&example[..])).unwrap());
            }
            let [mut here, mut there] = parts;
            let header =
                DiagonalFisher::<ObservedLabels, f64>::resume_sum(&header(FisherSpec::new(LENGTH)), &mut there).unwrap().header().unwrap();
            let other = DiagonalFisher::<ObservedLabels, f64>::resume(&header, &mut there).unwrap();
            let mut all = DiagonalFisher::<ObservedLabels, f64>::resume_sum(&header, &mut here).unwrap();
            all.combine(&other).unwrap();
            let mut out = [0.0; LENGTH];
            assert_eq!(all.finish_into(&mut out[..]).unwrap().examples, 60);
            out
        };
        sums(60) != sums(17)
    });
    assert!(differs);
}

/// A header of an empty empirical state in `f64`.
fn header(spec: FisherSpec) -> FisherHeader {
    let mut state = vec![0.0_f64; spec.state_len::<f64>()];
    DiagonalFisher::observed_labels(spec, &mut state).unwrap().header().unwrap()
}

#[test]
fn parts_of_the_same_estimate_alone_combine() {
    let spec = FisherSpec::new(2).slots(2).model(1).unit(3);
    let fault = |other: FisherSpec| {
        let (mut here, mut there) = (vec![0.0; spec.state_len::<f64>()], vec![0.0; other.state_len::<f64>()]);
        let mut a = DiagonalFisher::<ObservedLabels, f64>::observed_labels(spec, &mut here).unwrap();
        let b = DiagonalFisher::<ObservedLabels, f64>::observed_labels(other, &mut there).unwrap();
        a.combine(&b).err()
    };
    let base = FisherSpec::new(2).slots(2).model(1).unit(3);
    assert_eq!(fault(base), None);
    assert_eq!(fault(base.slots(3)), Some(FisherFault::Slots { expected: 2, found: 3 }.into()));
    assert_eq!(fault(base.model(2)), Some(FisherFault::Model { expected: 1, found: 2 }.into()));
    assert_eq!(fault(base.unit(0)), Some(FisherFault::Unit { expected: 3, found: 0 }.into()));
    assert_eq!(fault(FisherSpec::new(3).slots(2).model(1).unit(3)), Some(FisherFault::Length { expected: 2, found: 3 }.into()));
    let (mut here, mut there) = ([0.0; 6], [0.0; 6]);
    let mut a = DiagonalFisher::sampled(2, FisherSpec::new(2), &mut here).unwrap();
    let b = DiagonalFisher::sampled(3, FisherSpec::new(2), &mut there).unwrap();
    let (expected, found) = (Estimator::MonteCarlo { draws: 2 }, Estimator::MonteCarlo { draws: 3 });
    assert_eq!(a.combine(&b).err(), Some(FisherFault::Estimator { expected, found }.into()));
    // An example that is not ended is in no state.
    a.draw(Gradient::new(&[1.0, 1.0][..])).unwrap();
    assert_eq!(a.combine(&b).err(), Some(FisherFault::OpenExample.into()));
    assert!(matches!(a.header(), Err(Error::Fisher(FisherFault::OpenExample))));
    assert!(matches!(a.finish_into(&mut [0.0; 2][..]), Err(Error::Fisher(FisherFault::OpenExample))));
    a.reset();
    assert!(a.header().is_ok());
}

/// What is written as little-endian bytes comes back, in both types, and goes on as if nothing had happened.
#[test]
fn states_go_through_bytes() {
    fn round<R: Real>() {
        let gradients = gradients(4, 30);
        let spec = FisherSpec::new(LENGTH).slots(3).model(0xfeed_beef).unit(-2);
        let (mut here, mut there) = (vec![R::ZERO; spec.state_len::<R>()], vec![R::ZERO; spec.state_len::<R>()]);
        let mut fisher = DiagonalFisher::<SampledLabels, R>::sampled(2, spec, &mut here).unwrap();
        let draw = |fisher: &mut DiagonalFisher<'_, SampledLabels, R>, examples: &[[f64; LENGTH]]| {
            for example in examples {
                for _ in 0..2 {
                    fisher.draw(Gradient::new(&example.map(R::from_f64)[..])).unwrap();
                }
                fisher.end_example().unwrap();
            }
        };
        fisher.begin_block(0).unwrap();
        draw(&mut fisher, &gradients[..10]);
        let mut bytes = vec![0; fisher.state().len() * R::DTYPE.bytes() + 1];
        let header = fisher.write_state(&mut bytes[1..]).unwrap();
        fisher.begin_block(1).unwrap();
        draw(&mut fisher, &gradients[10..]);
        let read = FisherHeader::from_bytes(&header.to_bytes()).unwrap();
        assert_eq!(read, header);
        let mut other = DiagonalFisher::<SampledLabels, R>::read_state(&read, &bytes[1..], &mut there).unwrap();
        other.begin_block(1).unwrap();
        draw(&mut other, &gradients[10..]);
        let (mut a, mut b) = ([R::ZERO; LENGTH], [R::ZERO; LENGTH]);
        assert_eq!(fisher.finish_into(&mut a[..]).unwrap(), other.finish_into(&mut b[..]).unwrap());
        assert_eq!(a, b);
    }
    round::<f32>();
    round::<f64>();
}

/// The layout, byte by byte: it is the same on every platform.
#[test]
fn the_header_is_as_documented() {
    let spec = FisherSpec::new(0x0102_0304).slots(8).unit(-3).model(0x1122_3344_5566_7788);
    let header = header_of(spec);
    let mut expected = Vec::new();
    expected.extend(b"FMFS");
    expected.extend([1, 0, 2, 3]);
    expected.extend([0; 4]);
    expected.extend([0xfd, 0xff, 0xff, 0xff]);
    expected.extend([8, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([4, 3, 2, 1, 0, 0, 0, 0]);
    expected.extend([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    expected.extend([0; 24]);
    assert_eq!(header[..], expected[..]);
}

/// Of an empirical Fisher in `f64`, without the memory of its state.
fn header_of(spec: FisherSpec) -> [u8; FISHER_HEADER] {
    let mut small = header(FisherSpec::new(1).slots(8));
    small.spec = spec;
    small.to_bytes()
}

#[test]
fn bad_headers_are_typed_errors() {
    let good = header_of(FisherSpec::new(2));
    let fault = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        match FisherHeader::from_bytes(&bytes) {
            Err(Error::Fisher(fault)) => Some(fault),
            Ok(_) => None,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(fault(&|_| ()), None);
    assert_eq!(fault(&|bytes| bytes.extend([1, 2, 3])), None, "what follows is the state");
    for length in 0..FISHER_HEADER {
        assert_eq!(fault(&|bytes| bytes.truncate(length)), Some(FisherFault::Truncated { expected: FISHER_HEADER, found: length }));
    }
    assert_eq!(fault(&|bytes| bytes[0] = b'X'), Some(FisherFault::Foreign));
    assert_eq!(fault(&|bytes| bytes[4] = 2), Some(FisherFault::Version { found: 2 }));
    assert_eq!(fault(&|bytes| bytes[6] = 3), Some(FisherFault::Element { found: 3 }));
    assert_eq!(fault(&|bytes| bytes[7] = 9), Some(FisherFault::Foreign));
    assert_eq!(fault(&|bytes| bytes[8] = 1), Some(FisherFault::Foreign), "draws of an empirical Fisher");
    assert_eq!(fault(&|bytes| bytes[21] = 1), Some(FisherFault::Foreign), "of a version that is not known");
    assert_eq!(fault(&|bytes| bytes[7] = 2), Some(FisherFault::Zero), "no draws");
    assert_eq!(fault(&|bytes| bytes[16..20].fill(0)), Some(FisherFault::Zero), "no slots");
}

/// A header that does not describe the state behind it.
#[test]
fn states_of_another_kind_are_refused() {
    let spec = FisherSpec::new(2);
    let mut state = [0.0_f64; 6];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
    fisher.example(Gradient::new(&[1.0, 2.0][..])).unwrap();
    let header = fisher.header().unwrap();
    let fault = |of: Result<(), Error>| if let Err(Error::Fisher(fault)) = of { fault } else { panic!("{of:?}") };
    let mut copy = state;
    let counted = DiagonalFisher::<ObservedLabels, f64>::resume(&header, &mut copy).map(|fisher| fisher.record().examples);
    assert_eq!(counted, Ok(1));
    assert!(matches!(fault(DiagonalFisher::<ExactLabels, f64>::resume(&header, &mut copy).map(|_| ())), FisherFault::Estimator { .. }));
    assert!(matches!(
        fault(DiagonalFisher::<ObservedLabels, f64>::resume(&header, &mut copy[1..]).map(|_| ())),
        FisherFault::Length { expected: 6, found: 5 }
    ));
    assert!(matches!(
        fault(DiagonalFisher::<ObservedLabels, f32>::resume(&header, &mut [0.0; 12]).map(|_| ())),
        FisherFault::Element { .. }
    ));
    assert!(matches!(fault(DiagonalFisher::<ObservedLabels, f64>::resume(&header, &mut [0.0; 6]).map(|_| ())), FisherFault::Counts));
    let mut wrong = header;
    wrong.examples = 2;
    assert!(matches!(fault(DiagonalFisher::<ObservedLabels, f64>::resume(&wrong, &mut copy).map(|_| ())), FisherFault::Counts));
    // A length that no memory has.
    wrong.spec = FisherSpec::new(usize::MAX).slots(u32::MAX);
    assert!(matches!(fault(DiagonalFisher::<ObservedLabels, f64>::resume(&wrong, &mut copy).map(|_| ())), FisherFault::Length { .. }));
    assert_eq!(header.element, Dtype::F64);
    let mut bytes = [0_u8; 47];
    let fisher = DiagonalFisher::<ObservedLabels, f64>::resume(&header, &mut copy).unwrap();
    assert!(matches!(fault(fisher.write_state(&mut bytes).map(|_| ())), FisherFault::Length { expected: 48, found: 47 }));
    assert!(matches!(
        fault(DiagonalFisher::<ObservedLabels, f64>::read_state(&header, &bytes, &mut state).map(|_| ())),
        FisherFault::Length { expected: 48, found: 47 }
    ));
}

/// Blocks ascend, or the order of additions would not be that of one worker.
#[test]
fn blocks_ascend() {
    let mut state = [0.0; 5 * 2];
    let mut fisher = DiagonalFisher::observed_labels(FisherSpec::new(1).slots(2), &mut state).unwrap();
    fisher.begin_block(4).unwrap();
    fisher.example(Gradient::new(&[1.0][..])).unwrap();
    assert_eq!(fisher.begin_block(4), Err(FisherFault::BlockOrder { last: 4, found: 4 }.into()));
    assert_eq!(fisher.begin_block(1), Err(FisherFault::BlockOrder { last: 4, found: 1 }.into()));
    fisher.begin_block(7).unwrap();
    fisher.begin_example(1.0).unwrap();
    assert_eq!(fisher.begin_block(8), Err(FisherFault::OpenExample.into()));
}

/// Whoever has accumulators of several kinds keeps them behind one trait.
#[test]
fn accumulators_are_objects() {
    let (mut one, mut two) = ([0.0; 6], [0.0; 12]);
    let mut exact = DiagonalFisher::exact(FisherSpec::new(2), &mut one).unwrap();
    let mut spread = fisher_merge::FisherSpread::start(Estimator::Exact, 2, &mut two).unwrap();
    let mut all: [&mut dyn FisherAccumulator<f64>; 2] = [&mut exact, &mut spread];
    let mut found = [[0.0; 2]; 2];
    for (fisher, out) in all.iter_mut().zip(&mut found) {
        assert_eq!(fisher.length(), 2);
        fisher.observe(0.75, &[0.25, -0.25]).unwrap();
        fisher.observe(0.25, &[-0.75, 0.75]).unwrap();
        fisher.end(1.0).unwrap();
        assert_eq!(fisher.finish(out).unwrap().examples, 1);
        fisher.reset();
        assert_eq!(fisher.finish(out).unwrap_err(), FisherFault::NoExamples.into());
    }
    assert_eq!(found, [[0.1875; 2]; 2]);
}
