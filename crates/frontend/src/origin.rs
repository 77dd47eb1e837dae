//! Where the `from` of a COPY or of a mount takes its files: stages by name and number, named contexts,
//! images. Refuses stages that come later.

use std::collections::BTreeMap;

use kiln_image::Reference;
use kiln_parser::{Diagnostic, Dockerfile, Instruction, Span, Word, ast::Mount};

use crate::{
    contexts::{self, Meant},
    error,
    stage::Survey,
};

/// Where the `from` of a COPY or of a mount takes its files.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Scratch,
    Stage(usize),
    /// A named context of files.
    Context(String),
    Image(Reference),
}

/// What the instruction takes files from, besides the context.
pub(crate) fn taken_from<'w>(instruction: &'w Instruction<'_>) -> Vec<&'w Word<'w>> {
    match instruction {
        Instruction::Copy(copy) => copy.flags.from.iter().map(|flag| &flag.value).collect(),
        Instruction::Run(run) => run.mounts.iter().filter_map(Mount::from).collect(),
        _ => Vec::new(),
    }
}

/// The stages of each name, in order.
pub(crate) fn names<'a>(file: &'a Dockerfile<'_>) -> BTreeMap<&'a str, Vec<usize>> {
    let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, stage) in file.stages.iter().enumerate() {
        if let Some(name) = stage.name() {
            names.entry(name).or_default().push(index);
        }
    }
    names
}

impl Survey<'_> {
    /// The last stage of that name, wherever it is.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.names
            .get(name.to_lowercase().as_str())?
            .last()
            .copied()
    }

    /// The last stage of that name before the stage `index`.
    pub(crate) fn named_before(&self, name: &str, index: usize) -> Option<usize> {
        let all = self.names.get(name.to_lowercase().as_str())?;
        let before = all.partition_point(|found| *found < index);
        all[..before].last().copied()
    }

    /// The stage that the context `name` is, where the stage `index` needs it.
    pub(crate) fn stage_before(
        &self,
        index: usize,
        (name, stage): (&str, &str),
        span: Span,
    ) -> Result<usize, Diagnostic> {
        let found = self.named(stage).or_else(|| stage.parse().ok());
        let (what, help) = match found {
            Some(found) if found < index => return Ok(found),
            Some(found) if found < self.file.stages.len() => (
                "does not come before this one",
                "a stage can use those above it",
            ),
            _ => ("could not be found", "it is a name or a number of a stage"),
        };
        let message = format!("context `{name}`: stage `{stage}` {what}");
        Err(error::error("bad-context", span, message, help))
    }

    /// What the `from` of a COPY or of a mount in the stage `index` means.
    pub(crate) fn copied_from(
        &self,
        index: usize,
        name: &str,
        span: Span,
    ) -> Result<Origin, Diagnostic> {
        let wrong =
            |message: String, help: &str| Err(error::error("bad-from-flag", span, message, help));
        let numbers = match index {
            0 => "this is the first stage".to_owned(),
            1 => "the stage before has the number `0`".to_owned(),
            n => format!("the stages before have the numbers `0` to `{}`", n - 1),
        };
        if let Ok(number) = name.parse::<usize>() {
            return match number {
                n if n < index => Ok(Origin::Stage(n)),
                n if n == index => wrong(format!("stage `{n}` is this one"), &numbers),
                n => wrong(format!("no earlier stage has the number `{n}`"), &numbers),
            };
        }
        match self.named(name) {
            Some(found) if found < index => return Ok(Origin::Stage(found)),
            Some(found) if found == index => {
                let help = "files of this stage are there already: leave the COPY out";
                return wrong(format!("stage `{name}` is this one"), help);
            }
            Some(_) => {
                let help = "move it up, before this one";
                return wrong(format!("stage `{name}` comes later"), help);
            }
            None => {}
        }
        if name == "scratch" {
            return Ok(Origin::Scratch);
        }
        if let Some((name, context)) = self.context(index, name) {
            return Ok(match contexts::meant(name, context, span)? {
                Meant::Scratch => Origin::Scratch,
                Meant::Files => Origin::Context(name.to_owned()),
                Meant::Image(reference) => Origin::Image(reference),
                Meant::Stage(stage) => {
                    Origin::Stage(self.stage_before(index, (name, stage), span)?)
                }
            });
        }
        let reference = name.parse::<Reference>().map_err(|e| {
            let help = e.hint_text().map(str::to_owned);
            Diagnostic::error("bad-reference", span, e.to_string()).with_help_if(help)
        })?;
        Ok(Origin::Image(reference))
    }
}
