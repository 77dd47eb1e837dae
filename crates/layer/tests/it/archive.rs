//! Archives of others as files: what is one, whatever compresses it, and what is refused.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kiln_image::media::Compression;
use kiln_layer::{Archive, Error, Files as _, Limits, compress};

use crate::support::{listing, read};

/// A tar with `d/f` of 5 bytes, as bzip2 and as xz.
const BZIP2: &str = "QlpoOTFBWSZTWRqiJwoAAG97gPGAAAJAAO+AAAJnRJ4ACAggAFQ0miZAYmnqA9T0EkUaAB6gAH21g6EHM6EIjppEWvJAhgY3wmzh0SYQhkDmiOtDCFjCp703yhWZtCIgLi7kinChIDVEThQ=";
const XZ: &str = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Cf/AGBdADILyMAOUCcI/OcAo4BJssHEPcRsQfh3DlWcWvbug+UaaSN+UJjaLOPHxPVuC43JI58wQBl9B5mgOv5gtYiGOnx9y+732VTioMpqP1sUegIHhbptPLc4Vk8dIkKXpvgAAABuYQrnpUSewwABfIBQAAAAV6ZexbHEZ/sCAAAAAARZWg==";
/// The same, which asks for a window of more than a gigabyte.
const XZ_WIDE: &str = "/Td6WFoAAATm1rRGAgAhASUAAAA7eHtB4Cf/AGBdADILyMAOUCcI/OcAo4BJssHEPcRsQfh3DlWcWvbug+UaaSN+UJjaLOPHxPVuC43JI58wQBl9B5mgOv5gtYiGOnx9y+732VTioMpqP1sUegIHhbptPLc4Vk8dIkKXpvgAAABuYQrnpUSewwABfIBQAAAAV6ZexbHEZ/sCAAAAAARZWg==";

fn open(bytes: &[u8]) -> Result<Option<Archive>, Error> {
    Archive::read(bytes, tempfile::tempfile().unwrap(), &Limits::default())
}

