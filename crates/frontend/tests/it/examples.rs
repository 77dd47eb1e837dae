//! The examples of the table of rules: each has a finding of its rule, and what is good has none.

use kiln_frontend::{Bases, Lowering, Options, Resolved, check, lower};
use kiln_image::{Config, Digest};
use kiln_parser::{ignore::Ignore, lint, parse};

use crate::given::{amd64, image};

/// Rules about what is not in the Dockerfile: files of the context, layers, what becomes of an image.
const ELSEWHERE: [&str; 6] = [
    "secret-in-dockerfile",
    "copy-source-missing",
    "copy-source-case",
    "copy-source-outside",
    "content-repeated",
    "output",
];

/// What an example says in its comments: the ignore file, build arguments.
fn options(example: &str) -> Options {
    let mut options = Options {
        every_stage: true,
        ..amd64()
    };
    for line in example.lines() {
        if let Some((_, rule)) = line.split_once(".dockerignore has a line ") {
            options.ignore = Some(Ignore::parse(rule).0);
        }
        if let Some((_, given)) = line.split_once("--build-arg ") {
            let (name, value) = given.split_once('=').expect("name=value");
            options.build_args.insert(name.to_owned(), value.to_owned());
        }
    }
    options
}

/// The rules that have something to say of an example.
fn found(example: &str) -> Vec<&'static str> {
    let options = options(example);
    let parsed = parse(example);
    let (settings, unknown) = lint::Settings::of(&parsed.file, None);
    let mut all = [parsed.diagnostics, unknown].concat();
    let mut bases = Bases::new();
    let more = loop {
        let needs = match lower(&parsed.file, &options, &bases) {
            Ok(Lowering::Done(lowered)) => break lowered.warnings,
            Ok(Lowering::Need(needs)) => needs,
            Err(_) => break check(&parsed.file, &options, &bases).findings,
        };
        for need in needs {
            let mut found: Resolved = image(&need);
            if need.reference.familiar_repository() == "arm-only" {
                found.config = Config::scratch(&"linux/arm64".parse().unwrap());
                found.manifest = Digest::sha256(b"arm-only");
            }
            bases.insert(need.reference, need.platform, found);
        }
    };
    all.extend(more);
    let kept = all.iter().filter(|d| settings.keeps(&parsed.file, d));
    kept.map(|d| d.code).collect()
}

#[test]
fn examples_of_rules_have_what_they_are_for() {
    for rule in lint::rules() {
        let name = rule.name;
        assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "{name}");
        let good = found(rule.good);
        assert!(!good.contains(&name), "{name}: {good:?}\n{}", rule.good);
        if !ELSEWHERE.contains(&name) {
            let bad = found(rule.bad);
            assert!(bad.contains(&name), "{name}: {bad:?}\n{}", rule.bad);
        }
    }
}

#[test]
fn names_are_one_rule_s_and_its_examples_have_nothing_else_to_learn() {
    let mut names: Vec<&str> = lint::rules().map(|rule| rule.name).collect();
    assert_eq!(
        names
            .iter()
            .filter(|n| lint::rule(n).is_some_and(|r| !r.is_own()))
            .count(),
        22
    );
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for rule in lint::rules() {
        let others: Vec<&str> = found(rule.good)
            .into_iter()
            .filter(|code| *code != rule.name)
            .collect();
        assert!(
            others.is_empty(),
            "{}: {others:?}\n{}",
            rule.name,
            rule.good
        );
    }
}
