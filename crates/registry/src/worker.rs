//! The one thread on which everything asynchronous happens, and the bridge to those who wait for
//! it. Refuses to be waited for on a thread of somebody's runtime, which it would hold up.

use std::{future::Future, io, sync::mpsc, thread};

use kiln_image::{Error, ErrorKind};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// A runtime on a thread of its own. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
}

impl Worker {
    pub(crate) fn start() -> Result<Self, Error> {
        let failed = |e: io::Error| {
            Error::new(ErrorKind::Io, "the thread for registries cannot be started").because(e)
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("kiln-registry".to_owned())
            .spawn(move || {
                // Either answer means that nobody is left who could ask for anything.
                let _ = runtime.block_on(stopped);
                // Name lookups and credential helpers that nobody waits for any more.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self {
            handle,
            stop: Some(stop),
        })
    }

    /// Starts `work`; its result comes through the channel.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Pending<T> {
        let (tx, rx) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The asker may have gone.
            let _ = tx.send(work.await);
        });
        Pending(rx)
    }

    /// Does `work` and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        outside_runtimes()?;
        self.begin(work).wait()
    }

    /// Starts `work`, whose result nobody waits for.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already.
            let _ = stop.send(());
        }
    }
}

/// Something that is being done.
pub(crate) struct Pending<T>(mpsc::Receiver<T>);

impl<T> Pending<T> {
    pub(crate) fn wait(self) -> Result<T, Error> {
        self.0
            .recv()
            .map_err(|_| Error::new(ErrorKind::Io, "the thread for registries ended early"))
    }
}

/// Whether this thread may wait.
pub(crate) fn outside_runtimes() -> Result<(), Error> {
    if Handle::try_current().is_err() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "a registry was asked on a thread of an async runtime, which would hold that runtime up",
    )
    .hint("ask it on a thread of its own (`std::thread::spawn`)"))
}
