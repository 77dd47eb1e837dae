//! `kiln run`: a container made and started, and in the foreground attached to.

use std::process::ExitCode;

use clap::Args;
use kiln_build::sandbox::Outward;
use kiln_container::{AttachEnd, DetachKeys};

use super::create::{Made, NOT_RUN, Options, make};
use crate::{
    failure::Failure,
    host,
    terminal::{self, Session},
};

#[derive(Args)]
#[command(
    disable_help_flag = true,
    override_usage = "kiln run [OPTIONS] <IMAGE> [COMMAND]..."
)]
pub(crate) struct Run {
    /// Run in the background, and print the container's id
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    foreground: Foreground,
    #[command(flatten)]
    options: Options,
}

/// How somebody in front of it is connected.
#[derive(Args)]
pub(crate) struct Foreground {
    /// The keys that let go of the container without ending it
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to the process
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL",
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) sig_proxy: bool,
}

impl Foreground {
    pub(crate) fn keys(&self) -> Result<DetachKeys, Failure> {
        terminal::detach_keys(self.detach_keys.as_deref())
    }
}

impl Run {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let wishes = self.options.wishes().map_err(|e| e.code(NOT_RUN))?;
        let keys = self.foreground.keys().map_err(|e| e.code(NOT_RUN))?;
        if self.detach && !self.options.streams.attach.is_empty() {
            let what = "conflicting options: cannot specify both --attach and --detach";
            return Err(Failure::new(what));
        }
        let streams = self.options.attached();
        if !self.detach {
            terminal::check(self.options.streams.tty, streams.stdin)?;
        }
        let made = make(&self.options, wishes, !self.detach && streams.stdin);
        let made = made.map_err(|e| e.code(NOT_RUN))?;
        if self.detach {
            let started = made.container.start(None);
            // As docker has it: also of one that could not be started, because it is there.
            host::print(&format!("{}\n", made.container.id()))?;
            started.map_err(|e| self.not_started(&made, e))?;
            warn(&made, "");
            return Ok(ExitCode::SUCCESS);
        }
        let session = Session {
            tty: self.options.streams.tty,
            streams,
            keys,
            pass_signals: self.foreground.sig_proxy,
        };
        self.attend(&made, session)
    }

    fn attend(&self, made: &Made, session: Session) -> Result<ExitCode, Failure> {
        let streams = session.streams;
        if !streams.stdout && !streams.stderr {
            host::print(&format!("{}\n", made.container.id()))?;
        }
        let raw = session.raw()?;
        let started = made.container.start(Some(session.wish()));
        let ended = match started {
            Ok(Some(attached)) => {
                // In raw mode a line begins where the last one ended.
                warn(made, if raw.is_some() { "\r" } else { "" });
                session.run(attached)
            }
            Ok(None) => Ok(AttachEnd::Detached),
            Err(e) => {
                // Its message is for a terminal that is as it was.
                drop(raw);
                return Err(self.not_started(made, e));
            }
        };
        drop(raw);
        Ok(code(&ended?))
    }

    /// docker's exit codes; a container that was to go when it has ended goes now.
    fn not_started(&self, made: &Made, e: kiln_container::Error) -> Failure {
        if self.options.life.rm {
            // The failure to start is what matters.
            let _ = made.containers.remove(&made.container, true, true);
        }
        let code = u8::try_from(e.docker_code()).unwrap_or(NOT_RUN);
        Failure::from(e).code(code)
    }
}

/// Says once what a user has to know of the network.
fn warn(made: &Made, end: &str) {
    // It may have ended already.
    if let Ok(Some(Outward::Nothing { remedy })) = made.container.outward() {
        let what = "warning: the container reaches no network";
        host::say(&format!("{what}: {remedy}{end}"));
    }
}

/// As if SIGPIPE had ended us: nobody reads on.
pub(super) const NO_READER: u8 = 128 + 13;

/// The exit code of the process is ours. Whoever lets go of it has succeeded.
pub(crate) fn code(end: &AttachEnd) -> ExitCode {
    match end {
        AttachEnd::Exited(code) => ExitCode::from(u8::try_from(*code).unwrap_or(u8::MAX)),
        AttachEnd::OutputClosed => ExitCode::from(NO_READER),
        _ => ExitCode::SUCCESS,
    }
}
