//! What must be refused, by which code, with the adapter in RAM as it was.

use fisher_merge::{Error, Fault, StoreError};

use crate::flash::{Decay, FOREIGN, Flash, OTHER_VERSION, WRONG_LENGTH};
use crate::layout::{HEAD, PAGE};
use crate::model::{FISHER_0, FISHER_1, MEAN_0, MEAN_1, Ram};
use crate::scenes::{SCRATCH, copy, merge};

/// The last page: everything before it would have been merged by the time it is read.
fn last_page() -> usize {
    MEAN_1.len() / PAGE - 1
}

pub(crate) fn all() -> Option<bool> {
    let right = directories() && headers()?;
    let length = Decay { page: last_page(), at: 0, bytes: [15, 0, 7, 0] };
    let nan = Decay { page: last_page(), at: HEAD + 12, bytes: f32::NAN.to_le_bytes() };
    let infinite = Decay { page: last_page(), at: HEAD, bytes: f32::INFINITY.to_le_bytes() };
    let missing = Decay { page: 0, at: 6, bytes: [7, 0, b'q', b'.'] };
    let right =
        right && in_ram(length, &|error| error.code() == 16 && matches!(error, Error::Store { error, .. } if error.code == WRONG_LENGTH))?;
    let right =
        right && in_ram(nan, &|error| error.code() == 6 && matches!(error, Error::BadNumber { tensor: 7, model: 1, index: 3, .. }))?;
    let right = right && in_ram(infinite, &|error| error.code() == 6)?;
    let right =
        right && in_ram(missing, &|error| error.code() == 15 && matches!(error, Error::Mismatch(found) if found.fault == Fault::Missing))?;
    Some(right)
}

/// Directories that are none, or of another version.
fn directories() -> bool {
    let code = |decay: Decay| match Flash::open(MEAN_1, Some(decay)) {
        Err(StoreError { code, .. }) => code,
        Ok(_) => 0,
    };
    code(Decay { page: 0, at: 0, bytes: [0xff; 4] }) == FOREIGN && code(Decay { page: 0, at: 4, bytes: [2, 0, 8, 0] }) == OTHER_VERSION
}

/// A Fisher's header, as it was written and of another version.
fn headers() -> Option<bool> {
    let (fisher, other) = (Flash::open(FISHER_1, None).ok()?, Decay { page: 1, at: 4, bytes: [2, 0, 1, 3] });
    let refused = Flash::open(FISHER_1, Some(other)).ok()?.header().err()?;
    Some(fisher.header().is_ok_and(|header| header.examples == 1000) && refused.code() == 46)
}

/// Merges with a decayed second adapter: whether it was refused as it must be, and nothing was written.
// Inlined, each call would have its own room on the stack.
#[inline(never)]
fn in_ram(decay: Decay, right: &dyn Fn(&Error) -> bool) -> Option<bool> {
    let (first, other) = (Flash::open(MEAN_0, None).ok()?, Flash::open(MEAN_1, Some(decay)).ok()?);
    let fishers = [Flash::open(FISHER_0, None).ok()?, Flash::open(FISHER_1, None).ok()?];
    let (mut ram, mut scratch) = (Ram::EMPTY, [0.0; SCRATCH]);
    copy(&first, &mut ram, &mut scratch)?;
    let before = ram.clone();
    let refused = merge(&mut ram, fishers.each_ref(), &other, &mut scratch).err()?;
    Some(right(&refused) && ram.bytes().eq(before.bytes()))
}
