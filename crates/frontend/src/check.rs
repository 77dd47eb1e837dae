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

use kiln_parser::{Diagnostic, Dockerfile, lint};

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
    // What is told of instructions is found anew, with what a base and its triggers bring along.
    found.retain(|finding| !lint::rule(finding.code).is_some_and(lint::Rule::by_stage));
    found.extend(from::check(file, options, survey));
    let mut ends: BTreeMap<usize, State> = BTreeMap::new();
    for (index, ground) in &survey.grounds {
        let stage = &file.stages[*index];
        let state = match ground {
            Ground::Stage(earlier) => ends.get(earlier).cloned().unwrap_or_default(),
            Ground::Image(_, resolved) => State::of(&resolved.config),
            _ => State::default(),
        };
        let mut pass = values::Pass {
            options,
            globals: &survey.globals,
            sequence: lint::Sequence::new(state.has_shell),
            found: &mut found,
            at: Some(stage.from.span),
            state,
        };
        for trigger in survey.triggers(*index) {
            if let Ok(node) = crate::onbuild::read(trigger) {
                pass.node(&node);
            }
        }
        pass.at = None;
        for node in survey.body(*index) {
            pass.node(node);
        }
        ends.insert(*index, pass.end());
    }
    if options.every_stage {
        found.extend(reruns::check(file));
    }
    found.extend(tokens::check(file, options));
    lint::order(file, &mut found);
    found
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
