//! What a posterior is for: its log-density, samples, and the divergence from another.

use super::operator::{self, Operator, copy};
use super::posterior::{Structure, StructuredPosterior};
use super::side::Side;
use super::verify::{self, Place};
use crate::error::{Error, LinearFault};
use crate::kernel::Shell;
use crate::linear::tools::{Tools, lend};
use crate::linear::triangular::{Solve, from_left, from_right, left_scratch, right_scratch};
use crate::linear::{BuiltIn, Matrix, MatrixMut, MatrixProduct, cholesky, eigen};
use crate::scalar::Real;

/// A [`StructuredPosterior`] with a factorised precision, in memory that the caller lends: log-determinant, log-density, samples, KL divergence.
///
/// The structure is taken as it is, without damping, and must be positive definite.
///
/// ```
/// use fisher_merge::{Density, Structure, StructuredPosterior};
/// // Two parameters, of precision [[4, 0], [0, 1]].
/// let posterior = StructuredPosterior::new(&[1.0, 2.0], (1, 2), Structure::InputCovariance(&[4.0, 0.0, 0.0, 1.0]))?;
/// let (mut memory, mut scratch) = (vec![0.0; Density::memory(&posterior)], vec![0.0; Density::<f64>::scratch(&posterior)]);
/// let density = Density::new(posterior, &mut memory, &mut scratch)?;
/// assert!((density.log_determinant() - 4.0_f64.ln()).abs() < 1e-15);
/// let at_mean = density.log_density(&[1.0, 2.0], &mut scratch)?;
/// assert!((at_mean - (0.5 * 4.0_f64.ln() - (2.0 * core::f64::consts::PI).ln())).abs() < 1e-15);
/// let mut sample = [0.0; 2];
/// density.sample(&[1.0, -1.0], &mut sample, &mut scratch)?; // standard normals of the caller's
/// assert_eq!(sample, [1.5, 1.0]);
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Debug)]
pub struct Density<'a, 'm, R: Real> {
    posterior: StructuredPosterior<'a, R>,
    product: BuiltIn,
    log_determinant: f64,
    root: Root<'m, R>,
}

