//! What was counted, as JSON.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use fisher_merge::{Solved, Summary};
use serde_json::{Value, json};

use super::output::Draft;

/// Rows in the making.
#[derive(Default)]
pub struct Report {
    tensors: Vec<Value>,
    total: Summary,
    copied: Vec<String>,
}

fn counts(summary: &Summary) -> Value {
    json!({
        "elements": summary.elements,
        "no_evidence": summary.no_evidence,
        "floored": summary.floored,
        "nan": summary.nan,
        "infinite": summary.infinite,
        "negative": summary.negative,
        "out_of_range": summary.out_of_range,
    })
}

impl Report {
    /// A merged tensor.
    pub fn merged(&mut self, name: &str, summary: &Summary) {
        let mut row = counts(summary);
        if let Some(row) = row.as_object_mut() {
            row.insert("name".into(), json!(name));
        }
        self.tensors.push(row);
        self.total.add(summary);
    }

    /// A layer that was merged whole.
    pub fn solved(&mut self, name: &str, solved: &Solved, summary: &Summary) {
        let mut row = counts(summary);
        if let Some(row) = row.as_object_mut() {
            row.insert("name".into(), json!(name));
            row.insert("method".into(), json!(format!("{:?}", solved.method)));
            row.insert("iterations".into(), json!(solved.iterations));
            row.insert("residual".into(), json!(solved.residual));
        }
        self.tensors.push(row);
        self.total.add(summary);
    }

    /// A tensor that was copied from the target.
    pub fn copied(&mut self, name: &str) {
        self.copied.push(name.into());
    }

    /// The counts of all tensors together.
    pub fn total(&self) -> &Summary {
        &self.total
    }

    /// Writes a draft of the file.
    pub fn write(&self, path: &Path, elapsed: Duration, (read, written): (u64, u64)) -> Result<Draft, String> {
        let report = json!({
            "tensors": self.tensors,
            "copied": self.copied,
            "total": counts(&self.total),
            "normalized": self.total.normalized,
            "seconds": elapsed.as_secs_f64(),
            "bytes_read": read,
            "bytes_written": written,
        });
        let mut draft = Draft::new(path)?;
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        writeln!(draft.file, "{text}").map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(draft)
    }
}
