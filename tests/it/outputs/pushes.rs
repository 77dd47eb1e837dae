//! Straight to registries.

use kiln_tests::{
    kiln::{Kiln, said},
    peers::{Peers, installed},
    registry::{Access, Options, Registry, docker_registry},
    who::everybody,
};
use serde_json::Value;

use super::{app, build, json, with_busybox};

const APP: &str = "FROM busybox\nRUN echo hello > /greeting\nCMD [\"cat\", \"/greeting\"]\n";

fn manifest_requests(registry: &Registry) -> Vec<String> {
    let requests = registry.requests().into_iter();
    let puts = requests.filter(|r| r.method == "PUT" && r.path.contains("/manifests/"));
    puts.map(|r| r.path).collect()
}

fn uploads(registry: &Registry) -> usize {
    let requests = registry.requests();
    let done = |r: &&kiln_tests::registry::Request| r.method == "PUT" && r.path.contains("digest=");
    requests.iter().filter(done).count()
}

#[test]
fn a_build_is_pushed_and_stays_here() {
    everybody(|_, kiln| {
        let registry = docker_registry(kiln.scratch()).expect("docker-registry is installed");
        app(kiln, APP);
        let name = format!("{}/me/app:1", registry.address());
        let id = build(kiln, &["-t", &name, "--push", "--metadata-file", "meta"]);
        assert_eq!(kiln.ok(["run", "--rm", &name]), "hello\n");
        let meta = json(&kiln.scratch().join("meta"));
        assert_eq!(meta["containerimage.config.digest"], id.trim());
        assert_eq!(meta["image.name"], *name);
        let digest = meta["containerimage.digest"].as_str().unwrap().to_owned();
        kiln.ok(["rmi", "-f", id.trim()]);
        let pulled = kiln.ok(["pull", &name]);
        assert!(pulled.contains(&digest), "{pulled}");
        assert_eq!(kiln.ok(["images", "-q", "--no-trunc", &name]), id);
    });
}

#[test]
fn what_a_registry_has_is_not_sent_again() {
    let kiln = with_busybox();
    let registry = Registry::start();
    app(&kiln, APP);
    let name = format!("{}/me/app:1", registry.address());
    build(&kiln, &["-t", &name, "--push"]);
    assert_eq!(uploads(&registry), 3, "two layers and a config");
    registry.forget_requests();
    build(&kiln, &["-t", &name, "--push"]);
    assert_eq!(uploads(&registry), 0);
    assert!(
        !manifest_requests(&registry).is_empty(),
        "the name is set again"
    );
}

#[test]
fn finished_layers_are_on_their_way_while_the_next_step_runs() {
    let kiln = with_busybox();
    let registry = Registry::start();
    app(
        &kiln,
        "FROM busybox\nRUN echo first > /first\nRUN sleep 2; false\n",
    );
    let name = format!("{}/me/app:1", registry.address());
    let failed = kiln.fails(["build", "-t", &name, "--push", "app"]);
    assert!(failed.err.contains("exit code: 1"), "{}", failed.err);
    assert!(
        uploads(&registry) >= 1,
        "the first layer went out before the second step was done"
    );
    assert_eq!(
        manifest_requests(&registry),
        [""; 0],
        "and nothing has a name"
    );
}

#[test]
fn by_digest_no_tag_is_touched() {
    let kiln = with_busybox();
    let registry = Registry::start();
    app(&kiln, APP);
    let name = format!("{}/me/app", registry.address());
    let to = format!("type=image,name={name},push-by-digest=true,push=true");
    build(&kiln, &["-o", &to, "--metadata-file", "meta"]);
    let meta = json(&kiln.scratch().join("meta"));
    let digest = meta["containerimage.digest"].as_str().unwrap().to_owned();
    assert_eq!(
        manifest_requests(&registry),
        [format!("/v2/me/app/manifests/{digest}")]
    );
    assert_eq!(meta["image.name"], format!("{name}@{digest}"));
    assert!(
        !kiln.ok(["images"]).contains("me/app"),
        "no name, no image here"
    );
    let whole = format!("{name}@{digest}");
    kiln.ok(["pull", &whole]);
}

