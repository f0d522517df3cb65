//! The header that travels with the state of a Fisher: 64 bytes, little-endian, versioned.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `FMFS` |
//! | 4..6 | version, 1 |
//! | 6 | element type of the sums: 1 for `f32`, 2 for `f64` |
//! | 7 | estimator: 1 exact, 2 Monte-Carlo, 3 empirical, 4 batch means, 5 second moment |
//! | 8..12 | draws or examples of a batch, else 0 |
//! | 12..16 | unit, signed |
//! | 16..20 | slots |
//! | 20 | structure: 0 diagonal, 1 Kronecker factors in the expand and 2 in the reduce convention, 3 dense |
//! | 21 | whether the last input of Kronecker factors is the one of the biases |
//! | 22..24 | 0 |
//! | 24..32 | parameters; of Kronecker factors rows of `G` and rows of `A`, as two `u32` |
//! | 32..40 | the caller's tag of the model |
//! | 40..48 | examples |
//! | 48..56 | sum of weights, `f64` |
//! | 56..64 | sum of squared weights, `f64` |

use super::ledger::expect;
use super::sampling::Sampling;
use super::spec::FisherSpec;
use super::{DenseFisher, DiagonalFisher, KroneckerFisher};
use crate::error::{Error, Estimator, FisherFault};
use crate::scalar::{Dtype, Real};
use crate::view::{LeBytes, Values, store};

/// Bytes of a header.
pub const FISHER_HEADER: usize = 64;

const MAGIC: [u8; 4] = *b"FMFS";
const VERSION: u16 = 1;

/// What the bytes of a state are.
///
/// ```
/// use fisher_merge::{DiagonalFisher, Dtype, FisherHeader, FisherSpec, Gradient, ObservedLabels};
/// let spec = FisherSpec::new(1).model(7);
/// let (mut here, mut there, mut wire) = ([0.0_f64; 5], [0.0; 5], [0; 5 * 8]);
/// let mut fisher = DiagonalFisher::observed_labels(spec, &mut here)?;
/// fisher.example(Gradient::new(&[3.0][..]))?;
/// let header = fisher.write_state(&mut wire)?.to_bytes();
///
/// let header = FisherHeader::from_bytes(&header)?;
/// assert_eq!((header.element, header.examples), (Dtype::F64, 1));
/// let mut received = DiagonalFisher::<ObservedLabels, f64>::read_state(&header, &wire, &mut there)?;
/// received.example(Gradient::new(&[1.0][..]))?;
/// let mut out = [0.0];
/// received.finish_into(&mut out[..])?;
/// assert_eq!(out, [5.0]);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FisherHeader {
    /// Parameters, slots, unit and tag.
    pub spec: FisherSpec,
    /// Whose gradients were squared.
    pub estimator: Estimator,
    /// The type of the sums.
    pub element: Dtype,
    /// How many examples.
    pub examples: u64,
    /// The sum of their weights.
    pub weight: f64,
    /// The sum of their squared weights.
    pub squared_weight: f64,
}

