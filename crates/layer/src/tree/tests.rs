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
