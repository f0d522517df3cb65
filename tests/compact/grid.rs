//! The code by its definition, for any number of fraction bits: a list of numbers and a search in it, with no bit pattern in it.

/// All numbers from `2^-127` to the greatest, in ascending order: the octave below the normal numbers is there to round in.
pub(crate) struct Grid {
    pub(crate) numbers: Vec<f64>,
    /// Where `2^-126` is.
    pub(crate) least: usize,
}

/// What a block becomes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Coded {
    pub(crate) numbers: Vec<f64>,
    pub(crate) zeros: u64,
    pub(crate) below: u64,
    pub(crate) above: u64,
}

impl Grid {
    pub(crate) fn new(fraction_bits: u32) -> Self {
        let steps = 1_u32 << fraction_bits;
        let octave = |e: i32| (0..steps).map(move |f| 2_f64.powi(e) * (1.0 + f64::from(f) / f64::from(steps)));
        Self { numbers: (-127..128).flat_map(octave).collect(), least: steps as usize }
    }

    pub(crate) fn greatest(&self) -> usize {
        self.numbers.len() - 1
    }

    /// The place nearest to `value`, ties to the even one; one past the end for what rounds to the number there would be.
    fn nearest(&self, value: f64) -> usize {
        let above = self.numbers.partition_point(|&number| number <= value);
        let Some(below) = above.checked_sub(1) else { return 0 };
        let next = self.numbers.get(above).copied().unwrap_or(2_f64.powi(128));
        let middle = (self.numbers[below] + next) / 2.0;
        if value < middle || (value == middle && below % 2 == 0) { below } else { above }
    }

    /// Codes numbers in blocks.
    pub(crate) fn code(&self, values: &[f64], block: usize) -> Coded {
        let mut coded = Coded::default();
        for block in values.chunks(block) {
            let top = block.iter().filter(|&&value| value > 0.0).map(|&value| self.nearest(value)).max().unwrap_or(0);
            let top = top.clamp(self.least, self.greatest());
            let least = top.saturating_sub(254).max(self.least);
            for &value in block {
                let place = self.nearest(value);
                coded.zeros += u64::from(value == 0.0);
                coded.below += u64::from(value > 0.0 && place < least);
                coded.above += u64::from(place > self.greatest());
                coded.numbers.push(if value == 0.0 { 0.0 } else { self.numbers[place.clamp(least, top)] });
            }
        }
        coded
    }
}
