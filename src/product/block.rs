//! One factor against all blocks of a running product.

use crate::gaussian::{Buffers, Factor, Views};
use crate::kernel::dispatch::Kernel;
use crate::kernel::fused::{self, Part, is_dense};
use crate::kernel::stream::{self, Block, Counts};
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::scalar::isa::Isa;
use crate::view::{BLOCK, Values};

/// Absorbs one factor into all blocks.
pub(super) struct Absorb<'r, V, P, R: Real> {
    pub(super) factor: &'r Factor<V, P, R>,
    pub(super) idle: R,
    pub(super) first: bool,
    pub(super) precision: &'r mut [R],
    pub(super) mean: &'r mut [R],
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Kernel for Absorb<'_, V, P, R> {
    type Output = Counts;

    #[inline(always)]
    fn run<I: Isa>(self) -> Counts {
        let (views, mut room) = (Views::of(self.factor), Buffers::new());
        // The fast body works on a copy of the state, which is kept only if the block was of its kind.
        let (mut new_precision, mut new_mean) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
        let (coefficient, floor) = (self.factor.coefficient().reach(), self.factor.floor());
        let mut total = Counts::default();
        for (k, (precision, mean)) in self.precision.chunks_mut(BLOCK).zip(self.mean.chunks_mut(BLOCK)).enumerate() {
            let (fisher, other) = room.read::<I, V, P>(&views, k * BLOCK, mean.len());
            let part = Part {
                coefficient: coefficient.value,
                least: coefficient.least,
                greatest: coefficient.greatest,
                floor,
                fisher,
                mean: other,
            };
            // Looked at beforehand, so that the state itself can be worked on.
            if coefficient.regular && is_dense(&part) && R::Native::all_finite(other) {
                if self.first && fused::without_evidence(precision) == precision.len() as u64 {
                    fused::start_dense(part, precision, mean);
                    continue;
                }
                if R::Native::all_between(precision, R::MIN_NORMAL, R::TOP) && R::Native::all_finite(mean) {
                    fused::absorb_part_dense(part, precision, mean);
                    continue;
                }
            }
            if self.first {
                stream::take_target(other, precision, mean);
            }
            let (new_precision, new_mean) = (copied(precision, &mut new_precision), copied(mean, &mut new_mean));
            let tally = fused::absorb_part(part, new_precision, new_mean);
            let voting = self.idle > R::ZERO && fused::without_evidence(new_precision) > 0;
            if coefficient.regular && !tally.irregular && !voting && fused::all_finite(new_precision) {
                copied(new_precision, precision);
                copied(new_mean, mean);
                total.floored += tally.floored;
            } else {
                let counts = stream::absorb_block(Block { coefficient, floor, fisher, mean: other }, self.idle, precision, mean);
                total.floored += counts.floored;
                total.out_of_range += counts.out_of_range;
            }
        }
        total
    }
}

/// Copies a block to the front of `to`, and gives it there.
#[inline(always)]
fn copied<'t, R: Copy>(from: &[R], to: &'t mut [R]) -> &'t mut [R] {
    let to = to.get_mut(..from.len()).unwrap_or_default();
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
    to
}

/// Looks whether one factor can be taken out of all blocks, and does so only then. Gives the first element at which it cannot.
pub(super) struct Remove<'r, V, P, R: Real> {
    pub(super) factor: &'r Factor<V, P, R>,
    pub(super) precision: &'r mut [R],
    pub(super) mean: &'r mut [R],
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Kernel for Remove<'_, V, P, R> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let (views, mut room) = (Views::of(self.factor), Buffers::new());
        let weight = self.factor.weight();
        for (k, (precision, mean)) in self.precision.chunks(BLOCK).zip(self.mean.chunks(BLOCK)).enumerate() {
            let (fisher, other) = room.read::<I, V, P>(&views, k * BLOCK, mean.len());
            if let Some(index) = stream::first_refusal(weight, fisher, other, precision, mean) {
                return Some(k * BLOCK + index);
            }
        }
        for (k, (precision, mean)) in self.precision.chunks_mut(BLOCK).zip(self.mean.chunks_mut(BLOCK)).enumerate() {
            let (fisher, other) = room.read::<I, V, P>(&views, k * BLOCK, mean.len());
            stream::remove_block(weight, fisher, other, precision, mean);
        }
        None
    }
}
