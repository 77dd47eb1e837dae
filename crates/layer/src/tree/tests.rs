use super::*;
use crate::{File, Meta, Time};

fn path(s: &str) -> LayerPath {
    s.parse().unwrap()
}

fn folder(s: &str) -> Entry {
    Entry::folder(path(s), Meta::with_mode(0o755))
}

#[test]
fn children_skip_what_is_deeper_and_siblings_with_the_same_beginning() {
    let tree: Tree = ["a", "a/b", "a/b/c", "a/d", "a.x", "ab", "z/deep"]
        .map(folder)
        .into_iter()
        .collect();
    let names = |p: &str| -> Vec<String> {
        tree.children(&path(p))
            .map(|e| e.path.to_string())
            .collect()
    };
    assert_eq!(names("a"), ["a/b", "a/d"]);
    assert_eq!(names(""), ["a", "a.x", "ab"]);
    assert_eq!(names("z"), ["z/deep"]);
    assert_eq!(names("a/d"), [] as [&str; 0]);
    let within: Vec<_> = tree
        .within(&path("a"))
        .map(|e| e.path.to_string())
        .collect();
    assert_eq!(within, ["a", "a/b", "a/b/c", "a/d"]);
    assert_eq!(tree.implied().into_iter().collect::<Vec<_>>(), [path("z")]);
}

fn sample() -> Tree {
    let mut meta = Meta {
        mode: 0o4755,
        uid: 2_000_001,
        gid: u32::MAX - 1,
        mtime: Time {
            seconds: -5,
            nanos: 999_999_999,
        },
        ..Meta::default()
    };
    meta.xattrs.insert(b"user.x".to_vec(), vec![0, 255]);
    let kinds = [
        Kind::File(File {
            size: u64::MAX,
            digest: blake3_of(b"x"),
            offset: 512,
            inline: Some((*b"abc").into()),
        }),
        Kind::Dir { opaque: true },
        Kind::Dir { opaque: false },
        Kind::Symlink {
            target: b"../\xff".to_vec(),
        },
        Kind::Hardlink { target: path("k0") },
        Kind::Char { major: 1, minor: 3 },
        Kind::Block {
            major: u32::MAX,
            minor: 0,
        },
        Kind::Fifo,
        Kind::Whiteout,
        Kind::File(File {
            size: 0,
            digest: Digest::sha256(b"y"),
            offset: u64::MAX,
            inline: None,
        }),
    ];
    let entries = kinds.into_iter().enumerate().map(|(i, kind)| Entry {
        path: path(&format!("k{i}")),
        meta: meta.clone(),
        kind,
    });
    entries.collect()
}

#[test]
fn encoded_and_decoded_is_the_same() {
    let tree = sample();
    let bytes = tree.encode();
    assert_eq!(Tree::decode(&bytes).unwrap(), tree);
    assert_eq!(Tree::decode(&Tree::new().encode()).unwrap(), Tree::new());
}

#[test]
fn a_changed_or_cut_file_is_noticed_and_never_panics() {
    let bytes = sample().encode();
    for end in 0..bytes.len() {
        assert!(Tree::decode(&bytes[..end]).is_err());
    }
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 0x41;
        assert!(Tree::decode(&changed).is_err(), "byte {i}");
        // With a checksum that fits: it may decode to something else, it may not panic.
        let body = changed.len() - 32;
        let sum = blake3_of(&changed[..body]);
        changed[body..].copy_from_slice(sum.bytes());
        drop(Tree::decode(&changed));
    }
}

#[test]
fn another_version_is_said_to_be_one() {
    let mut bytes = sample().encode();
    bytes[8] = 9;
    let e = Tree::decode(&bytes).unwrap_err();
    assert_eq!(e.kind(), crate::ErrorKind::Unsupported);
}

#[test]
fn a_tree_of_an_earlier_version_is_read() {
    let mut bytes = b"kilntree\x01\0\0\0\x03".to_vec();
    // A folder, 0755 of 1:2, a second before 1970, with an attribute.
    bytes.extend_from_slice(b"\0\x01a\xed\x03\x01\x02\x01\0\x01\x06user.x\x02yz\x02");
    // A file of two bytes in it, 0644, at 512.
    bytes.extend_from_slice(b"\x01\x02/b\xa4\x03\0\0\x02\x05\0\0\x02\x80\x04\0");
    bytes.extend_from_slice(&[7; 32]);
    // A hard link to it.
    bytes.extend_from_slice(b"\0\x01c\xa4\x03\0\0\x02\x05\0\x05\x03a/b");
    let sum = blake3_of(&bytes);
    bytes.extend_from_slice(sum.bytes());

    let tree = Tree::decode(&bytes).unwrap();
    let shown: Vec<_> = tree.iter().map(|e| e.path.to_string()).collect();
    assert_eq!(shown, ["a", "a/b", "c"]);
    let folder = tree.get(&path("a")).unwrap();
    assert_eq!((folder.meta.mode, folder.meta.gid), (0o755, 2));
    assert_eq!(folder.meta.mtime, Time::at(-1));
    assert_eq!(folder.meta.xattrs[&b"user.x"[..]], b"yz");
    let (entry, file) = tree.file(&path("c")).unwrap();
    assert_eq!((file.size, file.offset), (2, 512));
    assert_eq!(
        entry.meta.mtime,
        Time {
            seconds: 1,
            nanos: 5
        }
    );
    assert_eq!(Tree::decode(&tree.encode()).unwrap(), tree);
    for end in 0..bytes.len() {
        assert!(Tree::decode(&bytes[..end]).is_err());
    }
}

