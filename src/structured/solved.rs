//! What a merge of structured posteriors tells of itself.

/// How a merge was solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Method {
    /// One model had all the evidence, or none had any: a mean was copied.
    Copied,
    /// Scalars, rows and diagonals: one recurrence an element.
    ElementWise,
    /// Input covariances and scalars: one Cholesky factorisation.
    InputCovariance,
    /// Two Kronecker products, in closed form, one of them may be taken out. Scalars, rows and input covariances are such products too.
    KroneckerPair,
    /// A dense structure is among them: all are promoted to dense ones, one Cholesky factorisation.
    Dense,
    /// Low ranks and diagonals.
    Woodbury,
    /// More than two Kronecker products, or mixtures of them with diagonals and low ranks. Of sums with negative weights it sees only the
    /// diagonal and the directions that the right-hand side leads to.
    ConjugateGradients,
}

/// How a merge went.
#[must_use = "it says whether the solution is as exact as asked, and what was repaired"]
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Solved {
    /// Which solver.
    pub method: Method,
    /// Of conjugate gradients.
    pub iterations: u32,
    /// `‖B − Λ*·X‖/‖B‖` of what was solved. Zero where nothing was.
    pub residual: f64,
    /// Elements for which no model has evidence: they keep the target's mean. Structures with matrices count whole tensors only, since
    /// damping decides in their directions.
    pub no_evidence: u64,
    /// What [`Repair::Raise`](crate::Repair::Raise) added to the damping.
    pub repaired: f64,
}
