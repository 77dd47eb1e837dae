//! What is taken from earlier builds, and what must be the same in later ones: `--no-cache`,
//! `--no-cache-filter`, `--pull`, `--reproducible`.

use clap::Args;
use kiln_build::{Request, is_called, targets};

use crate::host;

#[derive(Args)]
pub(super) struct Records {
    /// Carry every instruction out
    #[arg(long)]
    no_cache: bool,
    /// Carry every instruction of these stages out
    #[arg(long, value_name = "STAGE,…", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Ask the registry for each base image, even one that is here
    #[arg(long)]
    pull: bool,
    /// The same image from every checkout: plain modes, and times of SOURCE_DATE_EPOCH or zero
    #[arg(long)]
    pub(super) reproducible: bool,
}

impl Records {
    pub(super) fn apply(&self, request: &mut Request) {
        let settings = &mut request.settings;
        settings.no_cache = self.no_cache;
        settings.pull = self.pull;
        settings.reproducible = self.reproducible;
        let stages = self.no_cache_filter.iter().map(|name| name.trim());
        let stages = stages.filter(|name| !name.is_empty());
        settings.no_cache_stages = stages.map(str::to_owned).collect();
        tell(request);
    }
}

/// Says which of the stages there are not. The build goes on, as docker's does: a script may have one
/// list for many files.
fn tell(request: &Request) {
    // What is wrong with the file, the build says.
    let Ok(known) = targets(request) else { return };
    for name in &request.settings.no_cache_stages {
        let mut stages = known.targets.iter().enumerate();
        if !stages.any(|(number, stage)| is_called(name, stage.name.as_deref(), number)) {
            host::say(&format!(
                "note: --no-cache-filter: there is no stage `{name}`"
            ));
        }
    }
}
