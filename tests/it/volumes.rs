//! `kiln volume`, and volumes in containers.

use kiln_tests::{base::busybox, kiln::Kiln};
use serde_json::Value;

fn prepared() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    let dockerfile = "FROM busybox
RUN mkdir -p /data/in && echo old > /data/in/file && chown -R user /data && chmod 750 /data
VOLUME /data
CMD [\"true\"]
";
    kiln.build("app", &[("Dockerfile", dockerfile)]);
    kiln
}

#[test]
fn made_listed_inspected_removed() {
    let kiln = Kiln::new();
    assert_eq!(kiln.ok(["volume", "ls"]), "DRIVER    VOLUME NAME\n");
    assert_eq!(kiln.ok(["volume", "create", "one"]), "one\n");
    assert_eq!(kiln.ok(["volume", "create", "one"]), "one\n");
    kiln.ok(["volume", "create", "--label", "a=1", "--label", "b", "two"]);
    let drawn = kiln.ok(["volume", "create"]);
    assert_eq!(drawn.trim().len(), 64);
    let listed = kiln.ok(["volume", "ls", "-q", "-f", "name=o"]);
    assert_eq!(listed, "one\ntwo\n");
    assert_eq!(kiln.ok(["volume", "ls", "-qf", "label=a=1"]), "two\n");
    let row = kiln.ok([
        "volume",
        "ls",
        "-f",
        "name=two",
        "--format",
        "{{.Name}} {{.Labels}}",
    ]);
    assert_eq!(row, "two a=1,b=\n");
    let text = kiln.ok(["volume", "inspect", "two"]);
    let volume: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(volume[0]["Driver"], "local");
    assert_eq!(volume[0]["Labels"]["a"], "1");
    let place = kiln.ok(["volume", "inspect", "-f", "{{.Mountpoint}}", "two"]);
    assert!(place.starts_with(kiln.root().to_str().unwrap()), "{place}");
    assert_eq!(kiln.ok(["volume", "rm", "two", "one"]), "two\none\n");
    let said = kiln.fails(["volume", "rm", "one"]);
    assert!(said.err.contains("get one: no such volume"), "{}", said.err);
    assert_eq!(said.code, 1);
    assert_eq!(kiln.ok(["volume", "rm", "-f", "one"]), "one\n");
    let said = kiln.fails(["volume", "inspect", "one"]);
    assert_eq!(said.out, "[]\n");
    let said = kiln.fails(["volume", "create", "a/b"]);
    assert!(said.err.contains("a/b"), "{}", said.err);
    assert_eq!(kiln.run(["volume", "create", "-d", "nfs", "x"]).code, 125);
}

#[test]
fn filled_from_the_image_and_kept() {
    let kiln = prepared();
    let script = "stat -c '%U %a' /data; cat /data/in/file; echo new > /data/in/file";
    let run = |volume: &str| kiln.ok(["run", "--rm", "-v", volume, "app", "sh", "-c", script]);
    assert_eq!(run("kept:/data"), "user 750\nold\n");
    assert_eq!(run("kept:/data"), "user 750\nnew\n");
    assert_eq!(run("other:/data"), "user 750\nold\n");
    assert_eq!(kiln.ok(["volume", "ls", "-q"]), "kept\nother\n");
    // Read only, and elsewhere.
    let flag = ["run", "--rm", "-v", "kept:/mnt:ro", "app"];
    let said = kiln.run([&flag[..], &["sh", "-c", "cat /mnt/in/file; echo > /mnt/x"]].concat());
    assert_eq!(said.out, "new\n");
    assert!(said.err.contains("Read-only file system"), "{}", said.err);
    let mount = "type=volume,src=kept,dst=/mnt";
    let args = [
        "run",
        "--rm",
        "--mount",
        mount,
        "app",
        "cat",
        "/mnt/in/file",
    ];
    assert_eq!(kiln.ok(args), "new\n");
}

#[test]
fn one_in_use_stays() {
    let kiln = prepared();
    kiln.ok(["create", "--name", "user", "-v", "kept:/data", "app"]);
    let said = kiln.fails(["volume", "rm", "kept"]);
    assert!(said.err.contains("volume is in use"), "{}", said.err);
    assert_eq!(kiln.ok(["volume", "ls", "-qf", "dangling=true"]), "");
    assert_eq!(kiln.ok(["volume", "ls", "-qf", "dangling=false"]), "kept\n");
    assert!(!kiln.ok(["volume", "prune", "-af"]).contains("kept"));
    kiln.ok(["rm", "-v", "user"]);
    // It has a name, so it does not go with the container.
    assert_eq!(kiln.ok(["volume", "ls", "-qf", "dangling=true"]), "kept\n");
    kiln.ok(["volume", "rm", "kept"]);
}

#[test]
fn one_without_a_name_goes_with_its_container() {
    let kiln = prepared();
    let count = || kiln.ok(["volume", "ls", "-q"]).lines().count();
    kiln.ok(["run", "--rm", "app"]);
    assert_eq!(count(), 0);
    kiln.ok(["run", "--name", "aa", "app"]);
    assert_eq!(count(), 1);
    kiln.ok(["rm", "-v", "aa"]);
    assert_eq!(count(), 0);
    kiln.ok(["run", "--name", "bb", "app"]);
    kiln.ok(["rm", "bb"]);
    assert_eq!(count(), 1);
    kiln.ok(["volume", "create", "named"]);
    let text = kiln.ok(["volume", "prune", "-f"]);
    assert!(text.starts_with("Deleted Volumes:\n"), "{text}");
    assert!(text.contains("\n\nTotal reclaimed space: "), "{text}");
    assert_eq!(kiln.ok(["volume", "ls", "-q"]), "named\n");
    kiln.ok(["volume", "prune", "-af"]);
    assert_eq!(count(), 0);
}

#[test]
fn system_prune_takes_them_along_when_asked() {
    let kiln = prepared();
    kiln.ok(["run", "--name", "aa", "app"]);
    kiln.ok(["volume", "create", "named"]);
    assert!(
        !kiln
            .ok(["system", "prune", "-f"])
            .contains("Deleted Volumes:")
    );
    let text = kiln.ok(["system", "prune", "-f", "--volumes"]);
    assert!(text.contains("Deleted Volumes:\n"), "{text}");
    assert_eq!(kiln.ok(["volume", "ls", "-q"]), "named\n");
    assert_eq!(
        kiln.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
}

#[test]
fn nothing_is_pruned_unasked() {
    let kiln = Kiln::new();
    kiln.ok(["volume", "create", "one"]);
    let said = kiln.fails(["volume", "prune", "-a"]);
    assert!(said.err.contains("use --force"), "{}", said.err);
    assert_eq!(kiln.ok(["volume", "ls", "-q"]), "one\n");
}
