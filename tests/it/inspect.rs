//! What kiln says of an image: in agreement with what another builder makes of the same
//! Dockerfile, and under docker's names.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use kiln_tests::{
    base::busybox,
    kiln::{Kiln, said},
    peers::{Peers, installed},
};
use serde_json::Value;

const EVERY: &str = include_str!("../fixtures/inspect/every.Dockerfile");
const SHELL: &str = include_str!("../fixtures/inspect/shell.Dockerfile");
const OWN_SHELL: &str = include_str!("../fixtures/inspect/own-shell.Dockerfile");
const INHERITED: &str = include_str!("../fixtures/inspect/inherited.Dockerfile");

/// Where kiln and buildah may differ, as `DOCKERFILE/path/of/field`, and why. `*` stands for one
/// name or number. An exception that nothing here needs is one too many.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("*/created", "when it was made"),
    ("*/history/*/created", "when it was made"),
    ("*/container", "the id of buildah's working container"),
    (
        "*/container_config",
        "the config of buildah's working container",
    ),
    ("*/config/Hostname", "the id of buildah's working container"),
    ("*/parent", "the id of an image that only buildah has"),
    (
        "*/config/Labels/io.buildah.version",
        "buildah signs its images",
    ),
    (
        "*/config/ExposedPorts/7000-7002~1tcp",
        "docker has one entry for each port of a range, and so has kiln",
    ),
    (
        "*/config/ExposedPorts/9000-9001~1udp",
        "docker has one entry for each port of a range, and so has kiln",
    ),
    (
        "*/history/*/created_by",
        "kiln writes it as BuildKit does; the instructions are compared below",
    ),
    (
        "*/history/*/comment",
        "buildah names the step before, kiln the dialect of `created_by`",
    ),
    (
        "*/history/*/author",
        "buildah repeats the author with each step, docker does not",
    ),
    (
        "*/history/*/empty_layer",
        "WORKDIR makes a layer where the folder is new, as with docker; buildah's is in the next RUN's",
    ),
    (
        "own-shell/config/Cmd/*",
        "buildah has `/bin/sh -c` where SHELL says something else",
    ),
    (
        "own-shell/config/Entrypoint/*",
        "buildah has `/bin/sh -c` where SHELL says something else",
    ),
    (
        "*/rootfs/diff_ids/*",
        "the bytes of a layer are each builder's own",
    ),
];

/// The leaves of a document by path; what Go leaves out or writes as nothing is no leaf.
fn leaves(value: &Value, at: &str, out: &mut BTreeMap<String, Value>) {
    let below = |name: &str| format!("{at}/{}", name.replace('/', "~1"));
    // Members of docker's sets are empty objects; elsewhere such a one says nothing.
    let member = ["/Volumes/", "/ExposedPorts/"]
        .iter()
        .any(|s| at.contains(s));
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(k, v)| leaves(v, &below(k), out));
        }
        Value::Array(list) => {
            let each = list.iter().enumerate();
            each.for_each(|(i, v)| leaves(v, &below(&i.to_string()), out));
        }
        Value::Null | Value::Bool(false) => {}
        Value::Object(_) if !member => {}
        Value::String(s) if s.is_empty() => {}
        leaf => {
            out.insert(at.to_owned(), leaf.clone());
        }
    }
}

/// The exception that covers a path: it, or a folder that it is in.
fn exception(path: &str) -> Option<&'static str> {
    let covers = |pattern: &str| {
        let mut names = path.split('/');
        pattern
            .split('/')
            .all(|p| names.next().is_some_and(|n| p == "*" || p == n))
    };
    EXCEPTIONS.iter().map(|e| e.0).find(|p| covers(p))
}

/// The instruction of a line of history, whoever wrote it.
fn instruction(created_by: &str) -> String {
    let text = created_by
        .strip_prefix("/bin/sh -c #(nop) ")
        .unwrap_or(created_by);
    let word = text.split_whitespace().next().unwrap_or_default();
    let known = !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase());
    // The classic builder does not write the word RUN.
    if known { word } else { "RUN" }.to_owned()
}

