//! Archives by strangers.

use std::{fs, io::Read};

use kiln_archive::Reader;
use kiln_image::{Descriptor, Digest, Error, ErrorKind, Source, media};

use crate::support::{gzip, layer, take, tar};

fn open(bytes: &[u8]) -> Result<Reader, Error> {
    let dir = tempfile::tempdir().unwrap();
    Reader::from_stream(bytes, dir.path())
}

fn config(diff_ids: &[Digest]) -> Vec<u8> {
    serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
    .into_bytes()
}

/// A header for an entry without content.
fn link(name: &str, target: &str, kind: tar::EntryType) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_link_name_literal(target).unwrap();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A tar without its end.
fn open_end(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = tar(files);
    bytes.truncate(bytes.len() - 1024);
    bytes
}

#[test]
fn docker_archives_of_every_age() {
    let (one, two) = (layer("a", 5), layer("b", 70_000));
    let config = config(&[
        Digest::sha256(&one),
        Digest::sha256(&two),
        Digest::sha256(&one),
    ]);
    let manifest = br#"[{"Config":"c.json","RepoTags":["app:1","x.y/app:2"],
        "Layers":["one/layer.tar","two.tar.gz","again/layer.tar"]}]"#;
    let packed = gzip(&two);
    // An archive by docker before 25: a layer that comes twice is a link.
    let mut bytes = open_end(&[
        ("one/layer.tar", &one),
        ("./two.tar.gz", &packed),
        ("c.json", &config),
        ("manifest.json", manifest),
    ]);
    bytes.extend(link(
        "again/layer.tar",
        "../one/layer.tar",
        tar::EntryType::Symlink,
    ));
    bytes.extend([0; 1024]);
    let reader = open(&bytes).unwrap();
    let [only] = reader.images() else {
        panic!("{:?}", reader.images());
    };
    assert_eq!(only.names.len(), 2);
    let again = open(&bytes).unwrap();
    assert_eq!(
        again.images(),
        reader.images(),
        "the manifest is made the same way each time"
    );
    assert_eq!(take(&reader, &only.names[1]).digest, only.descriptor.digest);
    let id = Descriptor::of(media::CONFIG, &config);
    assert_eq!(reader.document(&id).unwrap(), config, "the image id stays");
    let packed = Descriptor::of(media::LAYER_GZIP, &packed);
    let mut rest = Vec::new();
    reader
        .blob(&packed, 3)
        .unwrap()
        .read_to_end(&mut rest)
        .unwrap();
    assert_eq!(rest.len() as u64, packed.size - 3);
}

#[test]
fn a_layer_with_other_bytes_than_the_config_says_is_not_taken() {
    let (right, wrong) = (layer("a", 5), layer("b", 5));
    let config = config(&[Digest::sha256(&right)]);
    let manifest = br#"[{"Config":"c","RepoTags":["app:1"],"Layers":["l"]}]"#;
    let bytes = tar(&[("l", &wrong), ("c", &config), ("manifest.json", manifest)]);
    let reader = open(&bytes).unwrap();
    let memory = kiln_image::Memory::new();
    let what = "app:1".parse().unwrap();
    let all = kiln_image::Select::All;
    let e = kiln_image::copy(&reader, &memory, &what, &[], &all, &|_| {}).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
}

#[test]
fn names_and_links_that_leave_the_archive_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::write(&outside, b"{}").unwrap();
    let target = outside.to_str().unwrap();
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
        for target in [target, "../../outside", "c", "manifest.json/../c"] {
            let manifest = br#"[{"Config":"c","RepoTags":null,"Layers":[]}]"#;
            let mut bytes = open_end(&[("manifest.json", manifest)]);
            bytes.extend(link("c", target, kind));
            bytes.extend([0; 1024]);
            let e = open(&bytes).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid, "{target}");
            assert!(e.to_string().contains("names `c`"), "{target}: {e}");
        }
    }
    for path in [target, "../outside", "/etc/passwd", "a/../../c"] {
        let manifest = serde_json::json!([{"Config": path, "Layers": []}]).to_string();
        let e = open(&tar(&[("manifest.json", manifest.as_bytes())])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid, "{path}: {e}");
    }
}

#[test]
fn sizes_and_lengths_have_limits() {
    let mut huge = tar::Header::new_gnu();
    huge.set_path("x").unwrap();
    huge.set_size(u64::MAX - 10);
    huge.set_cksum();
    let mut name = tar::Header::new_gnu();
    name.set_path("././@LongLink").unwrap();
    name.set_entry_type(tar::EntryType::GNULongName);
    name.set_size(2 << 20);
    name.set_cksum();
    let mut long = name.as_bytes().to_vec();
    long.extend(vec![b'a'; 2 << 20]);
    let whole = tar(&[("a", &[1; 5000])]);
    for (what, bytes) in [
        ("a size beyond all", huge.as_bytes().to_vec()),
        ("a name of two megabytes", long),
        ("cut in an entry", whole[..2000].to_vec()),
        ("cut in a header", whole[..300].to_vec()),
        ("no tar", vec![b'x'; 4096]),
        ("nothing", Vec::new()),
        (
            "a deep document",
            tar(&[("index.json", "[".repeat(100_000).as_bytes())]),
        ),
        (
            "a long document",
            tar(&[("index.json", &vec![b' '; 9 << 20])]),
        ),
        ("cut compression", gzip(&whole)[..30].to_vec()),
    ] {
        assert!(open(&bytes).is_err(), "{what}");
    }
}

#[test]
fn layers_and_diff_ids_must_be_as_many() {
    let one = layer("a", 5);
    let config = config(&[]);
    let manifest = br#"[{"Config":"c","Layers":["l"]}]"#;
    let e = open(&tar(&[
        ("l", &one),
        ("c", &config),
        ("manifest.json", manifest),
    ]))
    .unwrap_err();
    assert!(e.to_string().contains("0 layers"), "{e}");
}

#[test]
fn long_names_in_both_dialects_are_found() {
    let long = format!("{}/layer.tar", "a".repeat(150));
    let one = layer("a", 5);
    let config = config(&[Digest::sha256(&one)]);
    let manifest = serde_json::json!([{"Config": "c", "RepoTags": ["app:1"], "Layers": [long]}]);
    let manifest = manifest.to_string();
    let files: [(&str, &[u8]); 3] = [
        (&long, &one),
        ("c", &config),
        ("manifest.json", manifest.as_bytes()),
    ];
    let gnu = tar(&files);
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let size = content.len().to_string();
        builder
            .append_pax_extensions([("path", name.as_bytes()), ("size", size.as_bytes())])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("short").unwrap();
        // What a writer does that cannot say the size in the header.
        header.set_size(0);
        header.set_cksum();
        builder.get_mut().extend(header.as_bytes());
        builder.get_mut().extend(content);
        let padding = content.len().next_multiple_of(512) - content.len();
        builder.get_mut().extend(vec![0; padding]);
    }
    let pax = builder.into_inner().unwrap();
    for bytes in [gnu, pax] {
        let reader = open(&bytes).unwrap();
        take(&reader, &"app:1".parse().unwrap());
    }
}
