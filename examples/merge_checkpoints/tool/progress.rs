//! How far the merge has come, for a person at a terminal.

use fisher_merge::{Pass, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on a terminal, nothing elsewhere (indicatif hides what does not go to one). It counts elements: those that are merged, and once
/// more for every pass over a Fisher before the merge.
pub struct Bar {
    bar: ProgressBar,
    /// Elements of one pass.
    elements: u64,
    /// Elements of the tensors that are done, in all passes.
    done: u64,
    pass: Option<Pass>,
}

impl Bar {
    pub fn new(elements: u64) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg:24!} {bar:30} {percent:>3} % {eta:>4}") {
            bar.set_style(style);
        }
        Self { bar, elements, done: 0, pass: None }
    }

    pub fn follow(&mut self, progress: &Progress<'_>) {
        if self.pass != Some(progress.pass) {
            self.pass = Some(progress.pass);
            self.bar.inc_length(self.elements);
        }
        self.bar.set_message(match progress.pass {
            Pass::Fisher(model) => format!("Fisher {}", model + 1),
            _ => progress.info.name.to_string(),
        });
        self.bar.set_position(self.done + progress.cursor.offset as u64);
        if progress.done {
            self.done += progress.cursor.offset as u64;
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
