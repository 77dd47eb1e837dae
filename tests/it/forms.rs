//! The forms in which layers are pushed: gzip, zstd, with tables of contents, plain. Who reads them,
//! and what is never compressed twice.

use std::{fs, process::Command};

use kiln_tests::{
    base::busybox,
    kiln::{Kiln, said, write},
    peers::{Peers, installed},
    registry::{Debian, Registry, docker_registry},
};
use serde_json::Value;

const FORMS: [&str; 5] = ["gzip", "zstd", "estargz", "zstd:chunked", "none"];

const ESTARGZ: &str = "containerd.io/snapshot/stargz/toc.digest";
const CHUNKED: &str = "io.github.containers.zstd-chunked.manifest-checksum";

/// An image of two layers upon busybox, one of whose files is larger than a chunk.
fn build(kiln: &Kiln, name: &str) -> String {
    busybox(kiln);
    let numbers: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let context = kiln.context(
        "context",
        &[
            (
                "Dockerfile",
                "FROM busybox\nCOPY tree /tree\nRUN rm /tree/gone && ln /tree/a /tree/b\n",
            ),
            ("tree/a", "hello\n"),
            ("tree/gone", "gone\n"),
            ("tree/numbers", &numbers.join("\n")),
        ],
    );
    let context = context.to_str().unwrap().to_owned();
    kiln.ok(["build", "-q", "-t", name, &context])
        .trim()
        .to_owned()
}

const READ: &str = "cat /tree/a /tree/b; ls -A /tree; md5sum < /tree/numbers";

fn printed(kiln: &Kiln, name: &str) -> String {
    kiln.ok(["run", "--rm", name, "sh", "-c", READ])
}

fn registry(kiln: &Kiln, tools: &[&str]) -> Option<Debian> {
    if !installed(tools) || !installed(&["docker-registry"]) {
        return None;
    }
    let folder = kiln.scratch().join("registry");
    fs::create_dir_all(&folder).unwrap();
    docker_registry(&folder)
}

