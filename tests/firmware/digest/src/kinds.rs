//! Storage types as the library's views, by name.

use fisher_merge::{Bf16Bits, Dtype, F16Bits, Real, Values, ValuesMut};

/// A way to store numbers of the arithmetic `R`.
pub(crate) trait Kind<R: Real> {
    const DTYPE: Dtype;
    type Raw: Copy + Default;
    type View<'a>: Values<R> + Values<f64> + Copy;
    type ViewMut<'a>: ValuesMut<R>;
    fn raw(bits: u64) -> Self::Raw;
    fn view(raw: &[Self::Raw]) -> Self::View<'_>;
    fn view_mut(raw: &mut [Self::Raw]) -> Self::ViewMut<'_>;
}

pub(crate) struct F64;
pub(crate) struct F32;
pub(crate) struct F16;
pub(crate) struct Bf16;

macro_rules! native {
    ($($kind:ident, $real:ty, $raw:ty;)*) => {$(
        impl Kind<$real> for $kind {
            const DTYPE: Dtype = Dtype::$kind;
            type Raw = $raw;
            type View<'a> = &'a [$raw];
            type ViewMut<'a> = &'a mut [$raw];
            fn raw(bits: u64) -> $raw {
                // A pattern of the type has no more digits than it.
                <$raw>::from_bits(bits as _)
            }
            fn view(raw: &[$raw]) -> &[$raw] {
                raw
            }
            fn view_mut(raw: &mut [$raw]) -> &mut [$raw] {
                raw
            }
        }
    )*};
}
native! { F64, f64, f64; F32, f32, f32; F32, f64, f32; }

macro_rules! patterns {
    ($($kind:ident, $real:ty, $view:ident;)*) => {$(
        impl Kind<$real> for $kind {
            const DTYPE: Dtype = Dtype::$kind;
            type Raw = u16;
            type View<'a> = $view<&'a [u16]>;
            type ViewMut<'a> = $view<&'a mut [u16]>;
            fn raw(bits: u64) -> u16 {
                bits as u16
            }
            fn view(raw: &[u16]) -> $view<&[u16]> {
                $view(raw)
            }
            fn view_mut(raw: &mut [u16]) -> $view<&mut [u16]> {
                $view(raw)
            }
        }
    )*};
}
patterns! { F16, f32, F16Bits; F16, f64, F16Bits; Bf16, f32, Bf16Bits; Bf16, f64, Bf16Bits; }
