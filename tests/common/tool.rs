//! Examples as programs: folders that are cleared away, checkpoints as bytes, and what a refusal looks like.
#![allow(dead_code, reason = "every test binary takes its own part of this room")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

/// A folder of its own for every test, removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fisher-merge-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A file of tensors: name, type, shape, bytes. `pad` spaces behind the header move the data to any offset.
    pub(crate) fn write(&self, name: &str, pad: usize, tensors: &[(&str, &str, &str, Vec<u8>)]) -> String {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (name, dtype, shape, bytes) in tensors {
            let begin = data.len();
            data.extend(bytes);
            entries.push(format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{begin},{}]}}", data.len()));
        }
        self.raw(name, &format!("{{{}}}{}", entries.join(","), " ".repeat(pad)), &data)
    }

    pub(crate) fn raw(&self, name: &str, header: &str, data: &[u8]) -> String {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        std::fs::write(self.file(name), bytes).unwrap();
        self.file(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An example, built beside the tests (`cargo test --test` alone does not build examples).
pub(crate) fn program(name: &str) -> PathBuf {
    static BUILT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let here = std::env::current_exe().unwrap();
    let profile = here.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    let mut built = BUILT.lock().unwrap();
    if !built.contains(&program) {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", name, "--target-dir"]).arg(profile.parent().unwrap());
        build.args(profile.ends_with("release").then_some("--release"));
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        built.push(program.clone());
    }
    program
}

/// Refused with this exit code, every one of these words in the message, and no panic.
pub(crate) fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    assert!(!text.contains("panicked"), "{text}");
}
