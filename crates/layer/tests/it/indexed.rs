//! Blobs whose files can be fetched one at a time: what others read, what is found in them, and what
//! is refused.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    process::{Command, Stdio},
};

use expect_test::expect;
use kiln_image::{Digest, media::Compression};
use kiln_layer::{
    ErrorKind, Files, InMemory, Kind, LayerPath, Nothing, apply, decompress,
    indexed::{
        self, CHUNKED_CHECKSUM, CHUNKED_POSITION, CHUNKED_TARSPLIT, Contents, ESTARGZ_SIZE,
        ESTARGZ_TOC, Indexed, Layout,
    },
};
use proptest::prelude::*;

use crate::support::{dir, everything, files, listing, meta, packed, path, read};

const LAYOUTS: [Layout; 2] = [Layout::EStargz, Layout::ZstdChunked];

/// One of everything that a table of contents can say, and two large files.
fn tree() -> InMemory {
    let mut all = InMemory::new();
    let every = everything();
    for entry in every.tree().iter() {
        if std::str::from_utf8(entry.path.as_bytes()).is_err() {
            continue;
        }
        match entry.file() {
            Some(_) => {
                let name = entry.path.to_string();
                all.file(entry.path.clone(), entry.meta.clone(), read(&every, &name));
            }
            None => all.entry(entry.clone()),
        }
    }
    all.entry(dir("big"));
    all.file(path("big/exact"), meta(0o644), sample(2 << 20, 1));
    all.file(path("big/odd"), meta(0o644), sample((3 << 20) + 77, 2));
    all.file(path("big/zeros"), meta(0o644), vec![0; (1 << 20) + 1]);
    all.entry(kiln_layer::Entry::whiteout(path("gone")));
    all
}

fn sample(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(len + 16);
    while out.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        out.extend_from_slice(format!("word-{} ", (state >> 33) % 5000).as_bytes());
    }
    out.truncate(len);
    out
}

fn index(tar: &[u8], layout: Layout, threads: usize) -> (Vec<u8>, Indexed) {
    let mut blob = Vec::new();
    let done = indexed::compress(threads, &mut &tar[..], &mut blob, layout, None).unwrap();
    assert_eq!(done.packed.size, blob.len() as u64);
    assert_eq!(done.packed.digest, Digest::sha256(&blob));
    (blob, done)
}

fn plain(blob: &[u8]) -> (Compression, Vec<u8>) {
    let (kind, mut stream) = decompress(blob).unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    (kind, out)
}

fn open<'a>(blob: &'a [u8], done: &Indexed) -> Contents<&'a [u8]> {
    Contents::open(blob, blob.len() as u64, &done.annotations).unwrap()
}

#[test]
fn an_ordinary_reader_sees_an_ordinary_layer() {
    let files = tree();
    let (tar, made) = packed(&files);
    for layout in LAYOUTS {
        let (blob, done) = index(&tar, layout, 2);
        let (kind, inside) = plain(&blob);
        assert_eq!(kind, layout.compression());
        assert_eq!(done.source, made.diff_id);
        assert_eq!(done.diff_id, Digest::sha256(&inside));
        assert_eq!(done.size, inside.len() as u64);
        let applied = apply(&inside[..], &mut Nothing).unwrap();
        let mut seen = listing(&applied.tree);
        match layout {
            Layout::ZstdChunked => assert!(inside == tar, "the tar is another one"),
            Layout::EStargz => {
                seen.retain(|l| {
                    !l.starts_with("stargz.index.json ") && l != ".no.prefetch.landmark 1"
                });
                assert_eq!(seen.len() + 2, applied.tree.iter().count());
            }
        }
        assert_eq!(seen, listing(&made.tree));
    }
}

