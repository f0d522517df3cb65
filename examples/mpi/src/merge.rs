//! A merge by ranges: every rank merges its part of the parameters, and none needs to know of another's.

use std::ops::Range;

use fisher_merge::{Error, Merge, Posterior};
use mpi::datatype::PartitionMut;
use mpi::traits::{Communicator, Root};

use crate::network::Parameters;

/// Means and Fisher of a model.
pub type Model = (Vec<f64>, Vec<f64>);

/// All parameters behind one another, in this order of tensors.
pub fn flat(parameters: &Parameters, names: &[String]) -> Result<Vec<f64>, String> {
    let mut all = Vec::new();
    for name in names {
        all.extend(parameters.get(name).ok_or_else(|| format!("tensor {name} is missing"))?);
    }
    Ok(all)
}

/// Merges a range on every rank. Rank 0 compares all with the merge of the whole, and gives it.
pub fn by_ranges(world: &impl Communicator, models: &[Model; 2]) -> Result<Option<Vec<f64>>, String> {
    let length = models[0].0.len();
    let part = merge(models, own(length, world.rank(), world.size())).map_err(|error| error.to_string())?;
    // The merge is done. What follows is for the comparison only.
    let Some(gathered) = gather(world, &part, length) else { return Ok(None) };
    let whole = merge(models, 0..length).map_err(|error| error.to_string())?;
    match gathered.iter().zip(&whole).position(|(part, whole)| part.to_bits() != whole.to_bits()) {
        None => Ok(Some(gathered)),
        Some(at) => Err(format!("parameter {at} is {:e} merged by ranges, {:e} at once", gathered[at], whole[at])),
    }
}

/// The parameters of a rank.
fn own(length: usize, rank: i32, ranks: i32) -> Range<usize> {
    let (rank, ranks) = (rank as usize, ranks as usize);
    length * rank / ranks..length * (rank + 1) / ranks
}

fn merge(models: &[Model; 2], range: Range<usize>) -> Result<Vec<f64>, Error> {
    let [low, high] = models.each_ref().map(|(means, fisher)| Posterior::diagonal(&means[range.clone()], &fisher[range.clone()]));
    let mut out = vec![0.0; range.len()];
    let _ = Merge::<f64>::new().run(&[low?.power(0.5), high?.power(0.5)], &mut out[..])?;
    Ok(out)
}

/// All parts, at rank 0.
fn gather(world: &impl Communicator, part: &[f64], length: usize) -> Option<Vec<f64>> {
    let root = world.process_at_rank(0);
    if world.rank() != 0 {
        root.gather_varcount_into(part);
        return None;
    }
    let ranges: Vec<Range<usize>> = (0..world.size()).map(|rank| own(length, rank, world.size())).collect();
    let counts: Vec<i32> = ranges.iter().map(|range| range.len() as i32).collect();
    let starts: Vec<i32> = ranges.iter().map(|range| range.start as i32).collect();
    let mut all = vec![0.0; length];
    root.gather_varcount_into_root(part, &mut PartitionMut::new(&mut all[..], counts, starts));
    Some(all)
}
