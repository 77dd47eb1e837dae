//! The store as a sink and a source: whole images, and every way in which they come broken.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use kiln_image::{
    Descriptor, Error, ErrorKind, Location, Memory, Open, Platform, Reference, Select, Sink,
    Source, Taken, copy, media, media::Compression,
};
use kiln_store::Store;

use crate::support::{
    Place, config, count, elsewhere, is_whole, layer, named_image, pull, reference,
};

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

#[test]
fn an_image_goes_in_and_comes_out_as_it_was() {
    for compression in ALL {
        let place = Place::new();
        let store = place.open();
        let (memory, manifest) = elsewhere("app", &["a", "b"], compression);
        assert_eq!(pull(&memory, &store, "app"), manifest);
        let image = store.images().get(&reference("app")).unwrap().unwrap();
        assert_eq!(image.manifest.as_ref(), Some(&manifest));
        assert_eq!((image.layers.len(), image.size), (2, 2));
        for diff_id in &image.layers {
            assert!(
                store.layers().tree(diff_id).unwrap().is_some(),
                "indexed on the way"
            );
            assert_eq!(store.blobs().has(diff_id), compression == Compression::None);
        }
        is_whole(&store);
        let again = Memory::new();
        let name = reference("app");
        let names = [reference("again:1")];
        copy(
            &store.source(),
            &again,
            &name,
            &names,
            &Select::All,
            &|_| {},
        )
        .unwrap();
        assert_eq!(again.resolve(&names[0]).unwrap(), manifest, "byte for byte");
        drop(store);
        assert_eq!(
            count(&place.root(), "tmp") + count(&place.root(), "unsynced"),
            0
        );
    }
}

#[test]
fn a_damaged_tree_is_made_anew_by_the_next_pull() {
    let place = Place::new();
    let (memory, _) = elsewhere("app", &["a"], Compression::Gzip);
    pull(&memory, &place.open(), "app");
    let trees = place.root().join("trees");
    for tree in std::fs::read_dir(&trees).unwrap() {
        std::fs::write(tree.unwrap().path(), "damaged").unwrap();
    }
    let store = place.open();
    let layers = store
        .images()
        .get(&reference("app"))
        .unwrap()
        .unwrap()
        .layers;
    let e = store.layers().tree(&layers[0]).unwrap_err();
    assert!(
        e.hint_text().unwrap().contains("pull the image again"),
        "{e}"
    );
    pull(&memory, &store, "app");
    assert!(store.layers().tree(&layers[0]).unwrap().is_some());
}

#[test]
fn what_is_here_is_not_taken_again() {
    let place = Place::new();
    let store = place.open();
    let (memory, _) = elsewhere("app", &["a"], Compression::Gzip);
    pull(&memory, &store, "app");
    let build = store.begin().unwrap();
    let blob = memory_layer(&memory);
    let never: Open<'_> = &|_| panic!("the blob is here");
    let known = [Location {
        registry: "r.example".into(),
        repository: "a/b".into(),
    }];
    let taken = build
        .sink()
        .put_blob(&blob, never, &known, &mut |_| ())
        .unwrap();
    assert_eq!(taken, Taken::Existed);
    assert_eq!(store.source().locations(&blob), known);
}

fn memory_layer(memory: &Memory) -> Descriptor {
    let manifest = memory.resolve(&reference("app")).unwrap();
    let manifest = memory.document(&manifest).unwrap();
    let manifest: kiln_image::Manifest = serde_json::from_slice(&manifest).unwrap();
    manifest.layers[0].clone()
}

#[test]
fn a_blob_whose_layer_was_forgotten_is_indexed_from_disk() {
    let place = Place::new();
    let store = place.open();
    let made = layer("file", b"x");
    let packed = made.packed(Compression::Gzip);
    store.blobs().put(&packed).unwrap();
    let blob = Descriptor::of(media::LAYER_GZIP, &packed);
    let build = store.begin().unwrap();
    let never: Open<'_> = &|_| panic!("the blob is here");
    let taken = build
        .sink()
        .put_blob(&blob, never, &[], &mut |_| ())
        .unwrap();
    assert_eq!(taken, Taken::Existed);
    assert_eq!(
        *store.layers().tree(&made.diff_id).unwrap().unwrap(),
        made.tree
    );
}

