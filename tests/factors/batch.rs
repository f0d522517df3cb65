//! A batch of a layer with several labels, and what comes of it: by the accumulators, and example by example in exact arithmetic.

use fisher_merge::{
    DenseFisher, Dtype, Error, ExactLabels, FisherRecord, FisherSpec, FisherStructure, Gradient, KroneckerFisher, LayerGradients,
    LayerInputs, LeBytes, ObservedLabels, PerExample, Real, SampledLabels, Shell,
};

use crate::common::exact::Exact;
use crate::common::generators::Numbers;
use crate::common::random::Random;
use crate::common::tolerance::factor_bound;

/// Whose labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Labels {
    Exact,
    Sampled,
    Observed,
}

impl Labels {
    pub(crate) const ALL: [Self; 3] = [Self::Exact, Self::Sampled, Self::Observed];

    /// The shares of an example's observations: powers of two, so that none is rounded.
    pub(crate) fn shares(self) -> &'static [f64] {
        match self {
            Self::Exact => &[0.5, 0.25, 0.25],
            Self::Sampled => &[0.5, 0.5],
            Self::Observed => &[1.0],
        }
    }
}

/// A kind of accumulator, to begin one of it.
pub(crate) trait Kind: PerExample + Sized {
    fn kronecker<R: Real>(spec: FisherSpec, state: &mut [R]) -> Result<KroneckerFisher<'_, Self, R>, Error>;
    fn dense<R: Real>(spec: FisherSpec, state: &mut [R]) -> Result<DenseFisher<'_, Self, R>, Error>;
}
macro_rules! kinds {
    ($($name:ident, $begin:ident $($draws:expr)?;)*) => {$(
        impl Kind for $name {
            fn kronecker<R: Real>(spec: FisherSpec, state: &mut [R]) -> Result<KroneckerFisher<'_, Self, R>, Error> {
                KroneckerFisher::$begin($($draws,)? spec, state)
            }
            fn dense<R: Real>(spec: FisherSpec, state: &mut [R]) -> Result<DenseFisher<'_, Self, R>, Error> {
                DenseFisher::$begin($($draws,)? spec, state)
            }
        }
    )*};
}
kinds! {
    ExactLabels, exact;
    SampledLabels, sampled 2;
    ObservedLabels, observed_labels;
}

/// Numbers are eighths, which all storage types hold.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) labels: Labels,
    pub(crate) examples: usize,
    pub(crate) positions: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) a: Vec<f64>,
    /// One for each label.
    pub(crate) g: Vec<Vec<f64>>,
    pub(crate) weights: Vec<f64>,
    pub(crate) lengths: Vec<usize>,
}

impl Batch {
    /// `[examples, positions, inputs, outputs]`; unequal lengths where there are several positions.
    pub(crate) fn new(seed: u64, labels: Labels, [examples, positions, inputs, outputs]: [usize; 4]) -> Self {
        let mut random = Random(seed);
        let lengths: Vec<usize> = (0..examples).map(|_| 1 + random.bits() as usize % positions).collect();
        // What is behind an example's end is no zero in its inputs: it must not be looked at.
        let mut eighths = |width: usize, padded: bool| -> Vec<f64> {
            let zero = |at: usize| padded && at / width % positions >= lengths[at / width / positions];
            (0..examples * positions * width).map(|at| if zero(at) { 0.0 } else { (random.signed() * 16.0).round() / 8.0 }).collect()
        };
        let a = eighths(inputs, false);
        let g = labels.shares().iter().map(|_| eighths(outputs, true)).collect();
        let weights = (0..examples).map(|example| [1.0, 0.5, 2.0][example % 3]).collect();
        Self { labels, examples, positions, inputs, outputs, a, g, weights, lengths }
    }

    /// Examples from one to another, as a batch of their own.
    pub(crate) fn part(&self, from: usize, to: usize) -> Self {
        let rows = |values: &[f64], width: usize| values[from * self.positions * width..to * self.positions * width].to_vec();
        Self {
            examples: to - from,
            a: rows(&self.a, self.inputs),
            g: self.g.iter().map(|g| rows(g, self.outputs)).collect(),
            weights: self.weights[from..to].to_vec(),
            lengths: self.lengths[from..to].to_vec(),
            ..*self
        }
    }

