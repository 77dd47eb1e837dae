//! What the command line takes from the machine: the store's place, standard output, the clock.

use std::{
    env,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use kiln_build::{Builder, Options, store};

use crate::failure::Failure;

/// The builder over the user's store.
pub(crate) fn builder() -> Result<Builder, Failure> {
    Ok(Builder::open(Options::usual(store_root()?)?)?)
}

/// Where the user's store is.
pub(crate) fn store_root() -> Result<PathBuf, Failure> {
    Ok(store::default_root(&|name| env::var_os(name), user_id())?)
}

/// Who runs this. Where that cannot be told, nobody special.
fn user_id() -> u32 {
    #[cfg(unix)]
    if let Ok(meta) = std::fs::metadata("/proc/self") {
        return std::os::unix::fs::MetadataExt::uid(&meta);
    }
    u32::MAX
}

/// Writes a result to standard output. A reader that went away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("write to standard output").because(&e))
        }
        _ => Ok(()),
    }
}

/// Says something that is not a result on standard error.
pub(crate) fn say(text: &str) {
    // Standard error is the last resort: there is nowhere to tell of its failure.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the person at the terminal agrees.
pub(crate) fn confirm(warning: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new("there is nobody to ask").hint("use --force"));
    }
    print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    io::stdout()
        .flush()
        .map_err(|e| Failure::new("write to standard output").because(&e))?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|e| Failure::new("read the answer").because(&e))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Signals that come this soon after another are the same request: a terminal and a supervisor
/// often both send one.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Counts requests to stop. For a signal that belongs to the last request there is no number.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Option<(u32, Instant)>>);

impl Requests {
    /// The number of this request, from 0.
    pub(crate) fn next(&self) -> Option<u32> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = match *last {
            None => 0,
            Some((_, at)) if at.elapsed() < SAME_REQUEST => return None,
            Some((number, _)) => number + 1,
        };
        *last = Some((number, Instant::now()));
        Some(number)
    }
}

/// Whether to stop: asked for by Ctrl-C and SIGTERM, from the time on when something looks at it.
#[derive(Default)]
pub(crate) struct Interrupt {
    cancel: kiln_build::Cancel,
    armed: OnceLock<()>,
}

impl Interrupt {
    /// What is looked at. Until it is asked for, Ctrl-C ends the program as usual; asked twice to stop, it
    /// ends at once.
    pub(crate) fn armed(&self) -> &kiln_build::Cancel {
        self.armed.get_or_init(|| on_interrupt(&self.cancel));
        &self.cancel
    }
}

/// Has Ctrl-C and SIGTERM cancel. Asked again, the program ends at once.
fn on_interrupt(cancel: &kiln_build::Cancel) {
    let cancel = cancel.clone();
    let requests = Requests::default();
    let handled = ctrlc::set_handler(move || match requests.next() {
        Some(0) => cancel.cancel(),
        Some(_) => std::process::exit(130),
        None => {}
    });
    if let Err(e) = handled {
        say(&format!("warning: Ctrl-C will end kiln at once: {e}"));
    }
}
