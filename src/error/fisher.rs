//! What can be wrong with an estimate of a Fisher, or with its bytes.

use core::fmt;

use super::Defect;

/// Whose gradients were squared: what an estimate is of. It travels with every Fisher, and estimates of different kinds do not combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Estimator {
    /// `E_{y∼p(y|x)}` as a sum over all labels, weighted by their probabilities: no sampling error for the given examples.
    Exact,
    /// Labels drawn from the model.
    MonteCarlo {
        /// Draws for every example.
        draws: u32,
    },
    /// The labels that were observed: the empirical Fisher, which is no Fisher far from a fit (Kunstner, Hennig & Balles, "Limitations of
    /// the Empirical Fisher Approximation", NeurIPS 2019).
    Empirical,
    /// Squared means of batches: near a stationary point about `F / batch`, elsewhere the square of the gradient as well.
    BatchMean {
        /// Examples of a batch.
        batch: u32,
    },
    /// An optimiser's running mean of squared batch-mean gradients.
    SecondMoment {
        /// Examples of a batch.
        batch: u32,
    },
}

impl Estimator {
    /// How many observations an example has, where that is fixed.
    pub(crate) const fn observations(self) -> Option<u32> {
        match self {
            Self::MonteCarlo { draws } => Some(draws),
            Self::Empirical | Self::BatchMean { .. } => Some(1),
            Self::Exact | Self::SecondMoment { .. } => None,
        }
    }

    /// How many examples an observed one stands for.
    pub(crate) const fn examples(self) -> u32 {
        if let Self::BatchMean { batch } = self { batch } else { 1 }
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::MonteCarlo { draws } => write!(f, "Monte-Carlo of {draws} draws"),
            Self::Empirical => f.write_str("empirical"),
            Self::BatchMean { batch } => write!(f, "squared means of batches of {batch}"),
            Self::SecondMoment { batch } => write!(f, "second moment of batches of {batch}"),
        }
    }
}

/// What of a Fisher is estimated, and held. Estimates of different structures do not combine. Its number is that of the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FisherStructure {
    /// Its diagonal.
    Diagonal = 0,
    /// `G ⊗ A` of a layer, every position an input of its own (Martens & Grosse, "Optimizing Neural Networks with Kronecker-factored
    /// Approximate Curvature", ICML 2015; "expand" of Eschenhagen et al., "Kronecker-Factored Approximate Curvature for Modern Neural
    /// Network Architectures", NeurIPS 2023).
    KroneckerExpand = 1,
    /// `G ⊗ A` of a layer, inputs averaged and gradients summed over positions first ("reduce" of Eschenhagen et al., NeurIPS 2023).
    KroneckerReduce = 2,
    /// All of it.
    Dense = 3,
}

impl fmt::Display for FisherStructure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diagonal => "diagonal",
            Self::KroneckerExpand => "Kronecker-factored (expand)",
            Self::KroneckerReduce => "Kronecker-factored (reduce)",
            Self::Dense => "dense",
        })
    }
}