    /// Observes all of it and ends it, with numbers stored as bytes of these types that are aligned to nothing.
    pub(crate) fn observe<E: Kind, R: Real>(&self, fisher: &mut KroneckerFisher<'_, E, R>, (a, g): (Dtype, Dtype)) {
        let mut scratch = vec![R::from_f64(1e30); fisher.spec().factor_scratch::<R>()];
        let weights = reals::<R>(&self.weights);
        let bytes = stored(a, &self.a);
        let inputs = LeBytes::new(a, &bytes[1..]).unwrap();
        let inputs = LayerInputs::new(inputs, &weights).positions(self.positions).lengths(&self.lengths);
        for (label, share) in self.labels.shares().iter().enumerate() {
            // Inputs before, between or behind the gradients.
            if label == self.examples % self.g.len() {
                fisher.observe_inputs(&inputs, &mut scratch).unwrap();
            }
            self.gradients(label, *share, g, |gradients| fisher.observe_outputs(&gradients, &mut scratch).unwrap());
        }
        fisher.end_batch(&weights).unwrap();
    }

    fn gradients<R: Real>(&self, label: usize, share: f64, g: Dtype, observe: impl FnOnce(LayerGradients<'_, LeBytes<&[u8]>, R>)) {
        let weights: Vec<R> = self.weights.iter().map(|weight| R::from_f64(weight * share)).collect();
        let bytes = stored(g, &self.g[label]);
        let gradient = Gradient::new(LeBytes::new(g, &bytes[1..]).unwrap());
        observe(LayerGradients::new(gradient, &weights).positions(self.positions));
    }

    pub(crate) fn spec(&self, structure: FisherStructure, homogeneous: bool) -> FisherSpec {
        let shape = (self.outputs, self.inputs);
        match structure {
            FisherStructure::KroneckerExpand => FisherSpec::kronecker_expand(shape).homogeneous(homogeneous),
            FisherStructure::KroneckerReduce => FisherSpec::kronecker_reduce(shape).homogeneous(homogeneous),
            _ => FisherSpec::dense(self.outputs),
        }
    }

    /// `A` and `G`.
    pub(crate) fn factors<E: Kind, R: Real>(
        &self,
        spec: FisherSpec,
        types: (Dtype, Dtype),
        shell: Shell,
    ) -> (Vec<R>, Vec<R>, FisherRecord) {
        let mut state = vec![R::ONE; spec.state_len::<R>()];
        let mut fisher = E::kronecker(spec, &mut state).unwrap().shell(shell);
        self.observe(&mut fisher, types);
        finish(&fisher)
    }

    /// The dense Fisher of a block of as many parameters as there are outputs.
    pub(crate) fn dense<E: Kind, R: Real>(&self, g: Dtype, shell: Shell) -> (Vec<R>, FisherRecord) {
        let spec = FisherSpec::dense(self.outputs);
        let (mut state, mut scratch) = (vec![R::ONE; spec.state_len::<R>()], vec![R::ONE; spec.factor_scratch::<R>()]);
        let mut fisher = E::dense(spec, &mut state).unwrap().shell(shell);
        for (label, share) in self.labels.shares().iter().enumerate() {
            self.gradients(label, *share, g, |gradients| fisher.observe(&gradients, &mut scratch).unwrap());
        }
        fisher.end_batch(&reals::<R>(&self.weights)).unwrap();
        let mut out = vec![R::ZERO; self.outputs * self.outputs];
        let record = fisher.finish_into(&mut out[..]).unwrap();
        (out, record)
    }

    /// `A` (or `G`, by label and its share) as the definition has it.
    pub(crate) fn explicit(&self, structure: FisherStructure, homogeneous: Option<bool>) -> Explicit {
        // A mean over T is a sum over (all lengths' product)/T, which the denominator makes good.
        let all: i64 = if homogeneous.is_some() && structure == FisherStructure::KroneckerReduce {
            self.lengths.iter().map(|&length| length as i64).product()
        } else {
            1
        };
        let mut explicit = Explicit::new(homogeneous.map_or(self.outputs, |one| self.inputs + usize::from(one)));
        let observations: Vec<(&[f64], f64)> = match homogeneous {
            Some(_) => vec![(&self.a, 1.0)],
            None => self.g.iter().map(Vec::as_slice).zip(self.labels.shares().iter().copied()).collect(),
        };
        for example in 0..self.examples {
            let (length, weight) = (self.lengths[example], self.weights[example]);
            let expand = structure == FisherStructure::KroneckerExpand;
            let divisor = if expand && homogeneous.is_some() { length as f64 } else { 1.0 };
            explicit.den = &explicit.den + &Exact::of(weight * divisor * all as f64 * all as f64);
            for &(values, share) in &observations {
                let width = values.len() / (self.examples * self.positions);
                let vector = |t: usize| -> Vec<Exact> {
                    let row = &values[(example * self.positions + t) * width..][..width];
                    let one = homogeneous.unwrap_or_default().then_some(&1.0);
                    row.iter().chain(one).map(|&value| Exact::of(value)).collect()
                };
                let (vectors, scale): (Vec<_>, _) = ((0..length).map(vector).collect(), Exact::scaled(all / length as i64, 0));
                let weight = Exact::of(weight * share);
                if expand {
                    vectors.iter().for_each(|x| explicit.add(&weight, x, x));
                } else {
                    let scale = if homogeneous.is_some() { scale } else { Exact::scaled(1, 0) };
                    let sum = |map: fn(&Exact) -> Exact| -> Vec<Exact> {
                        let at = |at: usize| &vectors.iter().fold(Exact::zero(), |sum, x| &sum + &map(&x[at])) * &scale;
                        (0..explicit.side).map(at).collect()
                    };
                    let (sums, sizes) = (sum(Clone::clone), sum(Exact::abs));
                    explicit.add(&weight, &sums, &sizes);
                }
            }
        }
        explicit
    }
}

/// `num/den`, and `Σ w·|x_i|·|x_j|` for the bound.
pub(crate) struct Explicit {
    pub(crate) side: usize,
    num: Vec<Exact>,
    size: Vec<Exact>,
    den: Exact,
    vectors: u64,
}

impl Explicit {
    fn new(side: usize) -> Self {
        let zeros = vec![Exact::zero(); side * side];
        Self { side, num: zeros.clone(), size: zeros, den: Exact::zero(), vectors: 0 }
    }

