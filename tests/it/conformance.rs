//! Every case of `tests/conformance`, as root and as a user who is not.

use std::collections::BTreeMap;

use kiln_tests::conformance::{Ours, Suite, cases, differences, gaps};

/// All cases by one builder: those that differ are the known gaps, and no others.
fn all(builder: &Ours) {
    let (cases, gaps) = (cases().unwrap(), gaps().unwrap());
    let known = |name: &String| cases.iter().any(|case| case.name == *name);
    let unknown: Vec<_> = gaps.keys().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "gaps without a case: {unknown:?}");
    let suite = Suite::new(builder, builder.scratch()).unwrap();
    let report = suite.run(&cases);
    let differing = report.0.iter().filter(|(_, found)| !found.is_empty());
    let new: BTreeMap<_, _> = differing
        .filter(|(name, _)| !gaps.contains_key(*name))
        .collect();
    let text: String = new
        .iter()
        .map(|(n, f)| format!("{n}\n  {}\n", f.join("\n  ")))
        .collect();
    assert!(
        new.is_empty(),
        "{} of {} cases differ:\n{text}",
        new.len(),
        cases.len()
    );
    let closed: Vec<_> = gaps
        .keys()
        .filter(|name| report.0[*name].is_empty())
        .collect();
    assert!(closed.is_empty(), "no gaps any more: {closed:?}");
}

#[test]
fn differences_of_peers_are_of_cases_that_there_are() {
    let cases = cases().unwrap();
    for peer in ["docker", "buildah"] {
        let listed = differences(peer).unwrap();
        assert!(!listed.is_empty());
        let whole = |name: &str| ["history", "line"].contains(&name);
        let known = |name: &str| cases.iter().any(|case| case.name == name);
        let unknown: Vec<_> = listed.keys().filter(|n| !whole(n) && !known(n)).collect();
        assert!(unknown.is_empty(), "{peer}: {unknown:?}");
    }
}

#[test]
fn cases_as_root() {
    all(&Ours::root());
}

#[test]
fn cases_as_an_unprivileged_user() {
    all(&Ours::user());
}
