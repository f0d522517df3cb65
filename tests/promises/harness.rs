//! Runs a case through the public API, in any storage, fused and running, and gives back patterns.

use fisher_merge::{
    BadNumbers, Bf16Bits, Conditioning, Dtype, Error, F16Bits, Factor, FisherStatistics, LeBytes, Merge, ModelScale, NoEvidence, Posterior,
    RunningProduct, Summary, Values, ValuesMut, target,
};

use fisher_merge::{Floor, FloorOn, FloorScope, Normalize};
use proptest::prelude::*;

use crate::common::generators::{Arithmetic, Case, Kind, Numbers, case, number, storage, typed_case};

/// A kind of view: how numbers are owned, and lent to the crate.
pub(crate) trait Storage<R: Arithmetic> {
    /// The storage type that this view fixes, or `None` if every slice has its own.
    const FIXED: Option<Dtype>;
    type Owned;
    type View<'a>: Values<R> + Values<f64> + Copy;
    type Out<'a>: ValuesMut<R>;
    fn own(numbers: &Numbers) -> Self::Owned;
    fn view(owned: &Self::Owned) -> Self::View<'_>;
    fn out(owned: &mut Self::Owned) -> Self::Out<'_>;
    fn numbers(owned: &Self::Owned) -> Numbers;
}

/// `&[T]` of an arithmetic type.
pub(crate) struct Typed<T>(T);
/// Raw binary16 patterns.
pub(crate) struct Half;
/// Raw bfloat16 patterns.
pub(crate) struct Brain;
/// Little-endian bytes at an odd address, every slice in its own type.
pub(crate) struct Bytes;

macro_rules! typed {
    ($($real:ty, $storage:ty;)*) => {$(
        impl Storage<$real> for Typed<$storage> {
            const FIXED: Option<Dtype> = Some(<$storage as fisher_merge::Real>::DTYPE);
            type Owned = Vec<$storage>;
            type View<'a> = &'a [$storage];
            type Out<'a> = &'a mut [$storage];
            fn own(numbers: &Numbers) -> Self::Owned {
                numbers.reals()
            }
            fn view(owned: &Self::Owned) -> Self::View<'_> {
                owned
            }
            fn out(owned: &mut Self::Owned) -> Self::Out<'_> {
                owned
            }
            fn numbers(owned: &Self::Owned) -> Numbers {
                Numbers::of(owned)
            }
        }
    )*};
}
typed! { f32, f32; f64, f32; f64, f64; }

macro_rules! patterns {
    ($($kind:ty, $view:ident, $dtype:expr;)*) => {$(
        impl<R: Arithmetic> Storage<R> for $kind {
            const FIXED: Option<Dtype> = Some($dtype);
            type Owned = Vec<u16>;
            type View<'a> = $view<&'a [u16]>;
            type Out<'a> = $view<&'a mut [u16]>;
            fn own(numbers: &Numbers) -> Self::Owned {
                numbers.halves()
            }
            fn view(owned: &Self::Owned) -> Self::View<'_> {
                $view(owned)
            }
            fn out(owned: &mut Self::Owned) -> Self::Out<'_> {
                $view(owned)
            }
            fn numbers(owned: &Self::Owned) -> Numbers {
                Numbers { dtype: $dtype, bits: owned.iter().copied().map(u64::from).collect() }
            }
        }
    )*};
}
patterns! { Half, F16Bits, Dtype::F16; Brain, Bf16Bits, Dtype::Bf16; }

impl<R: Arithmetic> Storage<R> for Bytes {
    const FIXED: Option<Dtype> = None;
    /// One byte in front, so that nothing is aligned.
    type Owned = (Dtype, Vec<u8>);
    type View<'a> = LeBytes<&'a [u8]>;
    type Out<'a> = LeBytes<&'a mut [u8]>;
    fn own(numbers: &Numbers) -> Self::Owned {
        (numbers.dtype, [vec![0xa5], numbers.bytes()].concat())
    }
    fn view(owned: &Self::Owned) -> Self::View<'_> {
        LeBytes::new(owned.0, &owned.1[1..]).unwrap()
    }
    fn out(owned: &mut Self::Owned) -> Self::Out<'_> {
        LeBytes::new(owned.0, &mut owned.1[1..]).unwrap()
    }
    fn numbers(owned: &Self::Owned) -> Numbers {
        Numbers::from_bytes(owned.0, &owned.1[1..])
    }
}

/// `&[half::f16]` and `&[half::bf16]`.
#[cfg(feature = "half")]
pub(crate) mod half_types {
    use half::{bf16, f16};

    use super::*;

    pub(crate) struct HalfCrate<T>(T);