#[test]
fn each_file_can_be_had_alone() {
    let files = tree();
    let (tar, made) = packed(&files);
    for layout in LAYOUTS {
        let (blob, done) = index(&tar, layout, 3);
        let contents = open(&blob, &done);
        assert_eq!(contents.layout(), layout);
        let mut found = 0;
        for entry in made.tree.iter() {
            let p = match &entry.kind {
                Kind::Whiteout => path(".wh.gone"),
                _ => entry.path.clone(),
            };
            let item = contents.get(&p).unwrap_or_else(|| panic!("{p} is missing"));
            found += 1;
            if entry.is_whiteout() {
                continue;
            }
            match (&item.entry.kind, &entry.kind) {
                (Kind::File(one), Kind::File(other)) => {
                    let mut bytes = Vec::new();
                    contents.read(&p).unwrap().read_to_end(&mut bytes).unwrap();
                    assert!(bytes == read(&files, &p.to_string()), "{layout:?} {p}");
                    assert_eq!(one.size, other.size);
                    let digest = (one.size > 0).then(|| Digest::sha256(&bytes));
                    assert_eq!(item.digest, digest);
                }
                (one, other) => assert_eq!(one, other),
            }
            // A hard link says of itself only where it leads.
            assert_eq!(item.entry.meta, entry.meta, "{layout:?} {p}");
        }
        let more = if layout == Layout::EStargz { 1 } else { 0 };
        assert_eq!(contents.iter().count(), found + more);
        // Through a hard link, and not through what is not a file.
        let mut bytes = Vec::new();
        contents
            .read(&path("c"))
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, b"content of a");
        let refused = contents.read(&path("big")).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let missing = contents.read(&path("nowhere")).err().unwrap();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}

/// A blob that tells which of its bytes were asked for.
struct Asked<'a> {
    blob: &'a [u8],
    ranges: std::cell::RefCell<Vec<(u64, u64)>>,
}

impl indexed::ReadAt for Asked<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let range = (offset, buffer.len() as u64);
        self.ranges.borrow_mut().push(range);
        self.blob.read_at(offset, buffer)
    }
}

