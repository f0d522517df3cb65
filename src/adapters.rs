//! Low-rank adapters (LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022), and what merging them means.
//!
//! A layer with an adapter has the weights `W' = W + s·B·A`, where `B` is `out × r`, `A` is `r × in` and `s = α/r` (`α/√r` in
//! rank-stabilised LoRA). Two things can be called a merge of such models, and they are not the same.
//!
//! # Factor by factor: the merge in adapter coordinates
//!
//! [`Merge`](crate::Merge) over the tensors `A` and `B` is the mode of the product of the posteriors **over A and B**, each an independent
//! Gaussian: the Laplace approximation in the coordinates in which the adapters were trained. It costs `r·(in + out)` numbers and gives an
//! adapter again. It is not the merge of the products `B·A`: of two adapters with equal weights it holds the cross terms `B₁A₂` and `B₂A₁`,
//! a quarter of each,
//!
//! ```text
//! ½(B₁ + B₂) · ½(A₁ + A₂)  =  ¼(B₁A₁ + B₂A₂ + B₁A₂ + B₂A₁)   ≠   ½(B₁A₁ + B₂A₂)
//! ```
//!
//! and it depends on the coordinates: for any invertible `M`, `(B·M, M⁻¹·A)` is the same model and merges to another one. The plainest
//! case is `M = −1`, one model written twice whose merge is nothing:
//!
//! ```
//! use fisher_merge::adapters::LowRankAdapter;
//! use fisher_merge::{Merge, Posterior};
//! let merge = |a: [f64; 2], b: [f64; 2]| {
//!     let (a, b, mut out) = (Posterior::isotropic(&a[..]).power(0.5), Posterior::isotropic(&b[..]).power(0.5), [0.0; 2]);
//!     Merge::new().run(&[a, b], &mut out[..]).map(|_| out)
//! };
//! let fold = |b: [f64; 2], a: [f64; 2]| {
//!     let mut out = [0.0; 4];
//!     LowRankAdapter::new((2, 2), 1, (&b[..], &a[..]), 1.0)?.fold(0, &[0.0; 4][..], &mut out[..]).map(|_| out)
//! };
//!
//! // Rank 1. The second adapter is the first with both signs turned: the same product, and the same model.
//! let (b, a) = ([1.0, 2.0], [3.0, 4.0]);
//! let (turned_b, turned_a) = (b.map(|x| -x), a.map(|x| -x));
//! assert_eq!(fold(b, a)?, [3.0, 4.0, 6.0, 8.0]);
//! assert_eq!(fold(turned_b, turned_a)?, fold(b, a)?);
//! // Factor by factor they cancel; the folded weights merge to what both are.
//! assert_eq!(fold(merge(b, turned_b)?, merge(a, turned_a)?)?, [0.0; 4]);
//!
//! // Where A is shared, the product is linear in B, and the merge of B is the merge of B·A.
//! let (one, two) = ([1.0, 2.0], [5.0, -2.0]);
//! let products = [fold(one, a)?, fold(two, a)?];
//! let mean = [0, 1, 2, 3].map(|i| 0.5 * (products[0][i] + products[1][i]));
//! assert_eq!(fold(merge(one, two)?, a)?, mean);
//! # Ok::<(), fisher_merge::Error>(())
//! ```
//!
//! # When that is right
//!
//! - **One factor is the same in all models**: frozen (LoRA-FA freezes `A`), or shared. Then `B·A` is linear in what is merged, and with equal
//!   precisions the merge of `B` folds to the merge of the products. With a Fisher it is the Laplace merge given `A`.
//! - **The adapters started at the same `A` and stayed near it**, with equal ranks and the same `s`: their coordinates then mean the same,
//!   as those of fine-tuned models from one initialisation do. The cross terms are of the size of the distances.
//!
//! Adapters that were initialised on their own have coordinates of their own; no weight and no Fisher makes up for that.
//!
//! # What to do else, and where ranks or α differ
//!
//! **Fold, then merge the folded weights.** [`LowRankAdapter::fold`] adds `s·B·A` to a range of `W` without holding `B·A`, so that a layer can
//! be folded page by page. The result has no coordinates to disagree about, for any ranks and any `α`. Its Fisher is that of the layer's
//! weights ([`DiagonalFisher::observe_linear`](crate::DiagonalFisher::observe_linear) with the layer's inputs and output gradients), not
//! those of `A` and `B`. The outcome is a full layer. What must stay small stays exact as `[s₁B₁, s₂B₂]·[A₁; A₂]`, of the ranks' sum.
//!
//! **Or bring them to one form**, where the above says that coordinates agree and only `r` or `α` differ: let `B' = s·B`, so that `s' = 1`, and
//! pad the lower rank with zeros, columns of `B` and rows of `A`. Both leave the product as it is. A Fisher over `B` becomes `F/s²` over `B'`, which is
//! the weight `λ/s²`; that of the padding is zero, which is the truth (`∂/∂B = g·Aᵀ` is zero where `A` is) and says that the
//! other models decide there.
//!
//! ```
//! use fisher_merge::adapters::LowRankAdapter;
//! use fisher_merge::{Merge, Posterior};
//! // One output, one input. Rank 1 with α = 2 (s = 2), and rank 2 with α = 2 (s = 1), of the same initialisation in the first row.
//! let (b1, a1, s1) = ([0.5_f32], [1.0_f32], 2.0_f32);
//! let (b2, a2) = ([3.0_f32, 0.25], [1.0_f32, 4.0]);
//! let (fisher_b1, fisher_b2) = ([4.0_f32], [1.0_f32, 1.0]);
//!
//! let padded_b = [s1 * b1[0], 0.0];
//! let padded_fisher = [fisher_b1[0], 0.0];
//! let first = Posterior::diagonal(&padded_b[..], &padded_fisher[..])?.power(0.5 / (s1 * s1));
//! let second = Posterior::diagonal(&b2[..], &fisher_b2[..])?.power(0.5);
//! let mut b = [0.0_f32; 2];
//! let _ = Merge::new().run(&[first, second], &mut b[..])?;
//! assert_eq!(b, [2.0, 0.25]); // (4/4·1 + 1·3)/(4/4 + 1), and the second model's own column
//!
//! let mut folded = [0.0_f32];
//! let _ = LowRankAdapter::new((1, 1), 2, (&b[..], &a2[..]), 2.0_f32)?.fold(0, &[10.0_f32][..], &mut folded[..])?;
//! assert_eq!((folded, a1[0]), ([10.0_f32 + 2.0 * 1.0 + 0.25 * 4.0], a2[0]));
//! # Ok::<(), fisher_merge::Error>(())
//! ```

