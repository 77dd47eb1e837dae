//! Properties of trees of every kind of entry: differences, packing, the stored form, in memory and
//! on disk.

use std::collections::BTreeMap;
use std::io::Read as _;

use kiln_layer::{
    Entry, Files, InMemory, Kind, LayerPath, Meta, Time, Times, Tree, apply, diff, flatten, pack,
};
use proptest::prelude::*;

use crate::support::listing;

fn any_path() -> impl Strategy<Value = LayerPath> {
    let names: Vec<&[u8]> = vec![
        b"a",
        b"b",
        b"a.",
        b"c d",
        b"\xff\xfe",
        b"new\nline",
        b"...",
        b"a-name-of-some-length-that-is-shared",
    ];
    let name = prop::sample::select(names);
    prop::collection::vec(name, 1..4).prop_map(|n| LayerPath::parse(n.join(&b'/')).unwrap())
}

fn any_meta() -> impl Strategy<Value = Meta> {
    let id = || prop_oneof![Just(0), Just(1000), Just(2_000_001), Just(u32::MAX - 1)];
    let seconds = prop_oneof![
        Just(0),
        Just(-86_401),
        Just(1_600_000_000),
        Just(8_589_934_592)
    ];
    let nanos = prop_oneof![Just(0), Just(1), Just(999_999_999)];
    let xattrs = prop::collection::btree_map(
        prop::sample::select(vec![b"user.note".to_vec(), b"user.x".to_vec()]),
        prop::collection::vec(any::<u8>(), 0..6),
        0..3,
    );
    (0..0o10000u32, id(), id(), seconds, nanos, xattrs).prop_map(
        |(mode, uid, gid, seconds, nanos, xattrs)| Meta {
            mode,
            uid,
            gid,
            mtime: Time { seconds, nanos },
            xattrs,
        },
    )
}

#[derive(Clone, Debug)]
enum What {
    File(Vec<u8>),
    /// Another name of the file made last.
    Link,
    Other(Kind),
}

fn any_what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..600).prop_map(What::File),
        3 => Just(What::Other(Kind::Dir { opaque: false })),
        2 => Just(What::Link),
        1 => Just(What::Other(Kind::Symlink { target: b"../x\xff".to_vec() })),
        1 => Just(What::Other(Kind::Fifo)),
        1 => Just(What::Other(Kind::Char { major: 1, minor: 3 })),
        1 => Just(What::Other(Kind::Block { major: 7, minor: 300_000 })),
    ]
}

/// A whole file system of every kind of entry.
fn any_files() -> impl Strategy<Value = InMemory> {
    let entries = prop::collection::vec((any_path(), any_what(), any_meta()), 0..20);
    (entries, any_meta()).prop_map(|(mut entries, root)| {
        // The first of a file's names in order is the file.
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let mut files = InMemory::new();
        files.entry(Entry::folder(LayerPath::root(), folder(root)));
        let mut last: Option<(LayerPath, Meta)> = None;
        for (path, what, meta) in entries {
            let get = |p: &LayerPath| files.tree().get(p);
            let in_the_way = |p: LayerPath| get(&p).is_some_and(|e| !e.is_dir());
            if get(&path).is_some() || path.ancestors().any(in_the_way) {
                continue;
            }
            for above in path.ancestors() {
                if files.tree().get(&above).is_none() {
                    files.entry(Entry::folder(above, folder(meta.clone())));
                }
            }
            put(&mut files, path, what, meta, &mut last);
        }
        files
    })
}

fn put(
    files: &mut InMemory,
    path: LayerPath,
    what: What,
    mut meta: Meta,
    last: &mut Option<(LayerPath, Meta)>,
) {
    match (what, last) {
        (What::File(content), last) => {
            *last = Some((path.clone(), meta.clone()));
            files.file(path, meta, content);
        }
        (What::Link, Some((target, meta))) => files.entry(Entry {
            path,
            meta: meta.clone(),
            kind: Kind::Hardlink {
                target: target.clone(),
            },
        }),
        (What::Link, None) => files.entry(Entry::folder(path, folder(meta))),
        (What::Other(kind), _) => {
            match kind {
                Kind::Dir { .. } => meta = folder(meta),
                // The kernel takes attributes of files and folders only; a link has no mode.
                Kind::Symlink { .. } => {
                    meta.mode = 0o777;
                    meta.xattrs.clear();
                }
                _ => meta.xattrs.clear(),
            }
            files.entry(Entry { path, meta, kind });
        }
    }
}

/// One that can be entered.
fn folder(meta: Meta) -> Meta {
    Meta {
        mode: meta.mode | 0o700,
        ..meta
    }
}

