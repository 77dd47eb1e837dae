//! What a node does, as data: serialisable, comparable, printable. Refuses to know how it is
//! carried out; that is the [`Executor`](crate::Executor)'s.

mod files;
mod parts;
mod run;
mod source;

use std::{borrow::Cow, fmt};

use kiln_image::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

pub use files::{Copy, Folder, Taken};
use parts::Parts;
pub use run::{
    CacheMount, Device, Mount, MountKind, Network, Run, SecretFile, SecretMount, Security, Sharing,
    SshMount,
};
pub use source::{Git, Http, Inline, InlineFile, Select, Submodules};

/// An operation. What it is applied to are the inputs of its [`Node`](crate::Node).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// The empty root. A leaf.
    Scratch,
    /// An image, resolved. A leaf; its key is the manifest's digest.
    Image {
        /// The name by which it was asked for.
        reference: Reference,
        /// What the name stood for.
        manifest: Digest,
        /// The platform that was asked for.
        platform: Platform,
    },
    /// Files of a build context. A leaf; its key is of the content of what is selected, and is
    /// asked from the executor.
    Context {
        /// Which context: empty for the main one.
        name: String,
        /// Which of its files.
        select: Select,
    },
    /// Files that are written out in the instruction itself. A leaf; its key is of them.
    Inline(Inline),
    /// A file that is fetched. A leaf; its key is of its content, and is asked from the executor.
    Http(Http),
    /// A checkout of a git repository. A leaf; its key is of its content, and is asked from the
    /// executor.
    Git(Git),
    /// Files from sources put upon a root. Inputs: the root beneath, then the sources, as
    /// [`Taken::input`] numbers them.
    Copy(Copy),
    /// The layers of a root put on top of another, whatever they meet there. Inputs: the root
    /// beneath, the upper one. `COPY --link` is a COPY onto nothing, merged.
    Merge,
    /// A folder that is there afterwards, with all that lead to it. Input: the root beneath.
    Folder(Folder),
    /// A process, and what it left behind. Inputs: the root it runs in, then what is mounted, as
    /// [`MountKind::input`] numbers them.
    Run(Run),
    /// A layer, packed. Has no keys: its memory is the layer's facts.
    Pack(Pack),
    /// A packed layer, brought to a registry. Input: the layer. Has no keys: the registry is asked.
    Upload(Upload),
}

/// How a layer is to be packed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// The diff id of the layer; `None`: the uppermost one of the input.
    pub layer: Option<Digest>,
    /// The compression.
    pub compression: Compression,
    /// Its level; `None`: the usual one, and a blob of any other level is as good.
    pub level: Option<i32>,
    /// Whether it has to be just that, also where a blob came from elsewhere in another form.
    pub exact: bool,
}

/// The compression of a packed layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// What everything reads.
    #[default]
    Gzip,
    /// Faster and smaller.
    Zstd,
    /// A plain tar.
    None,
    /// gzip, with a table of contents by which files can be fetched one at a time.
    EStargz,
    /// zstd, with such a table.
    ZstdChunked,
}

/// Where a layer is to be brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The repository; its tag does not matter.
    pub to: Reference,
}

/// What an operation mostly uses. Each class has a limit of its own, so that one that waits for
/// the network does not hold a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Cores and the disk.
    Cpu,
    /// A process of the user's, which uses what it likes.
    Process,
    /// A connection.
    Network,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 3] = [Class::Cpu, Class::Process, Class::Network];

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl Op {
    /// What it mostly uses.
    pub fn class(&self) -> Class {
        match self {
            Op::Run(_) => Class::Process,
            Op::Image { .. } | Op::Http(_) | Op::Git(_) | Op::Upload(_) => Class::Network,
            Op::Scratch
            | Op::Context { .. }
            | Op::Inline(_)
            | Op::Copy(_)
            | Op::Merge
            | Op::Folder(_)
            | Op::Pack(_) => Class::Cpu,
        }
    }

    /// Whether it has no inputs, and one key, that of its content.
    pub fn is_leaf(&self) -> bool {
        match self {
            Op::Scratch
            | Op::Image { .. }
            | Op::Context { .. }
            | Op::Inline(_)
            | Op::Http(_)
            | Op::Git(_) => true,
            Op::Copy(_) | Op::Merge | Op::Folder(_) | Op::Run(_) | Op::Pack(_) | Op::Upload(_) => {
                false
            }
        }
    }

    /// Whether its result is recorded under two keys. Leaves are known by their content; packing
    /// and uploading are always carried out.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Op::Copy(_) | Op::Merge | Op::Folder(_) | Op::Run(_))
    }

    /// What input number `index` is to this operation, in a word that a person would use.
    pub fn role(&self, index: usize) -> Cow<'static, str> {
        match (self, index) {
            (Op::Copy(_) | Op::Merge | Op::Folder(_) | Op::Run(_), 0) => "root".into(),
            (Op::Copy(copy), n) if copy.names == Some(n) => "names".into(),
            (Op::Copy(_), 1) => "source".into(),
            (Op::Copy(_), n) => format!("source {n}").into(),
            (Op::Merge, 1) => "upper".into(),
            (Op::Run(run), n) => match run.mounts.iter().find(|m| m.kind.input() == Some(n)) {
                Some(mount) => format!("mount {}", mount.target).into(),
                None => format!("input {n}").into(),
            },
            (Op::Pack(_) | Op::Upload(_), 0) => "layer".into(),
            _ => format!("input {index}").into(),
        }
    }

    /// The fields that make this operation what it is, by the names that a person would use; none
    /// of a leaf, whose content stands for it. Environment that is hidden from keys is left out.
    pub fn parts(&self) -> Vec<(Cow<'static, str>, String)> {
        Parts::of(self).0
    }

    fn kind(&self) -> &'static str {
        match self {
            Op::Scratch => "scratch",
            Op::Image { .. } => "image",
            Op::Context { .. } => "context",
            Op::Inline(_) => "inline",
            Op::Http(_) => "http",
            Op::Git(_) => "git",
            Op::Copy(c) if c.unpacks() => "add",
            Op::Copy(_) => "copy",
            Op::Merge => "merge",
            Op::Folder(_) => "folder",
            Op::Run(_) => "run",
            Op::Pack(_) => "pack",
            Op::Upload(_) => "upload",
        }
    }
}

impl fmt::Display for Op {
    /// In a few words, for those who gave the node no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Op::Scratch | Op::Merge => Ok(()),
            Op::Image { reference, .. } => write!(f, " {}", reference.familiar()),
            Op::Context { name, select } => {
                if !name.is_empty() {
                    write!(f, " `{name}`")?;
                }
                match select.patterns.is_empty() {
                    true => f.write_str(" (all)"),
                    false => write!(f, " {}", select.patterns.join(" ")),
                }
            }
            Op::Inline(inline) => {
                let mut names = inline.files.iter().map(|file| &file.name);
                names.try_for_each(|name| write!(f, " {name}"))
            }
            Op::Http(http) => write!(f, " {}", http.url),
            Op::Git(git) => write!(f, " {}", git.remote),
            Op::Copy(c) => {
                let mut sources = c.sources.iter();
                sources.try_for_each(|taken| write!(f, " {taken}"))?;
                write!(f, " {}", c.destination)
            }
            Op::Folder(folder) => write!(f, " {}", folder.path),
            Op::Run(run) => write!(f, " {}", run.argv.join(" ")),
            Op::Pack(pack) => write!(f, " {:?}", pack.compression),
            Op::Upload(upload) => write!(f, " {}", upload.to.familiar_repository()),
        }
    }
}
