//! Programs on a terminal: a pseudo-terminal whose other end is the test.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// A program that runs on a terminal of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Pty {
    terminal: File,
    /// Kept open, so that the terminal outlives the program and can be asked how it was left.
    other: File,
    child: Child,
    /// Its settings before anybody had it.
    original: String,
    seen: Arc<Mutex<Vec<u8>>>,
    /// How much of it was expected already.
    passed: usize,
}

/// How long a test waits for a text, or for an end.
const PATIENCE: Duration = Duration::from_secs(30);

impl Pty {
    /// Starts `command` on a terminal of 24 rows and 80 columns, which is its standard streams and
    /// its controlling terminal. Of its environment counts what `command` itself says.
    ///
    /// # Panics
    /// When that is not possible: a test cannot go on.
    pub fn start(command: &Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = openpt(flags).expect("a pseudo-terminal can be made");
        grantpt(&terminal).expect("it can be used");
        unlockpt(&terminal).expect("it can be opened");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name");
        let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let terminal = File::from(terminal);
        let other = OpenOptions::new().read(true).write(true).open(name);
        let other = other.expect("its other end can be opened");
        resize(&terminal, 24, 80);
        let original = settings(&other);
        let mut wrapped = Command::new("setsid");
        wrapped
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("TERM", "xterm");
        for (name, value) in command.get_envs() {
            wrapped.env(name, value.unwrap_or_default());
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        let end = || other.try_clone().expect("it can be shared");
        let child = wrapped.stdin(end()).stdout(end()).stderr(end()).spawn();
        let seen = Arc::new(Mutex::new(Vec::new()));
        read_along(&terminal, &seen);
        Self {
            terminal,
            other,
            child: child.expect("setsid is installed"),
            original,
            seen,
            passed: 0,
        }
    }

    /// The id of the program's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn send(&mut self, keys: &str) {
        let sent = self.terminal.write_all(keys.as_bytes());
        sent.expect("the terminal takes what is typed");
    }

    /// Changes the terminal's size.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.terminal, rows, columns);
    }

    /// How the terminal was set before the program had it.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// How the terminal is set, as `stty -g` tells it.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn settings(&self) -> String {
        settings(&self.other)
    }

    /// Waits until `text` is shown behind what was expected before, and gives all up to its end.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let shown = self.shown();
            let new = &shown[self.passed..];
            if let Some(at) = find(new, text.as_bytes()) {
                let end = at + text.len();
                self.passed += end;
                return String::from_utf8_lossy(&new[..end]).into_owned();
            }
            let all = String::from_utf8_lossy(&shown);
            assert!(start.elapsed() < PATIENCE, "no {text:?} came: {all:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether `text` is shown by now, wherever.
    pub fn shows(&self, text: &str) -> bool {
        find(&self.shown(), text.as_bytes()).is_some()
    }

    /// Waits for the program's end, and gives its exit code (-1 when a signal ended it) and all that
    /// was shown.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(&mut self) -> (i32, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            let shown = self.shown();
            let all = String::from_utf8_lossy(&shown);
            assert!(start.elapsed() < PATIENCE, "it does not end: {all:?}");
            thread::sleep(Duration::from_millis(5));
        };
        self.settle();
        let shown = String::from_utf8_lossy(&self.shown()).into_owned();
        (status.code().unwrap_or(-1), shown)
    }

    /// Waits until nothing more comes: the kernel may still carry what was written last.
    fn settle(&self) {
        let mut before = usize::MAX;
        while before != self.shown().len() {
            before = self.shown().len();
            thread::sleep(Duration::from_millis(30));
        }
    }

    fn shown(&self) -> Vec<u8> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps what the program shows, until the terminal is gone.
fn read_along(terminal: &File, seen: &Arc<Mutex<Vec<u8>>>) {
    let mut terminal = terminal.try_clone().expect("a terminal can be shared");
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = terminal.read(&mut buffer) {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend_from_slice(&buffer[..read]);
        }
    });
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len().max(1)).position(|w| w == part)
}

fn settings(terminal: &File) -> String {
    let mut stty = Command::new("stty");
    let end = terminal.try_clone().expect("it can be shared");
    let said = stty.arg("-g").stdin(end).output().expect("stty runs");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_on_a_terminal() {
        let mut shell = Pty::start(&Command::new("sh"));
        shell.send("tty && stty size\n");
        shell.expect("/dev/pts/");
        shell.expect("24 80");
        shell.resize(30, 100);
        shell.send("stty size; exit 3\n");
        shell.expect("30 100");
        assert_eq!(shell.wait().0, 3);
    }
}
