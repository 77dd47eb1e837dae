//! All containers of a store: made, listed, found, removed.
//!
//! Each has a folder `containers/<id>` and a root `container/<id>` in the store, which keeps its
//! image. Whoever looks after one holds its lease; a lease that nobody holds shows that its program
//! has died, and so have, by the sandbox's rules, its processes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_durable::{Lease, Lock};
use kiln_rootfs::Roots;

use crate::create::{Create, command, config, short};
use crate::state::{
    Details, Noted, State, failed, now, read_details, read_state, write_details, write_state,
};
use crate::sweep::{kill, wait_for};
use crate::{Error, ErrorKind, names};

/// The containers of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Containers {
    pub(crate) roots: Arc<Roots>,
    pub(crate) folder: PathBuf,
}

/// One container.
#[derive(Debug)]
pub struct Container {
    pub(crate) details: Details,
    pub(crate) folder: PathBuf,
    pub(crate) roots: Arc<Roots>,
    pub(crate) lease: Mutex<Option<Lease>>,
    leases: PathBuf,
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
    /// [`ErrorKind::NotFound`] when it was removed, [`ErrorKind::Io`].
    pub fn state(&self) -> Result<State, Error> {
        // The lease first: it is let go after the last state was written.
        let held = Lease::held(&lease(&self.leases, self.id()))?;
        match read_state(&self.folder)? {
            Some(noted) => Ok(noted.state(held)),
            None => Err(missing(self.id())),
        }
    }
}

