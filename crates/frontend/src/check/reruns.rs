//! Arguments that are declared earlier than they are used: a change of one runs every RUN behind it
//! again. Said only where the argument is used later on and moving it would help: a program may read
//! its environment without a word in the file.

use kiln_parser::{Diagnostic, Dockerfile, Instruction, Node};

pub(super) fn check(file: &Dockerfile<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for stage in &file.stages {
        for (at, node) in stage.instructions.iter().enumerate() {
            let Instruction::Arg(arg) = &node.instruction else {
                continue;
            };
            for pair in &arg.pairs {
                let name = pair.name.raw();
                found.extend(too_early(name, &stage.instructions[at + 1..]));
            }
        }
    }
    found
}

/// The first RUN that comes before anything that names the argument.
fn too_early(name: &str, behind: &[Node<'_>]) -> Option<Diagnostic> {
    let used = behind.iter().position(|node| mentions(node, name))?;
    let is_run = |node: &&Node<'_>| matches!(node.instruction, Instruction::Run(_));
    let rerun = behind[..used].iter().find(is_run)?;
    let message = format!("a change of `{name}` reruns this, which does not use it");
    let help = format!(
        "move `ARG {name}` down to line {}, where it is first used",
        behind[used].lines.0
    );
    let note = Diagnostic::warning("arg-reruns", rerun.span, message);
    Some(note.with_help(help))
}

/// Whether the name stands anywhere in an instruction as a word of its own.
fn mentions(node: &Node<'_>, name: &str) -> bool {
    let is_word = |text: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            !before.is_some_and(inside) && !after.is_some_and(inside)
        })
    };
    let in_docs = || match &node.instruction {
        Instruction::Run(run) => run.heredocs.iter().any(|doc| is_word(doc.body.raw())),
        // What a copied heredoc says is looked at by nobody here: it counts as a use.
        Instruction::Copy(_) | Instruction::Add(_) => false,
        _ => false,
    };
    is_word(&node.text) || in_docs()
}

#[cfg(test)]
mod tests {
    use kiln_parser::parse;

    #[test]
    fn arguments_that_come_too_early() {
        let rows = [
            ("ARG V\nRUN apt\nRUN make $V", Some("line 4")),
            (
                "ARG V=1 W\nRUN apt $W\nUSER x\nLABEL v=${V}",
                Some("line 5"),
            ),
            ("ARG V\nRUN make ${V}\nRUN x $V", None),
            ("ARG V\nRUN apt\nRUN make", None),
            ("ARG V\nRUN env V=2 apt\nRUN make $V", None),
            ("ARG V\nRUN apt $VERSION\nRUN make $V", Some("line 4")),
            ("ARG V\nENV V=$V\nRUN a\nRUN $V", None),
            ("ARG V\nRUN <<E\necho $V\nE\nRUN $V", None),
        ];
        for (text, want) in rows {
            let src = format!("FROM x\n{text}\n");
            let found = super::check(&parse(&src).file);
            let help = found.first().and_then(|f| f.help.clone());
            match want {
                Some(want) => assert!(help.is_some_and(|h| h.contains(want)), "{text}"),
                None => assert_eq!(help, None, "{text}"),
            }
        }
    }
}
