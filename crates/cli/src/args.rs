//! The commands, and what is said of them in `--help`.

mod container;
pub(crate) mod switches;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::container::Container;
use crate::{
    command::{
        attach::Attach,
        build::Build,
        builder,
        commit::Commit,
        completion::Completion,
        cp::Cp,
        create::Create,
        diff::Diff,
        doctor::Doctor,
        exec::Exec,
        expand::Expand,
        export::Export,
        history::History,
        ignore, image,
        images::Images,
        import::Import,
        inspect::{self, Inspect},
        kill::Kill,
        load::Load,
        login::Login,
        logout::Logout,
        logs::Logs,
        parse::Parse,
        port::Port,
        prune,
        ps::Ps,
        pull::Pull,
        push::Push,
        rename::Rename,
        rm::Rm,
        rmi::Rmi,
        run::Run,
        save::Save,
        start::Start,
        stop::{Restart, Stop},
        system,
        tag::Tag,
        top::Top,
        volume,
        wait::Wait,
    },
    failure::Failure,
};

/// Build container images from Dockerfiles, keep them, run them, and move them to and from
/// registries: one program, no daemon
#[derive(Parser)]
#[command(
    name = "kiln",
    version,
    disable_help_subcommand = true,
    args_override_self = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The command line of this process.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let words = switches::plain(&command, helped(std::env::args_os().collect()));
        let matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
    }
}

/// `kiln help build` as `kiln build --help`.
fn helped(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build an image from a Dockerfile
    Build(Box<Build>),
    /// Run a command in a new container
    Run(Box<Run>),
    /// Make a container
    Create(Box<Create>),
    /// Start containers
    Start(Start),
    /// Stop containers
    Stop(Stop),
    /// Stop containers and start them again
    Restart(Restart),
    /// Send a signal to containers
    Kill(Kill),
    /// Wait until containers have ended, and print their exit codes
    Wait(Wait),
    /// Remove containers
    Rm(Rm),
    /// Give a container another name
    Rename(Rename),
    /// List containers
    Ps(Ps),
    /// List where ports of a container answer
    Port(Port),
    /// List what runs in a container
    Top(Top),
    /// Run one more command in a container that runs
    Exec(Exec),
    /// Make an image of what a container changed
    Commit(Commit),
    /// Save the root of a container as a tar archive
    Export(Export),
    /// List what a container changed
    Diff(Diff),
    /// Copy files between a container and this machine
    Cp(Cp),
    /// Take part in a container that runs
    Attach(Attach),
    /// Show what a container has written
    Logs(Logs),
    /// List images
    Images(Images),
    /// Show the history of an image
    History(History),
    /// Return low-level information on containers, images and volumes
    Inspect(Inspect),
    /// Create a tag TARGET that refers to SOURCE
    Tag(Tag),
    /// Remove one or more images
    Rmi(Rmi),
    /// Save one or more images to a tar archive
    Save(Save),
    /// Load images from a tar archive
    Load(Load),
    /// Make an image from the tar archive of a root file system
    Import(Import),
    /// Upload an image to a registry
    Push(Push),
    /// Download an image from a registry
    Pull(Pull),
    /// Tell what this machine offers for running containers, and what mends what it lacks
    Doctor(Doctor),
    /// Print the script by which a shell completes commands and flags
    Completion(Completion),
    /// Log in to a registry
    Login(Login),
    /// Log out from a registry
    Logout(Logout),
    /// Manage containers
    #[command(subcommand)]
    Container(Container),
    /// Manage images
    #[command(subcommand)]
    Image(Image),
    /// Manage volumes
    #[command(subcommand)]
    Volume(volume::Command),
    /// Manage builds
    #[command(subcommand, alias = "buildx")]
    Builder(Builder),
    /// Manage what kiln keeps on disk
    #[command(subcommand)]
    System(System),
    /// Print what is read in Dockerfiles
    #[command(hide = true)]
    Parse(Parse),
    /// Replace the variables, quotes and escapes of words as a Dockerfile does
    #[command(hide = true)]
    Expand(Expand),
    /// Tell which paths an ignore file hides from a build, and by which line
    #[command(hide = true)]
    Ignore(ignore::Paths),
}

