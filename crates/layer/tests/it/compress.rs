//! Compressed layers: the same bytes whatever the threads, and readable by others.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
};

use expect_test::expect;
use kiln_image::media::Compression;
use kiln_layer::{Compressing, Compressor, ErrorKind, compress, compress_with, decompress};
use proptest::prelude::*;

/// Half-compressible bytes that depend on nothing but `seed`.
fn sample(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state % 5000;
        out.extend_from_slice(format!("word-{word} ").as_bytes());
    }
    out.truncate(len);
    out
}

fn compressed(threads: usize, bytes: &[u8], with: Compression) -> Vec<u8> {
    let mut out = Vec::new();
    let done = compress_with(threads, &mut &bytes[..], &mut out, with, None).unwrap();
    assert_eq!(done.size, out.len() as u64);
    assert_eq!(done.digest, kiln_image::Digest::sha256(&out));
    out
}

fn back(bytes: &[u8]) -> (Compression, Vec<u8>) {
    let (kind, mut reader) = decompress(bytes).unwrap();
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    (kind, out)
}

#[test]
fn the_same_bytes_for_any_number_of_threads() {
    let len = 5 * (1 << 20) + 12_345;
    let bytes = sample(len, 7);
    for with in [Compression::Gzip, Compression::Zstd] {
        let one = compressed(1, &bytes, with);
        for threads in [2, 3, 4, 5, 8] {
            for _ in 0..2 {
                assert!(
                    compressed(threads, &bytes, with) == one,
                    "{with:?} {threads}"
                );
            }
        }
        assert_eq!(back(&one), (with, bytes.clone()));
    }
}