impl FisherHeader {
    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; FISHER_HEADER] {
        let (estimator, number) = match self.estimator {
            Estimator::Exact => (1, 0),
            Estimator::MonteCarlo { draws } => (2, draws),
            Estimator::Empirical => (3, 0),
            Estimator::BatchMean { batch } => (4, batch),
            Estimator::SecondMoment { batch } => (5, batch),
        };
        let element = if self.element == Dtype::F32 { 1 } else { 2 };
        let mut bytes = [0; FISHER_HEADER];
        let fields: [&[u8]; 12] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            &[element, estimator],
            &number.to_le_bytes(),
            &self.spec.unit.to_le_bytes(),
            &self.spec.slots.to_le_bytes(),
            &[self.spec.structure as u8, u8::from(self.spec.homogeneous), 0, 0],
            &shape_to_bytes(&self.spec),
            &self.spec.model.to_le_bytes(),
            &self.examples.to_le_bytes(),
            &self.weight.to_le_bytes(),
            &self.squared_weight.to_le_bytes(),
        ];
        for (out, &byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *out = byte;
        }
        bytes
    }

    /// From bytes; what follows them is not looked at.
    ///
    /// # Errors
    /// [`FisherFault::Truncated`], [`FisherFault::Foreign`], [`FisherFault::Version`], [`FisherFault::Element`], [`FisherFault::Zero`] for
    /// counts that must not be zero, [`FisherFault::Length`] for more parameters than this machine can count.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut rest = bytes;
        let truncated = FisherFault::Truncated { expected: FISHER_HEADER, found: bytes.len() };
        if bytes.len() < FISHER_HEADER {
            return Err(truncated.into());
        }
        if take::<4>(&mut rest).ok_or(truncated)? != MAGIC {
            return Err(FisherFault::Foreign.into());
        }
        let version = u16::from_le_bytes(take(&mut rest).ok_or(truncated)?);
        if version != VERSION {
            return Err(FisherFault::Version { found: version }.into());
        }
        let [element, kind] = take(&mut rest).ok_or(truncated)?;
        let element = match element {
            1 => Dtype::F32,
            2 => Dtype::F64,
            found => return Err(FisherFault::Element { found }.into()),
        };
        let number = u32::from_le_bytes(take(&mut rest).ok_or(truncated)?);
        let estimator = match kind {
            1 => Estimator::Exact,
            2 => Estimator::MonteCarlo { draws: number },
            3 => Estimator::Empirical,
            4 => Estimator::BatchMean { batch: number },
            5 => Estimator::SecondMoment { batch: number },
            _ => return Err(FisherFault::Foreign.into()),
        };
        let unit = i32::from_le_bytes(take(&mut rest).ok_or(truncated)?);
        let slots = u32::from_le_bytes(take(&mut rest).ok_or(truncated)?);
        let counts_draws = !matches!(estimator, Estimator::Exact | Estimator::Empirical);
        if slots == 0 || (counts_draws && number == 0) {
            return Err(FisherFault::Zero.into());
        }
        let structure: [u8; 4] = take(&mut rest).ok_or(truncated)?;
        if !counts_draws && number != 0 {
            return Err(FisherFault::Foreign.into());
        }
        let spec = shape_from_bytes(structure, take(&mut rest).ok_or(truncated)?)?;
        let model = u64::from_le_bytes(take(&mut rest).ok_or(truncated)?);
        Ok(Self {
            spec: spec.slots(slots).unit(unit).model(model),
            estimator,
            element,
            examples: u64::from_le_bytes(take(&mut rest).ok_or(truncated)?),
            weight: f64::from_le_bytes(take(&mut rest).ok_or(truncated)?),
            squared_weight: f64::from_le_bytes(take(&mut rest).ok_or(truncated)?),
        })
    }
}

/// Parameters, or the sides of factors. No memory holds a state of factors whose side is beyond 32 bits.
fn shape_to_bytes(spec: &FisherSpec) -> [u8; 8] {
    if !spec.is_kronecker() {
        return (spec.length as u64).to_le_bytes();
    }
    let (g, a) = spec.sides();
    (a as u64 & u64::from(u32::MAX)).wrapping_shl(32).wrapping_add(g as u64 & u64::from(u32::MAX)).to_le_bytes()
}

fn shape_from_bytes(structure: [u8; 4], shape: [u8; 8]) -> Result<FisherSpec, Error> {
    let shape = u64::from_le_bytes(shape);
    let count = |shape: u64| usize::try_from(shape).map_err(|_| FisherFault::Length { expected: usize::MAX, found: usize::MAX });
    let (g, a) = (shape & u64::from(u32::MAX), shape >> 32);
    let spec = match structure {
        [0, 0, 0, 0] => FisherSpec::new(count(shape)?),
        [3, 0, 0, 0] => FisherSpec::dense(count(shape)?),
        [kind @ (1 | 2), homogeneous @ (0 | 1), 0, 0] => {
            // The one of the biases is there where it is said to be.
            let inputs = a.checked_sub(u64::from(homogeneous)).ok_or(FisherFault::Foreign)?;
            let shape = (count(g)?, count(inputs)?);
            let spec = if kind == 1 { FisherSpec::kronecker_expand(shape) } else { FisherSpec::kronecker_reduce(shape) };
            spec.homogeneous(homogeneous == 1)
        }
        _ => return Err(FisherFault::Foreign.into()),
    };
    Ok(spec)
}

