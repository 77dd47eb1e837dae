//! What a node does, as data: serialisable, comparable, printable. Refuses to know how it is
//! carried out; that is the [`Executor`](crate::Executor)'s.

use std::{borrow::Cow, fmt};

use kiln_image::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

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
    /// Files from a source put upon a root. Inputs: the root beneath, the source.
    Copy(Copy),
    /// A folder that is there afterwards, with all that lead to it. Input: the root beneath.
    Folder(Folder),
    /// A process, and what it left behind. Input: the root it runs in.
    Run(Run),
    /// A layer, packed. Has no keys: its memory is the layer's facts.
    Pack(Pack),
    /// A packed layer, brought to a registry. Input: the layer. Has no keys: the registry is asked.
    Upload(Upload),
}

/// Which files of a source an instruction takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// Patterns as in COPY, cleaned, relative to the source's root, `/` between components.
    /// Empty: everything.
    pub patterns: Vec<String>,
}

/// COPY, and ADD of local files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// What to take: paths or patterns within the source, cleaned, without a leading slash; the
    /// source's root itself is `.`.
    pub sources: Vec<String>,
    /// Where to: absolute; a trailing slash is kept and means a folder.
    pub destination: String,
    /// `user[:group]` as written, variables expanded; names are looked up in the root beneath.
    pub owner: Option<String>,
    /// Octal or symbolic, as written, variables expanded.
    pub mode: Option<String>,
    /// The source is a context folder: with an epoch, entries get exactly that time.
    pub exact_times: bool,
    /// The instruction was ADD: local archives among the sources are unpacked by those who can,
    /// and refused by the others.
    pub add: bool,
}

/// WORKDIR: a folder that is there afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Absolute, normalised.
    pub path: String,
    /// Who owns what is made: `user[:group]`; empty for root.
    pub user: String,
}

/// A process in a root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment, in order.
    pub env: Vec<(String, String)>,
    /// Where it starts; absolute.
    pub cwd: String,
    /// As whom: `user[:group]`; empty for root.
    pub user: String,
    /// What it can reach.
    pub network: Network,
    /// Environment that the process is given and that no key knows: proxies.
    pub hidden_env: Vec<(String, String)>,
}

/// What a process can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Network {
    /// What the executor gives to those who do not ask.
    #[default]
    Default,
    /// The host's.
    Host,
    /// A loopback of its own.
    None,
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
            Op::Image { .. } | Op::Upload(_) => Class::Network,
            Op::Scratch | Op::Context { .. } | Op::Copy(_) | Op::Folder(_) | Op::Pack(_) => {
                Class::Cpu
            }
        }
    }

    /// Whether it has no inputs, and one key, that of its content.
    pub fn is_leaf(&self) -> bool {
        matches!(self, Op::Scratch | Op::Image { .. } | Op::Context { .. })
    }

    /// Whether its result is recorded under two keys. Leaves are known by their content; packing
    /// and uploading are always carried out.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Op::Copy(_) | Op::Folder(_) | Op::Run(_))
    }

    /// What input number `index` is to this operation, in a word that a person would use.
    pub fn role(&self, index: usize) -> Cow<'static, str> {
        match (self, index) {
            (Op::Copy(_) | Op::Folder(_) | Op::Run(_), 0) => "root".into(),
            (Op::Copy(_), 1) => "source".into(),
            (Op::Pack(_) | Op::Upload(_), 0) => "layer".into(),
            _ => format!("input {index}").into(),
        }
    }

    /// The fields that make this operation what it is, by the names that a person would use; none
    /// of a leaf, whose content stands for it. Environment that is hidden from keys is left out.
    pub fn parts(&self) -> Vec<(Cow<'static, str>, String)> {
        let mut parts = Parts(vec![("operation".into(), self.kind().to_owned())]);
        match self {
            Op::Scratch | Op::Image { .. } | Op::Context { .. } => parts.0.clear(),
            Op::Copy(copy) => parts.copy(copy),
            Op::Folder(folder) => {
                parts.text("path", &folder.path);
                parts.text("user", &folder.user);
            }
            Op::Run(run) => parts.run(run),
            Op::Pack(pack) => {
                if let Some(layer) = &pack.layer {
                    parts.text("layer", &layer.to_string());
                }
                parts.text("compression", &format!("{:?}", pack.compression));
                if let Some(level) = pack.level {
                    parts.text("level", &level.to_string());
                }
                if pack.exact {
                    parts.text("exact", "yes");
                }
            }
            Op::Upload(upload) => parts.text("to", &upload.to.to_string()),
        }
        parts.0
    }

    fn kind(&self) -> &'static str {
        match self {
            Op::Scratch => "scratch",
            Op::Image { .. } => "image",
            Op::Context { .. } => "context",
            Op::Copy(c) if c.add => "add",
            Op::Copy(_) => "copy",
            Op::Folder(_) => "folder",
            Op::Run(_) => "run",
            Op::Pack(_) => "pack",
            Op::Upload(_) => "upload",
        }
    }
}

struct Parts(Vec<(Cow<'static, str>, String)>);

impl Parts {
    fn text(&mut self, name: &'static str, value: &str) {
        self.0.push((name.into(), value.to_owned()));
    }

    /// One part a list, as JSON: readable, and no two lists have the same text.
    fn list(&mut self, name: &'static str, values: &[String]) {
        self.0
            .push((name.into(), serde_json::Value::from(values).to_string()));
    }

    fn copy(&mut self, copy: &Copy) {
        self.list("sources", &copy.sources);
        self.text("destination", &copy.destination);
        for (name, value) in [("owner", &copy.owner), ("mode", &copy.mode)] {
            if let Some(value) = value {
                self.text(name, value);
            }
        }
        if copy.exact_times {
            self.text("times", "from a context");
        }
    }

    fn run(&mut self, run: &Run) {
        self.list("argv", &run.argv);
        for (name, value) in &run.env {
            self.0.push((format!("env {name}").into(), value.clone()));
        }
        self.text("cwd", &run.cwd);
        self.text("user", &run.user);
        if run.network != Network::Default {
            self.text("network", &format!("{:?}", run.network).to_lowercase());
        }
    }
}

impl fmt::Display for Op {
    /// In a few words, for those who gave the node no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self {
            Op::Scratch => Ok(()),
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
            Op::Copy(c) => write!(f, " {} {}", c.sources.join(" "), c.destination),
            Op::Folder(folder) => write!(f, " {}", folder.path),
            Op::Run(run) => write!(f, " {}", run.argv.join(" ")),
            Op::Pack(pack) => write!(f, " {:?}", pack.compression),
            Op::Upload(upload) => write!(f, " {}", upload.to.familiar_repository()),
        }
    }
}
