//! A file in the making: written under another name in the same folder, and renamed when it is whole and on the disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fisher_merge::{AnySliceMut, Dtype, ParameterInfo, ParameterSource, ParameterTarget, Real, StoreError, StoreErrorKind};
use serde_json::{Map, Value, json};

use super::checkpoint::{info, number, store_error};
use super::header::{Entry, PREFIX};

/// A file that does not have its name yet. Dropped without [`sync`](Self::sync) and [`publish`], it is removed.
pub struct Draft {
    path: PathBuf,
    temporary: Option<PathBuf>,
    pub file: File,
}

impl Draft {
    /// A new file beside `path`.
    pub fn new(path: &Path) -> Result<Self, String> {
        let name = path.file_name().ok_or_else(|| format!("{}: expected the name of a file", path.display()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(hidden);
        if path.is_dir() {
            return Err(format!("{}: is a folder", path.display()));
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&temporary);
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.into(), temporary: Some(temporary), file })
    }

    /// Brings everything to the disk.
    fn sync(&self) -> Result<(), String> {
        self.file.sync_all().map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // Nobody is left to hear of an error.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Gives all drafts their names, after all of them are on the disk. If one cannot have its name, those before it lose theirs.
pub fn publish(drafts: Vec<Draft>) -> Result<(), String> {
    drafts.iter().try_for_each(Draft::sync)?;
    let mut published: Vec<PathBuf> = Vec::new();
    for mut draft in drafts {
        let Some(temporary) = draft.temporary.take() else { continue };
        if let Err(error) = std::fs::rename(&temporary, &draft.path) {
            draft.temporary = Some(temporary);
            for path in published {
                let _ = std::fs::remove_file(path);
            }
            return Err(format!("{}: {error}", draft.path.display()));
        }
        published.push(draft.path.clone());
    }
    // A name is on the disk when its folder is. Not every system lets a folder be opened.
    for path in published {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
    }
    Ok(())
}

/// A checkpoint that is written.
pub struct Output {
    draft: Draft,
    tensors: Vec<Entry>,
    numbers: HashMap<String, usize>,
    /// Where the data begins.
    data: u64,
    buffer: Vec<u8>,
    failure: Option<String>,
}

impl Output {
    /// Starts a file with these tensors (name, type, shape and bytes; where they lie is decided here) and writes its header.
    pub fn create(path: &Path, mut tensors: Vec<Entry>, metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        // Wide types first keep every tensor aligned.
        tensors.sort_by_key(|entry| std::cmp::Reverse(super::header::width(&entry.dtype)));
        let mut at = 0;
        for entry in &mut tensors {
            (entry.begin, entry.end) = (at, at + (entry.end - entry.begin));
            at = entry.end;
        }
        let header = header(&tensors, metadata);
        let draft = Draft::new(path)?;
        let data = header.len() as u64;
        write_at(&draft.file, &header, 0).map_err(|error| format!("{}: {error}", path.display()))?;
        let numbers = tensors.iter().enumerate().map(|(number, entry)| (entry.name.clone(), number)).collect();
        Ok(Self { draft, tensors, numbers, data, buffer: Vec::new(), failure: None })
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.data + self.tensors.last().map_or(0, |entry| entry.end)
    }

    /// Writes bytes of a tensor as they are.
    pub fn write_bytes(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let Some(entry) = self.numbers.get(name).and_then(|&number| self.tensors.get(number)) else { return Ok(()) };
        write_at(&self.draft.file, bytes, self.data + entry.begin + offset).map_err(|error| self.failed(entry, &error))
    }

    /// The file, when all is written.
    pub fn finish(self) -> Draft {
        self.draft
    }

    /// What the last failure was, in words.
    pub fn failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    fn failed(&self, entry: &Entry, error: &io::Error) -> String {
        format!("{}: tensor {}: {error}", self.draft.path.display(), entry.name)
    }

    /// A tensor of numbers and its type.
    fn tensor(&self, index: usize) -> Option<(&Entry, Dtype)> {
        let entry = self.tensors.get(index)?;
        Some((entry, number(&entry.dtype)?))
    }
}

/// The length, the JSON, and spaces up to a multiple of eight.
fn header(tensors: &[Entry], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut all = Map::new();
    if !metadata.is_empty() {
        all.insert("__metadata__".into(), json!(metadata));
    }
    for Entry { name, dtype, shape, begin, end } in tensors {
        all.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] }));
    }
    let mut text = Value::Object(all).to_string();
    while text.len() % PREFIX != 0 {
        text.push(' ');
    }
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.into_bytes());
    bytes
}

/// Writes a buffer to a place in a file.
#[cfg(unix)]
fn write_at(file: &File, buffer: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, buffer, at)
}

/// Writes a buffer to a place in a file.
#[cfg(windows)]
fn write_at(file: &File, mut buffer: &[u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_write(file, buffer, at)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        buffer = &buffer[n..];
        at += n as u64;
    }
    Ok(())
}

impl<R: Real> ParameterSource<R> for Output {
    fn count(&self) -> usize {
        self.tensors.len()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        self.tensors.get(index).map(info)
    }

    /// Nothing is merged in place here.
    fn read(&self, _: usize, _: usize, _: &mut [R]) -> Result<(), StoreError> {
        Err(StoreError::new(StoreErrorKind::Unsupported))
    }

    fn find(&self, name: &str, _: usize) -> Option<usize> {
        self.numbers.get(name).copied()
    }
}

impl<R: Real> ParameterTarget<R> for Output {
    fn write(&mut self, index: usize, offset: usize, tile: &[R]) -> Result<(), StoreError> {
        let unsupported = StoreError::new(StoreErrorKind::Unsupported);
        let (entry, dtype) = self.tensor(index).ok_or(unsupported)?;
        let at = self.data + entry.begin + (offset * dtype.bytes()) as u64;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(tile.len() * dtype.bytes(), 0);
        let mut numbers = AnySliceMut::of_bytes(dtype, &mut buffer).map_err(|_| unsupported)?;
        numbers.write(0, tile).ok_or(unsupported)?;
        let written = write_at(&self.draft.file, &buffer, at);
        self.buffer = buffer;
        written.map_err(|error| {
            self.failure = self.tensors.get(index).map(|entry| self.failed(entry, &error));
            store_error(StoreErrorKind::Write, &error)
        })
    }
}

/// A merged tensor as it will be stored.
pub fn stored(like: &Entry, dtype: Dtype) -> Entry {
    let name = match dtype {
        Dtype::F64 => "F64",
        Dtype::F16 => "F16",
        Dtype::Bf16 => "BF16",
        _ => "F32",
    };
    // The header's check has counted the elements.
    let count: usize = like.shape.iter().product();
    Entry { dtype: name.into(), begin: 0, end: (count * dtype.bytes()) as u64, ..like.clone() }
}
