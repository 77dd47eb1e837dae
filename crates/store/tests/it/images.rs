//! Images and names, as `docker images`, `rmi` and ids on a command line need them.

use kiln_image::media::Compression;
use kiln_store::{ErrorKind, ImageRecord};

use crate::support::{
    Place, build_image, config, elsewhere, is_whole, layer, named_image, pull, reference,
};

#[test]
fn found_by_name_by_id_and_by_its_beginning() {
    let place = Place::new();
    let store = place.open();
    let image = named_image(&store, "app:1", "one");
    let hex = image.id.hex();
    for (text, by_name) in [
        ("app:1", true),
        ("docker.io/library/app:1", true),
        (&*image.id.to_string(), false),
        (&*hex, false),
        (&hex[..12], false),
        (&format!("sha256:{}", &hex[..7]), false),
    ] {
        let found = store.images().find(text).unwrap();
        assert_eq!(found.image, image, "{text}");
        assert_eq!(found.name.is_some(), by_name, "{text}");
    }
    for (text, kind) in [
        ("app", ErrorKind::NotFound),
        ("app:2", ErrorKind::NotFound),
        ("deadbeef0000", ErrorKind::NotFound),
        ("App", ErrorKind::Invalid),
        ("a b", ErrorKind::Invalid),
    ] {
        let e = store.images().find(text).unwrap_err();
        assert_eq!(e.kind(), kind, "{text}: {e}");
        assert!(e.to_string().contains(text), "{e}");
    }
    assert_eq!(
        store.images().config(&image).unwrap().rootfs.diff_ids,
        image.layers
    );
    assert_eq!(image.created.as_deref(), Some("2001-02-03T04:05:06Z"));
    assert_eq!(image.size, 3);
}

#[test]
fn the_beginning_of_several_ids_is_ambiguous() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let ids: Vec<String> = (0..20)
        .map(|n| build_image(&build, "", &n.to_string()).id.hex())
        .collect();
    build.seal().unwrap();
    // Of twenty ids two begin with the same of sixteen digits.
    let twice = |c: &char| ids.iter().filter(|id| id.starts_with(*c)).count() > 1;
    let first = "0123456789abcdef".chars().find(twice).unwrap();
    let e = store.images().find(&first.to_string()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Ambiguous);
    let whole = ids.iter().find(|id| id.starts_with(first)).unwrap();
    assert!(e.hint_text().unwrap().contains(&whole[..20]));
    assert_eq!(store.images().find(whole).unwrap().image.id.hex(), *whole);
}

