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

/// How far a merge has come. Every job's block comes before the next block of any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where the block starts, and its number.
    pub(super) at: usize,
    pub(super) block: usize,
    /// The next job's part of it.
    pub(super) job: usize,
    /// Length of the first block, and of the longest tensor.
    lead: usize,
    pub(super) end: usize,
}

impl Place {
    fn size(self) -> usize {
        if self.block == 0 { self.lead } else { BLOCK }
    }

    /// The first job's part of the next block.
    #[inline(always)]
    pub(super) fn next_block(self) -> Self {
        Self { at: self.at + self.size(), block: self.block + 1, job: 0, ..self }
    }

    /// Start and length of the block in a tensor of `count` numbers, if it reaches that far.
    #[inline(always)]
    pub(super) fn within(self, count: usize) -> Option<(usize, usize)> {
        let n = self.size().min(count.saturating_sub(self.at));
        (n > 0).then_some((self.at, n))
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
    let mut place = Place { at: 0, block: 0, job: 0, lead: if lead == 0 { BLOCK } else { lead }, end };
    let candidates = jobs.iter().all(|job| is_candidate(&Active::of(job.factors), job.mean.dtype()));
    while place.at < end {
        if candidates {
            place = shell.run(Dense { jobs, from: place });
        }
        if place.at < end {
            let blocks = if candidates { PATIENCE } else { usize::MAX };
            place = shell.run(General { merge, jobs, from: place, blocks })?;
        }
    }
    Ok(())
}