use crate::door::Expected;
use crate::error::{Defect, Error, Role};
use crate::kernel::Shell;
use crate::kernel::dispatch::Kernel;
use crate::kernel::range::overflows;
use crate::kernel::scaled::defect;
use crate::kernel::step::select;
use crate::scalar::Real;
use crate::scalar::encoding::Encoding;
use crate::scalar::isa::Isa;
use crate::summary::Summary;
use crate::view::{BLOCK, Values, ValuesMut};

/// A low-rank update `s·B·A` of a layer's weights, over views of `B` (`out × r`) and `A` (`r × in`), both row-major.
///
/// See the [module](self) for what merging such adapters means.
///
/// ```
/// use fisher_merge::adapters::LowRankAdapter;
/// // Two outputs, three inputs, rank 1, α = 2.
/// let adapter = LowRankAdapter::new((2, 3), 1, (&[1.0, 10.0][..], &[1.0, 2.0, 3.0][..]), 2.0)?;
/// // The second row, and the last weight of the first: any range of the layer will do.
/// let mut out = [0.0; 4];
/// let summary = adapter.fold(2, &[0.5; 4][..], &mut out[..])?;
/// assert_eq!((out, summary.elements), ([6.5, 20.5, 40.5, 60.5], 4));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LowRankAdapter<B, A, R> {
    outputs: usize,
    inputs: usize,
    rank: usize,
    b: B,
    a: A,
    scale: R,
    shell: Option<Shell>,
}

