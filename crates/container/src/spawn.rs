//! Starts the monitor of a container.

use crate::containers::Container;
use crate::control::Connection;
use crate::{Attach, Error, ErrorKind};

/// Returns when the process runs, with the connection over which its first caller takes part. The
/// caller holds the container's lock.
#[cfg(target_os = "linux")]
pub(crate) fn monitor(container: &Container, attach: Option<Attach>) -> Result<Connection, Error> {
    use crate::frame::{Reply, Request};

    let root = container.roots.store().root();
    let args = [root.as_os_str(), container.id().as_ref()];
    let kiln_sandbox::Outgoing { socket, mut child } =
        kiln_sandbox::open(crate::monitor::NAME, args)?;
    // It lives longer than this program, as a rule; where it does not, somebody has to take note.
    let (ended, status) = std::sync::mpsc::channel();
    let reap = move || drop(ended.send(child.wait()));
    let failed = |e| Error::new(ErrorKind::Start, "start the container's monitor").because(e);
    let thread = std::thread::Builder::new().name("monitor".to_owned());
    thread.spawn(reap).map_err(failed)?;
    match crate::life::say(socket, &Request::Start(attach)) {
        Ok((connection, Reply::Done)) => Ok(connection),
        Ok((_, Reply::Failed(report))) => Err(report.into()),
        Err(e) => {
            // One that ends closes its sockets shortly before its parent can know how.
            let status = status.recv_timeout(std::time::Duration::from_secs(1));
            let what = "start the container: its monitor ended before it said why";
            let error = match status.ok().and_then(|status| status.ok()?.code()) {
                None => Error::new(
                    ErrorKind::Start,
                    "start the container: its monitor was killed",
                ),
                Some(_) => Error::new(ErrorKind::Start, what).hint(
                    "does the program hand `kiln_container::DOORS` to `kiln_sandbox::entry`?",
                ),
            };
            Err(error.because(e))
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn monitor(_: &Container, _: Option<Attach>) -> Result<Connection, Error> {
    let what = "running a container needs Linux";
    Err(Error::new(ErrorKind::Unsupported, what))
}
