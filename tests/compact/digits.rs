//! The digits of the examples, merged with coded Fishers: what the code costs, and why it has three fraction bits.

use std::path::Path;

use fisher_merge::{Bf16Bits, CompactFisher, Merge, Posterior, Values, ValuesMut};
use safetensors::SafeTensors;

use crate::encoded;
use crate::grid::Grid;
use crate::images::Images;
use crate::network::{Network, Parameters};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits"))
}

/// All tensors of a file, in the order of their names.
fn tensors(name: &str) -> Tensors {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |data: &[u8]| data.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    let mut all: Tensors = file.tensors().into_iter().map(|(name, view)| (name, numbers(view.data()))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Tensors by name, in order.
type Tensors = Vec<(String, Vec<f32>)>;

struct Digits {
    means: [Tensors; 2],
    fishers: [Tensors; 2],
    images: Images,
}

/// λ of the first model.
const WEIGHTS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

impl Digits {
    fn open() -> Self {
        let means = ["low.safetensors", "high.safetensors"].map(tensors);
        let fishers = ["low.fisher.safetensors", "high.fisher.safetensors"].map(tensors);
        Self { means, fishers, images: Images::open(&folder().join("optdigits.safetensors"), "test").unwrap() }
    }

    /// Merges every tensor by a function of means and Fishers, and gives how many test images that gets right, in percent.
    fn accuracy(&self, merge: impl Fn([&[f32]; 2], [&[f32]; 2]) -> Vec<f64>) -> f64 {
        let mut parameters = Parameters::new();
        for (tensor, (name, _)) in self.means[0].iter().enumerate() {
            let of = |models: &[Tensors; 2]| {
                assert!(models.iter().all(|model| model[tensor].0 == *name));
                [0, 1].map(|model: usize| models[model][tensor].1.clone())
            };
            let (means, fishers) = (of(&self.means), of(&self.fishers));
            parameters.insert(name.clone(), merge([&means[0], &means[1]], [&fishers[0], &fishers[1]]));
        }
        let right = Network::new(&parameters).unwrap().right(&self.images.pixels, &self.images.labels);
        100.0 * right as f64 / self.images.count() as f64
    }

    /// The weight of the first model at every parameter, of λ ½ and ½.
    fn weights(&self, code: impl Fn(&[f32]) -> Vec<f64>) -> Vec<f64> {
        let [low, high] = [0, 1].map(|model: usize| self.fishers[model].iter().flat_map(|(_, fisher)| code(fisher)).collect::<Vec<f64>>());
        low.iter().zip(&high).map(|(a, b)| if a + b > 0.0 { a / (a + b) } else { 1.0 }).collect()
    }

    /// How far a weight moves at most.
    fn moves(&self, code: impl Fn(&[f32]) -> Vec<f64>) -> f64 {
        let (before, after) = (self.weights(exactly), self.weights(code));
        before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

fn exactly(fisher: &[f32]) -> Vec<f64> {
    fisher.iter().copied().map(f64::from).collect()
}

fn bits(fisher: &[f32]) -> Vec<u16> {
    let mut bits = vec![0_u16; fisher.len()];
    fisher.iter().enumerate().for_each(|(index, &value)| Bf16Bits(&mut bits[..]).put(index, value));
    bits
}

/// A merge of two views of Fishers.
fn merge<P: Values<f64> + Copy>(means: [&[f32]; 2], fishers: [P; 2], weight: f64) -> Vec<f64> {
    let mut out = vec![0.0; means[0].len()];
    let [a, b] = [0, 1].map(|model: usize| Posterior::diagonal(means[model], fishers[model]).unwrap());
    let _ = Merge::new().run(&[a.power(weight), b.power(1.0 - weight)], &mut out[..]).unwrap();
    out
}

/// Half a point of accuracy is the most that storage may cost. The views go into the merge as they are.
#[test]
fn digits_lose_at_most_half_a_point() {
    let digits = Digits::open();
    for weight in WEIGHTS {
        let reference = digits.accuracy(|means, fishers| merge(means, fishers, weight));
        let compact = digits.accuracy(|means, fishers| {
            let bytes = fishers.map(|fisher| encoded(fisher).0);
            merge(means, [0, 1].map(|model: usize| CompactFisher::new(&bytes[model], means[0].len()).unwrap()), weight)
        });
        let bf16 = digits.accuracy(|means, fishers| {
            let bits = fishers.map(bits);
            merge(means, [Bf16Bits(&bits[0][..]), Bf16Bits(&bits[1][..])], weight)
        });
        println!("λ {weight}: f32 {reference:.2} %, bf16 {bf16:.2} %, compact {compact:.2} %");
        assert!(compact >= reference - 0.5, "λ {weight}: {compact} % after {reference} %");
        assert!(bf16 >= reference - 0.5, "λ {weight}: {bf16} % after {reference} %");
    }
}

/// The table in the documentation of `CompactFisher`.
#[test]
fn three_fraction_bits_suit_the_digits() {
    let digits = Digits::open();
    let fishers: Vec<Vec<f64>> = digits.fishers.iter().flatten().map(|(_, fisher)| exactly(fisher)).collect();
    let (entries, zeros) = (fishers.iter().flatten().count(), fishers.iter().flatten().filter(|&&value| value == 0.0).count());
    assert_eq!((entries, entries - zeros), (13_140, 9_880));
    let mut widest: f64 = 0.0;
    for block in fishers.iter().flat_map(|fisher| fisher.chunks(256)) {
        let nonzero = block.iter().copied().filter(|&value| value > 0.0);
        let (least, greatest) =
            nonzero.fold((f64::MAX, f64::MIN_POSITIVE), |(least, greatest), value| (value.min(least), value.max(greatest)));
        widest = widest.max((greatest / least).log2());
    }
    assert!((24.0..25.0).contains(&widest), "{widest} octaves");
    for (fraction_bits, below, least, most) in [(4, 254, 0.57, 0.58), (3, 0, 0.026, 0.027), (2, 0, 0.052, 0.053)] {
        let grid = Grid::new(fraction_bits);
        assert_eq!(fishers.iter().map(|fisher| grid.code(fisher, 256).below).sum::<u64>(), below, "{fraction_bits} bits");
        let moved = digits.moves(|fisher| grid.code(&exactly(fisher), 256).numbers);
        assert!((least..most).contains(&moved), "{fraction_bits} bits move {moved}");
    }
    let moved = digits.moves(|fisher| bits(fisher).into_iter().map(|bits| f64::from(f32::from_bits(u32::from(bits) << 16))).collect());
    assert!((0.0017..0.0019).contains(&moved), "{moved}");
}
