//! What the language has and this crate does not carry out yet: one table, which grows shorter. Knows
//! no Dockerfile; the place is that of the instruction.

use kiln_graph::{Copy, Graph, Op};
use kiln_parser::{Diagnostic, Span};

use crate::{Error, lowering::finding};

/// What is not carried out, and what to do instead; empty where there is nothing.
struct Refused(String, &'static str);

/// Refuses a graph with operations that nobody here carries out: each at its instruction.
pub(crate) fn all(graph: &Graph) -> Result<(), Error> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for (_, node) in graph.iter() {
        let Some(Refused(what, instead)) = refuse(&node.op) else {
            continue;
        };
        let span = node.origin.as_ref().map(|origin| origin.span);
        let span = span.map_or(Span::default(), |(start, end)| Span::new(start, end));
        // What an instruction comes to are several nodes: it is told of once.
        if found.iter().any(|d| d.span == span) {
            continue;
        }
        let message = format!("`{what}` is not carried out yet");
        let help = Some(instead.to_owned()).filter(|help| !help.is_empty());
        found.push(Diagnostic::error("not-yet", span, message).with_help_if(help));
    }
    found.sort_by_key(|d| d.span);
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::dockerfile(found.iter().map(finding).collect())),
    }
}

fn refuse(op: &Op) -> Option<Refused> {
    match op {
        Op::Copy(copy) => refuse_copy(copy),
        _ => None,
    }
}

fn refuse_copy(copy: &Copy) -> Option<Refused> {
    let refused = |what: &str, instead| Some(Refused(what.to_owned(), instead));
    if copy.parents {
        return refused("--parents", "name the folders one by one");
    }
    if !copy.exclude.is_empty() {
        let instead = "name what is to be left out in .dockerignore";
        return refused("--exclude", instead);
    }
    let octal = |mode: &String| mode.starts_with(|c: char| c.is_ascii_digit());
    if !copy.mode.as_ref().is_none_or(octal) {
        let instead = "write it in octal, like `0755`";
        return refused("--chmod with letters", instead);
    }
    if copy.sources.iter().any(|taken| taken.input != 1) {
        let what = "COPY of sources of several kinds";
        return refused(what, "copy them one at a time");
    }
    None
}
