//! Who depends on whom: the table of the house against `cargo metadata`, tests included.
//!
//! ARCHITECTURE.md shows the same table to people. Prose rots, so it is compared as well.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::house::{self, ARROWS, Knows};
use crate::workspace::{Workspace, short};

use super::Report;

pub(super) fn rule(workspace: &Workspace) -> Result<Report> {
    let arrows = arrows(workspace);
    let mut failures = forbidden(&arrows);
    failures.extend(cycle(&arrows));
    let page = workspace.workspace_root.join("ARCHITECTURE.md");
    let mut note = format!("{} crates", arrows.len());
    if page.exists() {
        failures.extend(differences(&std::fs::read_to_string(page)?));
    } else {
        note.push_str(", ARCHITECTURE.md is not there to compare");
    }
    Ok(Report::of(
        failures,
        "the table is in xtask/src/house.rs and in ARCHITECTURE.md",
        note,
    ))
}

/// Each crate of the house, and the siblings that it depends on with the kind of dependency.
type Arrows<'a> = BTreeMap<&'a str, BTreeSet<(&'a str, &'a str)>>;

fn arrows(workspace: &Workspace) -> Arrows<'_> {
    let members = workspace.members();
    let names: BTreeSet<&str> = members.iter().map(|p| p.name.as_str()).collect();
    members
        .into_iter()
        .map(|p| (p.short(), siblings(p, &names)))
        .collect()
}

fn siblings<'a>(
    package: &'a crate::workspace::Package,
    names: &BTreeSet<&str>,
) -> BTreeSet<(&'a str, &'a str)> {
    let ours = package
        .dependencies
        .iter()
        .filter(|d| names.contains(d.name.as_str()));
    ours.map(|d| (short(&d.name), d.kind.as_deref().unwrap_or("normal")))
        .collect()
}

/// Arrows that the table does not have.
fn forbidden(arrows: &Arrows<'_>) -> Vec<String> {
    let mut failures = Vec::new();
    for (name, siblings) in arrows {
        if !ARROWS.iter().any(|(n, _)| n == name) {
            failures.push(format!("`{name}` is not in the table of crates"));
        }
        let Some(known) = house::known_to(name) else {
            continue;
        };
        for (sibling, kind) in siblings {
            if !known.contains(sibling) && (*sibling, *kind) != (house::TEST_SUPPORT, "dev") {
                let known = if known.is_empty() {
                    "nobody".to_owned()
                } else {
                    known.join(", ")
                };
                failures.push(format!(
                    "`{name}` may not know `{sibling}` ({kind} dependency); it knows {known}"
                ));
            }
        }
    }
    failures
}

/// A way from a crate back to itself, dev-dependencies included.
fn cycle(arrows: &Arrows<'_>) -> Option<String> {
    let mut done = BTreeSet::new();
    arrows
        .keys()
        .find_map(|name| walk(name, arrows, &mut Vec::new(), &mut done))
}

fn walk<'a>(
    name: &'a str,
    arrows: &Arrows<'a>,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(at) = way.iter().position(|n| *n == name) {
        return Some(format!("a cycle: {} → {name}", way[at..].join(" → ")));
    }
    if done.contains(name) {
        return None;
    }
    way.push(name);
    let found = arrows
        .get(name)
        .into_iter()
        .flatten()
        .find_map(|(n, _)| walk(n, arrows, way, done));
    way.pop();
    done.insert(name);
    found
}

/// Where the table in ARCHITECTURE.md says something else than the table of the house.
///
/// It is the first table whose last column is headed `knows`. Names stand in backticks; `all of the
/// above` and `anything` mean what they say, and anything else without a backtick means nobody.
/// Crates that may know anything need not be shown.
fn differences(page: &str) -> Vec<String> {
    let Some(shown) = table(page) else {
        return vec!["ARCHITECTURE.md has no table whose last column is `knows`".into()];
    };
    let mut failures = Vec::new();
    for (name, knows) in ARROWS {
        let known = house::known_to(name).map(|n| n.into_iter().map(str::to_owned).collect());
        let expected: BTreeSet<String> =
            known.unwrap_or_else(|| BTreeSet::from(["anything".to_owned()]));
        match shown.get(*name) {
            None if *knows == Knows::Anything => {}
            None => failures.push(format!("ARCHITECTURE.md does not show `{name}`")),
            Some(said) if *said != expected => failures.push(format!(
                "ARCHITECTURE.md says that `{name}` knows {}; the house says {}",
                list(said),
                list(&expected)
            )),
            Some(_) => {}
        }
    }
    let unknown = shown.keys().filter(|n| !ARROWS.iter().any(|(m, _)| m == n));
    failures.extend(
        unknown.map(|n| format!("ARCHITECTURE.md shows `{n}`, which the house does not have")),
    );
    failures
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        "nobody".into()
    } else {
        names.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}

