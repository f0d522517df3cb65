//! Promise 9: everything is compared before the first byte is written, and the error says what disagrees, where, what was expected and what was found.

use fisher_merge::{Defect, Dtype, Error, Job, LeBytes, Merge, NoEvidence, Posterior, Precision, Role, RunningProduct, Stored};
use proptest::prelude::*;

use crate::common::generators::{DTYPES, check};

/// What a case disagrees about.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Length { role: Role, found: usize },
    Storage { role: Role },
    Weight { defect: Defect },
    AllZero,
    NoModels,
}

fn faults() -> impl Strategy<Value = Fault> {
    let roles = prop_oneof![Just(Role::Mean), Just(Role::PrecisionOut), Just(Role::PriorMean), Just(Role::Precision)];
    let stored = prop_oneof![Just(Role::Mean), Just(Role::Precision), Just(Role::MeanOut), Just(Role::PrecisionOut)];
    let defects = prop_oneof![Just(Defect::Nan), Just(Defect::Infinite), Just(Defect::Negative)];
    prop_oneof![
        (roles, 0..9_usize).prop_map(|(role, found)| Fault::Length { role, found }),
        stored.prop_map(|role| Fault::Storage { role }),
        defects.prop_map(|defect| Fault::Weight { defect }),
        Just(Fault::AllZero),
        Just(Fault::NoModels),
    ]
}

