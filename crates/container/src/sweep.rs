//! What dead programs left, and how a program that lives is made to let go.

use std::path::Path;
use std::time::Duration;

use kiln_durable::Lease;

use crate::Error;
use crate::containers::{Containers, is_id, lease};
use crate::state::{Noted, born, read_details, read_state};

impl Containers {
    /// What was half made or half removed, and what was to go by itself.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        for name in self.names()? {
            let (kind, id) = name.split_once('-').unwrap_or(("", &name));
            if !is_id(id) {
                continue;
            }
            let path = lease(&self.leases(), id);
            match kind {
                "new" | "gone" => {
                    if let Some(_held) = Lease::try_take(&path)? {
                        self.forget(id, &self.folder.join(&name))?;
                    }
                }
                "" => {
                    let details = read_details(&self.folder.join(&name))?;
                    if details.is_some_and(|details| details.remove)
                        && let Some(held) = Lease::try_take(&path)?
                    {
                        self.take_away(id, held)?;
                    }
                }
                _ => {}
            }
        }
        self.sweep_roots()
    }

    /// A root without a folder: its program died between the two.
    fn sweep_roots(&self) -> Result<(), Error> {
        let refs = self.roots.store().refs();
        let named = refs.names("container/").map_err(kiln_rootfs::Error::from)?;
        for name in named {
            let id = name.trim_start_matches("container/");
            if is_id(id)
                && !self.folder.join(id).exists()
                && let Some(_held) = Lease::try_take(&lease(&self.leases(), id))?
                && !self.folder.join(id).exists()
            {
                refs.remove(&name).map_err(kiln_rootfs::Error::from)?;
            }
        }
        Ok(())
    }
}

/// Kills the process of a container that another program looks after; that program then ends it.
pub(crate) fn kill(folder: &Path) -> Result<(), Error> {
    let Some(Noted::Running {
        pid, born: then, ..
    }) = read_state(folder)?
    else {
        return Ok(());
    };
    if then.is_none() || born(pid) != then {
        return Ok(());
    }
    #[cfg(unix)]
    if let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // It may just have ended.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    Ok(())
}

/// The lease, when its holder lets go of it within ten seconds.
pub(crate) fn wait_for(path: &Path) -> Result<Option<Lease>, Error> {
    for _ in 0..1000 {
        if let Some(held) = Lease::try_take(path)? {
            return Ok(Some(held));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(None)
}
