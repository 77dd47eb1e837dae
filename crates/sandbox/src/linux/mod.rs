//! Linux: a child behind a door makes the sandbox and watches over it, the caller holds the child.
//!
//! ```text
//! caller ──socket── door (one thread, host's namespaces) ──fork── process 1 (all the namespaces)
//! ```
//!
//! When the caller dies the door sees the end of the socket and kills process 1; when the door dies
//! the kernel kills process 1, and where that has changed its user the caller does; when process 1
//! dies the kernel kills all that is left inside and drops the mounts, which nobody else ever saw.

mod bundle;
mod cgroup;
mod device;
mod distribution;
mod door;
mod enter;
mod exec;
mod given;
mod guard;
mod ids;
mod init;
mod inside;
mod mounts;
mod network;
mod oci;
mod outward;
mod place;
mod probe;
mod pty;
mod raw;
mod resize;
mod rlimit;
mod root;
mod seccomp;
mod start;
mod streams;
mod sys;
mod userns;
mod watch;
mod wire;

use crate::Door;

pub(crate) use enter::{enter, enter_detached};
pub(crate) use guard::guarded;
pub(crate) use place::{come_in as come_into_place, open_inside};
pub(crate) use probe::probe;
pub(crate) use raw::Mode as TerminalMode;
pub(crate) use resize::Resizes;
pub(crate) use start::{How, start};
pub(crate) use sys::user_name;
pub(crate) use userns::{
    Made as MadeUserNamespace, enter as enter_user_namespace, is_root,
    lead_in as lead_into_user_namespace, make as make_user_namespace,
};
pub(crate) use watch::kill_peer;

/// Closes all but the standard streams, in a process that has just begun and owns nothing else yet.
pub(crate) fn close_inherited() {
    // A kernel without the call leaves them open, which is untidy and no more.
    let _ = sys::close_from(3);
}

/// The name of the door of the built-in runner.
const SANDBOX: &str = "sandbox";
/// The name of the door of OCI runtimes.
const RUNTIME: &str = "sandbox-runtime";
/// The name of the door of a process beside another.
const ENTER: &str = "sandbox-enter";
/// The name of the door of who restores the user's terminal.
const RAW: &str = "sandbox-terminal";

/// The sandbox's own doors.
pub(crate) const DOORS: &[Door] = &[
    Door {
        name: SANDBOX,
        run: door::run,
    },
    Door {
        name: RUNTIME,
        run: oci::run,
    },
    Door {
        name: ENTER,
        run: enter::run,
    },
    Door {
        name: RAW,
        run: raw::run,
    },
    Door {
        name: userns::NAMESPACE,
        run: userns::run,
    },
    Door {
        name: probe::PROBE,
        run: probe::run,
    },
];

/// The first two numbers of a kernel's release: `6.1.0-56-amd64`.
fn version(release: &str) -> (u32, u32) {
    let numbers = release.split(['.', '-']);
    let mut numbers = numbers.map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
