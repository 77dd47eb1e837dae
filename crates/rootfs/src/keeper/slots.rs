//! How many requests are at work at a time: one a core. Whoever waits for the other end of a socket
//! is not at work, so nobody who must go on for another's sake is kept from it.

use std::io::{self, Read, Write};
use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Slots {
    free: Mutex<usize>,
    changed: Condvar,
}

impl Slots {
    pub(super) fn new(free: usize) -> Self {
        Self {
            free: Mutex::new(free),
            changed: Condvar::new(),
        }
    }

    /// Waits for a slot, which is given back when what this gives is dropped.
    pub(super) fn take(&self) -> Slot<'_> {
        self.acquire();
        Slot(self)
    }

    fn acquire(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            let changed = self.changed.wait(free);
            free = changed.unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
    }

    fn release(&self) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct Slot<'a>(&'a Slots);

impl Slot<'_> {
    /// Does something that may take as long as somebody else likes.
    fn apart<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.0.release();
        let done = wait();
        self.0.acquire();
        done
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A stream during whose calls the slot is free for others.
#[derive(Debug)]
pub(super) struct Apart<'a, T>(pub(super) &'a Slot<'a>, pub(super) T);

impl<T: Read> Read for Apart<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.apart(|| self.1.read(buffer))
    }
}

impl<T: Write> Write for Apart<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.apart(|| self.1.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.apart(|| self.1.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With one slot, a reader and the writer that it waits for both come to their end.
    #[test]
    fn who_waits_lets_others_work() {
        let slots = Slots::new(1);
        let (reader, writer) = io::pipe().unwrap();
        std::thread::scope(|scope| {
            let reads = scope.spawn(|| {
                let slot = slots.take();
                io::read_to_string(Apart(&slot, reader)).unwrap()
            });
            scope.spawn(|| {
                let slot = slots.take();
                let mut writer = Apart(&slot, writer);
                writer.write_all(b"through").unwrap();
            });
            assert_eq!(reads.join().unwrap(), "through");
        });
        assert_eq!(*slots.free.lock().unwrap(), 1);
    }
}