/// What stands for `S` with `S·Sᵀ = Λ⁻¹`.
#[derive(Debug)]
enum Root<'m, R> {
    /// One over the root of the diagonal.
    Diagonal,
    /// Factors `L` of the left and of the right side, the whole for none.
    Sides(&'m [R], &'m [R]),
    /// The factor of the whole.
    Whole(&'m [R]),
    /// `V = D^(−½)·U [n, r]`, and rows `q` of eigenvectors of `VᵀV` with their eigenvalues.
    LowRank { scaled: &'m [R], vectors: &'m [R], values: &'m [R] },
}

const LOG_TWO_PI: f64 = 1.837_877_066_409_345_5;

impl<'a, 'm, R: Real> Density<'a, 'm, R> {
    /// Numbers of memory that a density keeps: the squares of its factors.
    #[must_use]
    pub fn memory(posterior: &StructuredPosterior<'_, R>) -> usize {
        let ((rows, columns), n) = (posterior.shape, posterior.mean.len());
        match posterior.structure {
            Structure::Scalar(_) | Structure::Rows(_) | Structure::Diagonal(_) => 0,
            Structure::InputCovariance(_) => columns * columns,
            Structure::Kronecker { .. } => rows * rows + columns * columns,
            Structure::Dense(_) => n * n,
            Structure::LowRank { factor, .. } => {
                let rank = factor.len().checked_div(n).unwrap_or_default();
                n * rank + rank * rank + rank
            }
        }
    }

    /// Numbers of scratch that every call takes.
    #[must_use]
    pub fn scratch(posterior: &StructuredPosterior<'_, R>) -> usize {
        let ((rows, columns), n, product) = (posterior.shape, posterior.mean.len(), BuiltIn::new());
        let side = rows.max(columns);
        let whole = if matches!(posterior.structure, Structure::Dense(_)) { n } else { side };
        let solves = left_scratch::<R>(&product, whole, side.max(1)).max(right_scratch::<R>(&product, side, side));
        let rank = match posterior.structure {
            Structure::LowRank { factor, .. } => factor.len().checked_div(n).unwrap_or_default(),
            _ => 0,
        };
        let low = rank * rank + eigen::scratch::<R>(&product, rank).max(MatrixProduct::<R>::scratch(&product, rank, rank, n));
        let factorise = cholesky::scratch::<R>(&product, whole).max(low);
        let apply = operator::scratch::<R>(&product, posterior.shape, whole == n);
        2 * n + 2 * side * side + solves.max(factorise).max(apply)
    }

    /// Factorises.
    ///
    /// # Errors
    /// [`Error::NotSolved`] (tensor 0) if the precision is not positive definite, [`Error::BadNumber`], [`Error::Scratch`] for too little
    /// scratch or memory.
    pub fn new(posterior: StructuredPosterior<'a, R>, memory: &'m mut [R], scratch: &mut [R]) -> Result<Self, Error> {
        let product = BuiltIn::new();
        for (needed, found) in [(Self::memory(&posterior), memory.len()), (Self::scratch(&posterior), scratch.len())] {
            if found < needed {
                return Err(Error::Scratch { needed, found });
            }
        }
        verify::posterior(Place { tensor: 0, model: 0 }, &posterior)?;
        let tools = Tools { product: &product, shell: Shell::detect() };
        let (root, log_determinant) = factorise(tools, &posterior, memory, scratch).map_err(not_solved)?;
        Ok(Self { posterior, product, log_determinant, root })
    }

    /// `ln det Λ`.
    #[must_use]
    pub fn log_determinant(&self) -> f64 {
        self.log_determinant
    }

    fn tools(&self) -> Tools<'_, BuiltIn> {
        Tools { product: &self.product, shell: Shell::detect() }
    }

    fn operator(&self) -> Operator<'a, R> {
        Operator { structure: self.posterior.structure, shape: self.posterior.shape, damping: (R::ZERO, R::ZERO) }
    }

    fn check(&self, slices: &[usize], scratch: &[R]) -> Result<(), Error> {
        let expected = self.posterior.mean.len();
        if let Some(&found) = slices.iter().find(|&&found| found != expected) {
            return Err(not_solved(LinearFault::Shape { expected, found }));
        }
        let (needed, found) = (Self::scratch(&self.posterior), scratch.len());
        if found < needed { Err(Error::Scratch { needed, found }) } else { Ok(()) }
    }

    /// `(x − μ)ᵀ·Λ·(x − μ)`.
    ///
    /// # Errors
    /// [`Error::NotSolved`] for `x` of another length, [`Error::Scratch`].
    pub fn distance(&self, x: &[R], scratch: &mut [R]) -> Result<f64, Error> {
        self.check(&[x.len()], scratch)?;
        let (shift, room) = lend(scratch, x.len()).map_err(not_solved)?;
        let (image, room) = lend(room, x.len()).map_err(not_solved)?;
        shift.iter_mut().zip(x.iter().zip(self.posterior.mean)).for_each(|(out, (&x, &mean))| *out = x - mean);
        image.fill(R::ZERO);
        self.operator().add(self.tools(), R::ONE, shift, image, room).map_err(not_solved)?;
        Ok(shift.iter().zip(&*image).map(|(a, b)| a.as_f64() * b.as_f64()).sum())
    }

    /// `ln N(x; μ, Λ⁻¹) = ½·ln det Λ − n/2·ln 2π − ½·(x − μ)ᵀ·Λ·(x − μ)`.
    ///
    /// # Errors
    /// As [`distance`](Self::distance).
    pub fn log_density(&self, x: &[R], scratch: &mut [R]) -> Result<f64, Error> {
        let distance = self.distance(x, scratch)?;
        #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
        let count = x.len() as f64;
        Ok(0.5 * (self.log_determinant - count * LOG_TWO_PI - distance))
    }

    /// A sample `μ + S·z` with `S·Sᵀ = Λ⁻¹`, from standard normals `z` of the caller's.
    ///
    /// # Errors
    /// As [`distance`](Self::distance).
    pub fn sample(&self, normals: &[R], out: &mut [R], scratch: &mut [R]) -> Result<(), Error> {
        self.check(&[normals.len(), out.len()], scratch)?;
        copy(out, normals);
        self.spread(out, scratch).map_err(not_solved)?;
        out.iter_mut().zip(self.posterior.mean).for_each(|(out, &mean)| *out = *out + mean);
        Ok(())
    }

    /// `x ← S·x`
    fn spread(&self, x: &mut [R], room: &mut [R]) -> Result<(), LinearFault> {
        let (rows, columns) = self.posterior.shape;
        match self.root {
            Root::Diagonal => self.divide(x, room),
            Root::Whole(l) => {
                let n = x.len();
                from_left(self.tools(), Solve::Transposed, Matrix::new(l, n, n)?, MatrixMut::new(x, n, 1)?, room)
            }
            Root::Sides(left, right) => {
                if !left.is_empty() {
                    let l = Matrix::new(left, rows, rows)?;
                    from_left(self.tools(), Solve::Transposed, l, MatrixMut::new(x, rows, columns)?, room)?;
                }
                let l = Matrix::new(right, columns, columns)?;
                from_right(self.tools(), Solve::Transposed, l, MatrixMut::new(x, rows, columns)?, room)
            }
            Root::LowRank { scaled, vectors, values } => {
                let rank = values.len().max(1);
                for (q, &value) in vectors.chunks(rank).zip(values) {
                    let value = value.max(R::ZERO);
                    let root = (R::ONE + value).sqrt();
                    let column = |line: &[R]| line.iter().zip(q).fold(R::ZERO, |sum, (&v, &q)| sum + v * q);
                    let dot = scaled.chunks(rank).zip(&*x).fold(R::ZERO, |sum, (line, &x)| sum + column(line) * x);
                    // The eigenvector's length is the root of its value: (1 − 1/√(1 + d))/d without cancellation.
                    let share = dot / (root * (root + R::ONE));
                    x.iter_mut().zip(scaled.chunks(rank)).for_each(|(x, line)| *x = *x - share * column(line));
                }
                self.divide(x, room)
            }
        }
    }

    /// `x ← x/√d` by the diagonal part.
    fn divide(&self, x: &mut [R], room: &mut [R]) -> Result<(), LinearFault> {
        let (diagonal, _) = lend(room, x.len())?;
        diagonal.fill(R::ZERO);
        let structure = match self.posterior.structure {
            Structure::LowRank { diagonal, .. } => Structure::Diagonal(diagonal),
            structure => structure,
        };
        Operator { structure, ..self.operator() }.add_diagonal(R::ONE, diagonal);
        x.iter_mut().zip(&*diagonal).for_each(|(x, d)| *x = *x / d.sqrt());
        Ok(())
    }

    /// `KL(self ‖ other) = ½·(tr Λ_o·Λ⁻¹ − n + (μ_o − μ)ᵀ·Λ_o·(μ_o − μ) + ln det Λ − ln det Λ_o)`, of any two structures. The trace is that
    /// of both sides where both are Kronecker products, and takes two diagonals where this one is a diagonal; else a product with each for every
    /// parameter, `n` of them.
    ///
    /// # Errors
    /// As [`distance`](Self::distance), with the scratch of the larger.
    pub fn divergence(&self, other: &Density<'_, '_, R>, scratch: &mut [R]) -> Result<f64, Error> {
        let needed = Self::scratch(&self.posterior).max(Density::scratch(&other.posterior)) + 2 * self.posterior.mean.len();
        if scratch.len() < needed {
            return Err(Error::Scratch { needed, found: scratch.len() });
        }
        let n = self.posterior.mean.len();
        let distance = other.distance(self.posterior.mean, scratch)?;
        let trace = self.trace(other, scratch).map_err(not_solved)?;
        #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
        let count = n as f64;
        Ok(0.5 * (trace - count + distance + self.log_determinant - other.log_determinant))
    }

    /// `tr Λ_o·Λ⁻¹`
    fn trace(&self, other: &Density<'_, '_, R>, room: &mut [R]) -> Result<f64, LinearFault> {
        let ((rows, columns), n) = (self.posterior.shape, self.posterior.mean.len());
        let of = (self.posterior.structure.sides(), other.posterior.structure.sides());
        if let ((Some((left, right)), Some((other_left, other_right))), true) = (of, other.posterior.shape == self.posterior.shape) {
            let (left_root, right_root) = if let Root::Sides(left, right) = self.root { (left, right) } else { (&[][..], &[][..]) };
            let over_rows = self.side_trace((left, left_root), other_left, rows, room)?;
            return Ok(over_rows * self.side_trace((right, right_root), other_right, columns, room)?);
        }
        let (x, room) = lend(room, n)?;
        let (image, room) = lend(room, n)?;
        if let Root::Diagonal = self.root {
            x.fill(R::ZERO);
            image.fill(R::ZERO);
            other.operator().add_diagonal(R::ONE, x);
            self.operator().add_diagonal(R::ONE, image);
            return Ok(x.iter().zip(&*image).map(|(other, own)| other.as_f64() / own.as_f64()).sum());
        }
        let mut trace = 0.0;
        for index in 0..n {
            x.fill(R::ZERO);
            x.iter_mut().skip(index).take(1).for_each(|x| *x = R::ONE);
            self.spread(x, room)?;
            image.fill(R::ZERO);
            other.operator().add(self.tools(), R::ONE, x, image, room)?;
            trace += x.iter().zip(&*image).map(|(a, b)| a.as_f64() * b.as_f64()).sum::<f64>();
        }
        Ok(trace)
    }

    /// `tr B·A⁻¹ = tr L⁻¹·B·L⁻ᵀ` of one side with its root, or without one where it is a diagonal.
    fn side_trace(&self, (own, root): (Side<'_, R>, &[R]), other: Side<'_, R>, n: usize, room: &mut [R]) -> Result<f64, LinearFault> {
        if root.is_empty() {
            return Ok((0..n).map(|index| other.diagonal(index, n).as_f64() / own.diagonal(index, n).as_f64()).sum());
        }
        let (matrix, room) = lend(room, n * n)?;
        matrix.fill(R::ZERO);
        other.add_to(n, R::ONE, R::ZERO, matrix);
        let l = Matrix::new(root, n, n)?;
        from_left(self.tools(), Solve::Plain, l, MatrixMut::new(matrix, n, n)?, room)?;
        from_right(self.tools(), Solve::Plain, l, MatrixMut::new(matrix, n, n)?, room)?;
        Ok(matrix.chunks(n.max(1)).enumerate().filter_map(|(row, line)| line.get(row)).map(|entry| entry.as_f64()).sum())
    }
}

