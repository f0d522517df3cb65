//! The tool on files: what it merges, what it refuses, and that nothing is left behind.
#![cfg(feature = "alloc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fisher_merge::{Dtype, LeBytes, Merge, Posterior, ValuesMut};

#[path = "common/tool.rs"]
mod tool;
use tool::{Folder, program, refused};

fn tool(arguments: &[&str]) -> Output {
    Command::new(program("merge_checkpoints")).args(arguments).output().unwrap()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The bytes behind the header.
fn data(path: &str) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + length..].to_vec()
}

#[test]
fn the_digits_merge_to_what_is_expected() {
    let folder = Folder::new("digits");
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits");
    let path = |name: &str| digits.join(name).display().to_string();
    let (low, high, fl, fh) =
        (path("low.safetensors"), path("high.safetensors"), path("low.fisher.safetensors"), path("high.fisher.safetensors"));
    let out = folder.file("out");
    let numbers = |path: &str| {
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut all: Vec<(String, Vec<f64>)> = Vec::new();
        for (name, view) in file.tensors() {
            all.push((name, view.data().chunks_exact(8).map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap())).collect()));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let with_fisher = ["--model", &low, "--fisher", &fl, "--model", &high, "--fisher", &fh, "--out", &out, "--out-dtype", "f64"];
    let isotropic = ["--model", &low, "--model", &high, "--out", &out, "--out-dtype", "f64"];
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("expected.fisher.f64.safetensors", &with_fisher, &[]),
        ("expected.fisher_0.3_0.7.f64.safetensors", &with_fisher, &["--weight", "0.3", "--weight", "0.7"]),
        (
            "expected.fisher_l2_floor_target.f64.safetensors",
            &with_fisher,
            &["--normalize", "l2", "--floor", "1e-6", "--floor-on", "target"],
        ),
        ("expected.isotropic.f64.safetensors", &isotropic, &[]),
    ];
    for (expected, first, more) in cases {
        let arguments: Vec<&str> = first.iter().chain(more).copied().collect();
        let done = tool(&arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        for ((name, merged), (_, expected)) in numbers(&out).iter().zip(numbers(&path(expected))) {
            // Promise 6: eight epsilons of the largest contribution, which is below two here.
            let worst = merged.iter().zip(&expected).fold(0.0_f64, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst <= 16.0 * f64::EPSILON, "{name}: {worst}");
        }
    }
    assert_eq!(folder.names(), ["out"]);
}

#[test]
fn identical_models_and_sole_models_come_back_byte_for_byte() {
    let folder = Folder::new("identity");
    let patterns: Vec<u8> = (0..48_u8).map(|index| if index % 2 == 1 { 0x30 + index / 4 } else { index.wrapping_mul(37) }).collect();
    for (dtype, shape) in [("F64", "[6]"), ("F32", "[12]"), ("F16", "[24]"), ("BF16", "[24]")] {
        let tensors = [("w", dtype, shape, patterns.clone()), ("steps", "I64", "[1]", vec![3; 8])];
        let (a, out) = (folder.write("a", 3, &tensors), folder.file("out"));
        let other = [("steps", "I64", "[1]", vec![3; 8]), ("w", dtype, shape, patterns.iter().map(|byte| byte / 2).collect())];
        let b = folder.write("b", 5, &other);
        assert!(tool(&["--model", &a, "--model", &a, "--out", &out]).status.success());
        let both: Vec<u8> = if dtype == "F64" { data(&a) } else { [vec![3; 8], patterns.clone()].concat() };
        assert_eq!(data(&out), both, "{dtype}");
        assert!(tool(&["--model", &a, "--weight", "0", "--model", &b, "--weight", "1", "--out", &out]).status.success());
        assert_eq!(data(&out), data(&b), "{dtype}");
    }
}

