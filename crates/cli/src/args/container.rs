//! `kiln container`: the commands on containers, most of which stand alone as well.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    command::{
        attach::Attach, commit::Commit, cp::Cp, create::Create, diff::Diff, exec::Exec,
        export::Export, inspect::OfContainers, kill::Kill, logs::Logs, port::Port, prune, ps::Ps,
        rename::Rename, rm::Rm, run::Run, start::Start, stop::Restart, stop::Stop, top::Top,
        wait::Wait,
    },
    failure::Failure,
};

#[derive(Subcommand)]
pub(crate) enum Container {
    /// Take part in a container that runs
    Attach(Attach),
    /// Make an image of what a container changed
    Commit(Commit),
    /// Copy files between a container and this machine
    Cp(Cp),
    /// Make a container
    Create(Box<Create>),
    /// List what a container changed
    Diff(Diff),
    /// Run one more command in a container that runs
    Exec(Exec),
    /// Save the root of a container as a tar archive
    Export(Export),
    /// Display detailed information on containers
    Inspect(OfContainers),
    /// Send a signal to containers
    Kill(Kill),
    /// Show what a container has written
    Logs(Logs),
    /// List containers
    #[command(aliases = ["list", "ps"])]
    Ls(Ps),
    /// List where ports of a container answer
    Port(Port),
    /// Remove all containers that do not run
    Prune(prune::Containers),
    /// Give a container another name
    Rename(Rename),
    /// Stop containers and start them again
    Restart(Restart),
    /// Remove containers
    #[command(alias = "remove")]
    Rm(Rm),
    /// Run a command in a new container
    Run(Box<Run>),
    /// Start containers
    Start(Start),
    /// Stop containers
    Stop(Stop),
    /// List what runs in a container
    Top(Top),
    /// Wait until containers have ended, and print their exit codes
    Wait(Wait),
}

impl Container {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Attach(c) => c.run(),
            Self::Commit(c) => c.run(),
            Self::Cp(c) => c.run(),
            Self::Create(c) => c.run(),
            Self::Diff(c) => c.run(),
            Self::Exec(c) => c.run(),
            Self::Export(c) => c.run(),
            Self::Inspect(c) => c.run(),
            Self::Kill(c) => c.run(),
            Self::Logs(c) => c.run(),
            Self::Ls(c) => c.run(),
            Self::Port(c) => c.run(),
            Self::Prune(c) => c.run(),
            Self::Rename(c) => c.run(),
            Self::Restart(c) => c.run(),
            Self::Rm(c) => c.run(),
            Self::Run(c) => c.run(),
            Self::Start(c) => c.run(),
            Self::Stop(c) => c.run(),
            Self::Top(c) => c.run(),
            Self::Wait(c) => c.run(),
        }
    }
}