fn instructions(config: &Value) -> Vec<String> {
    let history = config["history"].as_array().unwrap();
    // The first line is the base's.
    let lines = history[1..].iter().map(|h| h["created_by"].as_str());
    let all = lines.map(|c| instruction(c.unwrap_or_default()));
    // What is kept for images made of this one is no line of kiln's, as it is none of BuildKit's.
    all.filter(|c| c != "ONBUILD").collect()
}

/// The config of an image of kiln, as it is in the archive that others read.
fn config(kiln: &Kiln, name: &str) -> Value {
    let tar = kiln.scratch().join("saved.tar");
    kiln.ok(["save", "-o", tar.to_str().unwrap(), name]);
    let id = kiln.ok(["inspect", "-f", "{{.Id}}", name]);
    let member = format!("blobs/{}", id.trim().replace(':', "/"));
    let read = said(Command::new("tar").arg("-xOf").arg(tar).arg(member));
    assert_eq!(read.code, 0, "{}", read.err);
    serde_json::from_str(&read.out).unwrap()
}

/// The config of the same image by buildah.
fn config_by_buildah(peers: &Peers, context: &str) -> Value {
    let build = "buildah bud -q --format docker --runtime runc --layers -t built";
    peers.ok(build, &[context]);
    let inspected = peers.ok("buildah inspect --type image built", &[]);
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    inspected["Docker"].clone()
}

#[test]
fn agrees_with_buildah_on_every_field_that_buildah_sets() {
    if !installed(&["buildah", "runc"]) {
        return;
    }
    let (kiln, peers) = (Kiln::new(), Peers::new());
    busybox(&kiln);
    let base = kiln.scratch().join("base.tar");
    kiln.ok(["save", "-o", base.to_str().unwrap(), "busybox"]);
    let archive = format!("docker-archive:{}", base.display());
    peers.ok("buildah pull -q", &[&archive]);

    let mut needed = BTreeSet::new();
    for (name, text) in [
        ("every", EVERY),
        ("shell", SHELL),
        ("own-shell", OWN_SHELL),
        ("inherited", INHERITED),
    ] {
        kiln.build(name, &[("Dockerfile", text)]);
        let ours = config(&kiln, name);
        let context = kiln.scratch().join(name);
        let theirs = config_by_buildah(&peers, context.to_str().unwrap());
        assert_eq!(instructions(&ours), instructions(&theirs), "{name}");

        let (mut our_leaves, mut their_leaves) = (BTreeMap::new(), BTreeMap::new());
        leaves(&ours, name, &mut our_leaves);
        leaves(&theirs, name, &mut their_leaves);
        let mut wrong = Vec::new();
        for (path, value) in &their_leaves {
            let have = our_leaves.get(path);
            if have == Some(value) {
                continue;
            }
            match exception(path) {
                Some(pattern) => {
                    needed.insert(pattern);
                }
                None => wrong.push(format!("{path}: buildah {value}, kiln {have:?}")),
            }
        }
        assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    }
    let unneeded: Vec<_> = EXCEPTIONS
        .iter()
        .filter(|e| !needed.contains(e.0))
        .collect();
    assert!(unneeded.is_empty(), "needed by nothing: {unneeded:?}");
}

/// The keys of docker's answer that an image of kiln always has.
const KEYS: &[&str] = &[
    "Architecture",
    "Author",
    "Comment",
    "Config",
    "Created",
    "GraphDriver",
    "Id",
    "Metadata",
    "Os",
    "OsVersion",
    "Parent",
    "RepoDigests",
    "RepoTags",
    "RootFS",
    "Size",
    "Variant",
];

/// The keys of its config.
const CONFIG_KEYS: &[&str] = &[
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

fn has_keys(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "no `{key}` in {value}");
    }
}

