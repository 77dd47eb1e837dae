//! The bodies of heredocs: the lines below an instruction that its markers announce.

use super::statement::{Cx, Statement};
use crate::ast::Heredoc;
use crate::heredoc::{self, Marker};
use crate::json;
use crate::lines::{Physical, Reader};
use crate::span::{Span, to_u32};
use crate::text::range_in;
use crate::word::Word;

/// Last line and end of an instruction, which its heredocs move on.
pub(super) type End<'e> = (&'e mut (u32, u32), &'e mut u32);

/// Reads the bodies of the heredocs that a statement announces.
pub(super) fn heredocs<'a>(
    cx: &mut Cx<'a>,
    reader: &mut Reader<'a>,
    statement: &Statement<'a>,
    end: &mut End<'_>,
) -> Vec<Heredoc<'a>> {
    let args = statement.args.as_str();
    if !matches!(statement.name.as_str(), "RUN" | "COPY" | "ADD") || !args.contains("<<") {
        return Vec::new();
    }
    if matches!(json::array(&statement.args), json::Json::Strings(_)) {
        return Vec::new();
    }
    let mut docs = Vec::new();
    for marker in heredoc::markers(args) {
        let span = statement.args.span_of(range_in(args, marker.word));
        let (body, last) = match reader.heredoc(&marker.name, marker.strip_tabs) {
            Ok(found) => found,
            Err(near) => {
                unterminated(cx, &marker, span, near);
                continue;
            }
        };
        *end.1 = last.end();
        end.0.1 = last.number;
        let terminator = Span::new(last.end() - to_u32(marker.name.len()), last.end());
        let body = Word::body(body);
        if marker.expand && statement.name != "RUN" {
            cx.check(&body);
        }
        let Marker {
            fd,
            strip_tabs,
            name,
            expand,
            ..
        } = marker;
        docs.push(Heredoc {
            name,
            span,
            fd,
            strip_tabs,
            expand,
            body,
            terminator,
        });
    }
    docs
}

fn unterminated(cx: &mut Cx<'_>, marker: &Marker<'_>, span: Span, near: Option<Physical<'_>>) {
    let name = &marker.name;
    let rule = if marker.strip_tabs {
        "only tabs before it are taken away"
    } else {
        "`<<-` allows tabs before it"
    };
    let help = match near {
        Some(line) => format!("line {} has blanks around it; {rule}", line.number),
        None if name.ends_with("))") => {
            "if it is to shift a number, write it without blanks: `$((1<<2))`".to_owned()
        }
        None => format!("end the text with a line `{name}`"),
    };
    let message = format!("unterminated heredoc: no line that is just `{name}`");
    cx.error("unterminated-heredoc", span, message, help);
}