impl<B: Values<R> + Copy, A: Values<R> + Copy, R: Real> LowRankAdapter<B, A, R> {
    /// The update `(α/r)·B·A` of a layer of `(out, in)` weights; `α/r` is rounded once.
    ///
    /// # Errors
    /// [`Error::Length`] if `B` is not `out·r` long or `A` not `r·in`; [`Error::NarrowArithmetic`]; [`Error::BadScale`] if `α/r` is NaN or
    /// infinite, as for a rank of zero.
    pub fn new((outputs, inputs): (usize, usize), rank: usize, (b, a): (B, A), alpha: R) -> Result<Self, Error> {
        let expected = |count| Expected { tensor: 0, count, arithmetic: R::DTYPE };
        // No slice is as long as a product that saturates.
        expected(outputs.saturating_mul(rank)).view(0, Role::AdapterB, &b)?;
        expected(rank.saturating_mul(inputs)).view(0, Role::AdapterA, &a)?;
        #[allow(clippy::cast_precision_loss, reason = "ranks above 2^53 are out of reach")]
        let divisor = R::from_f64(rank as f64);
        Self { outputs, inputs, rank, b, a, scale: R::ONE, shell: None }.scale(alpha / divisor)
    }

    /// The same with another scale `s` in place of `α/r`; a negative one takes an adapter out of folded weights, up to rounding.
    ///
    /// # Errors
    /// [`Error::BadScale`] if it is NaN or infinite.
    ///
    /// ```
    /// use fisher_merge::{Error, adapters::LowRankAdapter};
    /// let adapter = LowRankAdapter::new((1, 1), 4, (&[1.0; 4][..], &[0.5; 4][..]), 8.0)?;
    /// let mut out = [0.0];
    /// let _ = adapter.scale(8.0 / 4.0_f64.sqrt())?.fold(0, &[1.0][..], &mut out[..])?; // rank-stabilised: α/√r
    /// assert_eq!(out, [9.0]);
    /// assert!(matches!(adapter.scale(f64::NAN), Err(Error::BadScale { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn scale(self, scale: R) -> Result<Self, Error> {
        match defect(scale, Role::Weight) {
            None => Ok(Self { scale, ..self }),
            Some(defect) => Err(Error::BadScale { defect }),
        }
    }

    /// The instruction-set shell, if not the best one. Changes no bit.
    #[must_use]
    pub fn shell(self, shell: Shell) -> Self {
        Self { shell: Some(shell), ..self }
    }

    /// `W[o,i] + s·Σ_k B[o,k]·A[k,i]` for the weights `at .. at + n` of the row-major layer, where `n` is the length of `base`, which holds
    /// those of `W`, and of `out`. Nothing of the layer's size is held.
    ///
    /// Reckoned in `R` and rounded once to the storage of `out`: products are added in ascending `k`, so the bits depend neither on how the
    /// layer is cut into ranges nor on the platform. Where the update is zero, as for a `B` of zeros, `W` keeps its bits.
    /// The summary counts the numbers that the storage made infinite (`out_of_range`).
    ///
    /// # Errors
    /// [`Error::Length`] if the two differ in length or the range ends behind the layer, and [`Error::NarrowArithmetic`], before anything
    /// is written. [`Error::BadNumber`] of [`Role::MeanOut`], with the index in the layer, at the first sum that is NaN or infinite, because a
    /// number was or because it left the range of `R`; `out` then holds no usable result.
    pub fn fold(&self, at: usize, base: impl Values<R> + Copy, out: impl ValuesMut<R>) -> Result<Summary, Error> {
        let (whole, n) = (self.outputs.saturating_mul(self.inputs), out.count());
        let expected = Expected { tensor: 0, count: n, arithmetic: R::DTYPE };
        expected.view(0, Role::Mean, &base)?;
        expected.storage(0, Role::MeanOut, out.dtype())?;
        let end = at.saturating_add(n);
        if end > whole {
            return Err(Error::Length { tensor: 0, model: 0, role: Role::MeanOut, expected: whole, found: end });
        }
        self.shell.unwrap_or_else(Shell::detect).run(Fold { adapter: self, at, base, out })
    }

    /// `s·Σ_k B[o,k]·A[k,i]` added to a part of the row `o` that starts at `i`.
    #[inline(always)]
    fn add<I: Isa>(&self, (o, i): (usize, usize), room: &mut Room<R>, weights: &mut [R]) {
        let sums = room.sums.get_mut(..weights.len()).unwrap_or_default();
        sums.fill(R::ZERO);
        for k in 0..self.rank {
            // Within the two views, whose lengths were compared.
            let b = self.b.number::<R>(o * self.rank + k).unwrap_or_default();
            let row = self.a.block::<I, R>(k * self.inputs + i, weights.len(), &mut room.row);
            for (sum, &a) in sums.iter_mut().zip(row) {
                *sum = *sum + b * a;
            }
        }
        for (weight, &sum) in weights.iter_mut().zip(&*sums) {
            let update = self.scale * sum;
            *weight = select(update == R::ZERO, *weight, *weight + update);
        }
    }
}

