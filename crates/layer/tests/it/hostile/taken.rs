//! Archives that are taken, each with what they become: nothing of it outside of the root.

use super::tar::{Tar, device, pax, size, tar};

pub(super) fn cases() -> Vec<(&'static str, Tar, &'static [&'static str])> {
    vec![
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
        (
            "newline in a name",
            tar().pax(&[("path", b"a\nb")]).file("x", "1"),
            &["a\\nb 1"],
        ),
        (
            "a name that is not UTF-8",
            tar().pax(&[("path", b"\xff\xfe")]).file("x", "1"),
            &["\\xff\\xfe 1"],
        ),
        (
            "two forms of one letter",
            tar().file("\u{e9}", "1").file("e\u{301}", "22"),
            &["e\u{301} 2", "\u{e9} 1"],
        ),
        (
            "a name that looks like an option",
            tar().file("--checkpoint-action=exec=sh", "1"),
            &["--checkpoint-action=exec=sh 1"],
        ),
        (
            "a file with a slash behind it",
            tar().file("a/", "1"),
            &["a 1"],
        ),
        ("an empty name of a folder", tar().dir(""), &["//"]),
        (
            "the root as a folder, many times",
            tar().dir("./").dir("/").dir("."),
            &["//"],
        ),
        (
            "two path records: the later counts",
            tar()
                .pax(&[("path", b"../canary/file"), ("path", b"mine")])
                .file("x", "1"),
            &["mine 1"],
        ),
        (
            "a long name and a path record",
            tar()
                .pax(&[("path", b"../canary/file")])
                .sized(b'L', b"l", b"mine\0")
                .file("x", "1"),
            &["mine 1"],
        ),
        (
            "an empty path record",
            tar().pax(&[("path", b"")]).file("x", "1"),
            &["x 1"],
        ),
        (
            "by the working directory of the process",
            tar().symlink("s", "/proc/self/cwd").file("s/x", "1"),
            &["proc/self/cwd/x 1", "s -> /proc/self/cwd"],
        ),
        (
            "by the root of the process",
            tar()
                .symlink("s", "/proc/self/root/tmp")
                .file("s/CANARY", "bad"),
            &["proc/self/root/tmp/CANARY 3", "s -> /proc/self/root/tmp"],
        ),
        (
            "by a descriptor of the process",
            tar().symlink("s", "/proc/self/fd").file("s/1", "bad"),
            &["proc/self/fd/1 3", "s -> /proc/self/fd"],
        ),
        (
            "into devices of the machine",
            tar()
                .file("/dev/null", "bad")
                .symlink("d", "/dev")
                .file("d/zero", "bad"),
            &["d -> /dev", "dev/null 3", "dev/zero 3"],
        ),
        (
            "whiteouts of devices of the machine",
            tar().symlink("d", "/dev").file("d/.wh.null", ""),
            &["d -> /dev", "-dev/null"],
        ),
        (
            "a link to a pipe outside, then a file",
            tar().symlink("p", "../canary/pipe").file("p", "mine"),
            &["p 4"],
        ),
        (
            "a link to a pipe outside, then a whiteout",
            tar().symlink("p", "../canary/pipe").file(".wh.p", ""),
            &["p -> ../canary/pipe"],
        ),
        (
            "a pipe, then a file in its place",
            tar().raw(b'6', "p", |_| ()).file("p", "mine"),
            &["p 4"],
        ),
        (
            "a pipe, then a folder in its place",
            tar().raw(b'6', "p", |_| ()).dir("p/").file("p/x", "1"),
            &["p/", "p/x 1"],
        ),
        (
            "a pipe and another name of it",
            tar().raw(b'6', "p", |_| ()).hardlink("q", "p"),
            &["p named pipe", "q named pipe"],
        ),
        (
            "a device, then a file in its place",
            tar().raw(b'3', "d", |b| device(b, 1, 3)).file("d", "mine"),
            &["d 4"],
        ),
        (
            "devices of the machine",
            tar()
                .raw(b'3', "m", |b| device(b, 1, 1))
                .raw(b'4', "d", |b| device(b, 8, 0)),
            &["d block device", "m character device"],
        ),
        (
            "the root by a link, again and again",
            tar().symlink("s", "/").file("s/s/s/f", "1"),
            &["f 1", "s -> /"],
        ),
        (
            "up and up from a link",
            tar()
                .dir("a/")
                .symlink("a/s", "../../../../../..")
                .file("a/s/canary/file", "bad"),
            &["a/", "a/s -> ../../../../../..", "canary/file 3"],
        ),
        (
            "a hard link by a link inside",
            tar()
                .dir("d/")
                .file("d/f", "1")
                .symlink("s", "d")
                .hardlink("h", "s/f"),
            &["d/", "d/f 1", "h == d/f", "s -> d"],
        ),
        (
            "a hard link to an absolute name inside",
            tar().file("f", "1").hardlink("h", "/f"),
            &["f 1", "h == f"],
        ),
        (
            "a link, then a hard link to what it hides",
            tar()
                .dir("d/")
                .file("d/f", "1")
                .hardlink("h", "d/f")
                .symlink("d", "/tmp"),
            &["d -> /tmp", "h 1"],
        ),
        (
            "links over links over links",
            tar()
                .symlink("a", "../canary")
                .symlink("a", "/tmp")
                .symlink("a", "b")
                .dir("b/")
                .file("a/f", "1"),
            &["a -> b", "b/", "b/f 1"],
        ),
        (
            "file, folder, link, pipe, file",
            tar()
                .file("x", "1")
                .dir("x/")
                .file("x/y", "2")
                .symlink("x", "/tmp")
                .raw(b'6', "x", |_| ())
                .file("x", "333"),
            &["x 3"],
        ),
        (
            "a folder that is there three times",
            tar().dir("d/").file("d/f", "1").dir("d/").dir("d/"),
            &["d/", "d/f 1"],
        ),
        (
            "a folder that nobody can enter, and what is in it",
            tar()
                .raw(b'5', "d/", |b| b[100..108].copy_from_slice(b"0000000\0"))
                .file("d/f", "1"),
            &["d/", "d/f 1"],
        ),
        (
            "an opaque root",
            tar().file(".wh..wh..opq", "").file("f", "1"),
            &["// opaque", "f 1"],
        ),
        (
            "an opaque root at the end",
            tar().file("f", "1").file(".wh..wh..opq", ""),
            &["// opaque", "f 1"],
        ),
        ("a whiteout that is a folder", tar().dir(".wh.x/"), &["-x"]),
        (
            "a whiteout that is a link up",
            tar().symlink(".wh.x", "../canary/file"),
            &["-x"],
        ),
        (
            "a whiteout that is a hard link up",
            tar().hardlink(".wh.x", "../canary/file"),
            &["-x"],
        ),
        (
            "a whiteout with content",
            tar().file(".wh.x", "content"),
            &["-x"],
        ),
        (
            "a whiteout of a whiteout's name",
            tar().file(".wh.wh.x", ""),
            &["-wh.x"],
        ),
        (
            "whiteouts twice",
            tar().file(".wh.x", "").file(".wh.x", ""),
            &["-x"],
        ),
        (
            "a whiteout, then a link, then through it",
            tar()
                .file(".wh.s", "")
                .symlink("s", "../canary")
                .file("s/.wh..wh..opq", ""),
            &["canary/ opaque", "s -> ../canary"],
        ),
        (
            "an opaque mark in what is not there",
            tar().file("a/b/.wh..wh..opq", ""),
            &["a/b/ opaque"],
        ),
        (
            "a whiteout in what is not there",
            tar().file("a/b/.wh.c", ""),
            &["-a/b/c"],
        ),
        (
            "ids at the edge",
            tar().raw(b'0', "x", |b| {
                b[108..116].copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 254]);
                b[116..124].copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 254]);
            }),
            &["x 0"],
        ),
        (
            "more mode bits than there are",
            tar().raw(b'0', "x", |b| b[100..108].copy_from_slice(b"7777644\0")),
            &["x 0"],
        ),
        (
            "a time before 1970",
            tar().pax(&[("mtime", b"-1.5")]).file("x", ""),
            &["x 0"],
        ),
        (
            "a time at the edge",
            tar()
                .pax(&[("mtime", b"9223372036854775807")])
                .file("x", "")
                .pax(&[("mtime", b"-9223372036854775807.9")])
                .file("y", ""),
            &["x 0", "y 0"],
        ),
        (
            "an old sparse file",
            tar().sparse("s", &[(512, 512), (4096, 100)], 8192, 612),
            &["s 8192"],
        ),
        (
            "a sparse file of nothing",
            tar().sparse("s", &[], 0, 0),
            &["s 0"],
        ),
        (
            "a sparse file with regions of nothing",
            tar().sparse("s", &[(0, 0), (0, 0), (9, 0)], 9, 0),
            &["s 9"],
        ),
        (
            "a sparse file, then a link in its place",
            tar()
                .sparse("s", &[(512, 512)], 8192, 512)
                .symlink("s", "../canary/file"),
            &["s -> ../canary/file"],
        ),
        (
            "sizes that disagree: the record counts",
            tar()
                .pax(&[("size", b"1")])
                .raw(b'0', "f", |b| {
                    b[124..136].copy_from_slice(b"00000777777\0");
                })
                .raw_block(b"1"),
            &["f 1"],
        ),
        (
            "a global header for others",
            tar()
                .sized(
                    b'g',
                    b"g",
                    &pax(&[("uid", b"4294967295"), ("SCHILY.xattr.user.x", b"v")]),
                )
                .file("f", "1"),
            &["f 1"],
        ),
    ]
}
