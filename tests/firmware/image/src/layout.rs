// How adapters lie in flash: what the firmware and the build script, which makes them, have to agree on.
//
// Pages of 256 bytes. The first is the directory: `FMAD`, version (u16), number of tensors (u8), 0, then 24 bytes for each tensor: name
// (14, padded with zeros), storage type (1 f32, 2 f16, 3 bf16), dimensions, rows, columns, first page, pages (u16 each). The second is a
// header of a Fisher in an adapter's Fisher, and empty in its means. The others are the numbers: bytes of them (u16), tensor, page of the
// tensor (u8 each), then 252 bytes. All little-endian.

pub const PAGE: usize = 256;
pub const MAGIC: [u8; 4] = *b"FMAD";
pub const VERSION: u16 = 1;
pub const ENTRY: usize = 24;
pub const NAME: usize = 14;
/// Bytes in front of the numbers of a page, and bytes of numbers.
pub const HEAD: usize = 4;
pub const NUMBERS: usize = PAGE - HEAD;
pub const TENSORS: usize = 8;

/// Factors of rank 4, 8 and 16, and a small dense head, for hidden states of `w` numbers.
pub const fn plan(w: usize) -> [(&'static str, u8, [usize; 2]); TENSORS] {
    [
        ("q.lora_A", 1, [4, w]),
        ("q.lora_B", 1, [w, 4]),
        ("k.lora_A", 2, [8, w]),
        ("k.lora_B", 2, [w, 8]),
        ("v.lora_A", 3, [16, w]),
        ("v.lora_B", 3, [w, 16]),
        ("head.weight", 1, [4, w]),
        ("head.bias", 1, [1, 4]),
    ]
}
