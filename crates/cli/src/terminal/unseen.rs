//! A line that is typed and not shown: a password.

use crate::failure::Failure;

/// Asks at the terminal that is standard input. Its end and Ctrl-C leave the terminal as it was, and
/// so does whatever else ends this program meanwhile: that is the sandbox's promise.
#[cfg(target_os = "linux")]
pub(crate) fn ask(prompt: &str) -> Result<String, Failure> {
    use std::{
        io::{self, BufRead as _, Write as _},
        sync::{Arc, Mutex, PoisonError},
    };

    use kiln_build::sandbox::terminal::Silent;

    use crate::host;

    let silent: Arc<Mutex<Option<Silent>>> = Arc::default();
    let undone = silent.clone();
    on_signal(move || {
        let silent = undone.lock().unwrap_or_else(PoisonError::into_inner).take();
        if silent.is_some() {
            drop(silent);
            host::say("");
        }
    })?;
    {
        let mut held = silent.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Silent::enter(&io::stdin())?);
    }
    let failed = |e: io::Error| Failure::new("read the password").because(&e);
    let mut err = io::stderr().lock();
    write!(err, "{prompt}")
        .and_then(|()| err.flush())
        .map_err(failed)?;
    drop(err);
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    drop(silent.lock().unwrap_or_else(PoisonError::into_inner).take());
    read.map_err(failed)?;
    if !line.ends_with('\n') {
        host::say("");
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// Has the signals by which people end a program do this first.
#[cfg(target_os = "linux")]
fn on_signal(first: impl Fn() + Send + 'static) -> Result<(), Failure> {
    use signal_hook::{consts, iterator::Signals};

    let failed = |e: std::io::Error| Failure::new("handle signals").because(&e);
    let all = [
        consts::SIGHUP,
        consts::SIGINT,
        consts::SIGQUIT,
        consts::SIGTERM,
    ];
    let mut signals = Signals::new(all).map_err(failed)?;
    let end = move || {
        if let Some(signal) = signals.forever().next() {
            first();
            std::process::exit(128 + signal);
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(end).map(drop).map_err(failed)
}

/// Asks at the terminal. Ctrl-C comes from the library as a signal, before it has set the terminal
/// right again: the signal ends the program a moment later than that.
#[cfg(not(target_os = "linux"))]
pub(crate) fn ask(prompt: &str) -> Result<String, Failure> {
    let handled = ctrlc::set_handler(|| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::process::exit(130);
    });
    if let Err(e) = handled {
        let what = format!("warning: after Ctrl-C the terminal may show nothing: {e}");
        crate::host::say(&what);
    }
    rpassword::prompt_password(prompt).map_err(|e| match e.kind() {
        std::io::ErrorKind::Interrupted => Failure::new("interrupted").code(130),
        _ => Failure::new("read the password").because(&e),
    })
}
