//! `kiln cp`, `diff` and `export`: files of containers.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
    process::{Command, Stdio},
};

use kiln_tests::{
    base::busybox,
    kiln::{Kiln, write},
};

/// A container `box` that waits, and one that has ended, `end`.
fn prepared() -> Kiln {
    let kiln = Kiln::new();
    busybox(&kiln);
    let dockerfile = "FROM busybox
RUN mkdir -p /d/in && echo f > /f && echo a > /d/a && echo b > /d/in/b && ln -s /f /link && ln -s /d /dlink
CMD [\"sleep\", \"1000\"]
";
    kiln.build("app", &[("Dockerfile", dockerfile)]);
    kiln.ok(["run", "-d", "--name", "box", "app"]);
    kiln.ok(["run", "--name", "end", "app", "sh", "-c", "echo own > /own"]);
    kiln
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|e| panic!("{:?}: {e}", path.as_ref()))
}

#[test]
fn out_of_a_container() {
    let kiln = prepared();
    let at = |name: &str| kiln.scratch().join(name);
    for (index, name) in ["box", "end"].into_iter().enumerate() {
        let to = format!("to{index}");
        fs::create_dir(at(&to)).unwrap();
        let cp = |from: &str, to: &str| kiln.ok(["cp", &format!("{name}:{from}"), to]);
        let into = |place: &str| format!("{to}/{place}");
        // A file: to a new name, into a folder, over a file.
        cp("/f", &into("g"));
        cp("/f", &to);
        cp("d/a", &into("g"));
        assert_eq!(
            (read(at(&into("g"))), read(at(&into("f")))),
            ("a\n".into(), "f\n".into())
        );
        // A folder: to a new name, into one, and only what is in it.
        cp("/d", &into("new"));
        cp("/d", &to);
        fs::create_dir(at(&into("part"))).unwrap();
        cp("/d/.", &into("part"));
        for inside in ["new/in/b", "d/in/b", "part/in/b"] {
            assert_eq!(read(at(&into(inside))), "b\n", "{inside}");
        }
        // A link is a link, unless it is to be followed.
        cp("/link", &into("link"));
        assert_eq!(fs::read_link(at(&into("link"))).unwrap(), Path::new("/f"));
        kiln.ok(["cp", "-L", &format!("{name}:/link"), &into("followed")]);
        assert_eq!(read(at(&into("followed"))), "f\n");
    }
    kiln.ok(["cp", "end:/own", "own"]);
    assert_eq!(read(at("own")), "own\n");
}

#[test]
fn into_a_container() {
    let kiln = prepared();
    let context = kiln.context("src", &[("f", "F\n"), ("d/a", "A\n"), ("d/in/b", "B\n")]);
    symlink("nowhere", context.join("d/broken")).unwrap();
    fs::set_permissions(context.join("f"), fs::Permissions::from_mode(0o4751)).unwrap();
    for name in ["box", "end"] {
        let cp = |from: &str, to: &str| kiln.ok(["cp", from, &format!("{name}:{to}")]);
        cp("src/f", "/g");
        cp("src/f", "/tmp");
        cp("src/d", "/new");
        cp("src/d", "/tmp/");
        cp("src/d/.", "/d");
        // Through a link inside, which means what it means inside.
        cp("src/f", "/dlink/through");
        let back = |from: &str| {
            kiln.ok(["cp", &format!("{name}:{from}"), "back"]);
            read(kiln.scratch().join("back"))
        };
        for (path, want) in [
            ("/g", "F\n"),
            ("/tmp/f", "F\n"),
            ("/new/in/b", "B\n"),
            ("/tmp/d/a", "A\n"),
            ("/d/a", "A\n"),
            ("/d/in/b", "B\n"),
            ("/d/through", "F\n"),
        ] {
            assert_eq!(back(path), want, "{name}:{path}");
        }
    }
    let out = kiln.ok([
        "exec",
        "box",
        "sh",
        "-c",
        "stat -c '%a %u %g' /g; readlink /new/broken",
    ]);
    assert_eq!(out, "4751 0 0\nnowhere\n");
    // What was copied into one that had ended is there when it runs again.
    kiln.ok(["start", "-a", "end"]);
    kiln.ok(["commit", "end", "kept"]);
    assert_eq!(kiln.ok(["run", "--rm", "kept", "cat", "/g"]), "F\n");
}

#[test]
fn owners_are_kept_where_that_is_asked_for() {
    let kiln = prepared();
    write(&kiln.scratch().join("mine"), "x");
    chown(kiln.scratch().join("mine"), Some(1000), Some(50)).unwrap();
    kiln.ok(["cp", "mine", "box:/plain"]);
    kiln.ok(["cp", "-a", "mine", "box:/kept"]);
    let out = kiln.ok(["exec", "box", "stat", "-c", "%u:%g", "/plain", "/kept"]);
    assert_eq!(out, "0:0\n1000:50\n");
    kiln.ok(["cp", "box:/kept", "plain"]);
    kiln.ok(["cp", "-a", "box:/kept", "kept"]);
    let owner = |name: &str| {
        let found = kiln.scratch().join(name).metadata().unwrap();
        (found.uid(), found.gid())
    };
    let own = kiln.scratch().metadata().unwrap();
    assert_eq!(owner("plain"), (own.uid(), own.gid()));
    assert_eq!(owner("kept"), (1000, 50));
}

