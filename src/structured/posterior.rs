//! A Gaussian posterior over one matrix of parameters, with a precision of any structure.

use crate::error::{Error, Role};
use crate::scalar::Real;

/// The precision Λ of parameters `W [rows, columns]`, of which `vec` goes row by row, `n = rows·columns`. Matrices are whole and
/// symmetric, row by row.
///
/// | structure | Λ | numbers |
/// |---|---|---|
/// | `Scalar` | `s·I` | one: `Scalar(1)` makes the merge a plain average |
/// | `Rows` | `diag(s)⊗I`, equal numbers of rows share one | a divisor of `rows`: neurons, or attention heads |
/// | `Diagonal` | `diag(F)` | `n` |
/// | `InputCovariance` | `I⊗A` (Jin et al., "Dataless Knowledge Fusion by Merging Weights of Language Models", ICLR 2023, eq. 2) | `columns²` |
/// | `Kronecker` | `G⊗A` (Martens & Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015) | `rows² + columns²` |
/// | `Dense` | Λ | `n²` |
/// | `LowRank` | `diag(D) + U·Uᵀ`, `U [n, r]` | `n·(1 + r)` |
///
/// A linear layer `y = W·x + b` is one matrix `[W | b]` with the input's last coordinate fixed to one, so that its bias is merged with it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Structure<'a, R> {
    /// `s·I`.
    Scalar(R),
    /// One number for every group of rows.
    Rows(&'a [R]),
    /// One number for every parameter, for instance a diagonal Fisher.
    Diagonal(&'a [R]),
    /// The second moment `A [columns, columns]` of the inputs.
    InputCovariance(&'a [R]),
    /// `G⊗A`.
    Kronecker {
        /// `G [rows, rows]`, the second moment of the gradients at the outputs.
        outputs: &'a [R],
        /// `A [columns, columns]`, that of the inputs.
        inputs: &'a [R],
    },
    /// Every entry.
    Dense(&'a [R]),
    /// `diag(D) + U·Uᵀ`.
    LowRank {
        /// `D [n]`.
        diagonal: &'a [R],
        /// `U [n, r]`, row by row.
        factor: &'a [R],
    },
}

/// `N(μ, Λ⁻¹)` over the parameters `W [rows, columns]` of one tensor.
///
/// ```
/// use fisher_merge::{Structure, StructuredMerge, StructuredPosterior};
/// // One output of two inputs; the first model saw the first input only, the second the second.
/// let a = StructuredPosterior::new(&[1.0, 0.0], (1, 2), Structure::InputCovariance(&[1.0, 0.0, 0.0, 0.0]))?;
/// let b = StructuredPosterior::new(&[0.0, 2.0], (1, 2), Structure::InputCovariance(&[0.0, 0.0, 0.0, 1.0]))?;
/// let (merge, factors, mut merged) = (StructuredMerge::<f64>::new(), [a.power(0.5), b.power(0.5)], [0.0; 2]);
/// let mut scratch = vec![0.0; merge.scratch(&factors)?];
/// merge.run(&factors, &mut merged, &mut scratch)?;
/// assert!((merged[0] - 1.0).abs() < 0.01 && (merged[1] - 2.0).abs() < 0.02); // a damping of one hundredth
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StructuredPosterior<'a, R> {
    pub(super) mean: &'a [R],
    pub(super) shape: (usize, usize),
    pub(super) structure: Structure<'a, R>,
}

impl<'a, R: Real> StructuredPosterior<'a, R> {
    /// Compares lengths; the merge looks at the numbers.
    ///
    /// # Errors
    /// [`Error::Length`] (tensor 0, model 0) for a mean or a structure of another length than its shape asks for.
    pub fn new(mean: &'a [R], shape: (usize, usize), structure: Structure<'a, R>) -> Result<Self, Error> {
        let length = |role, expected: usize, found: usize| {
            if expected == found { Ok(()) } else { Err(Error::Length { tensor: 0, model: 0, role, expected, found }) }
        };
        let (rows, columns) = shape;
        let n = rows.saturating_mul(columns);
        length(Role::Mean, n, mean.len())?;
        let precision = |expected, found| length(Role::Precision, expected, found);
        match structure {
            Structure::Scalar(_) => {}
            Structure::Rows(values) if values.is_empty() || rows % values.len() != 0 => precision(rows, values.len())?,
            Structure::Rows(_) => {}
            Structure::Diagonal(values) => precision(n, values.len())?,
            Structure::InputCovariance(inputs) => precision(columns.saturating_mul(columns), inputs.len())?,
            Structure::Kronecker { outputs, inputs } => {
                precision(rows.saturating_mul(rows), outputs.len())?;
                precision(columns.saturating_mul(columns), inputs.len())?;
            }
            Structure::Dense(values) => precision(n.saturating_mul(n), values.len())?,
            Structure::LowRank { diagonal, factor } => {
                precision(n, diagonal.len())?;
                let rank = factor.len().checked_div(n).unwrap_or_default();
                precision(n.saturating_mul(rank), factor.len())?;
            }
        }
        Ok(Self { mean, shape, structure })
    }

    /// This posterior to the power λ: the same mean, `λ·Λ`. Negative powers take evidence out, where a base model says what is left.
    #[must_use]
    pub fn power(self, weight: R) -> StructuredFactor<'a, R> {
        StructuredFactor { posterior: self, weight }
    }

    /// The mean μ.
    #[must_use]
    pub fn mean(&self) -> &'a [R] {
        self.mean
    }

    /// Rows and columns of the parameters.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// The precision Λ.
    #[must_use]
    pub fn structure(&self) -> Structure<'a, R> {
        self.structure
    }
}

/// A posterior to the power of its weight λ: what a product takes.
#[derive(Clone, Copy, Debug)]
pub struct StructuredFactor<'a, R> {
    pub(super) posterior: StructuredPosterior<'a, R>,
    pub(super) weight: R,
}

impl<'a, R: Real> StructuredFactor<'a, R> {
    /// The posterior.
    #[must_use]
    pub fn posterior(&self) -> StructuredPosterior<'a, R> {
        self.posterior
    }

    /// Its weight λ.
    #[must_use]
    pub fn weight(&self) -> R {
        self.weight
    }
}
