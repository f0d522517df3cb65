//! All patterns of the 16-bit types widened, and narrowed again with their neighbours in wider types.

use fisher_merge::{BadNumbers, Error, Merge, Posterior, Real, Shell, Summary, Values, ValuesMut};

use crate::fnv::Digest;
use crate::kinds::{Bf16, F16, Kind};

/// Patterns at a time. Not a multiple of what instruction sets take at once.
const N: usize = 93;

pub(super) fn f16(shell: Shell) -> Digest {
    all::<F16>(shell)
}

pub(super) fn bf16(shell: Shell) -> Digest {
    all::<Bf16>(shell)
}

fn all<K: Kind<f32> + Kind<f64>>(shell: Shell) -> Digest {
    let mut digest = Digest::default();
    let mut from = 0;
    while from < 1 << 16 {
        range::<f32, K>(&mut digest, from, shell, |value, step| f32::from_bits(value.to_bits() ^ step));
        range::<f64, K>(&mut digest, from, shell, |value, step| f64::from_bits(value.to_bits() ^ u64::from(step) << 29));
        from += N as u64;
    }
    digest
}

/// Widens a range of patterns, and narrows it and what lies beside it: halfway to the next pattern, and just before and after that.
fn range<R: Real, K: Kind<R>>(digest: &mut Digest, from: u64, shell: Shell, beside: impl Fn(R, u32) -> R) {
    let mut patterns = [<K as Kind<R>>::Raw::default(); N];
    for (raw, bits) in patterns.iter_mut().zip(from..) {
        *raw = K::raw(bits & 0xffff);
    }
    let mut wide = [R::ZERO; N];
    digest.outcome(&through::<R>(K::view(&patterns), &mut wide[..], shell));
    digest.numbers(&wide);
    // The digits that the narrow types drop: the first of them for binary16 and for bfloat16, all, one.
    for step in [0, 0x1000, 0x1001, 0x0fff, 0x8000, 0x8001, 0x7fff, 1] {
        let mut near = wide;
        near.iter_mut().for_each(|value| *value = beside(*value, step));
        digest.outcome(&through::<R>(&near[..], K::view_mut(&mut patterns), shell));
        digest.view::<R>(&K::view(&patterns));
    }
}

/// A merge of one model is a conversion by slice.
fn through<R: Real>(source: impl Values<R> + Copy, target: impl ValuesMut<R>, shell: Shell) -> Result<Summary, Error> {
    let one = [Posterior::isotropic(source).power(R::ONE)];
    Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell).run(&one, target)
}
