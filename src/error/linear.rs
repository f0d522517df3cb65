//! What can be wrong with a matrix.

use core::fmt;

/// Why dense linear algebra was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LinearFault {
    /// A slice is too short for its matrix, rows are longer than their stride, or the shapes of a product do not go together. Code 64.
    Shape {
        /// The number of rows, columns or elements that was expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The scratch is too short. Code 65.
    Scratch {
        /// How many numbers it takes.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// A matrix that must be positive definite is not, to the precision of the arithmetic: a pivot of its factorisation is zero or below.
    /// Code 66.
    NotPositiveDefinite {
        /// The row of that pivot.
        pivot: usize,
    },
    /// A matrix holds NaN or an infinity. Code 67.
    NotFinite {
        /// The row where it was found: of a factorisation the first pivot that it reaches.
        row: usize,
    },
    /// The eigenvalue iteration used up its bounded number of sweeps. Code 68.
    NoConvergence {
        /// The row of the eigenvalue that was left.
        row: usize,
    },
    /// A matrix is not symmetric. Code 70.
    NotSymmetric {
        /// The row of an element below the diagonal that differs from the one above it.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// A structure cannot be written as the one that was asked for. Code 71.
    Structure {
        /// The model that has it, among those that take part.
        model: usize,
    },
    /// No solver that was brought along solves for such a sum of precisions. Code 72.
    NoSolver,
    /// A product of the caller's failed. Code 69.
    Backend {
        /// What it says.
        code: u32,
    },
}

impl LinearFault {
    pub(super) const fn code(&self) -> u16 {
        match self {
            Self::Shape { .. } => 64,
            Self::Scratch { .. } => 65,
            Self::NotPositiveDefinite { .. } => 66,
            Self::NotFinite { .. } => 67,
            Self::NoConvergence { .. } => 68,
            Self::Backend { .. } => 69,
            Self::NotSymmetric { .. } => 70,
            Self::Structure { .. } => 71,
            Self::NoSolver => 72,
        }
    }
}

impl fmt::Display for LinearFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Shape { expected, found } => write!(f, "a matrix of another shape: {found} found, expected {expected}"),
            Self::Scratch { needed, found } => write!(f, "the scratch holds {found} numbers, expected at least {needed}"),
            Self::NotPositiveDefinite { pivot } => write!(f, "the matrix is not positive definite at row {pivot}"),
            Self::NotFinite { row } => write!(f, "the matrix is not finite at row {row}"),
            Self::NoConvergence { row } => write!(f, "the eigenvalue of row {row} did not converge"),
            Self::NotSymmetric { row, column } => write!(f, "the matrix is not symmetric at row {row}, column {column}"),
            Self::Structure { model } => write!(f, "the precision of model {model} has no such form"),
            Self::NoSolver => f.write_str("no solver for such precisions was brought along"),
            Self::Backend { code } => write!(f, "the matrix product failed with code {code}"),
        }
    }
}

impl core::error::Error for LinearFault {}
