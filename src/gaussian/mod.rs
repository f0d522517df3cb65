//! Posteriors over the parameters of one tensor: a mean and a precision, borrowed.
//!
//! [`Posterior`] is isotropic, scaled by tensor, or diagonal; [`Factor`] is its power, which is what a product takes; `natural` converts to
//! and from `(Λ, Λμ)`. A new kind of posterior is a variant of [`Precision`].

mod factor;
mod natural;
mod posterior;

pub use factor::Factor;
pub(crate) use factor::{Buffers, Views};
pub use natural::{from_natural, to_natural};
pub use posterior::{Posterior, Precision};
