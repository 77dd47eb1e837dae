//! `kiln logout`.

use std::{env, process::ExitCode};

use clap::Args;
use kiln_build::registry::DockerConfig;

use super::login::Server;
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Logout {
    /// The registry; Docker Hub where none is given
    #[arg(value_name = "HOST[:PORT]")]
    server: Option<String>,
}

impl Logout {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let server = Server::parse(self.server.as_deref())?;
        let config = DockerConfig::usual(&|name| env::var_os(name));
        let what = match config.forget(&server.name)? {
            true => "Removing login credentials for",
            false => "Not logged in to",
        };
        host::print(&format!("{what} {}\n", server.shown()))?;
        if env::var_os("DOCKER_AUTH_CONFIG").is_some_and(|v| !v.is_empty()) {
            host::say("warning: $DOCKER_AUTH_CONFIG is set, and what it says stays");
        }
        Ok(ExitCode::SUCCESS)
    }
}
