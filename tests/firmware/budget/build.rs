//! Where the memory of QEMU's machines lies: the mps2-an386 and the microbit.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let (out, target) = (PathBuf::from(env::var("OUT_DIR").expect("set by cargo")), env::var("TARGET").expect("set by cargo"));
    let (flash, ram) = if target.starts_with("thumbv6m") { (256, 16) } else { (4096, 4096) };
    let memory = format!("MEMORY\n{{\nFLASH : ORIGIN = 0, LENGTH = {flash}K\nRAM : ORIGIN = 0x20000000, LENGTH = {ram}K\n}}\n");
    fs::write(out.join("memory.x"), memory).expect("the output folder");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
