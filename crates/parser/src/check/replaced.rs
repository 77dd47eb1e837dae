//! U+FFFD in the text: bytes that were no UTF-8 before somebody decoded them.

use crate::ast::Comment;
use crate::diagnostic::Diagnostic;
use crate::grammar::Cx;
use crate::span::{Span, to_u32};

const REPLACEMENT: char = '\u{fffd}';

/// Warns once, unless all of them are in comments.
pub(crate) fn replaced(cx: &mut Cx<'_>, comments: &[Comment<'_>]) {
    let in_comment = |at: u32| {
        let next = comments.partition_point(|c| c.span.end <= at);
        comments.get(next).is_some_and(|c| c.span.start <= at)
    };
    let mut found = cx.src.match_indices(REPLACEMENT).map(|(at, _)| to_u32(at));
    let Some(at) = found.find(|at| !in_comment(*at)) else {
        return;
    };
    let span = Span::new(at, at + to_u32(REPLACEMENT.len_utf8()));
    let message = "what is no UTF-8 text is read as `\u{fffd}`";
    let warning = Diagnostic::warning("not-utf8", span, message);
    cx.diagnostics
        .push(warning.with_help("save the file as UTF-8"));
}
