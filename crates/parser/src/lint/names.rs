//! Names of stages, and the case of keywords.

use std::collections::HashSet;

use super::finding;
use crate::ast::{Dockerfile, From, Node};
use crate::diagnostic::Diagnostic;

/// Names that mean something else in FROM and `--from`.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) fn check(file: &Dockerfile<'_>, found: &mut Vec<Diagnostic>) {
    let mut seen = HashSet::new();
    for stage in &file.stages {
        from(&stage.from, found);
        let Some(name) = stage.name() else { continue };
        let span = stage.from.span;
        if RESERVED.contains(&name) {
            let message =
                format!("Stage name should not use the same name as reserved stage \"{name}\"");
            found.push(finding("ReservedStageName", span, message));
        }
        if !seen.insert(name) {
            let message = format!("Duplicate stage name \"{name}\", stage names should be unique");
            found.push(finding("DuplicateStageName", span, message));
        }
    }
    casing(file, found);
}

fn from(node: &Node<'_, From<'_>>, found: &mut Vec<Diagnostic>) {
    // The tree has the name in lower case; the line has it as it was written.
    let written = node.text.split_whitespace().next_back().unwrap_or_default();
    if node.instruction.name.is_some() && written.chars().any(char::is_uppercase) {
        let message = format!("Stage name '{written}' should be lowercase");
        found.push(finding("StageNameCasing", node.span, message));
    }
    let Some(keyword) = &node.instruction.as_keyword else {
        return;
    };
    let (from, keyword) = (&*node.keyword.node, keyword.node.as_str());
    let differs = match case(from) {
        Some(wanted) => case(keyword) != Some(wanted),
        None => false,
    };
    if differs {
        let message = format!("'{keyword}' and '{from}' keywords' casing do not match");
        found.push(finding("FromAsCasing", node.span, message));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// The case of a keyword, if it has only one.
fn case(keyword: &str) -> Option<Case> {
    if keyword.chars().all(|c| c.is_ascii_lowercase()) {
        Some(Case::Lower)
    } else if keyword.chars().all(|c| c.is_ascii_uppercase()) {
        Some(Case::Upper)
    } else {
        None
    }
}

/// Keywords of stages whose case is not that of most. The global ARGs do not count.
fn casing(file: &Dockerfile<'_>, found: &mut Vec<Diagnostic>) {
    let keywords = || {
        file.stages.iter().flat_map(|stage| {
            let own = stage.instructions.iter().map(|n| (&n.keyword, n.span));
            std::iter::once((&stage.from.keyword, stage.from.span)).chain(own)
        })
    };
    let count = |wanted| {
        let of = keywords().filter(|(keyword, _)| case(&keyword.node) == Some(wanted));
        of.count()
    };
    let (majority, name) = if count(Case::Lower) > count(Case::Upper) {
        (Case::Lower, "lowercase")
    } else {
        (Case::Upper, "uppercase")
    };
    for (keyword, span) in keywords() {
        if case(&keyword.node) != Some(majority) {
            let message = format!(
                "Command '{}' should match the case of the command majority ({name})",
                keyword.node
            );
            found.push(finding("ConsistentInstructionCasing", span, message));
        }
    }
}
