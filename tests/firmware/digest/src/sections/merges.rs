//! Fused merges: one to four models, all policies, floors and norms, with and without the precision.

use fisher_merge::{
    AnySlice, BadNumbers, Conditioning, Dtype, Factor, FisherStatistics, Floor, FloorOn, FloorScope, LeBytes, Merge, NoEvidence, Normalize,
    Posterior, Precision, Real, Shell, Values,
};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::Kind;

const MODELS: usize = 4;
const ROUNDS: usize = 48;

/// What a round is made of, by its number, so that the kinds meet each other.
pub(super) fn flavours(round: usize) -> (Flavour, Flavour) {
    match round % 8 {
        0 => (Flavour::Tame, Flavour::Tame),
        1 => (Flavour::Edges, Flavour::Tame),
        2 => (Flavour::Tame, Flavour::Edges),
        3 => (Flavour::Wild, Flavour::Tame),
        4 => (Flavour::Wild, Flavour::Wild),
        5 => (Flavour::Edges, Flavour::Edges),
        6 => (Flavour::Bad, Flavour::Bad),
        _ => (Flavour::Bad, Flavour::Edges),
    }
}

/// The policies of a round.
fn rule<'a, R: Real>(round: usize, prior: &'a [R], shell: Shell) -> Merge<'a, R> {
    let no_evidence = match round / 2 % 4 {
        0 => NoEvidence::KeepTarget,
        1 => NoEvidence::WeightedMean,
        2 => NoEvidence::PriorMean(prior),
        _ => NoEvidence::Error,
    };
    // Bad numbers propagate in most rounds that have any.
    let bad_numbers = if round % 16 == 6 { BadNumbers::Refuse } else { BadNumbers::Propagate };
    Merge::new().no_evidence(no_evidence).bad_numbers(bad_numbers).tensor(round).shell(shell)
}

/// Floors and norms of a round; none in half of them.
fn conditioning(round: usize) -> Conditioning {
    let rule = Conditioning::new();
    match round / 8 % 6 {
        1 => rule.floor(Floor::Absolute(1e-6)).floor_on(FloorOn::Target).normalize(Normalize::L2),
        3 => rule.floor(Floor::Relative { share: 0.5, scope: FloorScope::Tensor }).normalize(Normalize::Mean),
        5 => rule.floor(Floor::Relative { share: 1e-3, scope: FloorScope::Model }),
        _ => rule,
    }
}

pub(super) fn run<R: Real, K: Kind<R>, const N: usize>(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(N as u64));
    let (mut means, mut fishers) = ([[K::Raw::default(); N]; MODELS], [[K::Raw::default(); N]; MODELS]);
    for round in 0..ROUNDS {
        let (mean, fisher) = flavours(round);
        means.iter_mut().for_each(|out| generator.means::<R, K>(mean, out));
        fishers.iter_mut().for_each(|out| generator.precisions::<R, K>(fisher, out));
        // Values that all models share come back bit for bit.
        let (first, others) = means.split_at_mut(1);
        others.iter_mut().for_each(|out| out[..N / 8].copy_from_slice(&first[0][..N / 8]));
        let models = 1 + generator.below(MODELS as u64) as usize;
        let mut factors = [Posterior::isotropic(K::view(&means[0])).power(R::ZERO); MODELS];
        for (model, factor) in factors.iter_mut().enumerate() {
            let scalar = generator.below(8) == 0;
            let precision = if scalar { Precision::PerTensor(R::from_f64(0.125)) } else { Precision::Diagonal(K::view(&fishers[model])) };
            let Ok(posterior) = Posterior::new(K::view(&means[model]), precision) else { continue };
            *factor = posterior.power(generator.weight());
        }
        let factors = &mut factors[..models];
        condition(&mut digest, factors, round, shell);
        let mut prior = [R::ZERO; N];
        prior.iter_mut().for_each(|out| *out = R::from_f64(f64::from(generator.below(1 << 20) as u32) / 1024.0));
        let rule = rule(round, &prior, shell);
        let mut stored = [K::Raw::default(); N];
        if digest.outcome(&rule.run(factors, K::view_mut(&mut stored))) {
            digest.view::<R>(&K::view(&stored));
        }
        with_precision::<R, _, N>(&mut digest, &rule, factors);
    }
    digest
}

