//! Images between kiln and the tools of others, through Debian's registry and through archives.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use kiln_image::Digest;
use kiln_tests::{
    base::busybox,
    kiln::{Kiln, Said, said},
    peers::{Peers, installed},
    registry::{Debian, Registry, docker_registry},
};
use serde_json::Value;

const DOCKERFILE: &str = r#"FROM busybox
WORKDIR /app
COPY --chown=1000:50 tree tree/
COPY --chmod=600 tree/a /etc/kept
RUN rm /etc/group && chmod 4711 /app/tree/a && ln /app/tree/sub/run /app/run && mkfifo /app/pipe && mkdir -p /gone/x && echo 1 > /gone/x/y
RUN rm -r /gone && echo later >> /etc/kept && chmod 644 /etc/kept && mkdir /gone && chmod 1777 /gone
ENV GREETING="hi there"
USER 1000:50
ENTRYPOINT ["sh", "/app/tree/sub/run"]
CMD ["/etc/kept"]
LABEL who=kiln
"#;

/// What a container of that image prints, whoever runs it.
const PRINTED: &str = "hello\nhello\nlater\n1000:50\n/app\nhi there\na\nlong name\nsub\nümlaut\n";

/// What is in it, as `umoci` unpacks it: mode, owner, kind, path.
const TREE: &[&str] = &[
    "755 0:0 d app",
    "644 0:0 p app/pipe",
    "750 1000:50 f app/run",
    "755 1000:50 d app/tree",
    "4711 1000:50 f app/tree/a",
    "755 1000:50 d app/tree/sub",
    "777 1000:50 l app/tree/sub/link -> ../a",
    "750 1000:50 f app/tree/sub/run",
    "644 1000:50 f app/tree/long name",
    "644 1000:50 f app/tree/ümlaut",
    "644 0:0 f etc/kept",
    "1777 0:0 d gone",
];

