//! States: parts that combine, the same bits for any number of workers, and bytes that come back or say what is wrong with them.

use fisher_merge::{
    DenseFisher, DiagonalFisher, Dtype, Error, ExactLabels, FisherFault, FisherHeader, FisherRecord, FisherSpec, FisherStructure, Gradient,
    KroneckerFisher, LayerGradients, LayerInputs, ObservedLabels, Real, SampledLabels, Shell,
};

use crate::batch::{Batch, Kind, Labels, finish, reals};
use crate::common::random::Random;

const F32: (Dtype, Dtype) = (Dtype::F32, Dtype::F32);

fn fault<T: core::fmt::Debug>(of: Result<T, Error>) -> FisherFault {
    match of {
        Err(Error::Fisher(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

/// What is eighths is added without rounding: every split gives the bits, and the counts, of the whole.
fn every_split<E: Kind, R: Real>(batch: &Batch, spec: FisherSpec) {
    let whole = batch.factors::<E, R>(spec, F32, Shell::detect());
    for at in 0..=batch.examples {
        let mut states = [vec![R::ZERO; spec.state_len::<R>()], vec![R::ZERO; spec.state_len::<R>()]];
        let [here, there] = &mut states;
        let (mut here, mut there) = (E::kronecker(spec, here).unwrap(), E::kronecker(spec, there).unwrap());
        for (part, fisher) in [(batch.part(0, at), &mut here), (batch.part(at, batch.examples), &mut there)] {
            if part.examples > 0 {
                part.observe(fisher, F32);
            }
        }
        here.combine(&there).unwrap();
        assert_eq!(finish(&here), whole, "split at {at}");
    }
}

#[test]
fn parts_combine_at_every_split() {
    let batch = Batch::new(1, Labels::Exact, [7, 4, 5, 3]);
    // Lengths that are powers of two: means over them are not rounded.
    let batch = Batch { lengths: batch.lengths.iter().map(|&length| if length == 3 { 4 } else { length }).collect(), ..batch };
    for spec in [FisherSpec::kronecker_expand((3, 5)), FisherSpec::kronecker_reduce((3, 5)).homogeneous(true)] {
        every_split::<ExactLabels, f64>(&batch, spec);
        every_split::<ExactLabels, f32>(&batch, spec);
        every_split::<ExactLabels, f64>(&batch, spec.slots(3).unit(-4).model(9));
    }
}

#[test]
fn dense_parts_combine_at_every_split() {
    let (random, spec) = (&mut Random(2), FisherSpec::dense(3));
    let gradients: Vec<f64> = (0..3 * 6).map(|_| (random.signed() * 16.0).round() / 8.0).collect();
    let estimate = |split: Option<usize>| {
        let mut states = [vec![0.0; spec.state_len::<f64>()], vec![0.0; spec.state_len::<f64>()]];
        let ([here, there], mut scratch) = (&mut states, vec![0.0; spec.factor_scratch::<f64>()]);
        let mut here = DenseFisher::<ObservedLabels, f64>::observed_labels(spec, here).unwrap();
        let mut there = DenseFisher::<ObservedLabels, f64>::observed_labels(spec, there).unwrap();
        for (at, gradient) in gradients.chunks(3).enumerate() {
            let fisher = if split.is_some_and(|split| at >= split) { &mut there } else { &mut here };
            fisher.observe(&LayerGradients::new(Gradient::new(gradient), &[1.0]), &mut scratch).unwrap();
            fisher.end_batch(&[1.0]).unwrap();
        }
        here.combine(&there).unwrap();
        let mut out = [0.0; 9];
        (here.finish_into(&mut out[..]).unwrap(), out)
    };
    for split in 0..=6 {
        assert_eq!(estimate(Some(split)), estimate(None));
    }
}

#[test]
fn parts_of_the_same_estimate_alone_combine() {
    let base = FisherSpec::kronecker_expand((2, 3)).slots(2).model(1).unit(3);
    let fault = |other: FisherSpec| {
        let mut states = [vec![0.0; base.state_len::<f64>()], vec![0.0; other.state_len::<f64>()]];
        let [here, there] = &mut states;
        let mut a = KroneckerFisher::<ObservedLabels, f64>::observed_labels(base, here).unwrap();
        let b = KroneckerFisher::<ObservedLabels, f64>::observed_labels(other, there).unwrap();
        a.combine(&b).err()
    };
    let reduce = FisherSpec::kronecker_reduce((2, 3)).slots(2).model(1).unit(3);
    let sized = |shape| FisherSpec::kronecker_expand(shape).slots(2).model(1).unit(3);
    let (expected, found) = (FisherStructure::KroneckerExpand, FisherStructure::KroneckerReduce);
    assert_eq!(fault(base), None);
    assert_eq!(fault(reduce), Some(FisherFault::Structure { expected, found }.into()));
    assert_eq!(fault(sized((3, 3))), Some(FisherFault::Length { expected: 2, found: 3 }.into()));
    assert_eq!(fault(sized((2, 4))), Some(FisherFault::Length { expected: 3, found: 4 }.into()));
    // As large, but the last input is something else.
    assert_eq!(fault(sized((2, 2)).homogeneous(true)), Some(FisherFault::Length { expected: 3, found: 2 }.into()));
    assert_eq!(fault(base.homogeneous(true)), Some(FisherFault::Length { expected: 6, found: 8 }.into()));
    assert_eq!(fault(base.slots(3)), Some(FisherFault::Slots { expected: 2, found: 3 }.into()));
    assert_eq!(fault(base.model(2)), Some(FisherFault::Model { expected: 1, found: 2 }.into()));
    assert_eq!(fault(base.unit(0)), Some(FisherFault::Unit { expected: 3, found: 0 }.into()));
}

/// A structure is of its own accumulator.
#[test]
fn specifications_of_another_structure() {
    let mut state = [0.0_f64; 64];
    let specs = [FisherSpec::new(2), FisherSpec::kronecker_expand((2, 1)), FisherSpec::kronecker_reduce((2, 1)), FisherSpec::dense(2)];
    for spec in specs {
        let state = &mut state[..spec.state_len::<f64>()];
        let of = |begun: Result<(), Error>, own: bool, expected: FisherStructure| {
            let found = spec.structure();
            assert_eq!(begun.err(), (!own).then_some(FisherFault::Structure { expected, found }.into()), "{spec:?}");
        };
        let structure = spec.structure();
        of(DiagonalFisher::exact(spec, state).map(|_| ()), structure == FisherStructure::Diagonal, FisherStructure::Diagonal);
        of(DenseFisher::exact(spec, state).map(|_| ()), structure == FisherStructure::Dense, FisherStructure::Dense);
        let kronecker = matches!(structure, FisherStructure::KroneckerExpand | FisherStructure::KroneckerReduce);
        of(KroneckerFisher::sampled(1, spec, state).map(|_| ()), kronecker, FisherStructure::KroneckerExpand);
    }
    assert_eq!(fault(KroneckerFisher::sampled(0, specs[1], &mut state)), FisherFault::Zero);
    assert!(matches!(fault(DenseFisher::sampled(2, specs[3], &mut state)), FisherFault::Length { expected: 7, found: 64 }));
}

/// Every worker has a state of its own and the blocks whose slot is its; the states are added in the given order.
fn by_workers<R: Real>(batches: &[Batch], spec: FisherSpec, workers: usize, turned: bool) -> (Vec<R>, Vec<R>, FisherRecord) {
    let (slots, mut header) = (8, None);
    let spec = spec.slots(slots);
    let mut states = vec![vec![R::ZERO; spec.state_len::<R>()]; workers];
    for (worker, state) in states.iter_mut().enumerate() {
        let mut fisher = SampledLabels::kronecker(spec, state).unwrap();
        for (block, batch) in batches.iter().enumerate().filter(|(block, _)| block % slots as usize % workers == worker) {
            fisher.begin_block(block as u64).unwrap();
            batch.observe(&mut fisher, F32);
        }
        header = Some(fisher.header().unwrap());
    }
    if turned {
        states.reverse();
    }
    let mut all = vec![R::ZERO; spec.state_len::<R>()];
    states.iter().for_each(|state| all.iter_mut().zip(state).for_each(|(sum, &number)| *sum = *sum + number));
    finish(&KroneckerFisher::<SampledLabels, R>::resume_sum(&header.unwrap(), &mut all).unwrap())
}

#[test]
fn slots_give_the_same_bits_for_any_number_of_workers() {
    let mut batches: Vec<Batch> = (0..19).map(|seed| Batch::new(seed, Labels::Sampled, [3, 2, 4, 3])).collect();
    // Thirds are rounded: another order would be other bits.
    batches.iter_mut().for_each(|batch| batch.weights.iter_mut().for_each(|weight| *weight /= 3.0));
    for spec in [FisherSpec::kronecker_expand((3, 4)), FisherSpec::kronecker_reduce((3, 4)).homogeneous(true)] {
        let (one, single) = (by_workers::<f64>(&batches, spec, 1, false), by_workers::<f32>(&batches, spec, 1, false));
        for workers in [2, 3, 5, 8] {
            for turned in [false, true] {
                assert_eq!(by_workers::<f64>(&batches, spec, workers, turned), one);
                assert_eq!(by_workers::<f32>(&batches, spec, workers, turned), single);
            }
        }
    }
}

/// What is written comes back, in both types and all structures, and goes on as if nothing had happened.
#[test]
fn states_go_through_bytes() {
    fn round<R: Real>() {
        let batch = Batch::new(5, Labels::Observed, [6, 2, 3, 2]);
        let spec = FisherSpec::kronecker_reduce((2, 3)).homogeneous(true).slots(2).model(0xfeed).unit(-1);
        let mut states = [vec![R::ZERO; spec.state_len::<R>()], vec![R::ONE; spec.state_len::<R>()]];
        let [here, there] = &mut states;
        let mut fisher = ObservedLabels::kronecker(spec, here).unwrap();
        batch.part(0, 4).observe(&mut fisher, F32);
        let mut bytes = vec![0; fisher.state().len() * R::DTYPE.bytes() + 1];
        let header = fisher.write_state(&mut bytes[1..]).unwrap();
        batch.part(4, 6).observe(&mut fisher, F32);
        let read = FisherHeader::from_bytes(&header.to_bytes()).unwrap();
        assert_eq!((read, read.spec.sides(), read.examples), (header, (2, 4), 4));
        let mut other = KroneckerFisher::<ObservedLabels, R>::read_state(&read, &bytes[1..], there).unwrap();
        batch.part(4, 6).observe(&mut other, F32);
        assert_eq!(finish(&other), finish(&fisher));
        // Of another structure, or of inputs that were observed and not ended.
        let refused = DenseFisher::<ObservedLabels, R>::read_state(&read, &bytes[1..], there).map(|_| ());
        assert!(matches!(fault(refused), FisherFault::Structure { expected: FisherStructure::Dense, .. }));
    }
    round::<f32>();
    round::<f64>();

    let (spec, mut scratch) = (FisherSpec::dense(2), vec![0.0; FisherSpec::dense(2).factor_scratch::<f64>()]);
    let (mut here, mut there, mut bytes) = ([0.0; 7], [0.0; 7], [0; 56]);
    let mut fisher = DenseFisher::observed_labels(spec, &mut here).unwrap();
    fisher.observe(&LayerGradients::new(Gradient::new(&[1.0, 2.0][..]), &[1.0]), &mut scratch).unwrap();
    assert_eq!(fault(fisher.write_state(&mut bytes)), FisherFault::OpenExample);
    fisher.end_batch(&[1.0]).unwrap();
    let header = FisherHeader::from_bytes(&fisher.write_state(&mut bytes).unwrap().to_bytes()).unwrap();
    assert_eq!(fisher.state(), [1.0, 2.0, 4.0, 1.0, 1.0, 1.0, 0.0]);
    let read = DenseFisher::<ObservedLabels, f64>::read_state(&header, &bytes, &mut there).unwrap();
    assert_eq!((read.state(), read.record()), (fisher.state(), fisher.record()));
}

/// The layout, byte by byte.
#[test]
fn headers_are_as_documented() {
    let bytes = |spec: FisherSpec| {
        let mut state = vec![0.0_f32; spec.state_len::<f32>()];
        match spec.structure() {
            FisherStructure::Dense => DenseFisher::exact(spec, &mut state).unwrap().header().unwrap().to_bytes(),
            _ => KroneckerFisher::exact(spec, &mut state).unwrap().header().unwrap().to_bytes(),
        }
    };
    assert_eq!(bytes(FisherSpec::kronecker_expand((5, 2)))[20..32], [1, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0]);
    let good = bytes(FisherSpec::kronecker_reduce((5, 2)).homogeneous(true));
    assert_eq!(good[20..32], [2, 1, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(bytes(FisherSpec::dense(3))[20..32], [3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let fault_of = |changes: &[(usize, u8)]| {
        let mut bytes = good;
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        FisherHeader::from_bytes(&bytes).err()
    };
    let foreign = Some(FisherFault::Foreign.into());
    assert_eq!(fault_of(&[]), None);
    assert_eq!(fault_of(&[(20, 4)]), foreign);
    assert_eq!(fault_of(&[(20, 0)]), foreign, "a diagonal with a bias");
    assert_eq!(fault_of(&[(21, 2)]), foreign);
    assert_eq!(fault_of(&[(22, 1)]), foreign);
    assert_eq!(fault_of(&[(28, 0)]), foreign, "a one of the biases among no inputs");
}

/// What is open is in no state.
#[test]
fn open_batches_do_not_travel() {
    let spec = FisherSpec::kronecker_expand((1, 1));
    let mut states = [vec![0.0; spec.state_len::<f64>()], vec![0.0; spec.state_len::<f64>()]];
    let ([here, there], mut scratch) = (&mut states, vec![0.0; spec.factor_scratch::<f64>()]);
    let mut fisher = KroneckerFisher::<ObservedLabels, f64>::observed_labels(spec, here).unwrap();
    let mut other = KroneckerFisher::<ObservedLabels, f64>::observed_labels(spec, there).unwrap();
    fisher.observe_inputs(&LayerInputs::new(&[2.0][..], &reals::<f64>(&[1.0])), &mut scratch).unwrap();
    assert_eq!(fault(fisher.header()), FisherFault::OpenExample);
    assert_eq!(fault(fisher.begin_block(1)), FisherFault::OpenExample);
    assert_eq!(fault(other.combine(&fisher)), FisherFault::OpenExample);
    assert_eq!(fault(fisher.combine(&other)), FisherFault::OpenExample);
    assert_eq!(fault(fisher.finish_into(&mut [0.0][..], &mut [0.0][..])), FisherFault::OpenExample);
    assert_eq!(fault(fisher.input_covariance_into(&mut [0.0][..])), FisherFault::OpenExample);
    fisher.reset();
    fisher.begin_block(2).unwrap();
    assert_eq!(fault(fisher.begin_block(2)), FisherFault::BlockOrder { last: 2, found: 2 });
    assert!(fisher.state().iter().all(|&sum| sum == 0.0));
}
