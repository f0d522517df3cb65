//! What all accumulators offer alike: how they are begun, where their blocks go, and what they have seen.

use core::marker::PhantomData;

use super::ledger::Ledger;
use super::sampling::{ExactLabels, ObservedLabels, SampledLabels, Sampling};
use super::spec::{FisherRecord, FisherSpec};
use super::{DenseFisher, DiagonalFisher, KroneckerFisher};
use crate::error::{Error, Estimator, FisherFault, FisherStructure};
use crate::kernel::Shell;
use crate::scalar::Real;

macro_rules! accumulators {
    ($($name:ident, $structures:pat, $structure:expr;)*) => {$(
        impl<'s, R: Real> $name<'s, ExactLabels, R> {
            /// Of nothing yet, in this memory, which is cleared.
            ///
            /// # Errors
            /// [`FisherFault::Length`] if it is not [`FisherSpec::state_len`] long, [`FisherFault::Structure`] for a specification of
            /// another structure. So for all kinds.
            pub fn exact(spec: FisherSpec, state: &'s mut [R]) -> Result<Self, Error> {
                Self::start(spec, Estimator::Exact, state)
            }
        }

        impl<'s, R: Real> $name<'s, SampledLabels, R> {
            /// Of nothing yet, with so many draws for every example.
            ///
            /// # Errors
            /// [`FisherFault::Zero`], [`FisherFault::Length`], [`FisherFault::Structure`].
            pub fn sampled(draws: u32, spec: FisherSpec, state: &'s mut [R]) -> Result<Self, Error> {
                if draws == 0 {
                    return Err(FisherFault::Zero.into());
                }
                Self::start(spec, Estimator::MonteCarlo { draws }, state)
            }
        }

        impl<'s, R: Real> $name<'s, ObservedLabels, R> {
            /// Of nothing yet.
            ///
            /// # Errors
            /// [`FisherFault::Length`], [`FisherFault::Structure`].
            pub fn observed_labels(spec: FisherSpec, state: &'s mut [R]) -> Result<Self, Error> {
                Self::start(spec, Estimator::Empirical, state)
            }
        }

        impl<'s, E: Sampling, R: Real> $name<'s, E, R> {
            /// Starts at nothing, in this memory.
            pub(super) fn start(spec: FisherSpec, estimator: Estimator, state: &'s mut [R]) -> Result<Self, Error> {
                Self::refuse_structure(spec)?;
                Ok(Self { ledger: Ledger::start(spec, estimator, state)?, kind: PhantomData })
            }

            /// Goes on with what is in this memory.
            pub(super) fn over(spec: FisherSpec, estimator: Estimator, state: &'s mut [R]) -> Result<Self, Error> {
                Self::refuse_structure(spec)?;
                Ok(Self { ledger: Ledger::over(spec, estimator, state)?, kind: PhantomData })
            }

            fn refuse_structure(spec: FisherSpec) -> Result<(), Error> {
                match spec.structure {
                    $structures => Ok(()),
                    found => Err(FisherFault::Structure { expected: $structure, found }.into()),
                }
            }

            /// Runs in another shell, for tests: the bits are the same.
            #[must_use]
            pub fn shell(mut self, shell: Shell) -> Self {
                self.ledger.shell = shell;
                self
            }

            /// What is estimated.
            #[must_use]
            pub fn spec(&self) -> FisherSpec {
                self.ledger.spec
            }

            /// The raw state, to be stored, sent or all-reduced: the sum of states is the state of all examples.
            #[must_use]
            pub fn state(&self) -> &[R] {
                self.ledger.state
            }

            /// Observes the examples of this block from now on, in the slot `block % slots`. Blocks ascend.
            ///
            /// # Errors
            /// [`FisherFault::BlockOrder`], [`FisherFault::OpenExample`].
            pub fn begin_block(&mut self, block: u64) -> Result<(), Error> {
                self.ledger.begin_block(block)
            }

            /// What was observed so far.
            #[must_use]
            pub fn record(&self) -> FisherRecord {
                self.ledger.record()
            }

            /// Forgets everything.
            pub fn reset(&mut self) {
                self.ledger.reset();
            }
        }
    )*};
}
accumulators! {
    DiagonalFisher, FisherStructure::Diagonal, FisherStructure::Diagonal;
    KroneckerFisher, FisherStructure::KroneckerExpand | FisherStructure::KroneckerReduce, FisherStructure::KroneckerExpand;
    DenseFisher, FisherStructure::Dense, FisherStructure::Dense;
}
