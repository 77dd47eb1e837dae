//! The way outward for a process with a network of its own: `pasta`, where it is installed.
//!
//! It lets connections out and none in, neither to the host's loopback nor from it; what shall come
//! in is dialled ([`Running::dial`](crate::Running::dial)).

use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, move_mount};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, set_parent_process_death_signal, waitpid,
};
use rustix::thread::UnshareFlags;

use super::network::Namespace;
use super::{mounts, root, sys, watch};
use crate::{Error, Network, Outward, descriptors};

/// How long `pasta` may take to set up; some ten milliseconds are usual.
const PATIENCE: Duration = Duration::from_secs(5);

/// A way outward, which ends with this value.
pub(crate) struct Way {
    pub(crate) outward: Option<Outward>,
    pasta: Option<Pid>,
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Some(pid) = self.pasta {
            // It may have ended by itself.
            let _ = sys::kill(pid, libc::SIGKILL);
            let _ = watch::reap(pid);
        }
    }
}

/// The file of `pasta`, where it is installed.
pub(crate) fn pasta() -> Option<PathBuf> {
    crate::installed::program("pasta")
}

/// Whether `pasta` can have the device by which it makes an interface.
pub(crate) fn has_tun() -> bool {
    let mut both = fs::File::options();
    both.read(true).write(true).open("/dev/net/tun").is_ok()
}

fn pasta_failed() -> &'static str {
    if has_tun() {
        "`pasta` is installed and failed: see what `pasta --config-net true` says"
    } else {
        "`pasta` is installed and may not open `/dev/net/tun`: `chmod 666 /dev/net/tun` as root"
    }
}

/// Enters the network that is asked for, with the way outward that this machine offers.
pub(crate) fn enter(
    asked: Network,
    pasta: Option<&Path>,
    last_group: u32,
) -> Result<(Option<Namespace>, Way), Error> {
    let way = |outward, pasta| Way { outward, pasta };
    let nothing = |remedy: &str| {
        let remedy = remedy.to_owned();
        way(Some(Outward::Nothing { remedy }), None)
    };
    if asked == Network::Host {
        return Ok((None, way(None, None)));
    }
    // It belongs to the host's network, where this process is no more in a moment.
    let waiting = match (asked, pasta) {
        (Network::Private, Some(pasta)) => Some(Waiting::start(pasta)?),
        _ => None,
    };
    let network = Namespace::enter_new(last_group)?;
    let way = match waiting {
        None if asked == Network::None => way(None, None),
        None => nothing("install `pasta` (package `passt`), or use the host's network"),
        Some(waiting) => {
            let way = way(Some(Outward::Pasta), Some(waiting.go(&network)?));
            if ready(way.pasta) {
                way
            } else {
                drop(way);
                nothing(pasta_failed())
            }
        }
    };
    Ok((Some(network), way))
}

/// A child in the host's network that will be `pasta` when it is given a namespace.
struct Waiting {
    pid: Pid,
    socket: UnixStream,
}

impl Waiting {
    fn start(pasta: &Path) -> Result<Self, Error> {
        let failed = |error| super::door::system("start `pasta`", error);
        let parent = getpid();
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        match sys::fork().map_err(failed)? {
            Some(pid) => Ok(Self { pid, socket }),
            None => {
                drop(socket);
                // What fails is seen by its end.
                let _ = execute(pasta, &theirs, parent);
                sys::exit(1)
            }
        }
    }

    fn go(self, network: &Namespace) -> Result<Pid, Error> {
        // One that has ended is seen when it is waited for.
        let _ = descriptors::send(&self.socket, &[1], &[network.inside().as_fd()]);
        Ok(self.pid)
    }
}

/// Becomes `pasta`. It cannot open a namespace by way of a process that may do more than itself, so
/// the namespace is given to it as a file, in a mount namespace of its own.
fn execute(pasta: &Path, given: &UnixStream, parent: Pid) -> Result<(), Error> {
    let failed = |error: std::io::Error| super::door::system("start `pasta`", error);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed(error.into()))?;
    if getppid() != Some(parent) {
        return Ok(());
    }
    sys::unshare(UnshareFlags::NEWNS).map_err(failed)?;
    root::unshare_mounts()?;
    let (_, mut network) = descriptors::receive(given, &mut [0]).map_err(failed)?;
    // The parent has gone, or could not make it.
    let Some(network) = network.pop() else {
        return Ok(());
    };
    let namespace = mounts::again(&network, "").map_err(failed)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&namespace, "", CWD, NAMESPACE, flags).map_err(|error| failed(error.into()))?;
    sys::reset_signals();
    sys::close_on_exec_from(3).map_err(failed)?;
    let program =
        CString::new(pasta.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
    let argv: Vec<CString> = ARGUMENTS.iter().map(|arg| (*arg).to_owned()).collect();
    Err(failed(sys::execve(&program, &argv, &[])))
}

/// Some file that is always there.
const NAMESPACE: &str = "/proc/version";

const ARGUMENTS: &[&std::ffi::CStr] = &[
    c"pasta",
    c"--foreground",
    c"--quiet",
    c"--config-net",
    c"--runas",
    c"0",
    c"--no-netns-quit",
    c"--no-map-gw",
    c"--tcp-ports",
    c"none",
    c"--udp-ports",
    c"none",
    c"--tcp-ns",
    c"none",
    c"--udp-ns",
    c"none",
    c"--netns",
    c"/proc/version",
];

/// Waits until there is a route outward in this network, or `pasta` has ended.
fn ready(pasta: Option<Pid>) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if routed() {
            return true;
        }
        if !matches!(waitpid(pasta, WaitOptions::NOHANG), Ok(None)) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

/// Whether this namespace has a default route of either kind.
fn routed() -> bool {
    let any = |path: &str, is_default: fn(&[&str]) -> bool| {
        let table = fs::read_to_string(path).unwrap_or_default();
        let fields = |line: &str| is_default(&line.split_whitespace().collect::<Vec<_>>());
        table.lines().any(fields)
    };
    const ANY: &str = "00000000000000000000000000000000";
    any("/proc/self/net/route", |line| {
        line.get(1) == Some(&"00000000")
    }) || any("/proc/self/net/ipv6_route", |line| {
        line.first() == Some(&ANY) && line.last() != Some(&"lo")
    })
}
