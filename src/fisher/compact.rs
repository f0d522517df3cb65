//! A Fisher in eight bits an entry, and a view that merges from it without decoding it first.

use crate::error::{Error, FisherFault, Role};
use crate::kernel::scaled::defect;
use crate::scalar::encoding::F32;
use crate::scalar::isa::{Isa, Portable};
use crate::scalar::{Dtype, Real};
use crate::view::sealed::{Load, fill};
use crate::view::{BLOCK, Stored, Values};

/// Entries of a block, which share a scale.
const ENTRIES: usize = 256;
/// Bytes of a scale.
const SCALE: usize = 2;
/// Fraction bits of a step.
const FRACTION: u32 = 3;
/// The code of the scale itself.
const TOP: u32 = 255;
/// The step of `2⁻¹²⁶`: no code is of a subnormal number, which some machines take for zero.
const LEAST: u32 = 1 << FRACTION;
/// The step of `1.875·2¹²⁷`, the last below infinity.
const GREATEST: u32 = (255 << FRACTION) - 1;

/// A Fisher in eight bits an entry: blocks of 256 logarithmic codes, each block with one scale. A view: give it to
/// [`Posterior::diagonal`](crate::Posterior::diagonal) as it is.
///
/// # The code
/// A **step** `s` is the upper twelve bits of a binary32, eight of exponent and three of fraction, read as an integer; its number is
/// `v(s) = 2^(⌊s/8⌋ − 127)·(1 + (s mod 8)/8)`, so that eight steps are an octave and steps ascend as their numbers do. A block has the step
/// `t` of its largest entry. Code 0 is zero, and code `c` from 1 to 255 is `v(max(t − 255 + c, 8))`, made of integers alone: the bits are
/// the same on every machine, and exact in `f32`. An entry is coded as the nearest number, ties to the even step.
///
/// | bytes | what |
/// |---|---|
/// | 258·k .. +2 | the scale of block `k`, `v(t)` as a bfloat16, little-endian |
/// | 258·k + 2 .. | one code for each of its 256 entries; the last block has what is left |
///
/// No padding, at any alignment: `n + 2⌈n/256⌉` bytes, 8.06 bits an entry. A block of zeros has the scale `2⁻¹²⁶`. Neither
/// zero nor 0xffff is a scale, so that memory that was never written is refused.
///
/// # Its error
/// An entry is coded within [`DELTA`](Self::DELTA)` = 1/17` of itself if it lies within [`OCTAVES`](Self::OCTAVES)` = 31` octaves of its
/// block's largest and between `2⁻¹²⁶` and `1.875·2¹²⁷`. Zero stays zero. What lies below is coded as the block's least number, never as
/// zero, and counted ([`CompactCount::below`]); what lies above (the last thirty-second of `f32`'s range, or beyond it in `f64`) as the
/// greatest ([`CompactCount::above`]). Every entry that is not counted is within `1/17`.
///
/// *Proof.* From `v(s) = 2^e(1 + f/8)` the next number is `2^e/8` away, also for `f = 7`. An entry `x` between the two is coded as the
/// nearer one, at most `2^e/16` away, and the error relative to `x` is largest at the midpoint, where it is
/// `(1/16)/(1 + f/8 + 1/16) = 1/(17 + 2f) ≤ 1/17`. A block's least code is 254 steps below `t`, or `2⁻¹²⁶`. Multiplying by `2⁻³¹` takes
/// away 248 steps, and rounding ascends, so that an entry within 31 octaves of the largest rounds to `t − 248` or more: a code of 7 or more.
/// ∎
///
/// # What it does to a merge
/// Let `w_m = λ_m F_m / Σ λF` be a model's weight at an element, and `ŵ_m` the one from coded Fishers, each within `δ`. Then, for any number
/// of models, `|ŵ_m − w_m| ≤ (√ρ − 1)/(√ρ + 1)` with `ρ = (1+δ)/(1−δ)`, here `17 − 12√2`, 2.94 % ([`WEIGHT_BOUND`](Self::WEIGHT_BOUND)); and
/// the merged mean moves by at most that share of the distance between the least and the greatest mean, but for the merge's own roundings.
///
/// *Proof.* Let `A` be any of the models and `o > 0` their odds, `Σ_A λF` over the sum of the others. Both sums are off by a factor between
/// `1 − δ` and `1 + δ`, so the odds by one of at most `ρ` either way. The weight of `A` is `o/(1 + o)`, which ascends; it moves upwards by
/// at most `ρo/(1 + ρo) − o/(1 + o) = (ρ − 1)o/((1 + ρo)(1 + o))`. That is largest at `o = 1/√ρ`, where it is `(√ρ − 1)/(√ρ + 1)`.
/// Downwards is upwards for the others. Odds of zero or infinity do not move, since zero stays zero and nothing else becomes zero. The mean
/// moves by `Σ (ŵ_m − w_m)μ_m`; what models gain, others lose, at most the bound (take the gaining ones for `A`), over at most the distance
/// between the means. With `δ = 1/17`, `ρ = 9/8`, and `(3 − 2√2)/(3 + 2√2) = (3 − 2√2)² = 17 − 12√2`. ∎
///
/// # Why these eight bits
/// With `m` fraction bits, `δ = 1/(2^(m+1) + 1)` and there are `2^(8−m) − 1` octaves. In the Fishers of the examples' two digits models
/// (13,140 entries, 3,260 of them zero) a block spans up to 24.9 octaves. Coded, they move weights (of λ ½ and ½) by at most:
///
/// | storage | δ | octaves | bound on a weight | moved in the digits | entries below |
/// |---|---|---|---|---|---|
/// | `m = 4` | 1/33 | 15 | 1.5 % | 57.7 % | 254 |
/// | **`m = 3`** | 1/17 | 31 | 2.9 % | 2.7 % | 0 |
/// | `m = 2` | 1/9 | 63 | 5.6 % | 5.2 % | 0 |
/// | [`Bf16Bits`](crate::Bf16Bits) | 1/257 | those of `f32` | 0.2 % | 0.2 % | 0 |
///
/// A fraction bit more halves the error and the octaves, and 15 do not hold a layer; a bit fewer doubles the error for octaves that nobody
/// needs. Merged with `m = 3`, digits lose at most 0.17 points of accuracy, one image of 597, for λ from 0.1 to 0.9, and gain as many.
///
/// ```
/// use fisher_merge::{CompactFisher, Merge, Posterior};
/// let fisher = [4.0_f32, 1.0, 0.0, 0.3];
/// let mut bytes = [0; CompactFisher::encoded_len(4)];
/// let count = CompactFisher::encode_into(&fisher[..], &mut bytes)?;
/// assert_eq!((count.elements, count.zeros, count.below, bytes.len()), (4, 1, 0, 6));
///
/// let compact = CompactFisher::new(&bytes, 4)?;
/// let mut decoded = [0.0_f32; 4];
/// compact.read(0, &mut decoded);
/// assert_eq!(decoded, [4.0, 1.0, 0.0, 0.3125]);
///
/// let a = Posterior::diagonal(&[1.0_f32; 4][..], compact)?;
/// let b = Posterior::diagonal(&[2.0_f32; 4][..], compact)?;
/// let mut merged = [0.0_f32; 4];
/// let summary = Merge::<f32>::new().run(&[a.power(0.5), b.power(0.5)], &mut merged[..])?;
/// assert_eq!((merged, summary.no_evidence), ([1.5, 1.5, 1.0, 1.5], 1));
/// # Ok::<(), fisher_merge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CompactFisher<'a> {
    bytes: &'a [u8],
    length: usize,
}

