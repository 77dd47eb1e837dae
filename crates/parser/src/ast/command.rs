//! Commands in their two forms, and heredocs.

use std::borrow::Cow;

use serde::Serialize;

use crate::span::{Span, Spanned};
use crate::word::Word;

/// What `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD` are given. No variable is replaced in
/// either form: that is left to the shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Command<'a> {
    /// `["program", "argument"]`: started as it is.
    Exec(Vec<Spanned<String>>),
    /// Anything else: one string for the shell.
    Shell(Word<'a>),
}

impl Command<'_> {
    /// The arguments of the exec form.
    pub fn exec(&self) -> Option<Vec<String>> {
        match self {
            Command::Exec(args) => Some(args.iter().map(|arg| arg.node.clone()).collect()),
            Command::Shell(_) => None,
        }
    }

    /// The string of the shell form.
    pub fn shell(&self) -> Option<&str> {
        match self {
            Command::Exec(_) => None,
            Command::Shell(word) => Some(word.raw()),
        }
    }

    /// The argument vector: the exec form as it is, the shell form behind `shell`.
    pub fn argv(&self, shell: &[String]) -> Vec<String> {
        match self {
            Command::Exec(args) => args.iter().map(|arg| arg.node.clone()).collect(),
            Command::Shell(word) => shell
                .iter()
                .cloned()
                .chain([word.raw().to_owned()])
                .collect(),
        }
    }
}

/// `<<NAME` and the lines up to `NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heredoc<'a> {
    /// The delimiter without its quotes; in COPY and ADD also the name of the file.
    pub name: String,
    /// The marker on the instruction's line.
    pub span: Span,
    /// The file descriptor before `<<`, if one is named.
    pub fd: Option<u32>,
    /// `<<-`: tabs at the start of each line do not count.
    pub strip_tabs: bool,
    /// Whether the builder replaces variables in COPY and ADD: the delimiter was not quoted.
    pub expand: bool,
    /// The lines between, as they are in the file, with their line ends. Quotes in it are
    /// characters like others.
    pub body: Word<'a>,
    /// The delimiter on the line that ends it, without tabs before it.
    pub terminator: Span,
}

impl Heredoc<'_> {
    /// The body as the program reads it: with `<<-`, without tabs at the start of lines.
    pub fn content(&self) -> Cow<'_, str> {
        if self.strip_tabs {
            strip_tabs(self.body.raw())
        } else {
            Cow::Borrowed(self.body.raw())
        }
    }

    /// The content with variables replaced if the delimiter was not quoted: what COPY and ADD
    /// write.
    ///
    /// # Errors
    ///
    /// As [`Word::expand`].
    pub fn expand_content<'l>(
        &self,
        lookup: &crate::Lookup<'l>,
    ) -> Result<String, crate::ExpandError> {
        if !self.expand {
            return Ok(self.content().into_owned());
        }
        if !self.strip_tabs {
            return self.body.expand(lookup);
        }
        let content = self.content();
        let expanded =
            crate::expand::expand(&content, '\\', crate::expand::Quotes::Literal, lookup);
        expanded
            .map(|e| e.text)
            .map_err(|e| e.somewhere_in(self.body.span()))
    }
}

fn strip_tabs(text: &str) -> Cow<'_, str> {
    if !text.contains('\t') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.split_inclusive('\n')
            .map(|line| line.trim_start_matches('\t'))
            .collect(),
    )
}
