//! The tree: a Dockerfile, its stages and their instructions.
//!
//! Every word and flag has its place in the source. Nothing is evaluated here: variables are
//! replaced by whoever knows their values ([`Word::expand`]).

mod command;
mod copy;
mod meta;
mod run;

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::SerializeStruct as _;

pub use command::{Command, Heredoc};
pub use copy::{Add, AddFlags, Copy, CopyFlags, Source};
pub use meta::{
    Arg, ArgPair, Env, Expose, Healthcheck, HealthcheckOptions, Label, Maintainer, OnBuild, Pair,
    Port, PortError, Protocol, Shell, StopSignal, User, Volume, Workdir,
};
pub use run::{Mount, MountAccess, MountKind, MountOption, MountSpec, Run, Script, Sharing};

use crate::span::{Span, Spanned};
use crate::word::Word;

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Dockerfile<'a> {
    /// `# key=value` at the very top, in order.
    pub directives: Vec<Directive<'a>>,
    /// `ARG` before the first `FROM`: the global scope.
    pub args: Vec<Node<'a, Arg<'a>>>,
    /// Stages in the order of the file.
    pub stages: Vec<Stage<'a>>,
    /// Every comment line of the file, directives not counted.
    pub comments: Vec<Comment<'a>>,
}

impl Dockerfile<'_> {
    /// The escape character that the file chose, `\` unless a directive says otherwise.
    pub fn escape(&self) -> char {
        let escape = self
            .directives
            .iter()
            .find(|d| d.key == DirectiveKey::Escape);
        if escape.is_some_and(|d| d.value.node == "`") {
            '`'
        } else {
            '\\'
        }
    }

    /// The value of a directive, if the file has it.
    pub fn directive(&self, key: DirectiveKey) -> Option<&Spanned<&str>> {
        self.directives
            .iter()
            .find(|d| d.key == key)
            .map(|d| &d.value)
    }
}

/// `# key=value` at the top of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Directive<'a> {
    /// Which one.
    pub key: DirectiveKey,
    /// The text after `=`, trimmed.
    pub value: Spanned<&'a str>,
    /// The whole comment.
    pub span: Span,
}

/// The directives that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectiveKey {
    /// `# syntax=`: the image of an external frontend.
    Syntax,
    /// `# escape=`: the escape character.
    Escape,
    /// `# check=`: which checks to skip.
    Check,
}

/// A comment line: the text behind `#`, trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Comment<'a> {
    /// The text behind `#`, without white space at its ends.
    pub text: &'a str,
    /// From `#` to the end of the line.
    pub span: Span,
}

/// `FROM` and what follows it up to the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage<'a> {
    /// The `FROM` that opens it.
    pub from: Node<'a, From<'a>>,
    /// Its instructions in order. One that could not be read is missing here and has an error
    /// among the diagnostics.
    pub instructions: Vec<Node<'a>>,
}

impl<'a> Stage<'a> {
    /// The image or earlier stage that it builds on, variables not replaced.
    pub fn image(&self) -> &Word<'a> {
        &self.from.instruction.image
    }

    /// Its name in lower case, as other instructions refer to it.
    pub fn name(&self) -> Option<&str> {
        self.from
            .instruction
            .name
            .as_ref()
            .map(|name| name.node.as_str())
    }
}

/// An instruction and everything about its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node<'a, T = Instruction<'a>> {
    /// What it says.
    pub instruction: T,
    /// The keyword as written: `RUN`, `run`.
    pub keyword: Spanned<Cow<'a, str>>,
    /// From the keyword to the end of its last line, heredoc bodies included.
    pub span: Span,
    /// First and last line, from 1.
    #[serde(serialize_with = "as_lines")]
    pub lines: (u32, u32),
    /// The logical line as builders show it (`Step 2/5 : RUN …`): trimmed, keyword in upper
    /// case, continuations joined without a separator, comment and blank lines gone, heredoc
    /// bodies left out.
    pub text: Cow<'a, str>,
    /// Comment lines above it, down from the last instruction or empty comment.
    pub comments: Vec<Comment<'a>>,
    /// Blank lines inside of a continued instruction.
    pub blank_lines: Vec<Span>,
}

