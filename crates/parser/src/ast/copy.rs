//! `COPY` and `ADD`.

use serde::Serialize;

use super::{Flag, Heredoc};
use crate::span::Spanned;
use crate::word::Word;

/// `COPY [flags] source… destination`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copy<'a> {
    /// Its flags.
    pub flags: CopyFlags<'a>,
    /// What to copy, at least one.
    pub sources: Vec<Source<'a>>,
    /// Where to.
    pub dest: Word<'a>,
    /// Whether it was written as a JSON array.
    pub json: bool,
}

/// `ADD [flags] source… destination`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Add<'a> {
    /// Its flags.
    pub flags: AddFlags<'a>,
    /// What to add: paths, URLs, git repositories, heredocs; at least one.
    pub sources: Vec<Source<'a>>,
    /// Where to.
    pub dest: Word<'a>,
    /// Whether it was written as a JSON array.
    pub json: bool,
}

/// One source of COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source<'a> {
    /// A path, pattern or URL.
    Path(Word<'a>),
    /// The content itself.
    Heredoc(Heredoc<'a>),
}

/// The flags of `COPY`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CopyFlags<'a> {
    /// `--from`: a stage, its number, a named context or an image. Variables are not replaced.
    pub from: Option<Flag<'a>>,
    /// `--chown=user[:group]`.
    pub chown: Option<Flag<'a>>,
    /// `--chmod`: octal or symbolic.
    pub chmod: Option<Flag<'a>>,
    /// `--link[=bool]`.
    pub link: Option<Spanned<bool>>,
    /// `--parents[=bool]`.
    pub parents: Option<Spanned<bool>>,
    /// `--exclude`, any number.
    pub exclude: Vec<Flag<'a>>,
}

/// The flags of `ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AddFlags<'a> {
    /// `--chown=user[:group]`.
    pub chown: Option<Flag<'a>>,
    /// `--chmod`: octal or symbolic.
    pub chmod: Option<Flag<'a>>,
    /// `--link[=bool]`.
    pub link: Option<Spanned<bool>>,
    /// `--keep-git-dir[=bool]`.
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--checksum`: a digest, or a commit for git sources.
    pub checksum: Option<Flag<'a>>,
    /// `--unpack[=bool]`.
    pub unpack: Option<Spanned<bool>>,
    /// `--exclude`, any number.
    pub exclude: Vec<Flag<'a>>,
}