/// Gives `step` bytes, then breaks off.
struct Fragile<'a>(&'a [u8]);

impl Read for Fragile<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.is_empty() {
            true => Err(Error::new(ErrorKind::Unreachable, "reach the registry").into()),
            false => self.0.read(buf),
        }
    }
}

#[test]
fn a_stream_that_breaks_off_is_taken_up_again() {
    static PACKED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let made = layer("file", &[7; 10_000]);
    let packed = PACKED.get_or_init(|| made.tar.clone());
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let opened = AtomicU64::new(0);
    let open: Open<'_> = &|from| {
        opened.fetch_add(1, Ordering::Relaxed);
        let rest = &packed[usize::try_from(from).unwrap()..];
        Ok(match rest.len() > 3000 {
            true => Box::new(Fragile(&rest[..3000])),
            false => Box::new(rest),
        })
    };
    let blob = Descriptor::of(media::LAYER, packed);
    let mut last = 0;
    let taken = build
        .sink()
        .put_blob(&blob, open, &[], &mut |n| last = n)
        .unwrap();
    assert_eq!(taken, Taken::Copied);
    assert_eq!(last, packed.len() as u64);
    assert!(opened.load(Ordering::Relaxed) > 3, "{opened:?}");
    assert_eq!(store.blobs().read(&made.diff_id).unwrap(), *packed);
}

fn refused(store: &Store, blob: &Descriptor, open: Open<'_>) -> Error {
    let build = store.begin().unwrap();
    let e = build
        .sink()
        .put_blob(blob, open, &[], &mut |_| ())
        .unwrap_err();
    assert!(!store.blobs().has(&blob.digest));
    e
}

#[test]
fn a_registry_that_is_down_is_given_up_and_named() {
    let place = Place::new();
    let store = place.open();
    let blob = Descriptor::of(media::LAYER_GZIP, b"something");
    let opened = AtomicU64::new(0);
    let e = refused(&store, &blob, &|_| {
        opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Fragile(b"")))
    });
    assert_eq!(e.kind(), ErrorKind::Unreachable);
    assert!(e.to_string().contains("reach the registry"), "{e}");
    assert!((2..10).contains(&opened.load(Ordering::Relaxed)));
}

#[test]
fn broken_blobs_are_refused_for_the_right_reason() {
    let made = layer("file", b"x");
    let packed = made.packed(Compression::Gzip);
    let mut flipped = packed.clone();
    flipped[20] ^= 0xff;
    let good = Descriptor::of(media::LAYER_GZIP, &packed);
    let text = b"<html>please log in</html>".to_vec();
    let as_layer = |bytes: &[u8]| Descriptor::of(media::LAYER_GZIP, bytes);
    let longer = [&packed[..], b"more"].concat();
    for (blob, bytes, kind) in [
        (good.clone(), flipped, ErrorKind::Mismatch),
        (
            good.clone(),
            packed[..packed.len() - 1].to_vec(),
            ErrorKind::Mismatch,
        ),
        (good.clone(), longer, ErrorKind::Mismatch),
        (good, text.clone(), ErrorKind::Mismatch),
        (as_layer(&text), text, ErrorKind::Invalid),
    ] {
        let place = Place::new();
        let store = place.open();
        let e = refused(&store, &blob, &|from| {
            let from = usize::try_from(from).unwrap();
            Ok(Box::new(io::Cursor::new(bytes[from..].to_vec())))
        });
        assert_eq!(e.kind(), kind, "{e}");
        drop(store);
        assert_eq!(
            count(&place.root(), "blobs/sha256") + count(&place.root(), "tmp"),
            0
        );
        is_whole(&place.open());
    }
}

