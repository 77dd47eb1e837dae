//! What a build is told besides its Dockerfile. Refuses to read an environment: whoever calls has
//! one, and passes on what counts.

use std::collections::BTreeMap;

use kiln_graph::Network;
use kiln_image::Platform;
use kiln_parser::ignore::Ignore;

use crate::NamedContext;

/// What a build is told besides its Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The Dockerfile as the user named it: for messages.
    pub file: String,
    /// `--build-arg`, proxies and `SOURCE_DATE_EPOCH` included.
    pub build_args: BTreeMap<String, String>,
    /// `--build-context`: what stands for stages and images of that name, `name` or
    /// `name::platform`.
    pub contexts: BTreeMap<String, NamedContext>,
    /// When the main context was made, in seconds since 1970: the time of a git commit, of a
    /// download. It is what `SOURCE_DATE_EPOCH=context` means; a folder has none.
    pub context_time: Option<i64>,
    /// The same for those of the named contexts that have one: `SOURCE_DATE_EPOCH=NAME`.
    pub named_times: BTreeMap<String, i64>,
    /// `--target`: a stage by name or number. None: the last one.
    pub target: Option<String>,
    /// The platform that is built for.
    pub platform: Platform,
    /// The platform that is built on.
    pub build_platform: Platform,
    /// What a RUN can reach that does not say.
    pub network: Network,
    /// What the ignore file of the context hides, for the check `CopyIgnoredFile`.
    pub ignore: Option<Ignore>,
    /// Whether stages that the target does not need are looked at as well: for checks.
    pub every_stage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            file: "Dockerfile".to_owned(),
            build_args: BTreeMap::new(),
            contexts: BTreeMap::new(),
            context_time: None,
            named_times: BTreeMap::new(),
            target: None,
            platform: Platform::host(),
            build_platform: Platform::host(),
            network: Network::Default,
            ignore: None,
            every_stage: false,
        }
    }
}
