//! The number: FNV-1a over the bits of results.

use fisher_merge::{Error, FisherRecord, Real, Summary, Values};

/// FNV-1a of 64 bits, and whether a published vector was missed.
#[derive(Clone, Copy, Debug)]
pub struct Digest {
    state: u64,
    /// The first row of a published file that came out otherwise.
    pub missed: Option<u32>,
    /// Calls that went through: a section that is all refusals would say little.
    pub done: u32,
    /// Calls that were refused, by their code.
    pub refused: [u16; CODES],
}

/// Codes of errors are below this.
const CODES: usize = 80;

impl Default for Digest {
    fn default() -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325, missed: None, done: 0, refused: [0; CODES] }
    }
}

impl Digest {
    /// The number so far.
    pub fn value(&self) -> u64 {
        self.state
    }

    pub fn byte(&mut self, byte: u8) {
        self.state = (self.state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.byte(byte));
    }

    pub fn word(&mut self, word: u64) {
        self.bytes(&word.to_le_bytes());
    }

    /// Where something is, or how many there are.
    pub fn size(&mut self, size: usize) {
        self.word(size as u64);
    }

    /// Every NaN is one.
    pub fn number<R: Real>(&mut self, number: R) {
        self.word(if number.is_nan() { u64::MAX } else { number.as_f64().to_bits() });
    }

    /// The numbers of a view, as they are stored.
    pub fn view<R: Real>(&mut self, view: &impl Values<R>) {
        for index in 0..view.count() {
            self.number(view.at(index).unwrap_or(R::nan()));
        }
    }

    pub fn numbers<R: Real>(&mut self, numbers: &[R]) {
        numbers.iter().for_each(|&number| self.number(number));
    }

    pub fn summary(&mut self, summary: &Summary) {
        self.done += 1;
        let Summary { elements, no_evidence, floored, nan, infinite, negative, out_of_range, normalized, .. } = *summary;
        [elements, no_evidence, floored, nan, infinite, negative, out_of_range, u64::from(normalized)]
            .iter()
            .for_each(|&count| self.word(count));
    }

    pub fn record(&mut self, record: &FisherRecord) {
        self.done += 1;
        [record.examples, record.out_of_range, record.model].iter().for_each(|&count| self.word(count));
        [record.weight, record.squared_weight].iter().for_each(|&sum| self.number(sum));
    }

    /// The code of an error, and where it is.
    pub fn error(&mut self, error: &Error) {
        if let Some(refused) = self.refused.get_mut(usize::from(error.code())) {
            *refused += 1;
        }
        self.word(u64::from(error.code()));
        match *error {
            Error::BadNumber { tensor, model, index, .. } => [tensor, model, index].iter().for_each(|&at| self.size(at)),
            Error::NoEvidence { tensor, index } | Error::NotRemovable { tensor, index } => {
                [tensor, index].iter().for_each(|&at| self.size(at))
            }
            Error::Mismatch(mismatch) => [mismatch.tensor, mismatch.model].iter().for_each(|&at| self.size(at)),
            _ => {}
        }
    }

    /// What came of a call, and whether it was refused.
    pub fn outcome(&mut self, outcome: &Result<Summary, Error>) -> bool {
        match outcome {
            Ok(summary) => self.summary(summary),
            Err(error) => self.error(error),
        }
        outcome.is_ok()
    }

    /// Compares with a published vector.
    pub fn expect(&mut self, row: u32, equal: bool) {
        if !equal && self.missed.is_none() {
            self.missed = Some(row);
        }
    }
}

/// A number as sixteen digits, for machines whose formatting would be most of the program.
pub fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        let nibble = (number >> (4 * place) & 15) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    digits
}
