//! Archives that nobody should trust: what must not happen outside the root, nor inside.
//!
//! Each case is applied to a directory beside a canary, and to a tree in memory, which must agree
//! on what was taken. The canary must be as it was, whatever the answer is.
#![cfg(unix)]

use std::{
    fs,
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use kiln_layer::{
    Directory, Error, ErrorKind, Folder, InMemory, Keep, Limits, Nothing, Tree, Whiteouts, apply,
    apply_within,
};

use crate::support::{is_root, listing, path};

/// A tar written header by header, right or wrong.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn header(&mut self, kind: u8, name: &[u8], change: impl FnOnce(&mut [u8; 512])) {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(b"00000000000\0");
        block[136..148].copy_from_slice(b"00000000005\0");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        change(&mut block);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
    }

    fn content(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn sized(mut self, kind: u8, name: &[u8], bytes: &[u8]) -> Self {
        self.header(kind, name, |b| size(b, bytes.len()));
        self.content(bytes);
        self
    }

    fn file(self, name: &str, bytes: &str) -> Self {
        self.sized(b'0', real(name).as_bytes(), bytes.as_bytes())
    }

    fn dir(mut self, name: &str) -> Self {
        self.header(b'5', name.as_bytes(), |b| {
            b[100..108].copy_from_slice(b"0000755\0");
        });
        self
    }

    fn link(mut self, kind: u8, name: &str, target: &str) -> Self {
        let target = real(target).into_bytes();
        self.header(kind, name.as_bytes(), |b| {
            b[157..157 + target.len()].copy_from_slice(&target);
        });
        self
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    fn raw(mut self, kind: u8, name: &str, change: impl FnOnce(&mut [u8; 512])) -> Self {
        self.header(kind, name.as_bytes(), change);
        self
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let bytes = pax(records);
        self.sized(b'x', b"PaxHeaders.0/x", &bytes)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let len = (1..9)
            .map(|d| rest + d)
            .find(|n| n.to_string().len() + rest == *n)
            .unwrap();
        out.extend_from_slice(format!("{len} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

fn size(block: &mut [u8; 512], n: usize) {
    block[124..136].copy_from_slice(format!("{n:011o}\0").as_bytes());
}

fn tar() -> Tar {
    Tar::default()
}

/// A text with the name of the canary that has an absolute path.
fn real(text: &str) -> String {
    let thread = format!("{:?}", std::thread::current().id());
    let thread = thread.replace(['(', ')'], "");
    let name = format!("kiln-layer-canary-{}-{thread}", std::process::id());
    text.replace("CANARY", &name)
}

/// Applies a case to a directory and to memory; the same answer and tree from both.
fn answer(name: &str, tar: &[u8]) -> Result<Tree, Error> {
    let temp = tempfile::tempdir().unwrap();
    let canary = temp.path().join("canary");
    fs::create_dir(&canary).unwrap();
    fs::write(canary.join("file"), "untouched").unwrap();
    fs::set_permissions(&canary, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(real("/tmp/CANARY"), "untouched").unwrap();
    let root = temp.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut directory = Directory::new(&root, Whiteouts::Overlay).unwrap();
    let on_disk = apply(tar, &mut directory);
    let in_memory = apply(tar, &mut InMemory::new());

    let left: Vec<_> = fs::read_dir(&canary)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["file"], "{name}");
    assert_eq!(
        fs::read(canary.join("file")).unwrap(),
        b"untouched",
        "{name}"
    );
    let stat = fs::metadata(&canary).unwrap();
    assert_eq!(stat.mode() & 0o7777, 0o700, "{name}");
    assert_eq!(
        fs::metadata(canary.join("file")).unwrap().nlink(),
        1,
        "{name}"
    );
    assert_eq!(
        fs::read(real("/tmp/CANARY")).unwrap(),
        b"untouched",
        "{name}"
    );
    let beside: Vec<_> = fs::read_dir(temp.path()).unwrap().collect();
    assert_eq!(beside.len(), 2, "{name}");
    fs::remove_file(real("/tmp/CANARY")).unwrap();
    if let Ok(applied) = &on_disk {
        assert_eq!(applied.tree, in_memory.unwrap().tree, "{name}");
        on_disk_as_in_tree(name, &root, &applied.tree);
    }
    on_disk.map(|a| a.tree)
}

fn on_disk_as_in_tree(name: &str, root: &Path, tree: &Tree) {
    if !is_root() {
        return;
    }
    let found = kiln_layer::Unpacked::scan(root, 1).unwrap();
    use kiln_layer::Files as _;
    let mut found = found.tree().clone();
    found.remove(&path(""));
    for implied in tree.implied() {
        assert!(found.remove(&implied).is_some(), "{name}");
    }
    let mut tree = tree.clone();
    tree.remove(&path(""));
    assert_eq!(listing(&found), listing(&tree), "{name}");
}

#[test]
fn refused_and_nothing_outside_was_touched() {
    let long = "n/".repeat(3000);
    let long_name = vec![b'n'; 20 << 10];
    let wide = "x".repeat(300);
    let up = "../canary/file";
    let outside = "/tmp/CANARY";
    let many: Vec<_> = (0..1100)
        .map(|i| format!("SCHILY.xattr.user.n{i}"))
        .collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|k| (k.as_str(), &b"v"[..])).collect();
    let big_value = vec![b'v'; 70_000];
    use ErrorKind::{Conflict, Invalid, Loop, Refused, Unsupported};
    let cases: Vec<(&str, Tar, ErrorKind)> = vec![
        ("dotdot name", tar().file(up, "bad"), Refused),
        (
            "dotdot inside",
            tar().file("a/../../canary/file", "bad"),
            Refused,
        ),
        (
            "absolute dotdot",
            tar().file("/../canary/file", "bad"),
            Refused,
        ),
        ("dotdot folder", tar().dir("../canary/"), Refused),
        ("only dotdot", tar().dir(".."), Refused),
        ("hard link up", tar().hardlink("h", up), Refused),
        (
            "hard link to an absolute path",
            tar().hardlink("h", outside),
            Unsupported,
        ),
        (
            "hard link through a symlink up",
            tar().symlink("s", "../canary").hardlink("h", "s/file"),
            Unsupported,
        ),
        (
            "hard link through an absolute symlink",
            tar().symlink("s", "/tmp").hardlink("h", "s/CANARY"),
            Unsupported,
        ),
        (
            "hard link to a folder",
            tar().dir("d/").hardlink("h", "d"),
            Refused,
        ),
        ("hard link to the root", tar().hardlink("h", "/"), Refused),
        ("hard link to itself", tar().hardlink("h", "h"), Refused),
        (
            "hard link to what it replaces",
            tar().dir("d/").file("d/f", "1").hardlink("d", "d/f"),
            Refused,
        ),
        (
            "hard link before its file",
            tar().hardlink("h", "f").file("f", "1"),
            Unsupported,
        ),
        (
            "symlink loop on the way",
            tar().symlink("a", "b").symlink("b", "a").file("a/x", "1"),
            Loop,
        ),
        (
            "entry beneath a file",
            tar().file("f", "1").file("f/x", "2"),
            Conflict,
        ),
        (
            "entry beneath a link to a file",
            tar().file("f", "1").symlink("l", "f").file("l/x", "2"),
            Conflict,
        ),
        ("root is a file", tar().file("./", "1"), Refused),
        ("root is a symlink", tar().symlink("/", "/tmp"), Refused),
        ("whiteout of nothing", tar().file(".wh.", ""), Invalid),
        ("whiteout of dot", tar().file(".wh..", ""), Invalid),
        ("whiteout of dotdot", tar().file("a/.wh...", ""), Refused),
        ("whiteout up", tar().file("../.wh.canary", ""), Refused),
        ("entry in a whiteout", tar().file(".wh.x/y", "1"), Refused),
        (
            "whiteout in disguise",
            tar().raw(b'3', "x", |b| {
                b[329..345].copy_from_slice(b"0000000\x000000000\0");
            }),
            Refused,
        ),
        ("empty symlink", tar().symlink("s", ""), Invalid),
        (
            "NUL in a name",
            tar().pax(&[("path", b"a\0b")]).file("x", ""),
            Invalid,
        ),
        (
            "NUL in a link",
            tar().pax(&[("linkpath", b"a\0b")]).symlink("x", "y"),
            Refused,
        ),
        (
            "pax dotdot",
            tar().pax(&[("path", b"../canary/file")]).file("x", "1"),
            Refused,
        ),
        (
            "long name dotdot",
            tar()
                .sized(b'L', b"././@LongLink", b"../canary/file\0")
                .file("x", "1"),
            Refused,
        ),
        (
            "path too deep",
            tar()
                .pax(&[("path", &long.as_bytes()[..2000])])
                .file("x", ""),
            Refused,
        ),
        (
            "path too long",
            tar().pax(&[("path", long.as_bytes())]).file("x", ""),
            Refused,
        ),
        (
            "component too long",
            tar().pax(&[("path", wide.as_bytes())]).file("x", ""),
            Refused,
        ),
        (
            "link too long",
            tar()
                .pax(&[("linkpath", long.as_bytes())])
                .symlink("x", "y"),
            Refused,
        ),
        (
            "long name too long",
            tar()
                .sized(b'L', b"././@LongLink", &long_name)
                .file("x", "1"),
            Refused,
        ),
        (
            "two long names",
            tar()
                .sized(b'L', b"l", b"a\0")
                .sized(b'L', b"l", b"b\0")
                .file("x", ""),
            Invalid,
        ),
        (
            "two extended headers",
            tar()
                .pax(&[("uid", b"1")])
                .pax(&[("uid", b"2")])
                .file("x", ""),
            Invalid,
        ),
        (
            "extended header of nothing",
            tar().pax(&[("uid", b"1")]),
            Invalid,
        ),
        (
            "extended header claims much",
            tar().raw(b'x', "x", |b| size(b, 1 << 32)),
            Refused,
        ),
        (
            "global header claims much",
            tar().raw(b'g', "x", |b| size(b, 1 << 32)),
            Refused,
        ),
        (
            "global path",
            tar()
                .sized(b'g', b"g", &pax(&[("path", b"y")]))
                .file("x", "1"),
            Refused,
        ),
        (
            "global size",
            tar()
                .sized(b'g', b"g", &pax(&[("size", b"0")]))
                .file("x", "1"),
            Refused,
        ),
        (
            "broken record",
            tar().sized(b'x', b"x", b"99 a=b\n").file("x", ""),
            Invalid,
        ),
        (
            "record of length 0",
            tar().sized(b'x', b"x", b"0 a=b\n").file("x", ""),
            Invalid,
        ),
        (
            "uid 2^32-1",
            tar().pax(&[("uid", b"4294967295")]).file("x", ""),
            Refused,
        ),
        (
            "gid 2^32-1",
            tar().pax(&[("gid", b"4294967295")]).file("x", ""),
            Refused,
        ),
        (
            "uid 2^32",
            tar().pax(&[("uid", b"4294967296")]).file("x", ""),
            Refused,
        ),
        (
            "uid beyond 64 bits",
            tar()
                .pax(&[("uid", b"99999999999999999999999")])
                .file("x", ""),
            Invalid,
        ),
        (
            "negative uid",
            tar().pax(&[("uid", b"-1")]).file("x", ""),
            Invalid,
        ),
        (
            "negative base-256 uid",
            tar().raw(b'0', "x", |b| b[108..116].fill(0xff)),
            Invalid,
        ),
        (
            "base-256 uid 2^32-1",
            tar().raw(b'0', "x", |b| {
                b[108..116].copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 255]);
            }),
            Refused,
        ),
        (
            "negative size",
            tar().raw(b'0', "x", |b| b[124..136].fill(0xff)),
            Invalid,
        ),
        (
            "size beyond 63 bits",
            tar().raw(b'0', "x", |b| {
                b[124..136].fill(0xff);
                b[124] = 0x80;
            }),
            Invalid,
        ),
        (
            "size up to the edge",
            tar()
                .pax(&[("size", b"18446744073709551615")])
                .file("x", ""),
            Invalid,
        ),
        (
            "size not octal",
            tar().raw(b'0', "x", |b| b[124..136].copy_from_slice(b"0000000009x\0")),
            Invalid,
        ),
        (
            "more content than there is",
            tar().raw(b'0', "x", |b| size(b, 1 << 30)),
            Invalid,
        ),
        (
            "bad time",
            tar().pax(&[("mtime", b"soon")]).file("x", ""),
            Invalid,
        ),
        ("many attributes", tar().pax(&many).file("x", ""), Refused),
        (
            "big attribute",
            tar()
                .pax(&[("SCHILY.xattr.user.x", &big_value)])
                .file("x", ""),
            Refused,
        ),
        ("GNU sparse", tar().raw(b'S', "x", |_| ()), Invalid),
        (
            "pax sparse",
            tar().pax(&[("GNU.sparse.map", b"0,1")]).file("x", ""),
            Invalid,
        ),
        (
            "pax sparse 1.0",
            tar()
                .pax(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.name", b"../canary/file"),
                ])
                .file("x", ""),
            Unsupported,
        ),
        ("unknown type", tar().raw(b'V', "x", |_| ()), Unsupported),
        ("checksum", Tar(vec![b'x'; 512]), Invalid),
        (
            "zeros among headers",
            {
                let mut t = tar().file("a", "");
                t.0.extend([0; 512]);
                t.file("b", "")
            },
            Invalid,
        ),
    ];
    assert!(cases.len() >= 60);
    for (name, tar, kind) in cases {
        match answer(name, &tar.end()) {
            Err(e) => assert_eq!(e.kind(), kind, "{name}: {e}"),
            Ok(tree) => panic!("{name}: was taken: {:?}", listing(&tree)),
        }
    }
}

#[test]
fn taken_and_confined() {
    let cases: Vec<(&str, Tar, &[&str])> = vec![
        (
            "absolute name",
            tar().file("/tmp/CANARY", "bad"),
            &["tmp/CANARY 3"],
        ),
        (
            "symlink out",
            tar().symlink("s", "../../canary"),
            &["s -> ../../canary"],
        ),
        (
            "through a symlink up",
            tar().symlink("s", "../canary").file("s/file", "bad"),
            &["canary/file 3", "s -> ../canary"],
        ),
        (
            "through an absolute symlink",
            tar().symlink("s", "/tmp").file("s/CANARY", "bad"),
            &["s -> /tmp", "tmp/CANARY 3"],
        ),
        (
            "through links through links",
            tar()
                .dir("d/")
                .symlink("d/u", "..")
                .symlink("e", "d/u/d/u/../..")
                .file("e/canary/file", "bad"),
            &["canary/file 3", "d/", "d/u -> ..", "e -> d/u/d/u/../.."],
        ),
        (
            "symlink replaced by file",
            tar().symlink("s", "../canary/file").file("s", "mine"),
            &["s 4"],
        ),
        (
            "folder replaced by symlink, then into it",
            tar()
                .dir("d/")
                .file("d/x", "1")
                .symlink("d", "/tmp")
                .file("d/CANARY", "bad"),
            &["d -> /tmp", "tmp/CANARY 3"],
        ),
        (
            "symlink replaced by folder",
            tar()
                .symlink("d", "../canary")
                .dir("d/")
                .file("d/file", "mine"),
            &["d/", "d/file 4"],
        ),
        (
            "folder over a symlink keeps the target's mode",
            tar().symlink("d", "../canary").dir("d/"),
            &["d/"],
        ),
        (
            "hard link to a symlink out",
            tar()
                .symlink("s", "../canary/file")
                .hardlink("h", "s")
                .file("h", "mine"),
            &["h 4", "s -> ../canary/file"],
        ),
        (
            "duplicates: the later wins",
            tar()
                .file("f", "one")
                .hardlink("g", "f")
                .file("f", "second"),
            &["f 6", "g 3"],
        ),
        (
            "link, replaced, linked again",
            tar().file("b", "1").hardlink("a", "b").hardlink("c", "b"),
            &["a 1", "b == a", "c == a"],
        ),
        (
            "file again under its link's name",
            tar().file("f", "1").hardlink("g", "f").hardlink("f", "g"),
            &["f 1", "g == f"],
        ),
        (
            "folder replaced by file",
            tar().dir("d/").file("d/x", "1").file("d", "22"),
            &["d 2"],
        ),
        (
            "whiteout and entry",
            tar().file(".wh.x", "").dir("x/").file("x/y", "1"),
            &["x/ opaque", "x/y 1"],
        ),
        (
            "entry and whiteout",
            tar().dir("x/").file("x/y", "1").file(".wh.x", ""),
            &["x/ opaque", "x/y 1"],
        ),
        (
            "whiteout and entries without a folder",
            tar().file(".wh.x", "").file("x/a/y", "1"),
            &["x/ opaque", "x/a/y 1"],
        ),
        (
            "file and its whiteout",
            tar().file("x", "1").file(".wh.x", ""),
            &["x 1"],
        ),
        (
            "opaque before its folder",
            tar().file("x/.wh..wh..opq", "").dir("x/").file("x/y", ""),
            &["x/ opaque", "x/y 0"],
        ),
        (
            "whiteout through a symlink out",
            tar().symlink("s", "../canary").file("s/.wh.file", ""),
            &["-canary/file", "s -> ../canary"],
        ),
        (
            "notes of aufs",
            tar()
                .dir(".wh..wh.plnk/")
                .file(".wh..wh.plnk/1.2", "x")
                .file(".wh..wh.aufs", "")
                .file("a", ""),
            &["a 0"],
        ),
        ("old folder", tar().raw(0, "old/", |_| ()), &["old/"]),
        ("old file", tar().sized(0, b"old", b"abc"), &["old 3"]),
        ("contiguous file", tar().sized(b'7', b"c", b"abc"), &["c 3"]),
        (
            "a link that claims content",
            tar()
                .raw(b'2', "s", |b| {
                    b[157] = b'x';
                    size(b, 512);
                })
                .file("f", "1"),
            &["f 1", "s -> x"],
        ),
        (
            "long GNU names",
            tar()
                .sized(b'L', b"././@LongLink", &[&[b'n'; 120][..], b"\0"].concat())
                .sized(b'K', b"././@LongLink", b"target\0")
                .raw(b'2', "x", |_| ()),
            &[],
        ),
        (
            "global comment",
            tar()
                .sized(
                    b'g',
                    b"pax_global_header",
                    &pax(&[("comment", b"x"), ("uid", b"7")]),
                )
                .file("f", "1"),
            &["f 1"],
        ),
        (
            "pax size over the header's",
            {
                let mut t = tar().pax(&[("size", b"3")]);
                t.header(b'0', b"f", |b| size(b, 0));
                t.content(b"abc");
                t
            },
            &["f 3"],
        ),
        (
            "doubled slashes",
            tar().file(".//a///b/./c", "1"),
            &["a/b/c 1"],
        ),
        (
            "names that differ in case",
            tar().file("a", "1").file("A", "22"),
            &["A 2", "a 1"],
        ),
        ("back slash", tar().file("a\\..\\b", "1"), &["a\\..\\b 1"]),
        (
            "prefix of ustar",
            tar().raw(b'0', "name", |b| b[345..351].copy_from_slice(b"folder")),
            &["folder/name 0"],
        ),
    ];
    for (name, tar, expected) in cases {
        let tree = answer(name, &tar.end()).unwrap_or_else(|e| panic!("{name}: {e}"));
        if expected.is_empty() {
            assert_eq!(listing(&tree), [format!("{} -> target", "n".repeat(120))]);
        } else {
            let expected: Vec<_> = expected.iter().map(|l| real(l)).collect();
            assert_eq!(listing(&tree), expected, "{name}");
        }
    }
}

#[test]
fn attributes_that_mean_something_here_are_not_taken() {
    let temp = tempfile::tempdir().unwrap();
    let records: Vec<(&str, &[u8])> = vec![
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.overlay.whiteout", b"y"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.user.kiln.stat", b"0:0"),
        ("SCHILY.xattr.security.selinux", b"label"),
        ("SCHILY.xattr.user.mine", b"kept"),
    ];
    let bytes = tar()
        .pax(&records)
        .dir("d/")
        .pax(&records)
        .file("f", "")
        .end();
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    let tree = apply(&bytes[..], &mut target).unwrap().tree;
    for p in ["d", "f"] {
        let names: Vec<_> = tree.get(&path(p)).unwrap().meta.xattrs.keys().collect();
        assert_eq!(names, [b"user.mine"], "{p}");
        let mut list = [0; 4096];
        let n = rustix::fs::listxattr(temp.path().join(p), &mut list[..]).unwrap();
        assert_eq!(&list[..n], b"user.mine\0", "{p}");
    }
}

