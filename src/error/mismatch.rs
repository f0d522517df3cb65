//! How the tensors of models and targets may disagree.

use core::fmt;

use super::Role;

/// What a store holds that does not go with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The target's tensor is not there.
    Missing,
    /// The target has no tensor of this name.
    Extra,
    /// An earlier tensor of the same store has this name.
    Duplicate,
    /// It holds elements of another kind: numbers against others, or others of another type.
    Element,
    /// It has another shape, or one whose elements cannot be counted.
    Shape,
    /// Its numbers are wider than the arithmetic.
    Narrow,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Extra => "is not in the target",
            Self::Duplicate => "stands there twice",
            Self::Element => "holds elements of another kind",
            Self::Shape => "has another shape",
            Self::Narrow => "is stored in more digits than the arithmetic has",
        })
    }
}

/// One disagreement between a store and the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mismatch {
    /// The tensor: its number in the target, and for [`Fault::Extra`] and [`Fault::Duplicate`] in the store itself.
    pub tensor: usize,
    /// The model whose store it is (0 for targets and the prior mean).
    pub model: usize,
    /// Which of its stores.
    pub role: Role,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, model, role, fault } = self;
        write!(f, "tensor {tensor}, model {model}: {role} {fault}")
    }
}
