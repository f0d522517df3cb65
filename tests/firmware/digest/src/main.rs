//! Prints the digest of every section, in every shell of this machine.

use digest::{Digest, SECTIONS};
use fisher_merge::Shell;

fn main() {
    let mut missed = false;
    for shell in Shell::available() {
        let mut all = Digest::default();
        eprintln!("{shell:?}");
        for section in SECTIONS {
            let digest = (section.run)(shell);
            if let Some(row) = digest.missed {
                println!("{} misses row {row} of the published vectors", section.name);
                missed = true;
            }
            let refused = digest.refused.iter().enumerate().filter(|&(_, &count)| count > 0);
            let refused: Vec<_> = refused.map(|(code, count)| format!("{count} by code {code}")).collect();
            eprintln!("{}: {} calls done; refused: {}", section.name, digest.done, refused.join(", "));
            println!("{} {:016x}", section.name, digest.value());
            all.word(digest.value());
        }
        println!("all {:016x}", all.value());
    }
    if missed {
        std::process::exit(1);
    }
}