/// As an object: in JSON a pair of numbers does not say which is which.
fn as_lines<S: serde::Serializer>(lines: &(u32, u32), serializer: S) -> Result<S::Ok, S::Error> {
    let mut out = serializer.serialize_struct("Lines", 2)?;
    out.serialize_field("first", &lines.0)?;
    out.serialize_field("last", &lines.1)?;
    out.end()
}

impl<'a, T> Node<'a, T> {
    /// The same place with another instruction.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Node<'a, U> {
        let (instruction, rest) = self.split();
        let Node {
            keyword,
            span,
            lines,
            text,
            comments,
            blank_lines,
            ..
        } = rest;
        Node {
            instruction: f(instruction),
            keyword,
            span,
            lines,
            text,
            comments,
            blank_lines,
        }
    }

    /// The instruction, and its place by itself.
    pub(crate) fn split(self) -> (T, Node<'a, ()>) {
        let Node {
            instruction,
            keyword,
            span,
            lines,
            text,
            comments,
            blank_lines,
        } = self;
        (
            instruction,
            Node {
                instruction: (),
                keyword,
                span,
                lines,
                text,
                comments,
                blank_lines,
            },
        )
    }
}

/// A flag with a value, `--name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag<'a> {
    /// All of it, from `--` on.
    pub span: Span,
    /// The text behind `=`, without the quotes and escapes that held it together.
    pub value: Word<'a>,
}

/// `FROM [--platform=P] image [AS name]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct From<'a> {
    /// `--platform`.
    pub platform: Option<Flag<'a>>,
    /// The image, an earlier stage, or `scratch`.
    pub image: Word<'a>,
    /// `AS name`, in lower case.
    pub name: Option<Spanned<String>>,
    /// The word `AS` as written.
    pub as_keyword: Option<Spanned<String>>,
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Instruction<'a> {
    /// `ARG name[=default] …`
    Arg(Arg<'a>),
    /// `ENV key=value …`
    Env(Env<'a>),
    /// `RUN command`
    Run(Run<'a>),
    /// `COPY source… destination`
    Copy(Copy<'a>),
    /// `ADD source… destination`
    Add(Add<'a>),
    /// `WORKDIR path`
    Workdir(Workdir<'a>),
    /// `USER user[:group]`
    User(User<'a>),
    /// `CMD command`
    Cmd(Command<'a>),
    /// `ENTRYPOINT command`
    Entrypoint(Command<'a>),
    /// `EXPOSE port[-port][/protocol] …`
    Expose(Expose<'a>),
    /// `LABEL key=value …`
    Label(Label<'a>),
    /// `VOLUME path …`
    Volume(Volume<'a>),
    /// `STOPSIGNAL signal`
    StopSignal(StopSignal<'a>),
    /// `SHELL ["program", "argument"]`
    Shell(Shell),
    /// `HEALTHCHECK [options] CMD command` or `HEALTHCHECK NONE`
    Healthcheck(Healthcheck<'a>),
    /// `ONBUILD instruction`
    OnBuild(OnBuild<'a>),
    /// `MAINTAINER name`
    Maintainer(Maintainer<'a>),
}

impl Instruction<'_> {
    /// The keyword in upper case.
    pub fn keyword(&self) -> &'static str {
        match self {
            Instruction::Arg(_) => "ARG",
            Instruction::Env(_) => "ENV",
            Instruction::Run(_) => "RUN",
            Instruction::Copy(_) => "COPY",
            Instruction::Add(_) => "ADD",
            Instruction::Workdir(_) => "WORKDIR",
            Instruction::User(_) => "USER",
            Instruction::Cmd(_) => "CMD",
            Instruction::Entrypoint(_) => "ENTRYPOINT",
            Instruction::Expose(_) => "EXPOSE",
            Instruction::Label(_) => "LABEL",
            Instruction::Volume(_) => "VOLUME",
            Instruction::StopSignal(_) => "STOPSIGNAL",
            Instruction::Shell(_) => "SHELL",
            Instruction::Healthcheck(_) => "HEALTHCHECK",
            Instruction::OnBuild(_) => "ONBUILD",
            Instruction::Maintainer(_) => "MAINTAINER",
        }
    }
}