/// Why a call of a Fisher accumulator was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FisherFault {
    /// Another estimator, or another number of draws or examples of a batch. Code 32.
    Estimator {
        /// What the accumulator estimates with.
        expected: Estimator,
        /// What was to be added.
        found: Estimator,
    },
    /// Another unit of the sums. Code 33.
    Unit {
        /// The accumulator's.
        expected: i32,
        /// The other's.
        found: i32,
    },
    /// Another model's tag. Code 34.
    Model {
        /// The accumulator's.
        expected: u64,
        /// The other's.
        found: u64,
    },
    /// A gradient, a batch or a state of another length. Code 35.
    Length {
        /// How many numbers were expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The weights of an example's observations do not add up to the example's weight: probabilities that do not sum to one, their roots
    /// in place of them, a label or a draw too few or too many. Code 36.
    Share {
        /// The weight of the example, or of all examples of a batch.
        expected: f64,
        /// What its observations add up to.
        found: f64,
    },
    /// Another number of observations than draws. Code 37.
    Draws {
        /// Draws for every example.
        expected: u32,
        /// Observations of this one.
        found: u32,
    },
    /// An example is not ended. Code 38.
    OpenExample,
    /// There is no example. Code 39.
    NoExamples,
    /// Blocks of examples do not ascend, which would change the order of additions. Code 40.
    BlockOrder {
        /// The last block.
        last: u64,
        /// The one after it.
        found: u64,
    },
    /// Another number of slots. Code 41.
    Slots {
        /// The accumulator's.
        expected: u32,
        /// The other's.
        found: u32,
    },
    /// A weight, a probability or a loss scale that is none. Code 42.
    BadWeight {
        /// What is bad about it.
        defect: Defect,
    },
    /// A count that must not be zero is: draws, a batch, slots, columns, positions, a step. Code 43.
    Zero,
    /// A header that is too short. Code 44.
    Truncated {
        /// Bytes of a header.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// Bytes that are no header of a Fisher. Code 45.
    Foreign,
    /// A header of another version. Code 46.
    Version {
        /// Its version.
        found: u16,
    },
    /// A header of sums in another type, by the header's number. Code 47.
    Element {
        /// What it says.
        found: u8,
    },
    /// A header whose counts are not those of the state. Code 48.
    Counts,
    /// An expectation over labels with one label: the gradients of all labels were added before they were squared, which gives zero. Code 49.
    SoleLabel,
    /// A compact Fisher with a block whose scale is none: the bytes were never written, or are something else. Code 50.
    Scale {
        /// The first such block, of 256 entries.
        block: usize,
        /// The pattern in its place.
        found: u16,
    },
    /// The inputs of a layer's batch were not observed, or twice, or of examples of other weights. Code 51.
    Inputs {
        /// What the weights of the batch's examples add up to.
        expected: f64,
        /// What the weights of the observed inputs add up to.
        found: f64,
    },
    /// Another structure. Code 52.
    Structure {
        /// The accumulator's, or one of those that it can have.
        expected: FisherStructure,
        /// The other's.
        found: FisherStructure,
    },
}

impl FisherFault {
    pub(super) const fn code(&self) -> u16 {
        match self {
            Self::Estimator { .. } => 32,
            Self::Unit { .. } => 33,
            Self::Model { .. } => 34,
            Self::Length { .. } => 35,
            Self::Share { .. } => 36,
            Self::Draws { .. } => 37,
            Self::OpenExample => 38,
            Self::NoExamples => 39,
            Self::BlockOrder { .. } => 40,
            Self::Slots { .. } => 41,
            Self::BadWeight { .. } => 42,
            Self::Zero => 43,
            Self::Truncated { .. } => 44,
            Self::Foreign => 45,
            Self::Version { .. } => 46,
            Self::Element { .. } => 47,
            Self::Counts => 48,
            Self::SoleLabel => 49,
            Self::Scale { .. } => 50,
            Self::Inputs { .. } => 51,
            Self::Structure { .. } => 52,
        }
    }
}

impl fmt::Display for FisherFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Estimator { expected, found } => write!(f, "the estimator is {found}, expected {expected}"),
            Self::Unit { expected, found } => write!(f, "the unit is 2^{found}, expected 2^{expected}"),
            Self::Model { expected, found } => write!(f, "the model's tag is {found:#x}, expected {expected:#x}"),
            Self::Length { expected, found } => write!(f, "{found} numbers, expected {expected}"),
            Self::Share { expected, found } => {
                write!(f, "the weights of an example's observations add up to {found}, expected {expected}")
            }
            Self::Draws { expected, found } => write!(f, "{found} observations of an example, expected {expected}"),
            Self::OpenExample => f.write_str("an example is not ended"),
            Self::NoExamples => f.write_str("there are no examples"),
            Self::BlockOrder { last, found } => write!(f, "block {found} comes after block {last}, expected ascending blocks"),
            Self::Slots { expected, found } => write!(f, "{found} slots, expected {expected}"),
            Self::BadWeight { defect } => write!(f, "a weight is {defect}, expected a number above zero, or zero where that has a meaning"),
            Self::Zero => f.write_str("a count is zero, expected one or more"),
            Self::Truncated { expected, found } => write!(f, "a header of {found} bytes, expected {expected}"),
            Self::Foreign => f.write_str("the bytes are no header of a Fisher"),
            Self::Version { found } => write!(f, "a header of version {found}, expected 1"),
            Self::Element { found } => write!(f, "a header of element type {found}, expected another"),
            Self::Counts => f.write_str("the header's counts are not those of the state"),
            Self::SoleLabel => f.write_str("an expectation over labels with one label, expected each label's own gradient"),
            Self::Scale { block, found } => {
                write!(f, "block {block} of a compact Fisher has the scale {found:#06x}, expected a normal number of three fraction bits")
            }
            Self::Inputs { expected, found } => {
                write!(f, "inputs of examples whose weights add up to {found} were observed, expected each example's once, {expected}")
            }
            Self::Structure { expected, found } => write!(f, "the structure is {found}, expected {expected}"),
        }
    }
}
