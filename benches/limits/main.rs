//! The limits that this crate sets itself, each measured against its contender in one run: `cargo bench --bench limits`.
//!
//! All contenders of a size run once a round, in an order that rotates; a ratio is the median over the rounds of the ratio within a round,
//! so that a machine that changes its speed changes both sides. Exits 1 if a ratio is above its limit. One thread, no compiler flags. With
//! `--test` it runs one small round without limits; a number (`-- 25`) asks for that power of two alone, 0 for the
//! layers and their merges.

#[path = "../backend.rs"]
mod backend;
mod contenders;
mod layers;
mod structured;

use std::process::ExitCode;
use std::time::Instant;

use contenders::{CONTENDERS, Contender, Data};
use fisher_merge::Shell;

/// What every contender took in every round.
type Times = Vec<(&'static str, Vec<f64>)>;

/// A ratio and where it must stay.
struct Limit {
    what: &'static str,
    log2: u32,
    over: (&'static str, &'static str),
    /// The factor by which the first is repeated in the second (ten merges).
    times: f64,
    at_most: Option<f64>,
}

const fn limit(what: &'static str, log2: u32, over: (&'static str, &'static str), at_most: f64) -> Limit {
    Limit { what, log2, over, times: 1.0, at_most: Some(at_most) }
}

const fn shown(what: &'static str, log2: u32, over: (&'static str, &'static str)) -> Limit {
    Limit { what, log2, over, times: 1.0, at_most: None }
}

const LIMITS: &[Limit] = &[
    limit("f32 over the roof", 25, ("f32", "roof"), 1.25),
    limit("f64 arithmetic on f32 storage over the roof", 25, ("f32 in f64", "roof"), 1.35),
    limit("bf16 over f32", 25, ("bf16", "f32"), 0.8),
    limit("f16 over f32", 25, ("f16", "f32"), 0.9),
    limit("f32 over ndarray Zip, 2^20", 20, ("f32", "zip"), 1.0),
    limit("f32 over ndarray Zip, 2^22", 22, ("f32", "zip"), 1.0),
    limit("f32 over ndarray Zip, 2^25", 25, ("f32", "zip"), 1.0),
    limit("f32 over ndarray Zip, in cache", 11, ("f32", "zip"), 1.6),
    Limit { what: "ten weights in one read over ten merges", log2: 25, over: ("ten weights", "f32"), times: 10.0, at_most: Some(0.7) },
    limit("through the driver and stores over whole slices", 25, ("stores", "f32"), 1.15),
    shown("the same, in cache", 11, ("stores", "f32")),
    shown("f64 in f64 over the roof", 25, ("f64", "roof")),
    shown("with the precision out over f32", 25, ("precision out", "f32")),
    shown("zeros in every block over f32", 25, ("zeros", "f32")),
    shown("four models over two", 25, ("four models", "f32")),
    shown("the running form over the fused", 25, ("running", "f32")),
    shown("baseline shell over the best", 25, ("f32 baseline", "f32")),
    shown("the same, bf16", 25, ("bf16 baseline", "bf16")),
    shown("baseline shell over the best, in cache", 11, ("f32 baseline", "f32")),
    shown("bf16 over f32, in cache", 11, ("bf16", "f32")),
    shown("f16 over f32, in cache", 11, ("f16", "f32")),
    shown("f64 arithmetic over f32, in cache", 11, ("f32 in f64", "f32")),
];

fn main() -> ExitCode {
    let test = std::env::args().any(|argument| argument == "--test");
    let asked: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!("shell {:?}; ratios are medians of the rounds' own (least .. greatest)", Shell::detect());
    let mut exceeded = 0;
    for log2 in [11, 20, 22, 25].into_iter().filter(|log2| asked.is_empty() || asked.contains(log2)) {
        let (log2, layouts, rounds) = if test { (log2.min(11), 1, 1) } else { (log2, 5, if log2 == 25 { 5 } else { 9 }) };
        let times = measure(log2, layouts, rounds);
        for limit in LIMITS.iter().filter(|limit| limit.log2 == log2) {
            exceeded += u32::from(!report(limit, &times) && !test);
        }
    }
    if asked.is_empty() || asked.contains(&0) {
        exceeded += layers::run(test) + structured::run(test);
    }
    if Shell::detect() == Shell::BASELINE {
        println!("this machine has no shell above the baseline; the limits are for one that has AVX2, and none is enforced");
        return ExitCode::SUCCESS;
    }
    println!("{}", if exceeded == 0 { "every limit is kept".into() } else { format!("{exceeded} limits exceeded") });
    ExitCode::from(u8::from(exceeded > 0))
}

/// Nanoseconds per parameter of every contender in every round.
///
/// Which pages of memory the slices lie on is chance, and changes a time by a fifth for as long as they live; so they are made anew for
/// every few rounds.
fn measure(log2: u32, layouts: usize, rounds: usize) -> Times {
    // So many repetitions that a measurement takes about a millisecond.
    let repetitions = (1_usize << 20 >> log2).max(1);
    let mut times: Vec<(&str, Vec<f64>)> = CONTENDERS.iter().map(|contender| (contender.name, Vec::new())).collect();
    for layout in 0..layouts {
        let mut data = Data::new(1 << log2, layout);
        for round in 0..=rounds {
            for position in 0..CONTENDERS.len() {
                let which = (position + round + layout) % CONTENDERS.len();
                let time = once(&CONTENDERS[which], &mut data, repetitions);
                // The first round brings every page in.
                if round > 0 {
                    times[which].1.push(time);
                }
            }
        }
    }
    println!("\n2^{log2} parameters, nanoseconds per parameter (median):");
    for (contender, (name, times)) in CONTENDERS.iter().zip(&times) {
        let time = median(times.clone());
        println!("  {name:<16}{time:>8.3}   {:>6.1} GB/s", contender.bytes / time);
    }
    println!();
    times
}

fn once(contender: &Contender, data: &mut Data, repetitions: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..repetitions {
        (contender.run)(std::hint::black_box(data));
    }
    start.elapsed().as_secs_f64() * 1e9 / (repetitions * data.count()) as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a ratio beside its limit; whether it is kept.
fn report(limit: &Limit, times: &[(&str, Vec<f64>)]) -> bool {
    let of = |name: &str| &times.iter().find(|(known, _)| *known == name).expect("every limit names two contenders").1;
    let ratios: Vec<f64> = of(limit.over.0).iter().zip(of(limit.over.1)).map(|(a, b)| a / (b * limit.times)).collect();
    let (least, greatest) = ratios.iter().fold((f64::MAX, 0.0_f64), |(least, greatest), &ratio| (least.min(ratio), greatest.max(ratio)));
    let ratio = median(ratios);
    let kept = limit.at_most.is_none_or(|at_most| ratio <= at_most);
    let bound = limit.at_most.map_or_else(|| "no limit".into(), |at_most| format!("at most {at_most}"));
    println!("{:<48}{ratio:>7.3} ({least:.3} .. {greatest:.3})  {bound}{}", limit.what, if kept { "" } else { "   EXCEEDED" });
    kept
}
