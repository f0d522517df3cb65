//! Which solvers a merge brings along.

/// The solvers that a merge of structured posteriors may use. All are there unless a constant says otherwise; what is not there is not
/// linked, which on a small machine is most of the program (`examples/firmware.md` has the sizes).
///
/// Where the closed form that fits is missing, conjugate gradients take its place; where these are missing too, the merge is refused with
/// [`LinearFault::NoSolver`](crate::LinearFault::NoSolver) before anything is written. A solver that is used gives the same bits whatever else is there.
///
/// ```
/// use fisher_merge::{Solvers, Structure, StructuredMerge, StructuredPosterior};
/// #[derive(Clone, Copy, Debug)]
/// struct Inputs;
/// impl Solvers for Inputs {
///     const KRONECKER_PAIR: bool = false;
///     const DENSE: bool = false;
///     const WOODBURY: bool = false;
///     const CONJUGATE_GRADIENTS: bool = false;
/// }
/// const MERGE: StructuredMerge<f32, fisher_merge::BuiltIn, Inputs> = StructuredMerge::new().solvers(Inputs);
/// let (mean, inputs) = ([1.0, 2.0], [1.0, 0.5, 0.5, 1.0]);
/// let covariance = StructuredPosterior::new(&mean, (1, 2), Structure::InputCovariance(&inputs))?;
/// assert!(MERGE.scratch(&[covariance.power(0.5), covariance.power(0.5)]).is_ok());
/// let dense = StructuredPosterior::new(&mean, (1, 2), Structure::Dense(&inputs))?;
/// let refused = MERGE.scratch(&[dense.power(0.5), dense.power(0.5)]).unwrap_err();
/// assert_eq!(refused.to_string(), "tensor 0: no solver for such precisions was brought along");
/// # Ok::<(), fisher_merge::Error>(())
/// ```
pub trait Solvers {
    /// [`Method::InputCovariance`](super::Method::InputCovariance).
    const INPUT_COVARIANCE: bool = true;
    /// [`Method::KroneckerPair`](super::Method::KroneckerPair).
    const KRONECKER_PAIR: bool = true;
    /// [`Method::Dense`](super::Method::Dense).
    const DENSE: bool = true;
    /// [`Method::Woodbury`](super::Method::Woodbury).
    const WOODBURY: bool = true;
    /// [`Method::ConjugateGradients`](super::Method::ConjugateGradients).
    const CONJUGATE_GRADIENTS: bool = true;
}

/// Every solver there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllSolvers;

impl Solvers for AllSolvers {}