/// A block of sums, and what blocks are converted into.
struct Room<R: Real> {
    sums: [R; BLOCK],
    row: [R; BLOCK],
}

struct Fold<'r, B, A, R: Real, W, O> {
    adapter: &'r LowRankAdapter<B, A, R>,
    at: usize,
    base: W,
    out: O,
}

impl<B, A, R, W, O> Kernel for Fold<'_, B, A, R, W, O>
where
    B: Values<R> + Copy,
    A: Values<R> + Copy,
    R: Real,
    W: Values<R>,
    O: ValuesMut<R>,
{
    type Output = Result<Summary, Error>;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> Result<Summary, Error> {
        let Self { adapter, at, .. } = self;
        let mut room = Room { sums: [R::ZERO; BLOCK], row: [R::ZERO; BLOCK] };
        let (mut weights, mut converted) = ([R::ZERO; BLOCK], [R::ZERO; BLOCK]);
        let (count, narrower) = (self.out.count(), !self.out.dtype().holds(R::DTYPE));
        let mut summary = Summary { elements: count as u64, ..Summary::default() };
        // Rows of no inputs have no weights, and the loop no round.
        let (mut o, mut i) = (at.checked_div(adapter.inputs).unwrap_or(0), at.checked_rem(adapter.inputs).unwrap_or(0));
        let mut done = 0;
        while done < count {
            let n = BLOCK.min(count - done).min(adapter.inputs - i);
            let weights = weights.get_mut(..n).unwrap_or_default();
            let base = self.base.block::<I, R>(done, n, &mut converted);
            weights.iter_mut().zip(base).for_each(|(weight, &base)| *weight = base);
            adapter.add::<I>((o, i), &mut room, weights);
            if !R::Native::all_finite(weights) {
                return Err(refused(weights, at + done));
            }
            summary.out_of_range += if narrower { overflows(weights, self.out.dtype()) } else { 0 };
            save::<I, R>(&mut self.out, done, weights, &mut converted);
            done += n;
            i += n;
            if i == adapter.inputs {
                (o, i) = (o + 1, 0);
            }
        }
        Ok(summary)
    }
}

/// Stores a block, where the view lends its memory as well.
#[inline(always)]
fn save<I: Isa, R: Real>(out: &mut impl ValuesMut<R>, at: usize, weights: &[R], buffer: &mut [R; BLOCK]) {
    let lent = out.block_mut(at, weights.len(), buffer);
    lent.iter_mut().zip(weights).for_each(|(out, &weight)| *out = weight);
    out.commit::<I, R>(at, weights);
}

/// Names the first number that is none.
#[cold]
fn refused<R: Real>(weights: &[R], at: usize) -> Error {
    let found = weights.iter().enumerate().find_map(|(i, &weight)| Some((at + i, defect(weight, Role::MeanOut)?)));
    let (index, defect) = found.unwrap_or((at, Defect::Nan));
    Error::BadNumber { tensor: 0, model: 0, role: Role::MeanOut, index, defect }
}
