//! `RUN` and its mounts.

use std::borrow::Cow;

use serde::Serialize;

use super::{Command, Flag, Heredoc};
use crate::span::{Span, Spanned};
use crate::word::Word;

/// `RUN [flags] command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run<'a> {
    /// `--mount`, any number.
    pub mounts: Vec<Mount<'a>>,
    /// `--network=default|none|host`.
    pub network: Option<Flag<'a>>,
    /// `--security=sandbox|insecure`.
    pub security: Option<Flag<'a>>,
    /// `--device`, any number.
    pub devices: Vec<Flag<'a>>,
    /// The command, heredoc markers included.
    pub command: Command<'a>,
    /// The bodies of its heredocs in order.
    pub heredocs: Vec<Heredoc<'a>>,
}

/// What a `RUN` asks to be executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Script<'a> {
    /// The argument vector as it is.
    Exec(Vec<String>),
    /// One string for the shell.
    Shell(Cow<'a, str>),
    /// A lone heredoc that begins with `#!`, before any tab is taken away: a program to be placed at `/dev/pipes/<name>`,
    /// mode 0755, outside of the layer, and started.
    File {
        /// The heredoc's name.
        name: &'a str,
        /// What the file holds.
        content: Cow<'a, str>,
    },
}

impl Run<'_> {
    /// The command with its heredocs put in their places.
    pub fn script(&self) -> Script<'_> {
        let word = match &self.command {
            Command::Exec(args) => {
                return Script::Exec(args.iter().map(|arg| arg.node.clone()).collect());
            }
            Command::Shell(word) => word,
        };
        let Some(first) = self.heredocs.first() else {
            return Script::Shell(Cow::Borrowed(word.raw()));
        };
        // A heredoc and nothing else: its body is the command.
        if self.heredocs.len() == 1 && word.span() == first.span {
            // Only one that is not behind a tab is a program.
            if first.body.raw().starts_with("#!") {
                return Script::File {
                    name: &first.name,
                    content: first.content(),
                };
            }
            return Script::Shell(first.content());
        }
        // Otherwise the shell gets line and bodies as they were written.
        let mut full = word.raw().to_owned();
        for doc in &self.heredocs {
            full.push('\n');
            full.push_str(doc.body.raw());
            full.push_str(&doc.name);
        }
        Script::Shell(Cow::Owned(full))
    }
}

/// `--mount=key=value,…`, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount<'a> {
    /// The whole flag.
    pub span: Span,
    /// Its options in order.
    pub options: Vec<MountOption<'a>>,
}

impl<'a> Mount<'a> {
    /// The stage, named context or image that it takes its files from, where it names one.
    pub fn from(&self) -> Option<&Word<'a>> {
        let named = |option: &&MountOption<'a>| option.key.node == "from";
        let value = self.options.iter().rfind(named)?.value.as_ref()?;
        Some(value).filter(|word| !word.raw().is_empty())
    }
}

/// One option of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountOption<'a> {
    /// The key in lower case.
    pub key: Spanned<String>,
    /// The text behind `=`; variables are replaced in all but `from`.
    pub value: Option<Word<'a>>,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A folder that outlives the build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret, as a file or a variable.
    Secret,
    /// An ssh agent's socket.
    Ssh,
}

/// Who may use a cache mount at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// Everybody.
    #[default]
    Shared,
    /// Each its own.
    Private,
    /// One after the other.
    Locked,
}

/// Mode and owner of a mount, where given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MountAccess {
    /// Permission bits.
    pub mode: Option<u32>,
    /// User id.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
}

/// A mount with its variables replaced and its values read and checked
/// ([`Mount::resolve`]). Defaults that depend on the kind are not filled in, except `read_only`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MountSpec {
    /// `type`.
    pub kind: MountKind,
    /// `from`: a stage, a named context or an image.
    pub from: Option<String>,
    /// `source`, `src`.
    pub source: Option<String>,
    /// `target`, `dst`, `destination`.
    pub target: Option<String>,
    /// `id` of a cache, secret or ssh mount.
    pub id: Option<String>,
    /// `env`: the variable that a secret becomes.
    pub env: Option<String>,
    /// `ro`, `rw` and their long forms; by default true but for cache and tmpfs.
    pub read_only: bool,
    /// `required`: a secret or agent that is missing is an error.
    pub required: bool,
    /// `size` of a tmpfs in bytes.
    pub size: Option<u64>,
    /// `sharing` of a cache.
    pub sharing: Option<Sharing>,
    /// `mode`, `uid`, `gid`.
    pub access: MountAccess,
}
