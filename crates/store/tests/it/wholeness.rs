//! The check finds every kind of damage, names it, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kiln_image::media::Compression;
use kiln_store::{ImageRecord, Store};

use crate::support::{Place, elsewhere, is_whole, layer, named_image, pull, reference};

struct Full {
    place: Place,
    built: ImageRecord,
    pulled: ImageRecord,
}

/// A store with one of everything.
fn full() -> Full {
    let place = Place::new();
    let store = place.open();
    let built = named_image(&store, "built", "built");
    let (memory, _) = elsewhere("pulled", &["a"], Compression::Gzip);
    pull(&memory, &store, "pulled");
    let pulled = store.images().get(&reference("pulled")).unwrap().unwrap();
    let build = store.begin().unwrap();
    build
        .record("cache/step", built.layers.clone(), b"value".to_vec())
        .unwrap();
    build.seal().unwrap();
    is_whole(&store);
    drop(store);
    Full {
        place,
        built,
        pulled,
    }
}

impl Full {
    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.place.root().join(path)
    }

    /// The problems, as one text.
    fn problems(&self) -> String {
        let problems = self.place.open().check().unwrap();
        let lines = problems.iter().map(|p| format!("{}: {}\n", p.what, p.why));
        lines.collect()
    }
}

fn change(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

fn blob(digest: &kiln_image::Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

#[test]
fn changed_bytes_are_found_wherever_they_are() {
    let full = full();
    let gzip = {
        let store = full.place.open();
        let layer = store.layers().get(&full.pulled.layers[0]).unwrap().unwrap();
        layer.facts.packed[0].descriptor.digest
    };
    let tree = tree_of(&full.place.open(), &full.built);
    for (path, says) in [
        (blob(&full.built.id), format!("blob {}", full.built.id)),
        (blob(&full.built.layers[0]), "another digest".into()),
        (blob(&gzip), format!("layer {}", full.pulled.layers[0])),
        (format!("trees/{}", tree.hex()), format!("tree {tree}")),
        ("refs/cache/step".into(), "root cache/step".into()),
        (
            format!("refs/image/sha256%3a{}", full.built.id.hex()),
            "the file is damaged".into(),
        ),
    ] {
        let path = full.path(&path);
        let good = fs::read(&path).unwrap();
        change(&path);
        let found = full.problems();
        assert!(found.contains(&says), "{}: {found}", path.display());
        fs::write(&path, good).unwrap();
        assert_eq!(full.problems(), "");
    }
}

fn tree_of(store: &Store, image: &ImageRecord) -> kiln_image::Digest {
    let layer = store.layers().get(&image.layers[0]).unwrap().unwrap();
    layer.facts.tree.unwrap()
}

#[test]
fn what_is_missing_is_found() {
    let full = full();
    let diff_id = full.built.layers[0];
    let tree = tree_of(&full.place.open(), &full.built);
    for (path, says) in [
        (
            blob(&full.built.id),
            format!("`{}` is not here", full.built.id),
        ),
        (blob(&diff_id), "has no body here or elsewhere".into()),
        (
            format!("trees/{}", tree.hex()),
            format!("its tree `{tree}` is not here"),
        ),
    ] {
        let path = full.path(&path);
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let found = full.problems();
        assert!(found.contains(&says), "{}: {found}", path.display());
        fs::write(&path, good).unwrap();
        assert_eq!(full.problems(), "");
    }
}

#[test]
fn facts_that_do_not_hold_are_found() {
    let full = full();
    let store = full.place.open();
    let diff_id = full.pulled.layers[0];
    let good = store.layers().get(&diff_id).unwrap().unwrap().facts;
    store
        .layers()
        .update(&diff_id, |f| f.packed[0].descriptor.size += 1)
        .unwrap();
    assert!(full.problems().contains("bytes, not"));
    let other = layer("x", b"other").packed(Compression::Gzip);
    let other = store.blobs().put(&other).unwrap();
    store
        .layers()
        .update(&diff_id, |f| f.packed[0].descriptor.digest = other)
        .unwrap();
    assert!(
        full.problems().contains("when unpacked"),
        "{}",
        full.problems()
    );
    store.layers().update(&diff_id, |f| *f = good).unwrap();
    assert_eq!(full.problems(), "");
    fs::write(full.path(format!("layers/{}", diff_id.hex())), "{").unwrap();
    assert!(full.problems().contains("they are damaged"));
}

#[test]
fn a_root_under_the_name_of_another_is_found() {
    let full = full();
    let from = full.path("refs/cache/step");
    fs::copy(from, full.path("refs/cache/other")).unwrap();
    assert!(full.problems().contains("has the name of another"));
}

#[test]
fn what_no_owner_has_is_found() {
    let full = full();
    let store = full.place.open();
    fs::create_dir(full.path("tmp/0123")).unwrap();
    let problems = store.check().unwrap();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].what, "tmp/0123");
}

/// A layer made here can be packed again from its unpacked body: a change in that is seen.
#[cfg(unix)]
#[test]
fn a_changed_unpacked_body_is_found() {
    use kiln_layer::{Directory, Whiteouts, apply};

    let full = full();
    let store = full.place.open();
    let build = store.begin().unwrap();
    let made = layer("file", b"built");
    let prepared = build.tmp().unwrap().join("body");
    fs::create_dir_all(prepared.join("root")).unwrap();
    let mut target = Directory::new(&prepared.join("root"), Whiteouts::Overlay).unwrap();
    apply(&made.tar[..], &mut target).unwrap();
    let body = store
        .layers()
        .adopt(&full.built.layers[0], &prepared)
        .unwrap();
    assert_eq!(full.problems(), "");
    fs::write(body.root().join("file"), b"BUILT").unwrap();
    assert!(
        full.problems().contains("unpacked layer"),
        "{}",
        full.problems()
    );
    fs::remove_dir_all(body.root()).unwrap();
    assert!(full.problems().contains("no `root`"));
}
