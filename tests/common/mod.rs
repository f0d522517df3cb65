//! What several test binaries share: exact arithmetic as the judge, the one table of tolerances, and the generators.
//!
//! Nothing here calls the code under test, apart from the names of its types and the ends of their ranges.
#![allow(dead_code, reason = "every test binary takes its own part of this room")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

pub(crate) mod exact;
pub(crate) mod generators;
pub(crate) mod random;
pub(crate) mod tolerance;
