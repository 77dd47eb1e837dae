//! The git program as it speaks to the other side: what that is shown, what may carry it, when to stop.
//! Refuses to wait for one that has fallen silent, to let one fill the disk, and to follow a redirect with
//! what only one server is to see.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{atomic::Ordering, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{
    program::{Failed, Git, SAID, Said},
    remote::Remote,
    trouble,
};
use crate::{Error, ErrorKind, Progress, fetcher, http::moved};

/// How long it may say nothing while it speaks to the other side.
const SILENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked at how much space a repository takes: that takes a while.
const MEASURE: Duration = Duration::from_secs(1);
/// What git asks a web server for first, behind the address of a repository.
const REFS: &str = "/info/refs?service=git-upload-pack";
/// Without the user's settings, keys and forwardings. The host's key has to be known, and none is added
/// to those that are.
const SSH: &str = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no \
     -o IdentityFile=none -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ForwardAgent=no \
     -o ClearAllForwardings=yes -o PermitLocalCommand=no";

impl Git<'_> {
    /// Has git speak to `remote`: what it writes. `args` hold no password: they are for all to see. Where
    /// one is shown who asks, it follows no redirect: a header would go along to any server.
    pub(super) fn talk(
        &self,
        remote: &Remote,
        agent: Option<&Path>,
        args: &[&str],
    ) -> Result<Vec<u8>, Error> {
        let said = match self.say(remote, agent, args)? {
            Ok(out) => return Ok(out),
            Err(Failed(said)) => said,
        };
        if said.contains(trouble::FULL) {
            let what = format!("write `{}`: the disk is full", self.repository().display());
            return Err(Error::new(ErrorKind::Full, what).because(trouble::clean(&said)));
        }
        let Some(shown) = remote
            .authorization
            .as_ref()
            .filter(|_| trouble::is_redirect(&said))
        else {
            return Err(trouble::of(remote, &said));
        };
        let address = remote.to_string();
        let asked = format!("{address}{REFS}");
        let moved = moved(self.options, &asked, shown, self.watch)?;
        let Some(moved) = moved.strip_suffix(REFS).filter(|moved| *moved != address) else {
            return Err(trouble::of(remote, &said));
        };
        let mut there = Remote::parse(moved)?;
        there.authorization.clone_from(&remote.authorization);
        let (address, moved) = (address.as_str(), there.to_string());
        let put = |arg: &&'_ str| {
            if *arg == address {
                moved.clone()
            } else {
                (*arg).to_owned()
            }
        };
        let args: Vec<String> = args.iter().map(put).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = self.say(&there, agent, &args)?;
        said.map_err(|Failed(said)| trouble::of(&there, &said))
    }

    fn say(
        &self,
        remote: &Remote,
        agent: Option<&Path>,
        args: &[&str],
    ) -> Result<Result<Vec<u8>, Failed>, Error> {
        let mut settings = Vec::new();
        let follow = match (remote.web_origin(), &remote.authorization) {
            (Some(origin), Some(shown)) => {
                let header = format!("Authorization: {}", shown.reveal());
                settings.push((format!("http.{origin}.extraHeader"), header));
                "false"
            }
            _ => "initial",
        };
        settings.push(("http.followRedirects".to_owned(), follow.to_owned()));
        let mut command = self.command(&settings);
        command.env("GIT_ALLOW_PROTOCOL", remote.transports());
        let keys = match agent.filter(|_| remote.is_ssh()) {
            Some(agent) => {
                command.env("SSH_AUTH_SOCK", agent);
                "SSH_AUTH_SOCK"
            }
            None => "none",
        };
        command.env("GIT_SSH_COMMAND", format!("{SSH} -o IdentityAgent={keys}"));
        command.args(args);
        alone(&mut command);
        let child = self.start(&mut command)?;
        let (status, out, said) = self.watched(child, remote)?;
        Ok(match status.success() {
            true => Ok(out),
            false => Err(Failed(said)),
        })
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
                end(&mut child);
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
        let before = fetcher::size(self.repository());
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
                let done = fetcher::size(self.repository()).saturating_sub(before);
                if done > self.options.limits.repository {
                    let most = self.options.limits.repository;
                    let what = format!("`{remote}`: more than {most} bytes came");
                    return Err(Error::new(ErrorKind::Refused, what));
                }
                (self.watch.progress)(Progress { done, total: None });
            }
        }
        Ok(())
    }
}

/// Has a command and all that it starts be a group, to be ended as one.
#[cfg(unix)]
fn alone(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn alone(_: &mut Command) {}

/// Ends a command with all that it started: helpers of git speak to the other side, and would go on.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        // It may have ended by itself meanwhile; nobody else has its number before it is waited for.
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    }
    let _ = child.kill();
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
