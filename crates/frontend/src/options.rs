//! What a build is told besides its Dockerfile. Refuses to read an environment: whoever calls has
//! one, and passes on what counts.

use std::collections::BTreeMap;

use kiln_graph::Network;
use kiln_image::Platform;

/// What a build is told besides its Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The Dockerfile as the user named it: for messages.
    pub file: String,
    /// `--build-arg`, proxies and `SOURCE_DATE_EPOCH` included.
    pub build_args: BTreeMap<String, String>,
    /// `--target`: a stage by name or number. None: the last one.
    pub target: Option<String>,
    /// The platform that is built for.
    pub platform: Platform,
    /// The platform that is built on.
    pub build_platform: Platform,
    /// What a RUN can reach that does not say.
    pub network: Network,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            file: "Dockerfile".to_owned(),
            build_args: BTreeMap::new(),
            target: None,
            platform: Platform::host(),
            build_platform: Platform::host(),
            network: Network::Default,
        }
    }
}
