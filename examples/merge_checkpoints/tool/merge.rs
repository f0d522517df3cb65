//! The run: opens the inputs, compares them, streams the outputs, and gives them their names when all is well.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fisher_merge::{Dtype, Error, Model, ParameterInfo, ParameterSource, ParameterTarget, Pass, Real, Role, StoreMerge};
use serde_json::json;

use super::Failure;
use super::arguments::{Arguments, Arithmetic, Norm, OutDtype};
use super::checkpoint::{Checkpoint, number};
use super::explain::Files;
use super::header::Entry;
use super::layers::{self, Layer, is_factor};
use super::output::{Output, publish, stored};
use super::progress::Bar;
use super::report::Report;
use super::structured::{Around, Whole};

/// Elements of a tile: with the buffers of the files it stays in the cache.
const TILE: usize = 1 << 14;

/// Merges as the command line says.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.arithmetic {
        Arithmetic::F32 if arguments.out_dtype == OutDtype::F64 => {
            Err(Failure::Call("--out-dtype f64 takes --arithmetic f64: f32 arithmetic has not its digits".into()))
        }
        Arithmetic::F32 => merge::<f32>(arguments, &Inputs::open(arguments)?),
        Arithmetic::F64 => merge::<f64>(arguments, &Inputs::open(arguments)?),
    }
}

/// All files that are read.
struct Inputs {
    models: Vec<Checkpoint>,
    fishers: Vec<Checkpoint>,
}

impl Inputs {
    /// Opens them; every file that cannot be opened is a finding.
    fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let mut findings = Vec::new();
        let mut open = |paths: &[PathBuf]| -> Vec<Checkpoint> {
            paths.iter().filter_map(|path| Checkpoint::open(path).map_err(|finding| findings.push(finding)).ok()).collect()
        };
        let inputs = Self { models: open(&arguments.models), fishers: open(&arguments.fishers) };
        if findings.is_empty() { Ok(inputs) } else { Err(Failure::Input(findings)) }
    }

    fn bytes(&self) -> u64 {
        self.models.iter().chain(&self.fishers).map(Checkpoint::bytes).sum()
    }

    fn posteriors<R: Real>(&self, weights: &[f64]) -> Vec<Model<'_, R>> {
        let mut fishers = self.fishers.iter();
        let mut posteriors = Vec::new();
        for (mean, &weight) in self.models.iter().zip(weights) {
            let weight = R::from_f64(weight);
            posteriors.push(match fishers.next() {
                Some(fisher) => Model::diagonal(mean, fisher, weight),
                None => Model::isotropic(mean, weight),
            });
        }
        posteriors
    }

    fn files<'f>(&'f self, target: &'f Checkpoint) -> Files<'f> {
        let paths = |checkpoints: &'f [Checkpoint]| checkpoints.iter().map(Checkpoint::path).collect();
        Files { models: paths(&self.models), fishers: paths(&self.fishers), target: target.path() }
    }

    /// What the stores say of their last failure.
    fn failure(&self) -> Option<String> {
        self.models.iter().chain(&self.fishers).find_map(Checkpoint::failure)
    }
}

