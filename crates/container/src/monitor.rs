//! The monitor: the process that holds a container while it runs. It comes in by a door of the
//! program that starts the container, and outlives it.
//!
//! ```text
//! starter ──door's socket── monitor ──sandbox── the container's process
//!                              │ control socket in the container's folder
//!          who attaches, signals, waits
//! ```
//!
//! It holds the container's lease: who asks whether the container runs asks whether the lease is
//! held. Killed, it takes the process with it (the sandbox sees to that), and the lease is free.

mod client;
mod hub;
mod life;
mod open;
mod serve;
mod spec;

use kiln_sandbox::{Door, Incoming};

/// The door.
pub(crate) const DOOR: Door = Door { name: NAME, run };
/// Its name.
pub(crate) const NAME: &str = "monitor";

fn run(incoming: Incoming) -> i32 {
    alone();
    let Incoming { socket, args } = incoming;
    i32::from(life::live(&socket, &args).is_err())
}

/// Nothing of the caller's terminal, folder or wishes about files stays. The standard streams are
/// null already.
fn alone() {
    // It can only fail for the leader of a group, which a new child is not.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"monitor");
    let _ = rustix::process::chdir("/");
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let null = std::fs::File::options().write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stderr(null);
    }
}