#[test]
fn disagreements_are_all_listed_and_nothing_is_left() {
    let folder = Folder::new("faults");
    let a = folder.write("a", 0, &[("w", "F32", "[2,3]", vec![0; 24]), ("v", "F32", "[2]", vec![0; 8]), ("u", "F32", "[1]", vec![0; 4])]);
    let b = folder.write("b", 0, &[("w", "F32", "[3,2]", vec![0; 24]), ("u", "I32", "[1]", vec![0; 4]), ("x", "F32", "[1]", vec![0; 4])]);
    let out = folder.file("out");
    let output = tool(&["--model", &a, "--model", &b, "--out", &out]);
    refused(&output, 1, &["tensor w has shape [3, 2], expected [2, 3]", "tensor v is missing", "tensor u holds I32", "tensor x", "not in"]);
    let ones = f32s(&[1.0; 3]);
    let model = folder.write("m", 0, &[("w", "F32", "[3]", ones.clone())]);
    for (bad, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "infinite"), (-1.0, "negative")] {
        let fisher = folder.write("f", 0, &[("w", "F32", "[3]", f32s(&[1.0, 1.0, bad]))]);
        let output = tool(&["--model", &model, "--fisher", &fisher, "--model", &model, "--fisher", &fisher, "--out", &out]);
        refused(&output, 1, &["tensor w", "[2]", word]);
    }
    let nowhere = folder.file("no/such/folder/out");
    refused(&tool(&["--model", &model, "--out", &nowhere]), 1, &["no/such/folder"]);
    assert_eq!(folder.names(), ["a", "b", "f", "m"]);
}

#[test]
fn hostile_files_are_refused() {
    let folder = Folder::new("hostile");
    let good = folder.write("good", 0, &[("w", "F32", "[1]", vec![0; 4])]);
    let out = folder.file("out");
    let tensor = |offsets: &str, shape: &str| format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}");
    let cases = [
        (tensor("[4,0]", "[1]"), 4, "before it begins"),
        (tensor("[0,400]", "[100]"), 4, "400"),
        (tensor("[0,4]", "[2]"), 4, "takes 8 bytes"),
        (tensor("[0,4]", "[18446744073709551615,3]"), 4, "counted"),
        (tensor("[0,4]", "[1]"), 9, "belong to none"),
        (tensor("[0,4]", "[-1]"), 4, "w"),
        (tensor("[0]", "[1]"), 4, "w"),
        ("[]".into(), 0, "object"),
        ("{".into(), 0, "header"),
        (tensor("[0,4]", "[1]").replace("}}", "},\"w\":{}}"), 4, "twice"),
        (tensor("[0,4]", "[1]").replace("}}", "},\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}"), 6, "overlaps"),
    ];
    for (header, bytes, word) in cases {
        let bad = folder.raw("bad", &header, &vec![0; bytes]);
        refused(&tool(&["--model", &good, "--model", &bad, "--out", &out]), 1, &["bad", word]);
    }
    for bytes in [vec![], vec![1, 2, 3], u64::MAX.to_le_bytes().to_vec(), 50_u64.to_le_bytes().to_vec()] {
        std::fs::write(folder.file("bad"), bytes).unwrap();
        refused(&tool(&["--model", &folder.file("bad"), "--out", &out]), 1, &["bad"]);
    }
    assert_eq!(folder.names(), ["bad", "good"]);
}

#[test]
fn wrong_calls_exit_with_two() {
    let folder = Folder::new("calls");
    let (a, out) = (folder.write("a", 0, &[("w", "F32", "[1]", vec![0; 4])]), folder.file("out"));
    for more in [
        &["--weight", "-1"][..],
        &["--weight", "NaN"],
        &["--weight", "0"],
        &["--weight", "1", "--weight", "2"],
        &["--only", "("],
        &["--floor", "-1"],
        &["--precision-out", &out],
        &["--arithmetic", "f32", "--out-dtype", "f64"],
        &["--unknown"],
    ] {
        let call: Vec<&str> = ["--model", &a, "--out", &out].iter().chain(more).copied().collect();
        refused(&tool(&call), 2, &[]);
    }
    assert_eq!(folder.names(), ["a"]);
}

