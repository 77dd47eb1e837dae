//! Blobs and trees: verified, whole or not at all.

use std::{fs, io::Write};

use kiln_image::Digest;
use kiln_store::ErrorKind;

use crate::support::{Place, count, layer};

#[test]
fn blobs_come_back() {
    let place = Place::new();
    let store = place.open();
    let blobs = store.blobs();
    let digest = blobs.put(b"hello").unwrap();
    assert_eq!(blobs.put(b"hello").unwrap(), digest);
    assert_eq!(blobs.read(&digest).unwrap(), b"hello");
    assert_eq!(blobs.size(&digest).unwrap(), Some(5));
    let other = Digest::sha256(b"other");
    assert!(!blobs.has(&other));
    assert_eq!(blobs.open(&other).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(blobs.read(&other).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_blob_that_is_not_the_announced_one_never_was() {
    let place = Place::new();
    let store = place.open();
    let expected = (Digest::sha256(b"expected"), 8);
    for (bytes, announced) in [(&b"abc"[..], expected), (b"expected", (expected.0, 9))] {
        let mut writer = store.blobs().create().unwrap();
        writer.write_all(bytes).unwrap();
        let e = writer.finish(Some(announced)).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Mismatch);
        assert!(e.to_string().contains(&expected.0.to_string()), "{e}");
    }
    let mut cut = store.blobs().create_hashed().unwrap();
    cut.write_all(b"expect").unwrap();
    let e = cut.finish(&expected.0, 8).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch);
    let mut writer = store.blobs().create().unwrap();
    writer.write_all(b"abandoned").unwrap();
    drop(writer);
    assert_eq!(count(&place.root(), "blobs/sha256"), 0);
    let mut writer = store.blobs().create().unwrap();
    writer.write_all(b"expected").unwrap();
    assert_eq!(writer.finish(Some(expected)).unwrap(), expected);
    drop(store);
    assert_eq!(count(&place.root(), "tmp"), 0);
}

#[test]
fn documents_are_verified_when_read() {
    let place = Place::new();
    let store = place.open();
    let digest = store.blobs().put(b"document").unwrap();
    fs::write(store.blobs().path(&digest), b"dOcument").unwrap();
    let e = store.blobs().read(&digest).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Damaged);
    assert!(e.to_string().contains(&digest.to_string()));
}

#[test]
fn trees_come_back() {
    let place = Place::new();
    let tree = layer("a/b", b"content").tree;
    let digest = place.open().trees().put(&tree).unwrap();
    assert_eq!(digest, tree.digest());
    let store = place.open();
    assert_eq!(*store.trees().get(&digest).unwrap().unwrap(), tree);
    let none = layer("c", b"").tree.digest();
    assert!(store.trees().get(&none).unwrap().is_none());
    let path = place.root().join("trees").join(digest.hex());
    fs::write(path, b"torn").unwrap();
    let e = place.open().trees().get(&digest).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Damaged);
}

#[test]
fn a_damaged_tree_is_mended_by_who_makes_it_again() {
    let place = Place::new();
    let tree = layer("mended", b"x").tree;
    let digest = place.open().trees().put(&tree).unwrap();
    let path = place.root().join("trees").join(digest.hex());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let store = place.open();
    let damaged = store.trees().get(&digest).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Damaged);
    assert_eq!(store.trees().put(&tree).unwrap(), digest);
    assert_eq!(*store.trees().get(&digest).unwrap().unwrap(), tree);
}

#[test]
fn only_sha256_names_blobs_and_layers() {
    let place = Place::new();
    let store = place.open();
    let blake3 = layer("a", b"").tree.digest();
    assert_eq!(
        store.blobs().size(&blake3).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(
        store.layers().get(&blake3).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}
