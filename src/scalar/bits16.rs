//! The 16-bit formats by their bit patterns: branch-free bodies, one number at a time.
//!
//! Widening is exact on all 65,536 patterns; narrowing rounds once, to nearest even, from the width it is given (an `f64` does not
//! pass through `f32` on its way to 16 bits: that would round twice). NaN stays NaN and is made quiet. Selections instead of branches
//! let a loop around these vectorise on any instruction set; one-by-one conversion through `half` without its `std` feature is about
//! four times slower.

/// binary16 → binary32. Shifts the fraction into place and lets one exact multiplication re-bias normals and subnormals alike.
#[inline(always)]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    // 2^112, the difference of the two exponent biases.
    const REBIAS: f32 = f32::from_bits((112 + 127) << 23);
    let bits = u32::from(bits);
    let magnitude = bits & 0x7fff;
    let finite = (f32::from_bits(magnitude << 13) * REBIAS).to_bits();
    let quiet = if magnitude > 0x7c00 { 0x7fc0_0000 } else { 0x7f80_0000 };
    let special = quiet | (magnitude << 13);
    let out = if magnitude >= 0x7c00 { special } else { finite };
    f32::from_bits(out | (bits & 0x8000) << 16)
}

/// bfloat16 → binary32: the lower half is zero.
#[inline(always)]
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// One body of a narrowing: `$from` (with `$uint` bits, `$fraction` fraction bits and bias `$bias`) to 16 bits with `$keep` fraction
/// bits and bias `$to_bias`. A macro and not a generic function, because the integer constants differ in type.
macro_rules! narrow {
    ($(#[$doc:meta])* $name:ident, $from:ty, $uint:ty, $fraction:expr, $bias:expr, $keep:expr, $to_bias:expr) => {
        $(#[$doc])*
        #[inline(always)]
        #[allow(clippy::cast_possible_truncation, reason = "the value is below 2^16 after the shift")]
        #[allow(trivial_numeric_casts, reason = "the constants are of another type in one of the uses")]
        pub(crate) fn $name(value: $from) -> u16 {
            const DROP: u32 = $fraction - $keep;
            const SIGN: $uint = 1 << (<$uint>::BITS - 1);
            const INFINITE: $uint = ((2 * $bias + 1) as $uint) << $fraction;
            // The least normal number of the target, and the first number that rounds to its infinity.
            const NORMAL: $uint = (($bias - $to_bias + 1) as $uint) << $fraction;
            const OVERFLOW: $uint =
                ((($bias + $to_bias) as $uint) << $fraction) | ((((1 as $uint) << ($keep + 1)) - 1) << (DROP - 1));
            // Its unit in the last place is the target's subnormal step, so adding it rounds a subnormal.
            const MAGIC: $uint = (($bias - $to_bias + 1 + DROP) as $uint) << $fraction;
            const TOP: u16 = ((2 * $to_bias + 1) as u16) << $keep;

            let bits = value.to_bits();
            let sign = bits & SIGN;
            let magnitude = bits ^ sign;
            let subnormal = (<$from>::from_bits(magnitude) + <$from>::from_bits(MAGIC)).to_bits().wrapping_sub(MAGIC);
            let even = (magnitude >> DROP) & 1;
            let normal = magnitude
                .wrapping_add((((1 as $uint) << (DROP - 1)) - 1) + even)
                .wrapping_sub((($bias - $to_bias) as $uint) << $fraction)
                >> DROP;
            let finite = if magnitude < NORMAL { subnormal } else { normal };
            let large = if magnitude >= OVERFLOW { <$uint>::from(TOP) } else { finite };
            let payload = ((magnitude >> DROP) & (((1 as $uint) << $keep) - 1)) | (1 << ($keep - 1)) | <$uint>::from(TOP);
            let out = if magnitude > INFINITE { payload } else { large };
            (out as u16) | ((sign >> (<$uint>::BITS - 16)) as u16)
        }
    };
}

narrow!(
    /// binary32 → binary16.
    f32_to_f16, f32, u32, 23, 127, 10, 15
);
narrow!(
    /// binary64 → binary16.
    f64_to_f16, f64, u64, 52, 1023, 10, 15
);
narrow!(
    /// binary64 → bfloat16.
    f64_to_bf16, f64, u64, 52, 1023, 7, 127
);

/// binary32 → bfloat16.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of 32 bits has 16")]
pub(crate) fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let quiet = ((bits >> 16) | 0x40) as u16;
    let rounded = f32_to_bf16_not_nan(value);
    if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { rounded }
}

/// binary32 → bfloat16 of anything but NaN: the exponents agree, so that one integer addition rounds normals, subnormals and overflow
/// alike.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of 32 bits has 16")]
pub(crate) fn f32_to_bf16_not_nan(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}
