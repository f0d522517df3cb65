//! Bytes that claim to be a Fisher: headers with their states, and compact Fishers. What is let through goes back to the same bytes, and is
//! used without a panic; layers of any sizes are refused or add what single examples would.
#![no_main]

use fisher_merge::{
    CompactFisher, DenseFisher, DiagonalFisher, Dtype, Estimator, ExactLabels, FISHER_HEADER, FisherHeader, FisherSpec, Gradient,
    KroneckerFisher, LayerBatch, LeBytes, ObservedLabels, PerExample, Real, SampledLabels, Values,
};
use fisher_merge_fuzz::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    match bytes.byte() % 3 {
        0 => state(bytes.0),
        1 => compact(&mut bytes),
        _ => layer(&mut bytes),
    }
});

fn state(data: &[u8]) {
    let Ok(header) = FisherHeader::from_bytes(data) else { return };
    let rest = &data[FISHER_HEADER..];
    assert_eq!(header.to_bytes()[..], data[..FISHER_HEADER]);
    match (header.estimator, header.element) {
        (Estimator::Exact, Dtype::F64) => resumed::<ExactLabels, f64>(&header, rest),
        (Estimator::Exact, _) => resumed::<ExactLabels, f32>(&header, rest),
        (Estimator::MonteCarlo { .. }, Dtype::F32) => resumed::<SampledLabels, f32>(&header, rest),
        _ => resumed::<ObservedLabels, f64>(&header, rest),
    }
}

fn resumed<E: PerExample, R: Real>(header: &FisherHeader, bytes: &[u8]) {
    let mut numbers = vec![R::ZERO; bytes.len() / R::DTYPE.bytes()];
    let square = |out: &[R], side: usize| {
        assert!((0..out.len()).all(|at| !out[at].is_nan() && out[at] == out[at % side * side + at / side]));
    };
    let (side, other) = header.spec.sides();
    if let Ok(fisher) = KroneckerFisher::<E, R>::read_state(header, bytes, &mut numbers) {
        let (mut a, mut g) = (vec![R::ZERO; other * other], vec![R::ZERO; side * side]);
        if fisher.finish_into(&mut a[..], &mut g[..]).is_ok() {
            square(&a, other);
            square(&g, side);
        }
    }
    if let Ok(fisher) = DenseFisher::<E, R>::read_state(header, bytes, &mut numbers) {
        let mut out = vec![R::ZERO; side * side];
        if fisher.finish_into(&mut out[..]).is_ok() {
            square(&out, side);
        }
    }
    let Ok(fisher) = DiagonalFisher::<E, R>::read_state(header, bytes, &mut numbers) else { return };
    let mut back = vec![0; bytes.len()];
    let again = fisher.write_state(&mut back).unwrap();
    assert_eq!((again.examples, again.spec), (header.examples, header.spec));
    let mut out = vec![R::ZERO; header.spec.length()];
    if fisher.finish_into(&mut out[..]).is_ok() {
        assert!(out.iter().all(|number| !number.is_nan()));
    }
    // NaN may come back as another.
    let same = |at: usize| {
        let one: R = LeBytes::new(R::DTYPE, bytes).unwrap().at(at).unwrap();
        let two: R = LeBytes::new(R::DTYPE, &back[..]).unwrap().at(at).unwrap();
        one == two || one.is_nan() && two.is_nan()
    };
    assert!((0..numbers.len()).all(same));
}

fn compact(bytes: &mut Bytes<'_>) {
    let length = usize::from(bytes.byte()) + 256 * usize::from(bytes.byte() % 3);
    if let Ok(view) = CompactFisher::new(bytes.0, length) {
        let mut numbers = vec![0.0_f64; length];
        view.read(0, &mut numbers).unwrap();
        assert!(numbers.iter().all(|&number| number.is_finite() && number >= 0.0));
        let mut again = vec![0; bytes.0.len()];
        let count = CompactFisher::encode_into(&numbers[..], &mut again).unwrap();
        let (mut twice, view) = (vec![0.0_f64; length], CompactFisher::new(&again, length).unwrap());
        view.read(0, &mut twice).unwrap();
        // A block without its largest entry has another scale, but the same numbers.
        assert!(numbers == twice && count.below + count.above == 0);
    }
    let dtype = bytes.dtype();
    let whole = bytes.0.len() / dtype.bytes() * dtype.bytes();
    let values = LeBytes::new(dtype, &bytes.0[..whole]).unwrap();
    let mut coded = vec![7; CompactFisher::encoded_len(whole / dtype.bytes())];
    match CompactFisher::encode_into(values, &mut coded) {
        Err(_) => assert!(coded.iter().all(|&byte| byte == 7)),
        Ok(_) => {
            let view = CompactFisher::new(&coded, whole / dtype.bytes()).unwrap();
            for index in 0..whole / dtype.bytes() {
                let (number, coded): (f64, f64) = (values.at(index).unwrap(), view.at(index).unwrap());
                assert_eq!(number == 0.0, coded == 0.0);
            }
        }
    }
}

/// A layer of small sizes, whose numbers are bytes.
fn layer(bytes: &mut Bytes<'_>) {
    let mut small = |most: u8| usize::from(bytes.byte() % (most + 1));
    let (examples, positions, inputs, outputs) = (small(3), small(3), small(5), small(5));
    let mut take = |count: usize| (0..count).map(|_| f64::from(bytes.byte() as i8)).collect::<Vec<f64>>();
    let (a, g) = (take(examples * positions * inputs), take(examples * positions * outputs));
    let spec = FisherSpec::new(inputs * outputs);
    let (mut state, mut other) = (vec![0.0_f64; spec.state_len::<f64>()], vec![0.0_f64; spec.state_len::<f64>()]);
    let ones = vec![1.0; examples];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut state).unwrap();
    let mut scratch = vec![0.0; DiagonalFisher::<ObservedLabels, f64>::LINEAR_SCRATCH];
    let batch = LayerBatch::new(&a[..], &g[..], &ones).positions(positions);
    if fisher.observe_linear((outputs, inputs), &batch, &mut scratch).is_err() {
        assert_eq!(positions, 0);
        return;
    }
    if examples == 0 {
        return;
    }
    fisher.end_batch(&ones).unwrap();
    let mut single = DiagonalFisher::observed_labels(spec, &mut other).unwrap();
    for example in 0..examples {
        let mut gradient = vec![0.0; inputs * outputs];
        for t in 0..positions {
            for (at, sum) in gradient.iter_mut().enumerate() {
                let row = example * positions + t;
                *sum += g[row * outputs + at / inputs] * a[row * inputs + at % inputs];
            }
        }
        single.example(Gradient::new(&gradient[..])).unwrap();
    }
    // Integers: exact in any order.
    assert_eq!(fisher.state()[..inputs * outputs], single.state()[..inputs * outputs]);
}
