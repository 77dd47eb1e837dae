//! One more process in a container that runs. It is the caller's, not the monitor's: it ends with the
//! caller, unless it was started to live on or is let go of; with the container it ends in any case.

#[cfg(target_os = "linux")]
mod relay;

use std::ffi::OsString;

use kiln_rootfs::owner::{self, Ids};
use kiln_sandbox::{Capability, Io, Peer, Process, Running, User};

use crate::containers::Container;
use crate::{Error, ErrorKind, Size, State};

/// What is to run beside a container's own process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Over the container's environment; `None` takes a variable away.
    pub env: Vec<(String, Option<String>)>,
    /// Where it starts; as the container's process where `None`.
    pub workdir: Option<String>,
    /// `user[:group]`; as the container's process where `None`.
    pub user: Option<String>,
    /// With a terminal of its own ([`Running::terminal`]); then the streams must be null.
    pub terminal: bool,
    /// How many characters that terminal shows from the start.
    pub size: Option<Size>,
    /// With all capabilities and no filter of system calls.
    pub privileged: bool,
}

impl Container {
    /// Runs one more process in it. Dropped, that is killed; [`Running::leave`] has it live on.
    /// Streams that are to be the caller's own are carried through pipes: the process never has the
    /// caller's terminal or files themselves.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the container does not run; [`ErrorKind::ProgramNotFound`] and
    /// [`ErrorKind::NotExecutable`] for the program; [`ErrorKind::User`].
    #[cfg(target_os = "linux")]
    pub fn exec(&self, exec: &Exec, mut io: Io) -> Result<Box<dyn Running>, Error> {
        let failed = |e| Error::new(ErrorKind::Io, "carry the streams of the process").because(e);
        let peer = self.running_peer()?;
        let process = self.process(exec, &peer)?;
        let relay = relay::Relay::of(&mut io).map_err(failed)?;
        let entered = kiln_sandbox::enter(&peer, &process, exec.privileged, io);
        let running = entered.map_err(|e| self.or_ended(&peer, e))?;
        relay.carry(running).map_err(failed)
    }

    /// An error on this platform.
    #[cfg(not(target_os = "linux"))]
    pub fn exec(&self, exec: &Exec, io: Io) -> Result<Box<dyn Running>, Error> {
        let peer = self.running_peer()?;
        let process = self.process(exec, &peer)?;
        kiln_sandbox::enter(&peer, &process, exec.privileged, io)
            .map_err(|e| self.or_ended(&peer, e))
    }

    /// The same with null streams, and it lives on when this program ends. Its id on the machine.
    ///
    /// # Errors
    ///
    /// As [`exec`](Self::exec).
    pub fn exec_detached(&self, exec: &Exec) -> Result<u32, Error> {
        let peer = self.running_peer()?;
        let process = self.process(exec, &peer)?;
        let io = Io::null();
        kiln_sandbox::enter_detached(&peer, &process, exec.privileged, io)
            .map_err(|e| self.or_ended(&peer, e))
    }

    /// The error, unless the container has ended meanwhile, which explains any.
    fn or_ended(&self, peer: &Peer, e: kiln_sandbox::Error) -> Error {
        match e.kind() != kiln_sandbox::ErrorKind::Ended && peer.is_running() {
            true => e.into(),
            false => self.not_running(),
        }
    }

    /// Its process, which runs.
    pub(crate) fn running_peer(&self) -> Result<Peer, Error> {
        match self.state()? {
            State::Running { .. } => {}
            State::Restarting { .. } => {
                let what = format!(
                    "Container {} is restarting, wait until the container is running",
                    self.id()
                );
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            _ => return Err(self.not_running()),
        }
        // It may have ended just now.
        self.noted()?.peer().ok_or_else(|| self.not_running())
    }

    fn process(&self, exec: &Exec, peer: &Peer) -> Result<Process, Error> {
        let command = &self.details.command;
        if exec.argv.first().is_none_or(String::is_empty) {
            return Err(Error::new(ErrorKind::Invalid, "No exec command specified"));
        }
        let cwd = exec.workdir.as_deref().unwrap_or(&command.cwd);
        if !cwd.starts_with('/') {
            let what = format!("Cwd must be an absolute path: `{cwd}`");
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let ids = self.ids(exec.user.as_deref().unwrap_or(&command.user), peer)?;
        let mut process = Process::new(exec.argv.iter().map(OsString::from));
        process.env = env(&command.env, exec, ids.home.as_deref());
        process.cwd = cwd.into();
        process.user = User {
            uid: ids.uid,
            gid: ids.gid,
            groups: ids.groups,
        };
        process.terminal = exec.terminal;
        process.size = exec.size;
        if exec.privileged {
            process.capabilities = Capability::ALL.to_vec();
        }
        Ok(process)
    }

    /// By the files as they are inside now; by the image's where those cannot be read.
    fn ids(&self, user: &str, peer: &Peer) -> Result<Ids, Error> {
        Ok(match tables(peer) {
            Some((passwd, group)) => owner::resolve_texts(user, &passwd, &group)?,
            None => owner::resolve(user, &self.roots.root(&self.details.layers)?)?,
        })
    }
}

/// The container's environment, the caller's over it, and HOME where nobody says.
fn env(base: &[(String, String)], exec: &Exec, home: Option<&str>) -> Vec<(OsString, OsString)> {
    let mut env = base.to_vec();
    let has = |env: &[(String, String)], name: &str| env.iter().any(|(known, _)| known == name);
    if exec.terminal && !has(&env, "TERM") {
        env.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    for (name, value) in &exec.env {
        env.retain(|(known, _)| known != name);
        env.extend(value.clone().map(|value| (name.clone(), value)));
    }
    if !has(&env, "HOME") {
        env.push(("HOME".to_owned(), home.unwrap_or("/").to_owned()));
    }
    env.into_iter().map(|(k, v)| (k.into(), v.into())).collect()
}

/// `/etc/passwd` and `/etc/group` as `peer` sees them. A file that is not there is empty.
#[cfg(target_os = "linux")]
fn tables(peer: &Peer) -> Option<(String, String)> {
    use std::io::Read as _;

    use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

    /// The largest file that is read.
    const LARGEST: u64 = 16 << 20;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(format!("/proc/{}/root", peer.pid), flags, Mode::empty()).ok()?;
    let read = |path: &str| {
        // A link there leads to what it means inside; what waits when it is opened is no such file.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat2(&root, path, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::NOENT) => return Some(String::new()),
            file => std::fs::File::from(file.ok()?),
        };
        if !file.metadata().ok()?.is_file() {
            return Some(String::new());
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let tables = (read("etc/passwd")?, read("etc/group")?);
    // Else they were somebody else's, who has its id now.
    peer.is_running().then_some(tables)
}

#[cfg(not(target_os = "linux"))]
fn tables(_: &Peer) -> Option<(String, String)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment() {
        let base = [("A", "1"), ("B", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let mut exec = Exec {
            env: vec![("A".into(), Some("3".into())), ("B".into(), None)],
            ..Exec::default()
        };
        let text = |exec: &Exec, home| {
            let env = env(&base, exec, home).into_iter();
            let pairs = env.map(|(k, v)| format!("{}={}", k.display(), v.display()));
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(text(&exec, Some("/home/app")), "A=3 HOME=/home/app");
        exec.terminal = true;
        exec.env = vec![("HOME".into(), Some("/x".into()))];
        assert_eq!(text(&exec, None), "A=1 B=2 TERM=xterm HOME=/x");
    }
}
