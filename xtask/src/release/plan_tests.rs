//! Plans of made-up houses: a row each, from what is known to what would be done.

use super::*;

/// A crate that was released as 0.1.0 and has not changed.
fn quiet(name: &str, dependencies: &[&str]) -> Crate {
    let version: Version = "0.1.0".parse().expect("a version");
    let split = |d: &&str| match d.strip_prefix("dev:") {
        Some(name) => (name.to_owned(), true),
        None => ((*d).to_owned(), false),
    };
    Crate {
        name: name.into(),
        manifest: version,
        released: Some(version),
        changed: false,
        unreleased: None,
        dependencies: dependencies.iter().map(split).collect(),
    }
}

fn changed(name: &str, dependencies: &[&str], change: Change) -> Crate {
    Crate {
        changed: true,
        unreleased: Some(change),
        ..quiet(name, dependencies)
    }
}

fn fresh(name: &str, dependencies: &[&str]) -> Crate {
    Crate {
        released: None,
        ..changed(name, dependencies, Change::Adding)
    }
}

/// The plan in short: `name version why`, a line a step.
fn steps(crates: &[Crate]) -> Vec<String> {
    let plan = Plan::of(crates).expect("there is no circle");
    assert_eq!(plan.problems, [""; 0]);
    plan.release
        .iter()
        .map(|s| format!("{} {} {}", s.name, s.to, s.why))
        .collect()
}

#[test]
fn a_first_release_keeps_its_version_and_goes_up_from_the_bottom() {
    let crates = [
        fresh("app", &["layer", "serde"]),
        fresh("layer", &["image"]),
        fresh("image", &[]),
    ];
    assert_eq!(
        steps(&crates),
        [
            "image 0.1.0 first release",
            "layer 0.1.0 first release",
            "app 0.1.0 first release"
        ]
    );
}

#[test]
fn nothing_changed_means_nothing_to_do() {
    let plan = Plan::of(&[quiet("a", &[]), quiet("b", &["a"])]).expect("there is no circle");
    assert_eq!(plan.to_string(), "nothing to release\nunchanged: a, b\n");
}

#[test]
fn what_does_not_break_pulls_nobody() {
    for change in [Change::Fixing, Change::Adding] {
        let found = steps(&[changed("a", &[], change), quiet("b", &["a"])]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a 0.1.1 "), "{found:?}");
    }
}

#[test]
fn what_breaks_pulls_those_above_and_they_pull_on() {
    let crates = [
        changed("a", &[], Change::Breaking),
        changed("b", &["a"], Change::Fixing),
        quiet("c", &["b"]),
        quiet("d", &["dev:a"]),
        quiet("e", &[]),
    ];
    assert_eq!(
        steps(&crates),
        [
            "a 0.2.0 breaks",
            "b 0.2.0 changed, and follows a",
            "c 0.2.0 follows b"
        ]
    );
}

#[test]
fn a_new_crate_breaks_nobody() {
    assert_eq!(
        steps(&[fresh("a", &[]), quiet("b", &["a"])]),
        ["a 0.1.0 first release"]
    );
}

#[test]
fn a_manifest_that_is_ahead_keeps_its_version() {
    let ahead = |version: &str| Crate {
        manifest: version.parse().expect("a version"),
        ..changed("a", &[], Change::Fixing)
    };
    assert_eq!(steps(&[ahead("0.1.5")]), ["a 0.1.5 fixes"]);
    assert_eq!(
        steps(&[ahead("0.3.0"), quiet("b", &["a"])]),
        ["a 0.3.0 fixes", "b 0.2.0 follows a"]
    );
}

#[test]
fn a_change_that_the_changelog_does_not_tell_is_a_problem() {
    let silent = Crate {
        changed: true,
        ..quiet("a", &[])
    };
    let plan = Plan::of(&[silent]).expect("there is no circle");
    assert_eq!(
        plan.problems,
        ["a changed, and its CHANGELOG.md says nothing under Unreleased"]
    );
    assert_eq!(plan.release[0].to, "0.1.1");
}

#[test]
fn the_order_minds_what_only_tests_depend_on() {
    let found = steps(&[fresh("a", &["dev:z"]), fresh("z", &[])]);
    assert_eq!(found, ["z 0.1.0 first release", "a 0.1.0 first release"]);
    let circle = Plan::of(&[fresh("a", &["dev:z"]), fresh("z", &["a"])]);
    assert_eq!(
        circle,
        Err("these depend on each other in a circle: a, z".into())
    );
}

#[test]
fn machines_read_the_same_plan() {
    let plan = Plan::of(&[changed("a", &[], Change::Adding), fresh("b", &["a"])])
        .expect("there is no circle");
    assert_eq!(
        serde_json::to_value(&plan).expect("it is data"),
        serde_json::json!({
            "release": [
                {"crate": "a", "from": "0.1.0", "to": "0.1.1", "why": "adds", "after": []},
                {"crate": "b", "from": null, "to": "0.1.0", "why": "first release", "after": ["a"]},
            ],
            "unchanged": [],
            "problems": [],
        })
    );
}
