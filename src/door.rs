//! What is compared before the first number is written: models, weights, lengths, storage types; and the validating pass over the numbers.

use crate::error::{Error, Role};
use crate::gaussian::{Buffers, Factor, Precision, Views};
use crate::kernel::Shell;
use crate::kernel::dispatch::Kernel;
use crate::kernel::scaled::defect;
use crate::kernel::step::is_finite;
use crate::policy::BadNumbers;
use crate::scalar::isa::Isa;
use crate::scalar::{Dtype, Real};
use crate::summary::Summary;
use crate::view::{BLOCK, Stored, Values};

/// The sum of 2²⁶ scaled precisions still is finite (see `scaled`).
const MOST_MODELS: usize = 1 << 26;

/// The output's part of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) tensor: usize,
    pub(crate) count: usize,
    pub(crate) arithmetic: Dtype,
}

impl Expected {
    pub(crate) fn length(self, model: usize, role: Role, found: usize) -> Result<(), Error> {
        let Self { tensor, count: expected, .. } = self;
        if expected == found { Ok(()) } else { Err(Error::Length { tensor, model, role, expected, found }) }
    }

    pub(crate) fn storage(self, model: usize, role: Role, storage: Dtype) -> Result<(), Error> {
        let Self { tensor, arithmetic, .. } = self;
        if arithmetic.holds(storage) { Ok(()) } else { Err(Error::NarrowArithmetic { tensor, model, role, storage, arithmetic }) }
    }

    /// A slice of any role.
    pub(crate) fn view(self, model: usize, role: Role, view: &impl Stored) -> Result<(), Error> {
        self.length(model, role, view.count())?;
        self.storage(model, role, view.dtype())
    }

    /// One factor: weight, mean, precision.
    pub(crate) fn factor<V, P, R>(self, model: usize, factor: &Factor<V, P, R>) -> Result<(), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        R: Real,
    {
        weight(model, factor.weight())?;
        self.view(model, Role::Mean, &factor.posterior().mean())?;
        match factor.posterior().precision() {
            Precision::Diagonal(view) => self.view(model, Role::Precision, &view),
            Precision::PerTensor(_) => Ok(()),
        }
    }

    /// All factors of a merge. Those of weight zero are compared too.
    pub(crate) fn factors<V, P, R>(self, factors: &[Factor<V, P, R>]) -> Result<(), Error>
    where
        V: Values<R> + Copy,
        P: Values<R> + Copy,
        R: Real,
    {
        if factors.is_empty() {
            return Err(Error::NoModels);
        }
        if factors.len() > MOST_MODELS {
            return Err(Error::TooManyModels { found: factors.len() });
        }
        for (model, each) in factors.iter().enumerate() {
            self.factor(model, each)?;
        }
        if factors.iter().any(Factor::is_active) { Ok(()) } else { Err(Error::AllWeightsZero) }
    }
}

/// A weight must be finite and not negative.
pub(crate) fn weight<R: Real>(model: usize, weight: R) -> Result<(), Error> {
    // A weight must be what a precision must be.
    match defect(weight, Role::Precision) {
        None => Ok(()),
        Some(defect) => Err(Error::BadWeight { model, defect }),
    }
}

/// Counts a bad number, or refuses it.
#[inline]
pub(crate) fn judge<R: Real>(
    policy: BadNumbers,
    (tensor, model, role, index): (usize, usize, Role, usize),
    value: R,
    summary: &mut Summary,
) -> Result<(), Error> {
    let Some(defect) = defect(value, role) else { return Ok(()) };
    match policy {
        BadNumbers::Refuse => Err(Error::BadNumber { tensor, model, role, index, defect }),
        BadNumbers::Propagate => {
            summary.count(defect);
            Ok(())
        }
    }
}

/// The validating pass: looks at every number of a factor, and refuses or counts the bad ones.
pub(crate) fn numbers<V, P, R>(
    factor: &Factor<V, P, R>,
    (tensor, model): (usize, usize),
    policy: BadNumbers,
    shell: Shell,
    summary: &mut Summary,
) -> Result<(), Error>
where
    V: Values<R> + Copy,
    P: Values<R> + Copy,
    R: Real,
{
    let mut from = 0;
    while let Some(at) = shell.run(Look { factor, from }) {
        from = at + BLOCK.min(factor.count() - at);
        for index in at..from {
            let (fisher, mean) = factor.element(index);
            judge(policy, (tensor, model, Role::Mean, index), mean, summary)?;
            judge(policy, (tensor, model, Role::Precision, index), fisher, summary)?;
        }
    }
    Ok(())
}

/// Looks for a block that holds a bad number; gives where it starts.
struct Look<'a, V, P, R: Real> {
    factor: &'a Factor<V, P, R>,
    from: usize,
}

impl<V: Values<R> + Copy, P: Values<R> + Copy, R: Real> Kernel for Look<'_, V, P, R> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Option<usize> {
        let (views, mut buffers) = (Views::of(self.factor), Buffers::new());
        let mut at = self.from;
        while at < self.factor.count() {
            let (fisher, mean) = buffers.read::<I, V, P>(&views, at, BLOCK.min(self.factor.count() - at));
            let mut bad = R::Lane::default();
            for (&fisher, &mean) in fisher.iter().zip(mean) {
                bad |= R::Lane::from(!(is_finite(mean) && is_finite(fisher) && fisher >= R::ZERO));
            }
            if bad.into() != 0 {
                return Some(at);
            }
            at += BLOCK;
        }
        None
    }
}