#[test]
fn has_dockers_keys_whether_or_not_there_is_anything_to_say() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build("every", &[("Dockerfile", EVERY)]);
    let answer: Value = serde_json::from_str(&kiln.ok(["inspect", "every", "busybox"])).unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 2);
    for image in answer.as_array().unwrap() {
        has_keys(image, KEYS);
        has_keys(&image["Config"], CONFIG_KEYS);
        assert_eq!(image["RootFS"]["Type"], "layers");
    }
    let saved = config(&kiln, "every");
    let every = &answer[0];
    assert_eq!(every["RepoTags"], serde_json::json!(["every:latest"]));
    assert_eq!(every["RootFS"]["Layers"], saved["rootfs"]["diff_ids"]);
    assert_eq!(every["Created"], saved["created"]);
    assert_eq!(every["Author"], "Ada Lovelace <ada@example.org>");
    for (name, value) in saved["config"].as_object().unwrap() {
        assert_eq!(&every["Config"][name], value, "{name}");
    }
    for port in ["7000/tcp", "7001/tcp", "7002/tcp", "9000/udp", "9001/udp"] {
        let exposed = &every["Config"]["ExposedPorts"][port];
        assert!(exposed.is_object(), "{port}: {exposed}");
    }
    let said = kiln.fails(["inspect", "busybox", "nothing"]);
    assert!(said.out.contains("busybox:latest"), "{}", said.out);
    assert!(said.err.contains("nothing"), "{}", said.err);
}

#[test]
fn templates_that_people_use() {
    let kiln = Kiln::new();
    busybox(&kiln);
    let id = kiln.build("every", &[("Dockerfile", EVERY)]);
    for (template, expected) in [
        ("{{.Id}}", id.as_str()),
        ("{{.Os}}/{{.Architecture}}", "linux/amd64"),
        ("{{index .RepoTags 0}}", "every:latest"),
        ("{{json .RepoTags}}", r#"["every:latest"]"#),
        ("{{json .Config.Cmd}}", r#"["one","two words","$A"]"#),
        ("{{.Config.Entrypoint}}", "[/bin/busybox env]"),
        ("{{json .Config.WorkingDir}}", r#""/app/sub/1.2-beta""#),
        ("{{.Config.User}}", "user:staff"),
        ("{{.Config.Labels.one}}", "uno"),
        (r#"{{index .Config.Labels "dotted.key"}}"#, "again"),
        (r#"{{index .Config.Labels "none"}}"#, ""),
        (r#"{{join .Config.Shell " "}}"#, "/bin/sh -e -c"),
        ("{{.Config.Healthcheck.Retries}}", "7"),
        (
            "{{range $p, $x := .Config.Volumes}}{{$p}};{{end}}",
            "/b c;/data;/var/log/a;",
        ),
        (
            r#"{{range .Config.Env}}{{println .}}{{end}}"#,
            "PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nA=again\n\
             B=two words\nOLD=style  of value\nV=1.2\nC=1\nEMPTY=\nQUOTED=a\"b\nDOLLAR=$A\n\
             BRACES=defaultset\n",
        ),
        (
            "{{with .Config.Healthcheck}}{{.Test}}{{end}}",
            "[CMD-SHELL test -e /ok || exit 1]",
        ),
        (
            "{{if .Config.OnBuild}}{{len .Config.OnBuild}}{{else}}none{{end}}",
            "2",
        ),
        (
            r#"{{.Config.StopSignal | lower | printf "%s!"}}"#,
            "sigusr1!",
        ),
    ] {
        let out = kiln.ok(["inspect", "--format", template, "every"]);
        assert_eq!(out, format!("{expected}\n"), "{template}");
    }
    for (template, expected) in [
        ("{{json .Config.Labels}}", "null"),
        ("{{range .Config.Env}}{{.}}{{end}}", ""),
        ("{{len .RootFS.Layers}}", "1"),
    ] {
        let out = kiln.ok(["inspect", "--format", template, "busybox"]);
        assert_eq!(out, format!("{expected}\n"), "{template}");
    }
    let said = kiln.fails(["inspect", "-f", "{{.Config.Labels", "every"]);
    assert!(said.err.contains("is not closed"), "{}", said.err);
}
