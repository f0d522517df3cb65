//! The tool: merges safetensors checkpoints of any size through stores, in bounded memory.
//!
//! | file | what it is |
//! |---|---|
//! | `arguments` | the command line |
//! | `header` | what a file says of its tensors, and whether that can be true |
//! | `checkpoint` | one file or several shards as a store that is read by position |
//! | `output` | a file in the making, as a store that is written; it appears whole or not at all |
//! | `layers` | layers with structured Fishers, as files hold them |
//! | `structured` | their merge, one whole layer at a time |
//! | `merge` | the run |
//! | `explain` | errors in the words of names and files |
//! | `report` | what was counted, as JSON |

mod arguments;
mod checkpoint;
mod explain;
mod header;
mod layers;
mod merge;
mod output;
mod progress;
mod report;
mod structured;

use std::process::ExitCode;

use arguments::Arguments;
use clap::Parser;

/// Why there is no merge: a wrong call, or bad input. Every line is a finding.
pub enum Failure {
    Call(String),
    Input(Vec<String>),
}

impl Failure {
    fn input(finding: impl Into<String>) -> Self {
        Self::Input(vec![finding.into()])
    }
}

/// Exit code 0 for a merge, 1 for bad input, 2 for a wrong call.
pub fn main() -> ExitCode {
    match Arguments::parse().checked().and_then(|arguments| merge::run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Call(finding)) => {
            eprintln!("merge_checkpoints: {finding}");
            ExitCode::from(2)
        }
        Err(Failure::Input(findings)) => {
            for finding in findings {
                eprintln!("merge_checkpoints: {finding}");
            }
            ExitCode::FAILURE
        }
    }
}
