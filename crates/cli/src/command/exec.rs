//! `kiln exec`: one more process in a container that runs.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
    thread,
};

use clap::Args;
use kiln_build::sandbox::{Io, Running, Stream};
use kiln_container::{Container, ErrorKind};

use super::each::containers;
use crate::{failure::Failure, pairs, terminal};

#[derive(Args)]
pub(crate) struct Exec {
    /// Run it in the background, where nobody gives it input and nobody hears it
    #[arg(short, long)]
    detach: bool,
    /// Give it our standard input, unless it runs in the background
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// All that the container's namespaces allow: no capability dropped, no call filtered
    #[arg(long)]
    privileged: bool,
    #[command(flatten)]
    process: Process,
    /// A container: its name or id
    container: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// What differs from the container's own process.
#[derive(Args)]
struct Process {
    /// Set an environment variable; without `=VALUE`, to what it is here
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// As whom it runs: `USER[:GROUP]`, by name or number
    #[arg(short, long)]
    user: Option<String>,
    /// Where it starts
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
}

impl Exec {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let wish = kiln_container::Exec {
            argv: self.command.clone(),
            env: pairs::environment(&self.process.env_file, &self.process.env)?,
            workdir: self.process.workdir.clone(),
            user: self.process.user.clone(),
            terminal: self.tty,
            size: terminal::size().filter(|_| self.tty),
            privileged: self.privileged,
        };
        terminal::check(self.tty, self.interactive && !self.detach)?;
        let container = containers()?.get(&self.container)?;
        if self.detach {
            container.exec_detached(&wish).map_err(not_started)?;
            return Ok(ExitCode::SUCCESS);
        }
        let code = match self.tty {
            true => self.on_terminal(&container, &wish)?,
            false => {
                let io = Io {
                    stdin: match self.interactive {
                        true => Stream::Inherit,
                        false => Stream::Null,
                    },
                    ..Io::inherit()
                };
                let mut running = container.exec(&wish, io).map_err(not_started)?;
                running.wait()?.code()
            }
        };
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
    }

    /// Between our terminal and its own.
    fn on_terminal(
        &self,
        container: &Container,
        wish: &kiln_container::Exec,
    ) -> Result<i32, Failure> {
        let mut running = container.exec(wish, Io::null()).map_err(not_started)?;
        let raw = terminal::raw(self.interactive)?;
        let ended = connect(&mut *running, self.interactive);
        drop(raw);
        ended
    }
}

/// Passes on what is typed and what is written, until the process ends.
fn connect(running: &mut dyn Running, interactive: bool) -> Result<i32, Failure> {
    let failed = |e: io::Error| Failure::new("use the process's terminal").because(&e);
    let Some(mut theirs) = running.terminal() else {
        return Err(Failure::new("the process got no terminal"));
    };
    let resized = theirs.try_clone().map_err(failed)?;
    let _resizes = terminal::resized(move |size| {
        // Of a process that has just ended.
        let _ = size.set(&resized);
    })?;
    if interactive {
        let mut to = theirs.try_clone().map_err(failed)?;
        // It may wait in our input when the process ends: nobody can wake it, and it does nothing
        // any more.
        thread::spawn(move || {
            let mut ours = terminal::stdin();
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = ours.read(&mut buffer) {
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
        });
    }
    let mut ours = terminal::stdout();
    let mut buffer = [0; 16 << 10];
    // The end of a terminal is an error: nobody has it open any more.
    while let Ok(read @ 1..) = theirs.read(&mut buffer) {
        let written = ours.write_all(&buffer[..read]).and_then(|()| ours.flush());
        match written {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break,
            Err(e) => return Err(Failure::new("write to standard output").because(&e)),
            Ok(()) => {}
        }
    }
    Ok(running.wait()?.code())
}

/// docker's exit codes: 127 for a program that is not there, 126 for one that could not be started,
/// 1 where there is no container to start it in.
fn not_started(e: kiln_container::Error) -> Failure {
    let code = match e.kind() {
        ErrorKind::ProgramNotFound => 127,
        ErrorKind::NotFound | ErrorKind::Conflict => 1,
        _ => 126,
    };
    Failure::from(e).code(code)
}
