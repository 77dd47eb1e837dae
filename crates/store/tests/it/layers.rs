//! Layers: facts add up, bodies are found in whichever form they are.

use std::io::Read;

use kiln_image::{Descriptor, Digest, Location, media::Compression};
use kiln_layer::{
    LayerPath,
    indexed::{self, Layout},
};
use kiln_store::{Elsewhere, ErrorKind, Facts, Form, PackedAs, Store};

use crate::support::{Made, Place, count, is_whole, layer};

fn content(store: &Store, diff_id: &Digest) -> String {
    let files = store.layers().files(diff_id).unwrap();
    let mut text = String::new();
    let path = LayerPath::parse("etc/file").unwrap();
    files
        .open(&path)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn packed(made: &Made, compression: Compression) -> (Vec<u8>, PackedAs) {
    let bytes = made.packed(compression);
    let descriptor = Descriptor::of(compression.layer_media_type(), &bytes);
    (bytes, PackedAs::foreign(compression, descriptor))
}

#[cfg(unix)]
fn unpack(made: &Made, at: &std::path::Path) {
    use kiln_layer::{Directory, Whiteouts, apply};
    use std::fs;

    fs::create_dir_all(at.join("root")).unwrap();
    let mut target = Directory::new(&at.join("root"), Whiteouts::Overlay).unwrap();
    apply(&made.tar[..], &mut target).unwrap();
}

#[test]
fn what_is_known_adds_up() {
    let place = Place::new();
    let store = place.open();
    let made = layer("etc/file", b"hello");
    let layers = store.layers();
    assert_eq!(layers.get(&made.diff_id).unwrap(), None);
    let e = layers.update(&made.diff_id, |_| ()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    layers.put(&made.diff_id, made.facts(), None).unwrap();
    assert!(
        layers.tree(&made.diff_id).unwrap().is_none(),
        "not seen yet"
    );

    let (gzip, as_gzip) = packed(&made, Compression::Gzip);
    let (_, as_zstd) = packed(&made, Compression::Zstd);
    let location = Elsewhere {
        location: Location {
            registry: "r.example".into(),
            repository: "a/b".into(),
        },
        digest: as_gzip.descriptor.digest,
    };
    for facts in [
        Facts {
            packed: vec![as_gzip.clone()],
            ..Facts::default()
        },
        Facts {
            packed: vec![as_zstd.clone(), as_gzip.clone()],
            ..Facts::default()
        },
        Facts {
            locations: vec![location.clone(); 2],
            ..Facts::default()
        },
    ] {
        layers.put(&made.diff_id, facts, Some(&made.tree)).unwrap();
    }
    let facts = layers.get(&made.diff_id).unwrap().unwrap().facts;
    assert_eq!(facts.packed, [as_gzip.clone(), as_zstd.clone()]);
    assert_eq!(facts.locations, [location]);
    assert_eq!((facts.size, facts.content), (made.tar.len() as u64, 5));
    assert_eq!(facts.dialect, Some(kiln_layer::DIALECT));
    assert_eq!(*layers.tree(&made.diff_id).unwrap().unwrap(), made.tree);

    let known = layers.diff_id_of(&as_zstd.descriptor.digest).unwrap();
    assert_eq!(known, Some(made.diff_id));
    let here = |c| layers.packed(&made.diff_id, c).unwrap();
    assert_eq!(here(Compression::Gzip), None, "known, but not here");
    store.blobs().put(&gzip).unwrap();
    assert_eq!(here(Compression::Gzip), Some(as_gzip));
    assert_eq!(here(Compression::None), None);
    store.blobs().put(&made.tar).unwrap();
    assert_eq!(
        here(Compression::None).unwrap().descriptor.digest,
        made.diff_id
    );
    is_whole(&store);
}

#[test]
fn many_teach_one_layer_at_once() {
    let place = Place::new();
    let made = layer("etc/file", b"hello");
    made.put(&place.open());
    std::thread::scope(|scope| {
        for n in 0..6_u8 {
            let (place, made) = (&place, &made);
            scope.spawn(move || {
                let store = place.open();
                for m in 0..10 {
                    let digest = Digest::sha256(&[n, m]);
                    let location = Location {
                        registry: n.to_string(),
                        repository: m.to_string(),
                    };
                    let fact = Elsewhere { location, digest };
                    let learn = |f: &mut Facts| f.locations.push(fact);
                    store.layers().update(&made.diff_id, learn).unwrap();
                }
            });
        }
    });
    let store = place.open();
    let facts = store.layers().get(&made.diff_id).unwrap().unwrap().facts;
    assert_eq!(facts.locations.len(), 60, "none was lost");
    assert_eq!(
        count(&place.root(), "locks"),
        2,
        "`boot` and `collect` only"
    );
}

#[test]
fn files_of_a_plain_body() {
    let place = Place::new();
    let store = place.open();
    let diff_id = layer("etc/file", b"plain").put(&store);
    assert_eq!(content(&store, &diff_id), "plain");
}

#[test]
fn files_of_a_compressed_blob_are_kept_plain() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let place = Place::new();
        let store = place.open();
        let made = layer("etc/file", b"packed");
        let (bytes, as_packed) = packed(&made, compression);
        store.blobs().put(&bytes).unwrap();
        let facts = Facts {
            packed: vec![as_packed],
            ..made.facts()
        };
        store.layers().put(&made.diff_id, facts, None).unwrap();
        let mut tar = Vec::new();
        let mut stream = store.layers().tar(&made.diff_id).unwrap().unwrap();
        stream.read_to_end(&mut tar).unwrap();
        assert_eq!(tar, made.tar);
        assert!(!store.blobs().has(&made.diff_id));
        assert_eq!(content(&store, &made.diff_id), "packed");
        assert!(store.blobs().has(&made.diff_id));
        assert!(store.layers().tree(&made.diff_id).unwrap().is_some());
        is_whole(&store);
    }
}

