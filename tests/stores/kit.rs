//! A store for tests: owned bytes, that lends or does not, counts what is asked of it, and fails when it is told to.

use core::cell::Cell;
use core::ops::ControlFlow;

use fisher_merge::{
    AnySlice, AnySliceMut, Dtype, Element, Error, LeBytes, Model, Outcome, ParameterInfo, ParameterSource, ParameterTarget, Progress, Real,
    StoreError, StoreErrorKind, StoreMerge, Values, ValuesMut,
};

/// Numbers that a seed stands for.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// A mean: any sign, now and then a zero.
    pub fn mean(&mut self) -> f64 {
        (self.below(4001) as f64 - 2000.0) / 64.0
    }

    /// A Fisher entry: regular, or zero in one of eight.
    pub fn fisher(&mut self) -> f64 {
        if self.below(8) == 0 { 0.0 } else { (self.below(4000) + 1) as f64 / 512.0 }
    }

    pub fn dtype(&mut self) -> Dtype {
        [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::Bf16][self.below(4)]
    }
}

/// What a store does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Wrong {
    #[default]
    Nothing,
    /// The read of this number fails.
    Read(usize),
    /// The write of this number fails.
    Write(usize),
    Finish,
    /// Lends one number less than asked for.
    LendsShort,
    /// Says that there is a tensor more than there is.
    Count,
    /// Finds every name at the last tensor.
    Find,
    /// Knows nothing of the tensor in the middle.
    Info,
}

#[derive(Clone, Debug)]
pub struct Owned {
    pub name: String,
    pub shape: Vec<usize>,
    /// `None`: integers.
    pub dtype: Option<Dtype>,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub struct Kit {
    pub tensors: Vec<Owned>,
    pub lends: bool,
    pub wrong: Wrong,
    pub reads: Cell<usize>,
    pub elements_read: Cell<usize>,
    pub writes: usize,
    pub finished: Vec<usize>,
}

impl Owned {
    pub fn new(name: &str, shape: &[usize], dtype: Dtype, mut value: impl FnMut() -> f64) -> Self {
        let count: usize = shape.iter().product();
        let mut bytes = vec![0; count * dtype.bytes()];
        let mut view = LeBytes::new(dtype, &mut bytes[..]).unwrap();
        (0..count).for_each(|index| view.put(index, value()));
        Self { name: name.into(), shape: shape.into(), dtype: Some(dtype), bytes }
    }

    pub fn integers(name: &str, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.into(), dtype: None, bytes: vec![7; shape.iter().product()] }
    }

    pub fn view(&self) -> LeBytes<&[u8]> {
        LeBytes::new(self.dtype.unwrap(), &self.bytes[..]).unwrap()
    }

    pub fn numbers(&self) -> Vec<f64> {
        (0..self.shape.iter().product()).map(|index| self.view().at(index).unwrap()).collect()
    }

    pub fn put(&mut self, index: usize, value: f64) {
        LeBytes::new(self.dtype.unwrap(), &mut self.bytes[..]).unwrap().put(index, value);
    }
}

/// The shapes of a model with everything in it that may be special.
pub const SHAPES: [(&str, &[usize]); 5] = [("wide", &[7, 101]), ("scalar", &[]), ("empty", &[3, 0]), ("vector", &[300]), ("last", &[2, 3])];

impl Kit {
    /// A model of [`SHAPES`], every tensor stored in a type of the seed's.
    pub fn model(random: &mut Random, widest: Dtype, value: fn(&mut Random) -> f64) -> Self {
        let tensor = |&(name, shape): &(&str, &[usize])| {
            let dtype = random.dtype();
            let dtype = if widest.holds(dtype) { dtype } else { widest };
            Owned::new(name, shape, dtype, || value(random))
        };
        Self { tensors: SHAPES.iter().map(tensor).collect(), ..Self::default() }
    }

    pub fn lending(mut self, lends: bool) -> Self {
        self.lends = lends;
        self
    }

    pub fn wrong(mut self, wrong: Wrong) -> Self {
        self.wrong = wrong;
        self
    }

    pub fn bytes(&self) -> Vec<&[u8]> {
        self.tensors.iter().map(|tensor| &tensor.bytes[..]).collect()
    }

    fn range(&self, index: usize, offset: usize, count: usize) -> Option<AnySlice<'_>> {
        let tensor = self.tensors.get(index).filter(|tensor| tensor.dtype.is_some())?;
        AnySlice::from(tensor.view()).range(offset, count)
    }
}