#[test]
fn limits_hold() {
    let two = tar().file("a", "1").file("b", "2").end();
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        apply_within(&limits, &two[..], &mut Nothing)
            .map(|_| ())
            .map_err(|e| e.kind())
    };
    let refused = Err(ErrorKind::Refused);
    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(with(&|l| l.entries = 1), refused);
    assert_eq!(with(&|l| l.metadata = 1), refused);
    assert_eq!(with(&|l| l.stream = 2048), refused);
    assert_eq!(with(&|l| l.stream = 3072), Ok(()));
    let endless = std::io::repeat(0).take(1 << 20);
    let limits = Limits {
        stream: 1 << 16,
        ..Limits::default()
    };
    assert!(apply_within(&limits, endless, &mut Nothing).is_err());
}

#[test]
fn the_diff_id_is_of_every_byte_and_a_cut_stream_is_an_error() {
    let mut bytes = tar().file("a", "content").end();
    bytes.extend_from_slice(&[0; 9000]);
    bytes.extend_from_slice(b"and something behind the end");
    let applied = apply(&bytes[..], &mut Nothing).unwrap();
    assert_eq!(applied.diff_id, kiln_image::Digest::sha256(&bytes));
    assert_eq!(applied.size, bytes.len() as u64);
    for cut in [1, 100, 511, 513, 600, 1023] {
        assert!(apply(&bytes[..cut], &mut Nothing).is_err(), "{cut}");
    }
    // Go's reader takes an archive without its end, and an empty one.
    assert_eq!(apply(&bytes[..1024], &mut Nothing).unwrap().tree.len(), 1);
    assert!(apply(&b""[..], &mut Nothing).unwrap().tree.is_empty());
}