fn merge<R: Real>(arguments: &Arguments, inputs: &Inputs) -> Result<(), Failure> {
    let started = Instant::now();
    let target = inputs.models.get(arguments.target()).ok_or_else(|| Failure::Call("there is no model".into()))?;
    let layers = whole_layers(arguments, inputs, target)?;
    let whole = |name: &str| layers.iter().any(|layer| layer.holds(name));
    let only = |info: &ParameterInfo<'_>| arguments.selects(info.name) && !whole(info.name) && !is_factor(info.name);
    let rule = StoreMerge::<R>::new().policies(arguments.policies()).conditioning(arguments.conditioning()).only(&only);
    let models = inputs.posteriors::<R>(&arguments.weights);
    let files = inputs.files(target);
    compare(&rule, &models, target, &files)?;
    compare_layers::<R>(arguments, inputs, &whole, target)?;

    let mut outputs = Outputs::create(arguments, target).map_err(Failure::input)?;
    let merged = target.entries().filter(|entry| number(&entry.dtype).is_some() && arguments.selects(&entry.name));
    let mut bar = Bar::new(merged.map(|entry| entry.shape.iter().product::<usize>() as u64).sum());
    let mut report = Report::default();
    copy(arguments, target, &outputs.mean, &mut report).map_err(Failure::input)?;
    let mut scratch = vec![R::ZERO; TILE * rule.scratch_per_element(&models, outputs.precision.is_some())];
    let precision = outputs.precision.as_mut().map(|output| -> &mut dyn ParameterTarget<R> { output });
    let merged = rule.run_many(&models, &mut outputs.mean, precision, &mut scratch, &mut |progress| {
        bar.follow(progress);
        if progress.done && progress.pass == Pass::Merge {
            report.merged(progress.info.name, &progress.summary);
        }
        ControlFlow::Continue(())
    });
    bar.finish();
    if let Err(error) = merged {
        return Err(failure(error, inputs, &mut outputs, &files));
    }
    merge_layers::<R>(arguments, inputs, &layers, &mut outputs, &mut report)?;

    let written = outputs.mean.bytes() + outputs.precision.as_ref().map_or(0, Output::bytes);
    let total = *report.total();
    let mut drafts = vec![outputs.mean.finish()];
    drafts.extend(outputs.precision.map(Output::finish));
    if let Some(path) = &arguments.report {
        drafts.push(report.write(path, started.elapsed(), (inputs.bytes(), written)).map_err(Failure::input)?);
    }
    publish(drafts).map_err(Failure::input)?;
    println!(
        "{}: {} models, {} parameters merged ({} without evidence, {} floored, {} NaN, {} infinite, {} negative, {} out of range), {:.2} s",
        arguments.out.display(),
        models.len(),
        total.elements,
        total.no_evidence,
        total.floored,
        total.nan,
        total.infinite,
        total.negative,
        total.out_of_range,
        started.elapsed().as_secs_f64(),
    );
    Ok(())
}

/// The layers that are merged whole, and whether the command line goes with them.
fn whole_layers(arguments: &Arguments, inputs: &Inputs, target: &Checkpoint) -> Result<Vec<Layer>, Failure> {
    let mut findings = Vec::new();
    let mut layers = layers::find(&inputs.fishers, target, &mut findings);
    if !findings.is_empty() {
        return Err(Failure::Input(findings));
    }
    layers.retain(|layer| arguments.selects(&layer.weight) && layer.bias.as_ref().is_none_or(|bias| arguments.selects(bias)));
    if !layers.is_empty() && (arguments.normalize != Norm::None || arguments.floor.is_some()) {
        return Err(Failure::Call(
            "--normalize and --floor are for diagonal Fishers, but there are structured ones (see --damping)".into(),
        ));
    }
    Ok(layers)
}

/// As [`compare`], for the means of whole layers.
fn compare_layers<R: Real>(
    arguments: &Arguments,
    inputs: &Inputs,
    whole: &dyn Fn(&str) -> bool,
    target: &Checkpoint,
) -> Result<(), Failure> {
    let only = |info: &ParameterInfo<'_>| whole(info.name);
    let rule = StoreMerge::<R>::new().only(&only);
    let means: Vec<_> =
        inputs.models.iter().zip(&arguments.weights).map(|(mean, &weight)| Model::isotropic(mean, R::from_f64(weight))).collect();
    compare(&rule, &means, target, &inputs.files(target))
}

/// Merges the layers that are merged whole.
fn merge_layers<R: Real>(
    arguments: &Arguments,
    inputs: &Inputs,
    layers: &[Layer],
    outputs: &mut Outputs,
    report: &mut Report,
) -> Result<(), Failure> {
    if layers.is_empty() {
        return Ok(());
    }
    let around = match &arguments.damping_mean[..] {
        "own" => Around::Own,
        "average" => Around::Average,
        "target" => Around::Model(arguments.target()),
        file => Around::Given(Checkpoint::open(Path::new(file)).map_err(Failure::input)?),
    };
    let whole = Whole { models: &inputs.models, fishers: &inputs.fishers, around: &around };
    for layer in layers {
        let precision = outputs.precision.as_mut().map(|output| -> &mut dyn ParameterTarget<R> { output });
        let (solved, summary) = whole.merge(arguments, layer, &mut outputs.mean, precision).map_err(Failure::input)?;
        report.solved(&layer.weight, &solved, &summary);
    }
    Ok(())
}