/// What encoding a Fisher counted.
#[must_use = "the count says how many entries lie outside the code's range"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct CompactCount {
    /// Entries.
    pub elements: u64,
    /// Entries that are zero, and stay so.
    pub zeros: u64,
    /// Entries above zero that are less than their block's least number, and coded as it.
    pub below: u64,
    /// Entries that are more than the greatest number, `1.875·2¹²⁷`, by half a step, and coded as it.
    pub above: u64,
}

impl CompactCount {
    /// Adds the counts of another tensor.
    ///
    /// ```
    /// use fisher_merge::CompactFisher;
    /// let mut bytes = [0; 4];
    /// let mut count = CompactFisher::encode_into(&[1.0, 1e-12][..], &mut bytes)?;
    /// count.add(&CompactFisher::encode_into(&[0.0, 1e-45][..], &mut bytes)?);
    /// assert_eq!((count.elements, count.zeros, count.below), (4, 1, 2)); // 40 octaves below, and subnormal
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn add(&mut self, other: &Self) {
        self.elements += other.elements;
        self.zeros += other.zeros;
        self.below += other.below;
        self.above += other.above;
    }
}

impl<'a> CompactFisher<'a> {
    /// The largest relative error of an entry in range, 1/17.
    pub const DELTA: f64 = 1.0 / 17.0;
    /// Octaves below its block's largest entry in which every entry is in range.
    pub const OCTAVES: u32 = 31;
    /// What coded Fishers move a merged weight by at most, `17 − 12√2`.
    pub const WEIGHT_BOUND: f64 = 17.0 - 12.0 * core::f64::consts::SQRT_2;

