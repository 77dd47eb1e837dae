//! Archives from a script, into a directory with canaries outside, in both styles of whiteouts, and
//! into memory, which must agree.
#![no_main]

use std::sync::LazyLock;

use kiln_fuzz::{Cage, Script, check, excuse, limits};
use kiln_layer::{Directory, Files, InMemory, Kind, Tree, Unpacked, Whiteouts, apply_within};
use libfuzzer_sys::fuzz_target;

static CAGE: LazyLock<Cage> = LazyLock::new(Cage::new);

fuzz_target!(|script: Script| {
    let archive = script.archive(&CAGE.outside());
    let memory = apply_within(&limits(), &archive[..], &mut InMemory::new());
    for whiteouts in [Whiteouts::Overlay, Whiteouts::Apply] {
        let root = CAGE.root();
        let mut target = Directory::new(&root, whiteouts).expect("the root is there");
        let disk = apply_within(&limits(), &archive[..], &mut target);
        CAGE.check();
        match (&disk, &memory) {
            (Ok(disk), Ok(memory)) => {
                assert_eq!(disk.tree, memory.tree);
                check(&disk.tree);
                if whiteouts == Whiteouts::Overlay && target.refused().is_empty() {
                    same(&root, &disk.tree);
                }
            }
            (Err(disk), _) => excuse(disk),
            (Ok(_), Err(memory)) => panic!("taken on disk, and in memory: {memory:?}"),
        }
    }
});

/// Whether the disk shows the tree.
fn same(root: &std::path::Path, tree: &Tree) {
    let found = Unpacked::scan(root, 1).expect("what was unpacked can be looked at");
    let mut found = found.tree().clone();
    for implied in tree.implied() {
        assert!(found.remove(&implied).is_some(), "{implied} is missing");
    }
    let what = |tree: &Tree| -> Vec<_> {
        let entries = tree.iter().filter(|e| !e.path.is_root());
        entries
            .map(|e| {
                let kind = match &e.kind {
                    Kind::File(f) => format!("{}", f.size),
                    kind => format!("{kind:?}"),
                };
                let meta = if e.is_whiteout() {
                    (0, 0)
                } else {
                    (e.meta.mode, e.meta.uid)
                };
                let mode = if matches!(e.kind, Kind::Symlink { .. }) {
                    0
                } else {
                    meta.0
                };
                (e.path.clone(), kind, mode, meta.1)
            })
            .collect()
    };
    assert_eq!(what(&found), what(tree));
}
