//! Promises 9, 11 and 12: stores that fail in the middle or say what is not true give an error that names them, never a panic.

use core::ops::ControlFlow;

use fisher_merge::{Dtype, Error, Outcome, Role, StoreError, StoreErrorKind, StoreMerge};

use crate::kit::{Kit, Random, Wrong, models, run};

/// A merge of two models, one store of which is wrong: 0 and 1 are means, 2 and 3 Fishers, 4 and 5 the outputs.
fn merged(which: usize, wrong: Wrong, lends: bool) -> Result<Outcome, Error> {
    let mut random = Random::new(17);
    let mut kit = |number: usize, value| {
        let kit = Kit::model(&mut random, Dtype::F64, value).lending(lends);
        if number == which { kit.wrong(wrong) } else { kit }
    };
    let means = [kit(0, Random::mean), kit(1, Random::mean)];
    let fishers = [kit(2, Random::fisher), kit(3, Random::fisher)];
    let (mut target, mut precision) = (kit(4, |_| 0.0), kit(5, |_| 0.0));
    let models = models::<f64>(&means, &fishers);
    run(&StoreMerge::new(), &models, &mut target, Some(&mut precision), &mut [0.0; 6 * 50], &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_failing_store_is_named_with_its_tensor() {
    let failed = |tensor, model, role, kind, code| Err(Error::Store { tensor, model, role, error: StoreError::new(kind).with_code(code) });
    // The first tensor has fifteen tiles of fifty, the second one, the third none.
    assert_eq!(merged(0, Wrong::Read(1), false), failed(0, 0, Role::Mean, StoreErrorKind::Read, 5));
    assert_eq!(merged(1, Wrong::Read(16), false), failed(1, 1, Role::Mean, StoreErrorKind::Read, 5));
    assert_eq!(merged(3, Wrong::Read(17), false), failed(3, 1, Role::Precision, StoreErrorKind::Read, 5));
    assert_eq!(merged(4, Wrong::Write(15), false), failed(0, 0, Role::MeanOut, StoreErrorKind::Write, 28));
    assert_eq!(merged(5, Wrong::Write(16), false), failed(1, 0, Role::PrecisionOut, StoreErrorKind::Write, 28));
    assert_eq!(merged(4, Wrong::Finish, false), failed(0, 0, Role::MeanOut, StoreErrorKind::Write, 9));
    assert_eq!(merged(5, Wrong::Finish, true), failed(0, 0, Role::PrecisionOut, StoreErrorKind::Write, 9));
}

/// Whatever a store says that is not true: an error or a merge, no panic; and a range that is lent too short is read instead.
#[test]
fn promise_11_a_store_that_is_not_true_does_no_harm() {
    let right = merged(9, Wrong::Nothing, true);
    assert!(right.is_ok());
    for which in 0..6 {
        for lends in [false, true] {
            assert_eq!(merged(which, Wrong::LendsShort, lends), right);
            assert_eq!(merged(which, Wrong::Count, lends), right);
            assert!(merged(which, Wrong::Info, lends).is_err() || which == 4, "store {which}");
            assert!(matches!(merged(which, Wrong::Find, lends), Err(Error::Mismatch(_))) || which == 4, "store {which}");
        }
    }
}