/// Weighted models of means and Fishers.
pub fn models<'k, R: Real>(means: &'k [Kit], fishers: &'k [Kit]) -> Vec<Model<'k, R>> {
    let weight = |number: usize| R::from_f64([0.5, 0.3, 1.0, 0.25, 0.7][number % 5]);
    means.iter().zip(fishers).enumerate().map(|(number, (mean, fisher))| Model::diagonal(mean, fisher, weight(number))).collect()
}

impl<R: Real> ParameterSource<R> for Kit {
    fn count(&self) -> usize {
        self.tensors.len() + usize::from(self.wrong == Wrong::Count)
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        let tensor = self.tensors.get(index).filter(|_| self.wrong != Wrong::Info || index != self.tensors.len() / 2)?;
        let element = tensor.dtype.map_or(Element::Other("I64"), Element::Number);
        Some(ParameterInfo { name: &tensor.name, shape: &tensor.shape, element })
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        self.reads.set(self.reads.get() + 1);
        self.elements_read.set(self.elements_read.get() + tile.len());
        if self.wrong == Wrong::Read(self.reads.get()) {
            return Err(StoreError::new(StoreErrorKind::Read).with_code(5));
        }
        let range = self.range(index, offset, tile.len()).ok_or(StoreError::new(StoreErrorKind::OutOfRange))?;
        range.read(0, tile).ok_or(StoreError::new(StoreErrorKind::OutOfRange))
    }

    fn lend(&self, index: usize, offset: usize, count: usize) -> Option<AnySlice<'_>> {
        let count = if self.wrong == Wrong::LendsShort { count.saturating_sub(1) } else { count };
        self.range(index, offset, count).filter(|_| self.lends)
    }

    fn find(&self, name: &str, _: usize) -> Option<usize> {
        match self.wrong {
            Wrong::Find => self.tensors.len().checked_sub(1),
            _ => self.tensors.iter().position(|tensor| tensor.name == name),
        }
    }
}

impl<R: Real> ParameterTarget<R> for Kit {
    fn write(&mut self, index: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
        self.writes += 1;
        if self.wrong == Wrong::Write(self.writes) {
            return Err(StoreError::new(StoreErrorKind::Write).with_code(28));
        }
        let tensor = self.tensors.get_mut(index).ok_or(StoreError::new(StoreErrorKind::OutOfRange))?;
        let dtype = tensor.dtype.ok_or(StoreError::new(StoreErrorKind::Unsupported))?;
        let mut all = AnySliceMut::from(LeBytes::new(dtype, &mut tensor.bytes[..]).unwrap());
        all.write(offset, tile).ok_or(StoreError::new(StoreErrorKind::OutOfRange))
    }

    fn lend_mut(&mut self, index: usize, offset: usize, count: usize) -> Option<AnySliceMut<'_>> {
        let count = if self.wrong == Wrong::LendsShort { count.saturating_sub(1) } else { count };
        let tensor = self.tensors.get_mut(index).filter(|_| self.lends)?;
        AnySliceMut::from(LeBytes::new(tensor.dtype?, &mut tensor.bytes[..]).ok()?).range(offset, count)
    }

    fn finish(&mut self, index: usize) -> Result<(), StoreError> {
        self.finished.push(index);
        if self.wrong == Wrong::Finish { Err(StoreError::new(StoreErrorKind::Write).with_code(9)) } else { Ok(()) }
    }
}

/// The driver over any number of models: with an allocator by [`StoreMerge::run_many`], without by the form of a fixed number.
#[cfg(feature = "alloc")]
pub fn run<R: Real>(
    driver: &StoreMerge<'_, R>,
    models: &[Model<'_, R>],
    target: &mut dyn ParameterTarget<R>,
    precision: Option<&mut dyn ParameterTarget<R>>,
    scratch: &mut [R],
    watch: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Outcome, Error> {
    driver.run_many(models, target, precision, scratch, watch)
}

#[cfg(not(feature = "alloc"))]
pub fn run<R: Real>(
    driver: &StoreMerge<'_, R>,
    models: &[Model<'_, R>],
    target: &mut dyn ParameterTarget<R>,
    precision: Option<&mut dyn ParameterTarget<R>>,
    scratch: &mut [R],
    watch: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
) -> Result<Outcome, Error> {
    match *models {
        [] => driver.run_watched::<0>(&[], target, precision, scratch, watch),
        [a] => driver.run_watched(&[a], target, precision, scratch, watch),
        [a, b] => driver.run_watched(&[a, b], target, precision, scratch, watch),
        [a, b, c] => driver.run_watched(&[a, b, c], target, precision, scratch, watch),
        [a, b, c, d] => driver.run_watched(&[a, b, c, d], target, precision, scratch, watch),
        [a, b, c, d, e] => driver.run_watched(&[a, b, c, d, e], target, precision, scratch, watch),
        _ => panic!("the tests merge at most five models, these are {}", models.len()),
    }
}
