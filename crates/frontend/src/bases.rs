//! The images that a Dockerfile stands on: which ones it asks for, and what it was given. Refuses to
//! look anything up.

use kiln_image::{Config, Digest, Platform, Reference};
use kiln_parser::Span;

/// An image that has to be looked up before a Dockerfile means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its name.
    pub reference: Reference,
    /// For which platform.
    pub platform: Platform,
    /// Where it is named.
    pub span: Span,
    /// What to tell a person when there is no such image: perhaps a stage was meant.
    pub hint: Option<String>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// Its config.
    pub config: Config,
}

/// The images that were looked up.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    known: Vec<(Reference, Platform, Resolved)>,
}

impl Bases {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what `reference` stands for on `platform`.
    pub fn insert(&mut self, reference: Reference, platform: Platform, resolved: Resolved) {
        self.known
            .retain(|(r, p, _)| (r, p) != (&reference, &platform));
        self.known.push((reference, platform, resolved));
    }

    /// What `reference` stands for on `platform`.
    pub fn get(&self, reference: &Reference, platform: &Platform) -> Option<&Resolved> {
        self.known
            .iter()
            .find(|(r, p, _)| (r, p) == (reference, platform))
            .map(|(.., resolved)| resolved)
    }
}
