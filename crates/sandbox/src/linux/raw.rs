//! Other modes of the user's terminal, and the child that undoes them.
//!
//! The child is in a session of its own: so the terminal's signals do not reach it, no signal to this
//! program's group does, and the kernel does not stop it for changing a terminal from the background.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{start, sys};
use crate::entry::spawn;
use crate::{Error, ErrorKind, Incoming, Outgoing, descriptors};

/// A mode that is undone: what [`crate::terminal::Raw`] and [`crate::terminal::Silent`] hold.
#[derive(Debug)]
pub(crate) struct Mode {
    terminal: OwnedFd,
    before: Termios,
    keeper: Outgoing,
}

impl Mode {
    pub(crate) fn raw(terminal: BorrowedFd<'_>) -> Result<Self, Error> {
        let what = "put the terminal into raw mode";
        Self::enter(terminal, Termios::make_raw, what)
    }

    /// Nothing is shown of what is typed, but for the ends of lines.
    pub(crate) fn silent(terminal: BorrowedFd<'_>) -> Result<Self, Error> {
        let change = |mode: &mut Termios| {
            mode.local_modes.remove(LocalModes::ECHO);
            mode.local_modes.insert(LocalModes::ECHONL);
        };
        Self::enter(terminal, change, "have the terminal show nothing")
    }

    fn enter(
        terminal: BorrowedFd<'_>,
        change: fn(&mut Termios),
        what: &str,
    ) -> Result<Self, Error> {
        fn because(what: &str, error: impl Into<std::io::Error>) -> Error {
            Error::new(ErrorKind::System, what).because(error)
        }
        let before = tcgetattr(terminal).map_err(|e| because(what, e))?;
        let terminal = terminal
            .try_clone_to_owned()
            .map_err(|e| because(what, e))?;
        let keeper = spawn(start::quiet(super::RAW, None)?, None)?;
        // From here on the child ends with the handle, whatever happens.
        let entered = Self {
            terminal,
            before,
            keeper,
        };
        let socket = &entered.keeper.socket;
        let ready = descriptors::send(socket, &[0], &[entered.terminal.as_fd()])
            .and_then(|_| descriptors::receive(socket, &mut [0]));
        let (ready, _) = ready.map_err(|e| because(what, e))?;
        if ready == 0 {
            let what = "start the child that restores the terminal";
            return Err(Error::new(ErrorKind::System, what));
        }
        let mut mode = entered.before.clone();
        change(&mut mode);
        tcsetattr(&entered.terminal, OptionalActions::Now, &mode).map_err(|e| because(what, e))?;
        Ok(entered)
    }
}

impl Drop for Mode {
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
    let Ok((1, mut given)) = descriptors::receive(&socket, &mut [0]) else {
        return 1;
    };
    let Some(terminal) = given.pop() else {
        return 1;
    };
    let Ok(before) = tcgetattr(&terminal) else {
        return 1;
    };
    if descriptors::send(&socket, &[0], &[]).is_err() {
        return 1;
    }
    // Nothing is ever said: this is the end of the socket.
    let _ = descriptors::receive(&socket, &mut [0]);
    i32::from(tcsetattr(&terminal, OptionalActions::Now, &before).is_err())
}
