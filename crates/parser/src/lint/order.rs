//! The order in which docker lists findings: by the pass of its builder that finds them.

use super::rules::{When, rule};
use super::{covers, seats};
use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Puts findings in the order of docker's JSON: rules of the text, of names, of bases, of
/// instructions in their order; kiln's own last. Its text is sorted by the first line.
pub fn order(file: &Dockerfile<'_>, findings: &mut [Diagnostic]) {
    let spans: Vec<Span> = seats(file).map(|seat| seat.span).collect();
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
            "MultipleInstructionsDisallowed" => next_of_kind(file, finding.span),
            _ => at(finding.span),
        };
        match when {
            // ARG is looked at by its names first, ENV by its values.
            When::Dispatch(2) if finding.message.contains("(ARG ") => (When::Dispatch(0), place, 0),
            // What is found first of an instruction comes after what is found of those before.
            When::Dispatch(step) => (When::Dispatch(0), place, step),
            when => (when, place, 0),
        }
    });
}

/// Where the instruction stands that makes an earlier one useless.
fn next_of_kind(file: &Dockerfile<'_>, span: Span) -> u32 {
    let stage = file.stages.iter().rev();
    let mut stage = stage.filter(|stage| stage.from.span.start <= span.start);
    let Some(stage) = stage.next() else {
        return span.start;
    };
    let mut rest = stage
        .instructions
        .iter()
        .skip_while(|node| node.span != span);
    let Some(first) = rest.next().map(|node| node.instruction.keyword()) else {
        return span.start;
    };
    rest.find(|node| node.instruction.keyword() == first)
        .map_or(span.start, |node| node.span.start)
}
