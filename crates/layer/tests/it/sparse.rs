//! Sparse files of foreign archives: their content, their holes, single reads from a plain tar.
#![cfg(unix)]

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use kiln_layer::{Directory, Files, InMemory, PlainTar, Whiteouts, apply, pack};

use crate::support::{path, read, run};

/// A file of 1 MiB and some, with data at these offsets.
fn with_holes(at: &Path, data: &[u64], len: u64) {
    let mut file = fs::File::create(at).unwrap();
    for offset in data {
        file.seek(SeekFrom::Start(*offset)).unwrap();
        file.write_all(&[b'0' + (offset >> 16) as u8; 4096])
            .unwrap();
    }
    file.set_len(len).unwrap();
}

#[test]
fn all_formats_of_gnu_tar() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("x");
    fs::create_dir(&dir).unwrap();
    let many: Vec<u64> = (0..60).map(|n| n << 16).collect();
    with_holes(&dir.join("end"), &[0, 1 << 18], 1 << 20);
    with_holes(&dir.join("start"), &[1 << 19], (1 << 19) + 4096);
    with_holes(&dir.join("odd"), &[1 << 17], (1 << 20) + 77);
    with_holes(&dir.join("hole"), &[], 1 << 22);
    with_holes(&dir.join("many"), &many, 60 << 16);
    with_holes(
        &dir.join(format!("long-{}", "n".repeat(150))),
        &[0],
        1 << 20,
    );
    fs::write(dir.join("whole"), "no hole").unwrap();
    for format in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let args = [&["-Scf", "a.tar", "-C", "x", "."][..], format].concat();
        if run("tar", &args, temp.path()).is_none() {
            return;
        }
        let tar = fs::read(temp.path().join("a.tar")).unwrap();
        let root = temp.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut target = Directory::new(&root, Whiteouts::Overlay).unwrap();
        let applied = apply(&tar[..], &mut target).unwrap();
        let mut memory = InMemory::new();
        apply(&tar[..], &mut memory).unwrap();
        let opened = fs::File::open(temp.path().join("a.tar")).unwrap();
        let plain = PlainTar::new(opened, Arc::new(applied.tree.clone()));
        let mut sparse = 0;
        for entry in applied.tree.iter() {
            let Some(file) = entry.file() else { continue };
            let name = entry.path.to_string();
            let expected = fs::read(dir.join(&name)).unwrap();
            assert_eq!(file.size, expected.len() as u64, "{format:?} {name}");
            assert!(read(&memory, &name) == expected, "{format:?} {name}");
            assert!(read(&plain, &name) == expected, "{format:?} {name}");
            assert!(fs::read(root.join(&name)).unwrap() == expected);
            let blocks = fs::metadata(root.join(&name)).unwrap().blocks();
            assert!(blocks * 512 <= 60 * 32768, "{name}: {blocks}");
            sparse += u32::from(file.is_sparse());
        }
        assert_eq!(sparse, 6, "{format:?}");
        // One pass in stored order, and packed again without holes.
        let mut seen = 0;
        plain
            .read(&|_| true, &mut |_, _| {
                seen += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, 7);
        let (again, packed) = pack(&plain, Vec::new(), kiln_layer::Times::Keep).unwrap();
        assert!(again.len() > 8 << 20);
        assert!(
            packed
                .tree
                .file(&path("many"))
                .is_some_and(|(_, f)| !f.is_sparse())
        );
        fs::remove_dir_all(&root).unwrap();
    }
}

#[test]
fn runs_of_zeros_take_no_space_and_are_all_there() {
    let temp = tempfile::tempdir().unwrap();
    let mut files = InMemory::new();
    let mut contents = Vec::new();
    for len in [0, 1, 32767, 32768, 32769, 131_072, 131_073, 400_000] {
        for ends in [&b""[..], b"x"] {
            let zeros = vec![0; len];
            contents.push([ends, &zeros, ends, &zeros].concat());
            contents.push([&zeros, ends, &zeros, &zeros, ends].concat());
        }
    }
    contents.push(vec![b'y'; 300_000]);
    for (n, content) in contents.iter().enumerate() {
        files.file(path(&n.to_string()), crate::support::meta(0o600), content);
    }
    let (tar, _) = crate::support::packed(&files);
    let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
    apply(&tar[..], &mut target).unwrap();
    for (n, content) in contents.iter().enumerate() {
        let at = temp.path().join(n.to_string());
        assert!(fs::read(&at).unwrap() == *content, "{n}");
        let blocks = fs::metadata(&at).unwrap().blocks();
        if content.len() > 300_000 {
            assert!(blocks * 512 <= 5 * 32768, "{n}: {blocks}");
        }
    }
}