fn table(page: &str) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim()
            .trim_matches('|')
            .split('|')
            .map(|c| c.trim().to_owned())
            .collect()
    };
    let mut lines = page.lines().skip_while(|l| {
        !l.trim_start().starts_with('|') || cells(l).last().is_none_or(|c| !c.starts_with("knows"))
    });
    lines.next()?;
    let mut shown = BTreeMap::new();
    for row in lines
        .take_while(|l| l.trim_start().starts_with('|'))
        .skip(1)
        .map(cells)
    {
        let name = row.first().and_then(|cell| in_backticks(cell).pop());
        let above = || shown.keys().cloned().collect();
        let knows = match row.last() {
            Some(cell) if cell.contains("all of the above") => above(),
            Some(cell) if cell.contains("anything") => BTreeSet::from(["anything".to_owned()]),
            cell => cell
                .into_iter()
                .flat_map(|cell| in_backticks(cell))
                .collect(),
        };
        shown.extend(name.map(|name| (name, knows)));
    }
    Some(shown)
}

/// The names in backticks, each as the house calls it: `crates/image` and `kiln-image` are `image`.
fn in_backticks(cell: &str) -> Vec<String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .map(|n| short(n.rsplit('/').next().unwrap_or(n)).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::workspace;

    fn failures(members: &[(&str, &[&str])]) -> Vec<String> {
        forbidden(&arrows(&workspace(members, &[])))
    }

    #[test]
    fn a_forbidden_arrow_is_caught_whatever_its_kind() {
        for (dependency, kind) in [
            ("kiln-store", "normal"),
            ("dev:kiln-store", "dev"),
            ("build:kiln-store", "build"),
        ] {
            let found = failures(&[
                ("kiln-image", &[dependency]),
                ("kiln-store", &["kiln-image"]),
            ]);
            assert_eq!(
                found,
                [format!(
                    "`image` may not know `store` ({kind} dependency); it knows nobody"
                )]
            );
        }
    }

    #[test]
    fn arrows_of_the_table_pass() {
        let members: &[(&str, &[&str])] = &[
            ("kiln-image", &[]),
            ("kiln-layer", &["kiln-image", "serde"]),
            ("kiln-build", &["kiln-layer", "kiln-image"]),
            ("xtask", &["kiln-build"]),
            ("kiln-tests", &["kiln-layer"]),
        ];
        assert_eq!(failures(members), [""; 0]);
    }

    #[test]
    fn tests_may_use_the_support_of_tests_and_code_may_not() {
        let tests: (&str, &[&str]) = ("kiln-tests", &[]);
        assert_eq!(
            failures(&[("kiln-registry", &["dev:kiln-tests"]), tests]),
            [""; 0]
        );
        assert_eq!(
            failures(&[("kiln-registry", &["kiln-tests"]), tests]).len(),
            1
        );
    }

    #[test]
    fn build_does_not_know_what_stands_below_it() {
        let found = failures(&[("kiln-build", &["kiln-container"]), ("kiln-container", &[])]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_crate_without_a_place_is_caught() {
        assert_eq!(
            failures(&[("kiln-utils", &[])]),
            ["`utils` is not in the table of crates"]
        );
    }

    #[test]
    fn a_cycle_by_way_of_tests_is_caught() {
        let house = workspace(
            &[
                ("kiln-image", &["dev:xtask"]),
                ("kiln-layer", &["kiln-image"]),
                ("xtask", &["kiln-layer"]),
            ],
            &[],
        );
        let found = cycle(&arrows(&house)).expect("there is a cycle");
        assert_eq!(found, "a cycle: image → xtask → layer → image");
        let house = workspace(&[("kiln-image", &[]), ("kiln-layer", &["kiln-image"])], &[]);
        assert_eq!(cycle(&arrows(&house)), None);
    }

    fn page() -> String {
        let rows = ARROWS.iter().map(|(name, knows)| {
            let knows = match knows {
                Knows::Only([]) => "–".into(),
                Knows::Only(names) => names
                    .iter()
                    .map(|n| format!("`{n}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
                Knows::AllAbove => "all of the above".into(),
                Knows::Anything => "anything".into(),
            };
            format!("| `crates/{name}` | what it does | {knows} |\n")
        });
        format!(
            "# A page\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| crate | purpose | knows |\n|---|---|---|\n{}",
            rows.collect::<String>()
        )
    }

    #[test]
    fn the_page_is_compared_row_by_row() {
        assert_eq!(differences(&page()), [""; 0]);
        let wrong = page().replace("| `image`, `durable` |", "| `image` |");
        assert_eq!(
            differences(&wrong),
            ["ARCHITECTURE.md says that `cache` knows image; the house says durable, image"]
        );
        let more = page().replace(
            "| `crates/xtask`",
            "| `crates/utils` | this and that | – |\n| `crates/xtask`",
        );
        assert_eq!(
            differences(&more),
            ["ARCHITECTURE.md shows `utils`, which the house does not have"]
        );
        assert_eq!(differences("# nothing").len(), 1);
    }
}