    macro_rules! halves {
        ($($half:ty, $dtype:expr;)*) => {$(
            impl<R: Arithmetic> Storage<R> for HalfCrate<$half> {
                const FIXED: Option<Dtype> = Some($dtype);
                type Owned = Vec<$half>;
                type View<'a> = &'a [$half];
                type Out<'a> = &'a mut [$half];
                fn own(numbers: &Numbers) -> Self::Owned {
                    numbers.halves().into_iter().map(<$half>::from_bits).collect()
                }
                fn view(owned: &Self::Owned) -> Self::View<'_> {
                    owned
                }
                fn out(owned: &mut Self::Owned) -> Self::Out<'_> {
                    owned
                }
                fn numbers(owned: &Self::Owned) -> Numbers {
                    Numbers { dtype: $dtype, bits: owned.iter().map(|value| u64::from(value.to_bits())).collect() }
                }
            }
        )*};
    }
    halves! { f16, Dtype::F16; bf16, Dtype::Bf16; }
}

/// Calls `$test::<R, S>()` for every arithmetic and every view that it holds.
macro_rules! every_storage {
    ($test:ident) => {
        $test::<f32, crate::harness::Typed<f32>>();
        $test::<f64, crate::harness::Typed<f32>>();
        $test::<f64, crate::harness::Typed<f64>>();
        $test::<f32, crate::harness::Half>();
        $test::<f64, crate::harness::Half>();
        $test::<f32, crate::harness::Brain>();
        $test::<f64, crate::harness::Brain>();
        $test::<f32, crate::harness::Bytes>();
        $test::<f64, crate::harness::Bytes>();
        #[cfg(feature = "half")]
        {
            $test::<f32, crate::harness::half_types::HalfCrate<half::f16>>();
            $test::<f64, crate::harness::half_types::HalfCrate<half::bf16>>();
        }
    };
}
pub(crate) use every_storage;

/// How a case is merged.
#[derive(Clone, Debug)]
pub(crate) struct Rule<R> {
    pub(crate) policy: Policy<R>,
    pub(crate) bad: BadNumbers,
    pub(crate) conditioning: Conditioning,
}

/// [`NoEvidence`] with a prior mean of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Policy<R> {
    KeepTarget,
    WeightedMean,
    PriorMean(Vec<R>),
    Error,
}

impl<R: Arithmetic> Policy<R> {
    pub(crate) fn lend(&self) -> NoEvidence<'_, R> {
        match self {
            Self::KeepTarget => NoEvidence::KeepTarget,
            Self::WeightedMean => NoEvidence::WeightedMean,
            Self::PriorMean(prior) => NoEvidence::PriorMean(prior),
            Self::Error => NoEvidence::Error,
        }
    }
}

impl<R: Arithmetic> Rule<R> {
    pub(crate) fn new(policy: Policy<R>) -> Self {
        Self { policy, bad: BadNumbers::Refuse, conditioning: Conditioning::new() }
    }

    pub(crate) fn merge(&self) -> Merge<'_, R> {
        Merge::new().no_evidence(self.policy.lend()).bad_numbers(self.bad)
    }
}

/// A case owned in a storage, from which factors are lent.
pub(crate) struct Lent<R: Arithmetic, S: Storage<R>> {
    models: Vec<(S::Owned, S::Owned, R)>,
    count: usize,
}

