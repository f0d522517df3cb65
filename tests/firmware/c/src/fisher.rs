//! Fishers from gradients. The header carries the counts from call to call, and is compared with the state's.

use fisher_merge::{DiagonalFisher, FISHER_HEADER, FisherHeader, FisherSpec, Gradient, ObservedLabels};

use crate::views::{Numbers, read, write};
use crate::{Refusal, code};

type Fisher<'s> = DiagonalFisher<'s, ObservedLabels, f32>;

#[unsafe(no_mangle)]
pub extern "C" fn fm_fisher_state_len(n: usize) -> usize {
    FisherSpec::new(n).state_len::<f32>()
}

/// # Safety
/// As the header says.
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

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_fisher_example(state: *mut f32, header: *mut u8, gradient: Numbers, loss_scale: f32) -> i32 {
    let example = || {
        // SAFETY: the caller's.
        let header = unsafe { write(header, FISHER_HEADER)? };
        // SAFETY: the caller's.
        let (mut fisher, n) = unsafe { resume(state, header)? };
        // SAFETY: the caller's.
        let gradient = unsafe { gradient.view(n)? };
        fisher.example(Gradient::new(gradient).loss_scale(f64::from(loss_scale)))?;
        save(&fisher, header)
    };
    code(example())
}

/// # Safety
/// As the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fm_fisher_finish(state: *mut f32, header: *const u8, out: *mut f32) -> i32 {
    let finish = || {
        // SAFETY: the caller's.
        let (fisher, n) = unsafe { resume(state, read(header, FISHER_HEADER)?)? };
        // SAFETY: the caller's.
        let out = unsafe { write(out, n)? };
        fisher.finish_into(out).map(|_| ()).map_err(Refusal::from)
    };
    code(finish())
}

/// Goes on with a state that its header describes; gives how many parameters there are.
///
/// # Safety
/// The state must be as long as the header says.
unsafe fn resume<'s>(state: *mut f32, header: &[u8]) -> Result<(Fisher<'s>, usize), Refusal> {
    let header = FisherHeader::from_bytes(header)?;
    let (n, count) = (header.spec.length(), header.spec.state_len::<f32>());
    // SAFETY: the caller's.
    let state = unsafe { write(state, count)? };
    Ok((Fisher::resume(&header, state)?, n))
}

fn save(fisher: &Fisher<'_>, header: &mut [u8]) -> Result<(), Refusal> {
    let bytes = fisher.header()?.to_bytes();
    header.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte);
    Ok(())
}