#[test]
fn one_file_is_a_part_of_the_blob() {
    let mut files = tree();
    files.file(path("zz-noise"), meta(0o644), noise(4 << 20));
    let (tar, _) = packed(&files);
    for layout in LAYOUTS {
        let (blob, done) = index(&tar, layout, 2);
        let asked = Asked {
            blob: &blob,
            ranges: Default::default(),
        };
        let contents = Contents::open(&asked, blob.len() as u64, &done.annotations).unwrap();
        let mut bytes = Vec::new();
        contents
            .read(&path("a"))
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, b"content of a");
        let read: u64 = asked.ranges.borrow().iter().map(|r| r.1).sum();
        assert!(read < 100_000, "{layout:?}: {read} of {} bytes", blob.len());
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn the_bytes_are_a_promise() {
    let (tar, _) = packed(&tree());
    let lines = LAYOUTS.map(|layout| {
        let (one, done) = index(&tar, layout, 1);
        for threads in [3, 16] {
            let (other, _) = index(&tar, layout, threads);
            assert!(one == other, "{layout:?} with {threads} threads");
        }
        format!(
            "{} {} {}\n",
            done.packed.compressor, done.packed.level, done.packed.digest
        )
    });
    expect![[r#"
        kiln-estargz/1 6 sha256:d0a5e6e6674a4c8c8cfdd009efa79e770ba44d2f746d841b569f339b6c2d0948
        kiln-zstd-chunked/1 3 sha256:682371d3cc1e8fd5b8f972ee90f934f52b483b849f8aff0d3778725743341412
    "#]].assert_eq(&lines.concat());
}

/// Gives a few bytes at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(977);
        self.0.read(&mut buffer[..n])
    }
}

#[test]
fn the_bytes_do_not_depend_on_how_the_tar_comes() {
    let (tar, _) = packed(&tree());
    for layout in LAYOUTS {
        let (one, _) = index(&tar, layout, 2);
        let mut other = Vec::new();
        indexed::compress(2, &mut Slow(&tar), &mut other, layout, None).unwrap();
        assert!(one == other, "{layout:?}");
    }
}

/// The layout of `estargz.md`: where gzip members begin, the table's place, the footer.
#[test]
fn estargz_is_laid_out_as_it_says() {
    let (tar, _) = packed(&tree());
    let (blob, done) = index(&tar, Layout::EStargz, 2);
    let footer = &blob[blob.len() - 51..];
    assert_eq!(
        &footer[..16],
        b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0"
    );
    assert_eq!(&footer[32..38], b"STARGZ");
    let place = std::str::from_utf8(&footer[16..32]).unwrap();
    let place = usize::from_str_radix(place, 16).unwrap();
    let (_, last) = plain(&blob[place..]);
    assert_eq!(&last[..17], b"stargz.index.json");
    assert!(last[last.len() - 1024..].iter().all(|b| *b == 0));
    let len = usize::from_str_radix(std::str::from_utf8(&last[124..135]).unwrap(), 8).unwrap();
    let json = &last[512..512 + len];
    assert_eq!(
        done.annotations[ESTARGZ_TOC],
        Digest::sha256(json).to_string()
    );
    assert_eq!(done.annotations[ESTARGZ_SIZE], done.size.to_string());
    assert_eq!(done.annotations.len(), 2);
    let toc: serde_json::Value = serde_json::from_slice(json).unwrap();
    assert_eq!(toc["version"], 1);
    let entries = toc["entries"].as_array().unwrap();
    assert_eq!(entries[0]["name"], ".no.prefetch.landmark");
    let mut offsets = std::collections::BTreeSet::new();
    for entry in entries {
        let kind = entry["type"].as_str().unwrap();
        let has_content = kind == "chunk" || (kind == "reg" && entry["size"].is_u64());
        assert_eq!(entry["offset"].is_u64(), has_content, "{entry}");
        assert_eq!(entry["chunkDigest"].is_string(), has_content, "{entry}");
        if has_content {
            let offset = entry["offset"].as_u64().unwrap();
            assert!(offsets.insert(offset), "twice: {entry}");
            assert_eq!(&blob[offset as usize..][..2], b"\x1f\x8b", "{entry}");
        }
    }
    let odd: Vec<_> = entries.iter().filter(|e| e["name"] == "big/odd").collect();
    let sizes: Vec<_> = odd.iter().map(|e| e["chunkSize"].as_u64()).collect();
    assert_eq!(sizes, [Some(1 << 20), Some(1 << 20), Some(1 << 20), None]);
    assert_eq!(odd[0]["type"], "reg");
    assert_eq!(odd[3]["chunkOffset"], 3 << 20);
}

/// The layout of containers/storage: three skippable frames, the annotations, the footer; and a
/// tar-split that gives the tar again.
#[test]
fn zstd_chunked_is_laid_out_as_it_says() {
    let files = tree();
    let (tar, _) = packed(&files);
    let (blob, done) = index(&tar, Layout::ZstdChunked, 2);
    let numbers = |key: &str| -> Vec<usize> {
        let numbers = done.annotations[key].split(':');
        numbers.map(|n| n.parse().unwrap()).collect()
    };
    assert_eq!(done.annotations.len(), 3);
    let toc = numbers(CHUNKED_POSITION);
    let split = numbers(CHUNKED_TARSPLIT);
    assert_eq!(toc[3], 1);
    let frame = |at: usize, len: usize| {
        assert_eq!(&blob[at - 8..at - 4], b"\x50\x2a\x4d\x18");
        assert_eq!(blob[at - 4..at], u32::try_from(len).unwrap().to_le_bytes());
        &blob[at..at + len]
    };
    let packed_toc = frame(toc[0], toc[1]);
    assert_eq!(
        done.annotations[CHUNKED_CHECKSUM],
        Digest::sha256(packed_toc).to_string()
    );
    let packed_split = frame(split[0], split[1]);
    assert_eq!(toc[0] + toc[1] + 8, split[0]);
    let footer = frame(blob.len() - 64, 64);
    assert_eq!(split[0] + split[1] + 72, blob.len());
    let stated: Vec<usize> = footer[..56]
        .chunks(8)
        .map(|n| u64::from_le_bytes(n.try_into().unwrap()) as usize)
        .collect();
    assert_eq!(
        stated,
        [toc[0], toc[1], toc[2], 1, split[0], split[1], split[2]]
    );
    assert_eq!(&footer[56..], b"GNUlInUx");

    let (_, json) = plain(packed_toc);
    assert_eq!(json.len(), toc[2]);
    let toc: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        toc["tarSplitDigest"],
        Digest::sha256(packed_split).to_string()
    );
    for entry in toc["entries"].as_array().unwrap() {
        if entry["type"] == "reg" && entry["size"].is_u64() {
            let (from, to) = (&entry["offset"], &entry["endOffset"]);
            let (from, to) = (
                from.as_u64().unwrap() as usize,
                to.as_u64().unwrap() as usize,
            );
            let (_, content) = plain(&blob[from..to]);
            assert_eq!(entry["digest"], Digest::sha256(&content).to_string());
        }
    }

    let (_, lines) = plain(packed_split);
    assert_eq!(lines.len(), split[2]);
    let contents = open(&blob, &done);
    let mut again = Vec::new();
    for (i, line) in String::from_utf8(lines).unwrap().lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["position"], i);
        if line["type"] == 2 {
            let segment = line["payload"].as_str().unwrap();
            again.extend_from_slice(&unbase(segment));
        } else if line["size"].is_u64() {
            let name: LayerPath = line["name"].as_str().unwrap().parse().unwrap();
            contents
                .read(&name)
                .unwrap()
                .read_to_end(&mut again)
                .unwrap();
        }
    }
    assert!(again == tar, "the tar-split gives another tar");
}

