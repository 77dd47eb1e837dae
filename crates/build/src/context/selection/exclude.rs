//! `--exclude`: what is left out of what a COPY takes. The patterns are those of an ignore file, for
//! paths beneath the folder that is copied; of a file that is a source itself, for its name; with
//! `--parents` for what is kept of the path.

use kiln_layer::{Keep, LayerPath};
use kiln_parser::{Diagnostic, ignore::Ignore};

use crate::{Error, ErrorKind};

/// What is left out; nothing, where no pattern is given.
#[derive(Debug, Default)]
pub(crate) struct Exclude(Ignore);

impl Exclude {
    /// From patterns as they were written.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, Error> {
        let (ignore, problems) = Ignore::of(patterns.iter().map(String::as_str));
        match problems.into_iter().find(Diagnostic::is_error) {
            None => Ok(Self(ignore)),
            Some(problem) => Err(Error::new(ErrorKind::Input, problem.message)),
        }
    }

    /// Whether nothing is left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `path` is taken.
    pub(crate) fn keep(&self, path: &LayerPath, is_folder: bool) -> Keep {
        let text = String::from_utf8_lossy(path.as_bytes());
        match self.0.excludes(&text, is_folder) {
            false => Keep::Yes,
            true if is_folder && self.0.has_negation() => Keep::Look,
            true => Keep::No,
        }
    }
}
