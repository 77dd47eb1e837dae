//! `kiln image tree` and `kiln image big`: where the bytes of an image are.

use std::fs;

use kiln_tests::{
    base::busybox,
    kiln::Kiln,
    registry::Registry,
    who::{Who, everybody},
};
use serde_json::Value;

/// Deletes, changes the mode, writes again, moves, links, and copies.
const DOCKERFILE: &str = r#"FROM busybox
RUN mkdir -p /opt/d && head -c 300000 /dev/urandom > /opt/big && head -c 200000 /dev/urandom > /opt/tool && for i in 1 2 3; do head -c 10000 /dev/urandom > /opt/d/$i; done && head -c 50000 /dev/urandom > /opt/linked && ln /opt/linked /opt/other && head -c 7000 /dev/urandom > /opt/moved
ENV EMPTY=layer
RUN rm -r /opt/big /opt/d && mv /opt/moved /opt/there
RUN chmod 700 /opt/tool
RUN rm /opt/linked && echo new > /etc/passwd
RUN cp /opt/tool /opt/copy && cp /opt/tool /opt/again
"#;

fn built(kiln: &Kiln) {
    kiln.build("app", &[("Dockerfile", DOCKERFILE)]);
}

fn json(kiln: &Kiln, args: &[&str]) -> Value {
    let out = kiln.ok([&["image"], args, &["--format", "json"]].concat());
    assert_eq!(out.lines().count(), 1);
    serde_json::from_str(&out).unwrap()
}

/// What there is of one path in a layer.
fn entry<'v>(tree: &'v Value, layer: usize, path: &str) -> &'v Value {
    let entries = tree["Layers"][layer - 1]["Entries"].as_array().unwrap();
    let found = entries.iter().find(|e| e["Path"] == path);
    found.unwrap_or_else(|| panic!("no {path} in layer {layer} of {tree}"))
}

/// By whom, how, and in what it differs.
fn gone(entry: &Value) -> (u64, &str, Vec<&str>) {
    let gone = &entry["Gone"];
    let differs = gone["Differs"].as_array();
    (
        gone["By"].as_u64().unwrap(),
        gone["How"].as_str().unwrap(),
        differs.map_or_else(Vec::new, |d| d.iter().filter_map(Value::as_str).collect()),
    )
}

#[test]
fn where_the_bytes_are() {
    everybody(|who, kiln| {
        built(kiln);
        let tree = json(kiln, &["tree", "app"]);
        assert_eq!(tree["Name"], "app:latest");
        let layers = tree["Layers"].as_array().unwrap();
        assert_eq!(layers.len(), 6, "{who:?}");
        assert!(
            layers[1]["CreatedBy"]
                .as_str()
                .unwrap()
                .contains("mkdir -p /opt/d")
        );
        assert!(
            layers[3]["CreatedBy"]
                .as_str()
                .unwrap()
                .contains("chmod 700")
        );
        assert_eq!(layers[1]["Size"], 587_000);
        assert_eq!(layers[1]["Deleted"], 337_000);
        assert_eq!(layers[1]["Replaced"], 200_000);
        assert_eq!(layers[1]["Seen"], 50_000);
        for (path, want) in [
            ("/opt/big", (3, "deleted", vec![])),
            ("/opt/d/2", (3, "deleted", vec![])),
            ("/opt/moved", (3, "moved", vec![])),
            ("/opt/tool", (4, "repeated", vec!["mode"])),
        ] {
            assert_eq!(gone(entry(&tree, 2, path)), want, "{who:?}: {path}");
        }
        assert_eq!(
            gone(entry(&tree, 1, "/etc/passwd")),
            (5, "replaced", vec![])
        );
        // Under its other name it is still there.
        let names = ["/opt/linked", "/opt/other"];
        let entries = layers[1]["Entries"].as_array().unwrap().iter();
        let linked: Vec<_> = entries
            .filter(|e| names.iter().any(|n| e["Path"] == *n))
            .collect();
        assert_eq!((linked.len(), &linked[0]["Gone"]), (1, &Value::Null));
        let folder = entry(&tree, 2, "/opt/d");
        assert_eq!(
            (&folder["Kind"], &folder["Size"]),
            (&"folder".into(), &30_000.into())
        );
        // The same sizes as in the history.
        let history = kiln.ok(["history", "--human=false", "--format", "{{.Size}}", "app"]);
        let sizes = history
            .lines()
            .filter(|s| *s != "0")
            .map(|s| s.parse::<u64>().unwrap());
        let told = layers.iter().rev().map(|l| l["Size"].as_u64().unwrap());
        assert!(sizes.eq(told), "{who:?}: {history}");
    });
}