#[derive(Subcommand)]
pub(crate) enum Image {
    /// Build an image from a Dockerfile
    Build(Box<Build>),
    /// List images
    #[command(alias = "list")]
    Ls(Images),
    /// Show the history of an image
    History(History),
    /// Display detailed information on images
    Inspect(inspect::Images),
    /// Show which layers, folders and files hold an image's bytes
    Tree(image::tree::Tree),
    /// Show the largest files of an image, and what it carries in vain
    Big(image::big::Big),
    /// Create a tag TARGET that refers to SOURCE
    Tag(Tag),
    /// Remove one or more images
    #[command(alias = "remove")]
    Rm(Rmi),
    /// Remove unused images
    Prune(prune::Images),
    /// Save one or more images to a tar archive
    Save(Save),
    /// Load images from a tar archive
    Load(Load),
    /// Make an image from the tar archive of a root file system
    Import(Import),
    /// Upload an image to a registry
    Push(Push),
    /// Download an image from a registry
    Pull(Pull),
}

#[derive(Subcommand)]
pub(crate) enum Builder {
    /// Build an image from a Dockerfile
    #[command(alias = "b")]
    Build(Box<Build>),
    /// Show what builds keep: records and cache mounts
    Du(builder::Du),
    /// Remove records of earlier builds, and cache mounts
    Prune(prune::Cache),
}

#[derive(Subcommand)]
pub(crate) enum System {
    /// Check that everything in the store is whole
    Check(system::Check),
    /// Show disk usage
    Df(system::Df),
    /// Remove what is not used
    Prune(prune::System),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Command::Exec(c) => c.run(),
            Command::Parse(c) => c.run(),
            Command::Expand(c) => c.run(),
            Command::Ignore(c) => c.run(),
            Command::Commit(c) => c.run(),
            Command::Export(c) => c.run(),
            Command::Diff(c) => c.run(),
            Command::Cp(c) => c.run(),
            Command::Attach(c) => c.run(),
            Command::Logs(c) => c.run(),
            Command::Build(c)
            | Command::Image(Image::Build(c))
            | Command::Builder(Builder::Build(c)) => c.run(),
            Command::Run(c) => c.run(),
            Command::Images(c) | Command::Image(Image::Ls(c)) => c.run(),
            Command::History(c) | Command::Image(Image::History(c)) => c.run(),
            Command::Create(c) => c.run(),
            Command::Start(c) => c.run(),
            Command::Stop(c) => c.run(),
            Command::Restart(c) => c.run(),
            Command::Kill(c) => c.run(),
            Command::Wait(c) => c.run(),
            Command::Rm(c) => c.run(),
            Command::Rename(c) => c.run(),
            Command::Ps(c) => c.run(),
            Command::Port(c) => c.run(),
            Command::Top(c) => c.run(),
            Command::Container(c) => c.run(),
            Command::Inspect(c) => c.run(),
            Command::Image(Image::Inspect(c)) => c.run(),
            Command::Image(Image::Tree(c)) => c.run(),
            Command::Image(Image::Big(c)) => c.run(),
            Command::Tag(c) | Command::Image(Image::Tag(c)) => c.run(),
            Command::Rmi(c) | Command::Image(Image::Rm(c)) => c.run(),
            Command::Save(c) | Command::Image(Image::Save(c)) => c.run(),
            Command::Load(c) | Command::Image(Image::Load(c)) => c.run(),
            Command::Import(c) | Command::Image(Image::Import(c)) => c.run(),
            Command::Push(c) | Command::Image(Image::Push(c)) => c.run(),
            Command::Pull(c) | Command::Image(Image::Pull(c)) => c.run(),
            Command::Doctor(c) => c.run(),
            Command::Completion(c) => c.run(),
            Command::Login(c) => c.run(),
            Command::Logout(c) => c.run(),
            Command::Image(Image::Prune(c)) => c.run(),
            Command::Builder(Builder::Du(c)) => c.run(),
            Command::Builder(Builder::Prune(c)) => c.run(),
            Command::Volume(c) => c.run(),
            Command::System(System::Check(c)) => c.run(),
            Command::System(System::Df(c)) => c.run(),
            Command::System(System::Prune(c)) => c.run(),
        }
    }
}
