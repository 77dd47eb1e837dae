//! The one place where something asynchronous is waited for: a thread and a runtime of its own for each
//! file. Refuses to be part of a caller's runtime.

use std::{future::Future, io, thread};

use tokio::runtime::Builder;

use crate::{Error, ErrorKind};

/// Does `work` on a thread of its own, so that it does not matter what the caller's is.
pub(super) fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> Result<T, Error> {
    let failed = |e: io::Error| Error::io("start a thread to fetch with", e);
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("kiln-fetch".to_owned());
        let handle = thread.spawn_scoped(scope, || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let done = runtime.block_on(work);
            // Name lookups that nobody waits for any more.
            runtime.shutdown_background();
            Ok(done)
        });
        match handle.map_err(failed)?.join() {
            Ok(done) => done.map_err(failed),
            Err(_) => Err(Error::new(ErrorKind::Io, "the thread that fetches failed")),
        }
    })
}