/// Builds the image as `name`; `extra` makes it one of its kind. Gives its id.
fn build(kiln: &Kiln, name: &str, extra: &str) -> String {
    busybox(kiln);
    let run = "#!/bin/sh\ncat /app/tree/sub/link \"$@\"\necho $(id -u):$(id -g)\npwd\n\
               echo $GREETING\ncd tree && printf '%s\\n' *\n";
    let context = kiln.context(
        "context",
        &[
            ("Dockerfile", &format!("{DOCKERFILE}LABEL extra={extra}\n")),
            ("tree/a", "hello\n"),
            ("tree/long name", &"long ".repeat(1000)),
            ("tree/ümlaut", extra),
            ("tree/sub/run", run),
        ],
    );
    for (path, mode) in [
        ("tree", 0o755),
        ("tree/a", 0o644),
        ("tree/long name", 0o644),
        ("tree/ümlaut", 0o644),
        ("tree/sub", 0o755),
        ("tree/sub/run", 0o750),
    ] {
        fs::set_permissions(context.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("../a", context.join("tree/sub/link")).unwrap();
    let context = context.to_str().unwrap().to_owned();
    kiln.ok(["build", "-q", "-t", name, &context])
        .trim()
        .to_owned()
}

fn line(path: &Path, root: &Path) -> String {
    let meta = path.symlink_metadata().unwrap();
    let kind = match meta.file_type() {
        t if t.is_dir() => "d",
        t if t.is_symlink() => "l",
        t if t.is_fifo() => "p",
        t if t.is_file() => "f",
        _ => "?",
    };
    let inner = path.strip_prefix(root).unwrap().display();
    let target = fs::read_link(path).map_or(String::new(), |t| format!(" -> {}", t.display()));
    let mode = meta.mode() & 0o7777;
    format!(
        "{mode:o} {}:{} {kind} {inner}{target}",
        meta.uid(),
        meta.gid()
    )
}

/// A registry, when all of `tools` are installed as well.
fn registry(kiln: &Kiln, tools: &[&str]) -> Option<Debian> {
    if !installed(tools) || !installed(&["docker-registry"]) {
        return None;
    }
    Some(one_more_registry(kiln, "registry"))
}

fn one_more_registry(kiln: &Kiln, folder: &str) -> Debian {
    let folder = kiln.scratch().join(folder);
    fs::create_dir_all(&folder).unwrap();
    docker_registry(&folder).unwrap()
}

/// The digest that a push or pull names.
fn digest(out: &str) -> String {
    let at = out.find("sha256:").unwrap_or_else(|| panic!("{out}"));
    out[at..at + 71].to_owned()
}

/// The manifest of an image in a registry, and its digest, as skopeo sees it.
fn manifest(peers: &Peers, name: &str) -> (Value, String) {
    let inspect = "skopeo inspect --raw --tls-verify=false";
    let raw = peers.ok(inspect, &[&format!("docker://{name}")]);
    let digest = Digest::sha256(raw.as_bytes()).to_string();
    (serde_json::from_str(&raw).unwrap(), digest)
}

fn is_of_media(peers: &Peers, name: &str, ending: &str) {
    let (manifest, _) = manifest(peers, name);
    for layer in manifest["layers"].as_array().unwrap() {
        let media = layer["mediaType"].as_str().unwrap();
        assert!(media.ends_with(ending), "{name}: {media}");
    }
}

/// What kiln does with an image that somebody else pushed: the digest stays, nothing is uploaded
/// again, it is built upon, and it runs.
fn is_taken_over(name: &str, peers: &Peers) {
    let kiln = Kiln::new();
    let (_, theirs) = manifest(peers, name);
    let pulled = kiln.ok(["pull", name]);
    assert!(pulled.contains(&format!("Digest: {theirs}\n")), "{pulled}");
    let pushed = kiln.ok(["push", name]);
    assert_eq!(digest(&pushed), theirs);
    assert!(pushed.contains("Layer already exists"), "{pushed}");
    assert!(!pushed.contains(": Pushed"), "{pushed}");
    assert_eq!(manifest(peers, name).1, theirs);
    assert_eq!(kiln.ok(["run", "--rm", name]), PRINTED, "{name}");
    let upon = format!("FROM {name}\nUSER root\nRUN cat /etc/kept > /copy && echo on >> /copy\n");
    kiln.build("upon", &[("Dockerfile", &upon)]);
    let cat = ["run", "--rm", "--entrypoint", "cat", "upon", "/copy"];
    assert_eq!(kiln.ok(cat), "hello\nlater\non\n");
}

#[test]
fn what_kiln_pushes_is_copied_by_skopeo_and_unpacked_by_umoci() {
    let (kiln, peers) = (Kiln::new(), Peers::new());
    let Some(registry) = registry(&kiln, &["skopeo", "umoci"]) else {
        return;
    };
    let name = format!("{}/me/app:v1", registry.address());
    let id = build(&kiln, &name, "first");
    let pushed = digest(&kiln.ok(["push", &name]));
    assert_eq!(manifest(&peers, &name).1, pushed);
    let from = format!("docker://{name}");
    let config = "skopeo inspect --config --raw --tls-verify=false";
    let config = peers.ok(config, &[&from]);
    assert_eq!(Digest::sha256(config.as_bytes()).to_string(), id);

    let at = kiln.scratch().display();
    for to in [format!("dir:{at}/dir"), format!("oci:{at}/layout:v1")] {
        peers.ok("skopeo copy -q --src-tls-verify=false", &[&from, &to]);
    }
    let copied = fs::read(kiln.scratch().join("dir/manifest.json")).unwrap();
    assert_eq!(Digest::sha256(&copied).to_string(), pushed);
    let (image, to) = (format!("{at}/layout:v1"), format!("{at}/bundle"));
    peers.ok("umoci unpack --image", &[&image, &to]);
    let root = kiln.scratch().join("bundle/rootfs");
    for expected in TREE {
        let mut words = expected.splitn(4, ' ');
        let path = words.nth(3).unwrap().split(" -> ").next().unwrap();
        assert_eq!(line(&root.join(path), &root), *expected);
    }
    let inode = |path: &str| root.join(path).metadata().unwrap().ino();
    assert_eq!(inode("app/run"), inode("app/tree/sub/run"));
    let kept = fs::read_to_string(root.join("etc/kept")).unwrap();
    assert_eq!(kept, "hello\nlater\n");
    for gone in ["etc/group", "gone/x"] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
}

#[test]
fn what_kiln_pushes_is_pulled_and_run_by_podman() {
    let (kiln, peers) = (Kiln::new(), Peers::new());
    let Some(registry) = registry(&kiln, &["podman", "runc"]) else {
        return;
    };
    let name = format!("{}/me/app:v1", registry.address());
    let id = build(&kiln, &name, "first");
    kiln.ok(["push", &name]);
    let pulled = peers.ok("podman pull -q --tls-verify=false", &[&name]);
    assert_eq!(format!("sha256:{}", pulled.trim()), id);
    assert_eq!(peers.ok("podman run --rm", &[&name]), PRINTED);
}

// Each form goes to a registry of its own: these tools take another form of a layer that they know
// to be in the registry for good enough.

#[test]
fn what_skopeo_pushes_is_taken_over() {
    if !installed(&["docker-registry", "skopeo"]) {
        return;
    }
    let (kiln, peers) = (Kiln::new(), Peers::new());
    build(&kiln, "app", "first");
    let tar = kiln.scratch().join("app.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
    let from = format!("oci-archive:{}", tar.display());
    for (form, options, expected) in [
        (
            "zstd",
            "--dest-compress-format zstd --format oci",
            "tar+zstd",
        ),
        ("gzip", "--format oci", "oci.image.layer.v1.tar+gzip"),
        ("docker", "--format v2s2", "image.rootfs.diff.tar.gzip"),
    ] {
        let registry = one_more_registry(&kiln, form);
        let name = format!("{}/skopeo/app:1", registry.address());
        let copy = format!("skopeo copy -q --dest-tls-verify=false {options}");
        peers.ok(&copy, &[&from, &format!("docker://{name}")]);
        is_of_media(&peers, &name, expected);
        is_taken_over(&name, &peers);
    }
}

#[test]
fn what_podman_pushes_is_taken_over() {
    if !installed(&["docker-registry", "podman", "skopeo"]) {
        return;
    }
    let (kiln, peers) = (Kiln::new(), Peers::new());
    build(&kiln, "app", "first");
    let tar = kiln.scratch().join("app.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
    peers.ok("podman load -q -i", &[tar.to_str().unwrap()]);
    for (form, options, expected) in [
        ("zstd", "--format oci --compression-format zstd", "tar+zstd"),
        ("docker", "--format v2s2", "image.rootfs.diff.tar.gzip"),
    ] {
        let registry = one_more_registry(&kiln, form);
        let name = format!("{}/podman:1", registry.address());
        let push = format!("podman push -q --tls-verify=false {options} app");
        peers.ok(&push, &[&format!("docker://{name}")]);
        is_of_media(&peers, &name, expected);
        is_taken_over(&name, &peers);
    }
}

#[test]
fn a_list_of_platforms_is_pulled_for_this_one() {
    let (kiln, peers) = (Kiln::new(), Peers::new());
    let Some(registry) = registry(&kiln, &["buildah", "skopeo"]) else {
        return;
    };
    let name = format!("{}/me/app:v1", registry.address());
    let list = format!("{}/me/list:v1", registry.address());
    let id = build(&kiln, &name, "first");
    kiln.ok(["push", &name]);
    peers.ok("buildah manifest create list", &[]);
    let from = format!("docker://{name}");
    peers.ok(
        "buildah manifest add --tls-verify=false --arch riscv64 list",
        &[&from],
    );
    peers.ok("buildah manifest add --tls-verify=false list", &[&from]);
    let push = "buildah manifest push -q --all --tls-verify=false list";
    peers.ok(push, &[&format!("docker://{list}")]);
    let other = Kiln::new();
    other.ok(["pull", &list]);
    let found = other.ok(["images", "-q", "--no-trunc", &list]);
    assert_eq!(found.trim(), id);
    assert_eq!(other.ok(["run", "--rm", &list]), PRINTED);
}

#[test]
fn archives_of_kiln_are_loaded_by_podman_and_skopeo() {
    if !installed(&["podman", "runc", "skopeo"]) {
        return;
    }
    let (kiln, peers) = (Kiln::new(), Peers::new());
    let id = build(&kiln, "app:v1", "first");
    let at = kiln.scratch().display();
    let (one, two) = (format!("{at}/one.tar"), format!("{at}/two.tar"));
    kiln.ok(["save", "-o", &one, "app:v1"]);
    kiln.ok(["save", "-o", &two, "busybox", "app:v1"]);
    let loaded = peers.ok("podman load -q -i", &[&two]);
    assert!(loaded.contains("app:v1"), "{loaded}");
    assert!(loaded.contains("busybox:latest"), "{loaded}");
    let found = peers.ok("podman images -q --no-trunc app:v1", &[]);
    assert_eq!(found.trim(), id);
    assert_eq!(peers.ok("podman run --rm app:v1", &[]), PRINTED);
    for from in [
        format!("docker-archive:{one}"),
        format!("docker-archive:{two}:docker.io/library/app:v1"),
        format!("oci-archive:{one}"),
        format!("oci-archive:{two}:v1"),
    ] {
        let config = peers.ok("skopeo inspect --config --raw", &[&from]);
        assert_eq!(Digest::sha256(config.as_bytes()).to_string(), id, "{from}");
        peers.ok("skopeo copy -q", &[&from, &format!("oci:{at}/layout:v1")]);
    }
}

#[test]
fn archives_of_podman_and_skopeo_are_loaded() {
    if !installed(&["podman", "skopeo"]) {
        return;
    }
    let (kiln, peers) = (Kiln::new(), Peers::new());
    let id = build(&kiln, "app:v1", "first");
    let at = kiln.scratch().display();
    let saved = format!("{at}/app.tar");
    kiln.ok(["save", "-o", &saved, "app:v1"]);
    peers.ok("podman load -q -i", &[&saved]);
    for format in ["docker-archive", "oci-archive"] {
        let save = format!("podman save -q --format {format} -o {at}/{format}.tar app:v1");
        peers.ok(&save, &[]);
    }
    // From a form to the same form: between two of them the config would be written anew.
    for form in ["docker-archive", "oci-archive"] {
        let copy =
            format!("skopeo copy -q {form}:{saved} {form}:{at}/skopeo-{form}.tar:other/app:2");
        peers.ok(&copy, &[]);
    }
    for (tar, name) in [
        ("docker-archive", "app:v1"),
        ("oci-archive", "app:v1"),
        ("skopeo-docker-archive", "other/app:2"),
        ("skopeo-oci-archive", "other/app:2"),
    ] {
        let there = Kiln::new();
        let out = there.ok(["load", "-i", &format!("{at}/{tar}.tar")]);
        assert!(out.starts_with("Loaded image: "), "{tar}: {out}");
        let loaded = out.trim().trim_start_matches("Loaded image: ");
        assert!(loaded.ends_with(name), "{tar}: {out}");
        let found = there.ok(["images", "-q", "--no-trunc", loaded]);
        assert_eq!(found.trim(), id, "{tar}");
        assert_eq!(there.ok(["run", "--rm", loaded]), PRINTED, "{tar}");
        let check = there.ok(["system", "check"]);
        assert_eq!(check, "Everything in the store is whole.\n", "{tar}");
    }
}

#[test]
fn archives_may_be_compressed() {
    if !installed(&["gzip", "zstd"]) {
        return;
    }
    let kiln = Kiln::new();
    let id = build(&kiln, "app:v1", "first");
    let tar = kiln.scratch().join("app.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), "app:v1"]);
    for (tool, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        let done = said(Command::new(tool).args(["-q", "-k"]).arg(&tar));
        assert_eq!(done.code, 0, "{}", done.err);
        let there = Kiln::new();
        let archive = fs::File::open(tar.with_extension(format!("tar.{ending}"))).unwrap();
        let Said { out, err, code } = said(there.command(["load"]).stdin(archive));
        assert_eq!((code, out.as_str()), (0, "Loaded image: app:v1\n"), "{err}");
        let found = there.ok(["images", "-q", "--no-trunc", "app:v1"]);
        assert_eq!(found.trim(), id);
    }
}

#[test]
fn a_second_push_uploads_nothing() {
    let (kiln, registry) = (Kiln::new(), Registry::start());
    let name = format!("{}/me/app:v1", registry.address());
    build(&kiln, &name, "first");
    let first = kiln.ok(["push", &name]);
    assert!(first.contains(": Pushed"), "{first}");
    registry.forget_requests();
    let second = kiln.ok(["push", &name]);
    assert_eq!(digest(&first), digest(&second));
    assert!(!second.contains(": Pushed"), "{second}");
    for request in registry.requests() {
        let upload = matches!(request.method.as_str(), "POST" | "PATCH")
            || request.method == "PUT" && request.path.contains("/blobs/");
        assert!(!upload, "{request:?}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let kiln = Kiln::new();
    let Some(registry) = registry(&kiln, &[]) else {
        return;
    };
    let here = registry.address();
    busybox(&kiln);
    let there = format!("{here}/some/thing:1");
    kiln.ok(["tag", "busybox", &there]);
    kiln.ok(["push", &there]);
    for missing in ["some/thing:2", "no/thing:1"] {
        let name = format!("{here}/{missing}");
        let said = kiln.fails(["pull", &name]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains(&format!("`{name}`")), "{}", said.err);
        assert!(!said.out.contains("Status:"), "{}", said.out);
        let said = kiln.fails(["push", &name]);
        assert!(said.err.contains("does not exist locally"), "{}", said.err);
        assert!(said.err.contains(&name), "{}", said.err);
    }
    assert_eq!(kiln.ok(["images"]).lines().count(), 3);
}