impl Containers {
    /// The containers of the store of `roots`. Sweeps what killed programs left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn open(roots: &Arc<Roots>) -> Result<Self, Error> {
        let folder = roots.store().root().join("containers");
        let leases = folder.join("leases");
        std::fs::create_dir_all(&leases).map_err(failed("make", &leases))?;
        let containers = Self {
            roots: roots.clone(),
            folder,
        };
        containers.sweep()?;
        Ok(containers)
    }

    /// Makes a container. It is this program's until the value is dropped or its process has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] for a name that is taken, [`ErrorKind::Invalid`] for what cannot run.
    pub fn create(&self, create: &Create) -> Result<Container, Error> {
        if let Some(name) = &create.name {
            names::check(name)?;
        }
        let id = names::id();
        let command = command(&id, create)?;
        let held = Lease::try_take(&lease(&self.leases(), &id))?;
        let _lock = self.lock()?;
        let name = self.free_name(create.name.as_deref())?;
        let image = &create.image;
        let mut labels = image.config.labels.clone();
        labels.extend(create.labels.clone());
        let details = Details {
            id: id.clone(),
            name,
            image: image.id,
            image_name: image.name.clone(),
            layers: image.layers.clone(),
            created: now(),
            config: config(create, &command),
            command,
            labels,
            remove: create.remove,
            host: create.host.clone(),
            mounts: Vec::new(),
        };
        let keeps = std::iter::once(image.id).chain(image.layers.iter().copied());
        let refs = self.roots.store().refs();
        refs.set(&root_name(&id), keeps.collect(), Vec::new())
            .map_err(kiln_rootfs::Error::from)?;
        let new = self.folder.join(format!("new-{id}"));
        std::fs::create_dir(&new).map_err(failed("make", &new))?;
        write_details(&new, &details)?;
        write_state(&new, &Noted::Created)?;
        let folder = self.folder.join(&id);
        std::fs::rename(&new, &folder).map_err(failed("make", &folder))?;
        Ok(Container {
            details,
            folder,
            roots: self.roots.clone(),
            lease: Mutex::new(held),
            leases: self.leases(),
        })
    }

    /// A name that nobody has; under the lock.
    fn free_name(&self, wanted: Option<&str>) -> Result<String, Error> {
        let all = self.list()?;
        let taken = |name: &str| all.iter().find(|c| c.name() == name);
        if let Some(name) = wanted {
            return match taken(name) {
                None => Ok(name.to_owned()),
                Some(other) => {
                    let what = format!(
                        "Conflict. The container name \"/{name}\" is already in use by container \
                         \"{}\". You have to remove (or rename) that container to be able to reuse \
                         that name.",
                        other.id()
                    );
                    Err(Error::new(ErrorKind::Conflict, what))
                }
            };
        }
        let mut drawn = (0..).map(names::random);
        let free = drawn.find(|name| taken(name).is_none());
        Ok(free.expect("names with numbers at their end do not run out"))
    }

    /// All containers, the newest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn list(&self) -> Result<Vec<Container>, Error> {
        let mut all = Vec::new();
        for name in self.names()? {
            if is_id(&name) {
                all.extend(self.at(&name)?);
            }
        }
        let key = |c: &Container| (u64::MAX - c.details.created, c.details.id.clone());
        all.sort_by_key(key);
        Ok(all)
    }

    /// The container with this id, name, or beginning of an id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], and [`ErrorKind::Conflict`] where several ids begin so.
    pub fn get(&self, text: &str) -> Result<Container, Error> {
        if is_id(text)
            && let Some(found) = self.at(text)?
        {
            return Ok(found);
        }
        let mut all = self.list()?;
        let name = text.strip_prefix('/').unwrap_or(text);
        if let Some(index) = all.iter().position(|c| c.name() == name) {
            return Ok(all.swap_remove(index));
        }
        all.retain(|c| !text.is_empty() && c.id().starts_with(text));
        match all.len() {
            1 => Ok(all.swap_remove(0)),
            0 => Err(missing(text)),
            _ => {
                let what = format!("multiple IDs found with provided prefix: {text}");
                Err(Error::new(ErrorKind::Conflict, what))
            }
        }
    }

    /// Removes a container and everything that it changed. One that runs is only removed by `force`,
    /// which kills it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when it runs.
    pub fn remove(&self, container: &Container, force: bool) -> Result<(), Error> {
        let ours = container.lease.lock();
        drop(ours.unwrap_or_else(PoisonError::into_inner).take());
        let path = lease(&self.leases(), container.id());
        let mut held = Lease::try_take(&path)?;
        if held.is_none() {
            if !force {
                let what = format!(
                    "cannot remove container \"/{}\": container is running: stop the container \
                     before removing or force remove",
                    container.name()
                );
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            kill(&container.folder)?;
            held = wait_for(&path)?;
        }
        let Some(held) = held else {
            let what = format!("container \"/{}\" does not end", container.name());
            return Err(Error::new(ErrorKind::Conflict, what));
        };
        self.take_away(container.id(), held)
    }

    /// Removes all containers that do not run, and gives their ids.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn prune(&self) -> Result<Vec<String>, Error> {
        let mut gone = Vec::new();
        for container in self.list()? {
            // One that somebody looks after is not for us, whatever it does.
            if let Some(held) = Lease::try_take(&lease(&self.leases(), container.id()))? {
                self.take_away(container.id(), held)?;
                gone.push(container.details.id);
            }
        }
        Ok(gone)
    }

    /// Out of sight first, whole; a kill after that leaves the rest to the next sweep.
    pub(crate) fn take_away(&self, id: &str, held: Lease) -> Result<(), Error> {
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
        self.forget(id, &gone)?;
        drop(held);
        Ok(())
    }

    pub(crate) fn forget(&self, id: &str, folder: &Path) -> Result<(), Error> {
        let refs = self.roots.store().refs();
        refs.remove(&root_name(id))
            .map_err(kiln_rootfs::Error::from)?;
        Ok(self.roots.remove(folder)?)
    }

    fn at(&self, id: &str) -> Result<Option<Container>, Error> {
        let folder = self.folder.join(id);
        Ok(read_details(&folder)?.map(|details| Container {
            details,
            folder,
            roots: self.roots.clone(),
            lease: Mutex::new(None),
            leases: self.leases(),
        }))
    }

    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed("list", &self.folder))? {
            let entry = entry.map_err(failed("list", &self.folder))?;
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.folder.join("leases")
    }

    /// Held while names are given and taken.
    fn lock(&self) -> Result<Lock, Error> {
        Ok(Lock::exclusive(&self.folder.join("lock"))?)
    }
}

pub(crate) fn lease(leases: &Path, id: &str) -> PathBuf {
    leases.join(id)
}

pub(crate) fn root_name(id: &str) -> String {
    format!("container/{id}")
}

pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn missing(text: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("No such container: {}", short_of(text)),
    )
}

fn short_of(text: &str) -> &str {
    if is_id(text) { short(text) } else { text }
}
