//! A checkpoint, one file or several shards, as a store.
//!
//! It is read by position. A mapping would save a copy, but a file that becomes shorter under it kills the process, where a read gives an
//! error; and a mapping takes unsafe code.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fisher_merge::{AnySlice, Dtype, Element, ParameterInfo, ParameterSource, Real, StoreError, StoreErrorKind};

use super::header::{self, Entry, Header, PREFIX};

/// One file.
struct Shard {
    path: PathBuf,
    file: File,
    /// Where the data begins.
    data: u64,
}

/// A checkpoint that is read by position.
pub struct Checkpoint {
    path: PathBuf,
    shards: Vec<Shard>,
    /// Every tensor, with its shard.
    tensors: Vec<(Entry, usize)>,
    numbers: HashMap<String, usize>,
    pub metadata: BTreeMap<String, String>,
    /// Bytes of one tile.
    buffer: RefCell<Vec<u8>>,
    /// What went wrong, in words: a store's error has only a number.
    failure: RefCell<Option<String>>,
}

impl Checkpoint {
    /// Opens a file, or all files that an index names.
    pub fn open(path: &Path) -> Result<Self, String> {
        let mut all = Self {
            path: path.into(),
            shards: Vec::new(),
            tensors: Vec::new(),
            numbers: HashMap::new(),
            metadata: BTreeMap::new(),
            buffer: RefCell::default(),
            failure: RefCell::default(),
        };
        if path.to_string_lossy().ends_with(".index.json") {
            all.open_shards(path)?;
        } else {
            all.open_shard(path, |_| true)?;
        }
        Ok(all)
    }

    fn open_shards(&mut self, path: &Path) -> Result<(), String> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut files: Vec<&String> = weight_map.values().collect();
        files.sort();
        files.dedup();
        let folder = path.parent().unwrap_or(Path::new(""));
        for file in files {
            self.open_shard(&folder.join(file), |name| weight_map.get(name) == Some(file))?;
        }
        for (name, file) in &weight_map {
            if !self.numbers.contains_key(name) {
                return Err(format!("{}: tensor {name} is not in {file}, where the index says it is", path.display()));
            }
        }
        Ok(())
    }

    fn open_shard(&mut self, path: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), String> {
        let (shard, header) = read_header(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let number = self.shards.len();
        self.shards.push(shard);
        for entry in header.tensors.into_iter().filter(|entry| wanted(&entry.name)) {
            self.numbers.insert(entry.name.clone(), self.tensors.len());
            self.tensors.push((entry, number));
        }
        self.metadata.extend(header.metadata);
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tensors.iter().map(|(entry, _)| entry)
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.entries().map(|entry| entry.end - entry.begin).sum()
    }

    /// Gives all bytes of a tensor, a chunk at a time.
    pub fn copy(&self, name: &str, mut chunk: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        let Some((entry, shard)) = self.numbers.get(name).and_then(|&number| self.tensors.get(number)) else { return Ok(()) };
        let Some(shard) = self.shards.get(*shard) else { return Ok(()) };
        let mut buffer = vec![0; 1 << 20];
        let mut at = entry.begin;
        while at < entry.end {
            let n = usize::try_from(entry.end - at).unwrap_or(usize::MAX).min(buffer.len());
            let Some(part) = buffer.get_mut(..n) else { break };
            read_at(&shard.file, part, shard.data + at).map_err(|error| format!("{}: tensor {name}: {error}", shard.path.display()))?;
            chunk(part)?;
            at += n as u64;
        }
        Ok(())
    }

    /// What the last failure was, in words.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow_mut().take()
    }

    /// Reads elements of a tensor as they are stored.
    fn range(&self, index: usize, offset: usize, buffer: &mut Vec<u8>, count: usize) -> io::Result<Dtype> {
        let found = self.tensors.get(index).and_then(|(entry, shard)| Some((entry, self.shards.get(*shard)?, number(&entry.dtype)?)));
        let Some((entry, shard, dtype)) = found else { return Err(io::ErrorKind::NotFound.into()) };
        buffer.resize(count * dtype.bytes(), 0);
        let at = shard.data + entry.begin + offset as u64 * dtype.bytes() as u64;
        let read = read_at(&shard.file, buffer, at);
        if let Err(error) = &read {
            *self.failure.borrow_mut() = Some(format!("{}: tensor {}: {error}", shard.path.display(), entry.name));
        }
        read.map(|()| dtype)
    }
}

/// Opens a file and reads its header.
fn read_header(path: &Path) -> Result<(Shard, Header), String> {
    let text = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(text)?;
    let length = file.metadata().map_err(text)?.len();
    let mut prefix = [0; PREFIX];
    if length < PREFIX as u64 {
        return Err(format!("the file has {length} bytes, too few for a header"));
    }
    read_at(&file, &mut prefix, 0).map_err(text)?;
    let mut json = vec![0; header::length(prefix, length)?];
    read_at(&file, &mut json, PREFIX as u64).map_err(text)?;
    let data = (PREFIX + json.len()) as u64;
    let header = header::parse(&json, length - data)?;
    Ok((Shard { path: path.into(), file, data }, header))
}

/// Fills a buffer from a place in a file.
#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

/// Fills a buffer from a place in a file.
#[cfg(windows)]
fn read_at(file: &File, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[n..];
        at += n as u64;
    }
    Ok(())
}

/// The storage types that are merged, by the format's names.
pub fn number(dtype: &str) -> Option<Dtype> {
    match dtype {
        "F64" => Some(Dtype::F64),
        "F32" => Some(Dtype::F32),
        "F16" => Some(Dtype::F16),
        "BF16" => Some(Dtype::Bf16),
        _ => None,
    }
}

/// What a tensor is to the driver.
pub fn info(entry: &Entry) -> ParameterInfo<'_> {
    let element = number(&entry.dtype).map_or(Element::Other(&entry.dtype), Element::Number);
    ParameterInfo { name: &entry.name, shape: &entry.shape, element }
}

/// A failure of the operating system as a store's.
pub fn store_error(kind: StoreErrorKind, error: &io::Error) -> StoreError {
    StoreError::new(kind).with_code(error.raw_os_error().map_or(0, i32::unsigned_abs))
}

impl<R: Real> ParameterSource<R> for Checkpoint {
    fn count(&self) -> usize {
        self.tensors.len()
    }

    fn info(&self, index: usize) -> Option<ParameterInfo<'_>> {
        self.tensors.get(index).map(|(entry, _)| info(entry))
    }

    fn read(&self, index: usize, offset: usize, tile: &mut [R]) -> Result<(), StoreError> {
        let mut buffer = self.buffer.borrow_mut();
        let dtype = self.range(index, offset, &mut buffer, tile.len()).map_err(|error| store_error(StoreErrorKind::Read, &error))?;
        let unsupported = StoreError::new(StoreErrorKind::Unsupported);
        AnySlice::of_bytes(dtype, &buffer).map_err(|_| unsupported)?.read(0, tile).ok_or(unsupported)
    }

    fn find(&self, name: &str, _: usize) -> Option<usize> {
        self.numbers.get(name).copied()
    }
}
