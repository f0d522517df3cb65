//! The header of a safetensors file: eight bytes of length, then JSON that says of every tensor its type, its shape and where it lies.
//!
//! Nothing is believed: lengths, offsets and shapes are compared with the file and with each other before anything is made of them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// More than any real header has; the format's own library has the same limit.
const LONGEST: u64 = 100_000_000;

/// The bytes in front of the header, which are its length.
pub const PREFIX: usize = 8;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    /// The type by the format's name, for instance `BF16`.
    pub dtype: String,
    pub shape: Vec<usize>,
    /// Where its bytes lie behind the header.
    pub begin: u64,
    pub end: u64,
}

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    pub tensors: Vec<Entry>,
    pub metadata: BTreeMap<String, String>,
}

/// How long the header is, from the first eight bytes of a file of `file` bytes.
pub fn length(prefix: [u8; PREFIX], file: u64) -> Result<usize, String> {
    let length = u64::from_le_bytes(prefix);
    if length > LONGEST {
        return Err(format!("the header says that it is {length} bytes long, expected at most {LONGEST}"));
    }
    let there = file.saturating_sub(PREFIX as u64);
    if length > there {
        return Err(format!("the header says that it is {length} bytes long, but only {there} bytes follow"));
    }
    usize::try_from(length).map_err(|_| format!("a header of {length} bytes does not fit in memory"))
}

/// Bytes of a number of a type; `None` for types that this tool does not know.
pub fn width(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F64" | "I64" | "U64" | "C64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        "I8" | "U8" | "BOOL" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => 1,
        _ => return None,
    })
}

/// A JSON object with its keys in order, the repeated ones too.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[derive(Deserialize)]
struct Description {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Reads a header, of a file with `data` bytes behind it.
pub fn parse(json: &[u8], data: u64) -> Result<Header, String> {
    let Pairs(pairs) = serde_json::from_slice(json).map_err(|error| format!("the header is not what it should be: {error}"))?;
    let mut header = Header::default();
    let mut names = HashSet::new();
    for (name, value) in pairs {
        if !names.insert(name.clone()) {
            return Err(format!("tensor {name} stands in the header twice"));
        }
        if name == "__metadata__" {
            header.metadata = serde_json::from_value(value).map_err(|error| format!("__metadata__: {error}"))?;
            continue;
        }
        let Description { dtype, shape, data_offsets: (begin, end) } =
            serde_json::from_value(value).map_err(|error| format!("tensor {name}: {error}"))?;
        let entry = Entry { name, dtype, shape, begin, end };
        check(&entry, data)?;
        header.tensors.push(entry);
    }
    header.tensors.sort_by_key(|entry| (entry.begin, entry.end));
    cover(&header.tensors, data)?;
    Ok(header)
}

/// One tensor against the file and its own shape.
fn check(entry: &Entry, data: u64) -> Result<(), String> {
    let Entry { name, dtype, shape, begin, end } = entry;
    if begin > end {
        return Err(format!("tensor {name} ends at byte {end}, before it begins at byte {begin}"));
    }
    if *end > data {
        return Err(format!("tensor {name} ends at byte {end}, but the file has {data} bytes of data"));
    }
    let count = shape.iter().try_fold(1_u64, |count, &extent| count.checked_mul(u64::try_from(extent).ok()?));
    let count = count.ok_or_else(|| format!("tensor {name}: the shape {shape:?} has more elements than can be counted"))?;
    let Some(width) = width(dtype) else { return Ok(()) };
    let bytes = count.checked_mul(width).ok_or_else(|| format!("tensor {name}: the shape {shape:?} has more bytes than can be counted"))?;
    if bytes == end - begin {
        Ok(())
    } else {
        Err(format!("tensor {name}: {dtype} of shape {shape:?} takes {bytes} bytes, found {}", end - begin))
    }
}

/// Whether the tensors, in the order of their offsets, cover the data without gap or overlap.
fn cover(tensors: &[Entry], data: u64) -> Result<(), String> {
    let mut at = 0;
    for entry in tensors {
        if entry.begin != at {
            let how = if entry.begin < at { "overlaps the tensor before it" } else { "leaves a gap before it" };
            return Err(format!("tensor {} begins at byte {} and {how}, expected byte {at}", entry.name, entry.begin));
        }
        at = entry.end;
    }
    if at == data { Ok(()) } else { Err(format!("{} bytes behind the last tensor belong to none", data - at)) }
}
