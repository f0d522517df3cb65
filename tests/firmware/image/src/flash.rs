//! A store that reads flash a page at a time, as a chip beside the processor has to be read.

use core::array;

use fisher_merge::{AnySlice, Dtype, Element, Error, FisherHeader, ParameterInfo, ParameterSource, Real, StoreError, StoreErrorKind};

use crate::layout::{ENTRY, HEAD, MAGIC, NAME, NUMBERS, PAGE, TENSORS, VERSION};

/// What is wrong with a page: the code of a [`StoreError`].
pub(crate) const NO_PAGE: u32 = 1;
pub(crate) const FOREIGN: u32 = 2;
pub(crate) const OTHER_VERSION: u32 = 3;
pub(crate) const WRONG_LENGTH: u32 = 4;

/// Bytes of the flash that read otherwise than they were written: how the refusals are tried.
#[derive(Clone, Copy)]
pub(crate) struct Decay {
    pub(crate) page: usize,
    pub(crate) at: usize,
    pub(crate) bytes: [u8; 4],
}

#[derive(Clone, Copy)]
struct Tensor {
    name: &'static str,
    dtype: Dtype,
    shape: [usize; 2],
    /// The first of its pages.
    first: usize,
}

/// An adapter's means, or its Fisher.
pub(crate) struct Flash {
    bytes: &'static [u8],
    decay: Option<Decay>,
    tensors: [Tensor; TENSORS],
    count: usize,
}

fn refused(code: u32) -> StoreError {
    StoreError::new(StoreErrorKind::Read).with_code(code)
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
}

/// A line of the directory; names are read where they lie.
fn entry(bytes: &'static [u8], page: &[u8; PAGE], index: usize) -> Option<Tensor> {
    let at = 8 + index * ENTRY;
    let name = bytes.get(at..)?.get(..NAME)?;
    let name = name.split(|&byte| byte == 0).next()?;
    let line = page.get(at + NAME..)?.get(..ENTRY - NAME)?;
    let dtype = match line.first()? {
        1 => Dtype::F32,
        2 => Dtype::F16,
        3 => Dtype::Bf16,
        _ => return None,
    };
    Some(Tensor { name: core::str::from_utf8(name).ok()?, dtype, shape: [half(line, 2)?, half(line, 4)?], first: half(line, 6)? })
}

impl Flash {
    /// Reads the directory.
    pub(crate) fn open(bytes: &'static [u8], decay: Option<Decay>) -> Result<Self, StoreError> {
        let none = Tensor { name: "", dtype: Dtype::F32, shape: [0; 2], first: 0 };
        let mut flash = Self { bytes, decay, tensors: [none; TENSORS], count: 0 };
        let page = flash.page(0)?;
        if page.first_chunk() != Some(&MAGIC) {
            return Err(refused(FOREIGN));
        }
        if half(&page, 4) != Some(usize::from(VERSION)) {
            return Err(refused(OTHER_VERSION));
        }
        flash.count = usize::from(page[6]).min(TENSORS);
        for (index, tensor) in flash.tensors.iter_mut().enumerate() {
            *tensor = entry(bytes, &page, index).ok_or(refused(FOREIGN))?;
        }
        Ok(flash)
    }

    /// The header in front of a Fisher.
    pub(crate) fn header(&self) -> Result<FisherHeader, Error> {
        let error = |error| Error::Store { tensor: 0, model: 0, role: fisher_merge::Role::Precision, error };
        FisherHeader::from_bytes(&self.page(1).map_err(error)?)
    }

    /// A page, copied.
    fn page(&self, number: usize) -> Result<[u8; PAGE], StoreError> {
        let page = self.bytes.get(number.saturating_mul(PAGE)..).and_then(|rest| rest.first_chunk::<PAGE>());
        let mut page = *page.ok_or(refused(NO_PAGE))?;
        if let Some(decay) = self.decay.filter(|decay| decay.page == number) {
            page.iter_mut().skip(decay.at).zip(decay.bytes).for_each(|(byte, other)| *byte = other);
        }
        Ok(page)
    }

    /// The part of a tensor that is on one of its pages, from an element of that page on; gives how many numbers that were.
    fn read_page<R: Real>(&self, tensor: (usize, &Tensor), (number, at): (usize, usize), tile: &mut [R]) -> Result<usize, StoreError> {
        let (index, Tensor { dtype, shape, first, .. }) = tensor;
        let page = self.page(first.saturating_add(number))?;
        let left = (shape[0] * shape[1] * dtype.bytes()).saturating_sub(number * NUMBERS);
        let length = left.min(NUMBERS);
        let [tensor, place]: [u8; 2] = array::from_fn(|field| page[2 + field]);
        if half(&page, 0) != Some(length) || usize::from(tensor) != index || usize::from(place) != number {
            return Err(refused(WRONG_LENGTH));
        }
        let numbers = page.get(HEAD..).and_then(|numbers| numbers.get(..length)).ok_or(refused(WRONG_LENGTH))?;
        let numbers = AnySlice::of_bytes(*dtype, numbers).map_err(|_| refused(WRONG_LENGTH))?;
        let count = (length / dtype.bytes()).saturating_sub(at).min(tile.len());
        let tile = tile.get_mut(..count).unwrap_or_default();
        numbers.read(at, tile).ok_or(refused(WRONG_LENGTH))?;
        Ok(count)
    }
}

impl<R: Real> ParameterSource<R> for Flash {
    fn count(&self) -> usize {
        self.count
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        let Tensor { name, dtype, shape, .. } = self.tensors.get(..self.count)?.get(index)?;
        Some(ParameterInfo { name, shape, element: Element::Number(*dtype) })
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let none = StoreError::new(StoreErrorKind::OutOfRange);
        let tensor = self.tensors.get(index).ok_or(none)?;
        // Not a division, whose divisor the compiler could not see to be above zero.
        let per_page = if tensor.dtype == Dtype::F32 { NUMBERS / 4 } else { NUMBERS / 2 };
        let (mut offset, mut tile) = (offset, tile);
        while !tile.is_empty() {
            let count = self.read_page((index, tensor), (offset / per_page, offset % per_page), tile)?;
            if count == 0 {
                return Err(none);
            }
            offset += count;
            tile = core::mem::take(&mut tile).get_mut(count..).unwrap_or_default();
        }
        Ok(())
    }
}
