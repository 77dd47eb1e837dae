//! The git program, started with nothing of this user's: no configuration, no credentials, no hooks, no
//! templates. Refuses to speak to anybody unless that is what it is started for.

use std::{
    env,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::trouble;
use crate::{Error, ErrorKind, Fetcher, Options, Watch};

/// The most that is kept of what it says.
pub(super) const SAID: usize = 64 << 10;

/// Settings that hold for every command.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("safe.directory", "*"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("transfer.bundleURI", "false"),
    ("init.defaultBranch", "main"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
];

/// What it is given of this process's environment: what a network and a program need.
const PASSED: &[&str] = &[
    "PATH",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SystemRoot",
];

/// What it has a name of its own for, and passes over by the name that others go by.
const NAMED: &[(&str, &str)] = &[
    ("http_proxy", "HTTP_PROXY"),
    ("GIT_SSL_CAINFO", "SSL_CERT_FILE"),
    ("GIT_SSL_CAPATH", "SSL_CERT_DIR"),
];

/// Commands on one repository.
pub(super) struct Git<'a> {
    pub(super) options: &'a Options,
    repository: PathBuf,
    pub(super) watch: &'a Watch<'a>,
}

/// What a command that was allowed to fail said.
pub(super) struct Failed(pub(super) String);

impl<'a> Git<'a> {
    pub(super) fn new(fetcher: &'a Fetcher, repository: PathBuf, watch: &'a Watch<'a>) -> Self {
        Self {
            options: &fetcher.options,
            repository,
            watch,
        }
    }

    pub(super) fn repository(&self) -> &Path {
        &self.repository
    }

    pub(super) fn command(&self, settings: &[(String, String)]) -> Command {
        let mut command = Command::new(&self.options.git);
        command.env_clear();
        for name in PASSED {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        for (own, usual) in NAMED {
            if let (None, Some(value)) = (env::var_os(own), env::var_os(usual)) {
                command.env(own, value);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("HOME", "/nonexistent")
            .env("GIT_DIR", &self.repository)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("GIT_ALLOW_PROTOCOL", "none")
            .env("GIT_SSH_VARIANT", "ssh");
        let fixed = SETTINGS.iter().map(|(k, v)| (*k, *v));
        let own = settings.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let mut count = 0;
        for (key, value) in fixed.chain(own) {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(Stdio::null());
        command
    }

    pub(super) fn start(&self, command: &mut Command) -> Result<Child, Error> {
        command.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                let what = format!("there is no program `{}`", self.options.git.display());
                Error::new(ErrorKind::Unsupported, what)
                    .hint("git repositories are fetched by git: install it")
            }
            _ => Error::io(format!("start `{}`", self.options.git.display()), e),
        })
    }

    /// Has git read the repository: gives what it writes to `read`, and `input` to it.
    pub(super) fn read<T>(
        &self,
        args: &[&str],
        input: &[u8],
        read: impl FnOnce(&mut BufReader<std::process::ChildStdout>) -> Result<T, Error>,
    ) -> Result<Result<T, Failed>, Error> {
        self.read_with(&[], args, input, read)
    }

    /// [`read`](Self::read) with more of an environment.
    pub(super) fn read_with<T>(
        &self,
        environment: &[(&str, &str)],
        args: &[&str],
        input: &[u8],
        read: impl FnOnce(&mut BufReader<std::process::ChildStdout>) -> Result<T, Error>,
    ) -> Result<Result<T, Failed>, Error> {
        let mut command = self.command(&[]);
        command.args(args).envs(environment.iter().copied());
        command.stdin(Stdio::piped());
        let mut child = self.start(&mut command)?;
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let said = Said::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Whoever ends early does not want the rest.
                stdin.map(|mut stdin| stdin.write_all(input))
            });
            let err = scope.spawn(|| err.map(|err| said.read(err)));
            let out = out.expect("its output is a pipe");
            let mut out = BufReader::with_capacity(256 << 10, out);
            let found = read(&mut out);
            if found.is_err() {
                // It may have ended by itself.
                let _ = child.kill();
            }
            drop(out);
            let status = child.wait().map_err(|e| Error::io("wait for git", e))?;
            let _ = err.join();
            match (found, status.success()) {
                (Err(e), true) => Err(e),
                (Err(e), false) if said.text().is_empty() => Err(e),
                (_, false) => Ok(Err(Failed(said.text()))),
                (Ok(found), true) => Ok(Ok(found)),
            }
        })
    }

    /// Has git do something with the repository that does not fail on a whole disk.
    pub(super) fn run(&self, args: &[&str]) -> Result<String, Error> {
        self.run_with(&[], args)
    }

    pub(super) fn run_with(
        &self,
        environment: &[(&str, &str)],
        args: &[&str],
    ) -> Result<String, Error> {
        let text = self.read_with(environment, args, &[], |out| {
            let mut text = String::new();
            let read = out.take(SAID as u64).read_to_string(&mut text);
            read.map_err(|e| Error::io("read what git writes", e))?;
            Ok(text)
        })?;
        text.map_err(|Failed(said)| {
            let verb = args.first().copied().unwrap_or_default();
            let kind = match said.contains(trouble::FULL) {
                true => ErrorKind::Full,
                false => ErrorKind::Io,
            };
            Error::new(kind, format!("`git {verb}` failed")).because(said)
        })
    }
}

/// What a command says on the side.
#[derive(Default)]
pub(super) struct Said {
    text: Mutex<Vec<u8>>,
    pub(super) heard: AtomicU64,
}

impl Said {
    pub(super) fn read(&self, mut from: impl Read) {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            self.heard.fetch_add(1, Ordering::Relaxed);
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.extend_from_slice(&buffer[..n]);
            // The end tells why it failed.
            let more = text.len().saturating_sub(SAID);
            text.drain(..more);
        }
    }

    pub(super) fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}