#[test]
fn a_layer_cannot_leave_the_directory_by_what_lower_layers_left_there() {
    let temp = tempfile::tempdir().unwrap();
    let canary = temp.path().join("canary");
    let root = temp.path().join("root");
    fs::create_dir_all(&canary).unwrap();
    fs::create_dir_all(&root).unwrap();
    fs::write(canary.join("file"), "untouched").unwrap();
    let layers = [
        tar()
            .symlink("out", "../canary")
            .symlink("file", "../canary/file")
            .end(),
        tar().file("out/file", "bad").file("file", "mine").end(),
        tar().symlink("out", "../canary").end(),
        tar()
            .file("out/.wh.file", "")
            .file("out/.wh..wh..opq", "")
            .end(),
        tar().symlink("out", "../canary").end(),
        tar().file(".wh.out", "").end(),
    ];
    for layer in &layers {
        let mut target = Directory::new(&root, Whiteouts::Apply).unwrap();
        apply(&layer[..], &mut target).unwrap();
        assert_eq!(fs::read(canary.join("file")).unwrap(), b"untouched");
    }
    assert!(!root.join("out").exists());
    assert_eq!(fs::read(root.join("file")).unwrap(), b"mine");
}

#[test]
fn folders_that_are_implied_have_what_the_lower_layers_say() {
    let mut lower = InMemory::new();
    lower.entry(kiln_layer::Entry::folder(
        path("tmp"),
        crate::support::meta(0o1777),
    ));
    lower.file(path("tmp/f"), crate::support::meta(0o640), "below");
    let temp = tempfile::tempdir().unwrap();
    let target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    let mut target = target.over(std::sync::Arc::new(lower));
    let layer = tar().file("tmp/x", "1").hardlink("tmp/h", "tmp/f").end();
    apply(&layer[..], &mut target).unwrap();
    let mode = |p: &str| fs::metadata(temp.path().join(p)).unwrap().mode() & 0o7777;
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(fs::read(temp.path().join("tmp/h")).unwrap(), b"below");
    let keep = |_: &kiln_layer::LayerPath, _: bool| Keep::Yes;
    assert!(Folder::scan(temp.path(), &keep, 1).is_ok());
}
