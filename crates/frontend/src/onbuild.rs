//! Triggers: instructions that a base image wants carried out right behind FROM. They have no place in
//! the file; what is wrong with one is told at the FROM.

use kiln_parser::{Diagnostic, Instruction, Node, Span, parse_instruction};

/// Reads a trigger as the base's config has it.
pub(crate) fn read(trigger: &str) -> Result<Node<'_>, Diagnostic> {
    let parsed = parse_instruction(trigger, '\\');
    if let Some(error) = parsed.diagnostics.into_iter().find(Diagnostic::is_error) {
        return Err(error);
    }
    match parsed.node {
        Some(node) => match node.instruction {
            Instruction::OnBuild(_) | Instruction::Maintainer(_) => {
                let word = node.instruction.keyword();
                let message = format!("{word} cannot be the trigger of ONBUILD");
                Err(Diagnostic::error("bad-trigger", node.span, message))
            }
            _ => Ok(node),
        },
        None => {
            let message = "it cannot be the trigger of ONBUILD";
            Err(Diagnostic::error("bad-trigger", Span::default(), message))
        }
    }
}

/// What is wrong with a trigger, told at the FROM that brought it.
pub(crate) fn at_from(diagnostic: Diagnostic, trigger: &str, from: Span) -> Diagnostic {
    let first = trigger.lines().next().unwrap_or_default();
    Diagnostic {
        span: from,
        message: format!("`ONBUILD {first}` of the base: {}", diagnostic.message),
        ..diagnostic
    }
}
