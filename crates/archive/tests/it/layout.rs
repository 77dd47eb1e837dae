//! Layouts in folders.

use std::fs;

use kiln_archive::{LayoutDirectory, Reader};
use kiln_image::{ErrorKind, Reference, Select, copy};

use crate::support::{image, take};

#[test]
fn a_layout_is_made_added_to_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/layout");
    let (memory, manifest) = image(&["app:1"]);
    let (one, two): (Reference, Reference) = ("app:1".parse().unwrap(), "b.c/d:2".parse().unwrap());
    let layout = LayoutDirectory::create(&path).unwrap();
    copy(&memory, &layout, &one, &[], &Select::All, &|_| {}).unwrap();
    assert!(layout.images().is_empty());
    layout.add(&manifest).unwrap();
    layout.add(&manifest).unwrap();
    assert_eq!(layout.images().len(), 1);
    let names = [one.clone(), two.clone()];
    let layout = LayoutDirectory::create(&path).unwrap();
    copy(&memory, &layout, &one, &names, &Select::All, &|_| {}).unwrap();
    copy(&memory, &layout, &one, &names, &Select::All, &|_| {}).unwrap();
    drop(layout);
    let layout = LayoutDirectory::open(&path).unwrap();
    assert_eq!(layout.images()[0].names, names);
    assert_eq!(take(&layout, &two).digest, manifest.digest);
    let reader = Reader::open(&path, dir.path()).unwrap();
    assert_eq!(reader.images(), layout.images());
    assert_eq!(take(&reader, &one).digest, manifest.digest);
    let mut files: Vec<String> = fs::read_dir(&path)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, ["blobs", "index.json", "oci-layout"]);
}

#[cfg(unix)]
#[test]
fn what_is_written_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    LayoutDirectory::create(dir.path()).unwrap();
    let mode = fs::metadata(dir.path().join("index.json")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o444, 0o444);
}

#[test]
fn a_folder_that_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let e = LayoutDirectory::open(dir.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    fs::create_dir(dir.path().join("etc")).unwrap();
    let e = Reader::open(dir.path(), dir.path()).unwrap_err();
    assert!(e.hint_text().unwrap().contains("kiln import"), "{e:?}");
    let e = Reader::open(&dir.path().join("absent"), dir.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
}

#[test]
fn a_layout_of_another_age_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    LayoutDirectory::create(dir.path()).unwrap();
    fs::write(
        dir.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    let e = Reader::open(dir.path(), dir.path()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
}

#[test]
fn what_a_killed_writer_left_goes_and_what_another_one_writes_stays() {
    let dir = tempfile::tempdir().unwrap();
    LayoutDirectory::create(dir.path()).unwrap();
    let file = |name: &str, age: u64| {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        file.set_modified(time).unwrap();
        file
    };
    file(".kiln-left", 3600);
    file(".kiln-just-begun", 0);
    file("mine", 3600);
    let held = file(".kiln-held", 3600);
    held.lock().unwrap();
    LayoutDirectory::create(dir.path()).unwrap();
    let there = |name: &str| dir.path().join(name).exists();
    assert!(!there(".kiln-left"));
    assert!(there(".kiln-just-begun") && there(".kiln-held") && there("mine"));
}
