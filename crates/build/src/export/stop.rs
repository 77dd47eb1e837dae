//! Reading and writing that end when the build is canceled, however much is left.

use std::io::{self, Read, Write};

use kiln_graph::Cancel;

/// A reader or a writer, until the build is canceled.
pub(super) struct Until<T> {
    inner: T,
    cancel: Cancel,
}

impl<T> Until<T> {
    pub(super) fn new(inner: T, cancel: &Cancel) -> Self {
        Self {
            inner,
            cancel: cancel.clone(),
        }
    }
}

/// Refuses to go on once the build is canceled.
pub(super) fn check(cancel: &Cancel) -> io::Result<()> {
    match cancel.is_canceled() {
        true => Err(io::Error::other("canceled")),
        false => Ok(()),
    }
}

impl<R: Read> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check(&self.cancel)?;
        self.inner.read(buffer)
    }
}

impl<W: Write> Write for Until<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check(&self.cancel)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
