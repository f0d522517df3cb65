//! What the code does to a merge: the bound on weights and means, that it is sharp, and evidence that neither comes nor goes.

use fisher_merge::{CompactFisher, FisherStatistics, Merge, NoEvidence, Posterior, RunningProduct, Values};

use crate::{Random, beside, encoded};

/// The merge of models `(λ, mean, Fisher)`, with Fishers as they are and coded.
fn both(models: &[(f64, Vec<f64>, Vec<f64>)]) -> [Vec<f64>; 2] {
    let count = models[0].1.len();
    let exact: Vec<_> =
        models.iter().map(|(power, mean, fisher)| Posterior::diagonal(&mean[..], &fisher[..]).unwrap().power(*power)).collect();
    let bytes: Vec<Vec<u8>> = models.iter().map(|(_, _, fisher)| encoded(&fisher[..]).0).collect();
    let views = bytes.iter().map(|bytes| CompactFisher::new(bytes, count).unwrap());
    let coded: Vec<_> =
        models.iter().zip(views).map(|((power, mean, _), view)| Posterior::diagonal(&mean[..], view).unwrap().power(*power)).collect();
    let mut merged = [vec![0.0; count], vec![0.0; count]];
    let before = Merge::new().run(&exact, &mut merged[0][..]).unwrap();
    let after = Merge::new().run(&coded, &mut merged[1][..]).unwrap();
    assert_eq!(before.no_evidence, after.no_evidence);
    merged
}

#[test]
fn the_bound_is_its_formula() {
    let rho = f64::sqrt((1.0 + CompactFisher::DELTA) / (1.0 - CompactFisher::DELTA));
    assert!((CompactFisher::WEIGHT_BOUND - (rho - 1.0) / (rho + 1.0)).abs() < 1e-14);
}

/// Of means 1 and 0 the merge is the weight; of any means it moves by the bound times their distance.
#[test]
fn merged_weights_and_means_stay_within_the_bound() {
    let mut random = Random(5);
    let mut largest: f64 = 0.0;
    for round in 0..600 {
        let count = 1 + random.below(400);
        let models = if round % 2 == 0 { 2 } else { 2 + random.below(5) };
        let octaves = 1 + random.below(31) as i32;
        // Within 31 octaves, at places that have nothing to do with the code's.
        let fisher = |random: &mut Random| match random.below(9) {
            0 => 0.0,
            _ => random.unit() * 2_f64.powi(-(random.below(octaves as usize) as i32)) + 2_f64.powi(-31),
        };
        let mean = |random: &mut Random, model: usize| if round % 2 == 0 { [1.0, 0.0][model] } else { random.unit() * 8.0 - 4.0 };
        let models: Vec<(f64, Vec<f64>, Vec<f64>)> = (0..models)
            .map(|model| {
                let means = (0..count).map(|_| mean(&mut random, model)).collect();
                (0.05 + random.unit(), means, (0..count).map(|_| fisher(&mut random)).collect())
            })
            .collect();
        let [before, after] = both(&models);
        for (index, (before, after)) in before.iter().zip(&after).enumerate() {
            let contributing = models.iter().filter(|(_, _, fisher)| fisher[index] > 0.0).map(|(_, mean, _)| mean[index]);
            let (least, greatest) =
                contributing.fold((f64::MAX, f64::MIN), |(least, greatest), mean| (mean.min(least), mean.max(greatest)));
            let moved = (before - after).abs();
            assert!(moved <= CompactFisher::WEIGHT_BOUND * (greatest - least).max(0.0) + 1e-14, "round {round}: {moved}");
            largest = if round % 2 == 0 { largest.max(moved) } else { largest };
        }
    }
    assert!((0.027..0.0295).contains(&largest), "{largest}");
}

/// Two Fishers beside a midpoint, rounded apart, at the odds of the proof.
#[test]
fn the_bound_is_sharp() {
    let (up, down) = (beside(1.0625, 1), beside(1.0625, -1));
    let odds = f64::sqrt(8.0 / 9.0);
    let [before, after] = both(&[(odds, vec![1.0], vec![up]), (1.0, vec![0.0], vec![down])]);
    assert!((after[0] - before[0] - CompactFisher::WEIGHT_BOUND).abs() < 1e-12, "{} {}", before[0], after[0]);
}

/// No evidence stays none, a sole model stays sole, whatever the Fishers' sizes.
#[test]
fn evidence_is_neither_invented_nor_lost() {
    let fishers = [[0.0, 0.0, 1e-45, 3e38, 1.0], [0.0, 1e-45, 0.0, 0.0, 1e-30_f32]];
    let means = [[1.0_f32, 2.0, 3.0, 4.0, 5.0], [-1.0, -2.0, -3.0, -4.0, -5.0]];
    let bytes = fishers.map(|fisher| encoded(&fisher[..]));
    assert_eq!(bytes.each_ref().map(|(_, count)| (count.zeros, count.below)), [(2, 2), (3, 1)]);
    let [a, b] = [0, 1].map(|model: usize| {
        let view = CompactFisher::new(&bytes[model].0, 5).unwrap();
        Posterior::diagonal(&means[model][..], view).unwrap().power(0.5_f32)
    });
    let mut out = [0.0_f32; 5];
    let summary = Merge::new().no_evidence(NoEvidence::KeepTarget).run(&[a, b], &mut out[..]).unwrap();
    assert_eq!((out[..4].to_vec(), summary.no_evidence), (vec![1.0, -2.0, 3.0, 4.0], 1));
}

/// The other readers of Fishers take the view too, and see the same numbers.
#[test]
fn statistics_and_running_products_read_it() {
    let fisher: Vec<f32> = (0..700_u16).map(|index| f32::from(index % 50) * 0.037).collect();
    let means: Vec<f32> = fisher.iter().map(|fisher| fisher - 1.0).collect();
    let (bytes, _) = encoded(&fisher[..]);
    let view = CompactFisher::new(&bytes, fisher.len()).unwrap();
    let mut plain = vec![0.0_f32; fisher.len()];
    view.read(0, &mut plain).unwrap();

    let mut statistics = [FisherStatistics::new(), FisherStatistics::new()];
    statistics[0].observe(view);
    statistics[1].observe(&plain[..]);
    assert_eq!(statistics[0].l2(), statistics[1].l2());
    assert_eq!(statistics[0].mean(), statistics[1].mean());
    assert_eq!(absorbed(&means, view), absorbed(&means, &plain[..]));
}

/// The posterior after one model.
fn absorbed<P: Values<f32> + Copy>(means: &[f32], fisher: P) -> [Vec<f32>; 2] {
    let [mut precision, mut mean] = [vec![0.0; means.len()], vec![0.0; means.len()]];
    let mut product = RunningProduct::start(&mut precision[..], &mut mean[..], NoEvidence::KeepTarget).unwrap();
    product.absorb(&Posterior::diagonal(means, fisher).unwrap().power(0.5)).unwrap();
    assert_eq!(product.finish().unwrap().elements, means.len() as u64);
    [precision, mean]
}
