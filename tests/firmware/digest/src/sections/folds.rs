//! Low-rank adapters folded into weights, in ranges.

use fisher_merge::adapters::LowRankAdapter;
use fisher_merge::{Error, Real, Shell};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::Kind;

const OUTPUTS: usize = 5;
/// More than a block of small machines.
const INPUTS: usize = 37;
const WEIGHTS: usize = OUTPUTS * INPUTS;
const RANK: usize = 4;

pub(super) fn run<R: Real, K: Kind<R>>(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(19));
    for round in 0..12 {
        let flavour = [Flavour::Tame, Flavour::Edges, Flavour::Wild, Flavour::Bad][round % 4];
        if let Err(error) = fold::<R, K>(&mut digest, &mut generator, (round, flavour), shell) {
            digest.error(&error);
        }
    }
    digest
}

fn fold<R: Real, K: Kind<R>>(
    digest: &mut Digest,
    generator: &mut Generator,
    (round, flavour): (usize, Flavour),
    shell: Shell,
) -> Result<(), Error> {
    let (mut b, mut a) = ([K::Raw::default(); OUTPUTS * RANK], [K::Raw::default(); RANK * INPUTS]);
    let (mut weights, mut narrow, mut wide) = ([K::Raw::default(); WEIGHTS], [K::Raw::default(); WEIGHTS], [R::ZERO; WEIGHTS]);
    generator.means::<R, K>(Flavour::Tame, &mut b);
    generator.means::<R, K>(flavour, &mut a);
    generator.means::<R, K>(flavour, &mut weights);
    let alpha = R::from_f64([4.0, 0.3, -7.0][round % 3]);
    let adapter = LowRankAdapter::new((OUTPUTS, INPUTS), RANK, (K::view(&b), K::view(&a)), alpha)?.shell(shell);
    for (from, to) in [(0, 50), (50, 51), (51, WEIGHTS)] {
        let outcome = adapter.fold(from, K::view(&weights[from..to]), &mut wide[from..to]);
        if digest.outcome(&outcome) {
            digest.numbers(&wide[from..to]);
        }
    }
    if digest.outcome(&adapter.fold(0, K::view(&weights), K::view_mut(&mut narrow))) {
        digest.view::<R>(&K::view(&narrow));
    }
    Ok(())
}
