//! A merge that is stopped anywhere and goes on is the merge that was not stopped.

use core::ops::ControlFlow;

use fisher_merge::{Conditioning, Cursor, Dtype, Floor, FloorScope, Model, Normalize, Pass, StoreMerge, Summary};

use crate::kit::{Kit, Random, SHAPES, models, run};

#[test]
fn stopping_and_going_on_changes_no_bit() {
    let mut random = Random::new(31);
    let mut kit = |value| Kit::model(&mut random, Dtype::F64, value);
    let (means, fishers, blank) = ([kit(Random::mean), kit(Random::mean)], [kit(Random::fisher), kit(Random::fisher)], kit(|_| 0.0));
    let relative = Floor::Relative { share: 0.1, scope: FloorScope::Tensor };
    let driver = StoreMerge::<f64>::new().conditioning(Conditioning::new().normalize(Normalize::L2).floor(relative));
    let two = models::<f64>(&means, &fishers);
    let mut scratch = [0.0; 5 * 70];
    let (mut whole, mut heard) = (blank.clone(), Vec::new());
    let outcome = run(&driver, &two, &mut whole, None, &mut scratch, &mut |progress| {
        heard.push((progress.pass, progress.cursor, progress.done));
        ControlFlow::Continue(())
    });
    let outcome = outcome.unwrap();
    let merging: Vec<_> = heard.iter().filter(|(pass, ..)| *pass == Pass::Merge).collect();
    assert_eq!(merging.iter().filter(|(.., done)| *done).count(), SHAPES.len());
    assert!(heard.iter().any(|(pass, ..)| *pass == Pass::Fisher(1)));

    for stop in 0..merging.len() {
        for in_place in [false, true] {
            let first = if in_place { Model::in_place(two[0].precision, two[0].weight) } else { two[0] };
            let mut target = if in_place { means[0].clone() } else { blank.clone() };
            let expected = {
                let mut expected = target.clone();
                let _ = driver.run(&[first, two[1]], &mut expected, &mut scratch).unwrap();
                expected
            };
            let (mut total, mut from) = (Summary::default(), Cursor::default());
            for limit in [stop, usize::MAX] {
                let mut seen = 0;
                let part = driver.resume(from).run_watched(&[first, two[1]], &mut target, None, &mut scratch, &mut |progress| {
                    seen += usize::from(progress.pass == Pass::Merge);
                    if progress.pass == Pass::Merge && seen > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let part = part.unwrap();
                total.add(&part.summary);
                from = part.stopped.unwrap_or_default();
            }
            assert_eq!(target.bytes(), expected.bytes(), "stopped after tile {stop}");
            if !in_place {
                assert_eq!((target.bytes(), total), (whole.bytes(), outcome.summary));
            }
        }
    }
}

/// A pass that writes nothing can be stopped as well, and starts again from where the merge was.
#[test]
fn stopping_before_anything_is_written_starts_again() {
    let mut random = Random::new(37);
    let mut kit = |value| Kit::model(&mut random, Dtype::F64, value);
    let (means, fishers, mut out) = ([kit(Random::mean)], [kit(Random::fisher)], kit(|_| 0.0));
    let one = models::<f64>(&means, &fishers);
    let from = Cursor { tensor: 1, offset: 0 };
    for pass in [Pass::Fisher(0), Pass::Look] {
        let driver = StoreMerge::new().conditioning(Conditioning::new().normalize(Normalize::Mean)).look_first(true).resume(from);
        let stopped = run(&driver, &one, &mut out, None, &mut [0.0; 3 * 9], &mut |progress| {
            if progress.pass == pass { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.unwrap().stopped, Some(from));
        assert_eq!(out.writes, 0);
    }
}
