//! One container: what it is, and what is true of it now. What can be done with it has files of its
//! own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_durable::Lease;
use kiln_rootfs::Roots;
use kiln_sandbox::Outward;

use crate::Error;
use crate::containers::{lease, missing};
use crate::forward::Bound;
use crate::state::{Details, Noted, State, failed, read_state};

/// One container.
#[derive(Debug)]
pub struct Container {
    pub(crate) details: Details,
    pub(crate) folder: PathBuf,
    pub(crate) roots: Arc<Roots>,
    pub(crate) lease: Mutex<Option<Lease>>,
    pub(crate) leases: PathBuf,
}

impl Container {
    /// What it is.
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// Its id, 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.details.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.details.name
    }

    /// What it does now: told truly, also when the program that ran it was killed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when it was removed, [`Io`](crate::ErrorKind::Io).
    pub fn state(&self) -> Result<State, Error> {
        // The lease first: it is let go after the last state was written.
        let held = Lease::held(&self.lease_path())?;
        Ok(self.noted()?.truth(held))
    }

    /// How often it was started again by itself since somebody started it.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub fn restarts(&self) -> Result<u32, Error> {
        Ok(self.noted()?.restarts)
    }

    /// Where its published ports answer, while it runs.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub fn ports(&self) -> Result<Vec<Bound>, Error> {
        match self.state()? {
            State::Running { .. } => Ok(self.noted()?.ports),
            _ => Ok(Vec::new()),
        }
    }

    /// How it reaches outward, while it runs; `None` on the machine's own network. Where it does not
    /// at all, a user should be told.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    pub fn outward(&self) -> Result<Option<Outward>, Error> {
        match self.state()? {
            State::Running { .. } => Ok(self.noted()?.outward),
            _ => Ok(None),
        }
    }

    /// How many bytes on the disk what it changed takes: 0 for nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) with the path.
    pub fn size(&self) -> Result<u64, Error> {
        let upper = self.folder.join("root").join("layer").join("root");
        let own = match upper.metadata() {
            Ok(folder) => blocks(&folder),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(e) => return Err(failed("look at", &upper)(e)),
        };
        let all = self.roots.bodies().measure(&upper)?.bytes;
        Ok(all.saturating_sub(own))
    }

    pub(crate) fn noted(&self) -> Result<Noted, Error> {
        read_state(&self.folder)?.ok_or_else(|| missing(self.id()))
    }

    pub(crate) fn lease_path(&self) -> PathBuf {
        lease(&self.leases, self.id())
    }

    /// What came of work on its files, unless it was removed meanwhile, which explains any error.
    pub(crate) fn or_missing<T, E: Into<Error>>(&self, done: Result<T, E>) -> Result<T, Error> {
        done.map_err(|e| match self.folder.exists() {
            true => e.into(),
            false => missing(self.id()),
        })
    }

    /// Whether another program looks after it: one that was started by a program that was killed does
    /// so without its lock.
    // Only where something can run.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn is_anothers(&self) -> Result<bool, Error> {
        let ours = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ours.is_none() && Lease::held(&self.lease_path())?)
    }

    /// The lease that this value has had since the container was made.
    pub(crate) fn take_own_lease(&self) -> Option<Lease> {
        let mut ours = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        ours.take()
    }
}

/// What something takes on the disk by itself.
#[cfg(unix)]
fn blocks(meta: &std::fs::Metadata) -> u64 {
    // In units of 512 bytes, whatever the file system's (stat(2)).
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn blocks(_: &std::fs::Metadata) -> u64 {
    0
}
