//! What `kiln doctor` says of this machine, to root and to others, and where things are forbidden.

use std::{process::Command, sync::Arc};

use kiln_tests::{
    kiln::{Kiln, binary, said},
    peers::installed,
    users::User,
};
use serde_json::Value;

/// The report as JSON.
fn report(kiln: &Kiln) -> Value {
    let said = kiln.run(["doctor", "--format", "json"]);
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err))
}

fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["findings"].as_array().unwrap();
    let found = all.iter().find(|f| f["name"] == name);
    found.unwrap_or_else(|| panic!("nothing of {name}: {report}"))
}

#[test]
fn root_needs_nothing() {
    let kiln = Kiln::new();
    let text = kiln.ok(["doctor"]);
    assert!(
        text.ends_with("\nRUN and containers: as root, on overlayfs\n"),
        "{text}"
    );
    let report = report(&kiln);
    assert_eq!(
        (&report["runs"], &report["way"]),
        (&true.into(), &"root".into())
    );
    for name in [
        "kernel",
        "user-namespaces",
        "ids",
        "overlay",
        "proc",
        "seccomp",
    ] {
        assert_eq!(finding(&report, name)["state"], "ok", "{name}: {report}");
        assert!(text.contains(name), "{name}: {text}");
    }
    let store = finding(&report, "store")["found"].as_str().unwrap();
    let at = kiln.root().display().to_string();
    assert!(store.contains(&at) && store.contains("free"), "{store}");
    assert_eq!(kiln.ok(["doctor", "--format", "{{.way}}"]), "root\n");
    let left = std::fs::read_dir(kiln.root().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "nothing of the trial is left");
}

#[test]
fn others_have_ids_or_one_id() {
    let with = Kiln::of(&Arc::new(User::with_ids()));
    let report_of = report(&with);
    assert_eq!(report_of["way"], "ids", "{report_of}");
    assert_eq!(finding(&report_of, "ids")["state"], "ok");
    let user = Arc::new(User::without_ids());
    let without = Kiln::of(&user);
    let report_of = report(&without);
    assert_eq!(report_of["way"], "one-id", "{report_of}");
    assert_eq!(report_of["runs"], true);
    let ids = finding(&report_of, "ids");
    assert_eq!(ids["state"], "lacking");
    let remedy = ids["remedy"].as_str().unwrap();
    assert!(
        remedy.starts_with("usermod --add-subuids") && remedy.ends_with(user.name()),
        "{remedy}"
    );
    let text = without.ok(["doctor"]);
    assert!(text.contains(&format!("mend: {remedy}")), "{text}");
    assert!(text.contains("with one id"), "{text}");
}

#[test]
fn a_store_that_cannot_be_made_is_the_end() {
    let kiln = Kiln::of(&Arc::new(User::with_ids()));
    let mut doctor = kiln.command(["doctor"]);
    let said = said(doctor.env("KILN_ROOT", "/proc/kiln"));
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("MISSING  store") && said.out.contains("KILN_ROOT"),
        "{}",
        said.out
    );
}

#[test]
fn where_namespaces_are_forbidden_images_are_built_without_run() {
    if !installed(&["unshare", "setpriv"]) {
        return;
    }
    let kiln = Kiln::new();
    let context = kiln.context(
        "app",
        &[("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "a")],
    );
    // A user namespace in which there can be no more of them, and no right to mount.
    let forbidden = |args: &[&str]| {
        let script = "echo 0 > /proc/sys/user/max_user_namespaces\n\
                      exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "sh", "-c", script, "sh"])
            .arg(binary())
            .args(args)
            .env("KILN_ROOT", kiln.root());
        said(&mut command)
    };
    let doctor = forbidden(&["doctor"]);
    assert_eq!(doctor.code, 1, "{}", doctor.err);
    for part in [
        "MISSING  user-namespaces",
        "mend: sysctl -w user.max_user_namespaces=",
        "RUN and containers: not at all. Builds without RUN work",
    ] {
        assert!(doctor.out.contains(part), "no {part:?}: {}", doctor.out);
    }
    let built = forbidden(&["build", "-q", context.to_str().unwrap()]);
    assert_eq!(built.code, 0, "{}", built.err);
}