    fn add(&mut self, weight: &Exact, x: &[Exact], sizes: &[Exact]) {
        for (at, (num, size)) in self.num.iter_mut().zip(&mut self.size).enumerate() {
            let (i, j) = (at / self.side, at % self.side);
            *num = &*num + &(&(&x[i] * &x[j]) * weight);
            *size = &*size + &(&(&sizes[i].abs() * &sizes[j].abs()) * weight);
        }
        self.vectors += 1;
    }

    /// Within the stated bound, and symmetric to the bit.
    pub(crate) fn agrees<R: Real>(&self, found: &[R], positions: usize) {
        assert_eq!(found.len(), self.side * self.side);
        for (at, value) in found.iter().enumerate() {
            let (i, j) = (at / self.side, at % self.side);
            assert_eq!(*value, found[j * self.side + i], "symmetric at {i}, {j}");
            let error = (&(&Exact::of(value.as_f64()) * &self.den) - &self.num[at]).abs();
            let bound = factor_bound::<R>(self.vectors, positions as u64, &self.size[at]);
            assert!(error <= bound, "entry {i}, {j}: {value} for {} / {}", self.num[at].approximate(), self.den.approximate());
        }
    }
}

pub(crate) fn finish<E: Kind, R: Real>(fisher: &KroneckerFisher<'_, E, R>) -> (Vec<R>, Vec<R>, FisherRecord) {
    let (g, a) = fisher.spec().sides();
    let (mut a, mut g) = (vec![R::ZERO; a * a], vec![R::ZERO; g * g]);
    let record = fisher.finish_into(&mut a[..], &mut g[..]).unwrap();
    (a, g, record)
}

pub(crate) fn reals<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().map(|&value| R::from_f64(value)).collect()
}

/// As bytes from the second on.
fn stored(dtype: Dtype, values: &[f64]) -> Vec<u8> {
    let bits = values.iter().map(|&value| Exact::of(value).pattern(dtype).unwrap()).collect();
    let mut bytes = vec![0];
    bytes.extend(Numbers { dtype, bits }.bytes());
    bytes
}
