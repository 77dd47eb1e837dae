//! Process 1, from the fork to the program: namespaces, root, mounts, then the process itself.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use super::cgroup::Cgroup;
use super::door::{AT_THE_EXEC, caught, system};
use super::pty::Pty;
use super::streams::Streams;
use super::{device, exec, given, ids, init, mounts, rlimit, root, seccomp, sys};
use crate::error::Report;
use crate::{Error, ErrorKind, IdMap, Process, Spec, Ulimit, descriptors};

/// By what a process on its way tells the door what becomes of it.
pub(crate) struct Tell {
    /// What fails, or that nothing did.
    pub(crate) report: OwnedFd,
    /// The end of an init's process.
    pub(crate) exit: OwnedFd,
    /// The master of its terminal, where it has one.
    pub(crate) terminal: Option<UnixStream>,
}

/// Becomes the process, or its init. What fails is reported.
pub(crate) fn run(
    spec: &Spec,
    map: Option<&IdMap>,
    cgroup: Option<&Cgroup>,
    streams: &Streams,
    tell: &Tell,
) -> ! {
    reported(tell, || {
        die_with_parent(&tell.report)?;
        // Before the namespace of control groups is made, whose top this is to be.
        cgroup.map_or(Ok(()), Cgroup::enter)?;
        prepare(spec, map)?;
        let pty = terminal(&spec.process, tell)?;
        if let Some(pty) = &pty {
            pty.console()?;
        }
        let last = Last {
            process: &spec.process,
            map,
            privileged: spec.privileged,
            // With an init that one is tied, and takes this along.
            tied: !spec.init,
            streams,
            pty: pty.as_ref(),
            ulimits: &spec.limits.ulimits,
        };
        if !spec.init {
            return last.execute(tell);
        }
        init::prepare()?;
        let forked = sys::fork().map_err(|error| system("fork", error))?;
        let Some(process) = forked else {
            return last.execute(tell);
        };
        let exiter = alone(&tell.exit)?;
        init::run(process, &exiter)
    })
}

/// Does what does not return but with an error, which is reported.
pub(super) fn reported(tell: &Tell, work: impl FnOnce() -> Result<(), Error>) -> ! {
    if let Err(error) = caught(work) {
        report(&tell.report, error);
    }
    sys::exit(1)
}

/// Makes the terminal of a process that asks for one, and gives the door its master.
pub(super) fn terminal(process: &Process, tell: &Tell) -> Result<Option<Pty>, Error> {
    let Some(socket) = &tell.terminal else {
        return Ok(None);
    };
    let pty = Pty::new(process)?;
    descriptors::send(socket, &[0], &[pty.master.as_fd()])
        .map_err(|error| system("pass the terminal on", error))?;
    Ok(Some(pty))
}

/// The init keeps nothing open but the pipe by which it tells the end.
fn alone(exiter: &OwnedFd) -> Result<OwnedFd, Error> {
    let failed = |error| system("close the init's descriptors", error);
    // Below 3 there is nothing of the caller's: the door has the null device there.
    let kept = sys::move_to(exiter, 3).map_err(failed)?;
    sys::close_from(4).map_err(failed)?;
    Ok(kept)
}

fn report(reporter: &OwnedFd, error: Error) {
    // A report is always valid JSON; a door that does not listen has gone.
    if let Ok(bytes) = serde_json::to_vec(&Report::from(error)) {
        let _ = rustix::io::write(reporter.as_fd(), &bytes);
    }
}

/// The kernel kills this process when the door dies; if it has died before, its end of the pipe is
/// closed.
pub(super) fn die_with_parent(reporter: &OwnedFd) -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| system("tie the process to its parent", error))?;
    let mut pipe = [PollFd::new(reporter, PollFlags::empty())];
    // It cannot fail with one descriptor and no wait, but for a signal.
    let _ = poll(&mut pipe, Some(&Timespec::default()));
    if pipe[0].revents().contains(PollFlags::ERR) {
        sys::exit(1);
    }
    Ok(())
}

/// Namespaces and the root, up to the point where nothing of the host is left in sight.
fn prepare(spec: &Spec, map: Option<&IdMap>) -> Result<(), Error> {
    rustix::process::umask(Mode::empty());
    let flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    sys::unshare(flags).map_err(|error| system("make namespaces", error))?;
    // Kernels without it show the process where it is in the host's tree; nothing else changes.
    let own_cgroup = sys::unshare(UnshareFlags::NEWCGROUP).is_ok();
    root::unshare_mounts()?;
    let root = root::mounted(&spec.root, spec.privileged, spec.make_targets)?;
    let given = given::made(spec.mounts.iter(), spec.privileged)?;
    root::attach(&root, Path::new("/"))?;
    mounts::own(&root, spec, own_cgroup, map)?;
    device::given(&root, &spec.devices)?;
    given::given(&root, &given)?;
    if spec.read_only {
        root::read_only(&root)?;
    }
    root::enter(&root)?;
    if let Some(name) = &spec.hostname {
        sys::set_host_name(name).map_err(|error| {
            let what = format!("set the host name `{name}`");
            Error::new(ErrorKind::Process, what).because(error)
        })?;
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    Ok(())
}

/// The last steps of the process that executes the program.
pub(super) struct Last<'a> {
    pub(super) process: &'a Process,
    /// The ids of the user namespace, where it is not the host's.
    pub(super) map: Option<&'a IdMap>,
    pub(super) privileged: bool,
    /// Whether it dies with the door.
    pub(super) tied: bool,
    pub(super) streams: &'a Streams,
    pub(super) pty: Option<&'a Pty>,
    pub(super) ulimits: &'a [Ulimit],
}

impl Last<'_> {
    /// Returns only with an error.
    pub(super) fn execute(&self, tell: &Tell) -> Result<(), Error> {
        let process = self.process;
        sys::reset_signals();
        rustix::process::setsid().map_err(|error| system("make a session", error))?;
        match self.pty {
            Some(pty) => pty.install()?,
            None => self.streams.install(&process.user)?,
        }
        // As root first: a directory that its user may not enter is docker's to accept.
        let entered = exec::change_directory(&process.cwd);
        ids::bound(&process.capabilities)?;
        let filter = (!self.privileged).then(|| seccomp::filter(&process.capabilities));
        // Without no_new_privs a filter needs a capability that is about to be dropped.
        if let (Some(filter), false) = (&filter, process.no_new_privileges) {
            seccomp::install(filter)?;
        }
        rlimit::set(self.ulimits)?;
        ids::become_user(&process.user, self.map)?;
        ids::only(if process.user.uid == 0 {
            &process.capabilities
        } else {
            &[]
        })?;
        if process.no_new_privileges {
            rustix::thread::set_no_new_privs(true)
                .map_err(|error| system("set no_new_privs", error))?;
            filter
                .iter()
                .try_for_each(|filter| seccomp::install(filter))?;
        }
        if self.tied {
            // Changing the user has untied it.
            die_with_parent(&tell.report)?;
        }
        if entered.is_err() {
            exec::change_directory(&process.cwd)?;
        }
        let program = exec::Program::new(process)?;
        sys::close_on_exec_from(3).map_err(|error| system("close descriptors", error))?;
        let _ = rustix::io::write(tell.report.as_fd(), &[AT_THE_EXEC]);
        Err(program.execute())
    }
}
