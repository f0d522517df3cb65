//! Prints the header of the C library, as `c/cbindgen.toml` says.

use std::io;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("c");
    let config = cbindgen::Config::from_file(library.join("cbindgen.toml"))?;
    cbindgen::Builder::new().with_crate(library).with_config(config).generate()?.write(io::stdout());
    Ok(())
}
