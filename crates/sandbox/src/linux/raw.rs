//! Raw mode of the user's terminal, and the child that undoes it.
//!
//! The child is in a session of its own: so the terminal's signals do not reach it, no signal to this
//! program's group does, and the kernel does not stop it for changing a terminal from the background.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{start, sys, wire};
use crate::entry::spawn;
use crate::{Error, ErrorKind, Incoming, Outgoing};

/// What [`crate::terminal::Raw`] holds.
#[derive(Debug)]
pub(crate) struct Raw {
    terminal: OwnedFd,
    before: Termios,
    keeper: Outgoing,
}

fn failed(error: impl Into<std::io::Error>) -> Error {
    Error::new(ErrorKind::System, "put the terminal into raw mode").because(error)
}

impl Raw {
    pub(crate) fn enter(terminal: BorrowedFd<'_>) -> Result<Self, Error> {
        let before = tcgetattr(terminal).map_err(failed)?;
        let terminal = terminal.try_clone_to_owned().map_err(failed)?;
        let keeper = spawn(start::quiet(super::RAW, None)?, None)?;
        // From here on the child ends with the handle, whatever happens.
        let raw = Self {
            terminal,
            before,
            keeper,
        };
        wire::send_with(&raw.keeper.socket, &[0], &[raw.terminal.as_fd()]).map_err(failed)?;
        let (ready, _) = wire::receive_with(&raw.keeper.socket, &mut [0]).map_err(failed)?;
        if ready == 0 {
            let what = "start the child that restores the terminal";
            return Err(Error::new(ErrorKind::System, what));
        }
        let mut mode = raw.before.clone();
        mode.make_raw();
        tcsetattr(&raw.terminal, OptionalActions::Now, &mode).map_err(failed)?;
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.keeper.socket.shutdown(std::net::Shutdown::Both);
        if !self
            .keeper
            .child
            .wait()
            .is_ok_and(|status| status.success())
        {
            // Somebody killed it; a terminal that has gone needs nothing.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
        }
    }
}

/// The door: remembers the mode, and restores it when the socket ends.
pub(crate) fn run(incoming: Incoming) -> i32 {
    let Incoming { socket, .. } = incoming;
    sys::block_signals();
    // It can only fail for the leader of a group, which a new child is not.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"terminal");
    let Ok((1, mut given)) = wire::receive_with(&socket, &mut [0]) else {
        return 1;
    };
    let Some(terminal) = given.pop() else {
        return 1;
    };
    let Ok(before) = tcgetattr(&terminal) else {
        return 1;
    };
    if wire::send_with(&socket, &[0], &[]).is_err() {
        return 1;
    }
    // Nothing is ever said: this is the end of the socket.
    let _ = wire::receive_with(&socket, &mut [0]);
    i32::from(tcsetattr(&terminal, OptionalActions::Now, &before).is_err())
}
