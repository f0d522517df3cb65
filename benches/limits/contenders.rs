//! What is measured: merges of two models over the same numbers in several storage types, and what they are compared with.

use fisher_merge::{
    Bf16Bits, F16Bits, Factor, Job, Merge, Model, NoEvidence, Posterior, RunningProduct, Shell, StoreMerge, Tensor, TensorMut, Tensors,
    TensorsMut, ValuesMut,
};
use ndarray::{ArrayView1, ArrayViewMut1, Zip};

/// λ of the two models.
const WEIGHTS: [f32; 2] = [0.3, 0.7];

/// A slice that starts at a cache line of its own offset within a page. Slices of a power of two of numbers, one after the other, all
/// start at one offset, and then a processor mistakes loads for reads of what was just stored; which contender that hits is chance. Some
/// processors tell pages apart by a hash of their address besides, so slices lie some pages farther apart from layout to layout: at
/// distances that are all the same, their lines push one another out of the nearest cache.
pub struct Slice<T> {
    memory: Vec<T>,
    start: usize,
    count: usize,
}

impl<T: Copy + Default> Slice<T> {
    fn new((order, layout): (usize, usize), values: impl ExactSizeIterator<Item = T>) -> Self {
        let (line, count) = (64 / size_of::<T>(), values.len());
        let offset = line * order * (9 + 64 * layout);
        let mut memory = vec![T::default(); count + line + offset];
        let start = memory.as_ptr().align_offset(64) + offset;
        memory[start..start + count].iter_mut().zip(values).for_each(|(out, value)| *out = value);
        Self { memory, start, count }
    }

    fn all(&self) -> &[T] {
        &self.memory[self.start..self.start + self.count]
    }

    fn all_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.count]
    }
}

/// Two models: mean and Fisher of the first, mean and Fisher of the second.
type Models<T> = [Slice<T>; 4];

pub struct Data {
    f32s: Models<f32>,
    f64s: Models<f64>,
    bf16s: Models<u16>,
    f16s: Models<u16>,
    zeros: [Slice<f32>; 2],
    out: Vec<Slice<f32>>,
    out64: Slice<f64>,
    out16: Slice<u16>,
}

fn models<T: Copy + Default>((n, layout): (usize, usize), convert: fn(f32) -> T) -> Models<T> {
    [0, 1, 2, 3].map(|order| {
        let mut state = order as u64 + 1;
        let numbers = (0..n).map(move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Between 2^-10 and 1, so that f16 holds them as normal numbers.
            convert((state >> 40) as f32 / (1 << 24) as f32 * 0.999 + 0.001)
        });
        Slice::new((order, layout), numbers)
    })
}

fn f16(value: f32) -> u16 {
    let mut bits = [0];
    F16Bits(&mut bits[..]).put(0, value);
    bits[0]
}

impl Data {
    /// `n` parameters; no two layouts have the slices at the same distances.
    pub fn new(n: usize, layout: usize) -> Self {
        let f32s = models((n, layout), |value| value);
        // Every seventh Fisher entry is zero.
        let sparse = |model: usize| {
            let fisher: Vec<f32> = f32s[model].all().iter().enumerate().map(|(i, &f)| if i % 7 == model { 0.0 } else { f }).collect();
            Slice::new((model, layout), fisher.into_iter())
        };
        Self {
            zeros: [sparse(1), sparse(3)],
            f64s: models((n, layout), f64::from),
            bf16s: models((n, layout), |value| (value.to_bits() >> 16) as u16),
            f16s: models((n, layout), f16),
            out: (0..10).map(|order| Slice::new((4 + order, layout), (0..n).map(|_| 0.0))).collect(),
            out64: Slice::new((5, layout), (0..n).map(|_| 0.0)),
            out16: Slice::new((6, layout), (0..n).map(|_| 0)),
            f32s,
        }
    }

    pub fn count(&self) -> usize {
        self.f32s[0].count
    }
}

pub struct Contender {
    pub name: &'static str,
    /// Bytes read and written per parameter.
    pub bytes: f64,
    pub run: fn(&mut Data),
}

pub const CONTENDERS: &[Contender] = &[
    Contender { name: "roof", bytes: 20.0, run: roof },
    Contender { name: "zip", bytes: 20.0, run: zip },
    Contender { name: "f32", bytes: 20.0, run: |data| f32s(data, Shell::detect()) },
    Contender { name: "stores", bytes: 20.0, run: stores },
    Contender { name: "f32 baseline", bytes: 20.0, run: |data| f32s(data, Shell::BASELINE) },
    Contender { name: "f32 in f64", bytes: 20.0, run: f32_in_f64 },
    Contender { name: "f64", bytes: 40.0, run: f64s },
    Contender { name: "bf16", bytes: 10.0, run: |data| bf16s(data, Shell::detect()) },
    Contender { name: "bf16 baseline", bytes: 10.0, run: |data| bf16s(data, Shell::BASELINE) },
    Contender { name: "f16", bytes: 10.0, run: f16s },
    Contender { name: "zeros", bytes: 20.0, run: zeros },
    Contender { name: "precision out", bytes: 24.0, run: precision_out },
    Contender { name: "four models", bytes: 36.0, run: four_models },
    Contender { name: "running", bytes: 40.0, run: running },
    Contender { name: "ten weights", bytes: 56.0, run: ten_weights },
];

/// The roof: a plain sum of four slices into a fifth.
fn roof(data: &mut Data) {
    let n = data.count();
    let [a, b, c, d] = data.f32s.each_ref().map(|slice| &slice.all()[..n]);
    let out = &mut data.out[0].all_mut()[..n];
    for i in 0..n {
        out[i] = a[i] + b[i] + c[i] + d[i];
    }
}