/// Shards, an output in the place of an input, parts, the precision and the report.
#[test]
fn shards_parts_and_reports() {
    let folder = Folder::new("shards");
    let (w, v) = (f32s(&[1.0, 2.0]), f32s(&[5.0]));
    folder.write("one", 1, &[("w", "F32", "[2]", w.clone())]);
    folder.write("two", 2, &[("v", "F32", "[1]", v.clone())]);
    std::fs::write(folder.file("a.safetensors.index.json"), r#"{"weight_map":{"w":"one","v":"two"}}"#).unwrap();
    let a = folder.file("a.safetensors.index.json");
    let b = folder.write("b", 0, &[("v", "F32", "[1]", f32s(&[7.0])), ("w", "F32", "[2]", f32s(&[3.0, 4.0]))]);
    let fa = folder.write("fa", 0, &[("w", "F32", "[2]", f32s(&[3.0, 0.0])), ("v", "F32", "[1]", f32s(&[1.0]))]);
    let fb = folder.write("fb", 0, &[("w", "F32", "[2]", f32s(&[1.0, 0.0])), ("v", "F32", "[1]", f32s(&[1.0]))]);
    let (precision, report) = (folder.file("p"), folder.file("r.json"));
    let call = ["--model", &a, "--fisher", &fa, "--model", &b, "--fisher", &fb, "--out", &b, "--skip", "^v$"];
    let output = tool(&[&call[..], &["--precision-out", &precision, "--report", &report]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(data(&b), [f32s(&[1.5, 2.0]), v].concat());
    assert_eq!(data(&precision), f32s(&[2.0, 0.0]));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!((&report["total"]["elements"], &report["total"]["no_evidence"], &report["copied"][0]), (&2.into(), &1.into(), &"v".into()));
}

/// One to sixteen models, every type, data at every offset, extreme Fishers: the bits and counts of the library over the same slices.
#[test]
fn any_number_of_models_at_any_offset() {
    let folder = Folder::new("many");
    let (out, report) = (folder.file("out"), folder.file("r.json"));
    for case in 0..16_usize {
        let (count, dtype) = (case + 1, [Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::F64][case % 4]);
        let name = ["F32", "F16", "BF16", "F64"][case % 4];
        let mean = |model: usize, index: usize| (((model * 31 + index * 17 + case) % 61) as f64 - 30.0) / 16.0;
        let fisher = |model: usize, index: usize| [0.0, 1e-45, 3e38, 1.0, 0.25][(model * 3 + index * 7 + index * index) % 5] as f32;
        let stored = |model| {
            let mut bytes = vec![0; 40 * dtype.bytes()];
            let mut view = LeBytes::new(dtype, &mut bytes[..]).unwrap();
            (0..40).for_each(|index| view.put(index, mean(model, index)));
            bytes
        };
        let means: Vec<Vec<u8>> = (0..count).map(stored).collect();
        let fishers: Vec<Vec<f32>> =
            (0..count).map(|model| (0..40).map(|index| if index < 2 { 0.0 } else { fisher(model, index) }).collect()).collect();
        let mut call = vec!["--out".to_string(), out.clone(), "--report".into(), report.clone()];
        for model in 0..count {
            let shape = "[5,8]";
            let a = folder.write(&format!("m{model}"), model + case, &[("w", name, shape, means[model].clone())]);
            let b = folder.write(&format!("f{model}"), model * 3, &[("w", "F32", shape, f32s(&fishers[model]))]);
            call.extend(["--model".into(), a, "--fisher".into(), b]);
        }
        let output = tool(&call.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let bytes: Vec<Vec<u8>> = fishers.iter().map(|fisher| f32s(fisher)).collect();
        let view = |dtype, bytes| LeBytes::new(dtype, bytes).unwrap();
        let factor = |model: usize| Posterior::diagonal(view(dtype, &means[model][..]), view(Dtype::F32, &bytes[model][..]));
        let factors: Vec<_> = (0..count).map(|model| factor(model).unwrap().power(1.0 / count as f64)).collect();
        let mut expected = vec![0; 40 * dtype.bytes()];
        let summary = Merge::new().run(&factors, LeBytes::new(dtype, &mut expected[..]).unwrap()).unwrap();
        assert_eq!(data(&out), expected, "{count} models of {name}");
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_eq!(report["total"]["no_evidence"], summary.no_evidence);
        assert!(summary.no_evidence >= 2);
    }
}

/// A tensor file of `count` numbers, written by the piece.
fn large(folder: &Folder, name: &str, count: usize, seed: u64, sign: f32) -> String {
    let mut state = seed;
    let mut piece = Vec::with_capacity(1 << 22);
    for _ in 0..1 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        piece.extend(((state >> 40) as f32 / 16_777_216.0 + 1e-3 * sign).to_le_bytes());
    }
    let half = count / 2;
    let header = format!(
        "{{\"first\":{{\"dtype\":\"F32\",\"shape\":[{half}],\"data_offsets\":[0,{}]}},\
         \"second\":{{\"dtype\":\"F32\",\"shape\":[{half}],\"data_offsets\":[{},{}]}}}}",
        4 * half,
        4 * half,
        8 * half
    );
    let path = folder.raw(name, &header, &[]);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    for _ in 0..8 * half / piece.len() {
        file.write_all(&piece).unwrap();
    }
    path
}

/// Seconds to read the inputs and to write and sync as many bytes as one of them has.
fn plainly(inputs: &[String], out: &str) -> f64 {
    let began = Instant::now();
    let mut piece = vec![0; 1 << 20];
    let mut files: Vec<File> = inputs.iter().map(|path| File::open(path).unwrap()).collect();
    let mut target = File::create(out).unwrap();
    loop {
        let read = files.iter_mut().map(|file| file.read(&mut piece).unwrap()).last().unwrap();
        if read == 0 {
            break;
        }
        target.write_all(&piece[..read]).unwrap();
    }
    target.sync_all().unwrap();
    began.elapsed().as_secs_f64()
}

/// Memory does not grow with the checkpoint, and time is that of the disk: `cargo test --release --test checkpoint_tool -- --ignored
/// --nocapture`. Takes 6 GiB of disk; `LARGE_MIB` asks for models of another size than 1024 MiB.
#[test]
#[ignore = "takes gigabytes of disk"]
#[cfg(target_os = "linux")]
fn large_checkpoints_take_little_memory() {
    let folder = Folder::new("large");
    let mib: usize = std::env::var("LARGE_MIB").map_or(1024, |text| text.parse().unwrap());
    let inputs = [("a", 1, -1.0), ("fa", 2, 1.0), ("b", 3, -1.0), ("fb", 4, 1.0)]
        .map(|(name, seed, sign)| large(&folder, name, mib << 18, seed, sign));
    let [a, fa, b, fb] = &inputs;
    let out = folder.file("out");
    for arithmetic in ["f64", "f32", "f64", "f32", "f64", "f32"] {
        let plain = plainly(&inputs, &out);
        std::fs::remove_file(&out).unwrap();
        let began = Instant::now();
        let call = ["--model", a, "--fisher", fa, "--model", b, "--fisher", fb, "--out", &out, "--arithmetic", arithmetic];
        let mut child = Command::new(program("merge_checkpoints")).args(call).stdout(Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(anonymous.unwrap_or(0_u64));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(child.wait().unwrap().success());
        let seconds = began.elapsed().as_secs_f64();
        std::fs::remove_file(&out).unwrap();
        println!("{mib} MiB, {arithmetic}: {:.2} x of plain reading and writing ({plain:.2} s), RssAnon {peak} KiB", seconds / plain);
        assert!(peak < 64 << 10);
    }
}
