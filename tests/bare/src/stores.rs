//! Merges of whole models: through slices that lend, through bytes, through strided views, and through a store that only copies.

use core::hint::black_box;
use core::ops::ControlFlow;

use fisher_merge::{
    Conditioning, Dtype, Element, Error, Floor, FloorOn, FloorScope, LeBytes, Model, Normalize, ParameterInfo, ParameterSource,
    ParameterTarget, Real, StoreError, StoreErrorKind, StoreMerge, Strided, StridedMut, StridedTensor, StridedTensorMut, Tensor, TensorMut,
    Tensors, TensorsMut,
};

use crate::calls::N;

const SHAPE: [usize; 2] = [2, N / 2];

/// A flash of one tensor, which copies what is asked for.
struct Flash([f32; N]);

impl<R: Real> ParameterSource<R> for Flash {
    fn count(&self) -> usize {
        1
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        (index == 0).then_some(ParameterInfo { name: "weight", shape: &SHAPE, element: Element::Number(Dtype::F32) })
    }

    fn read(&self, _: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let range = self.0.get(offset..).and_then(|rest| rest.get(..tile.len())).ok_or(StoreError::new(StoreErrorKind::OutOfRange))?;
        tile.iter_mut().zip(range).for_each(|(out, &value)| *out = R::from_f32(value));
        Ok(())
    }
}

impl<R: Real> ParameterTarget<R> for Flash {
    fn write(&mut self, _: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
        let range = self.0.get_mut(offset..).and_then(|rest| rest.get_mut(..tile.len()));
        let range = range.ok_or(StoreError::new(StoreErrorKind::OutOfRange))?;
        range.iter_mut().zip(tile).for_each(|(out, value)| *out = value.as_f32());
        Ok(())
    }
}

/// Whether every call went through and a merged value is right.
pub fn all() -> bool {
    let stores = [1.0_f32, 3.0, 2.0, 1.0].map(|value| Flash([black_box(value); N]));
    let right = copied::<f32>(&stores) == Ok(1.25) && copied::<f64>(&stores) == Ok(1.25);
    right && lent::<f32>(&stores).is_ok() && lent::<f64>(&stores).is_ok()
}

#[inline(never)]
fn copied<R: Real>([a, f, b, g]: &[Flash; 4]) -> Result<f32, Error> {
    let half = R::from_f64(black_box(0.5));
    let models = [Model::diagonal(a, f, half), Model::diagonal(b, g, half)];
    let (mut target, mut precision) = (Flash([0.0; N]), Flash([0.0; N]));
    let mut scratch = [R::ZERO; 70];
    let _ = StoreMerge::new().run(&models, &mut target, &mut scratch)?;
    let merged = target.0.first().copied().unwrap_or_default();
    let floor = Floor::Relative { share: black_box(0.5), scope: black_box(FloorScope::Tensor) };
    let rule = Conditioning::new().floor(floor).floor_on(FloorOn::All).normalize(black_box(Normalize::L2));
    let only = |info: &ParameterInfo<'_>| info.shape.len() == black_box(2);
    let driver = StoreMerge::new().conditioning(rule).look_first(true).prior_mean(a).only(&only);
    let in_place = [Model::in_place(models[0].precision, models[0].weight), models[1]];
    let mut tiles = 0;
    let _ = driver.run_watched(&in_place, &mut target, Some(&mut precision), &mut scratch, &mut |_| {
        tiles += 1;
        if black_box(tiles) > 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    black_box((&target.0, &precision.0));
    Ok(merged)
}

#[inline(never)]
fn lent<R: Real>([a, f, b, g]: &[Flash; 4]) -> Result<(), Error> {
    let half = R::from_f64(black_box(0.5));
    let raw = [0_u8; 4 * N];
    let one = [Tensor::new("weight", &SHAPE, &a.0[..])?];
    let two = [Tensor::new("weight", &SHAPE, LeBytes::new(black_box(Dtype::F32), &raw[..])?)?];
    let fisher = [StridedTensor::new("weight", &SHAPE, &[1, 2], 0, &f.0[..])?];
    let other = [Tensor::new("weight", &SHAPE, &g.0[..])?];
    let (one, two, fisher, other) = (Tensors(&one), Tensors(&two), Strided(&fisher), Tensors(&other));
    let models = [Model::diagonal(&one, &fisher, half), Model::diagonal(b, g, half), Model::isotropic(&two, half)];
    let (mut out, mut turned, mut scratch) = ([0.0_f32; N], [0_u16; N], [R::ZERO; 70]);
    let mut target = [TensorMut::new("weight", &SHAPE, &mut out[..])?];
    let _ = StoreMerge::new().run(&models, &mut TensorsMut(&mut target), &mut scratch)?;
    let lent = [Model::diagonal(&one, &other, half), Model::isotropic(&two, half)];
    let _ = StoreMerge::new().run(&lent, &mut TensorsMut(&mut target), &mut [])?;
    let mut target = [StridedTensorMut::new("weight", &SHAPE, &[1, 2], 0, fisher_merge::F16Bits(&mut turned[..]))?];
    let _ = StoreMerge::new().run(&models, &mut StridedMut(&mut target), &mut scratch)?;
    black_box((&out, &turned));
    Ok(())
}
