//! What the command line takes from the machine: the store's place, standard output, the clock.

use std::{
    env,
    io::{self, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use kiln_build::{Builder, Options, store};

use crate::failure::Failure;

/// The builder over the user's store.
pub(crate) fn builder() -> Result<Builder, Failure> {
    let root = store::default_root(&|name| env::var_os(name), user_id())?;
    Ok(Builder::open(Options::usual(root))?)
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

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Has Ctrl-C and SIGTERM cancel: once. The second one ends the program.
pub(crate) fn on_interrupt(cancel: &kiln_build::Cancel) {
    let cancel = cancel.clone();
    let seen = std::sync::atomic::AtomicBool::new(false);
    let handled = ctrlc::set_handler(move || {
        if seen.swap(true, std::sync::atomic::Ordering::SeqCst) {
            std::process::exit(130);
        }
        cancel.cancel();
    });
    if let Err(e) = handled {
        say(&format!("warning: Ctrl-C will end kiln at once: {e}"));
    }
}
