//! The order in which docker lists findings: by the pass of its builder that finds them.

use std::collections::HashSet;

use super::rules::{When, rule};
use super::{covers, seats};
use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Puts findings in the order of docker's JSON: rules of the text, of names, of bases, of
/// instructions in their order; kiln's own last. Its text is sorted by the first line.
pub fn order(file: &Dockerfile<'_>, findings: &mut [Diagnostic]) {
    let spans: Vec<Span> = seats(file).map(|seat| seat.span).collect();
    let froms: HashSet<u32> = file.stages.iter().map(|s| s.from.span.start).collect();
    let at = |span: Span| {
        let next = spans.partition_point(|seat| seat.start <= span.start);
        match next.checked_sub(1).map(|i| spans[i]) {
            Some(seat) if covers(seat, span) => seat.start,
            _ => span.start,
        }
    };
    findings.sort_by_cached_key(|finding| {
        let when = rule(finding.code).map_or(When::Own, |rule| rule.when);
        let place = match finding.code {
            "MultipleInstructionsDisallowed" => next_of_kind(file, finding),
            _ => at(finding.span),
        };
        match when {
            // Triggers of a base are listed as they were found.
            When::Dispatch(_) if froms.contains(&place) => (When::Dispatch(0), place, 0),
            // What is found first of an instruction comes after what is found of those before.
            When::Dispatch(_) => (When::Dispatch(0), place, step(finding)),
            when => (when, place, 0),
        }
    });
}

/// Where the instruction stands that makes an earlier one useless, or a trigger, which is told at
/// FROM.
fn next_of_kind(file: &Dockerfile<'_>, finding: &Diagnostic) -> u32 {
    let span = finding.span;
    let stage = file.stages.iter().rev();
    let mut stage = stage.filter(|stage| stage.from.span.start <= span.start);
    let kind = finding.message.split(' ').nth(1).unwrap_or_default();
    let next = stage.next().and_then(|stage| {
        let mut behind = stage.instructions.iter();
        behind.find(|node| {
            let is_kind = node.instruction.keyword().eq_ignore_ascii_case(kind);
            node.span.start > span.start && is_kind
        })
    });
    next.map_or(span.start, |node| node.span.start)
}

/// Puts the findings of one instruction in docker's order.
pub fn steps(findings: &mut [Diagnostic]) {
    findings.sort_by_key(step);
}

fn step(finding: &Diagnostic) -> u8 {
    match rule(finding.code).map(|rule| rule.when) {
        // ARG is looked at by its names first, ENV by its values.
        Some(When::Dispatch(2)) if finding.message.contains("(ARG ") => 0,
        Some(When::Dispatch(step)) => step,
        _ => u8::MAX,
    }
}
