//! What to build: the text of a Dockerfile, a context, and the settings. The context is a trait: a
//! folder on this machine and a remote client are two callers of one thing.

use std::sync::Arc;

use kiln_image::{Platform, Reference};
use kiln_layer::Files;

use crate::Error;

/// A build that is asked for. Build one with [`Request::new`] and set what differs.
pub struct Request {
    /// The name of the Dockerfile, for messages.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Where COPY and ADD take files from.
    pub context: Arc<dyn Context>,
    /// The names that the image is given.
    pub tags: Vec<Reference>,
    /// Values for ARG, in order.
    pub build_args: Vec<(String, String)>,
    /// The stage to build, by name or number; the last one where there is none.
    pub target: Option<String>,
    /// The platform that the image is for.
    pub platform: Platform,
    /// How records of earlier builds and times are used.
    pub settings: Settings,
}

/// How records of earlier builds and times are used.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Use no record of an earlier build.
    pub no_cache: bool,
    /// Ask the registry for each base image, even where the store knows its name.
    pub pull: bool,
    /// `SOURCE_DATE_EPOCH`: seconds since 1970. Files of the context get exactly this time, all
    /// other times are at most this.
    pub epoch: Option<i64>,
    /// The same image from checkouts whose umask differs: context modes become 644 or 755.
    /// Where there is no `epoch`, it is zero.
    pub reproducible: bool,
    /// Keep an image for each instruction, as the classic builder did.
    pub keep_steps: bool,
}

impl Settings {
    /// The epoch that the build uses.
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
            tags: Vec::new(),
            build_args: Vec::new(),
            target: None,
            platform: Platform::host(),
            settings: Settings::default(),
        }
    }
}

/// A build context: gives the files that some instruction selects.
pub trait Context: Send + Sync {
    /// The files that any of `patterns` selects (as in COPY: relative to the context's root,
    /// wildcards by component, a folder selects what is in it; none selects all).
    ///
    /// # Errors
    /// When the files cannot be read.
    fn files(&self, patterns: &[String]) -> Result<Arc<dyn Files>, Error>;

    /// Why `path` is not among the files, in words that end a message; `None` when it is not known.
    fn missing(&self, path: &str) -> Option<String>;
}
