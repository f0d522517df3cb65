//! What goes over wires: headers and states of Fishers as bytes, and what is refused of them.

use fisher_merge::{DiagonalFisher, Error, FISHER_HEADER, FisherHeader, FisherSpec, Gradient, ObservedLabels, Real, Shell};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::{F32, F64, Kind};

const N: usize = 9;

pub(super) fn run(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(13));
    for round in 0..6 {
        let outcomes =
            [wire::<f32, F32>(&mut digest, &mut generator, round, shell), wire::<f64, F64>(&mut digest, &mut generator, round, shell)];
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).for_each(|error| digest.error(error));
    }
    digest
}

/// A state goes over a wire and on; the header is damaged in every byte.
fn wire<R: Real, K: Kind<R>>(digest: &mut Digest, generator: &mut Generator, round: usize, shell: Shell) -> Result<(), Error> {
    let spec = FisherSpec::new(N).model(generator.next()).unit([0, -3, 7][round % 3]);
    let (mut here, mut there, mut bytes) = ([R::ZERO; 2 * (N + 4)], [R::ZERO; 2 * (N + 4)], [0; 16 * (N + 4)]);
    let count = spec.state_len::<R>();
    let bytes = &mut bytes[..count * R::DTYPE.bytes()];
    let mut fisher = DiagonalFisher::observed_labels(spec, &mut here[..count])?.shell(shell);
    let mut gradient = [K::Raw::default(); N];
    for _ in 0..5 {
        generator.means::<R, K>(Flavour::Tame, &mut gradient);
        fisher.begin_example(R::from_f64(0.3))?;
        fisher.example(Gradient::new(K::view(&gradient)))?;
    }
    let header = fisher.write_state(bytes)?.to_bytes();
    digest.bytes(&header);
    digest.bytes(bytes);
    damage(digest, header);
    let header = FisherHeader::from_bytes(&header)?;
    let received = DiagonalFisher::<ObservedLabels, R>::read_state(&header, bytes, &mut there[..count])?;
    digest.numbers(received.state());
    let mut out = [R::ZERO; N];
    digest.record(&received.finish_into(&mut out[..])?);
    digest.numbers(&out);
    Ok(())
}

fn damage(digest: &mut Digest, header: [u8; FISHER_HEADER]) {
    for at in 0..FISHER_HEADER {
        let mut damaged = header;
        damaged[at] ^= 0x81;
        // Where the number of parameters ends, it is more than machines of 32 bits can count, which they refuse.
        if (28..32).contains(&at) {
            continue;
        }
        match FisherHeader::from_bytes(&damaged) {
            Ok(read) => digest.bytes(&read.to_bytes()),
            Err(error) => digest.error(&error),
        }
        if let Err(error) = FisherHeader::from_bytes(&header[..at]) {
            digest.error(&error);
        }
    }
}
