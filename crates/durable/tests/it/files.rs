//! Whole or not at all, and errors that name the path.

use std::{fs, io::Write, path::Path, thread};

use kiln_durable::{ErrorKind, NewFile, replace, replace_by, replace_synced, syncfs};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_invisible_until_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it");
    let mut new = NewFile::create_in(dir.path()).unwrap();
    new.write_all(b"half").unwrap();
    assert!(!path.exists());
    drop(new);
    assert!(names(dir.path()).is_empty(), "an abandoned file is removed");
    let mut new = NewFile::create_in(dir.path()).unwrap();
    new.write_all(b"whole").unwrap();
    new.keep_synced(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(names(dir.path()), ["it"]);
}

#[test]
fn readers_see_the_old_bytes_or_the_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("it");
    let (old, new) = (vec![b'a'; 100_000], vec![b'b'; 70_000]);
    replace(&path, &old).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..100 {
                    replace(&path, &new).unwrap();
                    replace(&path, &old).unwrap();
                }
            });
        }
        for _ in 0..400 {
            let seen = fs::read(&path).unwrap();
            assert!(seen == old || seen == new, "saw {} bytes", seen.len());
        }
    });
    assert_eq!(names(dir.path()), ["it"]);
}

#[test]
fn the_temporary_file_lies_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let tmp = dir.path().join("tmp");
    let path = dir.path().join("it");
    let e = replace_by(&tmp, &path, b"x").unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains(tmp.to_str().unwrap()), "{e}");
    fs::create_dir(&tmp).unwrap();
    replace_synced(&tmp, &path, b"x").unwrap();
    assert_eq!(names(dir.path()), ["it", "tmp"]);
    assert!(names(&tmp).is_empty());
    syncfs(dir.path()).unwrap();
}

#[test]
fn a_rename_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("folder");
    fs::create_dir_all(path.join("full")).unwrap();
    let e = replace(&path, b"x").unwrap_err();
    assert_eq!(e.path(), path);
    assert_eq!(names(dir.path()), ["folder"]);
}

/// `/dev/full` answers every write with "no space left on device".
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so_and_names_the_path() {
    let mut full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let io = full.write_all(b"x").unwrap_err();
    let e = kiln_durable::Error::new("write", Path::new("/store/blob"), io);
    assert_eq!(e.kind(), ErrorKind::Full);
    assert_eq!(e.to_string(), "write `/store/blob`: the disk is full");
    let outer = std::io::Error::from(e);
    assert_eq!(outer.kind(), std::io::ErrorKind::StorageFull);
}
