//! Any bytes as a stored tree: an error, or a tree that can be looked at and stored again. Where the
//! first byte is odd, the others get the checksum that belongs to them.
#![no_main]

use kiln_layer::{LayerPath, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if first % 2 == 1 {
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
    }
    let Ok(tree) = Tree::decode(&bytes) else {
        return;
    };
    let entries: Vec<_> = tree.iter().cloned().collect();
    assert_eq!(entries.len(), tree.len());
    assert!(entries.is_sorted_by(|a, b| a.path < b.path));
    for entry in &entries {
        assert_eq!(tree.get(&entry.path), Some(entry));
        let _ = tree.file(&entry.path);
    }
    assert!(tree.children(&LayerPath::root()).count() <= entries.len());
    let again = Tree::decode(&Tree::from_entries(entries).encode()).expect("it can be stored");
    assert_eq!(again, tree);
});