/// Numbers of one slice: how many, and how they are stored.
#[derive(Clone, Debug)]
struct Slice {
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Slice {
    /// Filled with a byte that makes a small positive number in every type.
    fn new(dtype: Dtype, count: usize) -> Self {
        Self { dtype, bytes: vec![0x2e; count * dtype.bytes()] }
    }
    fn view(&self) -> LeBytes<&[u8]> {
        LeBytes::new(self.dtype, &self.bytes[..]).unwrap()
    }
    fn out(&mut self) -> LeBytes<&mut [u8]> {
        LeBytes::new(self.dtype, &mut self.bytes[..]).unwrap()
    }
}

const COUNT: usize = 5;

/// A merge that would do, but for one fault at one model.
struct Call {
    models: Vec<(Slice, Slice, f32)>,
    outputs: (Slice, Slice),
    prior: Vec<f32>,
    expected: Error,
}

fn call(models: usize, at: usize, dtypes: &[usize], fault: Fault) -> Call {
    let slice = |at: usize| Slice::new(DTYPES[dtypes[at % dtypes.len()] % 3], COUNT);
    let mut call = Call {
        models: (0..models).map(|model| (slice(model), slice(model + 1), 0.5)).collect(),
        outputs: (slice(3), slice(4)),
        prior: vec![0.25; COUNT],
        expected: Error::NoModels,
    };
    let model = &mut call.models[at];
    match fault {
        Fault::Length { role, found } => {
            let wrong = Slice::new(Dtype::F32, found);
            let place = match role {
                Role::PriorMean => {
                    call.prior.resize(found, 0.25);
                    &mut call.outputs.0.clone()
                }
                Role::PrecisionOut => &mut call.outputs.1,
                // Mean and Fisher together, or they would not make a posterior.
                _ => {
                    model.1 = wrong.clone();
                    &mut model.0
                }
            };
            *place = wrong;
            let (model, role) = if matches!(role, Role::Mean | Role::Precision) { (at, Role::Mean) } else { (0, role) };
            call.expected = Error::Length { tensor: 3, model, role, expected: COUNT, found };
        }
        Fault::Storage { role } => {
            let place = match role {
                Role::Mean => &mut model.0,
                Role::Precision => &mut model.1,
                Role::MeanOut => &mut call.outputs.0,
                _ => &mut call.outputs.1,
            };
            *place = Slice::new(Dtype::F64, COUNT);
            let model = if matches!(role, Role::Mean | Role::Precision) { at } else { 0 };
            call.expected = Error::NarrowArithmetic { tensor: 3, model, role, storage: Dtype::F64, arithmetic: Dtype::F32 };
        }
        Fault::Weight { defect } => {
            model.2 = match defect {
                Defect::Nan => f32::NAN,
                Defect::Infinite => f32::INFINITY,
                _ => -f32::MIN_POSITIVE,
            };
            call.expected = Error::BadWeight { model: at, defect };
        }
        Fault::AllZero => {
            call.models.iter_mut().for_each(|model| model.2 = -0.0);
            call.expected = Error::AllWeightsZero;
        }
        Fault::NoModels => call.models.clear(),
    }
    call
}

#[test]
fn promise_09_checked_before_written() {
    let drawn = (1..5_usize, any::<prop::sample::Index>(), prop::collection::vec(0..3_usize, 5), faults(), any::<bool>());
    check(1024, drawn, |(models, at, dtypes, fault, second)| {
        let mut call = call(models, at.index(models), &dtypes, fault);
        if matches!(fault, Fault::Length { found: COUNT, .. }) {
            return Ok(());
        }
        let painted = call.outputs.clone();
        let factors: Vec<_> = call
            .models
            .iter()
            .map(|(mean, fisher, weight)| Posterior::diagonal(mean.view(), fisher.view()).unwrap().power(*weight))
            .collect();
        let merge = Merge::<f32>::new().tensor(3).no_evidence(NoEvidence::PriorMean(&call.prior));
        // As a call of its own, or as the second of two jobs: the first keeps its paint too.
        let good = Slice::new(Dtype::F32, COUNT);
        let fine = [Posterior::diagonal(good.view(), good.view()).unwrap().power(1.0_f32)];
        let mut first = Slice::new(Dtype::F16, COUNT);
        let (before, (mean, precision)) = (first.clone(), (&mut call.outputs.0, &mut call.outputs.1));
        let refused = if second {
            merge.run_all(&mut [Job::new(&fine, first.out()), Job::with_precision(&factors, mean.out(), precision.out())])
        } else {
            merge.run_with_precision(&factors, mean.out(), precision.out()).map(|_| ())
        };
        prop_assert_eq!(refused, Err(call.expected));
        prop_assert_eq!((&call.outputs.0.bytes, &call.outputs.1.bytes, &first.bytes), (&painted.0.bytes, &painted.1.bytes, &before.bytes));
        Ok(())
    });
}

/// The running product refuses the same faults and keeps its state, every bit of it.
#[test]
fn promise_09_running_products_keep_their_state() {
    let drawn = (any::<bool>(), prop::collection::vec(0..3_usize, 5), faults(), 0..4_u8);
    check(512, drawn, |(started, dtypes, fault, verb)| {
        if matches!(fault, Fault::AllZero | Fault::NoModels | Fault::Length { found: COUNT, .. }) {
            return Ok(());
        }
        if let Fault::Length { role: Role::PriorMean | Role::PrecisionOut, .. }
        | Fault::Storage { role: Role::MeanOut | Role::PrecisionOut } = fault
        {
            return Ok(());
        }
        let call = call(1, 0, &dtypes, fault);
        let (mut precision, mut mean) = ([0.0_f32; COUNT], [7.0_f32; COUNT]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, NoEvidence::KeepTarget).unwrap().tensor(3);
        let first = [2.5_f32; COUNT];
        if started {
            product.absorb(&Posterior::diagonal(&first[..], &first[..]).unwrap().power(1.0)).unwrap();
        }
        let (bits, summary) = (state(&product), product.summary());
        let (mean, fisher, weight) = &call.models[0];
        let factor = Posterior::diagonal(mean.view(), fisher.view()).unwrap().power(*weight);
        let refused = match verb {
            0 | 1 => product.absorb(&factor),
            _ => product.remove(&factor),
        };
        // A product calls a factor by the number absorbed before it, and what is removed by 0.
        let number = usize::from(started && verb < 2);
        let expected = match call.expected {
            Error::Length { tensor, role, expected, found, .. } => Error::Length { tensor, model: number, role, expected, found },
            Error::NarrowArithmetic { tensor, role, storage, arithmetic, .. } => {
                Error::NarrowArithmetic { tensor, model: number, role, storage, arithmetic }
            }
            Error::BadWeight { defect, .. } => Error::BadWeight { model: number, defect },
            other => other,
        };
        prop_assert_eq!(refused, Err(expected));
        prop_assert_eq!((state(&product), product.summary()), (bits, summary));
        Ok(())
    });
}

/// All that a product holds, as bits.
fn state(product: &RunningProduct<'_, f32>) -> (Vec<u32>, u32, usize) {
    let posterior = product.posterior();
    let Precision::Diagonal(precision) = posterior.precision() else { unreachable!("a product is diagonal") };
    let bits = precision.iter().chain(posterior.mean()).map(|value| value.to_bits()).collect();
    (bits, product.weight().to_bits(), product.absorbed())
}

/// What is made outside a merge is checked there.
#[test]
fn promise_09_views_and_states_are_checked_where_they_are_made() {
    let length = |model, role, expected, found| Err(Error::Length { tensor: 0, model, role, expected, found });
    let posterior = Posterior::<_, _, f64>::diagonal(&[1.0_f64, 2.0][..], &[1.0_f64][..]).map(|_| ());
    assert_eq!(posterior, length(0, Role::Precision, 2, 1));
    for dtype in DTYPES {
        let bytes = [0_u8; 9];
        assert_eq!(LeBytes::new(dtype, &bytes[..]).map(|view| view.count()), Err(Error::RaggedBytes { dtype, found: 9 }));
        assert_eq!(LeBytes::new(dtype, &bytes[1..]).map(|view| view.count()), Ok(8 / dtype.bytes()));
    }
    let prior = [1.0_f32; 2];
    let (mut three, mut two) = ([5.0_f32; 3], [6.0_f32; 2]);
    let start = RunningProduct::start(&mut three, &mut two, NoEvidence::KeepTarget).map(|_| ());
    assert_eq!(start, length(0, Role::Precision, 2, 3));
    let mut more = [7.0_f32; 3];
    let start = RunningProduct::start(&mut three, &mut more, NoEvidence::PriorMean(&prior)).map(|_| ());
    assert_eq!(start, length(0, Role::PriorMean, 3, 2));
    let resumed = RunningProduct::resume(&mut three, &mut more, NoEvidence::KeepTarget, (-1.0, 1)).map(|_| ());
    assert_eq!(resumed, Err(Error::BadWeight { model: 0, defect: Defect::Negative }));
    assert_eq!((three, two, more), ([5.0; 3], [6.0; 2], [7.0; 3]));
    let mut eta = [8.0_f32; 2];
    assert_eq!(fisher_merge::to_natural(&three, &two, &mut eta).map(|_| ()), length(0, Role::Precision, 2, 3));
    assert_eq!(fisher_merge::from_natural(&two, &three, &mut eta).map(|_| ()), length(0, Role::Mean, 2, 3));
    assert_eq!(eta, [8.0; 2]);
}
