//! What the fuzz targets share: archives written from a script, a directory with canaries beside it.
//! No part of the product.

mod canary;
mod script;

pub use canary::Cage;
pub use script::{Script, right_checksums};

use kiln_layer::{ErrorKind, Limits, Tree};

/// Limits under which a single input ends soon.
pub fn limits() -> Limits {
    Limits {
        stream: 16 << 20,
        entries: 10_000,
        holes: 4 << 20,
        ..Limits::default()
    }
}

/// What holds of every tree that was read from an archive.
pub fn check(tree: &Tree) {
    let again = Tree::decode(&tree.encode()).expect("a tree can be kept");
    assert_eq!(&again, tree);
    let whole = kiln_layer::flatten(&[tree]);
    assert!(whole.iter().all(|e| !e.is_whiteout()));
    for entry in whole.iter() {
        let parent = entry.path.parent();
        let parent = parent.map(|p| whole.get(&p).is_some_and(kiln_layer::Entry::is_dir));
        assert!(parent != Some(false), "{} has no folder", entry.path);
    }
}

/// What holds of every error: it says something, and is the archive's fault.
pub fn excuse(error: &kiln_layer::Error) {
    assert!(!error.to_string().is_empty());
    assert!(error.kind() != ErrorKind::NotFound, "{error:?}");
}
