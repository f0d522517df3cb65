//! Firmware that merges two adapters.
//!
//! Their means and Fishers are constants in flash, read a page at a time; the merge goes to RAM, in place. Its panic handler calls a
//! function that exists nowhere: it links only if no panic can be reached.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod board;
mod flash;
mod layout;
mod model;
mod refusals;
mod scenes;

/// What it is called, and how it is run.
type Scene = (&'static str, fn() -> Option<bool>);

/// The scenes, and whether each came out as it must.
fn run() -> bool {
    let scenes: [Scene; 4] = [
        ("a merge in place", scenes::fused),
        ("one after the other, valid in between", scenes::running),
        ("a Fisher from gradients", scenes::fisher),
        ("refusals", refusals::all),
    ];
    scenes.iter().fold(true, |right, (name, scene)| {
        let outcome = scene() == Some(true);
        board::print(if outcome { "right: " } else { "WRONG: " });
        board::print(name);
        board::print("\n");
        right && outcome
    })
}