fn get(address: &str, path: &str) -> Vec<u8> {
    let url = format!("http://{address}/v2/{path}");
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let out = Command::new("curl")
        .args(["-sSf", "-H", accept, &url])
        .output();
    let out = out.unwrap();
    assert!(
        out.status.success(),
        "{url}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

fn manifest(address: &str, repository: &str, tag: &str) -> Value {
    let bytes = get(address, &format!("{repository}/manifests/{tag}"));
    serde_json::from_slice(&bytes).unwrap()
}

fn digest(out: &str) -> String {
    let at = out.find("digest: ").unwrap_or_else(|| panic!("{out}")) + 8;
    out[at..at + 71].to_owned()
}

#[test]
fn each_form_is_pushed_once_and_pulled_again() {
    if !installed(&["curl"]) {
        return;
    }
    let kiln = Kiln::new();
    let registry = Registry::start();
    let address = registry.address();
    let id = build(&kiln, "app");
    let expected = printed(&kiln, "app");
    for form in FORMS {
        // A repository each: where a layer lies already does not matter here.
        let repository = form.replace(':', "-");
        let name = format!("{address}/{repository}");
        kiln.ok(["tag", "app", &name]);
        let push = ["push", "--compression", form, &name];
        let first = kiln.run(push);
        assert_eq!(first.code, 0, "{}", first.err);
        let pushed = digest(&first.out);
        let there = manifest(&address, &repository, "latest");
        let media = match form {
            "gzip" | "estargz" => "application/vnd.oci.image.layer.v1.tar+gzip",
            "none" => "application/vnd.oci.image.layer.v1.tar",
            _ => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        for layer in there["layers"].as_array().unwrap() {
            assert_eq!(layer["mediaType"], media, "{form}");
            let notes = &layer["annotations"];
            assert_eq!(notes[ESTARGZ].is_string(), form == "estargz", "{layer}");
            assert_eq!(
                notes[CHUNKED].is_string(),
                form == "zstd:chunked",
                "{layer}"
            );
        }
        // The id stays wherever the tars stay what they are, and otherwise it is said.
        let config = there["config"]["digest"].as_str().unwrap();
        assert_eq!(config == id, form != "estargz", "{form}");
        assert_eq!(
            first.err.contains(&config[7..19]),
            form == "estargz",
            "{}",
            first.err
        );

        registry.forget_requests();
        let again = kiln.ok(push);
        assert_eq!(digest(&again), pushed);
        assert!(!again.contains(": Pushed"), "{again}");
        let bytes_sent = registry.requests().iter().any(|r| r.method == "PATCH");
        assert!(!bytes_sent, "{form} was uploaded again");

        let other = Kiln::new();
        other.ok(["pull", &name]);
        let found = other.ok(["images", "-q", "--no-trunc", &name]);
        assert_eq!(found.trim(), config);
        let seen = printed(&other, &name);
        assert_eq!(seen, expected, "{form}");
        other.ok(["system", "check"]);
        // What came goes out as it came.
        assert_eq!(digest(&other.ok(["push", &name])), pushed);
    }
    kiln.ok(["system", "check"]);
    assert_eq!(printed(&kiln, "app"), expected);
}

#[test]
fn the_same_bytes_whoever_pushes() {
    let registry = Registry::start();
    let address = registry.address();
    let digests = |kiln: &Kiln, tag: &str| {
        FORMS.map(|form| {
            let name = format!("{address}/{tag}:{}", form.replace(':', "-"));
            kiln.ok(["tag", "app", &name]);
            digest(&kiln.ok(["push", "--compression", form, &name]))
        })
    };
    let (one, other) = (Kiln::new(), Kiln::new());
    build(&one, "app");
    let tar = one.scratch().join("app.tar");
    one.ok(["save", "-o", tar.to_str().unwrap(), "app"]);
    other.ok(["load", "-i", tar.to_str().unwrap()]);
    assert_eq!(digests(&one, "one"), digests(&other, "other"));
}

/// Blobs that came from elsewhere stay what they are, unless that is asked for.
#[test]
fn what_came_is_compressed_anew_only_by_force() {
    if !installed(&["curl"]) {
        return;
    }
    let (kiln, other) = (Kiln::new(), Kiln::new());
    let registry = Registry::start();
    let address = registry.address();
    let name = format!("{address}/app");
    let id = build(&kiln, &name);
    let theirs = digest(&kiln.ok(["push", &name]));
    other.ok(["pull", &name]);
    let kept = other.run(["push", "--compression", "zstd", &name]);
    assert_eq!(kept.code, 0, "{}", kept.err);
    assert_eq!(digest(&kept.out), theirs);
    assert!(
        kept.err.contains("3 layers went out as they came"),
        "{}",
        kept.err
    );
    assert!(kept.err.contains("--force-compression"), "{}", kept.err);

    // An image upon it: the layers below as they came, its own in the form that is asked for.
    let upon = format!("FROM {name}\nRUN echo more > /more\n");
    other.build("upon", &[("Dockerfile", &upon)]);
    let mixed = format!("{address}/mixed");
    other.ok(["tag", "upon", &mixed]);
    let said = other.run(["push", "--compression-format", "zstd:chunked", &mixed]);
    assert!(said.err.contains("3 layers went out"), "{}", said.err);
    let there = manifest(&address, "mixed", "latest");
    let layers = there["layers"].as_array().unwrap();
    let endings: Vec<_> = layers
        .iter()
        .map(|l| l["mediaType"].as_str().unwrap().rsplit_once('+').unwrap().1)
        .collect();
    assert_eq!(endings, ["gzip", "gzip", "gzip", "zstd"]);

    // Where the table of contents of a layer below is stays known.
    let third = Kiln::new();
    third.ok(["pull", &mixed]);
    let upon = format!("FROM {mixed}\nRUN echo still more > /more\n");
    third.build("upon", &[("Dockerfile", &upon)]);
    let twice = format!("{address}/twice");
    third.ok(["tag", "upon", &twice]);
    third.ok(["push", &twice]);
    let above = manifest(&address, "twice", "latest");
    assert_eq!(above["layers"][3]["annotations"], layers[3]["annotations"]);

    let forced = other.run([
        "push",
        "--compression",
        "zstd",
        "--force-compression",
        &name,
    ]);
    assert_eq!(forced.code, 0, "{}", forced.err);
    assert_eq!(forced.err, "");
    assert_ne!(digest(&forced.out), theirs);
    let there = manifest(&address, "app", "latest");
    assert_eq!(there["config"]["digest"], id);
    for layer in there["layers"].as_array().unwrap() {
        assert!(layer["mediaType"].as_str().unwrap().ends_with("+zstd"));
    }
    // What is so already is not touched by force.
    let gzip = [
        "push",
        "--compression",
        "gzip",
        "--force-compression",
        &name,
    ];
    kiln.ok(gzip);
    let fourth = Kiln::new();
    fourth.ok(["pull", &name]);
    assert_eq!(digest(&fourth.ok(gzip)), theirs);
}

#[test]
fn a_level_that_there_is_not_is_refused() {
    let kiln = Kiln::new();
    build(&kiln, "localhost:1/app");
    for (form, level, hint) in [
        ("gzip", "10", "0 to 9"),
        ("gzip", "-1", "0 to 9"),
        ("estargz", "10", "0 to 9"),
        ("zstd", "0", "1 to 19"),
        ("zstd:chunked", "20", "1 to 19"),
        ("uncompressed", "1", "no level"),
    ] {
        let args = [
            "push",
            "--compression",
            form,
            "--compression-level",
            level,
            "localhost:1/app",
        ];
        let said = kiln.fails(args);
        assert!(
            said.err.contains(&format!("no compression level {level}")),
            "{}",
            said.err
        );
        assert!(said.err.contains(hint), "{form}: {}", said.err);
    }
    let said = kiln.fails(["push", "--compression", "lz4", "localhost:1/app"]);
    assert!(said.err.contains("zstd:chunked"), "{}", said.err);
}

#[test]
fn a_level_is_kept_to() {
    let kiln = Kiln::new();
    let registry = Registry::start();
    let name = format!("{}/app", registry.address());
    build(&kiln, &name);
    let at = |level: &str| {
        let push = [
            "push",
            "--compression",
            "zstd",
            "--compression-level",
            level,
            &name,
        ];
        digest(&kiln.ok(push))
    };
    let (fast, small) = (at("1"), at("9"));
    assert_ne!(fast, small);
    assert_eq!(at("1"), fast);
    // Without one, what is here will do.
    let any = digest(&kiln.ok(["push", "--compression", "zstd", &name]));
    assert!([fast, small].contains(&any));
}

#[test]
fn podman_and_skopeo_take_each_form() {
    let kiln = Kiln::new();
    let Some(registry) = registry(&kiln, &["podman", "skopeo", "runc", "curl"]) else {
        return;
    };
    let id = build(&kiln, "app");
    let expected = printed(&kiln, "app");
    for form in FORMS {
        let peers = Peers::new();
        let repository = form.replace(':', "-");
        let name = format!("{}/{repository}", registry.address());
        kiln.ok(["tag", "app", &name]);
        kiln.ok(["push", "--compression", form, &name]);
        let there = manifest(registry.address(), &repository, "latest");
        let config = there["config"]["digest"].as_str().unwrap();
        assert_eq!(config == id, form != "estargz");
        let (from, to) = (format!("docker://{name}"), format!("oci:{repository}"));
        peers.ok("skopeo copy -q --src-tls-verify=false", &[&from, &to]);
        let pulled = peers.ok("podman pull -q --tls-verify=false", &[&name]);
        assert_eq!(format!("sha256:{}", pulled.trim()), config);
        let seen = peers.ok("podman run --rm", &[&name, "sh", "-c", READ]);
        assert_eq!(seen, expected, "{form}");
    }
}

/// podman fetches files by ranges, by the table of contents of either layout. That of Debian 12 knows
/// the annotations of zstd:chunked by the names that they had before; the blob is the same.
#[test]
fn podman_pulls_a_part_of_a_blob() {
    let (kiln, peers) = (Kiln::new(), Peers::new());
    let Some(registry) = registry(&kiln, &["podman", "runc", "curl"]) else {
        return;
    };
    build(&kiln, "app");
    let expected = printed(&kiln, "app");
    let at = kiln.scratch().join("storage");
    let storage = kiln.scratch().join("storage.conf");
    write(
        &storage,
        &format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/images\"\nrunroot = \"{0}/run\"\n\
             [storage.options]\npull_options = {{enable_partial_images = \"true\"}}\n",
            at.display()
        ),
    );
    for form in ["estargz", "zstd:chunked"] {
        let repository = form.replace(':', "-");
        let name = format!("{}/{repository}", registry.address());
        kiln.ok(["tag", "app", &name]);
        kiln.ok(["push", "--compression", form, &name]);
        let mut there = get(
            registry.address(),
            &format!("{repository}/manifests/latest"),
        );
        if form == "zstd:chunked" {
            let text = String::from_utf8(there).unwrap();
            there = text
                .replace("io.github.containers.zstd", "io.containers.zstd")
                .into_bytes();
        }
        let url = format!(
            "http://{}/v2/{repository}/manifests/partial",
            registry.address()
        );
        let file = kiln.scratch().join("manifest");
        fs::write(&file, &there).unwrap();
        let put = Command::new("curl")
            .args(["-sSf", "-X", "PUT", "-H"])
            .arg("Content-Type: application/vnd.oci.image.manifest.v1+json")
            .arg("--data-binary")
            .arg(format!("@{}", file.display()))
            .arg(url)
            .status();
        assert!(put.unwrap().success());
        let name = format!("{name}:partial");
        let line = "podman --log-level debug pull -q --tls-verify=false";
        let mut pull = peers.command(line, &[&name]);
        let pulled = said(pull.env("CONTAINERS_STORAGE_CONF", &storage));
        assert_eq!(pulled.code, 0, "{}", pulled.err);
        let manifest: Value = serde_json::from_slice(&there).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let part = format!(
                "Retrieved partial blob {}",
                layer["digest"].as_str().unwrap()
            );
            assert!(pulled.err.contains(&part), "{form}: {}", pulled.err);
        }
        let mut run = peers.command("podman run --rm", &[&name, "sh", "-c", READ]);
        let seen = said(run.env("CONTAINERS_STORAGE_CONF", &storage));
        assert_eq!(seen.out, expected, "{form}: {}", seen.err);
    }
    // Left mounted, the folder could not be removed.
    let mut umount = peers.command("podman umount -a", &[]);
    said(umount.env("CONTAINERS_STORAGE_CONF", &storage));
    drop(
        Command::new("umount")
            .arg("-l")
            .arg(at.join("images/overlay"))
            .output(),
    );
}

/// A layer that a table of contents has no words for is refused by name, and goes out without one.
#[test]
fn what_has_no_table_is_said() {
    use std::os::unix::ffi::OsStrExt as _;

    let kiln = Kiln::new();
    let registry = Registry::start();
    let name = format!("{}/odd", registry.address());
    let context = kiln.context("odd", &[("Dockerfile", "FROM scratch\nCOPY tree /tree\n")]);
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::create_dir_all(context.join("tree")).unwrap();
    fs::write(context.join("tree").join(odd), "x").unwrap();
    let context = context.to_str().unwrap().to_owned();
    kiln.ok(["build", "-q", "-t", &name, &context]);
    for form in ["estargz", "zstd:chunked"] {
        let said = kiln.fails(["push", "--compression", form, &name]);
        assert!(said.err.contains("not UTF-8"), "{}", said.err);
        assert!(
            said.err.contains("plain gzip and zstd take such a layer"),
            "{}",
            said.err
        );
    }
    kiln.ok(["push", "--compression", "zstd", &name]);
}
