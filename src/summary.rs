//! What a merge counted on its way.

use crate::error::Defect;

/// Counts of one merge, or of several added up. All are numbers of elements unless said otherwise; an empty tensor counts nothing.
///
/// ```
/// use fisher_merge::{Merge, Posterior};
/// let a = Posterior::diagonal(&[1.0, 2.0][..], &[0.5, 0.0][..])?;
/// let b = Posterior::diagonal(&[3.0, 4.0][..], &[0.5, 0.0][..])?;
/// let mut out = [0.0; 2];
/// let summary = Merge::new().run(&[a.power(0.5), b.power(0.5)], &mut out[..])?;
/// assert_eq!((summary.elements, summary.no_evidence), (2, 1));
/// assert_eq!(out, [2.0, 2.0]);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[must_use = "the summary says how often a policy had to decide"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Summary {
    /// Elements merged.
    pub elements: u64,
    /// Elements at which the total precision was zero, so that the no-evidence policy decided.
    pub no_evidence: u64,
    /// Fisher entries (an entry of each model counts for itself) that a floor raised.
    pub floored: u64,
    /// Inputs (means and precisions of every model) that were NaN.
    pub nan: u64,
    /// Inputs that were infinite.
    pub infinite: u64,
    /// Precisions below zero.
    pub negative: u64,
    /// Results that left a range: a merged precision that was no normal number of the arithmetic or left the range of its storage and was
    /// saturated, a finite mean that its storage made infinite; in the streaming form every precision that left the normal range on its
    /// way.
    pub out_of_range: u64,
    /// Whether a Fisher was normalised, so that the merged precision is in units of its own.
    pub normalized: bool,
}

impl Summary {
    /// Counts a bad number.
    pub(crate) fn count(&mut self, defect: Defect) {
        match defect {
            Defect::Nan => self.nan += 1,
            Defect::Infinite => self.infinite += 1,
            Defect::Negative => self.negative += 1,
        }
    }

    /// Adds the counts of another tensor.
    pub fn add(&mut self, other: &Self) {
        self.elements += other.elements;
        self.no_evidence += other.no_evidence;
        self.floored += other.floored;
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.negative += other.negative;
        self.out_of_range += other.out_of_range;
        self.normalized |= other.normalized;
    }
}