/// Every disagreement between the inputs is a finding.
fn compare<R: Real>(rule: &StoreMerge<'_, R>, models: &[Model<'_, R>], target: &Checkpoint, files: &Files<'_>) -> Result<(), Failure> {
    let mismatches = rule.mismatches(models, target, None);
    let all = rule.mismatches(models, target, None);
    // The target is one of the models, under which its faults are listed.
    let findings: Vec<String> =
        all.filter(|found| found.role != Role::MeanOut).map(|found| files.mismatch(&found, mismatches.explain(&found))).collect();
    if findings.is_empty() { Ok(()) } else { Err(Failure::Input(findings)) }
}

/// The files that are written.
struct Outputs {
    mean: Output,
    precision: Option<Output>,
}

impl Outputs {
    fn create(arguments: &Arguments, target: &Checkpoint) -> Result<Self, String> {
        let mut metadata = target.metadata.clone();
        metadata.insert("fisher_merge".into(), record(arguments));
        let merged = |entry: &Entry| number(&entry.dtype).filter(|_| arguments.selects(&entry.name));
        let means =
            target.entries().map(|entry| merged(entry).map_or_else(|| entry.clone(), |dtype| stored(entry, arguments.stored_as(dtype))));
        let precisions = target.entries().filter(|entry| merged(entry).is_some()).map(|entry| stored(entry, Dtype::F32));
        Ok(Self {
            mean: Output::create(&arguments.out, means.collect(), &metadata)?,
            precision: match &arguments.precision_out {
                Some(path) => {
                    Some(Output::create(path, precisions.collect(), &BTreeMap::from([("fisher_merge".into(), record(arguments))]))?)
                }
                None => None,
            },
        })
    }
}

/// How the merge came about, for the metadata of its outputs.
fn record(arguments: &Arguments) -> String {
    let names = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "models": names(&arguments.models),
        "fishers": names(&arguments.fishers),
        "weights": arguments.weights,
        "arithmetic": if arguments.arithmetic == Arithmetic::F32 { "f32" } else { "f64" },
        "conditioning": format!("{:?}", arguments.conditioning()),
        "damping": arguments.damping,
        "damping_mean": arguments.damping_mean,
        "policies": format!("{:?}", arguments.policies::<f64>()),
        "only": arguments.only.as_ref().map(ToString::to_string),
        "skip": arguments.skip.as_ref().map(ToString::to_string),
    })
    .to_string()
}

/// Copies what is not merged from the target, byte for byte.
fn copy(arguments: &Arguments, target: &Checkpoint, output: &Output, report: &mut Report) -> Result<(), String> {
    for entry in target.entries().filter(|entry| number(&entry.dtype).is_none() || !arguments.selects(&entry.name)) {
        let mut at = 0;
        target.copy(&entry.name, |chunk| {
            output.write_bytes(&entry.name, at, chunk)?;
            at += chunk.len() as u64;
            Ok(())
        })?;
        report.copied(&entry.name);
    }
    Ok(())
}

/// An error of the library, with what the files know of it.
fn failure(error: Error, inputs: &Inputs, outputs: &mut Outputs, files: &Files<'_>) -> Failure {
    let in_words = inputs.failure().or_else(|| outputs.mean.failure()).or_else(|| outputs.precision.as_mut().and_then(Output::failure));
    if let (Error::Store { .. }, Some(finding)) = (error, in_words) {
        return Failure::input(finding);
    }
    let name =
        |tensor| ParameterSource::<f64>::info(&outputs.mean, tensor).map_or_else(|| tensor.to_string(), |info| info.name.to_string());
    files.error(error, name)
}
