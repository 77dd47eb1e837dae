//! Any bytes as an archive, into memory. Where the first byte is odd, headers get the checksums that
//! belong to them, so that changes to them are looked at.
#![no_main]

use kiln_fuzz::{check, excuse, limits, right_checksums};
use kiln_layer::{InMemory, Nothing, apply_within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, archive)) = input.split_first() else {
        return;
    };
    let mut archive = archive.to_vec();
    if first % 2 == 1 {
        right_checksums(&mut archive);
    }
    let mut memory = InMemory::new();
    let kept = apply_within(&limits(), &archive[..], &mut memory);
    let only_read = apply_within(&limits(), &archive[..], &mut Nothing);
    match (kept, only_read) {
        (Ok(kept), Ok(read)) => {
            assert_eq!(kept.tree, read.tree);
            assert_eq!(kept.size, archive.len() as u64);
            assert_eq!(kept.diff_id, kiln_image::Digest::sha256(&archive));
            check(&kept.tree);
        }
        (Err(kept), Err(read)) => {
            assert_eq!(kept.to_string(), read.to_string());
            excuse(&kept);
        }
        (kept, read) => panic!("{kept:?} {read:?}"),
    }
});
