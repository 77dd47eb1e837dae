//! `--platform`: for which platforms the image is.

use clap::Args;
use kiln_build::{Request, image::Platform};

use crate::failure::Failure;

/// For which platforms the image is.
#[derive(Args)]
pub(super) struct Platforms {
    /// Platforms to build for, like `linux/amd64,linux/arm64`; `local` is that of this machine
    #[arg(
        long,
        value_name = "OS/ARCH[/VARIANT]",
        value_delimiter = ',',
        env = "DOCKER_DEFAULT_PLATFORM"
    )]
    platform: Vec<String>,
}

impl Platforms {
    pub(super) fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.platform {
            let platform = match text.trim() {
                "local" => Platform::host(),
                text => text.parse().map_err(|e: kiln_build::image::Error| {
                    Failure::from(e).before("--platform: ").code(125)
                })?,
            };
            // Each once, however it was written.
            if !request.platforms.contains(&platform) {
                request.platforms.push(platform);
            }
        }
        Ok(())
    }
}