/// What a Rust user would write today: the bare formula, without any of the promises.
fn zip(data: &mut Data) {
    let [a, f, b, g] = data.f32s.each_ref().map(|slice| ArrayView1::from(slice.all()));
    let [c, d] = WEIGHTS;
    Zip::from(ArrayViewMut1::from(data.out[0].all_mut())).and(a).and(f).and(b).and(g).for_each(|out, &a, &f, &b, &g| {
        let (p, q) = (c * f, d * g);
        *out = (p * a + q * b) / (p + q);
    });
}

fn pair(models: &Models<f32>, [c, d]: [f32; 2]) -> [Factor<&[f32], &[f32], f32>; 2] {
    let [a, f, b, g] = models.each_ref().map(|slice| slice.all());
    [Posterior::diagonal(a, f).unwrap().power(c), Posterior::diagonal(b, g).unwrap().power(d)]
}

fn f32s(data: &mut Data, shell: Shell) {
    let _ = Merge::new().shell(shell).run(&pair(&data.f32s, WEIGHTS), data.out[0].all_mut()).unwrap();
}

/// The same through the driver and `dyn` stores.
fn stores(data: &mut Data) {
    let (shape, [a, f, b, g]) = ([data.count()], data.f32s.each_ref().map(Slice::all));
    let [a, f, b, g] = [a, f, b, g].map(|values| [Tensor::new("parameters", &shape, values).unwrap()]);
    let [a, f, b, g] = [&a, &f, &b, &g].map(|tensors| Tensors(tensors));
    let mut target = [TensorMut::new("parameters", &shape, data.out[0].all_mut()).unwrap()];
    let models = [Model::diagonal(&a, &f, WEIGHTS[0]), Model::diagonal(&b, &g, WEIGHTS[1])];
    let _ = StoreMerge::new().run(&models, &mut TensorsMut(&mut target), &mut []).unwrap();
}

fn f32_in_f64(data: &mut Data) {
    let [a, f, b, g] = data.f32s.each_ref().map(Slice::all);
    let factors = [Posterior::diagonal(a, f).unwrap().power(0.3_f64), Posterior::diagonal(b, g).unwrap().power(0.7)];
    let _ = Merge::new().run(&factors, data.out[0].all_mut()).unwrap();
}

fn f64s(data: &mut Data) {
    let [a, f, b, g] = data.f64s.each_ref().map(Slice::all);
    let factors = [Posterior::diagonal(a, f).unwrap().power(0.3_f64), Posterior::diagonal(b, g).unwrap().power(0.7)];
    let _ = Merge::new().run(&factors, data.out64.all_mut()).unwrap();
}

fn bf16s(data: &mut Data, shell: Shell) {
    let [a, f, b, g] = data.bf16s.each_ref().map(|slice| Bf16Bits(slice.all()));
    let factors = [Posterior::diagonal(a, f).unwrap().power(0.3_f32), Posterior::diagonal(b, g).unwrap().power(0.7)];
    let _ = Merge::new().shell(shell).run(&factors, Bf16Bits(data.out16.all_mut())).unwrap();
}

fn f16s(data: &mut Data) {
    let [a, f, b, g] = data.f16s.each_ref().map(|slice| F16Bits(slice.all()));
    let factors = [Posterior::diagonal(a, f).unwrap().power(0.3_f32), Posterior::diagonal(b, g).unwrap().power(0.7)];
    let _ = Merge::new().run(&factors, F16Bits(data.out16.all_mut())).unwrap();
}

fn zeros(data: &mut Data) {
    let [f, g] = data.zeros.each_ref().map(Slice::all);
    let (a, b) = (data.f32s[0].all(), data.f32s[2].all());
    let factors = [Posterior::diagonal(a, f).unwrap().power(0.3_f32), Posterior::diagonal(b, g).unwrap().power(0.7)];
    let _ = Merge::new().run(&factors, data.out[0].all_mut()).unwrap();
}

fn precision_out(data: &mut Data) {
    let [mean, precision, ..] = &mut data.out[..] else { unreachable!("there are ten outputs") };
    let _ = Merge::new().run_with_precision(&pair(&data.f32s, WEIGHTS), mean.all_mut(), precision.all_mut()).unwrap();
}

fn four_models(data: &mut Data) {
    let [[a, b], [c, d]] = [pair(&data.f32s, [0.1, 0.2]), pair(&data.f32s, [0.3, 0.4])];
    let _ = Merge::new().run(&[a, d, c, b], data.out[0].all_mut()).unwrap();
}

fn running(data: &mut Data) {
    let factors = pair(&data.f32s, WEIGHTS);
    let [mean, precision, ..] = &mut data.out[..] else { unreachable!("there are ten outputs") };
    let mut product = RunningProduct::start(precision.all_mut(), mean.all_mut(), NoEvidence::KeepTarget).unwrap();
    factors.iter().for_each(|factor| product.absorb(factor).unwrap());
}

fn ten_weights(data: &mut Data) {
    let factors: Vec<_> = (1..=10).map(|k| pair(&data.f32s, [k as f32 / 11.0, 1.0 - k as f32 / 11.0])).collect();
    let mut jobs: Vec<_> = factors.iter().zip(&mut data.out).map(|(factors, out)| Job::new(factors, out.all_mut())).collect();
    Merge::new().run_all(&mut jobs).unwrap();
}
