//! The rules of `docker build --check` that need values: of arguments, of the environment, of base
//! images, of the ignore file. The rules that need only the text are the parser's. Refuses to filter
//! ([`kiln_parser::lint::Settings`]) and to look at files.

mod from;
mod ignored;
mod reruns;
mod state;
mod tokens;
mod values;

use std::collections::BTreeMap;

use kiln_parser::{Diagnostic, Dockerfile, Span, lint};

use crate::{
    Base, Bases, Options,
    stage::{Ground, Survey},
};
use state::State;

/// What the checks of a file came to.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What the rules found, those of the text included, unfiltered and in docker's order
    /// ([`lint::order`]).
    pub findings: Vec<Diagnostic>,
    /// Images that have to be looked up first: without them rules about what stands on them are
    /// silent. It may take several rounds.
    pub need: Vec<Base>,
}

/// Looks at the stages that the target needs, or at all of them ([`Options::every_stage`]). It works
/// also where the file cannot be lowered: what is wrong with it is [`crate::lower`]'s to say.
pub fn check(file: &Dockerfile<'_>, options: &Options, bases: &Bases) -> Checked {
    match Survey::new(file, options, bases) {
        Ok(survey) => Checked {
            findings: findings(file, options, &survey),
            need: survey.needs,
        },
        Err(_) => {
            let mut findings = lint::check(file);
            lint::order(file, &mut findings);
            Checked {
                findings,
                need: Vec::new(),
            }
        }
    }
}

/// Everything that is found in the surveyed stages.
pub(crate) fn findings(
    file: &Dockerfile<'_>,
    options: &Options,
    survey: &Survey<'_>,
) -> Vec<Diagnostic> {
    let mut found = lint::check(file);
    found.retain(|finding| counts(file, survey, finding));
    found.extend(from::check(file, options, survey));
    let mut ends: BTreeMap<usize, State> = BTreeMap::new();
    for (index, ground) in &survey.grounds {
        let stage = &file.stages[*index];
        let mut state = match ground {
            Ground::Stage(earlier) => ends.get(earlier).cloned().unwrap_or_default(),
            Ground::Image(_, resolved) => State::of(&resolved.config),
            _ => State::default(),
        };
        let mut pass = values::Pass {
            options,
            globals: &survey.globals,
            found: &mut found,
            at: Some(stage.from.span),
        };
        for trigger in survey.triggers(*index) {
            if let Ok(node) = crate::onbuild::read(trigger) {
                pass.instruction(&node.instruction, &mut state);
            }
        }
        pass.at = None;
        for node in survey.body(*index) {
            pass.instruction(&node.instruction, &mut state);
        }
        ends.insert(*index, state);
    }
    if options.every_stage {
        found.extend(reruns::check(file));
    }
    found.extend(tokens::check(file, options));
    lint::order(file, &mut found);
    found
}

/// Whether a finding of the text stands with what is known of the stages: docker looks into
/// instructions of stages that it builds, and a base image may bring a SHELL.
fn counts(file: &Dockerfile<'_>, survey: &Survey<'_>, finding: &Diagnostic) -> bool {
    let by_stage = lint::rule(finding.code).is_some_and(lint::Rule::by_stage);
    let Some(index) = stage_of(file, finding.span).filter(|_| by_stage) else {
        return true;
    };
    match finding.code {
        // Found again, with the values of variables.
        "ExposeProtoCasing" | "ExposeInvalidFormat" => false,
        "JSONArgsRecommended" => survey.grounds.contains_key(&index) && !has_shell(survey, index),
        _ => survey.grounds.contains_key(&index),
    }
}

fn has_shell(survey: &Survey<'_>, mut index: usize) -> bool {
    loop {
        match survey.grounds.get(&index) {
            Some(Ground::Stage(earlier)) if *earlier < index => index = *earlier,
            Some(Ground::Image(_, resolved)) => return resolved.config.config.shell.is_some(),
            _ => return false,
        }
    }
}

/// The stage that a place lies in.
fn stage_of(file: &Dockerfile<'_>, span: Span) -> Option<usize> {
    let before = |stage: &kiln_parser::Stage<'_>| stage.from.span.start <= span.start;
    file.stages.partition_point(before).checked_sub(1)
}

/// The name that was probably meant: the first that is at most two edits away and nearer than those
/// before it.
fn meant<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const FAR: usize = 3;
    let name: Vec<char> = name.chars().collect();
    let mut best = (FAR, None);
    for candidate in known {
        let other: Vec<char> = candidate.chars().collect();
        if name.len().abs_diff(other.len()) < best.0 {
            let far = distance(&name, &other);
            if far < best.0 {
                best = (far, Some(candidate));
            }
        }
    }
    best.1
}

/// Characters to insert, delete or replace.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != to);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
