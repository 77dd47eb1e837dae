//! What single instructions should not look like, and which a stage should have once.

use std::collections::HashMap;

use super::{expose::expose, finding, secrets};
use crate::ast::{Command, Dockerfile, Instruction, Node};
use crate::diagnostic::Diagnostic;
use crate::span::Span;

pub(super) fn check(file: &Dockerfile<'_>, found: &mut Vec<Diagnostic>) {
    // Whether a stage has a SHELL of its own, by the stage's name: it is inherited.
    let mut shells: HashMap<&str, bool> = HashMap::new();
    for stage in &file.stages {
        let base = stage.image().raw().to_lowercase();
        let mut has_shell = shells.get(base.as_str()).copied().unwrap_or(false);
        let mut before: [Option<Span>; 3] = [None; 3];
        for node in &stage.instructions {
            instruction(node, found);
            match &node.instruction {
                Instruction::Shell(_) => has_shell = true,
                Instruction::Cmd(Command::Shell(_))
                | Instruction::Entrypoint(Command::Shell(_))
                    if !has_shell =>
                {
                    let message = format!(
                        "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                        node.instruction.keyword()
                    );
                    found.push(finding("JSONArgsRecommended", node.span, message));
                }
                _ => {}
            }
            let once = match &node.instruction {
                Instruction::Cmd(_) => 0,
                Instruction::Entrypoint(_) => 1,
                Instruction::Healthcheck(_) => 2,
                _ => continue,
            };
            if let Some(earlier) = before[once].replace(node.span) {
                let message = format!(
                    "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                    node.instruction.keyword()
                );
                found.push(finding("MultipleInstructionsDisallowed", earlier, message));
            }
        }
        if let Some(name) = stage.name() {
            shells.insert(name, has_shell);
        }
    }
}

fn instruction(node: &Node<'_>, found: &mut Vec<Diagnostic>) {
    let mut legacy = |name: &str| {
        let message = format!(
            "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
        );
        found.push(finding("LegacyKeyValueFormat", node.span, message));
    };
    match &node.instruction {
        Instruction::Label(label) if label.legacy => legacy("LABEL"),
        Instruction::Env(env) => {
            if env.legacy {
                legacy("ENV");
            }
            let names = env.pairs.iter().map(|pair| &pair.key);
            found.extend(secrets::names("ENV", names));
        }
        Instruction::Arg(arg) => {
            let names = arg.pairs.iter().map(|pair| &pair.name);
            found.extend(secrets::names("ARG", names));
        }
        Instruction::Expose(ports) => {
            let constant = ports.ports.iter().filter(|word| !word.has_variables());
            for word in constant {
                if let Ok(words) = word.expand_words(&|_| None) {
                    found.extend(words.iter().flat_map(|port| expose(port, word.span())));
                }
            }
        }
        Instruction::Maintainer(_) => {
            let message = "Maintainer instruction is deprecated in favor of using label";
            found.push(finding(
                "MaintainerDeprecated",
                node.span,
                message.to_owned(),
            ));
        }
        _ => {}
    }
}