#[test]
fn a_blob_of_another_layer_is_refused() {
    let place = Place::new();
    let store = place.open();
    let made = layer("etc/file", b"one");
    let (bytes, as_packed) = packed(&layer("etc/file", b"two"), Compression::Gzip);
    store.blobs().put(&bytes).unwrap();
    let facts = Facts {
        packed: vec![as_packed],
        ..made.facts()
    };
    store.layers().put(&made.diff_id, facts, None).unwrap();
    let e = store.layers().files(&made.diff_id).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::Mismatch);
    assert!(!store.blobs().has(&made.diff_id));
}

#[test]
fn a_layer_without_a_body_says_so() {
    let place = Place::new();
    let store = place.open();
    let made = layer("etc/file", b"x");
    let e = store.layers().files(&made.diff_id).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    let facts = made.facts();
    store
        .layers()
        .put(&made.diff_id, facts, Some(&made.tree))
        .unwrap();
    let e = store.layers().files(&made.diff_id).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains(&made.diff_id.to_string()), "{e}");
    assert!(store.layers().tar(&made.diff_id).unwrap().is_none());
}

#[cfg(unix)]
#[test]
fn an_unpacked_body_is_adopted_whole_and_once() {
    use std::fs;

    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let made = layer("etc/file", b"unpacked");
    let layers = store.layers();
    layers
        .put(&made.diff_id, made.facts(), Some(&made.tree))
        .unwrap();
    assert_eq!(layers.unpacked(&made.diff_id).unwrap(), None);

    let prepared = build.tmp().unwrap().join("body");
    fs::create_dir(&prepared).unwrap();
    let e = layers.adopt(&made.diff_id, &prepared).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Invalid);
    unpack(&made, &prepared);
    fs::write(prepared.join("beside"), "remembered").unwrap();
    let body = layers.adopt(&made.diff_id, &prepared).unwrap();
    assert_eq!(
        layers.unpacked(&made.diff_id).unwrap().as_ref(),
        Some(&body)
    );
    assert!(!prepared.exists());
    assert!(body.folder.join("beside").exists());
    assert_eq!(content(&store, &made.diff_id), "unpacked");
    is_whole(&store);

    unpack(&made, &prepared);
    assert_eq!(layers.adopt(&made.diff_id, &prepared).unwrap(), body);
    assert!(!prepared.exists(), "the second is removed");
    assert!(body.folder.join("beside").exists(), "the first stays");
    assert!(layers.evict(&made.diff_id).unwrap());
    assert!(!layers.evict(&made.diff_id).unwrap());
    assert_eq!(layers.unpacked(&made.diff_id).unwrap(), None);
    drop((build, store));
    assert_eq!(count(&place.root(), "tmp"), 0);
}