    /// Bytes of so many entries: `length + 2⌈length/256⌉`, none for none.
    ///
    /// ```
    /// use fisher_merge::CompactFisher;
    /// assert_eq!([0, 1, 256, 257].map(CompactFisher::encoded_len), [0, 3, 258, 261]);
    /// ```
    #[must_use]
    pub const fn encoded_len(length: usize) -> usize {
        length.saturating_add(length.div_ceil(ENTRIES).saturating_mul(SCALE))
    }

    /// Encodes a Fisher of any storage type, each entry rounded once. No entries are no bytes.
    ///
    /// # Errors
    /// [`FisherFault::Length`] if there is not room for exactly all bytes, [`Error::BadNumber`] (tensor 0, model 0) for the first entry that
    /// is NaN, infinite or negative. Nothing is written then.
    ///
    /// ```
    /// use fisher_merge::{CompactFisher, Defect, Error, Role};
    /// let mut bytes = [7; 5];
    /// let refused = CompactFisher::encode_into(&[1.0_f32, 2.0, -1.0][..], &mut bytes);
    /// let defect = Defect::Negative;
    /// assert_eq!(refused, Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index: 2, defect }));
    /// assert_eq!(bytes, [7; 5]);
    /// ```
    pub fn encode_into(values: impl Values<f64>, bytes: &mut [u8]) -> Result<CompactCount, Error> {
        let count = values.count();
        let (expected, found) = (Self::encoded_len(count), bytes.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        refuse_bad(&values)?;
        let mut counted = CompactCount { elements: count as u64, ..CompactCount::default() };
        for (block, bytes) in bytes.chunks_mut(SCALE + ENTRIES).enumerate() {
            if let Some((scale, codes)) = bytes.split_first_chunk_mut::<SCALE>() {
                let at = block * ENTRIES;
                let top = largest(&values, at, codes.len()).clamp(LEAST, GREATEST);
                *scale = pattern(top).to_le_bytes();
                encode_block(&values, at, top, codes, &mut counted);
            }
        }
        Ok(counted)
    }

    /// Takes bytes for so many entries. Looks at the scales only: every code stands for a number that is finite and not negative. No bytes
    /// are no entries.
    ///
    /// # Errors
    /// [`FisherFault::Length`] for more or fewer bytes than [`encoded_len`](Self::encoded_len), [`FisherFault::Scale`] for the first block
    /// whose scale is none that encoding writes: NaN, infinite, negative, zero, subnormal, or of more than three fraction bits.
    ///
    /// ```
    /// use fisher_merge::{CompactFisher, Error, FisherFault, Values};
    /// let one: f32 = CompactFisher::new(&[0x80, 0x3f, 255], 1)?.at(0).unwrap();
    /// assert_eq!(one, 1.0);
    /// let blank = CompactFisher::new(&[0; 3], 1).unwrap_err();
    /// assert_eq!(blank, Error::Fisher(FisherFault::Scale { block: 0, found: 0 }));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(bytes: &'a [u8], length: usize) -> Result<Self, Error> {
        let (expected, found) = (Self::encoded_len(length), bytes.len());
        if expected != found {
            return Err(FisherFault::Length { expected, found }.into());
        }
        for (block, bytes) in bytes.chunks(SCALE + ENTRIES).enumerate() {
            let found = bytes.first_chunk().map_or(0, |scale| u16::from_le_bytes(*scale));
            let top = step_of(found);
            if pattern(top) != found || !(LEAST..=GREATEST).contains(&top) {
                return Err(FisherFault::Scale { block, found }.into());
            }
        }
        Ok(Self { bytes, length })
    }

