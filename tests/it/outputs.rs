//! Where a build goes: into folders, tars, archives, registries and other engines; what it is given on
//! the way, and what is told of it.

mod archives;
mod files;
mod pushes;

use std::fs;

use kiln_tests::{
    base::busybox,
    kiln::{Kiln, write},
    who::everybody,
};
use serde_json::Value;

/// A build in the folder `app` of the test's own.
fn app(kiln: &Kiln, dockerfile: &str) {
    write(&kiln.scratch().join("app/Dockerfile"), dockerfile);
}

fn with_busybox() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln
}

/// Builds with these arguments, and gives standard output.
fn build(kiln: &Kiln, args: &[&str]) -> String {
    let all = [&["build", "--progress=plain"], args, &["app"]].concat();
    kiln.ok(all)
}

fn inspected(kiln: &Kiln, name: &str) -> Value {
    let text = kiln.ok(["inspect", name]);
    let all: Value = serde_json::from_str(&text).unwrap();
    all[0].clone()
}

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn labels_go_over_those_of_the_dockerfile_and_into_no_history() {
    let kiln = with_busybox();
    app(&kiln, "FROM busybox\nLABEL a=1 b=1\nRUN echo x > /x\n");
    let plain = build(&kiln, &["-t", "plain"]);
    let labels = [
        "--label", "b=2", "--label", "c=3", "--label", "d=", "--label", "e",
    ];
    let id = build(&kiln, &[&labels[..], &["-t", "labelled"]].concat());
    assert_ne!(id, plain);
    let shown = inspected(&kiln, "labelled");
    let expected = serde_json::json!({"a": "1", "b": "2", "c": "3", "d": "", "e": ""});
    assert_eq!(shown["Config"]["Labels"], expected);
    let history =
        |name: &str| kiln.ok(["history", "--no-trunc", "--format", "{{.CreatedBy}}", name]);
    assert_eq!(history("plain"), history("labelled"));
    let refused = kiln.fails(["build", "--label", "=x", "app"]);
    assert!(refused.err.contains("empty name"), "{}", refused.err);
}

