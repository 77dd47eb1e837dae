//! What dead programs left.

use kiln_durable::Lease;

use crate::containers::{Container, Containers, is_id};
use crate::state::{Noted, State, read_state, write_state};
use crate::{Error, time};

impl Containers {
    /// What was half made or half removed, and what was to go by itself.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        for name in self.names()? {
            let (kind, id) = name.split_once('-').unwrap_or(("", &name));
            if !is_id(id) {
                continue;
            }
            match kind {
                "new" | "gone" => {
                    if let Some(_held) = Lease::try_take(&self.lease_of(id))? {
                        self.forget(id, &self.folder.join(&name), false)?;
                    }
                }
                "" => {
                    if let Some(container) = self.at(id)? {
                        self.sweep_one(&container)?;
                    }
                }
                _ => {}
            }
        }
        self.sweep_roots()
    }

    /// One whose monitor was killed has ended, and is told so from now on; one that was to go with
    /// its end goes.
    fn sweep_one(&self, container: &Container) -> Result<(), Error> {
        let Some(noted) = read_state(&container.folder)? else {
            return Ok(());
        };
        let ended = matches!(noted.state, State::Exited { .. });
        let gone = container.details.remove && ended;
        if matches!(noted.state, State::Created) || ended && !gone {
            return Ok(());
        }
        // Who starts or removes it does so now.
        let Some(_transition) = container.try_lock()? else {
            return Ok(());
        };
        let Some(held) = Lease::try_take(&container.lease_path())? else {
            return Ok(());
        };
        // Before the lock was ours, it may have gone on.
        let Some(noted) = read_state(&container.folder)? else {
            return Ok(());
        };
        noted.end_leftovers();
        if container.details.remove && !matches!(noted.state, State::Created) {
            return self.take_away(container.id(), held, true);
        }
        let restarts = noted.restarts;
        let mut truth = Noted::new(match noted.truth(false) {
            State::Exited {
                code,
                started,
                error,
                ..
            } => State::Exited {
                code,
                started,
                at: time::now(),
                error,
            },
            state => state,
        });
        truth.restarts = restarts;
        write_state(&container.folder, &truth)
    }

    /// A root without a folder: its program died between the two.
    fn sweep_roots(&self) -> Result<(), Error> {
        let refs = self.roots.store().refs();
        let named = refs.names("container/").map_err(kiln_rootfs::Error::from)?;
        for name in named {
            let id = name.trim_start_matches("container/");
            if is_id(id)
                && !self.folder.join(id).exists()
                && let Some(_held) = Lease::try_take(&self.lease_of(id))?
                && !self.folder.join(id).exists()
            {
                refs.remove(&name).map_err(kiln_rootfs::Error::from)?;
            }
        }
        Ok(())
    }
}
