//! What to build: the text of a Dockerfile, a context, and the settings. The context is a trait: a
//! folder on this machine and a remote client are two callers of one thing.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use kiln_graph::Select;
use kiln_image::{Digest, Platform, Reference};
use kiln_layer::{Files, LayerPath};
use kiln_parser::ignore::Ignore;

use crate::{Error, LayoutImage};

mod allow;
mod outputs;
mod run;

pub use allow::{Allow, Entitlement};
pub use outputs::{
    Annotated, Annotation, ArchiveExport, Destination, Export, FilesExport, FilesTo, ImageExport,
    ImageForm, Outputs, PushTo, Receiver, WithDigest, Writing,
};
pub use run::{Agents, Nothing, RunSettings, Secret, Secrets, Talk};

/// A build that is asked for. Build one with [`Request::new`] and set what differs.
pub struct Request {
    /// The name of the Dockerfile, for messages.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Where COPY and ADD take files from.
    pub context: Arc<dyn Context>,
    /// What else was given, to stand for stages and images of these names: `name`, or
    /// `name::platform`.
    pub contexts: BTreeMap<String, Named>,
    /// The names that the image is given.
    pub tags: Vec<Reference>,
    /// Values for ARG, in order.
    pub build_args: Vec<(String, String)>,
    /// The stage to build, by name or number; the last one where there is none.
    pub target: Option<String>,
    /// The platforms that the image is for, each once; several of them give an index of images. None:
    /// this machine's.
    pub platforms: Vec<Platform>,
    /// How records of earlier builds and times are used.
    pub settings: Settings,
    /// What its RUNs are given.
    pub run: RunSettings,
    /// Where it goes.
    pub outputs: Outputs,
}

/// How records of earlier builds and times are used.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Use no record of an earlier build.
    pub no_cache: bool,
    /// Use none for what these stages do, by name or number.
    pub no_cache_stages: Vec<String>,
    /// Ask the registry for each base image, even where the store knows its name.
    pub pull: bool,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970. Files of the context get exactly this time, all
    /// other times are at most this. A build argument of that name counts before it.
    pub epoch: Option<i64>,
    /// The same image from checkouts whose umask differs: context modes become 644 or 755.
    /// Where there is no `epoch`, it is zero.
    pub reproducible: bool,
    /// Keep an image for each instruction, as the classic builder did.
    pub keep_steps: bool,
}

impl Settings {
    /// The epoch that the build uses where no build argument says another.
    pub fn epoch(&self) -> Option<i64> {
        self.epoch.or(self.reproducible.then_some(0))
    }
}

impl Request {
    /// A build of the Dockerfile `text` over `context`, for this machine's platform.
    pub fn new(text: impl Into<String>, context: Arc<dyn Context>) -> Self {
        Self {
            file: "Dockerfile".to_owned(),
            text: text.into(),
            context,
            contexts: BTreeMap::new(),
            tags: Vec::new(),
            build_args: Vec::new(),
            target: None,
            platforms: Vec::new(),
            settings: Settings::default(),
            run: RunSettings::default(),
            outputs: Outputs::default(),
        }
    }

    /// The platforms that are built for: at least one.
    pub fn platforms(&self) -> Vec<Platform> {
        match self.platforms.is_empty() {
            true => vec![Platform::host()],
            false => self.platforms.clone(),
        }
    }
}

impl Request {
    /// The context of that name; the main one has none. `None` where the name stands for an image, or
    /// for nothing.
    pub(crate) fn files(&self, name: &str) -> Option<&dyn Context> {
        match name {
            "" => Some(&*self.context),
            name => match self.contexts.get(name)? {
                Named::Files(context) => Some(&**context),
                _ => None,
            },
        }
    }
}

/// A build context: gives the files that some instruction selects.
pub trait Context: Send + Sync {
    /// The files that `select` means (patterns as in COPY: relative to the context's root, wildcards by
    /// component, a folder selects what is in it; none selects all), and perhaps more.
    ///
    /// # Errors
    /// When the files cannot be read.
    fn files(&self, select: &Select, look: &Look<'_>) -> Result<Arc<dyn Files>, Error>;

    /// Files that [`files`](Self::files) gave for `select` and that were unread have been read from
    /// there to their end since: `digest` gives the BLAKE3 of their contents. So they need not be read
    /// again next time.
    fn learn(
        &self,
        select: &Select,
        look: &Look<'_>,
        digest: &dyn Fn(&LayerPath) -> Option<Digest>,
    ) {
        let _ = (select, look, digest);
    }

    /// Whether its files have owners of their own, which are kept; else all of them are 0:0.
    fn has_owners(&self) -> bool {
        false
    }

    /// When it was made, in seconds since 1970: the time of a commit, of a download. It is what
    /// `SOURCE_DATE_EPOCH=context` means; a folder has none.
    fn time(&self) -> Option<i64> {
        None
    }

    /// Which context this is, from one build to the next: the folder's path, say. What lines of a
    /// Dockerfile gave is remembered for it. `None`: nothing is.
    fn identity(&self) -> Option<String> {
        None
    }

    /// That `path`, of which no wildcard is a part, is not among the files: as far as that is known
    /// without reading them. `None`: it may be there.
    fn absent(&self, path: &str) -> Option<Absent> {
        let _ = path;
        None
    }

    /// The rules by which files are left out.
    fn ignore(&self) -> Option<&Ignore> {
        None
    }

    /// Why `path` is not among the files, in words that end a message; `None` when it is not known.
    fn missing(&self, path: &str) -> Option<String>;
}

/// What a name of `--build-context` stands for.
#[derive(Clone)]
pub enum Named {
    /// Files.
    Files(Arc<dyn Context>),
    /// An image: here, else in its registry.
    Image(Reference),
    /// An image of an OCI layout.
    Layout(LayoutImage),
    /// The empty image.
    Scratch,
    /// A stage of the Dockerfile, by name or number.
    Target(String),
}

/// A path that is not in a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// What kind of finding this is: `copy-source-ignored`, `copy-source-case`, `copy-source-outside`,
    /// `copy-source-missing`.
    pub code: &'static str,
    /// Why, and what to do, where that is known.
    pub why: Option<String>,
}

/// How a context is looked at.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Where it is kept what was found out about folders before.
    pub indexes: Option<&'a dyn Indexes>,
    /// Contents that are not known are read at once when they have at most this many bytes together,
    /// where each counts 4 KiB more than it has; else all of them may stay
    /// [unread](kiln_layer::File::unread).
    pub read_up_to: u64,
}

/// Keeps what was found out about folders from one build to the next. It only saves work: it may
/// forget anything.
pub trait Indexes: Send + Sync {
    /// What was put for `folder` (a canonical path), as it was put.
    fn get(&self, folder: &Path) -> Option<Vec<u8>>;

    /// Keeps `index` for `folder`, in place of what was there.
    fn put(&self, folder: &Path, index: &[u8]);
}
