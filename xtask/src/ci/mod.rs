//! `cargo xtask ci`: the rules of this house, each run by a machine.
//!
//! A rule says `ok`, `FAILED` with what to do, or `not run` with the reason. What was not run fails
//! as well, unless `xtask/cannot.toml` names it as something this kind of machine cannot do.

mod arrows;
mod cannot;
mod cargo;
mod dependencies;
mod doors;
mod licence;
mod package;
mod portability;
pub(crate) mod purity;
mod suite;
mod tally;
mod tidiness;
mod zig;

use std::process::ExitCode;
use std::time::Instant;

use crate::workspace::Workspace;
use crate::{Result, process};
use cannot::Cannot;
use tally::Tally;

/// What a rule found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What is wrong, a line each.
    failures: Vec<String>,
    /// What to do about it.
    hint: &'static str,
    /// What could not be looked at, each with its reason.
    not_run: Vec<String>,
    /// What was looked at, in a few words.
    note: String,
    /// How many tests ran, where the rule runs tests.
    tally: Option<Tally>,
}

/// One rule of the house.
struct Rule {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Result<Report>,
}

/// All rules, the quick ones that need no compiler first.
const RULES: &[Rule] = &[
    Rule {
        name: "format",
        about: "cargo fmt has nothing to change",
        run: cargo::format,
    },
    Rule {
        name: "arrows",
        about: "crates know only whom the table lets them know",
        run: arrows::rule,
    },
    Rule {
        name: "doors",
        about: "network and kernel only where the table says",
        run: doors::rule,
    },
    Rule {
        name: "purity",
        about: "the pure crates' clippy.toml is current",
        run: purity::rule,
    },
    Rule {
        name: "tidy",
        about: "sizes, headers, README, CHANGELOG, example",
        run: tidiness::rule,
    },
    Rule {
        name: "dependencies",
        about: "budget, licences, sources, duplicates",
        run: dependencies::rule,
    },
    Rule {
        name: "clippy",
        about: "no warning in any target",
        run: cargo::clippy,
    },
    Rule {
        name: "tests",
        about: "cargo test --workspace, and a clean work tree after",
        run: suite::rule,
    },
    Rule {
        name: "docs",
        about: "cargo doc without a warning",
        run: cargo::docs,
    },
    Rule {
        name: "portability",
        about: "shipped crates compile for other systems",
        run: portability::rule,
    },
    Rule {
        name: "package",
        about: "every shipped crate can be packaged",
        run: package::rule,
    },
];

impl Report {
    /// `ok` with `note` where there are no failures.
    fn of(failures: Vec<String>, hint: &'static str, note: impl Into<String>) -> Report {
        Report {
            failures,
            hint,
            note: note.into(),
            ..Report::default()
        }
    }

    fn good(&self, rule: &str, cannot: &Cannot) -> bool {
        self.failures.is_empty()
            && self
                .not_run
                .iter()
                .all(|n| cannot.excuse(rule, n).is_some())
    }

    /// The lines that a person reads.
    fn lines(&self, rule: &str, seconds: f64, cannot: &Cannot) -> String {
        let mut text = if self.failures.is_empty() {
            format!(
                "{rule:<13} ok{} ({seconds:.1} s)\n",
                after(": ", &self.note)
            )
        } else {
            format!(
                "{rule:<13} FAILED{} ({seconds:.1} s)\n",
                after(": ", self.hint)
            )
        };
        for failure in &self.failures {
            text.push_str(&format!("    {}\n", failure.replace('\n', "\n    ")));
        }
        for reason in &self.not_run {
            let excuse = cannot.excuse(rule, reason);
            let excuse = excuse.unwrap_or("FAILED, for xtask/cannot.toml does not name it");
            text.push_str(&format!("    not run: {reason} ({excuse})\n"));
        }
        text
    }
}

fn after(separator: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{separator}{text}")
    }
}

/// `cargo xtask ci [RULE...]`
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    if arguments.iter().any(|a| a == "--list" || a == "--help") {
        for rule in RULES {
            println!("{:<13} {}", rule.name, rule.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rules = chosen(arguments)?;
    let cannot = Cannot::read(&process::root()?)?;
    let workspace = Workspace::read()?;
    let mut tally = None;
    let mut bad = Vec::new();
    for rule in &rules {
        println!("--- {}: {}", rule.name, rule.about);
        let start = Instant::now();
        let report = (rule.run)(&workspace)
            .unwrap_or_else(|e| Report::of(vec![e.to_string()], "the rule could not be run", ""));
        let lines = report.lines(rule.name, start.elapsed().as_secs_f64(), &cannot);
        print!("{lines}");
        if !report.good(rule.name, &cannot) {
            bad.push((rule.name, lines));
        }
        tally = tally.or(report.tally);
    }
    println!("\n{}", conclusion(&rules, &bad));
    // The last line counts the tests, so that whoever reads only that one knows.
    if let Some(tally) = tally {
        println!("{tally}");
    }
    Ok(if bad.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a person needs to see again after all that cargo has printed.
fn conclusion(rules: &[&Rule], bad: &[(&str, String)]) -> String {
    if bad.is_empty() {
        return format!("{} of {} rules hold", rules.len(), rules.len());
    }
    let names: Vec<_> = bad.iter().map(|(name, _)| *name).collect();
    let lines: String = if rules.len() > 1 {
        bad.iter().map(|(_, l)| l.as_str()).collect()
    } else {
        String::new()
    };
    format!(
        "{lines}{} of {} rules hold; these do not: {}",
        rules.len() - bad.len(),
        rules.len(),
        names.join(", ")
    )
}

/// The rules that were asked for, in the order of the house.
fn chosen(names: &[String]) -> Result<Vec<&'static Rule>> {
    if let Some(unknown) = names.iter().find(|n| RULES.iter().all(|r| r.name != **n)) {
        let known: Vec<_> = RULES.iter().map(|r| r.name).collect();
        return Err(format!(
            "there is no rule `{unknown}`; there are {}",
            known.join(", ")
        )
        .into());
    }
    Ok(RULES
        .iter()
        .filter(|r| names.is_empty() || names.iter().any(|n| n == r.name))
        .collect())
}

#[cfg(test)]
mod report_tests {
    use super::*;

    #[test]
    fn what_was_not_run_is_bad_unless_it_is_named() {
        let cannot = Cannot::parse(
            "[[cannot]]\nrule = \"tests\"\nsays = \"user namespaces\"\nwhy = \"the host forbids them\"",
        )
        .expect("the list is well formed");
        let report = |reason: &str| Report {
            not_run: vec![reason.into()],
            ..Report::default()
        };
        assert!(report("no user namespaces here").good("tests", &cannot));
        assert!(!report("no user namespaces here").good("docs", &cannot));
        assert!(!report("no registry").good("tests", &cannot));
        let lines = report("no registry").lines("tests", 0.0, &cannot);
        assert!(lines.contains("not run: no registry (FAILED"), "{lines}");
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let report = Report::of(vec!["a\nb".into()], "mend it", "unseen");
        let lines = report.lines("doors", 1.0, &Cannot::default());
        assert_eq!(
            lines,
            "doors         FAILED: mend it (1.0 s)\n    a\n    b\n"
        );
    }

    #[test]
    fn rules_are_chosen_by_name() {
        assert_eq!(chosen(&[]).expect("all").len(), RULES.len());
        assert_eq!(chosen(&["docs".into()]).expect("one")[0].name, "docs");
        assert!(chosen(&["dosc".into()]).is_err());
    }
}
