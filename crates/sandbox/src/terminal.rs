//! The user's side of a terminal: its size and news of it, raw mode and one that shows nothing of
//! what is typed, both undone whatever happens. What a process sees of a terminal of its own is [`Process::terminal`]'s affair.
//!
//! It refuses to read, write or interpret what goes through a terminal.
//!
//! [`Process::terminal`]: crate::Process::terminal

use serde::{Deserialize, Serialize};

#[cfg(not(windows))]
use std::os::fd::AsFd as Device;
#[cfg(windows)]
use std::os::windows::io::AsHandle as Device;

use crate::Error;

/// How many characters a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

impl Size {
    /// That of a terminal; `None` where it is none, or does not know.
    #[cfg(unix)]
    pub fn of(terminal: &impl Device) -> Option<Self> {
        let size = rustix::termios::tcgetwinsize(terminal).ok()?;
        let known = size.ws_row != 0 || size.ws_col != 0;
        known.then_some(Self {
            rows: size.ws_row,
            columns: size.ws_col,
        })
    }

    /// Gives it to a terminal, whose processes hear of it (`SIGWINCH`).
    #[cfg(unix)]
    pub fn set(self, terminal: &impl Device) -> Result<(), Error> {
        let size = rustix::termios::Winsize {
            ws_row: self.rows,
            ws_col: self.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(terminal, size).map_err(|error| {
            Error::new(crate::ErrorKind::System, "set the size of the terminal")
                .because(std::io::Error::from(error))
        })
    }

    /// That of a terminal; not known on this platform.
    #[cfg(not(unix))]
    pub fn of(_: &impl Device) -> Option<Self> {
        None
    }

    /// An error on this platform.
    #[cfg(not(unix))]
    pub fn set(self, _: &impl Device) -> Result<(), Error> {
        Err(elsewhere())
    }
}

/// Raw mode, in which each key is passed on as it is and nothing is shown by itself, until this is
/// dropped.
///
/// A child of this program, by a door of its own, holds the terminal too: it restores the mode when
/// this program dies in whatever way.
#[derive(Debug)]
pub struct Raw {
    #[cfg(target_os = "linux")]
    _held: crate::linux::TerminalMode,
}

impl Raw {
    /// Puts a terminal into raw mode.
    #[cfg(target_os = "linux")]
    pub fn enter(terminal: &impl Device) -> Result<Self, Error> {
        let _held = crate::linux::TerminalMode::raw(terminal.as_fd())?;
        Ok(Self { _held })
    }

    /// An error on this platform.
    #[cfg(not(target_os = "linux"))]
    pub fn enter(_: &impl Device) -> Result<Self, Error> {
        Err(elsewhere())
    }
}

/// A terminal that does not show what is typed, for a password, until this is dropped. Lines can be
/// corrected and ended as ever, the end of a line is shown, and Ctrl-C is the signal that it always is:
/// who handles that drops this before it ends, so that the shell finds the terminal as it was.
///
/// It is undone as [`Raw`] is, however this program dies.
#[derive(Debug)]
pub struct Silent {
    #[cfg(target_os = "linux")]
    _held: crate::linux::TerminalMode,
}

impl Silent {
    /// Has a terminal show nothing of what is typed.
    #[cfg(target_os = "linux")]
    pub fn enter(terminal: &impl Device) -> Result<Self, Error> {
        let _held = crate::linux::TerminalMode::silent(terminal.as_fd())?;
        Ok(Self { _held })
    }

    /// An error on this platform.
    #[cfg(not(target_os = "linux"))]
    pub fn enter(_: &impl Device) -> Result<Self, Error> {
        Err(elsewhere())
    }
}

/// Calls as long as it lives; see [`on_resize`].
#[derive(Debug)]
#[must_use = "nothing is told after it is dropped"]
pub struct Resizes {
    #[cfg(target_os = "linux")]
    _held: crate::linux::Resizes,
}

/// Calls `each` with the size of this program's terminal at once, and then with the new one whenever it
/// has changed, in a thread of its own, until what it returns is dropped. So no change is missed
/// between the start of a process and this. `each` must not drop what this returns.
///
/// From the first call on, this program has a handler for `SIGWINCH`.
#[cfg(target_os = "linux")]
pub fn on_resize(
    terminal: &impl Device,
    each: impl FnMut(Size) + Send + 'static,
) -> Result<Resizes, Error> {
    let _held = crate::linux::Resizes::new(terminal.as_fd(), Box::new(each))?;
    Ok(Resizes { _held })
}

/// An error on this platform.
#[cfg(not(target_os = "linux"))]
pub fn on_resize(_: &impl Device, _: impl FnMut(Size) + Send + 'static) -> Result<Resizes, Error> {
    Err(elsewhere())
}

#[cfg(not(target_os = "linux"))]
fn elsewhere() -> Error {
    Error::new(
        crate::ErrorKind::Unsupported,
        "terminals are handled on Linux only",
    )
}
