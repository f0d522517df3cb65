//! Running products: absorbing, combining, removing, raising, a prior counted once, natural parameters.

use fisher_merge::{BadNumbers, NoEvidence, Posterior, Real, RunningProduct, Shell, from_natural, to_natural};

use super::merges::flavours;
use crate::fnv::Digest;
use crate::inputs::Generator;
use crate::kinds::Kind;

const N: usize = 70;
const ROUNDS: usize = 48;

pub(super) fn run<R: Real, K: Kind<R>>(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(3));
    for round in 0..ROUNDS {
        let (mean, fisher) = flavours(round);
        let (mut means, mut fishers) = ([[K::Raw::default(); N]; 3], [[K::Raw::default(); N]; 3]);
        means.iter_mut().for_each(|out| generator.means::<R, K>(mean, out));
        fishers.iter_mut().for_each(|out| generator.precisions::<R, K>(fisher, out));
        let posterior = |model: usize| Posterior::diagonal(K::view(&means[model]), K::view(&fishers[model]));
        let [Ok(a), Ok(b), Ok(c)] = [0, 1, 2].map(posterior) else { continue };
        let weights = [(); 3].map(|()| generator.weight::<R>());
        product::<R, K>(&mut digest, [a, b, c], weights, round, shell);
    }
    digest
}

type Diagonal<'a, R, K> = Posterior<<K as Kind<R>>::View<'a>, <K as Kind<R>>::View<'a>, R>;

fn state<R: Real>(digest: &mut Digest, product: &RunningProduct<'_, R>, outcome: Result<(), fisher_merge::Error>) {
    if let Err(error) = outcome {
        digest.error(&error);
    }
    // Valid after every call, refused or not.
    digest.numbers(product.posterior().mean());
    if let fisher_merge::Precision::Diagonal(precision) = product.posterior().precision() {
        digest.numbers(precision);
    }
    digest.number(product.weight());
    digest.size(product.absorbed());
    digest.summary(&product.summary());
}

fn product<R: Real, K: Kind<R>>(digest: &mut Digest, [a, b, c]: [Diagonal<'_, R, K>; 3], weights: [R; 3], round: usize, shell: Shell) {
    let prior = [R::from_f64(0.5); N];
    let policy = match round / 2 % 4 {
        0 => NoEvidence::KeepTarget,
        1 => NoEvidence::WeightedMean,
        2 => NoEvidence::PriorMean(&prior),
        _ => NoEvidence::Error,
    };
    let bad_numbers = if round % 16 == 6 { BadNumbers::Refuse } else { BadNumbers::Propagate };
    let (mut precision, mut mean, mut other_precision, mut other_mean) = ([R::ZERO; N], [R::ZERO; N], [R::ZERO; N], [R::ZERO; N]);
    let Ok(product) = RunningProduct::start(&mut precision, &mut mean, policy) else { return };
    let mut product = product.bad_numbers(bad_numbers).shell(shell).tensor(round);
    let Ok(other) = RunningProduct::start(&mut other_precision, &mut other_mean, NoEvidence::KeepTarget) else { return };
    let mut other = other.bad_numbers(bad_numbers).shell(shell);

    for (posterior, weight) in [(a, weights[0]), (b, weights[1])] {
        let outcome = product.absorb(&posterior.power(weight));
        state(digest, &product, outcome);
    }
    let outcome = other.absorb(&c.power(weights[2]));
    state(digest, &other, outcome);
    let outcome = product.combine(&other);
    state(digest, &product, outcome);
    let outcome = product.remove(&b.power(weights[1]));
    state(digest, &product, outcome);
    let outcome = product.raise(R::from_f64(1.5));
    state(digest, &product, outcome);
    let outcome = product.count_prior_once(&Posterior::<K::View<'_>, K::View<'_>, R>::scaled(a.mean(), R::from_f64(1e-3)));
    state(digest, &product, outcome);
    digest.outcome(&product.finish());
    natural(digest, &precision, &mut mean);
}

fn natural<R: Real>(digest: &mut Digest, precision: &[R], mean: &mut [R]) {
    let mut eta = [R::ZERO; N];
    digest.outcome(&to_natural(precision, mean, &mut eta));
    digest.outcome(&from_natural(precision, &eta, mean));
    digest.numbers(&eta);
    digest.numbers(mean);
}