fn unbase(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits: Vec<u8> = four
            .iter()
            .filter(|c| **c != b'=')
            .map(|c| value(*c))
            .collect();
        let bits = digits.iter().fold(0u32, |n, d| n << 6 | u32::from(*d));
        let bits = bits << (6 * (4 - digits.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..digits.len()]);
    }
    out
}

#[test]
fn the_programs_of_others_read_them() {
    let (tar, _) = packed(&tree());
    let python =
        "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    for (layout, program, args) in [
        (Layout::EStargz, "gzip", vec!["-dc"]),
        (Layout::EStargz, "pigz", vec!["-dc"]),
        (Layout::EStargz, "python3", vec!["-c", python]),
        (Layout::ZstdChunked, "zstd", vec!["-dc", "--memory=8MB"]),
    ] {
        let (blob, done) = index(&tar, layout, 2);
        let child = Command::new(program)
            .args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("not run: `{program}` cannot be started");
            continue;
        };
        let mut stdin = child.stdin.take().unwrap();
        let feed = std::thread::spawn(move || stdin.write_all(&blob).unwrap());
        let out = child.wait_with_output().unwrap();
        feed.join().unwrap();
        assert!(out.status.success(), "{program}");
        assert_eq!(Digest::sha256(&out.stdout), done.diff_id, "{program}");
    }
}

/// A tar as GNU tar writes it, with `./` before the names, twice its folder, and zeros at the end.
#[test]
fn a_foreign_tar_keeps_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("in/sub")).unwrap();
    std::fs::write(folder.path().join("in/sub/file"), "text").unwrap();
    std::fs::write(folder.path().join("in").join("long-".repeat(40)), "long").unwrap();
    for format in ["gnu", "pax", "ustar", "v7"] {
        let args = ["-c", "-f", "out.tar", "--format", format, "-C", "in", "."];
        let args: Vec<&str> = match format {
            "ustar" | "v7" => vec![
                "-c", "-f", "out.tar", "--format", format, "-C", "in", "./sub",
            ],
            _ => args.to_vec(),
        };
        if crate::support::run("tar", &args, folder.path()).is_none() {
            return;
        }
        let tar = std::fs::read(folder.path().join("out.tar")).unwrap();
        for layout in LAYOUTS {
            let (blob, done) = index(&tar, layout, 2);
            let contents = open(&blob, &done);
            let mut bytes = Vec::new();
            contents
                .read(&path("sub/file"))
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            assert_eq!(bytes, b"text", "{format}");
            if layout == Layout::ZstdChunked {
                assert!(plain(&blob).1 == tar, "{format}");
            }
        }
    }
}

#[test]
fn an_estargz_blob_is_made_anew_of_its_tar() {
    let (tar, _) = packed(&tree());
    let (blob, done) = index(&tar, Layout::EStargz, 2);
    let (again, twice) = index(&plain(&blob).1, Layout::EStargz, 2);
    assert_eq!(twice.diff_id, done.diff_id);
    assert!(again == blob);
}

