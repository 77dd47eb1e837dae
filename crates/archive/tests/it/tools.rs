//! What skopeo, podman and umoci write and read.

use std::{fs, fs::File};

use kiln_archive::{LayoutDirectory, Reader, Writer};
use kiln_image::{Reference, Select, Source, copy};

use crate::support::{image, must, run, take};

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

fn saved(dir: &std::path::Path) -> (std::path::PathBuf, kiln_image::Descriptor) {
    let (memory, manifest) = image(&["app:1"]);
    let mut writer = Writer::new(&memory);
    let what = name("app:1");
    writer
        .add(&what, std::slice::from_ref(&what), &Select::All)
        .unwrap();
    let path = dir.join("saved.tar");
    writer.write(File::create(&path).unwrap(), &|_| {}).unwrap();
    (path, manifest)
}

#[test]
fn skopeo_reads_what_we_save_in_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let (path, manifest) = saved(dir.path());
    let path = path.display();
    for (from, to) in [
        (format!("oci-archive:{path}"), "one"),
        (format!("oci-archive:{path}:1"), "two"),
        (format!("docker-archive:{path}"), "three"),
        (format!("docker-archive:{path}:app:1"), "four"),
    ] {
        let copied = dir.path().join(to);
        let to = format!("oci:{}:x", copied.display());
        let mut args = vec!["--insecure-policy", "copy", "-q", &from, &to];
        if from.starts_with("oci") {
            args.push("--preserve-digests");
        }
        if must("skopeo", &args).is_none() {
            return;
        }
        let layout = LayoutDirectory::open(&copied).unwrap();
        let entry = &layout.images()[0];
        assert_eq!(entry.tag.as_deref(), Some("x"));
        let found = take(&layout, &entry.reference());
        if from.starts_with("oci") {
            assert_eq!(found.digest, manifest.digest, "not a byte changed");
        }
    }
}

#[test]
fn we_read_what_skopeo_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = saved(dir.path());
    let from = format!("oci-archive:{}", path.display());
    for kind in [
        "docker-archive",
        "oci-archive",
        "oci",
        "docker-archive+packed",
    ] {
        let to = dir.path().join(kind);
        let transport = kind.trim_end_matches("+packed");
        let target = format!("{transport}:{}:docker.io/library/copied:3", to.display());
        let args = ["--insecure-policy", "copy", "-q", &from, &target];
        if must("skopeo", &args).is_none() {
            return;
        }
        let to = match kind.ends_with("+packed") {
            true => {
                must("gzip", &["-k", to.to_str().unwrap()]).unwrap();
                dir.path().join(format!("{kind}.gz"))
            }
            false => to,
        };
        let reader = Reader::open(&to, dir.path()).unwrap();
        assert_eq!(reader.images()[0].names, [name("copied:3")], "{kind}");
        take(&reader, &name("copied:3"));
    }
}

#[test]
fn umoci_unpacks_our_layouts_and_we_read_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layout");
    let (memory, _) = image(&["app:1"]);
    let layout = LayoutDirectory::create(&path).unwrap();
    let what = name("app:1");
    copy(
        &memory,
        &layout,
        &what,
        std::slice::from_ref(&what),
        &Select::All,
        &|_| {},
    )
    .unwrap();
    let bundle = dir.path().join("bundle");
    let tagged = format!("{}:1", path.display());
    let unpack = ["unpack", "--image", &tagged, bundle.to_str().unwrap()];
    if must("umoci", &unpack).is_none() {
        return;
    }
    assert_eq!(
        fs::metadata(bundle.join("rootfs/b")).unwrap().len(),
        300_000
    );
    must("umoci", &["tag", "--image", &tagged, "again"]).unwrap();
    let reader = Reader::open(&path, dir.path()).unwrap();
    assert!(take(&reader, &what).size > 0);
}

#[test]
fn podman_loads_what_we_save_and_we_read_what_it_saves() {
    let dir = tempfile::tempdir().unwrap();
    let (path, manifest) = saved(dir.path());
    let at = |sub: &str| dir.path().join(sub).to_str().unwrap().to_owned();
    let (root, runroot) = (at("root"), at("run"));
    let podman = |args: &[&str]| {
        let mut all = vec![
            "--root",
            &root,
            "--runroot",
            &runroot,
            "--storage-driver",
            "vfs",
        ];
        all.extend(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        all.extend(args);
        run("podman", &all)
    };
    let Some(loaded) = podman(&["load", "-i", path.to_str().unwrap()]) else {
        return;
    };
    let said = String::from_utf8_lossy(&loaded.stdout).into_owned();
    let failed = String::from_utf8_lossy(&loaded.stderr).into_owned();
    assert!(said.contains("app:1"), "{said} {failed}");
    let loaded = said.trim().rsplit(' ').next().unwrap().to_owned();
    let id = podman(&["image", "inspect", "-f", "{{.Id}}", &loaded]).unwrap();
    let id = String::from_utf8_lossy(&id.stdout).trim().to_owned();
    let reader = Reader::open(&path, dir.path()).unwrap();
    let config: kiln_image::Manifest =
        serde_json::from_slice(&reader.document(&manifest).unwrap()).unwrap();
    assert_eq!(id, config.config.digest.hex(), "podman sees the same image");
    for format in ["docker-archive", "oci-archive"] {
        let to = at(&format!("{format}.tar"));
        let out = podman(&["save", "-q", "--format", format, "-o", &to, &loaded]).unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let reader = Reader::open(to.as_ref(), dir.path()).unwrap();
        assert_eq!(reader.images()[0].names, [name(&loaded)], "{format}");
        take(&reader, &name(&loaded));
    }
}
