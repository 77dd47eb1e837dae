//! Comments right above FROM and ARG: descriptions of stages and arguments, where they begin with
//! the name.

use super::finding;
use crate::ast::{Comment, Dockerfile, Instruction};
use crate::diagnostic::Diagnostic;
use crate::span::Span;

pub(super) fn check(file: &Dockerfile<'_>, found: &mut Vec<Diagnostic>) {
    let mut arg = |node_span, comments: &[Comment<'_>], arg: &crate::ast::Arg<'_>| {
        let names: Vec<&str> = arg.pairs.iter().map(|pair| pair.name.raw()).collect();
        found.extend(describes("ARG", &names, comments, node_span));
    };
    for node in &file.args {
        arg(node.span, &node.comments, &node.instruction);
    }
    for stage in &file.stages {
        for node in &stage.instructions {
            if let Instruction::Arg(this) = &node.instruction {
                arg(node.span, &node.comments, this);
            }
        }
    }
    for stage in &file.stages {
        if let Some(name) = stage.name() {
            let from = &stage.from;
            found.extend(describes("FROM", &[name], &from.comments, from.span));
        }
    }
}

/// The last line of the comment counts.
fn describes(
    keyword: &str,
    names: &[&str],
    comments: &[Comment<'_>],
    span: Span,
) -> Option<Diagnostic> {
    let first = comments.last()?.text.split(' ').next().unwrap_or_default();
    if names.contains(&first) {
        return None;
    }
    let names = match names {
        [one] => (*one).to_owned(),
        _ => "<arg_key>".to_owned(),
    };
    let message =
        format!("Comment for {keyword} should follow the format: `# {names} <description>`");
    Some(finding("InvalidDefinitionDescription", span, message))
}
