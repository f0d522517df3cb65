//! Measures one feature of the library on this machine, and prints three numbers: bytes of stack, instructions of a call without
//! parameters, and hundredths of instructions for each parameter more. The work of a structured merge does not grow with its parameters
//! alone: there the last two are of one call, and of its share for a parameter, and a fourth is bytes of the caller's memory for each.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod machine;
mod structured;
mod work;

/// Parameters of a call whose instructions are counted. The one whose stack is measured has one more.
const N: usize = 256;

fn number(label: &str, mut number: u64) {
    let mut digits = [b' '; 12];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    machine::print(label.as_bytes());
    machine::print(&digits);
    machine::print(b"\n");
}

fn run() -> bool {
    if structured::ON {
        return structured_merge();
    }
    let mut state = work::State::NEW;
    work::inputs(N);
    let unit = machine::ticks(machine::million_instructions);
    let Some(stack) = machine::stack(|| work::work(&mut state, N + 1)) else { return false };
    let mut right = true;
    // The clock ticks more slowly than instructions pass, hence many calls.
    let mut many = |n| machine::ticks(|| (0..64).for_each(|_| right &= work::work(&mut state, n)));
    let (half, whole) = (many(N / 2), many(N));
    let instructions = |ticks: u64| ticks * 1_000_000 / unit.max(1);
    number("stack ", stack as u64);
    number("fixed ", instructions((2 * half).saturating_sub(whole)) / 64);
    number("each ", instructions(whole.saturating_sub(half)) * 100 / 64 / (N as u64 / 2));
    right
}

/// Apart from the others, whose memory it needs.
fn structured_merge() -> bool {
    const CALLS: u64 = 4;
    let mut state = structured::State::NEW;
    structured::inputs();
    let unit = machine::ticks(machine::million_instructions);
    let Some(stack) = machine::stack(|| structured::work(&mut state)) else { return false };
    let mut right = true;
    let ticks = machine::ticks(|| (0..CALLS).for_each(|_| right &= structured::work(&mut state)));
    let call = ticks * 1_000_000 / unit.max(1) / CALLS;
    number("stack ", stack as u64);
    number("fixed ", call);
    number("each ", call * 100 / structured::PARAMETERS as u64);
    number("kept ", structured::KEPT as u64);
    right
}
