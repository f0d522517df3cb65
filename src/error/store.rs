//! What a store says when it fails.

use core::fmt;

/// Why a store did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// There is no such tensor or no such range.
    OutOfRange,
    /// Reading failed.
    Read,
    /// Writing failed.
    Write,
    /// The store cannot do that at all.
    Unsupported,
}

/// Why a store did not do what it was asked for, with a number of the store's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StoreError {
    /// What kind of failure.
    pub kind: StoreErrorKind,
    /// What the store's author says about it: an operating system's error, a page, a line.
    pub code: u32,
}

impl StoreError {
    /// A failure without a code.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, code: 0 }
    }

    /// The same with a code.
    #[must_use]
    pub const fn with_code(self, code: u32) -> Self {
        Self { code, ..self }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StoreErrorKind::OutOfRange => "there is no such range",
            StoreErrorKind::Read => "reading failed",
            StoreErrorKind::Write => "writing failed",
            StoreErrorKind::Unsupported => "the store cannot do that",
        };
        write!(f, "{kind} (code {})", self.code)
    }
}

impl core::error::Error for StoreError {}
