//! Merges of whole models: mixed storage types, tiles of several sizes, strides, in place, floors and norms over a model.

use fisher_merge::{
    BadNumbers, Bf16Bits, Conditioning, Error, F16Bits, Floor, FloorScope, Merge, Model, ModelPrecision, Normalize, Shell, StoreMerge,
    Strided, StridedTensor, Tensor, TensorMut, Tensors, TensorsMut,
};

use crate::fnv::Digest;
use crate::inputs::{Flavour, Generator};
use crate::kinds::{Bf16, F16, F32};

/// Two factors of an adapter and a head.
const A: [usize; 2] = [4, 21];
const B: [usize; 2] = [17, 4];
const HEAD: [usize; 1] = [9];
const STRIDES: [isize; 2] = [1, 17];

struct Weights {
    a: [f32; 84],
    b: [u16; 68],
    head: [u16; 9],
}

impl Weights {
    fn new(generator: &mut Generator, flavour: Flavour, fisher: bool) -> Self {
        let mut new = Self { a: [0.0; 84], b: [0; 68], head: [0; 9] };
        if fisher {
            generator.precisions::<f32, F32>(flavour, &mut new.a);
            generator.precisions::<f32, F16>(flavour, &mut new.b);
            generator.precisions::<f32, Bf16>(flavour, &mut new.head);
        } else {
            generator.means::<f32, F32>(flavour, &mut new.a);
            generator.means::<f32, F16>(flavour, &mut new.b);
            generator.means::<f32, Bf16>(flavour, &mut new.head);
        }
        new
    }

    fn tensors(&self) -> Result<[Tensor<'_>; 3], Error> {
        Ok([
            Tensor::new("a", &A, &self.a[..])?,
            Tensor::new("b", &B, F16Bits(&self.b[..]))?,
            Tensor::new("head", &HEAD, Bf16Bits(&self.head[..]))?,
        ])
    }
}

pub(super) fn run(shell: Shell) -> Digest {
    let (mut digest, mut generator) = (Digest::default(), Generator(7));
    for round in 0..16 {
        let flavour = if round % 2 == 0 { Flavour::Tame } else { Flavour::Edges };
        let [mut target, b] = [(); 2].map(|()| Weights::new(&mut generator, flavour, false));
        let fishers = [(); 2].map(|()| Weights::new(&mut generator, flavour, true));
        if let Err(error) = merge(&mut digest, &mut target, &b, &fishers, round, shell) {
            digest.error(&error);
        }
        digest.numbers(&target.a);
        digest.view::<f32>(&F16Bits(&target.b[..]));
        digest.view::<f32>(&Bf16Bits(&target.head[..]));
    }
    digest
}

/// The second model's B lies in columns; the first model is the target.
fn merge(
    digest: &mut Digest,
    target: &mut Weights,
    b: &Weights,
    [first, second]: &[Weights; 2],
    round: usize,
    shell: Shell,
) -> Result<(), Error> {
    let (first, second) = (first.tensors()?, second.tensors()?);
    let (first, second) = (Tensors(&first), Tensors(&second));
    let columns = [
        StridedTensor::new("head", &HEAD, &[-1], 8, Bf16Bits(&b.head[..]))?,
        StridedTensor::new("b", &B, &STRIDES, 0, F16Bits(&b.b[..]))?,
        StridedTensor::new("a", &A, &[21, 1], 0, &b.a[..])?,
    ];
    let columns = Strided(&columns);
    let Weights { a, b, head } = target;
    let mut tensors = [
        TensorMut::new("a", &A, &mut a[..])?,
        TensorMut::new("b", &B, F16Bits(&mut b[..]))?,
        TensorMut::new("head", &HEAD, Bf16Bits(&mut head[..]))?,
    ];
    let models = [Model::in_place(ModelPrecision::Diagonal(&first), 0.5), Model::diagonal(&columns, &second, 0.25_f64)];
    let policies = Merge::new().bad_numbers(BadNumbers::Propagate).shell(shell);
    let conditioning = match round / 2 % 4 {
        0 => Conditioning::new(),
        1 => Conditioning::new().normalize(Normalize::L2),
        2 => Conditioning::new().floor(Floor::Relative { share: 0.25, scope: FloorScope::Model }),
        _ => Conditioning::new().floor(Floor::Relative { share: 0.25, scope: FloorScope::Tensor }).normalize(Normalize::Mean),
    };
    let merge = StoreMerge::new().policies(policies).conditioning(conditioning).look_first(round.is_multiple_of(3));
    let mut scratch = [0.0; 5 * 29];
    let tile = [5, 5 * 7, 5 * 29][round % 3];
    let outcome = merge.run(&models, &mut TensorsMut(&mut tensors), &mut scratch[..tile])?;
    digest.summary(&outcome.summary);
    // A model that lacks a tensor is refused.
    let lack = Tensors(&first.0[..2]);
    let lacking = [Model::in_place(ModelPrecision::Isotropic, 0.5), Model::isotropic(&lack, 0.25)];
    merge.run(&lacking, &mut TensorsMut(&mut tensors), &mut scratch).map(|_| ())
}
