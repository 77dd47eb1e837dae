//! Rules about good style and likely mistakes: those of `docker build --check`, under the same
//! names, and which of them a file keeps or skips.
//!
//! A finding of a rule is a [`Diagnostic`] whose `code` is the rule's name. Here are the rules
//! that need nothing but the text; those that need values or base images belong to whoever has
//! these. Nothing here knows values, images or files.

mod commands;
mod describe;
mod expose;
mod names;
mod order;
mod rules;
mod secrets;
mod settings;

pub use commands::Sequence;
pub use expose::expose;
pub use order::{order, steps};
pub use rules::{Rule, rule, rules};
pub use secrets::secret_name;
pub use settings::Settings;

use crate::ast::{Dockerfile, Heredoc, Instruction, Node, Source};
use crate::diagnostic::Diagnostic;
use crate::span::{Span, to_u32};

/// The findings of the rules that need only the text, unfiltered ([`Settings::keeps`]), in the
/// order of the text. [`order()`] gives the order in which docker lists them.
pub fn check(file: &Dockerfile<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    empty_continuations(file, &mut found);
    names::check(file, &mut found);
    describe::check(file, &mut found);
    commands::check(file, &mut found);
    found.sort_by_key(|finding| finding.span.start);
    found
}

/// A finding of a rule.
pub(crate) fn finding(rule: &'static str, span: Span, message: String) -> Diagnostic {
    Diagnostic::warning(rule, span, message)
}

/// What an instruction is about, whatever kind it is: for looking at its place alone.
pub(crate) struct Seat<'f, 'a> {
    pub(crate) span: Span,
    pub(crate) lines: (u32, u32),
    pub(crate) comments: &'f [crate::ast::Comment<'a>],
    pub(crate) blank_lines: &'f [Span],
    /// How many of its lines belong to heredocs.
    heredoc_lines: u32,
}

fn seat<'f, 'a, T>(node: &'f Node<'a, T>) -> Seat<'f, 'a> {
    Seat {
        span: node.span,
        lines: node.lines,
        comments: &node.comments,
        blank_lines: &node.blank_lines,
        heredoc_lines: 0,
    }
}

/// The places of all instructions, in the order of the text.
pub(crate) fn seats<'f, 'a>(file: &'f Dockerfile<'a>) -> impl Iterator<Item = Seat<'f, 'a>> {
    let stages = file.stages.iter().flat_map(|stage| {
        let instructions = stage.instructions.iter().map(|node| Seat {
            heredoc_lines: heredoc_lines(&node.instruction),
            ..seat(node)
        });
        std::iter::once(seat(&stage.from)).chain(instructions)
    });
    file.args.iter().map(seat).chain(stages)
}

fn heredoc_lines(instruction: &Instruction<'_>) -> u32 {
    // Each has a line with its terminator behind the body.
    let lines = |doc: &Heredoc<'_>| to_u32(doc.body.raw().matches('\n').count() + 1);
    let sources = |sources: &[Source<'_>]| {
        let docs = sources.iter().filter_map(|source| match source {
            Source::Heredoc(doc) => Some(lines(doc)),
            Source::Path(_) => None,
        });
        docs.sum()
    };
    match instruction {
        Instruction::Run(run) => run.heredocs.iter().map(lines).sum(),
        Instruction::Copy(copy) => sources(&copy.sources),
        Instruction::Add(add) => sources(&add.sources),
        Instruction::OnBuild(on) => on.instruction.as_deref().map_or(0, heredoc_lines),
        _ => 0,
    }
}

fn empty_continuations(file: &Dockerfile<'_>, found: &mut Vec<Diagnostic>) {
    for seat in seats(file) {
        if let Some(last) = seat.blank_lines.last() {
            let message = "Empty continuation line".to_owned();
            found.push(finding("NoEmptyContinuation", *last, message));
        }
    }
}

/// First and last line that tools show for a finding: those of its instruction, but for
/// `NoEmptyContinuation`, which is shown where the continued line ends. `None` where it is about
/// no place in the file.
pub fn lines(file: &Dockerfile<'_>, finding: &Diagnostic) -> Option<(u32, u32)> {
    if finding.code != "NoEmptyContinuation" {
        return file.lines_of(finding.span);
    }
    let seat = seats(file).find(|seat| seat.blank_lines.contains(&finding.span))?;
    let mut last = seat.lines.1.saturating_sub(seat.heredoc_lines);
    let end = seat.span.end;
    if finding.span.start >= end {
        // The file ends there: behind the instruction are only blank lines and comments.
        let comments = file.comments.iter().map(|comment| comment.span);
        let behind = seat.blank_lines.iter().copied().chain(comments);
        last += to_u32(behind.filter(|span| span.start >= end).count());
    }
    Some((last, last))
}

fn covers(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

impl Dockerfile<'_> {
    /// First and last line, from 1, of the instruction or directive that a span lies in: what
    /// tools show for it. `None` when it lies in neither; an empty span at the start of the file
    /// stands for no place.
    pub fn lines_of(&self, span: Span) -> Option<(u32, u32)> {
        if span == Span::default() {
            return None;
        }
        let directive = || {
            // Directives are the first lines of the file, one a line; a line with an
            // interpreter may be before them.
            let at = self.directives.iter().position(|d| covers(d.span, span))?;
            let shebang = self.comments.first().is_some_and(|first| {
                let directive = self.directives.first();
                directive.is_some_and(|directive| first.span.start < directive.span.start)
            });
            let line = to_u32(at + 1 + usize::from(shebang));
            Some((line, line))
        };
        let mut seats = seats(self);
        let seat = seats.find(|seat| covers(seat.span, span));
        seat.map(|seat| seat.lines).or_else(directive)
    }
}