#[test]
fn what_could_be_saved() {
    let kiln = Who::Root.kiln();
    built(&kiln);
    let big = json(&kiln, &["big", "app"]);
    let largest = &big["LargestFiles"];
    assert_eq!(largest[0]["Path"], "/bin/busybox");
    assert_eq!(
        (&largest[1]["Path"], &largest[1]["Layer"]),
        (&"/opt/big".into(), &2.into())
    );
    let wastes = big["Wastes"].as_array().unwrap();
    let told: Vec<(u64, &str)> = wastes
        .iter()
        .map(|w| (w["Size"].as_u64().unwrap(), w["How"].as_str().unwrap()))
        .collect();
    let [deleted, repeated, moved, replaced] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(deleted, (330_000, "deleted"));
    assert_eq!(repeated, (200_000, "repeated"));
    assert_eq!(moved, (7_000, "moved"));
    assert_eq!(replaced.1, "replaced");
    assert_eq!(wastes[0]["Paths"].as_array().unwrap().len(), 4);
    let twice = &big["Duplicates"][0];
    assert_eq!(
        (&twice["Size"], &twice["FileSize"]),
        (&400_000.into(), &200_000.into())
    );
    assert_eq!(twice["Copies"].as_array().unwrap().len(), 3);
    let all = 330_000 + 200_000 + 7_000 + replaced.0 + 400_000;
    let twice: u64 = big["Duplicates"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|d| d["Size"].as_u64().unwrap())
        .sum();
    assert_eq!(big["CouldBeSaved"], all + twice);
    let one = json(&kiln, &["big", "-n", "1", "app"]);
    for list in ["LargestFiles", "Wastes", "Duplicates"] {
        assert_eq!(one[list].as_array().unwrap().len(), 1, "{list}");
    }
}

#[test]
fn for_people() {
    let kiln = Who::Root.kiln();
    built(&kiln);
    let out = kiln.ok(["image", "tree", "app"]);
    assert!(out.starts_with("app:latest: "), "{out}");
    for want in [
        "layer 2  RUN /bin/sh -c mkdir -p /opt/d",
        " 300kB ",
        "big  ← deleted by layer 3: RUN rm -r /opt/big /opt/d",
        "tool  ← written again with other mode by layer 4: RUN chmod 700 /opt/tool",
    ] {
        assert!(out.contains(want), "no `{want}` in:\n{out}");
    }
    let one = kiln.ok(["image", "tree", "--layer", "4", "--depth", "1", "app"]);
    assert_eq!(one.matches("layer ").count(), 1, "{one}");
    let big = kiln.ok(["image", "big", "app"]);
    for want in [
        "Largest files\n",
        "Could be saved: ",
        "4 files in /opt/",
        "the same 200kB 3 times",
    ] {
        assert!(big.contains(want), "no `{want}` in:\n{big}");
    }
    let short = kiln.ok(["image", "big", "-n", "1", "app"]);
    assert!(short.contains(" more\n"), "{short}");
    let size = kiln.ok(["image", "big", "--format", "{{len .Layers}}", "app"]);
    assert_eq!(size, "6\n");
}

#[test]
fn mistakes() {
    let kiln = Who::Root.kiln();
    for command in ["tree", "big"] {
        let said = kiln.fails(["image", command, "nothing"]);
        assert_eq!(said.err, "error: no such image: `nothing`\n");
        assert_eq!(said.err, kiln.fails(["history", "nothing"]).err);
    }
    let said = kiln.fails(["image", "tree", "--layer", "7", "busybox"]);
    assert!(
        said.err.contains("`busybox:latest` has no layer 7"),
        "{}",
        said.err
    );
    assert!(said.err.contains("its layers are 1 to 1"), "{}", said.err);
    let help = kiln.ok(["image", "--help"]);
    assert!(help.contains("tree ") && help.contains("big "), "{help}");
}

/// However an image came, and whatever of it is left: nothing is unpacked.
#[test]
fn pulled_loaded_imported_and_without_trees() {
    let kiln = Who::Root.kiln();
    built(&kiln);
    let want = json(&kiln, &["tree", "app"]);
    let (registry, puller) = (Registry::start(), Kiln::new());
    let name = format!("{}/app:latest", registry.address());
    kiln.ok(["tag", "app", &name]);
    kiln.ok(["push", "-q", &name]);
    puller.ok(["pull", "-q", &name]);
    assert_eq!(json(&puller, &["tree", &name])["Layers"], want["Layers"]);
    kiln.ok(["save", "-o", "app.tar", "app"]);
    let other = Kiln::new();
    let tar = kiln.scratch().join("app.tar");
    other.ok(["load", "-i", tar.to_str().unwrap()]);
    assert_eq!(json(&other, &["tree", "app"]), want);
    // Nobody knows the trees any more.
    forget_trees(&other);
    assert_eq!(json(&other, &["tree", "app"]), want);
    let unpacked = fs::read_dir(other.root().join("unpacked/sha256"));
    assert_eq!(unpacked.map_or(0, Iterator::count), 0);
    busybox(&other);
    let imported = json(&other, &["tree", "busybox"]);
    assert_eq!(imported["Layers"].as_array().unwrap().len(), 1);
    assert!(imported["Size"].as_u64().unwrap() > 100_000);
}

/// As in a store that was given its layers without looking at them.
fn forget_trees(kiln: &Kiln) {
    let mut known = 0;
    let mut open = vec![kiln.root().join("layers")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let mut facts: Value = match serde_json::from_slice(&fs::read(&path).unwrap()) {
                Ok(facts) => facts,
                Err(_) => continue,
            };
            if facts.as_object_mut().unwrap().remove("tree").is_some() {
                fs::write(&path, facts.to_string()).unwrap();
                known += 1;
            }
        }
    }
    assert!(known > 0, "no facts of layers in {}", kiln.root().display());
}