impl<R: Arithmetic, S: Storage<R>> Lent<R, S> {
    pub(crate) fn new(case: &Case<R>) -> Self {
        let models = case.models.iter().map(|model| (S::own(&model.mean), S::own(&model.fisher), model.weight)).collect();
        Self { models, count: case.count }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The floors and norms of all models, each of its own Fisher (which is the whole model here).
    pub(crate) fn scales(&self, conditioning: &Conditioning) -> Vec<ModelScale> {
        let weights: Vec<R> = self.models.iter().map(|model| model.2).collect();
        let scale = |(index, model): (usize, &(S::Owned, S::Owned, R))| {
            let mut statistics = FisherStatistics::new();
            statistics.observe(S::view(&model.1));
            conditioning.scale(&statistics, target(&weights) == Some(index)).unwrap()
        };
        self.models.iter().enumerate().map(scale).collect()
    }

    pub(crate) fn factors(&self, conditioning: &Conditioning) -> Vec<Factor<S::View<'_>, S::View<'_>, R>> {
        let scales = self.scales(conditioning);
        let mut factors = Vec::with_capacity(self.models.len());
        for ((mean, fisher, weight), scale) in self.models.iter().zip(&scales) {
            factors.push(Posterior::diagonal(S::view(mean), S::view(fisher)).unwrap().power(*weight).conditioned(scale));
        }
        factors
    }

    /// The fused merge, into outputs of these storage types.
    pub(crate) fn fused(&self, rule: &Rule<R>, (mean, precision): (Dtype, Dtype)) -> Result<Outcome, Error> {
        let (mut mean, mut precision) = (S::own(&Numbers::blank(mean, self.count)), S::own(&Numbers::blank(precision, self.count)));
        let summary = rule.merge().run_with_precision(&self.factors(&rule.conditioning), S::out(&mut mean), S::out(&mut precision))?;
        Ok(Outcome { mean: S::numbers(&mean), precision: S::numbers(&precision), summary })
    }

    /// The fused merge into slices of the arithmetic's own type: before any narrowing.
    pub(crate) fn fused_wide(&self, rule: &Rule<R>) -> Result<Outcome, Error> {
        let (mut mean, mut precision) = (vec![R::nan(); self.count], vec![R::nan(); self.count]);
        let summary = rule.merge().run_with_precision(&self.factors(&rule.conditioning), &mut mean[..], &mut precision[..])?;
        Ok(Outcome { mean: Numbers::of(&mean), precision: Numbers::of(&precision), summary })
    }

    /// The running product.
    pub(crate) fn running(&self, rule: &Rule<R>) -> Result<Outcome, Error> {
        let (mut mean, mut precision) = (vec![R::nan(); self.count], vec![R::nan(); self.count]);
        let mut product = RunningProduct::start(&mut precision, &mut mean, rule.policy.lend())?.bad_numbers(rule.bad);
        for factor in self.factors(&rule.conditioning) {
            product.absorb(&factor)?;
        }
        let summary = product.finish()?;
        Ok(Outcome { mean: Numbers::of(&mean), precision: Numbers::of(&precision), summary })
    }
}

/// What a merge gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) mean: Numbers,
    pub(crate) precision: Numbers,
    pub(crate) summary: Summary,
}

/// Cases that a storage can hold.
pub(crate) fn cases<R: Arithmetic, S: Storage<R>>(
    models: impl Strategy<Value = usize> + 'static,
    count: core::ops::RangeInclusive<usize>,
    kinds: (Kind, Kind),
) -> BoxedStrategy<Case<R>> {
    match S::FIXED {
        None => case(models, count, kinds).boxed(),
        Some(dtype) => (models, count).prop_flat_map(move |(models, count)| typed_case(vec![(dtype, dtype); models], count, kinds)).boxed(),
    }
}

/// A type that an output in this storage can have.
pub(crate) fn output<R: Arithmetic, S: Storage<R>>() -> BoxedStrategy<Dtype> {
    S::FIXED.map_or_else(|| storage::<R>().boxed(), |dtype| Just(dtype).boxed())
}

/// The most elements that [`policies`] has a prior for.
pub(crate) const FEW: usize = 6;

/// Any no-evidence policy; the prior mean is cut to the case's length by [`Rule::fit`].
pub(crate) fn policies<R: Arithmetic>() -> impl Strategy<Value = Policy<R>> {
    let prior = prop::collection::vec(number(R::DTYPE, Kind::Wild, true).prop_map(R::from_pattern), FEW);
    prop_oneof![Just(Policy::KeepTarget), Just(Policy::WeightedMean), prior.prop_map(Policy::PriorMean), Just(Policy::Error)]
}

/// Floors and norms; `absolute` floors are not invariant under scaling.
pub(crate) fn conditionings(absolute: bool) -> impl Strategy<Value = Conditioning> {
    let scopes = prop_oneof![Just(FloorScope::Tensor), Just(FloorScope::Model)];
    let relative = (prop_oneof![Just(1e-6), Just(0.5), Just(3.0)], scopes).prop_map(|(share, scope)| Floor::Relative { share, scope });
    let value = number(Dtype::F64, if absolute { Kind::Wild } else { Kind::Ordinary }, false);
    let value = value.prop_map(move |bits| if absolute { Floor::Absolute(f64::from_bits(bits)) } else { Floor::None });
    let floors = prop_oneof![2 => Just(Floor::None), 1 => value, 1 => relative];
    let on = prop_oneof![Just(FloorOn::All), Just(FloorOn::Target)];
    let norms = prop_oneof![2 => Just(Normalize::None), 1 => Just(Normalize::L2), 1 => Just(Normalize::Mean)];
    (floors, on, norms).prop_map(|(floor, on, norm)| Conditioning::new().floor(floor).floor_on(on).normalize(norm))
}

/// Any rule that refuses bad numbers.
pub(crate) fn rules<R: Arithmetic>() -> impl Strategy<Value = Rule<R>> {
    (policies(), conditionings(true)).prop_map(|(policy, conditioning)| Rule { conditioning, ..Rule::new(policy) })
}

impl<R: Arithmetic> Rule<R> {
    /// The same with a prior as long as the case.
    pub(crate) fn fit(mut self, count: usize) -> Self {
        if let Policy::PriorMean(prior) = &mut self.policy {
            prior.truncate(count);
        }
        self
    }
}
