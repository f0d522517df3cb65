//! Prints the digest of sections, without `std` and without formatting. Which sections: those whose numbers are from `FIRST` to below
//! `LAST`, both environment variables of the compilation, so that the linker leaves out what the others would take of a small flash.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod port;

use core::panic::PanicInfo;

use digest::{SECTIONS, Section, hex};
use fisher_merge::Shell;

const fn number(text: Option<&str>, default: usize) -> usize {
    let Some(text) = text else { return default };
    let (mut number, mut at) = (0, 0);
    while at < text.len() {
        number = 10 * number + (text.as_bytes()[at] - b'0') as usize;
        at += 1;
    }
    number
}

const FIRST: usize = number(option_env!("FIRST"), 0);
const COUNT: usize = number(option_env!("LAST"), SECTIONS.len()) - FIRST;

/// A copy of the part that is run: what it does not name is not linked.
const PART: [Section; COUNT] = {
    let mut part = [SECTIONS[FIRST]; COUNT];
    let mut at = 0;
    while at < COUNT {
        part[at] = SECTIONS[FIRST + at];
        at += 1;
    }
    part
};

/// Whether all published vectors were met.
fn run() -> bool {
    let mut met = true;
    for section in &PART {
        let digest = (section.run)(Shell::detect());
        port::print(section.name.as_bytes());
        port::print(b" ");
        port::print(&hex(digest.value()));
        if let Some(row) = digest.missed {
            met = false;
            port::print(b" misses row ");
            port::print(&hex(u64::from(row)));
        }
        port::print(b"\n");
    }
    met
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    port::print(b"a panic\n");
    port::exit(false)
}
