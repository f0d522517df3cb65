//! A factor of a product of posteriors: a posterior to the power λ, its Fisher floored and normalised as asked.

use super::{Posterior, Precision};
use crate::kernel::Magnitude;
use crate::kernel::coefficient::Coefficient;
use crate::kernel::step::select;
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::scalar::isa::Isa;
use crate::view::sealed::Load;
use crate::view::{BLOCK, Stored, Values};

/// A posterior to the power λ, with the effective precision `λ/norm · max(F, floor)`.
///
/// Made by [`Posterior::power`]; floor and norm come from a [`ModelScale`](crate::ModelScale).
#[derive(Clone, Copy, Debug)]
pub struct Factor<V, P, R: Real> {
    posterior: Posterior<V, P, R>,
    weight: R,
    floor: R,
    norm: Magnitude,
    coefficient: Coefficient<R>,
}

impl<V, P, R: Real> Factor<V, P, R> {
    /// The weight λ.
    #[must_use]
    pub fn weight(&self) -> R {
        self.weight
    }

    /// The floor under the Fisher entries, in their own units; zero is none.
    #[must_use]
    pub fn floor(&self) -> R {
        self.floor
    }

    /// What the floored Fisher entries are divided by; [`Magnitude::ONE`] is nothing.
    #[must_use]
    pub fn norm(&self) -> Magnitude {
        self.norm
    }

    pub(crate) fn coefficient(&self) -> Coefficient<R> {
        self.coefficient
    }

    /// Whether it takes part. (The door has refused weights that are NaN or negative.)
    #[inline(always)]
    pub(crate) fn is_active(&self) -> bool {
        self.weight > R::ZERO
    }
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Factor<V, P, R> {
    pub(crate) fn new(posterior: Posterior<V, P, R>, weight: R, floor: R, norm: Magnitude) -> Self {
        Self { posterior, weight, floor, norm, coefficient: Coefficient::new(weight, norm) }
    }

    /// The same with a floor and a norm.
    #[must_use]
    pub(crate) fn with_scale(self, floor: R, norm: Magnitude) -> Self {
        Self::new(self.posterior, self.weight, floor, norm)
    }

    /// The posterior that this is a power of.
    #[must_use]
    pub fn posterior(&self) -> Posterior<V, P, R> {
        self.posterior
    }

    /// Fisher entry (as stored, without the floor) and mean of one element; zeros past the end, which the door has excluded.
    #[inline]
    pub(crate) fn element(&self, index: usize) -> (R, R) {
        let fisher = match self.posterior.precision() {
            Precision::PerTensor(value) => value,
            Precision::Diagonal(view) => view.number::<R>(index).unwrap_or_default(),
        };
        (fisher, self.posterior.mean().number::<R>(index).unwrap_or_default())
    }

    /// The Fisher entry with the floor under it. NaN stays NaN, and a negative entry stays what it is, to be found.
    #[inline]
    pub(crate) fn floored(&self, fisher: R) -> R {
        select(fisher >= R::ZERO && fisher < self.floor, self.floor, fisher)
    }
}

/// Room for one converted block of a model. Made once a call: clearing it for every block costs more than the merge.
// A vector that lies across two cache lines costs twice.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(crate) struct Buffers<R: Real> {
    fisher: [R; BLOCK],
    mean: [R; BLOCK],
}

impl<R: Real> Buffers<R> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { fisher: [R::ZERO; BLOCK], mean: [R::ZERO; BLOCK] }
    }

    /// Fisher entries and means `at .. at + n` of a factor: lent by its views, or converted into this room.
    #[inline(always)]
    pub(crate) fn read<'b, I: Isa, V, P>(&'b mut self, factor: &'b Views<V, P, R>, at: usize, n: usize) -> (&'b [R], &'b [R])
    where
        V: Values<R>,
        P: Values<R>,
    {
        let fisher = match &factor.precision {
            Precision::PerTensor(value) => {
                let out = self.fisher.get_mut(..n).unwrap_or_default();
                out.fill(*value);
                &*out
            }
            Precision::Diagonal(view) => view.block::<I, R>(at, n, &mut self.fisher),
        };
        (fisher, factor.mean.block::<I, R>(at, n, &mut self.mean))
    }
}

/// The two views of a factor, held where blocks can be lent from.
pub(crate) struct Views<V, P, R: Real> {
    mean: V,
    precision: Precision<P, R>,
}

/// Fisher entries and means as they are stored.
pub(crate) type Lent<'b, V, P> = (&'b [Raw<P>], &'b [Raw<V>]);
type Raw<V> = <<V as Load>::Encoding as Encoding>::Raw;

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Views<V, P, R> {
    /// Fisher entries and means `at .. at + n` as they are stored, where memory holds them as such.
    #[inline(always)]
    pub(crate) fn patterns(&self, at: usize, n: usize) -> Option<Lent<'_, V, P>> {
        match &self.precision {
            Precision::Diagonal(view) => Some((view.patterns(at, n)?, self.mean.patterns(at, n)?)),
            Precision::PerTensor(_) => None,
        }
    }

    #[inline(always)]
    pub(crate) fn of(factor: &Factor<V, P, R>) -> Self {
        Self { mean: factor.posterior.mean(), precision: factor.posterior.precision() }
    }
}

impl<V: Stored, P, R: Real> Factor<V, P, R> {
    /// How many parameters it is over.
    #[must_use]
    pub fn count(&self) -> usize {
        self.posterior.count()
    }
}

impl<V, P, R: Real> Factor<V, P, R> {
    #[inline]
    pub(crate) fn is_normalized(&self) -> bool {
        !self.norm.is_one()
    }
}
