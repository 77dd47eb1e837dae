//! Archives of images: who reads them, and what is in their documents.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use kiln_tests::{
    kiln::{said, write},
    peers::{Peers, installed},
    who::everybody,
};
use serde_json::Value;

use super::{app, build, json, with_busybox};

const APP: &str = "FROM busybox\nRUN echo hello > /greeting && mkdir /d && rm /etc/group\nCMD [\"cat\", \"/greeting\"]\n";

/// A document of a layout, by its descriptor.
fn document(layout: &std::path::Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().unwrap();
    json(&layout.join("blobs").join(digest.replace(':', "/")))
}

#[test]
fn a_layout_is_read_by_skopeo_and_umoci() {
    if !installed(&["skopeo", "umoci"]) {
        return;
    }
    let (kiln, peers) = (with_busybox(), Peers::new());
    app(&kiln, APP);
    let at = kiln.scratch().display().to_string();
    build(
        &kiln,
        &[
            "-t",
            "app:1",
            "-o",
            "type=oci,dest=app.tar",
            "-o",
            "type=oci,dest=layout,tar=false",
        ],
    );
    let raw = |from: &str| peers.ok("skopeo inspect --raw", &[from]);
    let manifest = raw(&format!("oci-archive:{at}/app.tar"));
    assert_eq!(
        raw(&format!("oci:{at}/layout:1")),
        manifest,
        "one image in two wrappings"
    );
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    assert_eq!(manifest["layers"][1]["mediaType"], gzip);
    peers.ok(
        "umoci unpack --image",
        &[&format!("{at}/layout:1"), &format!("{at}/bundle")],
    );
    let root = kiln.scratch().join("bundle/rootfs");
    assert_eq!(
        fs::read_to_string(root.join("greeting")).unwrap(),
        "hello\n"
    );
    assert!(!root.join("etc/group").exists());
}

#[test]
fn an_archive_is_loaded_again_by_podman_and_by_kiln() {
    let kiln = with_busybox();
    app(&kiln, APP);
    let id = build(
        &kiln,
        &[
            "-t",
            "app:1",
            "-o",
            "type=docker,dest=d.tar",
            "-o",
            "type=oci,dest=o.tar,name=other:2",
        ],
    );
    assert!(!kiln.ok(["images"]).contains("app"), "it went nowhere else");
    for file in ["d.tar", "o.tar"] {
        let loaded = kiln.ok(["load", "-i", file]);
        assert!(loaded.contains("app:1"), "{loaded}");
        assert_eq!(kiln.ok(["images", "-q", "--no-trunc", "app:1"]), id);
        assert_eq!(kiln.ok(["run", "--rm", "app:1"]), "hello\n");
        kiln.ok(["rmi", "app:1"]);
    }
    assert_eq!(kiln.ok(["images", "-q", "--no-trunc", "other:2"]), id);
    if installed(&["podman"]) {
        let peers = Peers::new();
        let from = kiln.scratch().join("d.tar");
        let loaded = peers.ok("podman load -q -i", &[from.to_str().unwrap()]);
        assert!(loaded.contains("docker.io/library/app:1"), "{loaded}");
        let shown = peers.ok("podman images -q --no-trunc", &["app:1"]);
        assert_eq!(shown, id);
    }
}

