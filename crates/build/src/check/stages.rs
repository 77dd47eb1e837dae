//! A source that is not in the context, and which an earlier stage speaks of: `--from` was forgotten.
//! Refuses to look at what a stage made: the file is all that is read.

use kiln_parser::{
    Dockerfile, Instruction, Node, Stage,
    ast::{Command, Source},
};

/// Options and signs behind which a name is that of a file that is written.
const WRITES: [&str; 3] = ["-o", "--output", ">"];

/// What to tell of a source that is not in the context, where an earlier stage has it.
pub(crate) fn hint(file: &Dockerfile<'_>, source: &str) -> Option<String> {
    let wanted = Wanted::new(source)?;
    let index = file.stages.iter().position(|stage| copies(stage, source))?;
    let mut found = file.stages[..index].iter().enumerate().rev();
    let (number, line) = found.find_map(|(number, stage)| {
        let mut nodes = stage.instructions.iter();
        let node = nodes.find(|node| wanted.is_in(node))?;
        Some((number, node.lines.0))
    })?;
    let name = match file.stages[number].name() {
        Some(name) => name.to_owned(),
        None => number.to_string(),
    };
    Some(format!(
        "the stage `{name}` speaks of it in line {line}: did you mean `COPY --from={name}`?"
    ))
}

/// Whether the stage takes the source from the context.
fn copies(stage: &Stage<'_>, source: &str) -> bool {
    let plain = |path: &str| path.trim_start_matches("./").trim_matches('/').to_owned();
    let wanted = plain(source);
    let has = |sources: &[Source<'_>]| {
        sources.iter().any(|source| match source {
            Source::Path(word) => plain(word.raw()) == wanted,
            Source::Heredoc(_) => false,
        })
    };
    stage
        .instructions
        .iter()
        .any(|node| match &node.instruction {
            Instruction::Copy(copy) => copy.flags.from.is_none() && has(&copy.sources),
            Instruction::Add(add) => has(&add.sources),
            _ => false,
        })
}

/// A path as a stage may have written it.
struct Wanted {
    path: String,
    /// A name alone says little: it has to be written.
    is_name: bool,
}

impl Wanted {
    fn new(source: &str) -> Option<Self> {
        let path = source.trim_start_matches("./").trim_matches('/').to_owned();
        let is_name = !path.contains('/');
        (!path.is_empty()).then_some(Self { path, is_name })
    }

    fn is_in(&self, node: &Node<'_>) -> bool {
        match &node.instruction {
            Instruction::Run(run) => {
                let script = match &run.command {
                    Command::Shell(_) => node.text.as_ref(),
                    _ => return false,
                };
                let docs = run.heredocs.iter().map(|doc| doc.body.raw());
                std::iter::once(script)
                    .chain(docs)
                    .any(|text| self.is_said(text))
            }
            Instruction::Copy(copy) => self.is_at(copy.dest.raw()),
            Instruction::Add(add) => self.is_at(add.dest.raw()),
            _ => false,
        }
    }

    fn is_said(&self, text: &str) -> bool {
        let mut before = "";
        text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '"' | '\''))
            .filter(|word| !word.is_empty())
            .any(|word| {
                let writes = WRITES.contains(&std::mem::replace(&mut before, word));
                let (option, value) = word.split_once('=').unwrap_or(("", word));
                let writes = writes || WRITES.contains(&option);
                let value = value
                    .strip_prefix('>')
                    .map_or((writes, value), |rest| (true, rest));
                (value.0 || !self.is_name || value.1.starts_with('/')) && self.is_at(value.1)
            })
    }

    fn is_at(&self, path: &str) -> bool {
        path.trim_start_matches("./").trim_matches('/') == self.path
    }
}

#[cfg(test)]
mod tests {
    use kiln_parser::parse;

    #[test]
    fn stages_that_speak_of_a_file() {
        let rows = [
            (
                "AS build\nRUN cc -o /app/x x.c",
                "app/x",
                Some("`build` speaks of it in line 2"),
            ),
            ("\nRUN cc -o x x.c", "x", Some("`COPY --from=0`")),
            (
                "AS b\nRUN cc --output=dist/x x.c",
                "./dist/x",
                Some("--from=b"),
            ),
            ("AS b\nRUN make >out", "out", Some("--from=b")),
            ("AS b\nRUN <<E\nmake -o /app/x\nE", "/app/x", Some("line 2")),
            ("AS b\nCOPY a /app/x", "app/x", Some("--from=b")),
            ("AS b\nRUN make x", "x", None),
            ("AS b\nRUN cc -o /app/xy x.c", "app/x", None),
            ("AS b\nRUN cc -o /app/x x.c", "app", None),
            ("AS b\nENV x=/app/x", "app/x", None),
        ];
        for (stage, source, want) in rows {
            let text = format!("FROM a {stage}\nFROM c\nCOPY {source} /\n");
            let hint = super::hint(&parse(&text).file, source);
            match want {
                Some(want) => assert!(
                    hint.as_ref().is_some_and(|h| h.contains(want)),
                    "{text}{hint:?}"
                ),
                None => assert_eq!(hint, None, "{text}"),
            }
        }
        let later = "FROM a\nCOPY app/x /\nFROM b\nRUN cc -o /app/x x.c\n";
        assert_eq!(super::hint(&parse(later).file, "app/x"), None);
        let from = "FROM a AS b\nRUN cc -o /app/x x.c\nFROM c\nCOPY --from=d app/x /\n";
        assert_eq!(super::hint(&parse(from).file, "app/x"), None);
    }
}
