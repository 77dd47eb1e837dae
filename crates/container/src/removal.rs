//! Containers go: one by name, all that have ended, those that were to go by themselves.

use std::path::Path;
use std::time::{Duration, Instant};

use kiln_durable::Lease;

use crate::containers::{Container, Containers, root_name};
use crate::state::{State, failed, read_details};
use crate::{Error, ErrorKind};

/// How often somebody may start a container while it is being removed.
const TRIES: usize = 5;
/// How long who has a container that does not run may take to let go of it.
const PATIENCE: Duration = Duration::from_secs(3);

fn is_running(container: &Container) -> Result<bool, Error> {
    let state = container.state()?;
    Ok(matches!(
        state,
        State::Running { .. } | State::Restarting { .. }
    ))
}

impl Containers {
    /// Removes a container and everything that it changed; with `volumes` those as well that were
    /// made for it alone. One that runs is only removed by `force`, which kills it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it runs.
    pub fn remove(&self, container: &Container, force: bool, volumes: bool) -> Result<(), Error> {
        drop(container.take_own_lease());
        for _ in 0..TRIES {
            if self.try_remove(container, force, volumes)? {
                return Ok(());
            }
        }
        let what = format!(
            "cannot remove container \"/{}\": another program has it",
            container.name()
        );
        Err(Error::new(ErrorKind::Conflict, what))
    }

    /// `false` when somebody else started it meanwhile, or does not let go of it.
    fn try_remove(&self, container: &Container, force: bool, volumes: bool) -> Result<bool, Error> {
        let running = is_running(container)?;
        if running && !force {
            let what = format!(
                "cannot remove container \"/{}\": container is running: stop the container before \
                 removing or force remove",
                container.name()
            );
            return Err(Error::new(ErrorKind::Conflict, what));
        }
        if running {
            match container.kill(None) {
                // It ended by itself.
                Err(e) if e.kind() == ErrorKind::Conflict => {}
                done => done?,
            }
        }
        let _transition = match container.lock() {
            // It was to go with its end, and has.
            Err(e) if running && e.kind() == ErrorKind::NotFound => return Ok(true),
            lock => lock?,
        };
        let from = Instant::now();
        while from.elapsed() < PATIENCE {
            if let Some(held) = Lease::try_take(&container.lease_path())? {
                container.noted()?.end_leftovers();
                self.take_away(container.id(), held, volumes)?;
                return Ok(true);
            }
            if is_running(container)? {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }

    /// Removes all containers that do not run and that `which` wants, and gives their ids. Volumes
    /// stay.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn prune(&self, which: &dyn Fn(&Container) -> bool) -> Result<Vec<String>, Error> {
        let mut gone = Vec::new();
        for container in self.list()?.into_iter().filter(which) {
            // One that somebody looks after is not for us, whatever it does.
            if let Some(_transition) = container.try_lock()?
                && let Some(held) = Lease::try_take(&container.lease_path())?
            {
                self.take_away(container.id(), held, false)?;
                gone.push(container.details.id);
            }
        }
        Ok(gone)
    }

    /// Out of sight first, whole; a kill after that leaves the rest to the next sweep.
    pub(crate) fn take_away(&self, id: &str, held: Lease, volumes: bool) -> Result<(), Error> {
        let gone = self.folder.join(format!("gone-{id}"));
        let folder = self.folder.join(id);
        let lock = self.lock()?;
        match std::fs::rename(&folder, &gone) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("remove", &folder)(e));
            }
            _ => {}
        }
        drop(lock);
        self.forget(id, &gone, volumes)?;
        drop(held);
        Ok(())
    }

    /// What is left of a container in `folder`, which nobody sees any more.
    pub(crate) fn forget(&self, id: &str, folder: &Path, volumes: bool) -> Result<(), Error> {
        if let Some(details) = read_details(folder)? {
            let volumes = volumes || details.remove;
            self.volumes().leave(&details.mounts, id, volumes)?;
        }
        let refs = self.roots.store().refs();
        refs.remove(&root_name(id))
            .map_err(kiln_rootfs::Error::from)?;
        Ok(self.roots.remove(folder)?)
    }
}
