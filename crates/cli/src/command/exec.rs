//! `kiln exec`: one more process in a container that runs.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use clap::Args;
use kiln_build::sandbox::{Io, Running, Stream};
use kiln_container::{Container, DetachKeys, ErrorKind, Typed};

use super::{each::containers, run::NO_READER};
use crate::{failure::Failure, host, pairs, terminal};

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
    /// The keys that let go of it without ending it, where it has a terminal and our input
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
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
        let keys = terminal::detach_keys(self.detach_keys.as_deref())?;
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
            true => self.on_terminal(&container, &wish, keys)?,
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
        keys: DetachKeys,
    ) -> Result<i32, Failure> {
        let running = container.exec(wish, Io::null()).map_err(not_started)?;
        let raw = terminal::raw(self.interactive)?;
        let ended = connect(running, self.interactive.then_some(keys));
        drop(raw);
        Ok(ended?.unwrap_or_else(|| {
            // docker's words.
            host::say("read escape sequence");
            0
        }))
    }
}

/// What ends our part in it.
enum Last {
    /// Nothing more is written, or nobody reads it.
    Output(io::Result<()>),
    /// The keys that let go of it were typed.
    Keys,
}

/// Passes on what is typed, where there are keys to look for in it, and what is written, until the
/// process ends. `None` when it was let go of.
fn connect(
    mut running: Box<dyn Running>,
    keys: Option<DetachKeys>,
) -> Result<Option<i32>, Failure> {
    let failed = |e: io::Error| Failure::new("use the process's terminal").because(&e);
    let Some(theirs) = running.terminal() else {
        return Err(Failure::new("the process got no terminal"));
    };
    let resized = theirs.try_clone().map_err(failed)?;
    let _resizes = terminal::resized(move |size| {
        // Of a process that has just ended.
        let _ = size.set(&resized);
    })?;
    let (tell, told) = channel();
    let left = Arc::new(AtomicBool::new(false));
    // Both may be left waiting: nobody can wake them, and they do nothing any more.
    if let Some(keys) = keys {
        let (to, tell) = (theirs.try_clone().map_err(failed)?, tell.clone());
        thread::spawn(move || take_in(keys, to, &tell));
    }
    let let_go = left.clone();
    thread::spawn(move || {
        // Who has gone already does not hear it.
        let _ = tell.send(Last::Output(show(theirs, &let_go)));
    });
    match told.recv() {
        Ok(Last::Keys) => {
            left.store(true, Ordering::Release);
            running.leave()?;
            return Ok(None);
        }
        // It would wait for ever for somebody to read on: it is killed.
        Ok(Last::Output(Err(e))) if e.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(Some(NO_READER.into()));
        }
        Ok(Last::Output(Err(e))) => {
            return Err(Failure::new("write to standard output").because(&e));
        }
        Ok(Last::Output(Ok(()))) | Err(_) => {}
    }
    Ok(Some(running.wait()?.code()))
}

/// Carries what is typed, until the process has ended or is let go of.
fn take_in(mut keys: DetachKeys, mut to: impl Write, tell: &Sender<Last>) {
    let mut ours = terminal::stdin();
    let mut buffer = [0; 4096];
    loop {
        let (bytes, last) = match ours.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => (keys.rest(), None),
            Ok(read) => match keys.feed(&buffer[..read]) {
                Typed::Pass(bytes) if to.write_all(&bytes).is_ok() => continue,
                Typed::Pass(_) => return,
                Typed::Detach(bytes) => (bytes, Some(Last::Keys)),
            },
        };
        // An error means that it has ended.
        let _ = to.write_all(&bytes);
        if let Some(last) = last {
            let _ = tell.send(last);
        }
        return;
    }
}

/// Shows what is written, until its end, which is an error: nobody has the terminal open any more.
fn show(mut from: impl Read, left: &AtomicBool) -> io::Result<()> {
    let mut ours = terminal::stdout();
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if left.load(Ordering::Acquire) {
            break;
        }
        ours.write_all(&buffer[..read])?;
        ours.flush()?;
    }
    Ok(())
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