#[test]
fn the_bytes_are_a_promise() {
    // Other bytes for the same input are another version of the compressor.
    let digest = |with, len| {
        let mut out = Vec::new();
        let done = compress(&mut &sample(len, 3)[..], &mut out, with, None).unwrap();
        format!("{} {} {}", done.compressor, done.level, done.digest)
    };
    let len = 3 << 20;
    expect![
        "kiln-gzip/1 6 sha256:0aac6a2e19d1abb1c92cc7778c7af4dd38e3fdb561a0c637d94e4094b064f5af"
    ]
    .assert_eq(&digest(Compression::Gzip, len));
    expect![
        "kiln-zstd/2 3 sha256:2dd48cf090bf7f9efbb97c4ebe69fcc7616427052cd58cf39136e4880708fdaf"
    ]
    .assert_eq(&digest(Compression::Zstd, len));
    expect![
        "kiln-gzip/1 6 sha256:ac73670af3abed54ac6fb4695131f4099be9fbe39d6076c5d0264a6bbdae9d83"
    ]
    .assert_eq(&digest(Compression::Gzip, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn compressed_and_decompressed_is_the_same(
        len in prop_oneof![0..4usize, 0..70_000usize, (1usize << 20) - 2..(1 << 20) + 3, 0..3_000_000usize],
        seed: u64,
        threads in 1..9usize,
        piece in 1..100_000usize,
    ) {
        let bytes = sample(len, seed);
        for with in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut out = Vec::new();
            let mut pieces = Pieces(&bytes, piece);
            compress_with(threads, &mut pieces, &mut out, with, None).unwrap();
            prop_assert!(out == compressed(1, &bytes, with), "{:?}", with);
            prop_assert!(back(&out).1 == bytes);
        }
    }
}

/// Gives a few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(self.1).min(buffer.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn other_programs_read_it() {
    let bytes = sample(3_000_000, 11);
    let temp = tempfile::tempdir().unwrap();
    let gzip = compressed(3, &bytes, Compression::Gzip);
    let zstd = compressed(3, &bytes, Compression::Zstd);
    fs::write(temp.path().join("a.gz"), &gzip).unwrap();
    fs::write(temp.path().join("a.zst"), &zstd).unwrap();
    let python = "import sys, zlib; d = zlib.decompressobj(31); \
        sys.stdout.buffer.write(d.decompress(open('a.gz', 'rb').read())); assert d.eof and not d.unused_data";
    for (program, args) in [
        ("gzip", vec!["-dc", "a.gz"]),
        ("python3", vec!["-c", python]),
        ("zstd", vec!["-dc", "--memory=8MB", "a.zst"]),
    ] {
        let out = Command::new(program)
            .args(&args)
            .current_dir(temp.path())
            .stderr(Stdio::inherit())
            .output();
        match out {
            Ok(out) => assert!(out.status.success() && out.stdout == bytes, "{program}"),
            Err(e) => println!("not run: `{program}` cannot be started: {e}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_is_written_decides_not_how(
        len in 0..3_000_000usize,
        seed: u64,
        threads in 0..9usize,
        pieces in prop::collection::vec(1..400_000usize, 1..20),
        flushes: bool,
    ) {
        let bytes = sample(len, seed);
        for with in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let how = Compressing { threads, ..Compressing::new(with) };
            let mut to = Compressor::new(Vec::new(), &how).unwrap();
            let mut left = &bytes[..];
            for piece in pieces.iter().cycle() {
                let (now, rest) = left.split_at(left.len().min(*piece));
                to.write_all(now).unwrap();
                left = rest;
                if flushes {
                    to.flush().unwrap();
                }
                if left.is_empty() {
                    break;
                }
            }
            let (out, done) = to.finish().unwrap();
            prop_assert!(out == compressed(1, &bytes, with), "{:?}", with);
            prop_assert_eq!(done.digest, kiln_image::Digest::sha256(&out));
            prop_assert_eq!(done.size, out.len() as u64);
        }
    }
}

/// What a program makes of a file, in `dir`; `None` when it is not installed.
fn output(program: &str, args: &[&str], dir: &std::path::Path) -> Option<std::process::Output> {
    match Command::new(program).args(args).current_dir(dir).output() {
        Ok(out) => Some(out),
        Err(e) => {
            println!("not run: `{program}` cannot be started: {e}");
            None
        }
    }
}

#[test]
fn every_level_is_read_by_everybody() {
    let bytes = sample(1_200_000, 5);
    let temp = tempfile::tempdir().unwrap();
    let python = "import gzip, sys; sys.stdout.buffer.write(gzip.open('a.gz').read())";
    for level in 0..=9 {
        let mut out = Vec::new();
        compress(&mut &bytes[..], &mut out, Compression::Gzip, Some(level)).unwrap();
        fs::write(temp.path().join("a.gz"), &out).unwrap();
        assert_eq!(back(&out).1, bytes);
        let readers = [
            ("gzip", vec!["-dc", "a.gz"]),
            ("pigz", vec!["-dc", "a.gz"]),
            ("python3", vec!["-c", python]),
        ];
        for (program, args) in readers {
            if let Some(out) = output(program, &args, temp.path()) {
                assert!(
                    out.status.success() && out.stdout == bytes,
                    "{program} {level}"
                );
            }
        }
    }
    for level in [1, 3, 9, 10, 15, 19] {
        let mut out = Vec::new();
        compress(&mut &bytes[..], &mut out, Compression::Zstd, Some(level)).unwrap();
        fs::write(temp.path().join("a.zst"), &out).unwrap();
        assert_eq!(back(&out).1, bytes);
        let args = ["-dc", "--memory=8MB", "a.zst"];
        if let Some(out) = output("zstd", &args, temp.path()) {
            assert!(out.status.success() && out.stdout == bytes, "zstd {level}");
        }
    }
}

#[test]
fn a_larger_window_is_for_those_who_ask() {
    // What comes again after 12 MiB is out of reach of the usual window.
    let one = sample(12 << 20, 21);
    let bytes = [&one[..], &one[..]].concat();
    let with = |window_log| {
        let how = Compressing {
            window_log,
            threads: 2,
            ..Compressing::new(Compression::Zstd)
        };
        let mut to = Compressor::new(Vec::new(), &how)?;
        to.write_all(&bytes).unwrap();
        to.finish()
    };
    let (usual, done) = with(None).unwrap();
    assert_eq!(done.window_log, None);
    let (large, done) = with(Some(25)).unwrap();
    assert_eq!(done.window_log, Some(25));
    assert!(large.len() < usual.len() * 3 / 4);
    assert!(back(&large).1 == bytes);
    let temp = tempfile::tempdir().unwrap();
    for (name, blob, ok) in [("usual", &usual, true), ("large", &large, false)] {
        fs::write(temp.path().join(name), blob).unwrap();
        if let Some(out) = output("zstd", &["-dc", "--memory=8MB", name], temp.path()) {
            assert_eq!(out.status.success(), ok, "{name}");
        }
    }
    for bad in [0, 9, 28, 200] {
        assert_eq!(with(Some(bad)).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn several_members_are_read_to_the_last() {
    let mut gzip = compressed(1, b"one ", Compression::Gzip);
    gzip.extend(compressed(1, b"two", Compression::Gzip));
    assert_eq!(back(&gzip), (Compression::Gzip, b"one two".to_vec()));
    let mut zstd = compressed(1, b"one ", Compression::Zstd);
    zstd.extend(compressed(1, b"two", Compression::Zstd));
    assert_eq!(back(&zstd), (Compression::Zstd, b"one two".to_vec()));
    assert_eq!(back(b"").1, b"");
    assert_eq!(back(b"abc").1, b"abc");
    // A member that is cut is an error, not an end.
    let cut = &gzip[..gzip.len() - 3];
    let (_, mut reader) = decompress(cut).unwrap();
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn levels_and_failures() {
    let e = compress(&mut &b""[..], &mut Vec::new(), Compression::Gzip, Some(10)).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let bytes = sample(9 << 20, 1);
    for with in [Compression::Gzip, Compression::Zstd, Compression::None] {
        assert!(compress_with(2, &mut &bytes[..], &mut Full, with, None).is_err());
    }
}