#[test]
fn found_by_the_digest_that_it_was_pulled_with() {
    let place = Place::new();
    let store = place.open();
    let (memory, manifest) = elsewhere("r.example/app:1", &["a"], Compression::Gzip);
    pull(&memory, &store, "r.example/app:1");
    let by_digest = format!("r.example/app@{}", manifest.digest);
    let found = store.images().find(&by_digest).unwrap();
    assert_eq!(found.name, Some(reference("r.example/app:1")));
    let other = format!("r.example/other@{}", manifest.digest);
    assert_eq!(
        store.images().find(&other).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    pull(&memory, &store, &by_digest);
    let found = store.images().find(&by_digest).unwrap();
    assert_eq!(found.name, Some(reference(&by_digest)));
    let list = store.images().list().unwrap();
    assert_eq!((list.len(), list[0].names.len()), (1, 2));
}

#[test]
fn an_image_that_loses_its_last_name_dangles() {
    let place = Place::new();
    let store = place.open();
    let old = named_image(&store, "app", "old");
    let build = store.begin().unwrap();
    let new = build_image(&build, "new", "");
    build.name(&reference("app"), &new).unwrap();
    build.name(&reference("app:again"), &new).unwrap();
    let before = build.seal().unwrap();
    assert_eq!(before[0], (reference("app"), Some(old.clone())));
    assert_eq!(before[1], (reference("app:again"), None));

    let list = store.images().list().unwrap();
    let of = |id| list.iter().find(|l| l.image.id == id).unwrap();
    assert!(of(old.id).dangling());
    let names: Vec<String> = of(new.id).names.iter().map(|n| n.name.familiar()).collect();
    assert_eq!(names, ["app:again", "app:latest"]);
    assert!(!of(new.id).dangling());
    assert_eq!(store.images().by_id(&old.id).unwrap(), Some(old.clone()));
    is_whole(&store);

    let removed = store.images().remove_name(&reference("app")).unwrap();
    assert_eq!(removed, Some(new.clone()));
    assert_eq!(store.images().remove_name(&reference("app")).unwrap(), None);
    assert!(store.images().remove(&old.id).unwrap());
    assert!(!store.images().remove(&old.id).unwrap());
    assert!(store.images().remove(&new.id).unwrap());
    assert_eq!(store.images().list().unwrap(), []);
    assert_eq!(store.refs().names("image/").unwrap(), [""; 0]);
}

#[test]
fn what_others_were_built_upon_is_intermediate() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let lower = layer("lower", b"1").put(&store);
    let first = build.put_image(&config(&[lower], ""), None, None).unwrap();
    let upper = layer("upper", b"22").put(&store);
    let both = config(&[lower, upper], "");
    let second = build.put_image(&both, None, Some(first.id)).unwrap();
    build.name(&reference("app"), &second).unwrap();
    build.seal().unwrap();
    let list = store.images().list().unwrap();
    let of = |id| list.iter().find(|l| l.image.id == id).unwrap();
    assert!(of(first.id).intermediate && !of(first.id).dangling());
    assert!(!of(second.id).intermediate);
    assert_eq!(second.size, 3);
    store.images().remove_name(&reference("app")).unwrap();
    // What a handle put stays while it lives.
    drop(store);
    let store = place.open();
    let others = |image: &ImageRecord| image.id != second.id;
    assert_eq!(store.images().prune(&others).unwrap(), []);
    let naming = store.begin().unwrap();
    naming.name(&reference("again"), &second).unwrap();
    assert_eq!(
        store.images().prune(&|_| true).unwrap(),
        [],
        "about to be named"
    );
    drop((naming, store));
    let store = place.open();
    let pruned = store.images().prune(&|_| true).unwrap();
    assert_eq!(pruned, [second, first]);
}

#[test]
fn what_is_made_again_is_known_as_before() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let lower = layer("lower", b"1").put(&store);
    let first = build.put_image(&config(&[lower], ""), None, None).unwrap();
    let both = config(&[lower, layer("upper", b"22").put(&store)], "");
    build.put_image(&both, None, Some(first.id)).unwrap();
    // Made again without saying upon what: still known.
    let again = build.put_image(&both, None, None).unwrap();
    assert_eq!(again.parent, Some(first.id));
}

#[test]
fn a_manifest_needs_a_packed_form_of_each_layer() {
    let place = Place::new();
    let store = place.open();
    let image = named_image(&store, "app", "one");
    let lacking = store.images().manifest_for(&image, Compression::Gzip);
    assert_eq!(lacking.unwrap().unwrap_err(), image.layers);
    let plain = store.images().manifest_for(&image, Compression::None);
    let plain = plain.unwrap().unwrap();
    assert_eq!(plain.config.digest, image.id);
    assert_eq!(plain.layers[0].digest, image.layers[0]);

    let (memory, _) = elsewhere("pulled", &["a", "b"], Compression::Gzip);
    pull(&memory, &store, "pulled");
    let pulled = store.images().get(&reference("pulled")).unwrap().unwrap();
    let gzip = store.images().manifest_for(&pulled, Compression::Gzip);
    assert_eq!(
        gzip.unwrap().unwrap().digest(),
        pulled.manifest.unwrap().digest
    );
}

#[test]
fn an_image_of_unknown_layers_is_refused() {
    let place = Place::new();
    let store = place.open();
    let build = store.begin().unwrap();
    let unknown = layer("x", b"").diff_id;
    let e = build
        .put_image(&config(&[unknown], ""), None, None)
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains(&unknown.to_string()));
}
