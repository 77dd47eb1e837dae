//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use kiln_image::{
    Descriptor, Digest, ErrorKind, History, Image, Index, Memory, Platform, Progress, Raw,
    Reference, Select, Sink, Source, Taken, copy, media,
};

fn name(s: &str) -> Reference {
    s.parse().unwrap()
}

/// An image of one layer for a platform, put into a memory; gives the manifest's descriptor.
fn put_image(at: &Memory, platform: &str, layer: &[u8]) -> Descriptor {
    let platform: Platform = platform.parse().unwrap();
    let layer = at.put(media::LAYER, layer.to_vec());
    let diff_id = layer.digest;
    let image = Image::scratch(&platform).with_layer(layer, diff_id, History::default());
    at.put(media::CONFIG, image.config_document().bytes().to_vec());
    let mut manifest = at.put(media::MANIFEST, image.manifest().bytes().to_vec());
    manifest.platform = Some(platform);
    manifest
}

#[test]
fn one_platform_of_an_index_is_copied_and_only_that() {
    let (from, to) = (Memory::new(), Memory::new());
    let amd = put_image(&from, "linux/amd64", b"amd");
    let arm = put_image(&from, "linux/arm64", b"arm");
    let index = Raw::new(Index::new(vec![amd, arm.clone()]));
    let index = from.put(media::INDEX, index.bytes().to_vec());
    from.name(&index, &name("app")).unwrap();

    let select = Select::Platform("linux/arm64".parse().unwrap());
    let copied = copy(
        &from,
        &to,
        &name("app"),
        &[name("mine:1")],
        &select,
        &|_| {},
    )
    .unwrap();
    assert_eq!(copied.digest, arm.digest);
    assert_eq!(to.resolve(&name("mine:1")).unwrap().digest, arm.digest);
    assert!(to.document(&Descriptor::of("x", b"arm")).is_ok());
    assert!(to.document(&Descriptor::of("x", b"amd")).is_err());

    let none = Select::Platform("linux/s390x".parse().unwrap());
    let e = copy(&from, &to, &name("app"), &[], &none, &|_| {}).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.to_string().contains("linux/amd64, linux/arm64"), "{e}");

    let all = copy(&from, &to, &name("app"), &[], &Select::All, &|_| {}).unwrap();
    assert_eq!(all.digest, index.digest);
}

#[test]
fn what_is_there_is_not_copied_again() {
    let (from, to) = (Memory::new(), Memory::new());
    let manifest = put_image(&from, "linux/amd64", b"layer");
    from.name(&manifest, &name("app")).unwrap();
    let run = || {
        let seen = Mutex::new(Vec::new());
        copy(
            &from,
            &to,
            &name("app"),
            &[name("app")],
            &Select::All,
            &|p| {
                if let Progress::Taken(_, how) = p {
                    seen.lock().unwrap().push(how);
                }
            },
        )
        .unwrap();
        seen.into_inner().unwrap()
    };
    assert_eq!(run(), [Taken::Copied]);
    assert_eq!(run(), [Taken::Existed]);
}

#[test]
fn a_blob_that_is_not_what_it_says_is_refused() {
    let to = Memory::new();
    let said = Descriptor::of(media::LAYER, b"what was said");
    let sent: &[u8] = b"what was sent";
    let e = to
        .put_blob(&said, &|_| Ok(Box::new(sent)), &[], &mut |_| {})
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch);
    assert!(
        e.to_string().contains(&Digest::sha256(sent).to_string()),
        "{e}"
    );
}

#[test]
fn indexes_in_indexes_come_to_an_end() {
    let (from, to) = (Memory::new(), Memory::new());
    let mut inner = put_image(&from, "linux/amd64", b"layer");
    for depth in 0..6 {
        let index = Raw::new(Index::new(vec![inner]));
        inner = from.put(media::INDEX, index.bytes().to_vec());
        from.name(&inner, &name(&format!("app:{depth}"))).unwrap();
    }
    assert!(copy(&from, &to, &name("app:3"), &[], &Select::All, &|_| {}).is_ok());
    let e = copy(&from, &to, &name("app:4"), &[], &Select::All, &|_| {}).unwrap_err();
    assert!(e.to_string().contains("nested too deeply"), "{e}");
}