#[test]
fn what_the_table_cannot_say_is_refused() {
    let refused = |tar: &[u8]| {
        LAYOUTS.map(|layout| {
            let done = indexed::compress(2, &mut &tar[..], &mut Vec::new(), layout, None);
            let e = done.err().unwrap();
            assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
            assert!(e.hint_text().is_some_and(|h| h.contains("gzip")), "{e}");
            e.to_string()
        })
    };
    let mut odd = files(&[]);
    odd.file(LayerPath::parse(b"a-\xff").unwrap(), meta(0o644), "x");
    let said = refused(&packed(&odd).0);
    assert!(said[0].contains("not UTF-8"), "{said:?}");

    let (one, _) = packed(&files(&["a = 1"]));
    let twice = [&one[..1024], &one[..]].concat();
    let said = refused(&twice);
    assert!(said[0].contains("two entries"), "{said:?}");
    assert!(said[0].contains("`a`"), "{said:?}");

    let mut late = files(&[]);
    let mut after = meta(0o644);
    after.mtime.seconds = 300_000_000_000;
    late.file(path("late"), after, "x");
    let said = refused(&packed(&late).0);
    assert!(said[0].contains("years"), "{said:?}");
}

#[test]
fn levels() {
    let (tar, _) = packed(&files(&["a = text text text text"]));
    for (layout, level, good) in [
        (Layout::EStargz, 0, true),
        (Layout::EStargz, 9, true),
        (Layout::EStargz, 10, false),
        (Layout::EStargz, -1, false),
        (Layout::ZstdChunked, 1, true),
        (Layout::ZstdChunked, 19, true),
        (Layout::ZstdChunked, 0, false),
        (Layout::ZstdChunked, 20, false),
    ] {
        let mut blob = Vec::new();
        let done = indexed::compress(1, &mut &tar[..], &mut blob, layout, Some(level));
        match done {
            Ok(done) => {
                assert!(good, "{layout:?} {level}");
                assert_eq!(done.packed.level, level);
                assert_eq!(Digest::sha256(&plain(&blob).1), done.diff_id);
            }
            Err(e) => {
                assert!(!good, "{layout:?} {level}: {e}");
                assert_eq!(e.kind(), ErrorKind::Invalid);
                assert!(e.hint_text().unwrap().contains("levels are"));
            }
        }
    }
}

/// Every byte of a blob that was changed is noticed by whoever reads, or does not matter.
#[test]
fn damage_is_noticed() {
    let (tar, made) = packed(&files(&[
        "a = some text",
        "b/",
        "b/c = other text",
        "d -> a",
    ]));
    for layout in LAYOUTS {
        let (blob, done) = index(&tar, layout, 1);
        for at in 0..blob.len() {
            let mut bad = blob.clone();
            bad[at] ^= 0x41;
            let Ok(contents) = Contents::open(&bad[..], bad.len() as u64, &done.annotations) else {
                continue;
            };
            for entry in made.tree.iter().filter(|e| e.file().is_some()) {
                let mut bytes = Vec::new();
                let mut content = contents.read(&entry.path).unwrap();
                if content.read_to_end(&mut bytes).is_ok() {
                    let expected = contents.get(&entry.path).unwrap().digest;
                    assert_eq!(Some(Digest::sha256(&bytes)), expected);
                }
            }
        }
    }
}

