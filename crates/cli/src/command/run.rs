//! `kiln run`: a container in the foreground.

use std::{env, process::ExitCode, thread, time::Duration};

use clap::Args;
use kiln_build::{
    Builder,
    image::{Platform, Reference},
    sandbox::{Io, Outward, Stream},
    store::ImageRecord,
};
use kiln_container::{Base, Container, Containers, Create, Publish, Running};

use crate::{
    failure::Failure,
    host::{self, Requests},
};

#[derive(Args)]
pub(crate) struct Run {
    /// Remove the container when it has ended
    #[arg(long)]
    rm: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Name of the container
    #[arg(long)]
    name: Option<String>,
    /// Publish a port of the container, `[IP:][HOST:]CONTAINER`
    #[arg(short, long, value_name = "PORT")]
    publish: Vec<String>,
    #[command(flatten)]
    process: Process,
    /// The image: its name or id
    image: String,
    /// The command, instead of the image's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// What takes the place of what the image says.
#[derive(Args)]
struct Process {
    /// Set an environment variable; without `=VALUE`, to what it is here
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Where the command starts
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// As whom the command runs: `USER[:GROUP]`, by name or number
    #[arg(short, long)]
    user: Option<String>,
    /// What runs, instead of the image's entrypoint
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
}

/// Exit code for what went wrong before the command could run, as docker has it.
const NOT_RUN: u8 = 125;
/// How long a container may take to end after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(10);

impl Run {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let rm = self.rm;
        let (containers, container, builder) = self.create().map_err(|e| e.code(NOT_RUN))?;
        let ended = self.carry_out(&container, &builder);
        if rm {
            let removed = containers.remove(&container, true);
            // The container's own failure matters more than that of cleaning up.
            if ended.is_ok() {
                removed?;
            }
        }
        ended
    }

    fn create(&self) -> Result<(Containers, Container, Builder), Failure> {
        let mut ports = Vec::new();
        for text in &self.publish {
            ports.extend(Publish::parse(text)?);
        }
        let builder = host::builder()?;
        let image = self.image(&builder)?;
        let config = builder.store().images().config(&image)?;
        let mut create = Create::new(Base {
            id: image.id,
            name: self.image.clone(),
            layers: image.layers,
            config: config.config.clone(),
        });
        create.name.clone_from(&self.name);
        create.command.clone_from(&self.command);
        create.entrypoint =
            self.process
                .entrypoint
                .as_ref()
                .map(|program| match program.as_str() {
                    "" => Vec::new(),
                    program => vec![program.to_owned()],
                });
        create.env = self.process.env.iter().map(|pair| variable(pair)).collect();
        create.workdir.clone_from(&self.process.workdir);
        create.user.clone_from(&self.process.user);
        create.host.ports = ports;
        create.remove = self.rm;
        let containers = Containers::open(builder.roots())?;
        let container = containers.create(&create)?;
        Ok((containers, container, builder))
    }

    /// The image; pulled where it is not here.
    fn image(&self, builder: &Builder) -> Result<ImageRecord, Failure> {
        let missing = match builder.store().images().find(&self.image) {
            Ok(found) => return Ok(found.image),
            Err(e) if e.kind() == kiln_build::store::ErrorKind::NotFound => e,
            Err(e) => return Err(self.suggest(e.into())),
        };
        let Ok(name) = self.image.parse::<Reference>() else {
            return Err(missing.into());
        };
        host::say(&format!(
            "Unable to find image '{}' locally",
            name.familiar()
        ));
        builder.pull(&name, &Platform::host(), &|_| {})?;
        Ok(builder.store().images().find(&self.image)?.image)
    }

    /// `simple: app` on a command line is two words.
    fn suggest(&self, e: Failure) -> Failure {
        match (self.image.strip_suffix(':'), self.command.first()) {
            (Some(name), Some(next)) => e.hint(format!("did you mean `{name}:{next}`?")),
            _ => e,
        }
    }

    fn carry_out(&self, container: &Container, builder: &Builder) -> Result<ExitCode, Failure> {
        let io = Io {
            stdin: if self.interactive {
                Stream::Inherit
            } else {
                Stream::Null
            },
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
        };
        let mut running = container
            .start(io, &**builder.runner())
            .map_err(not_started)?;
        if let Some(Outward::Nothing { remedy }) = running.outward() {
            host::say(&format!(
                "warning: the container reaches no network: {remedy}"
            ));
        }
        pass_signals(&running);
        let exit = running.wait()?;
        let code = u8::try_from(exit.code()).unwrap_or(u8::MAX);
        Ok(ExitCode::from(code))
    }
}

fn not_started(e: kiln_container::Error) -> Failure {
    let code = u8::try_from(e.docker_code()).unwrap_or(NOT_RUN);
    Failure::from(e).code(code)
}

/// `KEY=VALUE`, or `KEY` as it is in our own environment: where it is not, it goes.
fn variable(pair: &str) -> (String, Option<String>) {
    match pair.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (pair.to_owned(), env::var(pair).ok()),
    }
}

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// Ctrl-C asks the command to end; asked again, or after a while, it is made to. A process that is
/// the first of its namespace ignores what it has no handler for, so asking may not be enough.
fn pass_signals(running: &Running) {
    let requests = Requests::default();
    let signal = running.signaller();
    let last = running.signaller();
    let last = std::sync::Mutex::new(Some(last));
    let handled = ctrlc::set_handler(move || {
        match requests.next() {
            None => return,
            Some(0) => signal(SIGINT),
            Some(1) => signal(SIGTERM),
            Some(_) => signal(SIGKILL),
        }
        let last = last.lock().ok().and_then(|mut last| last.take());
        if let Some(kill) = last {
            thread::spawn(move || {
                thread::sleep(PATIENCE);
                kill(SIGKILL);
            });
        }
    });
    if let Err(e) = handled {
        host::say(&format!(
            "warning: Ctrl-C will end kiln, and the container with it: {e}"
        ));
    }
}
