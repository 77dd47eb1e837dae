//! Images kept, named, shown and removed.

use kiln_tests::{base::busybox, kiln::Kiln};

#[test]
fn listed_with_dockers_columns() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build("app", &[("Dockerfile", "FROM busybox\nRUN echo x > /x\n")]);
    kiln.ok(["tag", "app", "localhost:5000/me/app:v1"]);
    let out = kiln.ok(["images"]);
    let head = out.lines().next().unwrap();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>().join(" "),
        "REPOSITORY TAG IMAGE ID CREATED SIZE"
    );
    assert_eq!(out.lines().count(), 4, "{out}");
    let names = kiln.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(names.contains("localhost:5000/me/app:v1\n"), "{names}");
    assert_eq!(kiln.ok(["images", "-q", "app"]).trim().len(), 12);
    let id = kiln.ok(["images", "-q", "--no-trunc", "app"]);
    assert!(id.starts_with("sha256:") && id.trim().len() == 71, "{id}");
    assert_eq!(kiln.ok(["images", "nothing"]).lines().count(), 1);
}

#[test]
fn removed_by_name_then_whole() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build("app", &[("Dockerfile", "FROM busybox\nRUN echo x > /x\n")]);
    kiln.ok(["tag", "app", "other:1"]);
    assert_eq!(kiln.ok(["rmi", "other:1"]), "Untagged: other:1\n");
    let out = kiln.ok(["rmi", "app"]);
    assert!(
        out.starts_with("Untagged: app:latest\nDeleted: sha256:"),
        "{out}"
    );
    let e = kiln.fails(["rmi", "app"]).err;
    assert!(e.contains("No such image") || e.contains("app"), "{e}");
    assert_eq!(
        kiln.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
}

#[test]
fn saved_and_loaded_elsewhere() {
    let (here, there) = (Kiln::new(), Kiln::new());
    busybox(&here);
    let id = here.build(
        "app",
        &[("Dockerfile", "FROM busybox\nRUN echo x > /x\nCMD cat /x\n")],
    );
    let tar = here.scratch().join("app.tar");
    here.ok(["save", "-o", tar.to_str().unwrap(), "app", "busybox"]);
    let out = there.ok(["load", "-i", tar.to_str().unwrap()]);
    assert!(out.contains("Loaded image: app:latest\n"), "{out}");
    assert_eq!(there.ok(["images", "-q", "--no-trunc", "app"]).trim(), id);
    assert_eq!(there.ok(["run", "--rm", "app"]), "x\n");
    assert_eq!(
        there.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
}

#[test]
fn pruned_and_accounted_for() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build("app", &[("Dockerfile", "FROM busybox\nRUN echo 1 > /x\n")]);
    kiln.build("app", &[("Dockerfile", "FROM busybox\nRUN echo 2 > /x\n")]);
    assert_eq!(
        kiln.ok(["images", "-f", "dangling=true", "-q"])
            .lines()
            .count(),
        1
    );
    let df = kiln.ok(["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]);
    assert!(df.starts_with("Images 3\n"), "{df}");
    let out = kiln.ok(["image", "prune", "-f"]);
    assert!(
        out.starts_with("Deleted Images:\ndeleted: sha256:"),
        "{out}"
    );
    assert!(out.contains("Total reclaimed space: "), "{out}");
    kiln.ok(["builder", "prune", "-af"]);
    kiln.ok(["system", "prune", "-af"]);
    assert_eq!(kiln.ok(["images", "-q"]), "");
    assert_eq!(
        kiln.ok(["system", "check"]),
        "Everything in the store is whole.\n"
    );
    let left = std::fs::read_dir(kiln.root().join("blobs/sha256"));
    assert_eq!(left.map_or(0, Iterator::count), 0);
}

#[test]
fn disk_usage_in_full_tells_what_is_shared() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build(
        "app",
        &[("Dockerfile", "FROM busybox\nRUN echo 12345678 > /x\n")],
    );
    kiln.ok(["run", "--name", "one", "app", "true"]);
    let out = kiln.ok(["system", "df", "-v"]);
    let app = out.lines().find(|l| l.starts_with("app ")).unwrap();
    let words: Vec<&str> = app.split_whitespace().collect();
    // Unique: what the RUN wrote. One container.
    assert_eq!(words[words.len() - 2..], ["9B", "1"], "{out}");
    assert!(out.contains("Exited (0)"), "{out}");
    let volumes = kiln.ok(["system", "df", "--format", "{{.Type}}: {{.TotalCount}}"]);
    assert!(volumes.contains("Local Volumes: 0\n"), "{volumes}");
    let e = kiln
        .fails(["image", "prune", "-f", "--filter", "size=3"])
        .err;
    assert!(e.contains("invalid filter `size=3`"), "{e}");
    kiln.ok(["tag", "app", "keep:1"]);
    let out = kiln.ok(["image", "prune", "-af", "--filter", "until=24h"]);
    assert!(!out.contains("deleted"), "{out}");
}

#[test]
fn records_are_pruned_by_age_and_by_size() {
    let kiln = Kiln::new();
    busybox(&kiln);
    kiln.build(
        "app",
        &[("Dockerfile", "FROM busybox\nRUN echo 123456 > /x\n")],
    );
    kiln.ok(["rmi", "app"]);
    let young = kiln.ok(["builder", "prune", "-af", "--filter", "until=1h"]);
    assert_eq!(young, "Total reclaimed space: 0B\n");
    let small = kiln.ok(["builder", "prune", "-af", "--keep-storage", "1gb"]);
    assert_eq!(small, "Total reclaimed space: 0B\n");
    let gone = kiln.ok(["builder", "prune", "-af", "--keep-storage", "0"]);
    assert!(gone.starts_with("Deleted build cache objects:\n"), "{gone}");
    assert!(!gone.contains("space: 0B"), "{gone}");
    let e = kiln
        .fails(["builder", "prune", "-af", "--filter", "color=red"])
        .err;
    assert!(e.contains("invalid filter `color=red`"), "{e}");
}
