//! The library's errors, which go by numbers, in the words of tensors and files.

use std::path::Path;

use fisher_merge::{Element, Error, Fault, Mismatch, ParameterInfo, Role};

use super::Failure;

/// The files of a run.
pub struct Files<'f> {
    pub models: Vec<&'f Path>,
    pub fishers: Vec<&'f Path>,
    pub target: &'f Path,
}

impl<'f> Files<'f> {
    /// The file of a role.
    fn of(&self, model: usize, role: Role) -> &'f Path {
        let file = match role {
            Role::Mean => self.models.get(model),
            Role::Precision => self.fishers.get(model),
            _ => None,
        };
        file.copied().unwrap_or(self.target)
    }

    /// One disagreement, with what was expected and what was found.
    pub fn mismatch(&self, mismatch: &Mismatch, (expected, found): (Option<ParameterInfo<'_>>, Option<ParameterInfo<'_>>)) -> String {
        let name = expected.or(found).map_or("?", |info| info.name);
        let file = self.of(mismatch.model, mismatch.role).display();
        let all =
            |info: Option<ParameterInfo<'_>>| info.map_or_else(|| "nothing".into(), |info| format!("{} {:?}", info.element, info.shape));
        let element = |info: Option<ParameterInfo<'_>>| info.map_or_else(|| "nothing".into(), |info| info.element.to_string());
        let shape = |info: Option<ParameterInfo<'_>>| info.map_or_else(|| "none".into(), |info| format!("{:?}", info.shape));
        let what = match mismatch.fault {
            Fault::Missing => format!("is missing, expected {} as in {}", all(expected), self.target.display()),
            Fault::Extra => format!("({}) is not in {}, expected the same tensors", all(found), self.target.display()),
            Fault::Duplicate => "stands there twice".into(),
            Fault::Element => format!("holds {}, expected {}", element(found), kind(expected)),
            Fault::Shape => format!("has shape {}, expected {}", shape(found), shape(expected)),
            Fault::Narrow => format!("is stored as {}, which the arithmetic cannot hold (see --arithmetic)", element(found)),
            other => other.to_string(),
        };
        format!("{file}: tensor {name} {what}")
    }

    /// An error of the run; `name` is that of a tensor by its number in the target.
    pub fn error(&self, error: Error, name: impl Fn(usize) -> String) -> Failure {
        match error {
            Error::BadNumber { tensor, model, role, index, defect } => {
                let file = self.of(model, role).display();
                Failure::input(format!("{file}: tensor {}: {role} [{index}] is {defect} (see --nan)", name(tensor)))
            }
            Error::NoEvidence { tensor, index } => {
                Failure::input(format!("tensor {}: no model has evidence at element {index} (see --no-evidence)", name(tensor)))
            }
            Error::Store { tensor, model, role, error } => {
                Failure::input(format!("{}: tensor {}: {error}", self.of(model, role).display(), name(tensor)))
            }
            Error::BadWeight { .. } | Error::AllWeightsZero | Error::BadFloor { .. } => Failure::Call(error.to_string()),
            other => Failure::input(other.to_string()),
        }
    }
}

/// What goes with a tensor: any numbers with numbers, otherwise the same type.
fn kind(expected: Option<ParameterInfo<'_>>) -> String {
    match expected.map(|info| info.element) {
        Some(Element::Number(dtype)) => format!("floating-point numbers as in the target's {dtype}"),
        Some(other) => other.to_string(),
        None => "nothing".into(),
    }
}
