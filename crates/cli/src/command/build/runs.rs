//! All that RUNs are told from outside of the Dockerfile: for which platforms they are, what they may
//! reach and use, and what they are given.

use clap::Args;
use kiln_build::{Request, RunSettings};

use super::{limits, platforms, secrets};
use crate::failure::Failure;

/// All that RUNs are told from outside of the Dockerfile.
#[derive(Args)]
pub(super) struct Runs {
    #[command(flatten)]
    platforms: platforms::Platforms,
    #[command(flatten)]
    access: limits::Access,
    #[command(flatten)]
    bounds: limits::Bounds,
    #[command(flatten)]
    given: secrets::Given,
}

impl Runs {
    pub(super) fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        self.platforms.apply(request)?;
        self.access.apply(request)?;
        self.bounds.apply(request)
    }

    /// What they are given, which is what is shown to who the context is fetched from, too.
    pub(super) fn given(&self) -> Result<RunSettings, Failure> {
        self.given.read()
    }
}
