//! What a monitor needs before anything runs: the store, the container, its lease.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_durable::Lease;
use kiln_rootfs::{Roots, bodies};
use kiln_sandbox::Native;
use kiln_store::Store;

use crate::containers::{Containers, missing};
use crate::state::Details;
use crate::{Error, ErrorKind};

/// A container in this process's hands. What of the store is only needed for moments is opened for
/// moments ([`store`](Self::store)): a store that is open for days keeps what nobody needs, and
/// without root a child that works on its files.
pub(crate) struct Opened {
    pub(crate) id: String,
    pub(crate) details: Details,
    pub(crate) folder: PathBuf,
    pub(crate) lease: Lease,
    pub(crate) runner: Native,
    root: PathBuf,
}

/// By the arguments of the door: the store's folder and the container's id. With the store, for the
/// first start.
pub(crate) fn open(args: &[OsString]) -> Result<(Opened, Containers), Error> {
    let [root, id] = args else {
        let what = "start a monitor: no container";
        return Err(Error::new(ErrorKind::Invalid, what));
    };
    let id = id.to_string_lossy().into_owned();
    let runner = Native::usual()?;
    let containers = containers(root.as_ref(), &runner)?;
    // Who starts it holds its lock, and so nobody else takes the lease.
    let Some(lease) = Lease::try_take(&containers.lease_of(&id))? else {
        let what = "start the container: another program has it";
        return Err(Error::new(ErrorKind::Conflict, what));
    };
    let container = containers.at(&id)?.ok_or_else(|| missing(&id))?;
    let opened = Opened {
        id,
        details: container.details,
        folder: container.folder,
        lease,
        runner,
        root: root.into(),
    };
    Ok((opened, containers))
}

impl Opened {
    /// The store, for as long as the value lives.
    pub(crate) fn store(&self) -> Result<Containers, Error> {
        containers(&self.root, &self.runner)
    }
}

fn containers(root: &Path, runner: &Native) -> Result<Containers, Error> {
    let store = Store::open(root).map_err(kiln_rootfs::Error::from)?;
    let roots = Roots::new(store, bodies(runner.namespace(), root));
    Ok(Containers::unswept(&Arc::new(roots)))
}
