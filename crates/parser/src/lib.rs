#![doc = include_str!("../README.md")]

pub mod ast;
mod check;
mod diagnostic;
mod directive;
mod expand;
mod flags;
pub mod glob;
mod grammar;
mod heredoc;
pub mod ignore;
mod json;
mod lines;
pub mod lint;
pub mod print;
mod span;
mod split;
mod suggest;
mod text;
mod word;
pub use ast::{Command, Dockerfile, Instruction, Node, Stage};
pub use diagnostic::{Diagnostic, Severity};
pub use directive::syntax;
pub use expand::{
    ExpandError, ExpandErrorKind, Lookup, MAX_EXPANDED, MAX_NESTING, MAX_PATTERN, Variable,
};
pub use span::{LineIndex, Position, Span, Spanned, position};
pub use word::Word;

use serde::Serialize;

/// The longest text that is read, in bytes. Offsets are 32 bits wide.
pub const MAX_FILE: usize = 1 << 30;

/// A tree and everything there is to say about the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parse<'a> {
    /// What could be read.
    pub file: Dockerfile<'a>,
    /// Errors and warnings in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Parse<'a> {
    /// For builders: the tree and its warnings, or everything when there is an error among it.
    ///
    /// # Errors
    ///
    /// All diagnostics, if one of them is an error.
    pub fn into_result(self) -> Result<(Dockerfile<'a>, Vec<Diagnostic>), Vec<Diagnostic>> {
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            Err(self.diagnostics)
        } else {
            Ok((self.file, self.diagnostics))
        }
    }
}

/// One instruction that was read by itself, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParsedInstruction<'a> {
    /// The instruction, unless it could not be read.
    pub node: Option<Node<'a>>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a Dockerfile. Never fails and never panics: what cannot be read is an error among the
/// diagnostics, and reading goes on behind it.
pub fn parse(src: &str) -> Parse<'_> {
    if src.len() > MAX_FILE {
        let message = format!("the Dockerfile is longer than {} MiB", MAX_FILE >> 20);
        let diagnostics = vec![Diagnostic::error("file-too-long", Span::default(), message)];
        return Parse {
            file: Dockerfile::default(),
            diagnostics,
        };
    }
    grammar::file(src)
}

/// Reads one instruction, such as a trigger found in the config of a base image, written with
/// `escape` (`\` or `` ` ``) as its escape character. Heredoc bodies follow on lines of their own.
pub fn parse_instruction(text: &str, escape: char) -> ParsedInstruction<'_> {
    if text.len() > MAX_FILE {
        let message = format!("the instruction is longer than {} MiB", MAX_FILE >> 20);
        let diagnostics = vec![Diagnostic::error("file-too-long", Span::default(), message)];
        return ParsedInstruction {
            node: None,
            diagnostics,
        };
    }
    grammar::single(text, escape)
}