fn name_of(memory: &Memory, manifest: &kiln_image::Manifest) -> Reference {
    let bytes = serde_json::to_vec(manifest).unwrap();
    let descriptor = memory.put(media::MANIFEST, bytes);
    let name = reference("broken");
    memory.name(&descriptor, &name).unwrap();
    name
}

#[test]
fn layers_that_the_config_does_not_name_are_refused() {
    let place = Place::new();
    let store = place.open();
    let memory = Memory::new();
    let (one, two) = (layer("1", b"1"), layer("2", b"2"));
    let blob = memory.put(media::LAYER_GZIP, one.packed(Compression::Gzip));
    for (diff_ids, why) in [
        (vec![two.diff_id], "the config says"),
        (vec![one.diff_id, two.diff_id], "names 2"),
    ] {
        let config = memory.put(media::CONFIG, config(&diff_ids, "").bytes().to_vec());
        let manifest = kiln_image::Manifest::new(config, vec![blob.clone()]);
        let name = name_of(&memory, &manifest);
        let build = store.begin().unwrap();
        let names = [name.clone()];
        let e = copy(&memory, &build.sink(), &name, &names, &Select::All, &|_| {}).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Mismatch);
        assert!(e.to_string().contains(why), "{e}");
    }
    assert_eq!(store.images().list().unwrap(), []);
}

#[test]
fn other_blobs_than_layers_are_kept_as_they_are() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let bytes = b"{\"in-toto\":true}";
    let blob = Descriptor::of("application/vnd.in-toto+json", bytes);
    let open: Open<'_> = &|_| Ok(Box::new(&bytes[..]));
    for expected in [Taken::Copied, Taken::Existed] {
        let taken = build
            .sink()
            .put_blob(&blob, open, &[], &mut |_| ())
            .unwrap();
        assert_eq!(taken, expected);
    }
    assert_eq!(store.blobs().read(&blob.digest).unwrap(), bytes);
    let wrong = build.sink().put_document(&blob, b"other").unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Mismatch);
}

#[test]
fn several_platforms_at_once_are_refused_with_a_hint() {
    let place = Place::new();
    let store = place.open();
    let (memory, manifest) = elsewhere("app", &["a"], Compression::Gzip);
    let entry = Descriptor {
        platform: Some(Platform::host()),
        ..manifest
    };
    let index = kiln_image::Index::new(vec![entry]);
    let index = memory.put(media::INDEX, serde_json::to_vec(&index).unwrap());
    memory.name(&index, &reference("many")).unwrap();
    let build = store.begin().unwrap();
    let (from, names) = (reference("many"), [reference("many")]);
    let e = copy(&memory, &build.sink(), &from, &names, &Select::All, &|_| {}).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.hint_text().unwrap().contains("platform"));
    let one = Select::Platform(Platform::host());
    copy(&memory, &build.sink(), &from, &names, &one, &|_| {}).unwrap();
    build.seal().unwrap();
    assert!(store.images().get(&from).unwrap().is_some());
}

#[test]
fn an_image_that_was_built_here_goes_out_once_it_is_packed() {
    let place = Place::new();
    let store = place.open();
    let image = named_image(&store, "app", "x");
    let e = store.source().resolve(&reference("app")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.hint_text().unwrap().contains("packed"));
    let manifest = store.images().manifest_for(&image, Compression::None);
    let manifest = manifest.unwrap().unwrap();
    store.blobs().put(manifest.bytes()).unwrap();
    let descriptor = manifest.descriptor(media::MANIFEST);
    let view = store.source().giving(reference("app"), descriptor.clone());
    let memory = Memory::new();
    let (name, names) = (reference("app"), [reference("out")]);
    copy(&view, &memory, &name, &names, &Select::All, &|_| {}).unwrap();
    assert_eq!(memory.resolve(&names[0]).unwrap(), descriptor);
}
