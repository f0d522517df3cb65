//! On Linux the C library starts the binary, and has `memcpy` and `memset`.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg-bins=-lc");
    }
}
