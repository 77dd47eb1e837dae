//! `kiln build`.

mod agents;
mod call;
mod contexts;
mod csv;
mod docker;
mod files;
mod input;
mod limits;
mod outputs;
mod platforms;
mod records;
mod request;
mod runs;
mod secrets;
mod told;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use kiln_build::{Built, ErrorKind, Event};

use self::{
    call::Call,
    input::{Dockerfile, Fetch},
    told::Told,
};
use crate::{
    failure::Failure,
    host::{self, Interrupt},
    progress::Style,
    units,
};

#[derive(Args)]
pub(crate) struct Build {
    /// Name of the image, `name[:tag]`; may be given several times
    #[arg(short, long = "tag", value_name = "NAME")]
    tags: Vec<String>,
    /// Name of the Dockerfile (default: CONTEXT/Dockerfile); `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Value for an ARG; without `=VALUE`, that of the environment
    #[arg(long = "build-arg", value_name = "KEY[=VALUE]")]
    build_args: Vec<String>,
    /// The stage to build, by name or number
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    #[command(flatten)]
    contexts: contexts::Contexts,
    #[command(flatten)]
    records: records::Records,
    #[command(flatten)]
    shown: Shown,
    /// What COPY and ADD take files from: a folder, a git repository (`URL.git#REF:SUBDIR`), an archive at
    /// an HTTP address; `-` is standard input: an archive, or a Dockerfile
    context: Option<String>,
    #[command(flatten)]
    runs: runs::Runs,
    #[command(flatten)]
    outputs: outputs::Outputs,
    #[command(flatten)]
    instead: Instead,
    #[command(flatten)]
    dockers: docker::Dockers,
}

/// How the build is shown.
#[derive(Args)]
struct Shown {
    /// Print the image id, and nothing else unless the build fails
    #[arg(short, long)]
    quiet: bool,
    /// How the build is shown
    #[arg(long, value_enum, value_name = "STYLE", env = "BUILDKIT_PROGRESS")]
    progress: Option<Style>,
}

impl Shown {
    fn style(&self) -> Style {
        match self.quiet {
            true => Style::Quiet,
            false => self.progress.unwrap_or(Style::Auto),
        }
    }
}

/// What is told instead of building.
#[derive(Args)]
#[command(next_help_heading = "Instead of building")]
struct Instead {
    /// Print what the build would do, and do not do it
    #[arg(long)]
    dry_run: bool,
    /// Check the Dockerfile, and build nothing: short for `--call=check`
    #[arg(long)]
    check: bool,
    /// Tell of the Dockerfile instead of building it: `check`, `outline`, `targets`,
    /// `subrequests.describe`; with `,format=json` for programs
    #[arg(long, value_name = "METHOD[,format=json]")]
    call: Option<String>,
}

impl Build {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let style = self.shown.style();
        let call = Call::read(&self.instead)?;
        self.dockers.check()?;
        if style == Style::Classic && self.outputs.takes_stdout() {
            let what = "--progress=classic writes to standard output, where an archive is to go";
            return Err(Failure::new(what).code(125));
        }
        let given = self.runs.given()?;
        let observer = style.observer();
        let (interrupt, seen) = (Interrupt::default(), |event: Event<'_>| {
            observer.event(&event);
        });
        let fetching = Fetch {
            interrupt: &interrupt,
            on: &seen,
        };
        let opened = self.input(style == Style::Classic && call.builds(), &given, &fetching)?;
        let dockerfile = opened.dockerfile;
        if let Some(size) = opened.size {
            sent(size)?;
        }
        let request = self.request(&dockerfile, opened.context, style, given, &fetching)?;
        if let Some(answer) = call.without_store(&request, &dockerfile)? {
            host::print(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let builder = host::builder()?;
        self.dockers.tell();
        let told = Told::new(&request);
        let on = |event: Event<'_>| {
            if !told.keeps(&event) {
                observer.event(&event);
            }
        };
        if !call.builds() {
            let answer = call.answer(&builder, &request, &dockerfile, &on);
            told.tell(&dockerfile);
            return answer;
        }
        if self.instead.dry_run {
            let plan = builder.plan(&request, &on);
            host::print(&plan.map_err(|e| failed(&e, &dockerfile, style))?)?;
            told.tell(&dockerfile);
            return Ok(ExitCode::SUCCESS);
        }
        self.outputs.make_way()?;
        let built = builder.build(&request, interrupt.armed(), &on);
        observer.finish(built.is_err());
        if style != Style::Quiet || built.is_err() {
            told.tell(&dockerfile);
        }
        match built {
            Ok(built) => {
                self.outputs.write(&built)?;
                done(&built, style, self.outputs.takes_stdout())
            }
            Err(e) => Err(failed(&e, &dockerfile, style)),
        }
    }
}

/// What docker's classic builder says of the context.
fn sent(size: u64) -> Result<(), Failure> {
    let size = units::size(size, 4);
    host::print(&format!("Sending build context to Docker daemon  {size}\n"))
}

/// Tells what came of it: the image id on standard output, unless an archive went there. Where no image
/// went anywhere, there is none to tell of.
fn done(built: &Built, style: Style, taken: bool) -> Result<ExitCode, Failure> {
    for name in &built.pushed {
        if style != Style::Quiet {
            host::say(&format!("pushed {}", name.familiar()));
        }
    }
    match style {
        _ if !built.is_image => {}
        Style::Quiet if taken => host::say(&built.id.to_string()),
        Style::Quiet => host::print(&format!("{}\n", built.id))?,
        Style::Classic => {
            let mut text = format!("Successfully built {}\n", built.id.short());
            for name in &built.names {
                text.push_str(&format!("Successfully tagged {}\n", name.familiar()));
            }
            host::print(&text)?;
        }
        _ => {
            for name in &built.names {
                host::say(&format!("named {}", name.familiar()));
            }
            match taken {
                true => host::say(&built.id.to_string()),
                false => host::print(&format!("{}\n", built.id))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(e: &kiln_build::Error, dockerfile: &Dockerfile, style: Style) -> Failure {
    match (e.kind(), e.command(), style) {
        // What docker's classic builder says, and the exit code that it gives.
        (ErrorKind::Run(code), Some(command), Style::Classic) => {
            let what = format!("The command '{command}' returned a non-zero code: {code}");
            Failure::as_docker(&what, e, &dockerfile.name, &dockerfile.text)
                .code(u8::try_from(code).unwrap_or(1))
        }
        _ => Failure::build(e, &dockerfile.name, &dockerfile.text),
    }
}