/// The same in the arithmetic's own type, with the precision, and the validating pass.
fn with_precision<R: Real, V: Values<R> + Copy, const N: usize>(digest: &mut Digest, rule: &Merge<'_, R>, factors: &[Factor<V, V, R>]) {
    let (mut mean, mut precision) = ([R::ZERO; N], [R::ZERO; N]);
    if digest.outcome(&rule.run_with_precision(factors, &mut mean[..], &mut precision[..])) {
        digest.numbers(&mean);
        digest.numbers(&precision);
    }
    digest.outcome(&rule.check(factors));
}

/// Gives the factors their floors and norms.
fn condition<R: Real, V: Values<R> + Values<f64> + Copy>(digest: &mut Digest, factors: &mut [Factor<V, V, R>], round: usize, shell: Shell) {
    let conditioning = conditioning(round);
    for (model, factor) in factors.iter_mut().enumerate() {
        let mut statistics = FisherStatistics::new();
        if let Precision::Diagonal(fisher) = factor.posterior().precision() {
            statistics.observe_in(fisher, shell);
        }
        digest.number(statistics.l2().map_or(-1.0, |norm| norm.as_f64()));
        digest.number(statistics.mean().map_or(-1.0, |mean| mean.as_f64()));
        match conditioning.scale(&statistics, model == 0) {
            Ok(scale) => *factor = factor.conditioned(&scale),
            Err(error) => digest.error(&error),
        }
    }
}

/// Bytes of a model of any type, in the order of wires, at an odd address.
struct Unaligned<const N: usize> {
    bytes: [u8; N],
    dtype: Dtype,
}

impl<const N: usize> Unaligned<N> {
    fn new(generator: &mut Generator, dtype: Dtype, count: usize, pattern: impl Fn(&mut Generator) -> u64) -> Self {
        let mut bytes = [0; N];
        for number in bytes[1..].chunks_exact_mut(dtype.bytes()).take(count) {
            number.copy_from_slice(&pattern(generator).to_le_bytes()[..dtype.bytes()]);
        }
        Self { bytes, dtype }
    }

    fn view(&self, count: usize) -> LeBytes<&[u8]> {
        LeBytes::new(self.dtype, &self.bytes[1..][..count * self.dtype.bytes()]).expect("whole numbers")
    }
}

/// Numbers of a merge of several storage types.
const MIXED: usize = 70;

/// Models of different storage types in one merge, as bytes.
pub(super) fn mixed(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(1));
    for round in 0..ROUNDS {
        let types = [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::F64];
        let mut types = [(); 4].map(|()| types[generator.below(4) as usize]);
        mixed_in::<f64>(&mut digest, &mut generator, types, round, shell);
        // An arithmetic narrower than a storage type is refused, which one round of four leaves to happen.
        if round % 4 != 3 {
            types.iter_mut().filter(|dtype| **dtype == Dtype::F64).for_each(|dtype| *dtype = Dtype::F32);
        }
        mixed_in::<f32>(&mut digest, &mut generator, types, round, shell);
    }
    digest
}

fn mixed_in<R: Real>(digest: &mut Digest, generator: &mut Generator, types: [Dtype; 4], round: usize, shell: Shell) {
    let (mean, fisher) = flavours(round);
    let [a, b] = [types[0], types[1]].map(|dtype| Unaligned::<600>::new(generator, dtype, MIXED, |g| g.mean(dtype, mean)));
    let [f, g] = [types[2], types[3]].map(|dtype| Unaligned::<600>::new(generator, dtype, MIXED, |g| g.precision(dtype, fisher)));
    let posteriors = [(&a, &f), (&b, &g)].map(|(mean, fisher)| Posterior::diagonal(mean.view(MIXED), fisher.view(MIXED)));
    let [Ok(first), Ok(second)] = posteriors else { return };
    let factors = [first.power(generator.weight()), second.power(R::from_f64(0.75))];
    let prior = [R::ONE; MIXED];
    let rule = rule(round, &prior, shell);
    let mut out = [0; 1 + 8 * MIXED];
    let bytes = &mut out[1..][..MIXED * types[0].bytes()];
    let outcome = rule.run(&factors, LeBytes::new(types[0], &mut *bytes).expect("whole numbers"));
    if digest.outcome(&outcome) {
        digest.view::<f64>(&AnySlice::of_bytes(types[0], bytes).expect("whole numbers"));
    }
    with_precision::<R, _, MIXED>(digest, &rule, &factors);
}