#[test]
fn as_a_tar() {
    let kiln = prepared();
    let tar = kiln.command(["cp", "box:/d", "-"]).output().unwrap();
    assert!(tar.status.success());
    let path = kiln.scratch().join("d.tar");
    fs::write(&path, &tar.stdout).unwrap();
    let listed = Command::new("tar").arg("tf").arg(&path).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "d/\nd/a\nd/in/\nd/in/b\n"
    );
    let give = |to: &str| {
        let mut command = kiln.command(["cp", "-", to]);
        command.stdin(Stdio::from(fs::File::open(&path).unwrap()));
        command.output().unwrap()
    };
    assert!(give("end:/tmp").status.success());
    kiln.ok(["cp", "end:/tmp/d/in/b", "b"]);
    assert_eq!(read(kiln.scratch().join("b")), "b\n");
    let said = give("end:/f");
    assert!(!said.status.success());
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(err.contains("must be a directory"), "{err}");
}

#[test]
fn volumes_and_mounts_are_seen() {
    let kiln = prepared();
    let bound = kiln.context("bound", &[("x", "x\n")]);
    let bind = format!("{}:/bound", bound.display());
    kiln.ok([
        "run", "-d", "--name", "mnt", "-v", &bind, "-v", "vol:/vol", "app",
    ]);
    kiln.ok(["exec", "mnt", "sh", "-c", "echo v > /vol/v"]);
    kiln.ok(["cp", "mnt:/bound/x", "x"]);
    kiln.ok(["cp", "x", "mnt:/bound/y"]);
    assert_eq!(read(bound.join("y")), "x\n");
    kiln.ok(["kill", "mnt"]);
    kiln.ok(["wait", "mnt"]);
    kiln.ok(["cp", "mnt:/vol/v", "v"]);
    assert_eq!(read(kiln.scratch().join("v")), "v\n");
    kiln.ok(["cp", "x", "mnt:/vol/w"]);
    let args = ["run", "--rm", "-v", "vol:/vol", "app", "cat", "/vol/w"];
    assert_eq!(kiln.ok(args), "x\n");
}

#[test]
fn what_cannot_be_copied() {
    let kiln = prepared();
    write(&kiln.scratch().join("f"), "f");
    fs::create_dir(kiln.scratch().join("dir")).unwrap();
    for (args, why) in [
        (
            ["box:/none", "x"],
            "Could not find the file /none in container box",
        ),
        (["none", "box:/x"], "no such file or directory"),
        (
            ["f", "box:/none/x"],
            "Could not find the file /none in container box",
        ),
        (["box:/f", "none/x"], "directory \"none\" does not exist"),
        (
            ["box:/f", "end:/x"],
            "copying between containers is not supported",
        ),
        (["f", "g"], "must specify at least one container source"),
        (["box:/d", "f"], "cannot copy directory"),
        (["dir", "box:/f"], "cannot copy directory"),
        (["f", "box:/nope/"], "no such directory"),
        (["nobody:/f", "x"], "No such container: nobody"),
    ] {
        let said = kiln.fails(["cp", args[0], args[1]]);
        assert!(
            said.err.to_lowercase().contains(&why.to_lowercase()),
            "{args:?}: {}",
            said.err
        );
    }
    assert!(!kiln.scratch().join("x").exists());
}

#[test]
fn a_link_inside_does_not_lead_outside() {
    let kiln = prepared();
    let secret = kiln.scratch().join("secret");
    write(&secret, "secret");
    let secret = secret.to_str().unwrap();
    kiln.ok(["exec", "box", "ln", "-s", secret, "/out"]);
    kiln.ok([
        "exec",
        "box",
        "ln",
        "-s",
        kiln.scratch().to_str().unwrap(),
        "/folder",
    ]);
    assert!(kiln.run(["cp", "-L", "box:/out", "got"]).code != 0);
    write(&kiln.scratch().join("new"), "new");
    assert!(kiln.run(["cp", "new", "box:/folder/put"]).code != 0);
    assert!(!kiln.scratch().join("put").exists() && !kiln.scratch().join("got").exists());
}

#[test]
fn what_changed() {
    let kiln = prepared();
    assert_eq!(kiln.ok(["diff", "box"]), "");
    kiln.ok([
        "exec",
        "box",
        "sh",
        "-c",
        "rm /f; echo x > /d/in/x; echo y >> /d/a; mkdir /n; touch /n/m",
    ]);
    let diff = kiln.ok(["diff", "box"]);
    assert_eq!(
        diff,
        "C /d\nC /d/a\nC /d/in\nA /d/in/x\nD /f\nA /n\nA /n/m\n"
    );
    assert_eq!(kiln.ok(["diff", "end"]), "A /own\n");
    assert!(
        kiln.fails(["diff", "nobody"])
            .err
            .contains("No such container: nobody")
    );
}

#[test]
fn exported_as_one_tar() {
    let kiln = prepared();
    kiln.ok([
        "run",
        "--name",
        "mnt",
        "-v",
        "vol:/vol",
        "app",
        "sh",
        "-c",
        "rm /f; echo v > /vol/v; echo n > /n",
    ]);
    kiln.ok(["export", "-o", "m.tar", "mnt"]);
    let path = kiln.scratch().join("m.tar");
    let listed = Command::new("tar").arg("tf").arg(&path).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let has = |name: &str| listed.lines().any(|l| l == name);
    assert!(
        has("n") && has("bin/busybox") && has("d/in/b") && !has("f"),
        "{listed}"
    );
    assert!(!listed.contains("vol/v"), "{listed}");
    kiln.ok(["import", path.to_str().unwrap(), "flat"]);
    assert_eq!(kiln.ok(["run", "--rm", "flat", "cat", "/n"]), "n\n");
    let piped = kiln.command(["export", "mnt"]).output().unwrap();
    assert_eq!(piped.stdout, fs::read(&path).unwrap());
    let said = kiln.fails(["export", "-o", "none/m.tar", "mnt"]);
    assert!(said.err.contains("none/m.tar"), "{}", said.err);
}