/// A table of contents of somebody who lies; the digest is right.
#[test]
fn a_hostile_table_is_refused() {
    let file = |place: &str| format!("{{\"type\":\"reg\",\"name\":\"f\",\"size\":9,{place}}}");
    let digest = Digest::sha256(b"x").to_string();
    let good = format!("\"offset\":1,\"endOffset\":9,\"digest\":\"{digest}\"");
    let first = format!("{good},\"chunkDigest\":\"{digest}\"");
    let cases: Vec<(&str, String)> = vec![
        ("..", "{\"type\":\"dir\",\"name\":\"../up\"}".into()),
        ("..", "{\"type\":\"dir\",\"name\":\"a/../../up\"}".into()),
        (
            "outside",
            file(&format!("\"offset\":99999999,\"digest\":\"{digest}\"")),
        ),
        (
            "outside",
            file(&format!(
                "\"offset\":18446744073709551615,\"digest\":\"{digest}\""
            )),
        ),
        ("no digest", file("\"offset\":1,\"endOffset\":9")),
        ("a digest", file("\"offset\":1,\"digest\":\"sha256:abc\"")),
        ("another length", file(&format!("{good},\"chunkSize\":10"))),
        (
            "follow each other",
            file(&format!("{good},\"chunkOffset\":3")),
        ),
        (
            "follow each other",
            format!(
                "{},{{\"type\":\"chunk\",\"name\":\"f\",\"offset\":3,\"chunkOffset\":9}}",
                file(&first)
            ),
        ),
        (
            "follow each other",
            format!(
                "{},{{\"type\":\"chunk\",\"name\":\"f\",\"offset\":3,\"chunkOffset\":0}}",
                file(&first)
            ),
        ),
        (
            "no digest",
            format!(
                "{},{{\"type\":\"chunk\",\"name\":\"f\",\"offset\":3,\"chunkOffset\":4}}",
                file(&good)
            ),
        ),
        (
            "not a file",
            "{\"type\":\"dir\",\"name\":\"d\"},{\"type\":\"chunk\",\"name\":\"d\"}".into(),
        ),
        ("kind `chunk`", "{\"type\":\"chunk\",\"name\":\"d\"}".into()),
        ("kind `door`", "{\"type\":\"door\",\"name\":\"d\"}".into()),
        (
            "the id",
            "{\"type\":\"dir\",\"name\":\"d\",\"uid\":4294967295}".into(),
        ),
        (
            "the id",
            "{\"type\":\"dir\",\"name\":\"d\",\"gid\":-1}".into(),
        ),
        (
            "the time",
            "{\"type\":\"dir\",\"name\":\"d\",\"modtime\":\"yesterday\"}".into(),
        ),
        (
            "base 64",
            "{\"type\":\"dir\",\"name\":\"d\",\"xattrs\":{\"user.a\":\"%\"}}".into(),
        ),
        ("several files", file(&format!("{good},\"innerOffset\":5"))),
        (
            "..",
            "{\"type\":\"hardlink\",\"name\":\"d\",\"linkName\":\"../x\"}".into(),
        ),
        ("what it should be", "{\"type\":5}".into()),
    ];
    for (why, entries) in cases {
        let e = opened(&format!("{{\"version\":1,\"entries\":[{entries}]}}")).unwrap_err();
        let causes = format!("{e} {:?}", std::error::Error::source(&e));
        assert!(causes.contains(why), "{entries}: {causes}");
    }
    let e = opened("{\"version\":2,\"entries\":[]}").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    opened(&format!("{{\"version\":1,\"entries\":[{}]}}", file(&good))).unwrap();
}

/// A zstd:chunked blob that has this table of contents: how many entries are found.
fn opened(json: &str) -> Result<usize, kiln_layer::Error> {
    let packed = zstd::encode_all(json.as_bytes(), 1).unwrap();
    let mut blob = vec![0; 100];
    blob.extend_from_slice(&packed);
    let place = format!("100:{}:{}:1", packed.len(), json.len());
    let checksum = Digest::sha256(&packed).to_string();
    let annotations = BTreeMap::from([
        (CHUNKED_CHECKSUM.to_owned(), checksum),
        (CHUNKED_POSITION.to_owned(), place),
    ]);
    let contents = Contents::open(&blob[..], blob.len() as u64, &annotations)?;
    Ok(contents.iter().count())
}