    /// The bytes themselves.
    #[must_use]
    pub fn into_inner(self) -> &'a [u8] {
        self.bytes
    }

    /// Reads the numbers `at .. at + tile.len()`, for a store that hands out tiles; `None`, with nothing read, if they are not all there.
    ///
    /// ```
    /// use fisher_merge::CompactFisher;
    /// let compact = CompactFisher::new(&[0x80, 0x3f, 255, 247], 2)?;
    /// let mut tile = [0.0_f64];
    /// assert_eq!(compact.read(1, &mut tile), Some(()));
    /// assert_eq!((tile, compact.read(2, &mut tile)), ([0.5], None)); // eight codes are an octave
    /// # Ok::<(), fisher_merge::Error>(())
    /// ```
    pub fn read<R: Real>(&self, at: usize, tile: &mut [R]) -> Option<()> {
        let end = at.checked_add(tile.len())?;
        (end <= self.length).then(|| fill(self, at, tile))
    }

    /// The step of the block that holds an entry, and the codes from that entry to the block's end.
    #[inline(always)]
    fn codes(&self, at: usize) -> Option<(u32, &'a [u8])> {
        // Past the end the place in memory may be past all numbers.
        let at = (at < self.length).then_some(at)?;
        let rest = self.bytes.get(at / ENTRIES * (SCALE + ENTRIES)..)?;
        let (scale, codes) = rest.split_first_chunk()?;
        let codes = codes.get(..ENTRIES).unwrap_or(codes);
        Some((step_of(u16::from_le_bytes(*scale)), codes.get(at % ENTRIES..)?))
    }
}

/// The step of a scale: its upper twelve bits.
#[inline(always)]
fn step_of(pattern: u16) -> u32 {
    u32::from(pattern >> (7 - FRACTION))
}

/// The scale of a step, at most [`GREATEST`].
#[allow(clippy::cast_possible_truncation, reason = "a step has twelve bits at most")]
fn pattern(step: u32) -> u16 {
    (step as u16) << (7 - FRACTION)
}

/// The number of a code in a block of this step.
#[inline(always)]
fn decode<R: Real>(code: u8, top: u32) -> R {
    let step = (top + u32::from(code)).max(LEAST + TOP) - TOP;
    let bits = if code == 0 { 0 } else { step << (23 - FRACTION) };
    R::from_f32(f32::from_bits(bits))
}

