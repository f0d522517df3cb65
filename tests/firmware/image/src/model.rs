//! The adapters in flash, and room for one in RAM.

use fisher_merge::{Bf16Bits, Error, F16Bits, TensorMut};

use crate::layout::{TENSORS, plan};

/// Numbers of a hidden state.
pub(crate) const WIDTH: usize = include!(concat!(env!("OUT_DIR"), "/width.rs"));

/// Weights of the two adapters.
pub(crate) const LAMBDA: [f32; 2] = [0.5, 0.75];

macro_rules! in_flash {
    ($($name:ident: $file:literal;)*) => {$(
        pub(crate) static $name: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/", $file));
    )*};
}
in_flash! {
    MEAN_0: "mean_0";
    MEAN_1: "mean_1";
    FISHER_0: "fisher_0";
    FISHER_1: "fisher_1";
    MERGED: "merged";
    RUNNING: "running";
    GRADIENTS: "gradients";
    ESTIMATE: "estimate";
    HEADER: "header";
}

pub(crate) const PLAN: [(&str, u8, [usize; 2]); TENSORS] = plan(WIDTH);

/// Parameters of an adapter.
pub(crate) const PARAMETERS: usize = 60 * WIDTH + 4;

/// An adapter in RAM.
#[derive(Clone)]
pub(crate) struct Ram {
    q: [[f32; 4 * WIDTH]; 2],
    k: [[u16; 8 * WIDTH]; 2],
    v: [[u16; 16 * WIDTH]; 2],
    head: [f32; 4 * WIDTH],
    bias: [f32; 4],
}

impl Ram {
    pub(crate) const EMPTY: Self =
        Self { q: [[0.0; 4 * WIDTH]; 2], k: [[0; 8 * WIDTH]; 2], v: [[0; 16 * WIDTH]; 2], head: [0.0; 4 * WIDTH], bias: [0.0; 4] };

    pub(crate) fn tensors(&mut self) -> Result<[TensorMut<'_>; TENSORS], Error> {
        let [q, k, v, head, bias] = [&PLAN[0], &PLAN[2], &PLAN[4], &PLAN[6], &PLAN[7]].map(|(_, _, shape)| shape);
        let [q_b, k_b, v_b] = [&PLAN[1], &PLAN[3], &PLAN[5]].map(|(_, _, shape)| shape);
        let Self { q: [qa, qb], k: [ka, kb], v: [va, vb], head: head_values, bias: bias_values } = self;
        Ok([
            TensorMut::new(PLAN[0].0, q, &mut qa[..])?,
            TensorMut::new(PLAN[1].0, q_b, &mut qb[..])?,
            TensorMut::new(PLAN[2].0, k, F16Bits(&mut ka[..]))?,
            TensorMut::new(PLAN[3].0, k_b, F16Bits(&mut kb[..]))?,
            TensorMut::new(PLAN[4].0, v, Bf16Bits(&mut va[..]))?,
            TensorMut::new(PLAN[5].0, v_b, Bf16Bits(&mut vb[..]))?,
            TensorMut::new(PLAN[6].0, head, &mut head_values[..])?,
            TensorMut::new(PLAN[7].0, bias, &mut bias_values[..])?,
        ])
    }

    /// Its bytes in the order of the plan, little-endian.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let Self { q, k, v, head, bias } = self;
        let halves = k.as_flattened().iter().chain(v.as_flattened()).flat_map(|half| half.to_le_bytes());
        words(q.as_flattened()).chain(halves).chain(words(head)).chain(words(bias))
    }
}

fn words(words: &[f32]) -> impl Iterator<Item = u8> + '_ {
    words.iter().flat_map(|word| word.to_le_bytes())
}
