//! A small head of two models with their structured posteriors in flash, merged into the caller's memory.

use core::hint::black_box;

use fisher_merge::{BuiltIn, Error, Solvers, Structure, StructuredMerge, StructuredPosterior};

const ROWS: usize = 8;
const COLUMNS: usize = 16;
/// Parameters of the head.
pub(crate) const PARAMETERS: usize = ROWS * COLUMNS;

/// Whether one of these is measured, or their frame, and nothing else is.
pub(crate) const ON: bool = cfg!(feature = "structured");

/// Numbers of scratch: what [`StructuredMerge::scratch`] says on these machines.
const SCRATCH: usize = if cfg!(feature = "structured-pair") {
    2_936
} else if cfg!(feature = "structured-input") {
    1_792
} else {
    0
};

/// The solver that is measured alone, or all of them.
#[derive(Clone, Copy)]
struct Linked;

const ALL: bool = cfg!(feature = "structured-all");

impl Solvers for Linked {
    const INPUT_COVARIANCE: bool = ALL || cfg!(feature = "structured-input");
    const KRONECKER_PAIR: bool = ALL || cfg!(feature = "structured-pair");
    const DENSE: bool = ALL;
    const WOODBURY: bool = ALL;
    const CONJUGATE_GRADIENTS: bool = ALL;
}

/// A constant, as a configuration is in firmware.
const MERGE: StructuredMerge<'static, f32, BuiltIn, Linked> = StructuredMerge::new().solvers(Linked);

/// From one below zero to one.
const fn random(state: u32) -> (u32, f32) {
    let state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (state, ((state >> 8) as f32 / 8_388_608.0) - 1.0)
}

const fn means(mut state: u32) -> [f32; PARAMETERS] {
    let (mut out, mut at) = ([0.0; PARAMETERS], 0);
    while at < PARAMETERS {
        (state, out[at]) = random(state);
        at += 1;
    }
    out
}

/// The second moment of twice as many random vectors as they have numbers.
const fn moment<const SIDE: usize>(mut state: u32) -> [[f32; SIDE]; SIDE] {
    let (mut out, mut vector) = ([[0.0; SIDE]; SIDE], 0);
    while vector < 2 * SIDE {
        let (mut x, mut i) = ([0.0; SIDE], 0);
        while i < SIDE {
            (state, x[i]) = random(state);
            i += 1;
        }
        i = 0;
        while i < SIDE {
            let mut j = 0;
            while j < SIDE {
                out[i][j] += x[i] * x[j] / (2 * SIDE) as f32;
                j += 1;
            }
            i += 1;
        }
        vector += 1;
    }
    out
}

static MEANS: [[f32; PARAMETERS]; 2] = [means(1), means(2)];
static OUTPUTS: [[[f32; ROWS]; ROWS]; 2] = [moment(3), moment(4)];
static INPUTS: [[[f32; COLUMNS]; COLUMNS]; 2] = [moment(5), moment(6)];

/// The caller's memory.
pub(crate) struct State {
    out: [f32; if ON { PARAMETERS } else { 0 }],
    scratch: [f32; SCRATCH],
}

impl State {
    pub(crate) const NEW: Self = Self { out: [0.0; if ON { PARAMETERS } else { 0 }], scratch: [0.0; SCRATCH] };
}

/// Bytes of the caller's memory for a parameter, rounded up.
pub(crate) const KEPT: usize = size_of::<State>().div_ceil(PARAMETERS);

/// All inputs, which are no part of what a merge takes.
pub(crate) fn inputs() {
    black_box((&MEANS, &OUTPUTS, &INPUTS));
}

/// The call that is measured; nothing in the frame.
#[inline(never)]
pub(crate) fn work(state: &mut State) -> bool {
    if cfg!(any(feature = "structured-input", feature = "structured-pair")) { merge(state).is_ok() } else { true }
}

fn merge(state: &mut State) -> Result<(), Error> {
    let ([mean, other_mean], [outputs, other_outputs], [inputs, other_inputs]) = black_box((&MEANS, &OUTPUTS, &INPUTS));
    let posterior = |mean: &'static [f32], outputs: &'static [f32], inputs: &'static [f32]| {
        let structure =
            if cfg!(feature = "structured-pair") { Structure::Kronecker { outputs, inputs } } else { Structure::InputCovariance(inputs) };
        StructuredPosterior::new(mean, (ROWS, COLUMNS), structure)
    };
    let first = posterior(mean, outputs.as_flattened(), inputs.as_flattened())?;
    let second = posterior(other_mean, other_outputs.as_flattened(), other_inputs.as_flattened())?;
    let factors = [first.power(0.5), second.power(0.75)];
    let (needed, found) = (MERGE.scratch(&factors)?, SCRATCH);
    if needed != found {
        return Err(Error::Scratch { needed, found });
    }
    MERGE.run(&factors, black_box(&mut state.out), black_box(&mut state.scratch)).map(|_| ())
}
