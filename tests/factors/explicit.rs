//! Against the definitions, example by example.

use fisher_merge::{Dtype, Estimator, ExactLabels, FisherStructure, ObservedLabels, Real, SampledLabels, Shell};

use crate::batch::{Batch, Kind, Labels};

const CONVENTIONS: [FisherStructure; 2] = [FisherStructure::KroneckerExpand, FisherStructure::KroneckerReduce];

/// Sizes on and beside the edges of registers, panels and blocks: `[examples, positions, inputs, outputs]`.
const SIZES: [[usize; 4]; 9] = [
    [1, 1, 1, 1],
    [3, 1, 5, 4],
    [64, 1, 16, 3],
    [65, 1, 9, 17],
    [2, 1, 32, 33],
    [2, 2, 3, 5],
    [1, 64, 17, 4],
    [3, 9, 8, 15],
    [2, 3, 31, 2],
];

/// Runs something generic over kinds of labels.
macro_rules! with_labels {
    ($labels:expr, $call:ident, $($argument:expr),*) => {
        match $labels {
            Labels::Exact => $call::<ExactLabels, _>($($argument),*),
            Labels::Sampled => $call::<SampledLabels, _>($($argument),*),
            Labels::Observed => $call::<ObservedLabels, _>($($argument),*),
        }
    };
}

fn estimator(labels: Labels) -> Estimator {
    match labels {
        Labels::Exact => Estimator::Exact,
        Labels::Sampled => Estimator::MonteCarlo { draws: 2 },
        Labels::Observed => Estimator::Empirical,
    }
}

fn factors_agree<E: Kind, R: Real>(batch: &Batch, homogeneous: bool, _: R) {
    for structure in CONVENTIONS {
        let spec = batch.spec(structure, homogeneous);
        let (a, g, record) = batch.factors::<E, R>(spec, (R::DTYPE, R::DTYPE), Shell::detect());
        let positions = if structure == FisherStructure::KroneckerReduce { batch.positions } else { 1 };
        batch.explicit(structure, Some(homogeneous)).agrees(&a, positions);
        batch.explicit(structure, None).agrees(&g, positions);
        let weight: f64 = batch.weights.iter().sum();
        let squared: f64 = batch.weights.iter().map(|weight| weight * weight).sum();
        assert_eq!((record.structure, record.estimator, record.examples), (structure, estimator(batch.labels), batch.examples as u64));
        assert_eq!((record.weight, record.squared_weight, record.out_of_range), (weight, squared, 0));
    }
}

fn dense_agrees<E: Kind, R: Real>(batch: &Batch, _: R) {
    let (found, record) = batch.dense::<E, R>(R::DTYPE, Shell::detect());
    batch.explicit(FisherStructure::Dense, None).agrees(&found, batch.positions);
    assert_eq!((record.structure, record.examples), (FisherStructure::Dense, batch.examples as u64));
}

#[test]
fn factors_and_dense_fishers_are_sums_of_single_examples() {
    for (seed, sizes) in (0..).zip(SIZES) {
        for labels in Labels::ALL {
            let batch = Batch::new(seed, labels, sizes);
            for homogeneous in [false, true] {
                with_labels!(labels, factors_agree, &batch, homogeneous, 0.0_f64);
                with_labels!(labels, factors_agree, &batch, homogeneous, 0.0_f32);
            }
            with_labels!(labels, dense_agrees, &batch, 0.0_f64);
            with_labels!(labels, dense_agrees, &batch, 0.0_f32);
        }
    }
}

/// Wide enough for several blocks of columns, on all machines.
#[test]
fn wide_layers_go_by_blocks() {
    let batch = Batch::new(50, Labels::Observed, [3, 2, 259, 30]);
    factors_agree::<ObservedLabels, f64>(&batch, true, 0.0);
    let batch = Batch::new(51, Labels::Observed, [2, 1, 256, 30]);
    factors_agree::<ObservedLabels, f32>(&batch, true, 0.0);
}

fn same_bits<R: Real>(batch: &Batch) {
    for structure in CONVENTIONS {
        let spec = batch.spec(structure, true);
        let same = batch.factors::<ExactLabels, R>(spec, (R::DTYPE, R::DTYPE), Shell::BASELINE);
        for types in [(Dtype::F16, Dtype::Bf16), (Dtype::Bf16, Dtype::F32), (Dtype::F32, Dtype::F16)] {
            assert_eq!(batch.factors::<ExactLabels, R>(spec, types, Shell::detect()), same, "{types:?}");
        }
        for shell in Shell::available() {
            assert_eq!(batch.factors::<ExactLabels, R>(spec, (Dtype::F32, Dtype::F32), shell), same, "{shell:?}");
        }
    }
    let same = batch.dense::<ExactLabels, R>(R::DTYPE, Shell::BASELINE);
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32] {
        for shell in Shell::available() {
            assert_eq!(batch.dense::<ExactLabels, R>(dtype, shell), same, "{dtype:?} {shell:?}");
        }
    }
}

#[test]
fn storage_types_and_shells_change_no_bit() {
    for (seed, sizes) in (10..).zip(SIZES) {
        let mut batch = Batch::new(seed, Labels::Exact, sizes);
        // Thirds are rounded at every step: another order would be other bits.
        batch.weights.iter_mut().for_each(|weight| *weight /= 3.0);
        same_bits::<f64>(&batch);
        same_bits::<f32>(&batch);
    }
}