/// The next bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// Whether estimates may be added.
pub(super) fn same(here: (FisherSpec, Estimator), there: (FisherSpec, Estimator)) -> Result<(), FisherFault> {
    let ((spec, estimator), (other, found)) = (here, there);
    if estimator != found {
        return Err(FisherFault::Estimator { expected: estimator, found });
    }
    if spec.structure != other.structure {
        return Err(FisherFault::Structure { expected: spec.structure, found: other.structure });
    }
    let sizes = |spec: FisherSpec| [spec.length, spec.inputs, spec.length()];
    if let Some((expected, found)) = sizes(spec).into_iter().zip(sizes(other)).find(|(expected, found)| expected != found) {
        return Err(FisherFault::Length { expected, found });
    }
    // Of no outputs, the one of the biases changes no number of parameters.
    if spec.homogeneous != other.homogeneous {
        return Err(FisherFault::Length { expected: spec.sides().1, found: other.sides().1 });
    }
    if spec.model != other.model {
        return Err(FisherFault::Model { expected: spec.model, found: other.model });
    }
    if spec.unit != other.unit {
        return Err(FisherFault::Unit { expected: spec.unit, found: other.unit });
    }
    if spec.slots != other.slots {
        return Err(FisherFault::Slots { expected: spec.slots, found: other.slots });
    }
    Ok(())
}

macro_rules! with_header {
    ($($name:ident)*) => {$(
        impl<'s, E: Sampling, R: Real> $name<'s, E, R> {
            /// The header of the state as it is.
            ///
            /// # Errors
            /// [`FisherFault::OpenExample`].
            pub fn header(&self) -> Result<FisherHeader, Error> {
                self.ledger.refuse_open()?;
                let record = self.record();
                Ok(FisherHeader {
                    spec: self.ledger.spec,
                    estimator: self.ledger.estimator,
                    element: R::DTYPE,
                    examples: record.examples,
                    weight: record.weight,
                    squared_weight: record.squared_weight,
                })
            }

            /// Goes on with a state in memory, which the header describes.
            ///
            /// # Errors
            /// [`FisherFault::Element`], [`FisherFault::Estimator`] and [`FisherFault::Structure`] if it is of other types than these, [`FisherFault::Length`] for a state of
            /// another length, [`FisherFault::Counts`] if the state's counts are not the header's.
            pub fn resume(header: &FisherHeader, state: &'s mut [R]) -> Result<Self, Error> {
                let resumed = Self::resume_sum(header, state)?;
                let record = resumed.record();
                let counted = (record.examples, record.weight, record.squared_weight);
                if counted != (header.examples, header.weight, header.squared_weight) {
                    return Err(FisherFault::Counts.into());
                }
                Ok(resumed)
            }

            /// Goes on with the sum of several states (of an all-reduce), one of which the header describes: its counts are not compared.
            ///
            /// # Errors
            /// As [`resume`](Self::resume), but for the counts.
            pub fn resume_sum(header: &FisherHeader, state: &'s mut [R]) -> Result<Self, Error> {
                if header.element != R::DTYPE {
                    return Err(FisherFault::Element { found: if header.element == Dtype::F32 { 1 } else { 2 } }.into());
                }
                if !E::is(header.estimator) {
                    return Err(FisherFault::Estimator { expected: E::EXAMPLE, found: header.estimator }.into());
                }
                Self::over(header.spec, header.estimator, state)
            }

            /// Writes the state as little-endian bytes, `size_of::<R>()` for each number.
            ///
            /// # Errors
            /// [`FisherFault::OpenExample`]; [`FisherFault::Length`] if there is not room for exactly all, with nothing written.
            pub fn write_state(&self, bytes: &mut [u8]) -> Result<FisherHeader, Error> {
                let header = self.header()?;
                expect(self.ledger.state.len() * R::DTYPE.bytes(), bytes.len())?;
                store(&mut LeBytes::new(R::DTYPE, bytes)?, 0, self.ledger.state);
                Ok(header)
            }

            /// Reads what [`write_state`](Self::write_state) wrote, on this machine or another, into memory, and goes on with it.
            ///
            /// # Errors
            /// As [`resume`](Self::resume); [`FisherFault::Length`] for too many or too few bytes.
            pub fn read_state(header: &FisherHeader, bytes: &[u8], state: &'s mut [R]) -> Result<Self, Error> {
                expect(state.len() * R::DTYPE.bytes(), bytes.len())?;
                let view = LeBytes::new(R::DTYPE, bytes)?;
                for (index, out) in state.iter_mut().enumerate() {
                    *out = view.at(index).unwrap_or(R::ZERO);
                }
                Self::resume(header, state)
            }
        }
    )*};
}
with_header! { DiagonalFisher KroneckerFisher DenseFisher }
