//! `kiln commit`: images of what a container changed.

use kiln_tests::{base::busybox, kiln::Kiln};
use serde_json::Value;

fn prepared() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    let dockerfile = "FROM busybox
RUN mkdir /kept && echo a > /kept/a && echo b > /kept/b
ENV A=1
LABEL of=image
CMD [\"cat\", \"/kept/a\"]
";
    kiln.build("app", &[("Dockerfile", dockerfile)]);
    kiln
}

fn inspect(kiln: &Kiln, name: &str) -> Value {
    let text = kiln.ok(["image", "inspect", name]);
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

fn layers(image: &Value) -> Vec<Value> {
    image["RootFS"]["Layers"].as_array().unwrap().clone()
}

#[test]
fn one_more_layer_with_just_the_changes() {
    let kiln = prepared();
    let script = "echo new > /made; rm /kept/b; echo changed > /kept/a; chmod 700 /kept";
    kiln.ok(["run", "--name", "box", "app", "sh", "-c", script]);
    let diff = kiln.ok(["diff", "box"]);
    assert_eq!(diff, "C /kept\nC /kept/a\nD /kept/b\nA /made\n");
    let args = [
        "commit",
        "-m",
        "by hand",
        "-a",
        "Ann <ann@example.org>",
        "box",
        "app:2",
    ];
    let id = kiln.ok(args);
    assert!(id.starts_with("sha256:") && id.trim().len() == 71, "{id}");
    let (old, new) = (inspect(&kiln, "app"), inspect(&kiln, "app:2"));
    assert_eq!(new["Id"], id.trim());
    let (below, all) = (layers(&old), layers(&new));
    assert_eq!(all.len(), below.len() + 1);
    assert_eq!(all[..below.len()], below);
    assert_eq!(new["Author"], "Ann <ann@example.org>");
    assert_eq!(new["Comment"], "by hand");
    assert_eq!(new["Config"]["Env"], old["Config"]["Env"]);
    assert_eq!(new["Config"]["Labels"], old["Config"]["Labels"]);
    // docker keeps the command that the container was made with.
    assert_eq!(new["Config"]["Cmd"][0], "sh");
    let out = kiln.ok([
        "run",
        "--rm",
        "app:2",
        "sh",
        "-c",
        "cat /made /kept/a; ls /kept",
    ]);
    assert_eq!(out, "new\nchanged\na\n");
    // The image that it came of is as it was.
    assert_eq!(kiln.ok(["run", "--rm", "app"]), "a\n");
    let history = kiln.ok([
        "history",
        "--format",
        "{{.CreatedBy}}|{{.Comment}}",
        "app:2",
    ]);
    let newest = history.lines().next().unwrap();
    assert!(
        newest.starts_with("sh -c") && newest.ends_with("|by hand"),
        "{history}"
    );
    kiln.ok(["rm", "box"]);
    kiln.ok(["rmi", "app"]);
    assert_eq!(kiln.ok(["run", "--rm", "app:2", "cat", "/made"]), "new\n");
    assert_eq!(
        kiln.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
}

#[test]
fn with_changes_of_the_config() {
    let kiln = prepared();
    kiln.ok(["create", "--name", "box", "-e", "B=2", "app"]);
    let changes = [
        "-c",
        "CMD [\"sh\", \"-c\", \"echo $A$B$C; pwd; id -un\"]",
        "-c",
        "ENV C=3",
        "--change",
        "WORKDIR /kept",
        "--change",
        "USER user",
        "--change",
        "EXPOSE 80",
        "--change",
        "LABEL l=m",
    ];
    kiln.ok([&["commit"], &changes[..], &["box", "changed"]].concat());
    assert_eq!(kiln.ok(["run", "--rm", "changed"]), "123\n/kept\nuser\n");
    let config = &inspect(&kiln, "changed")["Config"];
    assert_eq!(config["Labels"]["l"], "m");
    assert_eq!(config["Labels"]["of"], "image");
    assert!(config["ExposedPorts"]["80/tcp"].is_object());
    // What ran when the layer was made, not what is to run.
    let history = kiln.ok([
        "history",
        "--no-trunc",
        "--format",
        "{{.CreatedBy}}",
        "changed",
    ]);
    let ran = kiln.ok(["inspect", "-f", "{{.Path}} {{join .Args \" \"}}", "box"]);
    assert_eq!(history.lines().next(), Some(ran.trim()));
    for (change, why) in [
        ("RUN true", "RUN is not a valid change command"),
        ("NONSENSE x", "NONSENSE"),
    ] {
        let said = kiln.fails(["commit", "-c", change, "box"]);
        assert!(said.err.contains(why), "{}", said.err);
    }
}

#[test]
fn of_one_that_runs_without_touching_it() {
    let kiln = prepared();
    let script = "echo 1 > /one; until [ -e /go ]; do sleep 0.02; done; cat /one";
    kiln.ok(["run", "-d", "--name", "box", "app", "sh", "-c", script]);
    kiln.ok([
        "exec",
        "box",
        "sh",
        "-c",
        "until [ -s /one ]; do sleep 0.02; done",
    ]);
    let said = kiln.fails(["commit", "--pause", "box"]);
    assert!(said.err.contains("cannot be paused"), "{}", said.err);
    let id = kiln.ok(["commit", "--pause=false", "box"]);
    assert_eq!(kiln.ok(["run", "--rm", id.trim(), "cat", "/one"]), "1\n");
    kiln.ok(["exec", "box", "touch", "/go"]);
    assert_eq!(kiln.ok(["wait", "box"]), "0\n");
    assert_eq!(kiln.ok(["logs", "box"]), "1\n");
    let listed = kiln.ok(["images", "--filter", "dangling=true", "-q", "--no-trunc"]);
    assert_eq!(listed, id);
}

#[test]
fn what_cannot_be_named() {
    let kiln = prepared();
    kiln.ok(["create", "--name", "box", "app"]);
    let said = kiln.fails(["commit", "box", "UPPER:case"]);
    assert!(said.err.contains("UPPER"), "{}", said.err);
    let said = kiln.fails(["commit", "nobody", "x"]);
    assert!(
        said.err.contains("No such container: nobody"),
        "{}",
        said.err
    );
}
