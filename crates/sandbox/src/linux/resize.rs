//! News of the size of the user's terminal: a handler of `SIGWINCH` that writes into a pipe, and a
//! thread that reads it.

use std::io::Read;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::sys;
use crate::terminal::Size;
use crate::{Error, ErrorKind};

pub(crate) type Each = Box<dyn FnMut(Size) + Send>;

struct Listener {
    id: u64,
    terminal: OwnedFd,
    last: Option<Size>,
    each: Each,
}

#[derive(Default)]
struct Listeners {
    next: u64,
    all: Vec<Listener>,
}

static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners {
    next: 0,
    all: Vec::new(),
});

/// Whether the handler stands; it stays for ever.
static HANDLER: OnceLock<Result<(), i32>> = OnceLock::new();

fn failed(error: impl Into<std::io::Error>) -> Error {
    Error::new(ErrorKind::System, "follow the size of the terminal").because(error)
}

/// What [`crate::terminal::Resizes`] holds.
#[derive(Debug)]
pub(crate) struct Resizes(u64);

impl Resizes {
    pub(crate) fn new(terminal: BorrowedFd<'_>, mut each: Each) -> Result<Self, Error> {
        let installed = HANDLER
            .get_or_init(|| install().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO)));
        installed.map_err(|number| failed(std::io::Error::from_raw_os_error(number)))?;
        let terminal = terminal.try_clone_to_owned().map_err(failed)?;
        // Under the lock, so that no later one is told before.
        let mut listeners = locked();
        let last = Size::of(&terminal);
        if let Some(size) = last {
            each(size);
        }
        listeners.next += 1;
        let id = listeners.next;
        listeners.all.push(Listener {
            id,
            last,
            terminal,
            each,
        });
        Ok(Self(id))
    }
}

impl Drop for Resizes {
    fn drop(&mut self) {
        locked().all.retain(|listener| listener.id != self.0);
    }
}

/// A callback that panicked has ended the thread; the list is as it was.
fn locked() -> std::sync::MutexGuard<'static, Listeners> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install() -> std::io::Result<()> {
    let (mut news, writer) = std::io::pipe()?;
    let writer = OwnedFd::from(writer);
    // A pipe that is full says all there is to say.
    rustix::io::ioctl_fionbio(&writer, true)?;
    let listen = move || {
        while news.read(&mut [0; 64]).is_ok_and(|got| got > 0) {
            tell();
        }
    };
    std::thread::Builder::new()
        .name("resize".into())
        .spawn(listen)?;
    // It belongs to the handler from here on.
    sys::on_window_change(writer.into_raw_fd())
}

fn tell() {
    for listener in &mut locked().all {
        let size = Size::of(&listener.terminal);
        if let (Some(new), true) = (size, size != listener.last) {
            listener.last = size;
            (listener.each)(new);
        }
    }
}
