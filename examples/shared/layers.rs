//! Accumulators of a layer's Fisher in every structure, behind one interface, and the names of what they give.
//!
//! | structure | tensors of layer `<i>` |
//! |---|---|
//! | diagonal | `<i>.weight [out, in]`, `<i>.bias [out]` |
//! | Kronecker | `<i>.weight.fisher.inputs [in + 1, in + 1]`, `<i>.weight.fisher.outputs [out, out]` |
//! | input covariance | `<i>.weight.fisher.inputs [in + 1, in + 1]` |
//! | dense | `<i>.weight.fisher.dense [n, n]` with `n = out·(in + 1)`, row by row of `[W | b]`; Kronecker where `n` is above 4,096 |
//!
//! The last input is the constant one of the bias.

use std::collections::BTreeMap;

use fisher_merge::{
    DenseFisher, DiagonalFisher, Error, ExactLabels, FisherRecord, FisherSpec, Gradient, KroneckerFisher, LayerBatch, LayerGradients,
    LayerInputs, ObservedLabels, PerExample, SampledLabels,
};

use crate::network::Layer;

/// Parameters of the largest layer that gets a dense Fisher: its square takes 128 MiB.
const LARGEST_DENSE: usize = 4096;

/// The structure of a Fisher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Diagonal,
    Kronecker,
    InputCovariance,
    Dense,
}

/// A tensor of a Fisher: its shape and its numbers.
pub type Tensor = (Vec<usize>, Vec<f64>);

/// A Fisher by tensor name, and what it is an estimate of.
pub struct Fisher {
    pub tensors: BTreeMap<String, Tensor>,
    pub record: FisherRecord,
}

impl Fisher {
    pub fn new(record: FisherRecord) -> Self {
        Self { tensors: BTreeMap::new(), record }
    }
}

/// Kinds of labels, with the accumulators of each.
pub trait Labels: PerExample + Sized + 'static {
    fn diagonal(draws: u32, spec: FisherSpec, state: &mut [f64]) -> Result<DiagonalFisher<'_, Self, f64>, Error>;
    fn kronecker(draws: u32, spec: FisherSpec, state: &mut [f64]) -> Result<KroneckerFisher<'_, Self, f64>, Error>;
    fn dense(draws: u32, spec: FisherSpec, state: &mut [f64]) -> Result<DenseFisher<'_, Self, f64>, Error>;
}

macro_rules! labels {
    ($($name:ident, $draws:pat => $constructor:ident($($argument:expr)?);)*) => {$(
        impl Labels for $name {
            fn diagonal($draws: u32, spec: FisherSpec, state: &mut [f64]) -> Result<DiagonalFisher<'_, Self, f64>, Error> {
                DiagonalFisher::$constructor($($argument,)? spec, state)
            }
            fn kronecker($draws: u32, spec: FisherSpec, state: &mut [f64]) -> Result<KroneckerFisher<'_, Self, f64>, Error> {
                KroneckerFisher::$constructor($($argument,)? spec, state)
            }
            fn dense($draws: u32, spec: FisherSpec, state: &mut [f64]) -> Result<DenseFisher<'_, Self, f64>, Error> {
                DenseFisher::$constructor($($argument,)? spec, state)
            }
        }
    )*};
}
labels! {
    ExactLabels, _ => exact();
    SampledLabels, draws => sampled(draws);
    ObservedLabels, _ => observed_labels();
}

/// What a layer's Fisher is told of a batch: its inputs once, and the gradients at its outputs for every label with the labels' weights.
pub trait LayerFisher {
    fn inputs(&mut self, inputs: &[f64], weights: &[f64]) -> Result<(), Error>;
    fn label(&mut self, inputs: &[f64], gradients: &[f64], weights: &[f64]) -> Result<(), Error>;
    fn end(&mut self, weights: &[f64]) -> Result<(), Error>;
    fn finish(&self, layer: &Layer) -> Result<(FisherRecord, Vec<(String, Tensor)>), Error>;
}

/// Begins a layer's, in memory that is made for it.
pub fn begin<'s, E: Labels>(
    form: Form,
    layer: &Layer,
    draws: u32,
    [one, two]: &'s mut [Vec<f64>; 2],
) -> Result<Box<dyn LayerFisher + 's>, Error> {
    let (outputs, inputs) = (layer.outputs, layer.inputs);
    let parameters = outputs * (inputs + 1);
    let form = if form == Form::Dense && parameters > LARGEST_DENSE { Form::Kronecker } else { form };
    let state = |state: &'s mut Vec<f64>, spec: FisherSpec| -> &'s mut [f64] {
        state.resize(spec.state_len::<f64>(), 0.0);
        state
    };
    Ok(match form {
        Form::Diagonal => {
            let specs = [FisherSpec::new(outputs * inputs), FisherSpec::new(outputs)];
            let (weight, bias) = (E::diagonal(draws, specs[0], state(one, specs[0]))?, E::diagonal(draws, specs[1], state(two, specs[1]))?);
            let scratch = vec![0.0; DiagonalFisher::<E, f64>::LINEAR_SCRATCH];
            Box::new(Diagonal { weight, bias, shape: (outputs, inputs), scratch })
        }
        Form::Kronecker | Form::InputCovariance => {
            // Of no outputs, no gradients are asked for.
            let spec = FisherSpec::kronecker_expand((if form == Form::Kronecker { outputs } else { 0 }, inputs)).homogeneous(true);
            Box::new(Factors { fisher: E::kronecker(draws, spec, state(one, spec))?, scratch: vec![0.0; spec.factor_scratch::<f64>()] })
        }
        Form::Dense => {
            let spec = FisherSpec::dense(parameters);
            let fisher = E::dense(draws, spec, state(one, spec))?;
            Box::new(Dense { fisher, shape: (outputs, inputs), scratch: vec![0.0; spec.factor_scratch::<f64>()] })
        }
    })
}

