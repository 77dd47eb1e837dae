//! Commands on several containers: each is done whatever becomes of the others, and what failed is
//! told, the last with the exit code.

use std::process::ExitCode;

use kiln_container::{Container, Containers};

use crate::{failure::Failure, host};

/// The containers of the user's store.
pub(crate) fn containers() -> Result<Containers, Failure> {
    Ok(Containers::open(host::builder()?.roots())?)
}

/// Does `act` on each container and prints the name by which it was called.
pub(crate) fn each(
    names: &[String],
    act: &dyn Fn(&Containers, &Container) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let containers = containers()?;
    all(names, &|name| {
        act(&containers, &containers.get(name)?)?;
        host::print(&format!("{name}\n"))
    })
}

/// Does `act` for each name.
pub(crate) fn all(
    names: &[String],
    act: &dyn Fn(&str) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let mut failed: Option<Failure> = None;
    for name in names {
        if let Err(e) = act(name)
            && let Some(earlier) = failed.replace(e)
        {
            earlier.report();
        }
    }
    match failed {
        Some(e) => Err(e),
        None => Ok(ExitCode::SUCCESS),
    }
}
