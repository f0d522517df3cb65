//! The way through a merge: stretches of dense blocks, and in between what is not dense.

use super::block::{Active, General};
use super::dense::{Dense, is_candidate};
use super::{Job, Merge};
use crate::error::Error;
use crate::kernel::Shell;
use crate::scalar::Real;
use crate::view::{BLOCK, Values, ValuesMut};

#[cfg(test)]
mod tests;

/// For how many blocks the dense body is not tried after it failed: zeros among Fisher entries come in rows, so what one block had, the
/// next ones have. Long enough that trying in vain costs little, short enough that a dense stretch is found soon.
pub(super) const PATIENCE: usize = 16;

/// How many blocks of a job come before another job's turn: few enough that what all of them read stays in a cache, enough that what a
/// turn looks up costs little (with 4, ten weights took 5 % longer).
const TURN: usize = 16;

/// How far a merge has come. Jobs take turns: some blocks of each, then the next blocks of the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Whose turn it is.
    pub(super) job: usize,
    /// Where its next block starts, and the number of that block.
    at: usize,
    block: usize,
    /// The same of the turn's first block.
    turn_at: usize,
    turn_block: usize,
    /// Blocks of a turn.
    turn: usize,
    /// Length of the first block, and of the longest tensor.
    lead: usize,
    end: usize,
}

impl Place {
    fn first(jobs: usize, lead: usize, end: usize) -> Self {
        // A sole job has no one to wait for.
        let turn = if jobs == 1 { usize::MAX } else { TURN };
        Self { job: 0, at: 0, block: 0, turn_at: 0, turn_block: 0, turn, lead: if lead == 0 { BLOCK } else { lead }, end }
    }

    /// Whether every job has all its blocks.
    #[inline(always)]
    pub(super) fn is_end(self) -> bool {
        self.turn_at >= self.end
    }

    /// Start and length of the next block of the job whose turn it is, over a tensor of `count` numbers; `None` where the turn is over.
    #[inline(always)]
    pub(super) fn within(self, count: usize) -> Option<(usize, usize)> {
        let size = if self.block == 0 { self.lead } else { BLOCK };
        let n = size.min(count.saturating_sub(self.at));
        (n > 0 && self.block - self.turn_block < self.turn).then_some((self.at, n))
    }

    /// Start and length of the whole turn.
    #[inline(always)]
    pub(super) fn whole_turn(self, count: usize) -> (usize, usize) {
        let end = self.next_turn().at.min(count);
        (self.turn_at.min(end), end - self.turn_at.min(end))
    }

    /// Behind a block of `n` numbers.
    #[inline(always)]
    pub(super) fn next_block(self, n: usize) -> Self {
        Self { at: self.at + n, block: self.block + 1, ..self }
    }

    /// The next job's turn.
    #[inline(always)]
    pub(super) fn next_job(self) -> Self {
        Self { job: self.job + 1, at: self.turn_at, block: self.turn_block, ..self }
    }

    /// The first job's next turn.
    #[inline(always)]
    pub(super) fn next_turn(self) -> Self {
        let lacking = if self.turn_block == 0 { BLOCK - self.lead } else { 0 };
        let at = self.turn_at.saturating_add(self.turn.saturating_mul(BLOCK) - lacking);
        let block = self.turn_block.saturating_add(self.turn);
        Self { job: 0, at, block, turn_at: at, turn_block: block, ..self }
    }
}

/// All blocks of all jobs.
pub(super) fn run<V, P, R, O, Q>(merge: &Merge<'_, R>, jobs: &mut [Job<'_, V, P, R, O, Q>], shell: Shell) -> Result<(), Error>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
    O: ValuesMut<R>,
    Q: ValuesMut<R>,
{
    // A short first block brings the others to the boundaries of cache lines: a load across two lines costs twice, off the chip more.
    let lead = jobs.first_mut().map_or(0, |job| job.mean.lead());
    let end = jobs.iter().map(|job| job.mean.count()).max().unwrap_or(0);
    let mut place = Place::first(jobs.len(), lead, end);
    let candidates = jobs.iter().all(|job| is_candidate(&Active::of(job.factors), job.mean.dtype()));
    while !place.is_end() {
        if candidates {
            place = shell.run(Dense { jobs, from: place });
        }
        if !place.is_end() {
            let blocks = if candidates { PATIENCE.saturating_mul(jobs.len()) } else { usize::MAX };
            place = shell.run(General { merge, jobs, from: place, blocks })?;
        }
    }
    Ok(())
}