struct Diagonal<'s, E> {
    weight: DiagonalFisher<'s, E, f64>,
    bias: DiagonalFisher<'s, E, f64>,
    shape: (usize, usize),
    scratch: Vec<f64>,
}

impl<E: PerExample> LayerFisher for Diagonal<'_, E> {
    fn inputs(&mut self, _: &[f64], _: &[f64]) -> Result<(), Error> {
        Ok(())
    }

    fn label(&mut self, inputs: &[f64], gradients: &[f64], weights: &[f64]) -> Result<(), Error> {
        let batch = LayerBatch::new(inputs, gradients, weights);
        self.weight.observe_linear(self.shape, &batch, &mut self.scratch)?;
        self.bias.observe_bias(&batch)
    }

    fn end(&mut self, weights: &[f64]) -> Result<(), Error> {
        self.weight.end_batch(weights)?;
        self.bias.end_batch(weights)
    }

    fn finish(&self, layer: &Layer) -> Result<(FisherRecord, Vec<(String, Tensor)>), Error> {
        let (outputs, inputs) = self.shape;
        let (mut weight, mut bias) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
        let _ = self.bias.finish_into(&mut bias[..])?;
        let record = self.weight.finish_into(&mut weight[..])?;
        let name = |what| format!("{}.{what}", layer.number);
        Ok((record, vec![(name("weight"), (vec![outputs, inputs], weight)), (name("bias"), (vec![outputs], bias))]))
    }
}

struct Factors<'s, E> {
    fisher: KroneckerFisher<'s, E, f64>,
    scratch: Vec<f64>,
}

impl<E: PerExample> LayerFisher for Factors<'_, E> {
    fn inputs(&mut self, inputs: &[f64], weights: &[f64]) -> Result<(), Error> {
        self.fisher.observe_inputs(&LayerInputs::new(inputs, weights), &mut self.scratch)
    }

    fn label(&mut self, _: &[f64], gradients: &[f64], weights: &[f64]) -> Result<(), Error> {
        if self.fisher.spec().sides().0 == 0 {
            return Ok(());
        }
        self.fisher.observe_outputs(&LayerGradients::new(Gradient::new(gradients), weights), &mut self.scratch)
    }

    fn end(&mut self, weights: &[f64]) -> Result<(), Error> {
        self.fisher.end_batch(weights)
    }

    fn finish(&self, layer: &Layer) -> Result<(FisherRecord, Vec<(String, Tensor)>), Error> {
        let (outputs, inputs) = self.fisher.spec().sides();
        let (mut a, mut g) = (vec![0.0; inputs * inputs], vec![0.0; outputs * outputs]);
        let record = self.fisher.finish_into(&mut a[..], &mut g[..])?;
        let name = |what| format!("{}.weight.fisher.{what}", layer.number);
        let mut tensors = vec![(name("inputs"), (vec![inputs, inputs], a))];
        if outputs > 0 {
            tensors.push((name("outputs"), (vec![outputs, outputs], g)));
        }
        Ok((record, tensors))
    }
}

struct Dense<'s, E> {
    fisher: DenseFisher<'s, E, f64>,
    shape: (usize, usize),
    scratch: Vec<f64>,
}

impl<E: PerExample> LayerFisher for Dense<'_, E> {
    fn inputs(&mut self, _: &[f64], _: &[f64]) -> Result<(), Error> {
        Ok(())
    }

    fn label(&mut self, inputs: &[f64], gradients: &[f64], weights: &[f64]) -> Result<(), Error> {
        let (outputs, width) = self.shape;
        // The gradient of `[W | b]` of every example: `g·[a, 1]ᵀ`.
        let of = |(g, a): (&[f64], &[f64])| g.iter().flat_map(|g| a.iter().map(move |a| g * a).chain([*g])).collect::<Vec<f64>>();
        let all: Vec<f64> = gradients.chunks_exact(outputs).zip(inputs.chunks_exact(width)).flat_map(of).collect();
        self.fisher.observe(&LayerGradients::new(Gradient::new(&all[..]), weights), &mut self.scratch)
    }

    fn end(&mut self, weights: &[f64]) -> Result<(), Error> {
        self.fisher.end_batch(weights)
    }

    fn finish(&self, layer: &Layer) -> Result<(FisherRecord, Vec<(String, Tensor)>), Error> {
        let n = self.shape.0 * (self.shape.1 + 1);
        let mut values = vec![0.0; n * n];
        let record = self.fisher.finish_into(&mut values[..])?;
        Ok((record, vec![(format!("{}.weight.fisher.dense", layer.number), (vec![n, n], values))]))
    }
}