/// The step nearest to a number above zero, ties to even, 0 for all that are less than `2⁻¹²⁷`. The octave below the normal numbers counts
/// as if its numbers were normal too, which an `f64` holds.
#[allow(clippy::cast_possible_truncation, reason = "fewer than 2^15 steps")]
fn step(value: f64) -> u32 {
    const DROPPED: u32 = 52 - FRACTION;
    const REBIAS: u64 = (1023 - 127) << FRACTION;
    let bits = value.to_bits();
    let even = (bits >> DROPPED) & 1;
    let rounded = (bits + ((1 << (DROPPED - 1)) - 1) + even) >> DROPPED;
    rounded.saturating_sub(REBIAS) as u32
}

/// Shows `count` entries from `at` on, with where they begin, some at a time.
fn each(values: &impl Values<f64>, at: usize, count: usize, mut show: impl FnMut(usize, &[f64])) {
    let mut done = 0;
    while done < count {
        let mut buffer = [0.0; BLOCK];
        show(done, values.block::<Portable, f64>(at + done, BLOCK.min(count - done), &mut buffer));
        done += BLOCK;
    }
}

/// Refuses what is no precision, before anything is written.
fn refuse_bad(values: &impl Values<f64>) -> Result<(), Error> {
    let mut bad = None;
    each(values, 0, values.count(), |at, block| {
        let mut defects = block.iter().enumerate().filter_map(|(i, &value)| Some((at + i, defect(value, Role::Precision)?)));
        bad = bad.or_else(|| defects.next());
    });
    bad.map_or(Ok(()), |(index, defect)| Err(Error::BadNumber { tensor: 0, model: 0, role: Role::Precision, index, defect }))
}

/// The step of the largest entry of a block; 0 if that is zero.
fn largest(values: &impl Values<f64>, at: usize, count: usize) -> u32 {
    let mut largest = 0.0;
    each(values, at, count, |_, block| largest = block.iter().copied().fold(largest, f64::max));
    if largest > 0.0 { step(largest) } else { 0 }
}

/// Encodes a block whose scale is of the step `top`.
fn encode_block(values: &impl Values<f64>, at: usize, top: u32, codes: &mut [u8], counted: &mut CompactCount) {
    let least = top.saturating_sub(TOP - 1).max(LEAST);
    each(values, at, codes.len(), |done, block| {
        for (code, &value) in codes.iter_mut().skip(done).zip(block) {
            if value > 0.0 {
                let step = step(value);
                counted.below += u64::from(step < least);
                counted.above += u64::from(step > GREATEST);
                // From 1 to 255, since `least ≤ top`.
                *code = u8::try_from(step.clamp(least, top) + TOP - top).unwrap_or(u8::MAX);
            } else {
                counted.zeros += 1;
                *code = 0;
            }
        }
    });
}

impl Stored for CompactFisher<'_> {
    #[inline]
    fn count(&self) -> usize {
        self.length
    }
    /// The type whose numbers the codes stand for.
    #[inline]
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
}

impl Load for CompactFisher<'_> {
    /// Of no matter: no patterns are lent.
    type Encoding = F32;
    #[inline(always)]
    fn patterns(&self, _: usize, _: usize) -> Option<&[f32]> {
        None
    }
    #[inline(always)]
    fn number<R: Real>(&self, index: usize) -> Option<R> {
        let (top, codes) = self.codes(index)?;
        codes.first().map(|&code| decode(code, top))
    }
    #[inline(always)]
    fn block<'b, I: Isa, R: Real>(&'b self, at: usize, n: usize, buffer: &'b mut [R; BLOCK]) -> &'b [R] {
        let n = n.min(self.length.saturating_sub(at)).min(BLOCK);
        let mut done = 0;
        while done < n {
            let Some((top, codes)) = self.codes(at + done) else { break };
            let out = buffer.get_mut(done..n).unwrap_or_default();
            done += codes.len().min(out.len());
            for (out, &code) in out.iter_mut().zip(codes) {
                *out = decode(code, top);
            }
        }
        buffer.get(..n).unwrap_or_default()
    }
}