#[test]
fn several_names_in_several_registries() {
    let kiln = with_busybox();
    let (one, two) = (Registry::start(), Registry::start());
    app(&kiln, APP);
    let names = [
        format!("{}/a:1", one.address()),
        format!("{}/b:1", one.address()),
        format!("{}/a:2", two.address()),
    ];
    let to = format!("type=registry,\"name={},{}\"", names[1], names[2]);
    let said = kiln.run(["build", "-t", &names[0], "-o", &to, "app"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for name in &names {
        assert!(said.err.contains(&format!("pushed {name}")), "{}", said.err);
        kiln.ok(["pull", name]);
    }
}

#[test]
fn a_push_without_a_name_is_refused() {
    let kiln = with_busybox();
    app(&kiln, APP);
    for args in [&["--push"][..], &["-o", "type=registry"]] {
        let refused = kiln.fails([&["build"], args, &["app"]].concat());
        assert!(
            refused
                .err
                .contains("tag is needed when pushing to registry"),
            "{}",
            refused.err
        );
        assert!(
            !refused.err.contains("RUN echo"),
            "before anything runs: {}",
            refused.err
        );
    }
}

#[test]
fn a_registry_that_asks_who_one_is() {
    let kiln = Kiln::new();
    kiln_tests::base::busybox(&kiln);
    let registry = Registry::start_with(Options {
        access: Access::Basic("bWU6c2VjcmV0".to_owned()),
        ..Options::default()
    });
    app(&kiln, APP);
    let name = format!("{}/me/app:1", registry.address());
    let refused = kiln.fails(["build", "-t", &name, "--push", "app"]);
    assert!(
        refused.err.to_lowercase().contains("login"),
        "{}",
        refused.err
    );
    let mut login = kiln.command(["login", "-u", "me", "-p", "secret", &registry.address()]);
    assert_eq!(said(&mut login).code, 0);
    build(&kiln, &["-t", &name, "--push"]);
    assert!(!manifest_requests(&registry).is_empty());
}

#[test]
fn layers_and_documents_have_the_form_that_is_asked_for() {
    if !installed(&["skopeo"]) {
        return;
    }
    let (kiln, peers) = (with_busybox(), Peers::new());
    let Some(registry) = docker_registry(kiln.scratch()) else {
        return;
    };
    app(&kiln, APP);
    let name = format!("{}/me/app:1", registry.address());
    let inspect = |name: &str| -> Value {
        let from = format!("docker://{name}");
        let raw = peers.ok("skopeo inspect --raw --tls-verify=false", &[&from]);
        serde_json::from_str(&raw).unwrap()
    };
    let to = format!(
        "type=image,push=true,name={name},compression=zstd,compression-level=5,annotation.a=b"
    );
    build(&kiln, &["-o", &to]);
    let manifest = inspect(&name);
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(
            layer["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+zstd"
        );
    }
    assert_eq!(manifest["annotations"]["a"], "b");
    build(
        &kiln,
        &[
            "-o",
            &format!("type=registry,name={name}2,oci-mediatypes=false"),
        ],
    );
    let manifest = inspect(&format!("{name}2"));
    assert_eq!(
        manifest["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.docker.container.image.v1+json"
    );
}

#[test]
fn layers_on_their_way_are_told_of() {
    let kiln = with_busybox();
    let registry = Registry::start();
    app(&kiln, APP);
    let name = format!("{}/me/app:1", registry.address());
    let push = |name: &str| {
        let said = kiln.run(["build", "--progress=plain", "-t", name, "--push", "app"]);
        assert_eq!(said.code, 0, "{}", said.err);
        let lines = said.err.lines().filter(|line| line.starts_with("push to "));
        let mut words: Vec<String> = lines
            .map(|line| {
                let (to, what) = line["push to ".len()..].split_once(": sha256:").unwrap();
                let words: Vec<&str> = what.split(' ').skip(2).collect();
                format!("{} {}", to.rsplit('/').next().unwrap(), words.join(" "))
            })
            .collect();
        words.sort();
        words
    };
    // One is new, and goes out beside the build; the other one after it.
    assert_eq!(push(&name), ["app pushed"; 2]);
    assert_eq!(push(&name), ["app is there already"; 2]);
    let other = format!("{}/me/other:1", registry.address());
    let mounted = "other taken from another repository there";
    assert_eq!(push(&other), [mounted; 2]);
}

#[test]
fn names_in_the_store_can_have_the_digest() {
    let kiln = with_busybox();
    let registry = Registry::start();
    app(&kiln, APP);
    let id = build(
        &kiln,
        &[
            "-o",
            "type=image,name=app:1,name-canonical=true,dangling-name-prefix=left",
        ],
    );
    let digest = id.trim();
    for name in ["app:1", &format!("app@{digest}"), &format!("left@{digest}")] {
        assert_eq!(
            kiln.ok(["run", "--rm", "--pull=never", name]),
            "hello\n",
            "{name}"
        );
    }
    let name = format!("{}/me/app", registry.address());
    let to = format!("type=registry,name={name}:1,name-canonical=1");
    build(&kiln, &["-o", &to, "--metadata-file", "meta"]);
    let meta = json(&kiln.scratch().join("meta"));
    let digest = meta["containerimage.digest"].as_str().unwrap();
    assert_ne!(digest, id.trim(), "that of the manifest");
    assert_eq!(
        kiln.ok(["run", "--rm", "--pull=never", &format!("{name}@{digest}")]),
        "hello\n"
    );
    // The name of nothing else has gone to the registry.
    assert_eq!(
        manifest_requests(&registry).len(),
        2,
        "the digest, and one tag"
    );
}
