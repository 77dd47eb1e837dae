//! Any bytes as a stored tree: an error, or a tree that can be looked at and stored again.
#![no_main]

use kiln_layer::{LayerPath, Tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = Tree::decode(bytes) else {
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
