//! A container's root on the disk: made when it is first needed, kept until the container goes.

use std::fs;

use kiln_rootfs::Prepared;

use crate::Error;
use crate::containers::Container;
use crate::state::failed;

/// The file that says that a root was made.
const PREPARED: &str = "prepared";

/// The root of a container that the caller holds the lock or the lease of.
// Only where something can run.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) fn root(container: &Container) -> Result<Prepared, Error> {
    if let Some(prepared) = changed(container)? {
        return Ok(prepared);
    }
    let (roots, layers) = (&container.roots, &container.details.layers);
    let at = container.folder.join("root");
    // What a start that failed half-way left.
    roots.remove(&at)?;
    fs::create_dir(&at).map_err(failed("make", &at))?;
    let prepared = roots.prepare(layers, &at)?;
    let cwd = &container.details.command.cwd;
    prepared.make_folder(cwd, &**roots.bodies())?;
    let mark = container.folder.join(PREPARED);
    fs::write(&mark, []).map_err(failed("write", &mark))?;
    Ok(prepared)
}

/// The root, where there is one: else nothing was changed yet. What has it open may go on.
pub(crate) fn changed(container: &Container) -> Result<Option<Prepared>, Error> {
    if !container.folder.join(PREPARED).exists() {
        return Ok(None);
    }
    let at = container.folder.join("root");
    let prepared = container.roots.reopen(&container.details.layers, &at)?;
    Ok(Some(prepared))
}
