//! What the host is said to offer is what it offers.

use std::fs;

use kiln_sandbox::host::{Finding, State, can_run, probe};
use kiln_sandbox::{IdMap, UserNamespace};
use kiln_tests::harness::Outcome;

use crate::cases;
use crate::rootless::ask;
use crate::world::World;

cases![
    this_host,
    a_host_without_namespaces,
    a_host_whose_proc_is_covered,
    a_place_for_no_overlay,
];

const NAMES: [&str; 9] = [
    "kernel",
    "user-namespaces",
    "ids",
    "overlay",
    "proc",
    "cgroups",
    "seccomp",
    "pasta",
    "binfmt",
];

fn named<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    findings.iter().find(|one| one.name == name).unwrap()
}

fn this_host(world: &World) -> Outcome {
    let scratch = world.scratch();
    let namespace = UserNamespace::usual().unwrap();
    let findings = probe(scratch.path(), namespace.as_deref());
    let names: Vec<&str> = findings.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, NAMES);
    assert!(can_run(&findings), "{findings:?}");
    let ids = named(&findings, "ids");
    if world.single() {
        assert_eq!(ids.state, State::Lacking);
        let remedy = ids.remedy.as_deref().unwrap();
        assert!(remedy.starts_with("usermod --add-subuids "), "{remedy}");
    } else {
        assert_eq!((ids.state, &ids.remedy), (State::Ok, &None), "{ids:?}");
    }
    for one in &findings {
        assert!(one.state == State::Ok || one.remedy.is_some(), "{one:?}");
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    Ok(())
}

/// A namespace to be root in, for what only root can change.
fn stage() -> UserNamespace {
    UserNamespace::new(IdMap::single())
}

fn findings(said: &str) -> Vec<Finding> {
    serde_json::from_str(said).unwrap()
}

fn a_host_without_namespaces(_: &World) -> Outcome {
    let findings = findings(&ask(&stage(), "probe-forbid"));
    assert!(!can_run(&findings));
    let namespaces = named(&findings, "user-namespaces");
    assert_eq!(namespaces.state, State::Lacking);
    assert_eq!(
        namespaces.remedy.as_deref(),
        Some("sysctl -w user.max_user_namespaces=15000")
    );
    for name in ["overlay", "proc"] {
        let one = named(&findings, name);
        assert!(one.found.starts_with("could not be tried: "), "{one:?}");
    }
    Ok(())
}

fn a_host_whose_proc_is_covered(_: &World) -> Outcome {
    let findings = findings(&ask(&stage(), "probe-cover"));
    assert!(!can_run(&findings));
    assert_eq!(named(&findings, "proc").state, State::Broken);
    assert_eq!(named(&findings, "overlay").state, State::Ok);
    Ok(())
}

fn a_place_for_no_overlay(world: &World) -> Outcome {
    let namespace = UserNamespace::usual().unwrap();
    let scratch = world.scratch();
    let nowhere = scratch.path().join("nowhere");
    fs::write(&nowhere, "a file").unwrap();
    let findings = probe(&nowhere, namespace.as_deref());
    assert!(!can_run(&findings));
    let overlay = named(&findings, "overlay");
    assert!(overlay.found.contains("not a directory"), "{overlay:?}");
    Ok(())
}
