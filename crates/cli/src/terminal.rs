//! The user's side of a container in the foreground: the terminal in raw mode, its size passed on,
//! signals passed on, and the keys that let go of it.
//!
//! Whatever happens, the terminal is as it was before: that is the sandbox's promise.

#[cfg(unix)]
mod signals;
mod unseen;

use std::io::{self, IsTerminal as _};

use kiln_build::sandbox::terminal::{Raw, Resizes, Size, on_resize};
use kiln_container::{Attach, AttachEnd, AttachIo, Attached, DetachKeys};

#[cfg(unix)]
pub(crate) use signals::pass_signals;
pub(crate) use unseen::ask as ask_unseen;

use crate::{config, failure::Failure};

/// Which streams are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

/// Somebody at a terminal, or a script, in front of a container's process.
pub(crate) struct Session {
    /// Whether the process has a terminal of its own.
    pub(crate) tty: bool,
    pub(crate) streams: Streams,
    pub(crate) keys: DetachKeys,
    /// Whether our signals are passed on.
    pub(crate) pass_signals: bool,
}

impl Session {
    /// What to ask the container for.
    pub(crate) fn wish(&self) -> Attach {
        Attach {
            stdin: self.streams.stdin,
            stdout: self.streams.stdout,
            stderr: self.streams.stderr,
            size: size().filter(|_| self.tty),
            logs: false,
        }
    }

    /// Has the terminal pass on each key, from before the process starts until it is dropped.
    pub(crate) fn raw(&self) -> Result<Option<Raw>, Failure> {
        raw(self.tty && self.streams.stdin)
    }

    /// Connects the streams until the process ends or the user lets go of it.
    pub(crate) fn run(self, attached: Attached) -> Result<AttachEnd, Failure> {
        let _resizes = match self.tty {
            true => {
                let resize = attached.resizer();
                resized(resize)?
            }
            false => None,
        };
        if self.pass_signals {
            pass_signals(attached.signaller())?;
        }
        let sink = |wanted: bool, to: Box<dyn io::Write + Send>| match wanted {
            true => to,
            false => Box::new(io::sink()),
        };
        let reads = self.streams.stdin.then(stdin);
        // Without raw mode the keys are not ours to look at.
        let keys = (self.tty && self.streams.stdin).then_some(self.keys);
        Ok(attached.run(AttachIo {
            stdin: reads,
            stdout: sink(self.streams.stdout, stdout()),
            stderr: sink(self.streams.stderr, stderr()),
            detach: keys,
        })?)
    }
}

/// A process with a terminal whose input is to be ours needs a terminal here.
pub(crate) fn check(tty: bool, stdin: bool) -> Result<(), Failure> {
    match tty && stdin && !io::stdin().is_terminal() {
        true => Err(Failure::new("the input device is not a TTY")
            .hint("leave out -t where the input is a file or a pipe")),
        false => Ok(()),
    }
}

/// How many characters the terminal shows; `None` where there is none.
pub(crate) fn size() -> Option<Size> {
    Size::of(&io::stdout()).or_else(|| Size::of(&io::stdin()))
}

/// Raw mode of standard input, where `wanted` and where it is a terminal.
pub(crate) fn raw(wanted: bool) -> Result<Option<Raw>, Failure> {
    match wanted && io::stdin().is_terminal() {
        true => Ok(Some(Raw::enter(&io::stdin())?)),
        false => Ok(None),
    }
}

/// Calls `each` with every new size of the terminal, as long as what it returns lives.
pub(crate) fn resized(each: impl FnMut(Size) + Send + 'static) -> Result<Option<Resizes>, Failure> {
    if io::stdout().is_terminal() {
        return Ok(Some(on_resize(&io::stdout(), each)?));
    }
    if io::stdin().is_terminal() {
        return Ok(Some(on_resize(&io::stdin(), each)?));
    }
    Ok(None)
}

/// Standard input as it comes.
pub(crate) fn stdin() -> Box<dyn io::Read + Send> {
    #[cfg(unix)]
    if let Ok(own) = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned() {
        return Box::new(std::fs::File::from(own));
    }
    Box::new(io::stdin())
}

/// Standard output without a buffer: what a process writes is to be seen, its lines ended or not.
pub(crate) fn stdout() -> Box<dyn io::Write + Send> {
    #[cfg(unix)]
    if let Ok(own) = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned() {
        return Box::new(std::fs::File::from(own));
    }
    Box::new(io::stdout())
}

/// Standard error, which has no buffer.
pub(crate) fn stderr() -> Box<dyn io::Write + Send> {
    Box::new(io::stderr())
}

/// On this platform there are none to pass on.
#[cfg(not(unix))]
pub(crate) fn pass_signals(_: impl Fn(i32) + Send + 'static) -> Result<(), Failure> {
    Ok(())
}

/// The keys that let go: those of the flag, else of docker's `config.json`, else docker's.
pub(crate) fn detach_keys(flag: Option<&str>) -> Result<DetachKeys, Failure> {
    let text = flag
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .or_else(|| config::setting("detachKeys"));
    Ok(DetachKeys::parse(text.as_deref().unwrap_or_default())?)
}
