//! Every disagreement between the stores of a merge, one after the other, without heap and without reading a number.

use super::model::Model;
use crate::error::{Fault, Mismatch, Role};
use crate::scalar::Real;
use crate::store::{Element, ParameterInfo, ParameterSource};

/// Which tensors are merged.
pub(super) type Only<'a> = Option<&'a dyn Fn(&ParameterInfo<'_>) -> bool>;

pub(super) fn is_selected(only: Only<'_>, info: &ParameterInfo<'_>) -> bool {
    only.is_none_or(|only| only(info))
}

/// One store of a merge: whose it is, and what for.
#[derive(Clone, Copy)]
struct Side<'s, R: Real> {
    model: usize,
    role: Role,
    store: &'s dyn ParameterSource<R>,
}

/// The disagreements of a merge, lazily. See [`StoreMerge::mismatches`](super::StoreMerge::mismatches).
#[allow(missing_debug_implementations, reason = "stores need not have one")]
pub struct Mismatches<'s, R: Real> {
    pub(super) target: &'s dyn ParameterSource<R>,
    pub(super) precision: Option<&'s dyn ParameterSource<R>>,
    pub(super) prior: Option<&'s dyn ParameterSource<R>>,
    pub(super) models: &'s [Model<'s, R>],
    pub(super) only: Only<'s>,
    /// The side that is compared (the target itself comes first), the tensor, and how many of its faults were given.
    pub(super) at: (usize, usize, usize),
}

impl<'s, R: Real> Mismatches<'s, R> {
    /// Every store: the target, the precision's, the prior's, then means and Fishers of the models. The inner `None` is a place without one.
    fn side(&self, number: usize) -> Option<Option<Side<'s, R>>> {
        let output = |role, store: Option<_>| Some(store.map(|store| Side { model: 0, role, store }));
        match number {
            0 => output(Role::MeanOut, Some(self.target)),
            1 => output(Role::PrecisionOut, self.precision),
            2 => output(Role::PriorMean, self.prior),
            _ => {
                let number = number - 3;
                let model = self.models.get(number / 2)?;
                let (role, store) =
                    if number % 2 == 0 { (Role::Mean, model.mean_store()) } else { (Role::Precision, model.fisher_store()) };
                Some(store.map(|store| Side { model: number / 2, role, store }))
            }
        }
    }

    /// The fault number `which` of a side at `tensor`: first what the target's tensors lack there, then what its own have too much.
    fn fault(&self, side: &Side<'s, R>, tensor: usize, which: usize) -> Option<(usize, Fault)> {
        let targets = self.target.count();
        let faults = if tensor < targets {
            let info = self.target.info(tensor).filter(|info| is_selected(self.only, info))?;
            let is_target = side.role == Role::MeanOut;
            [(!is_target).then(|| pair(side, &info, tensor)).flatten(), width(side, &info, tensor)].map(|fault| (tensor, fault))
        } else {
            let own = tensor - targets;
            let info = side.store.info(own).filter(|info| is_selected(self.only, info))?;
            // From the front, a name that stands twice is found at its first place.
            let twice = side.store.find(info.name, 0) != Some(own);
            let extra = self.target.find(info.name, own).is_none();
            [twice.then_some(Fault::Duplicate), (extra && !twice).then_some(Fault::Extra)].map(|fault| (own, fault))
        };
        faults.into_iter().filter_map(|(tensor, fault)| Some((tensor, fault?))).nth(which)
    }
}

impl<'s, R: Real> Mismatches<'s, R> {
    /// What the target expects and what the store has instead, for messages: `(expected, found)`, `None` for what is not there.
    #[must_use]
    pub fn explain(&self, mismatch: &Mismatch) -> (Option<ParameterInfo<'s>>, Option<ParameterInfo<'s>>) {
        let number = match mismatch.role {
            Role::MeanOut => 0,
            Role::PrecisionOut => 1,
            Role::PriorMean => 2,
            Role::Precision => 4 + 2 * mismatch.model,
            _ => 3 + 2 * mismatch.model,
        };
        let Some(Some(side)) = self.side(number) else { return (None, None) };
        match mismatch.fault {
            Fault::Extra | Fault::Duplicate => (None, side.store.info(mismatch.tensor)),
            _ => {
                let expected = self.target.info(mismatch.tensor);
                let found =
                    expected.and_then(|wanted| side.store.find(wanted.name, mismatch.tensor)).and_then(|index| side.store.info(index));
                (expected, found)
            }
        }
    }
}

/// What keeps a tensor of a side from going with the target's. Of what is not merged, a Fisher and a precision need to have nothing.
fn pair<R: Real>(side: &Side<'_, R>, wanted: &ParameterInfo<'_>, hint: usize) -> Option<Fault> {
    let Some(found) = side.store.find(wanted.name, hint).and_then(|index| side.store.info(index)) else {
        let needed = matches!(wanted.element, Element::Number(_)) || side.role == Role::Mean;
        return needed.then_some(Fault::Missing);
    };
    match (wanted.element, found.element) {
        (Element::Number(_), Element::Number(_)) => {}
        (Element::Other(_), _) if side.role != Role::Mean => return None,
        (Element::Other(wanted), Element::Other(found)) if wanted == found => {}
        _ => return Some(Fault::Element),
    }
    (wanted.shape != found.shape).then_some(Fault::Shape)
}

/// What keeps a side's tensor from being reckoned with: a shape that cannot be counted, or more digits than the arithmetic has.
fn width<R: Real>(side: &Side<'_, R>, wanted: &ParameterInfo<'_>, hint: usize) -> Option<Fault> {
    let found = side.store.find(wanted.name, hint).and_then(|index| side.store.info(index))?;
    match found.element {
        _ if side.role == Role::MeanOut && found.count().is_none() => Some(Fault::Shape),
        Element::Number(storage) if !R::DTYPE.holds(storage) => Some(Fault::Narrow),
        _ => None,
    }
}

impl<R: Real> Iterator for Mismatches<'_, R> {
    type Item = Mismatch;

    fn next(&mut self) -> Option<Mismatch> {
        loop {
            let (number, tensor, which) = self.at;
            let side = self.side(number)?;
            let Some(side) = side.filter(|side| tensor < self.target.count() + side.store.count()) else {
                self.at = (number + 1, 0, 0);
                continue;
            };
            if let Some((named, fault)) = self.fault(&side, tensor, which) {
                self.at.2 += 1;
                return Some(Mismatch { tensor: named, model: side.model, role: side.role, fault });
            }
            self.at = (number, tensor + 1, 0);
        }
    }
}
