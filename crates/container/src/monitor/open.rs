//! What a monitor needs before anything runs: the store, the container, its lease, its root.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use kiln_durable::Lease;
use kiln_rootfs::{Prepared, Roots, bodies};
use kiln_sandbox::{Native, UserNamespace};
use kiln_store::Store;

use crate::containers::{Container, Containers, missing};
use crate::state::failed;
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

/// The file that says that a root was made.
const PREPARED: &str = "prepared";

/// The container's root: made when it is started for the first time, kept after that.
pub(crate) fn root(container: &Container) -> Result<Prepared, Error> {
    let (roots, layers) = (&container.roots, &container.details.layers);
    let at = container.folder.join("root");
    let mark = container.folder.join(PREPARED);
    if mark.exists() {
        return Ok(roots.reopen(layers, &at)?);
    }
    // What a start that failed half-way left.
    roots.remove(&at)?;
    std::fs::create_dir(&at).map_err(failed("make", &at))?;
    let prepared = roots.prepare(layers, &at)?;
    let cwd = &container.details.command.cwd;
    prepared.make_folder(cwd, &**roots.bodies())?;
    std::fs::write(&mark, []).map_err(failed("write", &mark))?;
    Ok(prepared)
}