fn not_solved(fault: LinearFault) -> Error {
    Error::NotSolved { tensor: 0, fault }
}

/// The root of a precision, and the logarithm of its determinant.
fn factorise<'m, R: Real>(
    tools: Tools<'_, BuiltIn>,
    posterior: &StructuredPosterior<'_, R>,
    memory: &'m mut [R],
    room: &mut [R],
) -> Result<(Root<'m, R>, f64), LinearFault> {
    let ((rows, columns), n) = (posterior.shape, posterior.mean.len());
    #[allow(clippy::cast_precision_loss, reason = "a count above 2^53 is out of reach")]
    let times = |count: usize, log: f64| if count == 0 { 0.0 } else { count as f64 * log };
    let mut cholesky = |side: Side<'_, R>, n: usize, out: &mut [R]| {
        out.fill(R::ZERO);
        side.add_to(n, R::ONE, R::ZERO, out);
        cholesky::factorise(tools, MatrixMut::new(out, n, n)?, room)?;
        Ok::<_, LinearFault>(cholesky::log_determinant(Matrix::new(out, n, n)?))
    };
    match posterior.structure {
        Structure::Dense(values) => {
            let (l, _) = lend(memory, n * n)?;
            let log = cholesky(Side::Matrix(values), n, l)?;
            Ok((Root::Whole(l), log))
        }
        Structure::InputCovariance(inputs) => {
            let (l, _) = lend(memory, columns * columns)?;
            let log = cholesky(Side::Matrix(inputs), columns, l)?;
            Ok((Root::Sides(&[], l), times(rows, log)))
        }
        Structure::Kronecker { outputs, inputs } => {
            let (left, memory) = lend(memory, rows * rows)?;
            let (right, _) = lend(memory, columns * columns)?;
            let log = times(columns, cholesky(Side::Matrix(outputs), rows, left)?);
            let other = times(rows, cholesky(Side::Matrix(inputs), columns, right)?);
            Ok((Root::Sides(left, right), log + other))
        }
        Structure::LowRank { diagonal, factor } => low_rank(tools, (diagonal, factor), memory, room),
        structure => {
            let bare = Operator { structure, shape: posterior.shape, damping: (R::ZERO, R::ZERO) };
            let (entries, _) = lend(room, n)?;
            entries.fill(R::ZERO);
            bare.add_diagonal(R::ONE, entries);
            Ok((Root::Diagonal, log_diagonal(entries)?))
        }
    }
}