#[test]
fn a_folder_with_a_layout_is_added_to() {
    everybody(|_, kiln| {
        app(kiln, APP);
        build(kiln, &["-o", "type=oci,dest=layout,tar=false,name=a:1"]);
        app(kiln, "FROM busybox\nCMD [\"other\"]\n");
        build(kiln, &["-o", "type=oci,dest=layout,tar=false,name=b:2"]);
        build(kiln, &["-o", "type=oci,dest=layout,tar=false,name=b:2"]);
        let index = json(&kiln.scratch().join("layout/index.json"));
        let names = index["manifests"].as_array().unwrap().iter();
        let name = |m: &Value| {
            m["annotations"]["io.containerd.image.name"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let names: Vec<String> = names.map(name).collect();
        assert_eq!(names, ["docker.io/library/a:1", "docker.io/library/b:2"]);
    });
}

#[test]
fn notes_are_on_the_documents_that_they_are_for() {
    let kiln = with_busybox();
    app(&kiln, APP);
    build(
        &kiln,
        &[
            "--annotation",
            "a.b/c=1=2",
            "--annotation",
            "manifest,manifest-descriptor:both=x",
            "--annotation",
            "manifest[linux/s390x]:other=platform",
            "-o",
            "type=oci,dest=layout,tar=false,annotation.own=y,annotation-manifest-descriptor.d=z",
            "-o",
            "type=oci,dest=second,tar=false",
            "--metadata-file",
            "meta",
        ],
    );
    let layout = kiln.scratch().join("layout");
    let index = json(&layout.join("index.json"));
    let entry = &index["manifests"][0];
    assert_eq!(
        entry["annotations"],
        serde_json::json!({"both": "x", "d": "z"})
    );
    let manifest = document(&layout, entry);
    let expected = serde_json::json!({"a.b/c": "1=2", "both": "x", "own": "y"});
    assert_eq!(manifest["annotations"], expected);
    let second = json(&kiln.scratch().join("second/index.json"));
    assert_eq!(
        second["manifests"][0]["annotations"],
        serde_json::json!({"both": "x"})
    );
    let meta = json(&kiln.scratch().join("meta"));
    assert_eq!(
        meta["containerimage.digest"], second["manifests"][0]["digest"],
        "the last one"
    );
    assert_eq!(
        meta["containerimage.descriptor"]["annotations"]["both"],
        "x"
    );
    for kind in ["index", "index-descriptor"] {
        let note = format!("{kind}:a=b");
        let refused = kiln.fails([
            "build",
            "--annotation",
            &note,
            "-o",
            "type=oci,dest=x.tar",
            "app",
        ]);
        assert!(
            refused.err.contains("for one platform has none"),
            "{}",
            refused.err
        );
        assert!(!kiln.scratch().join("x.tar").exists());
    }
}

#[test]
fn layers_have_the_form_that_is_asked_for() {
    let kiln = with_busybox();
    app(&kiln, APP);
    let oci = "application/vnd.oci.image.layer.v1.tar";
    let docker = "application/vnd.docker.image.rootfs.diff.tar";
    for (how, layer, manifest) in [
        (
            "",
            format!("{oci}+gzip"),
            "application/vnd.oci.image.manifest.v1+json",
        ),
        (
            ",compression=zstd",
            format!("{oci}+zstd"),
            "application/vnd.oci.image.manifest.v1+json",
        ),
        (
            ",compression=uncompressed",
            oci.to_owned(),
            "application/vnd.oci.image.manifest.v1+json",
        ),
        (
            ",oci-mediatypes=false",
            format!("{docker}.gzip"),
            "application/vnd.docker.distribution.manifest.v2+json",
        ),
    ] {
        let _ = fs::remove_dir_all(kiln.scratch().join("layout"));
        build(
            &kiln,
            &["-o", &format!("type=oci,dest=layout,tar=false{how}")],
        );
        let layout = kiln.scratch().join("layout");
        let entry = json(&layout.join("index.json"))["manifests"][0].clone();
        assert_eq!(entry["mediaType"], manifest, "{how}");
        let document = document(&layout, &entry);
        for found in document["layers"].as_array().unwrap() {
            assert_eq!(found["mediaType"], *layer, "{how}");
        }
        let out = kiln.ok(["load", "-i", "layout"]);
        assert!(out.contains("Loaded image"), "{out}");
    }
}

#[test]
fn nothing_half_written_has_the_name_of_an_archive() {
    let kiln = with_busybox();
    app(&kiln, APP);
    write(&kiln.scratch().join("app.tar"), "before");
    let full = kiln.fails(["build", "-o", "type=oci,dest=/dev/full", "app"]);
    assert!(full.err.contains("No space left"), "{}", full.err);
    let mut limited = Command::new("sh");
    let kiln_binary = kiln_tests::kiln::binary();
    build(&kiln, &[]);
    // A file may have 256 KiB: less than the archive, more than anything else that is written.
    limited
        .args(["-c", "ulimit -f 512; trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(kiln_binary)
        .args(["build", "-o", "type=docker,dest=app.tar", "app"])
        .env("KILN_ROOT", kiln.root())
        .env("HOME", kiln.scratch())
        .current_dir(kiln.scratch());
    let limited = said(&mut limited);
    assert_ne!(limited.code, 0, "{}", limited.err);
    assert_eq!(
        fs::read_to_string(kiln.scratch().join("app.tar")).unwrap(),
        "before"
    );
    let left = fs::read_dir(kiln.scratch()).unwrap();
    let new = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains(".new-")
    });
    assert_eq!(new.count(), 0, "no rest of it");
}

#[test]
fn an_archive_on_standard_output_leaves_it_to_itself() {
    let kiln = with_busybox();
    app(&kiln, APP);
    for quiet in [false, true] {
        let mut command = kiln.command(["build", "-o", "type=oci", "-t", "app", "app"]);
        if quiet {
            command.arg("-q");
        }
        let out = command.output().unwrap();
        assert!(out.status.success());
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(err.contains("sha256:"), "the id is told: {err}");
        fs::write(kiln.scratch().join("o.tar"), &out.stdout).unwrap();
        assert!(kiln.ok(["load", "-i", "o.tar"]).contains("app:latest"));
    }
}

/// A program in the place of docker that keeps what it is given.
#[test]
fn another_engine_is_handed_the_image() {
    let kiln = with_busybox();
    app(&kiln, APP);
    let bin = kiln.scratch().join("bin");
    let engine = |script: &str| {
        write(&bin.join("docker"), &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    };
    let run = |args: &[&str]| {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        said(kiln.command(args).env("PATH", path))
    };
    engine("test \"$*\" = load && cat > got.tar && echo Loaded image: app:latest");
    let said = run(&["build", "--load=docker", "-t", "app", "app"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("docker: Loaded image: app:latest"),
        "{}",
        said.err
    );
    assert!(said.out.starts_with("sha256:"), "{}", said.out);
    assert!(
        !kiln.ok(["images"]).contains("app"),
        "it is there, and not here"
    );
    assert!(kiln.ok(["load", "-i", "got.tar"]).contains("app:latest"));

    // The docker of another context, which takes it as it takes any.
    engine("test \"$*\" = '--context far load' && cat > far.tar && echo Loaded image: far:2");
    let to = "type=docker,context=far,name=far:2";
    let said = run(&["build", "-o", to, "app"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(kiln.ok(["load", "-i", "far.tar"]).contains("far:2"));

    engine("head -c 10 > /dev/null; echo the engine is full >&2; exit 3");
    let failed = run(&["build", "--load=docker", "-t", "app", "app"]);
    assert_ne!(failed.code, 0);
    assert!(failed.err.contains("the engine is full"), "{}", failed.err);
    fs::remove_file(bin.join("docker")).unwrap();

    // Here, it is beside the other outputs.
    let said = run(&[
        "build",
        "--load",
        "-o",
        "type=oci,dest=x.tar",
        "-t",
        "here",
        "app",
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(kiln.ok(["images"]).contains("here"));
}

#[test]
fn an_annotation_for_an_index_that_there_is_not_is_refused_before_anything_runs() {
    let kiln = with_busybox();
    app(&kiln, APP);
    for args in [
        &["--annotation", "index:a=b", "-o", "type=oci,dest=o.tar"][..],
        &["--annotation", "manifest,index-descriptor:a=b"],
        &["-o", "type=oci,dest=o.tar,annotation-index.a=b"],
    ] {
        let refused = kiln.fails([&["build", "--progress=plain"], args, &["app"]].concat());
        let why = "the annotation `a` is for an index";
        assert!(refused.err.contains(why), "{}", refused.err);
        assert!(!refused.err.contains("RUN echo"), "{}", refused.err);
    }
    assert!(!kiln.scratch().join("o.tar").exists());
}

#[test]
fn notes_of_several_platforms_are_on_the_index_and_on_those_they_name() {
    let kiln = with_busybox();
    app(&kiln, "FROM scratch\nCOPY Dockerfile /\n");
    build(
        &kiln,
        &[
            "--platform=linux/amd64,linux/arm64",
            "--annotation",
            "index:on=index",
            "--annotation",
            "index-descriptor:on=top",
            "--annotation",
            "manifest[linux/arm64]:on=arm",
            "--annotation",
            "manifest-descriptor[linux/amd64]:on=amd",
            "-o",
            "type=oci,dest=layout,tar=false",
        ],
    );
    let layout = kiln.scratch().join("layout");
    let top = json(&layout.join("index.json"));
    let of = |what: &Value| what["annotations"]["on"].clone();
    assert_eq!(of(&top), Value::Null);
    assert_eq!(of(&top["manifests"][0]), "top");
    let index = document(&layout, &top["manifests"][0]);
    assert_eq!(of(&index), "index");
    let images = index["manifests"].as_array().unwrap();
    let said: Vec<(String, Value, Value)> = images
        .iter()
        .map(|one| {
            let arch = one["platform"]["architecture"].as_str().unwrap().to_owned();
            (arch, of(one), of(&document(&layout, one)))
        })
        .collect();
    let expected = [
        ("amd64".to_owned(), "amd".into(), Value::Null),
        ("arm64".to_owned(), Value::Null, "arm".into()),
    ];
    assert_eq!(said, expected);
}
