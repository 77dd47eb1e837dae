//! What a user is told when something is wrong.

use kiln_tests::{base::busybox, kiln::Kiln};

/// Builds a Dockerfile that is wrong, and checks what is said of it.
fn refused(text: &str, expected: &[&str]) {
    let kiln = Kiln::new();
    busybox(&kiln);
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let said = kiln.fails(["build", "--progress=plain", context.to_str().unwrap()]);
    for want in expected {
        assert!(said.err.contains(want), "no `{want}` in:\n{}", said.err);
    }
}

#[test]
fn a_dockerfile_that_is_wrong() {
    for (text, expected) in [
        (
            "FROM busybox\nRNU echo\n",
            &["Dockerfile:2:1", "RNU", "`RUN`", "^"][..],
        ),
        (
            "FROM Ubuntu\n",
            &["Dockerfile:1:6", "lower case", "`ubuntu`"],
        ),
        (
            "FROM busybox\nCOPY --form=x a /b\n",
            &["Dockerfile:2:6", "--form", "--from"],
        ),
        (
            "FROM busybox\nCOPY nothing /x\n",
            &["Dockerfile:2:", "nothing"],
        ),
        ("RUN echo\n", &["Dockerfile:1:1", "FROM"]),
        ("FROM busybox\nADD https://x.y/z /\n", &["Dockerfile:2:"]),
        (
            "FROM busybox\nRUN --mount=type=cache,target=/c true\n",
            &["Dockerfile:2:5", "--mount"],
        ),
    ] {
        refused(text, expected);
    }
}

#[test]
fn a_registry_that_is_not_there() {
    let kiln = Kiln::new();
    let context = kiln.context("app", &[("Dockerfile", "FROM 127.0.0.1:1/none\n")]);
    let e = kiln.fails(["build", context.to_str().unwrap()]).err;
    assert!(
        e.contains("Dockerfile:1:6") && e.contains("127.0.0.1:1"),
        "{e}"
    );
    let e = kiln.fails(["pull", "127.0.0.1:1/none"]).err;
    assert!(e.contains("127.0.0.1:1"), "{e}");
}

#[test]
fn warnings_for_what_is_copied_from_tutorials() {
    let kiln = Kiln::new();
    busybox(&kiln);
    for (text, expected) in [
        ("FROM busybox\nRUN echo \u{2013}y\n", "\u{2013}"),
        ("FROM busybox\nCMD ['a']\n", "shell form"),
        (
            "FROM busybox\nENTRYPOINT FLASK_APP-/opt/app.py flask run\n",
            "FLASK_APP=/opt/app.py",
        ),
    ] {
        let context = kiln.context("app", &[("Dockerfile", text)]);
        let said = kiln.run(["build", "--progress=plain", context.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(
            said.err.contains(expected),
            "no `{expected}` in:\n{}",
            said.err
        );
    }
    let text = "FROM busybox\nENTRYPOINT FLASK_APP=/opt/app.py flask run --host=0.0.0.0\n";
    let context = kiln.context("app", &[("Dockerfile", text)]);
    let said = kiln.run(["build", "--progress=plain", context.to_str().unwrap()]);
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn commands_that_are_almost_right() {
    let kiln = Kiln::new();
    let e = kiln.fails(["build", "-f", "Dockerfile"]).err;
    assert!(
        e.contains("did you mean `kiln build -f Dockerfile .`?"),
        "{e}"
    );
    let e = kiln.fails(["run", "simple:", "app"]).err;
    assert!(e.contains("simple:"), "{e}");
    let e = kiln.fails(["run", "simple: app"]).err;
    assert!(e.contains("did you mean `simple:app`?"), "{e}");
    assert_eq!(kiln.fails(["build", "--nope"]).code, 125);
}
