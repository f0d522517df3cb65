//! Symmetric matrices among the sums: lower triangles, row behind row, and the whole matrices that come of them.

use super::ledger::{Totals, expect};
use super::spec::triangle;
use crate::error::{Error, FisherFault, Role};
use crate::kernel::scaled::defect;
use crate::scalar::Real;
use crate::view::{BLOCK, ValuesMut, store};

/// A triangle of sums, and what makes a mean of them.
pub(super) struct Symmetric<'l, R: Real> {
    pub(super) totals: Totals<'l, R>,
    /// Its number in errors.
    pub(super) tensor: usize,
    /// The first of its sums.
    pub(super) first: usize,
    pub(super) side: usize,
    pub(super) divisor: f64,
    /// Powers of two that the mean is multiplied by.
    pub(super) exponent: i32,
}

impl<R: Real> Symmetric<'_, R> {
    /// Whether all of it can be written: asked before anything is.
    pub(super) fn door(&self, out: &impl ValuesMut<R>) -> Result<(), Error> {
        expect(self.side.saturating_mul(self.side), out.count())?;
        if self.divisor <= 0.0 || self.divisor.is_nan() {
            return Err(FisherFault::NoExamples.into());
        }
        let bad = |row: usize| {
            let bad = |column| defect(self.sum(row, column), Role::Gradient).map(|defect| (row * self.side + column, defect));
            (0..=row).find_map(bad)
        };
        match (0..self.side).find_map(bad) {
            None => Ok(()),
            Some((index, defect)) => Err(Error::BadNumber { tensor: self.tensor, model: 0, role: Role::Precision, index, defect }),
        }
    }

    /// Of the lower triangle.
    fn sum(&self, row: usize, column: usize) -> R {
        self.totals.at(self.first + triangle(row) + column)
    }

    /// Writes the mean, both triangles.
    pub(super) fn write(&self, out: &mut impl ValuesMut<R>) {
        let divisor = R::from_f64(self.divisor);
        for row in 0..self.side {
            let mut at = 0;
            while at < self.side {
                let (mut block, n) = ([R::ZERO; BLOCK], BLOCK.min(self.side - at));
                for (out, column) in block.iter_mut().zip(at..at + n) {
                    *out = (self.sum(row.max(column), row.min(column)) / divisor).times_power_of_two(self.exponent);
                }
                store(out, row * self.side + at, block.get(..n).unwrap_or_default());
                at += n;
            }
        }
    }
}
