//! What the language has and this crate does not carry out yet: one table, which grows shorter. Knows
//! no Dockerfile; the place is that of the instruction.

use kiln_graph::{Graph, Op, Run};
use kiln_image::Platform;
use kiln_parser::{Diagnostic, Span};

use crate::{Error, lowering::finding};

/// What is not carried out, and what to do instead; empty where there is nothing.
struct Refused(String, &'static str);

/// Refuses a graph with operations that nobody here carries out: each at its instruction.
pub(crate) fn all(graph: &Graph, platform: &Platform) -> Result<(), Error> {
    let mut found: Vec<Diagnostic> = Vec::new();
    for (_, node) in graph.iter() {
        let Some(Refused(what, instead)) = refuse(&node.op, platform) else {
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

fn refuse(op: &Op, platform: &Platform) -> Option<Refused> {
    match op {
        Op::Run(run) => refuse_run(run, platform),
        _ => None,
    }
}

fn refuse_run(run: &Run, platform: &Platform) -> Option<Refused> {
    let other = run.platform.as_ref().filter(|p| !p.serves(platform));
    other.map(|p| {
        let instead = "build for one platform";
        Refused(format!("RUN for {p} in a build for {platform}"), instead)
    })
}
