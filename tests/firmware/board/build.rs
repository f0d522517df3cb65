//! Where the memory of a machine lies, for its linker.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=BOARD");
    println!("cargo::rerun-if-changed=riscv.x");
    let (arch, os) = (env::var("CARGO_CFG_TARGET_ARCH").expect("set by cargo"), env::var("CARGO_CFG_TARGET_OS").expect("set by cargo"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    println!("cargo::rustc-link-search={}", out.display());
    match (arch.as_str(), os.as_str()) {
        ("arm", "none") => {
            // QEMU's mps2-an386 has room for everything; its microbit is the size of a small microcontroller.
            let (flash, ram) = if env::var("BOARD").as_deref() == Ok("microbit") { (256, 16) } else { (4096, 4096) };
            let memory = format!("MEMORY\n{{\nFLASH : ORIGIN = 0, LENGTH = {flash}K\nRAM : ORIGIN = 0x20000000, LENGTH = {ram}K\n}}\n");
            fs::write(out.join("memory.x"), memory).expect("the output folder");
            println!("cargo::rustc-link-arg-bins=-Tlink.x");
            println!("cargo::rustc-link-arg-bins=--nmagic");
        }
        ("riscv32", _) => {
            fs::copy("riscv.x", out.join("riscv.x")).expect("the output folder");
            println!("cargo::rustc-link-arg-bins=-Triscv.x");
        }
        ("wasm32", _) => println!("cargo::rustc-link-arg-bins=--export=start"),
        // The C library starts it.
        // Unwinding tables are made even where nothing unwinds, and name the routines of the C compiler.
        ("arm", "linux") => println!("cargo::rustc-link-arg-bins=-lc\ncargo::rustc-link-arg-bins=-lgcc_s"),
        (_, "linux") => println!("cargo::rustc-link-arg-bins=-lc"),
        _ => {}
    }
}