#[test]
fn the_id_and_what_came_of_it_are_written_for_programs() {
    everybody(|_, kiln| {
        app(kiln, "FROM busybox\nRUN echo x > /x\n");
        kiln_owns(kiln);
        let files = [
            "--iidfile",
            "out/id",
            "--metadata-file",
            "out/meta",
            "-t",
            "a",
            "-t",
            "b:2",
        ];
        let said = kiln.run([&["build", "-q"], &files[..], &["app"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        let at = kiln.scratch().join("out");
        let id = fs::read_to_string(at.join("id")).unwrap();
        assert_eq!(format!("{id}\n"), said.out, "no end of line in the file");
        let meta = json(&at.join("meta"));
        assert_eq!(meta["containerimage.config.digest"], *id);
        assert_eq!(meta["containerimage.digest"], *id, "no manifest went out");
        assert_eq!(
            meta["image.name"],
            "docker.io/library/a:latest,docker.io/library/b:2"
        );

        // What is there after a build that failed would tell of another one.
        app(kiln, "FROM busybox\nRUN false\n");
        kiln.fails([&["build", "-q"], &files[..], &["app"]].concat());
        assert!(!at.join("id").exists() && !at.join("meta").exists());
        let refused = kiln.fails(["build", "--iidfile", "nowhere/id", "app"]);
        assert!(
            refused.err.contains("the folder of `nowhere/id`"),
            "{}",
            refused.err
        );
        assert!(
            !refused.err.contains("RUN false"),
            "told before it is built"
        );
    });
}

/// The folder `out`, in which whoever runs kiln can write.
fn kiln_owns(kiln: &Kiln) {
    use std::os::unix::fs::PermissionsExt as _;
    let out = kiln.scratch().join("out");
    fs::create_dir_all(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn squashed_it_is_one_layer_with_the_same_files() {
    everybody(|_, kiln| {
        app(
            kiln,
            "FROM busybox AS one\nRUN echo secret > /gone && echo a > /a && ln /a /hard\n\
             FROM one\nRUN rm /gone && rm /etc/group && chmod 4711 /bin/busybox && rm -r /home\n\
             RUN mkdir /home && echo b > /home/b\nCMD [\"cat\", \"/a\"]\n",
        );
        let whole = build(kiln, &["-t", "whole"]);
        let id = build(kiln, &["--squash", "-t", "squashed"]);
        let layers = |name: &str| {
            inspected(kiln, name)["RootFS"]["Layers"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(
            (layers("busybox"), layers("whole"), layers("squashed")),
            (1, 4, 2)
        );
        let list = "cd /; cat /a; for p in proc sys dev etc/hosts etc/hostname etc/resolv.conf; do \
                    set -- \"$@\" -path ./$p -prune -o; done; \
                    find . \"$@\" -type f -exec stat -c '%a %u:%g %h %s %Y %n' {} + | sort; \
                    find . \"$@\" ! -type f -exec stat -c '%a %u:%g %F %N' {} + | sort";
        let seen = |name: &str| kiln.ok(["run", "--rm", name, "sh", "-c", list]);
        assert_eq!(seen("whole"), seen("squashed"));
        let told = kiln.ok(["history", "--no-trunc", "squashed"]);
        let base = kiln.ok(["images", "-q", "--no-trunc", "busybox"]);
        let merged = format!("merge {} to {}", whole.trim(), base.trim());
        assert!(told.contains(&merged), "{told}");
        kiln.ok(["save", "-o", "out.tar", "squashed"]);
        let bytes = fs::read(kiln.scratch().join("out.tar")).unwrap();
        let contains = |text: &[u8]| bytes.windows(text.len()).any(|w| w == text);
        assert!(!contains(b"secret\n"), "what was deleted is not in it");
        assert_eq!(build(kiln, &["--squash"]), id, "again, from its record");
    });
}

#[test]
fn squashed_upon_nothing_it_is_one_layer() {
    let kiln = with_busybox();
    app(&kiln, "FROM scratch\nCOPY a /\nCOPY b /a\nCOPY c /d/\n");
    for name in ["a", "b", "c"] {
        write(&kiln.scratch().join("app").join(name), name);
    }
    build(
        &kiln,
        &[
            "--squash",
            "-t",
            "squashed",
            "-o",
            "type=image",
            "-o",
            "out",
        ],
    );
    let layers = inspected(&kiln, "squashed")["RootFS"]["Layers"].clone();
    assert_eq!(layers.as_array().unwrap().len(), 1);
    assert_eq!(fs::read(kiln.scratch().join("out/a")).unwrap(), b"b");
    assert_eq!(fs::read(kiln.scratch().join("out/d/c")).unwrap(), b"c");
    let told = kiln.ok(["history", "--no-trunc", "squashed"]);
    assert!(told.contains("create new from sha256:"), "{told}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_runs() {
    let kiln = with_busybox();
    app(&kiln, "FROM busybox\nRUN echo told > /x\n");
    write(&kiln.scratch().join("file"), "");
    for (args, why) in [
        (
            &["-o", "type=zip,dest=x"][..],
            "there is no output of the type `zip`",
        ),
        (&["-o", "type=local,dest=file"], "is a file"),
        (&["-o", "type=tar,dest=app"], "is a directory"),
        (
            &["-o", "type=tar,dest=no/x.tar"],
            "the folder of `no/x.tar` is not there",
        ),
        (
            &["-o", "type=oci,dest=x,colour=red"],
            "there is no option `colour`",
        ),
        (
            &["-o", "type=registry,oci-artifact=true"],
            "is about attestations",
        ),
        (&["-o", "-", "-o", "type=oci"], "only one archive"),
        (
            &["-o", "-", "--progress=classic"],
            "writes to standard output",
        ),
        (
            &["-o", "type=oci,dest=x,rewrite-timestamp=true"],
            "needs SOURCE_DATE_EPOCH",
        ),
        (&["--annotation", "a"], "is not KEY=VALUE"),
        (
            &["--annotation", "other:a=b"],
            "unknown annotation type `other`",
        ),
        (
            &["-o", "out", "-o", "type=cacheonly", "--iidfile", "id"],
            "no output of this build is an image",
        ),
        (&["--load=lorry"], "invalid value 'lorry'"),
    ] {
        let refused = kiln.fails([&["build"], args, &["app"]].concat());
        assert_eq!(refused.code, 125, "{args:?} {}", refused.err);
        assert!(refused.err.contains(why), "{args:?} {}", refused.err);
        assert!(
            !refused.err.contains("RUN echo"),
            "{args:?} {}",
            refused.err
        );
    }
}

#[test]
fn what_is_told_of_a_build_is_of_what_came_of_it() {
    let kiln = with_busybox();
    app(&kiln, "FROM scratch\nCOPY Dockerfile /\n");
    let keys = |args: &[&str]| {
        let meta = ["build", "-q", "--metadata-file", "meta"];
        kiln.ok([&meta[..], args, &["app"]].concat());
        let meta = json(&kiln.scratch().join("meta"));
        let keys = meta.as_object().unwrap().keys().cloned();
        keys.collect::<Vec<_>>().join(" ")
    };
    let (config, digest) = ("containerimage.config.digest", "containerimage.digest");
    let descriptor = "containerimage.descriptor";
    let two = "--platform=linux/amd64,linux/arm64";
    let oci = "type=oci,dest=o.tar";
    for (args, expected) in [
        (&["-o", "out"][..], String::new()),
        (&["-o", "type=cacheonly"], String::new()),
        (&[], format!("{config} {digest}")),
        (&["-t", "a"], format!("{config} {digest} image.name")),
        (&["-o", oci], format!("{config} {descriptor} {digest}")),
        (&["-o", oci, two], format!("{descriptor} {digest}")),
    ] {
        assert_eq!(keys(args), expected, "{args:?}");
    }
    let meta = json(&kiln.scratch().join("meta"));
    assert_eq!(meta[descriptor]["digest"], meta[digest]);
    let kind = "application/vnd.oci.image.index.v1+json";
    assert_eq!(meta[descriptor]["mediaType"], kind);
}

#[test]
fn notes_that_nobody_will_see_are_told_of() {
    let kiln = Kiln::new();
    app(&kiln, "FROM scratch\nLABEL a=b\n");
    let warned = |to: &[&str]| {
        let note = ["build", "--annotation", "a=b"];
        let said = kiln.run([&note[..], to, &["app"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        said.err.contains("`--annotation` is of no effect")
    };
    assert!(warned(&[]));
    assert!(!warned(&["-o", "type=oci,dest=image.tar"]));
}

#[test]
fn a_build_into_nothing_is_only_remembered() {
    let kiln = with_busybox();
    app(&kiln, "FROM busybox\nRUN echo x > /x\n");
    let said = kiln.run(["build", "-o", "type=cacheonly", "-t", "name", "app"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    assert!(
        said.err.contains("no output of this build is one"),
        "{}",
        said.err
    );
    assert!(!kiln.ok(["images", "-a"]).contains("name"));
    let again = kiln.run(["build", "--progress=plain", "-t", "name", "app"]);
    assert!(again.err.contains("CACHED"), "{}", again.err);
}
