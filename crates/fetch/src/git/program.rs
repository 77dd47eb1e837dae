//! The git program, started with nothing of this user's: no configuration, no credentials, no hooks, no
//! templates, no transports but four. Refuses to wait for one that has fallen silent, and to let one
//! fill the disk.

use std::{
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{remote::Remote, trouble};
use crate::{Error, ErrorKind, Fetcher, Progress, Watch, fetcher};

/// How long it may say nothing while it speaks to the other side.
const SILENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked at how much space a repository takes: that takes a while.
const MEASURE: Duration = Duration::from_secs(1);
/// The most that is kept of what it says.
const SAID: usize = 64 << 10;

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
    ("http.followRedirects", "initial"),
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
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SystemRoot",
];

/// Without the user's settings, keys and forwardings. The host's key has to be known.
const SSH: &str = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o IdentityFile=none \
     -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ClearAllForwardings=yes \
     -o PermitLocalCommand=no";

/// Commands on one repository.
pub(super) struct Git<'a> {
    program: &'a Path,
    repository: PathBuf,
    watch: &'a Watch<'a>,
    /// Bytes.
    limit: u64,
}

/// What a command that was allowed to fail said.
pub(super) struct Failed(pub(super) String);

impl<'a> Git<'a> {
    pub(super) fn new(fetcher: &'a Fetcher, repository: PathBuf, watch: &'a Watch<'a>) -> Self {
        Self {
            program: &fetcher.options.git,
            repository,
            watch,
            limit: fetcher.options.limits.repository,
        }
    }

    pub(super) fn repository(&self) -> &Path {
        &self.repository
    }

    fn command(&self, settings: &[(String, String)]) -> Command {
        let mut command = Command::new(self.program);
        command.env_clear();
        for name in PASSED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
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
            .env("GIT_ALLOW_PROTOCOL", "http:https:ssh:git")
            .env("GIT_SSH_VARIANT", "ssh")
            .env("GIT_SSH_COMMAND", format!("{SSH} -o IdentityAgent=none"));
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

    fn start(&self, command: &mut Command) -> Result<Child, Error> {
        command.spawn().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                let what = format!("there is no program `{}`", self.program.display());
                Error::new(ErrorKind::Unsupported, what)
                    .hint("git repositories are fetched by git: install it")
            }
            _ => Error::io(format!("start `{}`", self.program.display()), e),
        })
    }

    /// Has git speak to `remote`: what it writes. `args` hold no password: they are for all to see.
    pub(super) fn talk(
        &self,
        remote: &Remote,
        agent: Option<&Path>,
        args: &[&str],
    ) -> Result<Vec<u8>, Error> {
        let mut settings = Vec::new();
        if let (Some(origin), Some(shown)) = (remote.web_origin(), &remote.authorization) {
            let header = format!("Authorization: {}", shown.reveal());
            settings.push((format!("http.{origin}.extraHeader"), header));
        }
        let mut command = self.command(&settings);
        if let Some(agent) = agent.filter(|_| remote.is_ssh()) {
            command.env("SSH_AUTH_SOCK", agent);
            command.env("GIT_SSH_COMMAND", SSH);
        }
        command.args(args);
        let child = self.start(&mut command)?;
        let (status, out, said) = self.watched(child, remote)?;
        match status.success() {
            true => Ok(out),
            false => Err(trouble::of(remote, &said)),
        }
    }

    /// Waits for a command and looks on: it is ended when the caller cancels, when it has been silent
    /// for too long, and when the repository becomes too big.
    fn watched(
        &self,
        mut child: Child,
        remote: &Remote,
    ) -> Result<(ExitStatus, Vec<u8>, String), Error> {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let said = Said::default();
        let (done, ended) = mpsc::channel();
        thread::scope(|scope| {
            let out = scope.spawn(|| {
                let out = out.map(|out| read_up_to(out, SAID << 6, &said));
                // The one who waits may have given up.
                let _ = done.send(());
                out.unwrap_or_default()
            });
            let err = scope.spawn(|| err.map(|err| said.read(err)));
            let stopped = self.until(&ended, &said, remote);
            if stopped.is_err() {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
            }
            let status = child.wait().map_err(|e| Error::io("wait for git", e));
            let out = out.join().unwrap_or_default();
            stopped?;
            // What it said last tells why it failed.
            let _ = err.join();
            Ok((status?, out, said.text()))
        })
    }

    fn until(&self, ended: &mpsc::Receiver<()>, said: &Said, remote: &Remote) -> Result<(), Error> {
        let before = fetcher::size(&self.repository);
        let (mut heard, mut since, mut measured) = (0, Instant::now(), Instant::now());
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
            self.watch.check()?;
            let now = said.heard.load(Ordering::Relaxed);
            if now != heard {
                (heard, since) = (now, Instant::now());
            }
            if since.elapsed() > SILENCE {
                let why = format!("no answer for {} s", SILENCE.as_secs());
                let what = format!("`{remote}`: {why}");
                return Err(Error::new(ErrorKind::Unreachable, what));
            }
            if measured.elapsed() > MEASURE {
                measured = Instant::now();
                let done = fetcher::size(&self.repository).saturating_sub(before);
                if done > self.limit {
                    let what = format!("`{remote}`: more than {} bytes came", self.limit);
                    return Err(Error::new(ErrorKind::Refused, what));
                }
                (self.watch.progress)(Progress { done, total: None });
            }
        }
        Ok(())
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
            let kind = match said.contains("No space left on device") {
                true => ErrorKind::Full,
                false => ErrorKind::Io,
            };
            Error::new(kind, format!("`git {verb}` failed")).because(said)
        })
    }
}

/// What a command says on the side.
#[derive(Default)]
struct Said {
    text: Mutex<Vec<u8>>,
    heard: AtomicU64,
}

impl Said {
    fn read(&self, mut from: impl Read) {
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

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Reads all, and keeps the first `most` bytes.
fn read_up_to(mut from: impl Read, most: usize, said: &Said) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        said.heard.fetch_add(1, Ordering::Relaxed);
        let room = most.saturating_sub(all.len()).min(n);
        all.extend_from_slice(&buffer[..room]);
    }
    all
}
