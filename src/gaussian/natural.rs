//! Natural parameters `(Λ, Λμ)`: products add them and removals subtract them. A conversion, not a storage: the ratio `Λμ/Λ` does not give
//! μ back to the last bit.

use crate::error::{Error, Role};
use crate::scalar::Real;
use crate::summary::Summary;

fn same_length(role: Role, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { tensor: 0, model: 0, role, expected, found }) }
}

/// Writes the precision-mean `η = Λμ` of each element.
///
/// Empty slices write nothing. What is too large or too small for `R` rounds to infinity or zero and is counted as out of range.
///
/// # Errors
/// [`Error::Length`] if the three slices differ in length; then nothing is written.
///
/// ```
/// let mut eta = [0.0; 2];
/// let summary = fisher_merge::to_natural(&[2.0, 0.5], &[3.0, 4.0], &mut eta)?;
/// assert_eq!((eta, summary.out_of_range), ([6.0, 2.0], 0));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
pub fn to_natural<R: Real>(precision: &[R], mean: &[R], precision_mean: &mut [R]) -> Result<Summary, Error> {
    same_length(Role::Precision, precision_mean.len(), precision.len())?;
    same_length(Role::Mean, precision_mean.len(), mean.len())?;
    let mut summary = Summary { elements: mean.len() as u64, ..Summary::default() };
    for ((out, &precision), &mean) in precision_mean.iter_mut().zip(precision).zip(mean) {
        *out = precision * mean;
        let lost = out.is_infinite() && mean.is_finite() || out.abs() < R::MIN_NORMAL && precision != R::ZERO && mean != R::ZERO;
        summary.out_of_range += u64::from(lost);
        summary.no_evidence += u64::from(precision == R::ZERO);
    }
    Ok(summary)
}

/// Writes the mean `μ = η/Λ` of each element whose precision is above zero; the others keep what `mean` holds and are counted as without
/// evidence (a negative precision is counted as negative as well).
///
/// Within `(eps of η's rounding + 0.5 ulp)` of the mean that [`to_natural`] took; not bit for bit.
///
/// # Errors
/// [`Error::Length`] if the three slices differ in length; then nothing is written.
///
/// ```
/// let mut mean = [7.0, 7.0];
/// let summary = fisher_merge::from_natural(&[2.0, 0.0], &[6.0, 0.0], &mut mean)?;
/// assert_eq!((mean, summary.no_evidence), ([3.0, 7.0], 1));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
pub fn from_natural<R: Real>(precision: &[R], precision_mean: &[R], mean: &mut [R]) -> Result<Summary, Error> {
    same_length(Role::Precision, mean.len(), precision.len())?;
    same_length(Role::Mean, mean.len(), precision_mean.len())?;
    let mut summary = Summary { elements: mean.len() as u64, ..Summary::default() };
    for ((out, &precision), &eta) in mean.iter_mut().zip(precision).zip(precision_mean) {
        if precision.is_nan() {
            summary.nan += 1;
            *out = precision;
        } else if precision > R::ZERO {
            *out = eta / precision;
            summary.out_of_range += u64::from(out.is_infinite() && eta.is_finite());
        } else {
            summary.no_evidence += 1;
            summary.negative += u64::from(precision < R::ZERO);
        }
    }
    Ok(summary)
}