/// Which blob is given to whom: the form that was asked for, else what came from elsewhere unless it
/// has to be just that form.
#[test]
fn the_blob_that_will_do() {
    let place = Place::new();
    let store = place.open();
    let made = layer("etc/file", b"hello");
    let layers = store.layers();
    let (gzip, foreign) = packed(&made, Compression::Gzip);
    let (zstd, as_zstd) = packed(&made, Compression::Zstd);
    let ours = PackedAs {
        compressor: "kiln-zstd/1".to_owned(),
        level: Some(3),
        ..as_zstd
    };
    let facts = Facts {
        packed: vec![foreign.clone(), ours.clone()],
        ..made.facts()
    };
    layers.put(&made.diff_id, facts, Some(&made.tree)).unwrap();
    store.blobs().put(&gzip).unwrap();
    store.blobs().put(&zstd).unwrap();
    let form = |compression, level, exact| Form {
        compression,
        layout: None,
        level,
        exact,
    };
    let estargz = Form {
        layout: Some(Layout::EStargz),
        ..form(Compression::Gzip, None, false)
    };
    let just_estargz = Form {
        exact: true,
        ..estargz
    };
    for (asked, expected) in [
        (form(Compression::Gzip, None, false), Some(&foreign)),
        (form(Compression::Gzip, None, true), Some(&foreign)),
        (form(Compression::Gzip, Some(9), false), Some(&foreign)),
        (form(Compression::Gzip, Some(9), true), None),
        (form(Compression::Zstd, None, false), Some(&ours)),
        (form(Compression::Zstd, Some(3), true), Some(&ours)),
        (form(Compression::Zstd, Some(5), true), None),
        (form(Compression::Zstd, Some(5), false), Some(&foreign)),
        (estargz, Some(&foreign)),
        (just_estargz, None),
    ] {
        let found = layers.packed(&made.diff_id, asked).unwrap();
        assert_eq!(found.as_ref(), expected, "{asked:?}");
    }
}

/// A blob with another tar in it is for pushing, and no body of the layer; it knows its own diff id.
#[test]
fn a_blob_with_another_tar_is_no_body() {
    let place = Place::new();
    let store = place.open();
    let made = layer("etc/file", b"hello");
    let layers = store.layers();
    let mut blob = Vec::new();
    let layout = Layout::EStargz;
    let estargz = indexed::compress(1, &mut &made.tar[..], &mut blob, layout, None).unwrap();
    let media_type = Compression::Gzip.layer_media_type();
    let mut descriptor = Descriptor::of(media_type, &blob);
    descriptor.annotations = estargz.annotations;
    let packed = PackedAs {
        compressor: layout.compressor().to_owned(),
        inside: Some(estargz.diff_id),
        ..PackedAs::foreign(Compression::Gzip, descriptor)
    };
    let facts = Facts {
        packed: vec![packed.clone()],
        ..made.facts()
    };
    layers.put(&made.diff_id, facts, Some(&made.tree)).unwrap();
    store.blobs().put(&blob).unwrap();
    assert!(layers.tar(&made.diff_id).unwrap().is_none());
    assert_eq!(
        layers.files(&made.diff_id).err().unwrap().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        layers.packed(&made.diff_id, Compression::Gzip).unwrap(),
        None
    );
    let form = Form {
        layout: Some(layout),
        ..Form::from(Compression::Gzip)
    };
    assert_eq!(
        layers.packed(&made.diff_id, form).unwrap(),
        Some(packed.clone())
    );
    let blob = packed.descriptor.digest;
    assert_eq!(layers.diff_id_of(&blob).unwrap(), Some(estargz.diff_id));
    // What is written down is read again.
    let again = place.open().layers().get(&made.diff_id).unwrap().unwrap();
    assert_eq!(again.facts.packed, [packed]);
    store.blobs().put(&made.tar).unwrap();
    assert!(store.check().unwrap().is_empty());
}
