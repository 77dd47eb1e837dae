//! A container's process in the foreground: prepared, started, watched, and its end written down.

use std::ffi::OsString;
use std::path::Path;
use std::sync::PoisonError;

use kiln_durable::Lease;
use kiln_rootfs::{NetworkFiles, Prepared, network_files, owner};
use kiln_sandbox::{Exit, Io, Network, Outward, Process, Runner, Signaller, Spec, User};

use crate::containers::Container;
use crate::create::short;
use crate::forward::{Bound, Forwarder, Listeners};
use crate::state::{Noted, born, failed, now, read_state, write_state};
use crate::{Error, ErrorKind};

/// A container whose process runs. Dropped, it is killed.
pub struct Running {
    process: Box<dyn kiln_sandbox::Running>,
    folder: std::path::PathBuf,
    bound: Vec<Bound>,
    forwarder: Option<Forwarder>,
    lease: Option<Lease>,
    exit: Option<Exit>,
    since: u64,
}

impl Container {
    /// Starts its process. Published ports are taken before it runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PortTaken`]; [`ErrorKind::ProgramNotFound`] and [`ErrorKind::NotExecutable`] for
    /// the program; [`ErrorKind::User`]; [`ErrorKind::Conflict`] when it was started before.
    pub fn start(&self, io: Io, runner: &dyn Runner) -> Result<Running, Error> {
        let ours = self
            .lease
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (Some(lease), Some(Noted::Created)) = (ours, read_state(&self.folder)?) else {
            let what = format!("container \"/{}\" was started before", self.name());
            return Err(Error::new(ErrorKind::Conflict, what));
        };
        match self.start_process(io, runner) {
            Ok(started) => Ok(Running {
                lease: Some(lease),
                ..started
            }),
            Err(e) => {
                let code = e.docker_code();
                let noted = Noted::Exited {
                    code,
                    started: 0,
                    at: now(),
                    error: Some(e.to_string()),
                };
                write_state(&self.folder, &noted)?;
                Err(e)
            }
        }
    }

    fn start_process(&self, io: Io, runner: &dyn Runner) -> Result<Running, Error> {
        let listeners = Listeners::bind(&self.details.host.ports)?;
        let bound = listeners.bound();
        let at = self.folder.join("root");
        std::fs::create_dir(&at).map_err(failed("make", &at))?;
        let prepared = self.roots.prepare(&self.details.layers, &at)?;
        prepared.make_folder(&self.details.command.cwd, &**self.roots.bodies())?;
        let spec = self.spec(&prepared, !bound.is_empty())?;
        let process = runner.start(&spec, io)?;
        let pid = process.pid();
        let since = now();
        let noted = Noted::Running {
            pid,
            born: born(pid),
            since,
        };
        write_state(&self.folder, &noted)?;
        let forwarder = match bound.is_empty() {
            true => None,
            false => Some(listeners.forward(&process.dialer())?),
        };
        Ok(Running {
            process,
            folder: self.folder.clone(),
            bound,
            forwarder,
            lease: None,
            exit: None,
            since,
        })
    }

    fn spec(&self, prepared: &Prepared, own_network: bool) -> Result<Spec, Error> {
        let command = &self.details.command;
        let ids = owner::resolve(&command.user, prepared.root())?;
        let mut process = Process::new(command.argv.iter().map(OsString::from));
        let mut env = command.env.clone();
        if !env.iter().any(|(name, _)| name == "HOME") {
            let home = ids.home.unwrap_or_else(|| "/".to_owned());
            env.push(("HOME".to_owned(), home));
        }
        process.env = env.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        process.cwd = command.cwd.clone().into();
        process.user = User {
            uid: ids.uid,
            gid: ids.gid,
            groups: ids.groups,
        };
        process.terminal = command.terminal;
        // What a container changed outlives the machine's failures as far as it was synced inside;
        // what goes with its end need not, and is not waited for.
        let mut spec = Spec::new(prepared.root_spec(self.details.remove), process);
        let hostname = match &self.details.host.hostname {
            Some(name) => name,
            None => short(self.id()),
        };
        let mut files = NetworkFiles::of_machine(hostname, own_network)?;
        if !own_network {
            files.hosts = machine_hosts(hostname);
        }
        spec.mounts = files.write(&self.folder)?;
        spec.hostname = Some(hostname.to_owned());
        spec.network = match own_network {
            true => Network::Private,
            false => Network::Host,
        };
        Ok(spec)
    }
}

/// On the machine's network the machine's names hold, and its own.
fn machine_hosts(hostname: &str) -> String {
    match std::fs::read_to_string(Path::new("/etc/hosts")) {
        Ok(mut text) if !text.trim().is_empty() => {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("127.0.0.1\t{hostname}\n"));
            text
        }
        _ => network_files::hosts(hostname, None),
    }
}

impl Running {
    /// Waits for the end of the process, closes its ports and writes its end down. Can be called
    /// again.
    ///
    /// # Errors
    ///
    /// When the process was lost, or its end cannot be written.
    pub fn wait(&mut self) -> Result<Exit, Error> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = self.process.wait()?;
        self.exit = Some(exit);
        self.forwarder = None;
        let noted = Noted::Exited {
            code: exit.code(),
            started: self.since,
            at: now(),
            error: None,
        };
        write_state(&self.folder, &noted)?;
        self.lease = None;
        Ok(exit)
    }

    /// Sends the process a signal by its number.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        Ok(self.process.signal(signal)?)
    }

    /// The same for another thread, or for a handler of signals.
    pub fn signaller(&self) -> Signaller {
        self.process.signaller()
    }

    /// How the container reaches outward; `None` on the machine's own network. Where it does not at
    /// all, a user should be told.
    pub fn outward(&self) -> Option<Outward> {
        self.process.outward()
    }

    /// Where its published ports answer.
    pub fn ports(&self) -> &[Bound] {
        &self.bound
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("folder", &self.folder)
            .field("ports", &self.bound)
            .finish_non_exhaustive()
    }
}
