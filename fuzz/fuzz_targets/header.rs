//! Headers of safetensors files, raw and forged: the tool's parser never panics, and what it lets through covers the file's data exactly,
//! so that no read can leave a tensor. What it takes, the format's own library takes too.
#![no_main]

use fisher_merge_fuzz::Bytes;
use header::{Header, PREFIX, length, parse, width};
use libfuzzer_sys::fuzz_target;

#[path = "../../examples/merge_checkpoints/tool/header.rs"]
mod header;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let file = if bytes.byte() % 2 == 0 { bytes.0.to_vec() } else { forged(&mut bytes) };
    let size = file.len() as u64;
    let Some((prefix, rest)) = file.split_first_chunk::<PREFIX>() else { return };
    let Ok(count) = length(*prefix, size) else { return };
    let (json, data) = rest.split_at(count);
    if let Ok(header) = parse(json, data.len() as u64) {
        assert_covers(&header, data.len() as u64);
        if header.tensors.iter().all(|tensor| width(&tensor.dtype).is_some()) {
            assert_read_by_the_library(&header, &file);
        }
    }
});

/// A file whose header is mostly well formed, with offsets and shapes that are mostly right.
fn forged(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (mut entries, mut at) = (Vec::new(), 0_u64);
    for tensor in 0..bytes.byte() % 5 {
        let dtype = ["F64", "F32", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "ODD"][usize::from(bytes.byte() % 8)];
        let shape: Vec<u64> = (0..bytes.byte() % 4).map(|_| extent(bytes)).collect();
        let size = shape.iter().fold(width(dtype).unwrap_or(1), |size, &extent| size.wrapping_mul(extent));
        let begin = crooked(bytes, at);
        let end = crooked(bytes, begin.wrapping_add(size));
        let name = if bytes.byte() % 16 == 0 { 0 } else { tensor };
        entries.push(format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{begin},{end}]}}"));
        at = end;
    }
    if bytes.byte() % 8 == 0 {
        entries.push("\"__metadata__\":{\"a\":\"b\"}".into());
    }
    let json = format!("{{{}}}{}", entries.join(","), " ".repeat(usize::from(bytes.byte() % 9)));
    let mut file = crooked(bytes, json.len() as u64).to_le_bytes().to_vec();
    file.extend(json.bytes());
    file.resize(file.len() + usize::try_from(crooked(bytes, at)).unwrap_or(0).min(4096), 0);
    file
}

fn extent(bytes: &mut Bytes<'_>) -> u64 {
    match bytes.byte() {
        0 => 1 << 32,
        1 => u64::MAX,
        2 => 1 << 61,
        small => u64::from(small % 5),
    }
}

/// The number, or one near it, or one far away.
fn crooked(bytes: &mut Bytes<'_>, number: u64) -> u64 {
    match bytes.byte() {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => u64::MAX,
        3 => 0,
        _ => number,
    }
}

fn assert_covers(header: &Header, data: u64) {
    let mut at = 0;
    for tensor in &header.tensors {
        assert_eq!(tensor.begin, at, "{header:?}");
        assert!(tensor.end >= at && tensor.end <= data, "{header:?}");
        if let Some(width) = width(&tensor.dtype) {
            let count = tensor.shape.iter().map(|&extent| extent as u128).product::<u128>();
            assert_eq!(count * u128::from(width), u128::from(tensor.end - tensor.begin), "{header:?}");
        }
        at = tensor.end;
    }
    assert_eq!(at, data, "{header:?}");
}

fn assert_read_by_the_library(header: &Header, file: &[u8]) {
    let read = safetensors::SafeTensors::deserialize(file);
    let read = read.unwrap_or_else(|error| panic!("{error}: {header:?}"));
    assert_eq!(read.len(), header.tensors.len());
    for tensor in &header.tensors {
        let view = read.tensor(&tensor.name).unwrap();
        assert_eq!((view.shape(), view.data().len() as u64), (&tensor.shape[..], tensor.end - tensor.begin));
    }
}
