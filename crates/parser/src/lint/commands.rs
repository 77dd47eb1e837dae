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
        let mut sequence = Sequence::new(shells.get(base.as_str()).copied().unwrap_or(false));
        for node in &stage.instructions {
            sequence.look(node, None, found);
            constant_ports(node, found);
            if let Instruction::Maintainer(_) = &node.instruction {
                let message = "Maintainer instruction is deprecated in favor of using label";
                let span = node.span;
                found.push(finding("MaintainerDeprecated", span, message.to_owned()));
            }
        }
        if let Some(name) = stage.name() {
            shells.insert(name, sequence.has_shell());
        }
    }
}

/// The instructions of a stage, one after the other: for the rules about commands and about
/// `key value`. Triggers of a base come first.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    has_shell: bool,
    /// The last CMD, ENTRYPOINT and HEALTHCHECK.
    before: [Option<Span>; 3],
}

impl Sequence {
    /// A stage whose base has a SHELL, or has none.
    pub fn new(has_shell: bool) -> Self {
        Self {
            has_shell,
            ..Self::default()
        }
    }

    /// Whether a SHELL was there so far.
    pub fn has_shell(&self) -> bool {
        self.has_shell
    }

    /// Looks at the next instruction. What is found of a trigger is told `at` the FROM that brought it.
    pub fn look(&mut self, node: &Node<'_>, at: Option<Span>, found: &mut Vec<Diagnostic>) {
        let span = at.unwrap_or(node.span);
        pairs(node, at, found);
        if let Instruction::Shell(_) = &node.instruction {
            self.has_shell = true;
        }
        let keyword = &*node.keyword.node;
        if let Instruction::Cmd(Command::Shell(_)) | Instruction::Entrypoint(Command::Shell(_)) =
            &node.instruction
            && !self.has_shell
        {
            let message = format!(
                "JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
            );
            found.push(finding("JSONArgsRecommended", span, message));
        }
        let once = match &node.instruction {
            Instruction::Cmd(_) => 0,
            Instruction::Entrypoint(_) => 1,
            Instruction::Healthcheck(_) => 2,
            _ => return,
        };
        if let Some(earlier) = self.before[once].replace(span) {
            let message = format!(
                "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
            );
            found.push(finding("MultipleInstructionsDisallowed", earlier, message));
        }
    }
}

fn pairs(node: &Node<'_>, at: Option<Span>, found: &mut Vec<Diagnostic>) {
    let legacy = || {
        let name = &*node.keyword.node;
        let message = format!(
            "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
        );
        finding("LegacyKeyValueFormat", at.unwrap_or(node.span), message)
    };
    match &node.instruction {
        Instruction::Label(label) if label.legacy => found.push(legacy()),
        Instruction::Env(env) => {
            if env.legacy {
                found.push(legacy());
            }
            let names = env.pairs.iter().map(|pair| &pair.key);
            found.extend(secrets::names("ENV", names, at));
        }
        Instruction::Arg(arg) => {
            let names = arg.pairs.iter().map(|pair| &pair.name);
            found.extend(secrets::names("ARG", names, at));
        }
        _ => {}
    }
}

/// Ports that do not wait for the values of variables.
fn constant_ports(node: &Node<'_>, found: &mut Vec<Diagnostic>) {
    let Instruction::Expose(ports) = &node.instruction else {
        return;
    };
    let constant = ports.ports.iter().filter(|word| !word.has_variables());
    for word in constant {
        if let Ok(words) = word.expand_words(&|_| None) {
            found.extend(words.iter().flat_map(|port| expose(port, word.span())));
        }
    }
}