fn log_diagonal<R: Real>(entries: &[R]) -> Result<f64, LinearFault> {
    match entries.iter().position(|&entry| entry <= R::ZERO) {
        Some(pivot) => Err(LinearFault::NotPositiveDefinite { pivot }),
        None => Ok(entries.iter().map(|entry| libm::log(entry.as_f64())).sum()),
    }
}

/// `Λ = D^½·(I + V·Vᵀ)·D^½` with `V = D^(−½)·U`, and the eigenvalues of `VᵀV`.
fn low_rank<'m, R: Real>(
    tools: Tools<'_, BuiltIn>,
    (diagonal, factor): (&[R], &[R]),
    memory: &'m mut [R],
    room: &mut [R],
) -> Result<(Root<'m, R>, f64), LinearFault> {
    let n = diagonal.len();
    let rank = factor.len().checked_div(n).unwrap_or_default();
    let mut log = log_diagonal(diagonal)?;
    let (scaled, memory) = lend(memory, n * rank)?;
    let (vectors, memory) = lend(memory, rank * rank)?;
    let (values, _) = lend(memory, rank)?;
    for ((out, line), d) in scaled.chunks_mut(rank.max(1)).zip(factor.chunks(rank.max(1))).zip(diagonal) {
        let root = d.sqrt();
        out.iter_mut().zip(line).for_each(|(out, &u)| *out = u / root);
    }
    let (inner, room) = lend(room, rank * rank)?;
    let v = Matrix::new(scaled, n, rank)?;
    tools.product.multiply(R::ONE, v.transposed(), v, R::ZERO, MatrixMut::new(inner, rank, rank)?, room)?;
    eigen::symmetric(tools, MatrixMut::new(inner, rank, rank)?, values, MatrixMut::new(vectors, rank, rank)?, room)?;
    log += values.iter().map(|value| libm::log1p(value.as_f64().max(0.0))).sum::<f64>();
    Ok((Root::LowRank { scaled, vectors, values }, log))
}