/// What the annotations and the footer may claim.
#[test]
fn a_hostile_place_is_refused() {
    let (tar, _) = packed(&files(&["a = text"]));
    let (blob, done) = index(&tar, Layout::ZstdChunked, 1);
    let size = blob.len() as u64;
    let with = |key: &str, value: &str| {
        let mut annotations = done.annotations.clone();
        annotations.insert(key.to_owned(), value.to_owned());
        Contents::open(&blob[..], size, &annotations).map(|c| c.iter().count())
    };
    for place in [
        "",
        "1",
        "1:2:3",
        "1:2:3:1:5",
        "-1:2:3:1",
        "a:b:c:d",
        "99999999:10:10:1",
        "10:99999999:10:1",
        "18446744073709551615:18446744073709551615:1:1",
        "0:0:0:1",
        "10:20:30:2",
        "10:20:30:1",
    ] {
        assert!(with(CHUNKED_POSITION, place).is_err(), "{place}");
    }
    let e = with(ESTARGZ_TOC, "sha256:00").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Refused);
    let other = Digest::sha256(b"other").to_string();
    let e = with(CHUNKED_CHECKSUM, &other).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Changed);
    // Without the annotation the footer says the place.
    let mut bare = done.annotations.clone();
    bare.remove(CHUNKED_POSITION);
    assert_eq!(
        Contents::open(&blob[..], size, &bare)
            .unwrap()
            .iter()
            .count(),
        1
    );
    let none = Contents::open(&blob[..], size, &BTreeMap::new())
        .err()
        .unwrap();
    assert_eq!(none.kind(), ErrorKind::NotFound);

    let (mut blob, done) = index(&tar, Layout::EStargz, 1);
    let at = blob.len() - 35;
    for place in [
        "ffffffffffffffff",
        "0000000000000000",
        "zzzzzzzzzzzzzzzz",
        "0000000000ffffff",
    ] {
        blob[at..at + 16].copy_from_slice(place.as_bytes());
        assert!(
            Contents::open(&blob[..], blob.len() as u64, &done.annotations).is_err(),
            "{place}"
        );
    }
    for short in 0..60 {
        let cut = &blob[blob.len() - short..];
        assert!(Contents::open(cut, short as u64, &done.annotations).is_err());
    }
}

/// A table that grows beyond all bounds when it is unpacked.
#[test]
fn a_table_that_is_a_bomb_is_refused() {
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..151 {
        packed.write_all(&spaces).unwrap();
    }
    let packed = packed.finish().unwrap();
    let annotations = BTreeMap::from([
        (
            CHUNKED_CHECKSUM.to_owned(),
            Digest::sha256(&packed).to_string(),
        ),
        (
            CHUNKED_POSITION.to_owned(),
            format!("0:{}:10:1", packed.len()),
        ),
    ]);
    let e = Contents::open(&packed[..], packed.len() as u64, &annotations)
        .err()
        .unwrap();
    assert_eq!(e.kind(), ErrorKind::Refused, "{e}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Of any files, any number of threads gives the same bytes, and each file comes out as it went in.
    #[test]
    fn in_and_out(sizes in proptest::collection::vec(prop_oneof![0usize..5_000, 1_000_000usize..1_300_000], 0..5), threads in 1usize..9) {
        let mut all = InMemory::new();
        for (i, size) in sizes.iter().enumerate() {
            all.file(path(&format!("f{i}")), meta(0o644), sample(*size, i as u64));
        }
        let (tar, _) = packed(&all);
        for layout in LAYOUTS {
            let (one, done) = index(&tar, layout, 1);
            let (other, _) = index(&tar, layout, threads);
            prop_assert!(one == other);
            let contents = open(&one, &done);
            for (i, size) in sizes.iter().enumerate() {
                let mut bytes = Vec::new();
                contents.read(&path(&format!("f{i}"))).unwrap().read_to_end(&mut bytes).unwrap();
                prop_assert!(bytes == sample(*size, i as u64));
            }
        }
    }
}

proptest! {
    /// No table of contents makes the reader panic or read outside.
    #[test]
    fn any_table(json in "\\{\"version\":1,\"entries\":\\[(\\{\"type\":\"(reg|chunk|dir)\",\"name\":\"[a./]{0,4}\",\"size\":[0-9]{1,20},\"offset\":[0-9]{1,20},\"chunkOffset\":[0-9]{1,3},\"digest\":\"x?\"\\},?){0,3}\\]\\}") {
        let _ = opened(&json);
    }
}