#[test]
fn what_is_mapped_is_the_tree_and_can_be_changed() {
    let tree: Tree = (0..9000).map(|i| folder(&format!("f{i:04}"))).collect();
    assert!(tree.encode().len() > 65536, "it is mapped, not read");
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &tree.encode()).unwrap();
    let (mut mapped, digest) = Tree::map(&file).unwrap();
    assert_eq!(
        (&mapped, digest, mapped.digest()),
        (&tree, digest, tree.digest())
    );
    let gone = mapped.remove_within(&path("f0777"));
    assert_eq!(gone.len(), 1);
    assert_ne!(mapped.digest(), digest);
    mapped.insert(gone.into_iter().next().unwrap());
    assert_eq!((mapped.digest(), mapped.len()), (digest, 9000));
}

#[test]
fn of_two_with_the_same_path_the_later_wins() {
    let mut later = folder("a");
    later.meta.uid = 9;
    for entries in [
        vec![folder("a"), later.clone()],
        vec![folder("b"), folder("a"), later.clone()],
    ] {
        let tree = Tree::from_entries(entries);
        assert_eq!(tree.get(&path("a")), Some(&later));
    }
}

/// A tree as a map, to compare with.
mod as_a_map {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Insert(String),
        Remove(String),
        RemoveWithin(String),
        RemoveBeneath(String),
    }

    fn change() -> impl Strategy<Value = Change> {
        let name = prop::sample::select(vec!["a", "b", "a.", "c", "d-with-a-long-name", "e", "f"]);
        let path = prop::collection::vec(name, 0..5).prop_map(|n| n.join("/"));
        (0..60u8, path).prop_map(|(what, path)| match what {
            0 => Change::RemoveWithin(path),
            1 => Change::RemoveBeneath(path),
            2..9 => Change::Remove(path),
            _ => Change::Insert(path),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn it_behaves(changes in prop::collection::vec(change(), 0..1500), look in change()) {
            let mut tree = Tree::new();
            let mut map: BTreeMap<LayerPath, Entry> = BTreeMap::new();
            for (i, change) in changes.iter().enumerate() {
                match change {
                    Change::Insert(p) => {
                        let mut entry = folder(p);
                        entry.meta.mtime = Time::at(i as i64);
                        let before = map.insert(entry.path.clone(), entry.clone());
                        prop_assert_eq!(tree.insert(entry), before);
                    }
                    Change::Remove(p) => prop_assert_eq!(tree.remove(&path(p)), map.remove(&path(p))),
                    Change::RemoveWithin(p) | Change::RemoveBeneath(p) => {
                        let own = matches!(change, Change::RemoveWithin(_));
                        let p = path(p);
                        let is_gone = |e: &LayerPath| e.starts_with(&p) && (own || *e != p);
                        let gone: Vec<_> = map.values().filter(|e| is_gone(&e.path)).cloned().collect();
                        map.retain(|e, _| !is_gone(e));
                        let found = if own { tree.remove_within(&p) } else { tree.remove_beneath(&p) };
                        prop_assert_eq!(found, gone);
                    }
                }
                prop_assert_eq!(tree.len(), map.len());
            }
            let stored = Tree::decode(&tree.encode()).unwrap();
            prop_assert_eq!(stored.encode(), Tree::from_entries(map.values().cloned().collect()).encode());
            for tree in [&tree, &stored] {
                prop_assert!(tree.iter().eq(map.values()));
                prop_assert!(tree.iter().rev().eq(map.values().rev()));
                let (Change::Insert(p) | Change::Remove(p) | Change::RemoveWithin(p) | Change::RemoveBeneath(p)) = &look;
                let p = path(p);
                prop_assert_eq!(tree.get(&p), map.get(&p));
                let within = map.values().filter(|e| e.path.starts_with(&p));
                prop_assert!(tree.within(&p).eq(within));
                let inside = map.values().filter(|e| e.path.parent().as_ref() == Some(&p));
                prop_assert!(tree.children(&p).eq(inside));
            }
            prop_assert!(tree.into_iter().eq(map.into_values()));
        }
    }
}
