//! Fishers from gradients. The header carries the counts from call to call, and is compared with the state's.

use fisher_merge::{DiagonalFisher, FISHER_HEADER, FisherHeader, FisherSpec, Gradient, ObservedLabels};

use crate::views::{Numbers, read, write};
use crate::{Refusal, code};

/// Bytes of the header of a Fisher's state, which the two travel with: little-endian, the same on every machine.
pub const FM_FISHER_HEADER: usize = 64;

/// A number that has left its meaning fails the build.
const _: () = assert!(FM_FISHER_HEADER == FISHER_HEADER, "the library has another size for this");

type Fisher<'s> = DiagonalFisher<'s, ObservedLabels, f32>;

/// How many floats the state of a Fisher of `n` parameters has.
#[unsafe(no_mangle)]
pub extern "C" fn fm_fisher_state_len(n: usize) -> usize {
    FisherSpec::new(n).state_len::<f32>()
}

/// Starts a Fisher of `n` parameters from observed labels: clears the `fm_fisher_state_len(n)` floats of `state`, and writes the header that
/// belongs to it. `model` is a tag of the caller's, such as a hash of the parameters: Fishers of other tags do not combine.
/// cbindgen:ptrs-as-arrays=[[header; FM_FISHER_HEADER]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_fisher_start(state: *mut f32, n: usize, model: u64, header: *mut u8) -> i32 {
    let start = || {
        let spec = FisherSpec::new(n).model(model);
        // SAFETY: the caller's.
        let (state, header) = unsafe { (write(state, spec.state_len::<f32>())?, write(header, FISHER_HEADER)?) };
        let fisher = Fisher::observed_labels(spec, state)?;
        save(&fisher, header)
    };
    code(start())
}

/// Adds an example: the squares of the `n` numbers of its `gradient`, which was computed of a loss times `loss_scale` (1 for one as it is).
/// State and header are those of `fm_fisher_start`, or what was kept of them; a header that does not describe a state of `n` parameters is
/// refused.
/// cbindgen:ptrs-as-arrays=[[header; FM_FISHER_HEADER]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_fisher_example(state: *mut f32, n: usize, header: *mut u8, gradient: Numbers, loss_scale: f32) -> i32 {
    let example = || {
        // SAFETY: the caller's.
        let header = unsafe { write(header, FISHER_HEADER)? };
        // SAFETY: the caller's.
        let mut fisher = unsafe { resume(state, n, header)? };
        // SAFETY: the caller's.
        let gradient = unsafe { gradient.view(n)? };
        fisher.example(Gradient::new(gradient).loss_scale(f64::from(loss_scale)))?;
        save(&fisher, header)
    };
    code(example())
}

/// Writes the Fisher, the `n` means of squared gradients over the examples, to `fisher`. More examples may follow.
/// cbindgen:ptrs-as-arrays=[[header; FM_FISHER_HEADER]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_fisher_finish(state: *mut f32, n: usize, header: *const u8, fisher: *mut f32) -> i32 {
    let finish = || {
        // SAFETY: the caller's.
        let (sums, out) = unsafe { (resume(state, n, read(header, FISHER_HEADER)?)?, write(fisher, n)?) };
        sums.finish_into(out).map(|_| ()).map_err(Refusal::from)
    };
    code(finish())
}

/// Goes on with a state that its header describes.
///
/// # Safety
/// The state must be that of `n` parameters, whatever the header says.
unsafe fn resume<'s>(state: *mut f32, n: usize, header: &[u8]) -> Result<Fisher<'s>, Refusal> {
    let header = FisherHeader::from_bytes(header)?;
    // SAFETY: the caller's.
    let state = unsafe { write(state, fm_fisher_state_len(n))? };
    Ok(Fisher::resume(&header, state)?)
}

fn save(fisher: &Fisher<'_>, header: &mut [u8]) -> Result<(), Refusal> {
    let bytes = fisher.header()?.to_bytes();
    header.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte);
    Ok(())
}
