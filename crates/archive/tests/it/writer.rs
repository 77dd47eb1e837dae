//! What is written is read back, and is always the same.

use std::{cell::Cell, fs};

use kiln_archive::{Reader, Writer};
use kiln_image::{
    Descriptor, ErrorKind, Index, Memory, Platform, Progress, Raw, Reference, Select, Sink, Source,
    media,
};

use crate::support::{gzip, image, take};

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

fn written(memory: &Memory, names: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(memory);
    let names: Vec<Reference> = names.iter().map(|n| name(n)).collect();
    writer.add(&name("app:1"), &names, &Select::All).unwrap();
    writer.write(Vec::new(), &|_| {}).unwrap()
}

#[test]
fn images_come_back_with_their_names() {
    let (memory, manifest) = image(&["app:1"]);
    let bytes = written(&memory, &["app:1", "localhost:5000/me/app:2"]);
    let dir = tempfile::tempdir().unwrap();
    for (file, content) in [
        ("plain.tar", bytes.clone()),
        ("packed.tar.gz", gzip(&bytes)),
        ("zstd", zstd::encode_all(&bytes[..], 1).unwrap()),
    ] {
        let path = dir.path().join(file);
        fs::write(&path, &content).unwrap();
        let opened = Reader::open(&path, dir.path()).unwrap();
        let streamed = Reader::from_stream(&content[..], dir.path()).unwrap();
        for reader in [opened, streamed] {
            let [only] = reader.images() else {
                panic!("{:?}", reader.images());
            };
            assert_eq!(only.names, [name("app:1"), name("localhost:5000/me/app:2")]);
            assert_eq!(take(&reader, &only.names[1]).digest, manifest.digest);
            assert_eq!(take(&reader, &only.reference()).digest, manifest.digest);
            let e = reader.resolve(&name("other:1")).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NotFound);
            assert!(e.hint_text().unwrap().contains("app:1"), "{e:?}");
        }
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "what was spooled is gone: {left:?}");
}

#[test]
fn untagged_images_have_a_reference_too() {
    let (memory, manifest) = image(&["app:1"]);
    let reader = Reader::from_stream(&written(&memory, &[])[..], "/tmp".as_ref()).unwrap();
    let entry = &reader.images()[0];
    assert!(entry.names.is_empty());
    assert_eq!(take(&reader, &entry.reference()).digest, manifest.digest);
}

#[test]
fn the_same_images_give_the_same_bytes() {
    let (one, _) = image(&["app:1"]);
    let (two, _) = image(&["app:1"]);
    let bytes = written(&one, &["app:1"]);
    assert_eq!(bytes, written(&two, &["app:1"]));
    let mut names = Vec::new();
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
        names.push(entry.path().unwrap().to_string_lossy().into_owned());
    }
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.len(), 9, "{names:?}");
}

#[test]
fn progress_is_told() {
    let (memory, _) = image(&["app:1"]);
    let mut writer = Writer::new(&memory);
    writer.add(&name("app:1"), &[], &Select::All).unwrap();
    let (announced, taken) = (Cell::new(0), Cell::new(0));
    let on = |progress: Progress<'_>| match progress {
        Progress::Layers(layers) => announced.set(layers.len()),
        Progress::Taken(..) => taken.set(taken.get() + 1),
        _ => {}
    };
    writer.write(std::io::sink(), &on).unwrap();
    assert_eq!((announced.get(), taken.get()), (2, 2));
}

#[test]
fn an_index_keeps_all_its_images_and_docker_gets_its_own() {
    let (memory, manifest) = image(&["app:1"]);
    let mut own = manifest.clone();
    own.platform = Some(Platform::host());
    let mut other = manifest.clone();
    other.platform = Some(Platform::new("plan9", "mips", None));
    let index = Raw::new(Index::new(vec![other, own]));
    let descriptor = memory.put(media::INDEX, index.bytes().to_vec());
    memory.name(&descriptor, &name("multi:1")).unwrap();
    let mut writer = Writer::new(&memory);
    let what = name("multi:1");
    let added = writer
        .add(&what, std::slice::from_ref(&what), &Select::All)
        .unwrap();
    assert_eq!(added.digest, descriptor.digest);
    let bytes = writer.write(Vec::new(), &|_| {}).unwrap();
    let reader = Reader::from_stream(&bytes[..], "/tmp".as_ref()).unwrap();
    assert_eq!(take(&reader, &what).digest, descriptor.digest);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(r#""RepoTags":["multi:1"]"#));
}

#[test]
fn a_blob_that_is_not_what_it_should_be_fails_the_archive() {
    let (memory, manifest) = image(&["app:1"]);
    let mut value: kiln_image::Manifest =
        serde_json::from_slice(&memory.document(&manifest).unwrap()).unwrap();
    value.layers[0].size += 1;
    let wrong: Descriptor = memory.put(media::MANIFEST, Raw::new(value).bytes().to_vec());
    memory.name(&wrong, &name("wrong:1")).unwrap();
    let mut writer = Writer::new(&memory);
    writer.add(&name("wrong:1"), &[], &Select::All).unwrap();
    let e = writer.write(std::io::sink(), &|_| {}).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch);
}
