//! `kiln stop` and `kiln restart`: asked to end, and killed where it does not.

use std::process::ExitCode;

use clap::Args;

use super::each::each;
use crate::failure::Failure;

#[derive(Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    how: How,
    /// Containers: names or ids
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    how: How,
    /// Containers: names or ids
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
struct How {
    /// The signal that asks, instead of the container's own
    #[arg(short, long)]
    signal: Option<String>,
    /// Seconds to wait before it is killed; -1 for ever
    #[arg(
        short,
        long,
        visible_alias = "timeout",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    time: Option<i64>,
}

impl Stop {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        each(&self.containers, &|_, container| {
            Ok(container.stop(self.how.time, self.how.signal.as_deref())?)
        })
    }
}

impl Restart {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        each(&self.containers, &|_, container| {
            Ok(container.restart(self.how.time, self.how.signal.as_deref())?)
        })
    }
}
