//! Process 1 where one is asked for: reaps what the process leaves behind, passes signals on to it,
//! and ends as it ends.
//!
//! It is this program's own file that runs inside, so it shows nothing of itself: without
//! environment, not dumpable (nobody inside can open its memory, descriptors or file), and with no
//! capability but that to signal.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{DumpableBehavior, Pid, WaitOptions, set_dumpable_behavior, wait};

use super::door::system;
use super::{ids, sys, watch};
use crate::{Capability, Error, Exit};

/// Before the process is forked: from here on signals wait for [`run`].
pub(crate) fn prepare() -> Result<(), Error> {
    sys::block_signals();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| system("hide the init", error))
}

/// Until the process ends.
pub(crate) fn run(process: Pid, exiter: &OwnedFd) -> ! {
    let _ = rustix::thread::set_name(c"init");
    // What fails here leaves the init with more than it needs, and the process as it was.
    let _ = ids::only(&[Capability::Kill]);
    let exit = loop {
        match sys::next_signal() {
            Ok(libc::SIGCHLD) => {
                if let Some(exit) = reap(process) {
                    break exit;
                }
            }
            // The process may have ended just now.
            Ok(signal) => drop(sys::kill(process, signal)),
            Err(_) => {}
        }
    };
    // Nobody hears it when the door has gone.
    let _ = rustix::io::write(exiter.as_fd(), &encode(exit).to_le_bytes());
    sys::exit(exit.code());
}

/// Reaps whatever has ended.
fn reap(process: Pid) -> Option<Exit> {
    let mut exit = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == process {
            exit = Some(watch::exit(status));
        }
    }
    exit
}

fn encode(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => -signal,
    }
}

/// What [`run`] wrote.
pub(crate) fn decode(number: i32) -> Exit {
    match number {
        0.. => Exit::Code(number),
        _ => Exit::Signal(-number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_survives_the_pipe() {
        for exit in [Exit::Code(0), Exit::Code(255), Exit::Signal(9)] {
            assert_eq!(decode(encode(exit)), exit);
        }
    }
}
