//! What a monitor needs before anything runs: the store, the container, its lease.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use kiln_durable::Lease;
use kiln_rootfs::{Roots, bodies};
use kiln_sandbox::{Native, UserNamespace};
use kiln_store::Store;

use crate::containers::{Container, Containers, missing};
use crate::{Error, ErrorKind};

/// A container in this process's hands.
pub(crate) struct Opened {
    pub(crate) containers: Containers,
    pub(crate) container: Container,
    pub(crate) lease: Lease,
    pub(crate) runner: Native,
}

/// By the arguments of the door: the store's folder and the container's id.
pub(crate) fn open(args: &[OsString]) -> Result<Opened, Error> {
    let [root, id] = args else {
        return Err(Error::new(
            ErrorKind::Invalid,
            "start a monitor: no container",
        ));
    };
    let id = id.to_string_lossy();
    let namespace = UserNamespace::usual()?;
    let root = Path::new(root);
    let store = Store::open(root).map_err(kiln_rootfs::Error::from)?;
    let roots = Arc::new(Roots::new(store, bodies(namespace.as_ref(), root)));
    let containers = Containers::unswept(&roots);
    // Who starts it holds its lock, and so nobody else takes the lease.
    let Some(lease) = Lease::try_take(&containers.lease_of(&id))? else {
        let what = "start the container: another program has it";
        return Err(Error::new(ErrorKind::Conflict, what));
    };
    let container = containers.at(&id)?.ok_or_else(|| missing(&id))?;
    Ok(Opened {
        containers,
        container,
        lease,
        runner: Native::new(namespace),
    })
}
