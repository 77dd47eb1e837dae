//! Behind the door of OCI runtimes: mounts the root where only the runtime sees it, has the process
//! created and started, and watches it as the built-in runner does.
//!
//! The runtime's process becomes a child of this one, so that its end is known exactly. It does not
//! die with this one, as the built-in runner's does; when the caller dies it is killed all the same.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};
use rustix::process::{Pid, getpid, set_child_subreaper};
use rustix::thread::UnshareFlags;

use super::door::{self, system};
use super::network::Namespace;
use super::root::Root;
use super::streams::Streams;
use super::watch::{self, Watched};
use super::wire::{self, Order, Reply};
use super::{bundle, exec, given, mounts, outward, root, sys};
use crate::{Error, ErrorKind, Incoming, Spec};

/// The door.
pub(crate) fn run(incoming: Incoming) -> i32 {
    let Incoming { socket, .. } = incoming;
    door::serve(&socket, carry_out)
}

fn carry_out(control: &UnixStream, order: Order, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
    let (streams, dial) = Streams::new(descriptors)?;
    let (spec, program) = (order.spec, order.runtime);
    // The runtime hands on what it finds.
    sys::reset_signals();
    let program = program.ok_or_else(|| failed("no runtime was named"))?;
    set_child_subreaper(Some(getpid())).map_err(|error| system("become a reaper", error))?;
    let (network, way) = outward::enter(spec.network, order.pasta.as_deref(), u32::MAX)?;
    sys::unshare(UnshareFlags::NEWNS).map_err(|error| system("make a mount namespace", error))?;
    let runtime = Runtime {
        program,
        place: prepare(&spec, network.as_ref())?,
    };
    let pid = runtime.create(&streams);
    drop(streams);
    let pid = pid?;
    let result = runtime.start().and_then(|()| {
        let started = Reply::Started {
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
            outward: way.outward.clone(),
        };
        // A caller that has gone is seen when the process is watched.
        let _ = wire::send(control, &started, &[]);
        watch::watch(&Watched {
            control,
            dial: &dial,
            own_network: network.is_some(),
            pid,
            exit: None,
        })
    });
    runtime.delete();
    let ended = Reply::Ended(result?.into());
    let _ = wire::send(control, &ended, &[]);
    Ok(())
}

fn failed(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Runtime, what)
}

/// A directory that is always there, that nobody can remove, and that a runtime does not look at.
const PLACE: &str = "/proc/fs";

/// Makes the bundle, in memory and in a mount namespace of its own, so that nothing of it is left
/// whatever happens.
fn prepare(spec: &Spec, network: Option<&Namespace>) -> Result<PathBuf, Error> {
    root::unshare_mounts()?;
    let root = root::mounted(&spec.root, spec.privileged, spec.make_targets)?;
    let before = spec
        .mounts
        .iter()
        .filter(|mount| !bundle::is_the_runtimes(mount));
    let given = given::made(before, spec.privileged)?;
    let bundle = |error: std::io::Error| failed("make the bundle").because(error);
    let place = PathBuf::from(PLACE);
    let memory = mounts::filesystem("tmpfs", &[("mode", "700")], MountAttrFlags::empty());
    let memory = memory.map_err(bundle)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&memory, "", rustix::fs::CWD, &place, flags)
        .map_err(|error| bundle(error.into()))?;

    let rootfs = place.join("rootfs");
    fs::create_dir(&rootfs).map_err(bundle)?;
    root::attach(&root, &rootfs)?;
    mounts::own_targets(&root)?;
    given::given(&root, &given)?;
    working_directory(&root, &spec.process.cwd)?;
    let network = network.map(|network| {
        let number = network.inside().as_raw_fd();
        format!("/proc/{}/fd/{number}", std::process::id()).into()
    });
    let config = bundle::config(spec, network)?;
    let text = serde_json::to_vec(&config).map_err(|error| bundle(error.into()))?;
    fs::write(place.join("config.json"), text).map_err(bundle)?;
    Ok(place)
}

/// A runtime makes a missing one, which would be a change that nobody asked for.
fn working_directory(root: &Root, cwd: &Path) -> Result<(), Error> {
    use std::os::fd::AsFd;
    if crate::mount_points()
        .iter()
        .any(|point| cwd.starts_with(point.path))
    {
        return Ok(());
    }
    let found = given::resolve(root.top.as_fd(), cwd);
    found
        .map(drop)
        .map_err(|error| exec::no_directory(cwd, error))
}

/// A runtime and the bundle of one process.
struct Runtime {
    program: PathBuf,
    place: PathBuf,
}

impl Runtime {
    /// A call of the runtime; its state and its log lie beside the bundle.
    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.place.join("state"))
            .arg("--log")
            .arg(self.log())
            .args(["--log-format", "json", what])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn log(&self) -> PathBuf {
        self.place.join("log")
    }

    /// The name of the process, which is also that of its cgroup and so has to be nobody else's.
    fn id(&self) -> String {
        format!("sandbox-{}", std::process::id())
    }

    fn create(&self, streams: &Streams) -> Result<Pid, Error> {
        let pid_file = self.place.join("pid");
        let [stdin, stdout, stderr] = streams.all();
        let copy = |stream: &OwnedFd| {
            stream
                .try_clone()
                .map(Stdio::from)
                .map_err(|error| system("copy a stream", error))
        };
        let mut command = self.command("create");
        command
            .arg("--bundle")
            .arg(&self.place)
            .arg("--pid-file")
            .arg(&pid_file)
            .arg(self.id())
            .stdin(copy(stdin)?)
            .stdout(copy(stdout)?)
            .stderr(copy(stderr)?);
        self.call(command)?;
        let text = fs::read_to_string(&pid_file)
            .map_err(|error| failed("read the process id").because(error))?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| failed(format!("the runtime gave `{text}` for a process id")))
    }

    fn start(&self) -> Result<(), Error> {
        let mut command = self.command("start");
        command.arg(self.id());
        self.call(command)
    }

    /// Removes what the runtime keeps; the process has ended, or ends by this.
    fn delete(&self) {
        let mut command = self.command("delete");
        command.args(["--force", &self.id()]);
        // Whatever it leaves lies in memory that ends with this process, but for an empty cgroup.
        let _ = command.status();
    }

    fn call(&self, mut command: Command) -> Result<(), Error> {
        let status = command.status().map_err(|error| {
            let what = format!("execute the runtime `{}`", self.program.display());
            failed(what).because(error).at(&self.program)
        })?;
        if status.success() {
            return Ok(());
        }
        let error = self.reason();
        self.delete();
        Err(error)
    }

    /// What the runtime wrote last, as an error in the words of the built-in runner.
    fn reason(&self) -> Error {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let said = log.lines().rev().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line.get("level")? == "error").then(|| line.get("msg")?.as_str().map(str::to_owned))?
        });
        let Some(said) = said else {
            return failed(format!(
                "the runtime `{}` failed without a reason",
                self.program.display()
            ));
        };
        let Some(at) = said.find("exec: \"").or_else(|| said.find("exec /")) else {
            return failed(said);
        };
        let kind = match &said[at..] {
            text if text.contains("not found in $PATH") => ErrorKind::NotFound,
            text if text.contains("no such file or directory") => ErrorKind::NotFound,
            _ => ErrorKind::NotExecutable,
        };
        Error::new(kind, &said[at..])
    }
}
