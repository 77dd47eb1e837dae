//! Archives that are refused, each with the kind of error.

use kiln_layer::ErrorKind::{self, Conflict, Invalid, Loop, Refused, Unsupported};

use super::tar::{Tar, device, pax, size, tar};

pub(super) fn cases() -> Vec<(&'static str, Tar, ErrorKind)> {
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
    vec![
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
        // Links.
        (
            "hard link by a long GNU name up",
            tar()
                .sized(b'K', b"l", b"../canary/file\0")
                .raw(b'1', "h", |_| ()),
            Refused,
        ),
        (
            "hard link through links through links",
            tar()
                .symlink("a", "b/..")
                .symlink("b", "/canary")
                .hardlink("h", "a/canary/file"),
            Unsupported,
        ),
        (
            "hard link into the process",
            tar().symlink("s", "/proc/self").hardlink("h", "s/environ"),
            Unsupported,
        ),
        (
            "hard link to itself by another spelling",
            tar().hardlink("a", ".//a"),
            Refused,
        ),
        (
            "hard link to a whiteout",
            tar().file(".wh.x", "").hardlink("h", "x"),
            Refused,
        ),
        (
            "a file, a link to it, and a folder in its place",
            tar().file("f", "1").hardlink("g", "f").file("g/x", "2"),
            Conflict,
        ),
        (
            "a hundred links in a row",
            (0..100)
                .fold(tar(), |t, n| {
                    t.symlink(&format!("s{n}"), &format!("s{}", n + 1))
                })
                .file("s0/x", "1"),
            Loop,
        ),
        (
            "links that double at each step",
            (0..60)
                .fold(tar().symlink("l0", "."), |t, n| {
                    t.symlink(&format!("l{}", n + 1), &format!("l{n}/l{n}"))
                })
                .file("l60/x", "1"),
            Loop,
        ),
        (
            "a link to itself on the way",
            tar().symlink("s", "s").file("s/x", "1"),
            Loop,
        ),
        (
            "a link into itself on the way",
            tar().symlink("s", "s/s").file("s/x", "1"),
            Loop,
        ),
        // Names.
        ("empty name of a file", tar().file("", "1"), Refused),
        ("slashes alone as a file", tar().file("///", "1"), Refused),
        ("dots alone as a link", tar().symlink("./.", "x"), Refused),
        (
            "a root that is a pipe",
            tar().raw(b'6', "/", |_| ()),
            Refused,
        ),
        (
            "six hundred folders in each other",
            (1..600).fold(tar(), |t, n| {
                t.pax(&[("path", "d/".repeat(n).as_bytes())]).dir("x")
            }),
            Refused,
        ),
        (
            "entry beneath a pipe",
            tar().raw(b'6', "p", |_| ()).file("p/x", "1"),
            Conflict,
        ),
        (
            "entry beneath a device",
            tar().raw(b'3', "d", |b| device(b, 1, 3)).file("d/x", "1"),
            Conflict,
        ),
        (
            "a path of dots and dots",
            tar().file("a/b/../../..", "1"),
            Refused,
        ),
        (
            "a whiteout that is a link up",
            tar().link(b'1', "a/.wh..wh..opq/../x", "y"),
            Refused,
        ),
        (
            "a folder whiteout with an entry",
            tar().dir(".wh.x/").file(".wh.x/y", "1"),
            Refused,
        ),
        (
            "an opaque mark as a folder",
            tar().file(".wh..wh..opq/x/../../..", "1"),
            Refused,
        ),
        // Devices and ids.
        (
            "a device number beyond 32 bits",
            tar().raw(b'3', "d", |b| {
                b[329..337].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0]);
            }),
            Invalid,
        ),
        (
            "a negative device",
            tar().raw(b'4', "d", |b| b[337..345].fill(0xff)),
            Invalid,
        ),
        (
            "base-256 gid 2^32-1",
            tar().raw(b'5', "x", |b| {
                b[116..124].copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 255]);
            }),
            Refused,
        ),
        (
            "uid with a sign",
            tar().pax(&[("uid", b"+5")]).file("x", ""),
            Invalid,
        ),
        (
            "a mode that is negative",
            tar().raw(b'0', "x", |b| b[100..108].fill(0xff)),
            Invalid,
        ),
        (
            "a time beyond 64 bits",
            tar()
                .pax(&[("mtime", b"9223372036854775808")])
                .file("x", ""),
            Invalid,
        ),
        // Attributes.
        (
            "a name of an attribute too long",
            tar()
                .pax(&[(&format!("SCHILY.xattr.user.{}", "n".repeat(300)), b"v")])
                .file("x", ""),
            Refused,
        ),
        (
            "NUL in the name of an attribute",
            tar().pax(&[("SCHILY.xattr.user.a\0b", b"v")]).file("x", ""),
            Refused,
        ),
        // Sparse files.
        (
            "sparse regions that overlap",
            tar().sparse("s", &[(0, 1024), (512, 1024)], 4096, 2048),
            Invalid,
        ),
        (
            "sparse regions out of order",
            tar().sparse("s", &[(2048, 512), (0, 512)], 4096, 1024),
            Invalid,
        ),
        (
            "a sparse region beyond its file",
            tar().sparse("s", &[(4096, 512)], 4096, 512),
            Invalid,
        ),
        (
            "a sparse region beyond 64 bits",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"512"),
                    ("GNU.sparse.numblocks", b"1"),
                    ("GNU.sparse.map", b"18446744073709551615,512"),
                ])
                .sized(b'0', b"s", &[1; 512]),
            Invalid,
        ),
        (
            "sparse with more bytes than its map",
            tar().sparse("s", &[(0, 512)], 4096, 1024),
            Invalid,
        ),
        (
            "sparse with fewer bytes than its map",
            tar().sparse("s", &[(0, 1024)], 4096, 512),
            Invalid,
        ),
        (
            "a sparse region that is not of blocks",
            tar().sparse("s", &[(0, 100), (512, 512)], 4096, 612),
            Invalid,
        ),
        (
            "a negative sparse region",
            tar().sparse("s", &[(u64::MAX, 512)], 4096, 512),
            Invalid,
        ),
        (
            "a negative sparse size",
            tar().sparse("s", &[(0, 512)], u64::MAX, 512),
            Invalid,
        ),
        (
            "a hole of a terabyte",
            tar().sparse("s", &[(0, 512)], 1 << 40, 512),
            Refused,
        ),
        (
            "a hole up to the edge",
            tar().sparse("s", &[], i64::MAX as u64, 0),
            Refused,
        ),
        (
            "sparse blocks without an end",
            tar().sparse_blocks("s", 20_000),
            Refused,
        ),
        (
            "sparse map of odd length",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"9"),
                    ("GNU.sparse.numblocks", b"1"),
                    ("GNU.sparse.map", b"0,1,2"),
                ])
                .file("x", ""),
            Invalid,
        ),
        (
            "sparse map with another count",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"9"),
                    ("GNU.sparse.numblocks", b"9"),
                    ("GNU.sparse.map", b"0,0"),
                ])
                .file("x", ""),
            Invalid,
        ),
        (
            "sparse pairs out of order",
            tar()
                .pax(&[("GNU.sparse.numbytes", b"1"), ("GNU.sparse.offset", b"0")])
                .file("x", ""),
            Invalid,
        ),
        (
            "two sparse maps",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"9"),
                    ("GNU.sparse.numblocks", b"1"),
                    ("GNU.sparse.map", b"0,0"),
                    ("GNU.sparse.offset", b"0"),
                    ("GNU.sparse.numbytes", b"0"),
                ])
                .file("x", ""),
            Invalid,
        ),
        (
            "a sparse map that is no numbers",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"9"),
                    ("GNU.sparse.numblocks", b"1"),
                    ("GNU.sparse.map", b"0,-1"),
                ])
                .file("x", ""),
            Invalid,
        ),
        (
            "sparse 2.0",
            tar()
                .pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")])
                .file("x", ""),
            Unsupported,
        ),
        (
            "a sparse name and no map",
            tar()
                .pax(&[("GNU.sparse.name", b"../canary/file")])
                .file("x", "1"),
            Unsupported,
        ),
        (
            "a sparse folder",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"9"),
                    ("GNU.sparse.numblocks", b"1"),
                    ("GNU.sparse.map", b"0,0"),
                ])
                .dir("x"),
            Invalid,
        ),
        (
            "sparse twice over",
            tar()
                .pax(&[
                    ("GNU.sparse.size", b"9"),
                    ("GNU.sparse.numblocks", b"1"),
                    ("GNU.sparse.map", b"0,0"),
                ])
                .sparse("s", &[], 9, 0),
            Invalid,
        ),
        (
            "sparse 1.0 and a name up",
            sparse_1_0("../canary/file", b"1\n0\n512\n"),
            Refused,
        ),
        (
            "sparse 1.0 with more regions than any limit",
            sparse_1_0("s", b"99999999999\n"),
            Refused,
        ),
        (
            "sparse 1.0 with a number beyond 64 bits",
            sparse_1_0("s", b"1\n99999999999999999999\n512\n"),
            Invalid,
        ),
        (
            "sparse 1.0 with a map that is cut",
            sparse_1_0("s", b"200\n0\n512\n"),
            Invalid,
        ),
        (
            "sparse 1.0 with an empty line",
            sparse_1_0("s", b"1\n\n512\n"),
            Invalid,
        ),
        (
            "sparse 1.0 with letters",
            sparse_1_0("s", b"one\n"),
            Invalid,
        ),
        (
            "global sparse",
            tar()
                .sized(b'g', b"g", &pax(&[("GNU.sparse.major", b"1")]))
                .file("x", "1"),
            Refused,
        ),
        // Headers that disagree.
        (
            "base-256 size over 63 bits in a link",
            tar().raw(b'2', "s", |b| b[124..136].fill(0xff)),
            Invalid,
        ),
        (
            "two long link names",
            tar()
                .sized(b'K', b"l", b"a\0")
                .sized(b'K', b"l", b"b\0")
                .symlink("x", "y"),
            Invalid,
        ),
        (
            "a long name of nothing",
            tar().sized(b'L', b"l", b"a\0"),
            Invalid,
        ),
        (
            "a long name that is empty",
            tar().sized(b'L', b"l", b"\0").file("x", "1"),
            Refused,
        ),
        (
            "pax size beyond the stream",
            tar().pax(&[("size", b"4096")]).file("x", "1"),
            Invalid,
        ),
        (
            "a record without a key",
            tar().sized(b'x', b"x", b"4 =\n\n").file("x", ""),
            Invalid,
        ),
        (
            "type of a multi-volume archive",
            tar().raw(b'M', "x", |_| ()),
            Unsupported,
        ),
        (
            "type of a folder dump",
            tar().raw(b'D', "x", |_| ()),
            Unsupported,
        ),
    ]
}

/// A sparse file of 4,096 bytes in format 1.0 with this map and 512 bytes.
fn sparse_1_0(name: &str, map: &[u8]) -> Tar {
    let mut content = map.to_vec();
    content.resize(content.len().next_multiple_of(512), 0);
    content.resize(content.len() + 512, b'x');
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", name.as_bytes()),
        ("GNU.sparse.realsize", b"4096"),
    ];
    tar()
        .pax(&records)
        .sized(b'0', b"GNUSparseFile.0/x", &content)
}
