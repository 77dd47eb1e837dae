//! `kiln create`, and what it shares with `kiln run`: the flags, the image, the container.

mod flags;
mod source;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use kiln_build::Builder;
use kiln_container::{Container, Containers, NetworkMode};

pub(crate) use flags::Options;

use crate::{failure::Failure, host};

#[derive(Args)]
#[command(
    disable_help_flag = true,
    override_usage = "kiln create [OPTIONS] <IMAGE> [COMMAND]..."
)]
pub(crate) struct Create {
    #[command(flatten)]
    options: Options,
}

/// Exit code for a mistake in the flags, and of `run` for all that went wrong before the command
/// could run; docker's.
pub(crate) const NOT_RUN: u8 = 125;

impl Create {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let wishes = self.options.wishes().map_err(|e| e.code(NOT_RUN))?;
        let made = make(&self.options, wishes, true)?;
        host::print(&format!("{}\n", made.container.id()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A container that was just made, and where.
pub(crate) struct Made {
    pub(crate) containers: Containers,
    pub(crate) container: Container,
}

/// Makes a container. `attended`: whoever starts it is attached to its standard input.
pub(crate) fn make(
    options: &Options,
    wishes: flags::Wishes,
    attended: bool,
) -> Result<Made, Failure> {
    let id_file = options.identity.cidfile.as_deref().map(IdFile::new);
    let id_file = id_file.transpose()?;
    let builder: Builder = host::builder()?;
    let base = source::base(&builder, options)?;
    let create = wishes.of(base, options, attended);
    let publishes = !create.host.ports.is_empty() || create.host.publish_all;
    if create.host.network == NetworkMode::Host && publishes {
        host::say("warning: published ports are discarded when using host network mode");
    }
    let containers = Containers::open(builder.roots())?;
    let container = containers.create(&create)?;
    if let Some(file) = id_file
        && let Err(e) = file.write(container.id())
    {
        // Nobody would know of it.
        containers.remove(&container, true, true)?;
        return Err(e);
    }
    Ok(Made {
        containers,
        container,
    })
}

/// The file of `--cidfile`: taken before anything else, and gone again where there is no container.
struct IdFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl IdFile {
    fn new(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let file = File::create_new(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Failure::new(format!(
                "container ID file found, make sure the other container isn't running or delete \
                 {shown}"
            )),
            _ => Failure::new(format!("failed to create the container ID file `{shown}`"))
                .because(&e),
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            written: false,
        })
    }

    fn write(mut self, id: &str) -> Result<(), Failure> {
        let failed = |path: &Path, e| {
            Failure::new(format!(
                "failed to write to the container ID file `{}`",
                path.display()
            ))
            .because(&e)
        };
        self.file
            .write_all(id.as_bytes())
            .map_err(|e| failed(&self.path, e))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            // Another command would take it for that of a container.
            let _ = fs::remove_file(&self.path);
        }
    }
}
