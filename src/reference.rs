//! The definition in plain code: one coordinate at a time, in `f64`, as the papers write it. It shares no code with the rest of the crate.
//!
//! These functions are for reading and for checking against. They overflow, underflow and round as their formulas do; the merge of this
//! crate is the one that does not. Each returns `None` where its formula divides by nothing. Inputs are read up to the shortest slice.
//!
//! ```
//! use fisher_merge::reference;
//! // Two models, λ = ½ each, Fisher 3 and 1, parameters 1 and 2.
//! assert_eq!(reference::fisher_weighted(&[0.5, 0.5], &[3.0, 1.0], &[1.0, 2.0]), Some(1.25));
//! ```

/// The weighted average `Σ λ_m θ_m / Σ λ_m` (isotropic merging in Matena & Raffel 2022).
///
/// `None` without models or if the weights sum to zero.
///
/// ```
/// assert_eq!(fisher_merge::reference::isotropic(&[1.0, 3.0], &[0.0, 4.0]), Some(3.0));
/// assert_eq!(fisher_merge::reference::isotropic(&[], &[]), None);
/// ```
#[must_use]
pub fn isotropic(weights: &[f64], means: &[f64]) -> Option<f64> {
    let total: f64 = weights.iter().sum();
    let sum: f64 = weights.iter().zip(means).map(|(weight, mean)| weight * mean).sum();
    (total != 0.0).then(|| sum / total)
}

/// The Fisher-weighted average `Σ λ_m F_m θ_m / Σ λ_m F_m` (Fisher merging in Matena & Raffel 2022).
///
/// `None` if no model has evidence.
///
/// ```
/// assert_eq!(fisher_merge::reference::fisher_weighted(&[0.5, 0.5], &[0.0, 0.0], &[1.0, 1.0]), None);
/// ```
#[must_use]
pub fn fisher_weighted(weights: &[f64], fishers: &[f64], means: &[f64]) -> Option<f64> {
    posterior_product(weights, fishers, means).map(|(_, mean)| mean)
}

/// The product of Gaussian posteriors to the powers λ: precision `Σ λ_m Λ_m` and mean `(Σ λ_m Λ_m)⁻¹ Σ λ_m Λ_m μ_m`.
///
/// `None` if the precision is zero.
///
/// ```
/// assert_eq!(fisher_merge::reference::posterior_product(&[1.0, 1.0], &[3.0, 1.0], &[1.0, 2.0]), Some((4.0, 1.25)));
/// ```
#[must_use]
pub fn posterior_product(weights: &[f64], precisions: &[f64], means: &[f64]) -> Option<(f64, f64)> {
    let (mut precision, mut precision_mean) = (0.0, 0.0);
    for ((weight, model_precision), mean) in weights.iter().zip(precisions).zip(means) {
        precision += weight * model_precision;
        precision_mean += weight * model_precision * mean;
    }
    (precision != 0.0).then(|| (precision, precision_mean / precision))
}

/// The published code of Matena & Raffel 2022: an absolute floor on the target's Fisher (the first model), then every Fisher over the L2
/// norm of its model's.
///
/// `norms` are those of the Fishers before the floor, over all parameters. `None` if no model has evidence.
///
/// ```
/// let merged = fisher_merge::reference::floored_normalized(&[0.5, 0.5], &[0.0, 3.0], &[4.0, 6.0], 1.0, &[1.0, 4.0]).unwrap();
/// assert_eq!(merged, (1.0 / 4.0 + 4.0 * 3.0 / 6.0) / (1.0 / 4.0 + 3.0 / 6.0));
/// ```
#[must_use]
pub fn floored_normalized(weights: &[f64], fishers: &[f64], norms: &[f64], floor: f64, means: &[f64]) -> Option<f64> {
    let (mut total, mut sum) = (0.0, 0.0);
    for (model, (((weight, fisher), norm), mean)) in weights.iter().zip(fishers).zip(norms).zip(means).enumerate() {
        let floored = if model == 0 && *fisher < floor { floor } else { *fisher };
        let precision = weight * floored / norm;
        total += precision;
        sum += precision * mean;
    }
    (total != 0.0).then(|| sum / total)
}

/// What is left of a posterior when a factor is divided out: precision `Λ − λΛ_m` and mean `(Λμ − λΛ_mμ_m)/(Λ − λΛ_m)`.
///
/// `None` if no precision is left.
///
/// ```
/// assert_eq!(fisher_merge::reference::remove((4.0, 1.25), 1.0, (3.0, 1.0)), Some((1.0, 2.0)));
/// ```
#[must_use]
pub fn remove(product: (f64, f64), weight: f64, factor: (f64, f64)) -> Option<(f64, f64)> {
    let precision = product.0 - weight * factor.0;
    let precision_mean = product.0 * product.1 - weight * factor.0 * factor.1;
    (precision > 0.0).then(|| (precision, precision_mean / precision))
}

/// Posteriors that each carry the prior `N(μ_0, Λ_0)`, multiplied with the prior counted once: `Λ* = Λ_0 + Σ λ_m H_m` with `Λ_m = H_m +
/// Λ_0`, and `μ* = μ_0 + Λ*⁻¹ Σ λ_m Λ_m (μ_m − μ_0)` (uncertainty-based gradient matching, Daheim et al. 2024, at λ = 1).
///
/// `None` if no precision is left.
///
/// ```
/// // Two posteriors that are nothing but the prior: the prior.
/// assert_eq!(fisher_merge::reference::prior_once(&[1.0, 1.0], &[2.0, 2.0], &[5.0, 5.0], (2.0, 5.0)), Some((2.0, 5.0)));
/// ```
#[must_use]
pub fn prior_once(weights: &[f64], precisions: &[f64], means: &[f64], prior: (f64, f64)) -> Option<(f64, f64)> {
    let (prior_precision, prior_mean) = prior;
    let (mut precision, mut pull) = (prior_precision, 0.0);
    for ((weight, model_precision), mean) in weights.iter().zip(precisions).zip(means) {
        precision += weight * (model_precision - prior_precision);
        pull += weight * model_precision * (mean - prior_mean);
    }
    (precision > 0.0).then(|| (precision, prior_mean + pull / precision))
}

/// Natural parameters `(Λ, Λμ)` of a posterior `(Λ, μ)`.
///
/// ```
/// assert_eq!(fisher_merge::reference::natural((2.0, 3.0)), (2.0, 6.0));
/// ```
#[must_use]
pub fn natural(posterior: (f64, f64)) -> (f64, f64) {
    (posterior.0, posterior.0 * posterior.1)
}