/// The files that `changes` say, with the contents of `from`.
fn with_contents(changes: &Tree, from: &InMemory) -> InMemory {
    let mut out = InMemory::new();
    for e in changes.iter() {
        match e.file() {
            Some(_) => {
                let mut content = Vec::new();
                let mut file = from.open(&e.path).unwrap();
                file.read_to_end(&mut content).unwrap();
                out.file(e.path.clone(), e.meta.clone(), content);
            }
            None => out.entry(e.clone()),
        }
    }
    out
}

/// All that counts of a tree: not where contents lie, nor what is kept inline.
fn shape(tree: &Tree, times: impl Fn(Time) -> Time) -> Vec<Entry> {
    let mut entries: Vec<_> = tree.iter().cloned().collect();
    for e in &mut entries {
        e.meta.mtime = times(e.meta.mtime);
        if let Kind::File(file) = &mut e.kind {
            (file.offset, file.inline) = (0, None);
        }
    }
    entries
}

fn content(files: &dyn Files) -> BTreeMap<LayerPath, Vec<u8>> {
    let mut all = BTreeMap::new();
    files
        .read(&|_| true, &mut |e, file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            all.insert(e.path.clone(), bytes);
            Ok(())
        })
        .unwrap();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_difference_makes_the_one_of_the_other(a in any_files(), b in any_files()) {
        let changes = diff(a.tree(), b.tree());
        let same = |t: Time| t;
        prop_assert_eq!(shape(&flatten(&[a.tree(), &changes]), same), shape(b.tree(), same));
        prop_assert!(diff(b.tree(), b.tree()).is_empty());
        let stored = Tree::decode(&changes.encode()).unwrap();
        prop_assert_eq!(&stored, &changes);
        prop_assert_eq!(stored.encode(), changes.encode());
        prop_assert_eq!(stored.digest(), changes.digest());
    }

    #[test]
    fn packed_and_applied_is_the_same(a in any_files()) {
        let (tar, packed) = pack(&a, Vec::new(), Times::Keep).unwrap();
        let mut found = InMemory::new();
        let applied = apply(&tar[..], &mut found).unwrap();
        prop_assert_eq!(applied.diff_id, packed.diff_id);
        // The dialect has whole seconds.
        prop_assert_eq!(shape(&applied.tree, Time::whole), shape(a.tree(), Time::whole), "{:?}", listing(a.tree()));
        prop_assert_eq!(&applied.tree, &packed.tree);
        prop_assert_eq!(content(&found), content(&a));
    }

    #[test]
    fn cut_and_flipped_trees_never_panic(a in any_files(), at in any::<prop::sample::Index>(), bit in 0..8u8, cut in any::<bool>()) {
        let mut bytes = a.tree().encode();
        let body = bytes.len() - 32;
        let i = at.index(body);
        if cut {
            bytes.drain(i..body);
        } else {
            bytes[i] ^= 1 << bit;
        }
        prop_assert!(Tree::decode(&bytes).is_err());
        // With a checksum that fits: it is refused, or another tree that has one way to be written.
        let body = bytes.len() - 32;
        let sum = *blake3::hash(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&sum);
        if let Ok(tree) = Tree::decode(&bytes) {
            prop_assert_eq!(tree.iter().count(), tree.len());
            let again: Tree = tree.iter().cloned().collect();
            prop_assert_eq!(again.encode(), bytes);
        }
    }
}

#[cfg(target_os = "linux")]
mod on_disk {
    use kiln_layer::{Directory, Folder, Keep, Whiteouts};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_difference_makes_the_one_of_the_other(a in any_files(), b in any_files()) {
            if !crate::support::is_root() {
                println!("not run: owners and devices need root");
                return Ok(());
            }
            let place = tempfile::tempdir().unwrap();
            let changes = with_contents(&diff(a.tree(), b.tree()), &b);
            for layer in [&a, &changes] {
                let (tar, _) = pack(layer, Vec::new(), Times::Keep).unwrap();
                let mut to = Directory::new(place.path(), Whiteouts::Apply).unwrap();
                apply(&tar[..], &mut to).unwrap();
            }
            let all = |_: &LayerPath, _: bool| Keep::Yes;
            let found = Folder::scan(place.path(), &all, 0).unwrap();
            let [shown, expected] = [found.tree(), b.tree()].map(|tree| {
                let mut entries = shape(tree, Time::whole);
                // The root is not in every layer, and each change in it changes its time.
                entries.retain(|e| !e.path.is_root());
                // A folder that loses an attribute keeps it in a directory that layers are put on.
                let folders = entries.iter_mut().filter(|e| e.is_dir());
                folders.for_each(|e| e.meta.xattrs.clear());
                entries
            });
            let differ = shown.iter().zip(&expected).find(|(a, b)| a != b);
            prop_assert_eq!(differ, None);
            prop_assert_eq!(shown.len(), expected.len());
        }
    }
}