/// A tar of files with these names and perhaps a mode, a hard link and a symbolic link where there is a target.
fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_ustar();
        let (name, mode) = name.split_once(' ').unwrap_or((name, "640"));
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(u32::from_str_radix(mode, 8).unwrap());
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(9);
        header.set_size(0);
        let link = text.split_once("-> ").or(text.split_once("== "));
        let content = match link {
            Some((_, target)) => {
                let symbolic = text.starts_with("->");
                header.set_entry_type(match symbolic {
                    true => tar::EntryType::Symlink,
                    false => tar::EntryType::Link,
                });
                header.set_link_name_literal(target).unwrap();
                ""
            }
            None => text,
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn every_compression() {
    let plain = tar(&[("d/f", "hello")]);
    let packed = |with| {
        let mut out = Vec::new();
        compress(&mut &plain[..], &mut out, with, None).unwrap();
        out
    };
    let gzip = packed(Compression::Gzip);
    let (one, two) = plain.split_at(700);
    let two_members = [gzipped(one), gzipped(two), gzipped(b"")].concat();
    let with_more = |more: &[u8]| [&gzip, more].concat();
    for (name, bytes) in [
        ("plain", plain.clone()),
        ("gzip", two_members),
        ("gzip and zeros", with_more(&[0; 512])),
        ("gzip and what is none", with_more(b"signed by nobody")),
        ("gzip and half a header", with_more(&[0x1f, 0x8b])),
        ("zstd", packed(Compression::Zstd)),
        ("bzip2", STANDARD.decode(BZIP2).unwrap()),
        ("xz", STANDARD.decode(XZ).unwrap()),
    ] {
        assert!(Archive::begins(&bytes[..bytes.len().min(512)]), "{name}");
        let archive = open(&bytes).unwrap().unwrap();
        assert_eq!(listing(archive.tree()), ["d/f 5"], "{name}");
        assert_eq!(read(&archive, "d/f"), b"hello", "{name}");
        let meta = &archive.tree().get(&"d/f".parse().unwrap()).unwrap().meta;
        assert_eq!((meta.mode, meta.uid, meta.gid), (0o640, 7, 8), "{name}");
    }
}

#[test]
fn other_files_are_none() {
    let gzip = gzipped(b"no archive at all");
    for bytes in [
        &b""[..],
        b"FROM scratch\n",
        &[0; 10240],
        &gzip,
        &[0x1f, 0x8b, 8, 1, 2, 3],
        b"BZh9 is how this text begins",
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        &[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0],
    ] {
        assert!(open(bytes).unwrap().is_none(), "{bytes:?}");
    }
    for bytes in [&b""[..], b"FROM scratch\n", &[0; 512]] {
        assert!(!Archive::begins(bytes), "{bytes:?}");
    }
}

#[test]
fn names_and_links() {
    let bytes = tar(&[
        ("/abs", "1"),
        ("./a/../b", "2"),
        ("out", "-> /etc"),
        ("out/x", "3"),
        ("hard", "== b"),
    ]);
    let archive = open(&bytes).unwrap().unwrap();
    let expected = ["abs 1", "b 1", "etc/x 1", "hard == b", "out -> /etc"];
    assert_eq!(listing(archive.tree()), expected);
    assert_eq!(read(&archive, "hard"), b"2");
}

#[test]
fn a_hard_link_says_of_its_file() {
    let bytes = tar(&[
        ("f 600", "1"),
        ("a 644", "== f"),
        ("b 711", "== a"),
        ("there 640", "== beneath"),
        ("more 755", "== ./x/../there"),
        ("l 777", "-> f"),
        ("same 600", "== l"),
    ]);
    let archive = open(&bytes).unwrap().unwrap();
    let modes: Vec<_> = archive
        .tree()
        .iter()
        .map(|e| format!("{} {:o}", e.path, e.meta.mode))
        .collect();
    let expected = [
        "a 711",
        "b 711",
        "f 711",
        "l 777",
        "more 755",
        "same 777",
        "there 755",
    ];
    assert_eq!(modes, expected);
}

#[test]
fn refused() {
    let whole = tar(&[("first", "1"), ("second", "2")]);
    let mut bent = whole.clone();
    bent[1024 + 3] ^= 1;
    let gzip = gzipped(&whole);
    let mut bent_gzip = gzip.clone();
    bent_gzip[gzip.len() - 8] ^= 1;
    for (name, bytes, said) in [
        (
            "..",
            tar(&[("ok", ""), ("../up", "")]),
            "`../up` leads out of the archive",
        ),
        (
            "whiteout",
            tar(&[("k/.wh.x", "")]),
            "`k/.wh.x` begins with `.wh.`",
        ),
        (
            "opaque",
            tar(&[("k/.wh..wh..opq", "")]),
            "begins with `.wh.`",
        ),
        (
            "link",
            tar(&[("h", "== ../../etc/passwd")]),
            "a hard link to `../../etc/passwd`",
        ),
        ("cut", whole[..600].to_vec(), "ends"),
        ("bent", bent, "checksum"),
        ("cut gzip", gzip[..gzip.len() - 1].to_vec(), "end of file"),
        ("bent gzip", bent_gzip.clone(), "checksum"),
        (
            "bent second member",
            [gzipped(b""), bent_gzip].concat(),
            "checksum",
        ),
        ("wide", STANDARD.decode(XZ_WIDE).unwrap(), "memory"),
    ] {
        let error = open(&bytes).map(|found| found.is_some()).unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(e) = cause {
            text += &format!(": {e}");
            cause = e.source();
        }
        assert!(text.contains(said), "{name}: {text}");
    }
}

#[test]
fn limits_hold() {
    let bytes = tar(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    let error = Archive::read(&bytes[..], tempfile::tempfile().unwrap(), &limits).unwrap_err();
    assert!(error.to_string().contains("more than 2 entries"), "{error}");
}
