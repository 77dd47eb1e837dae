//! All containers of a store: made, listed, found, removed.
//!
//! Each has a folder `containers/<id>` and a root `container/<id>` in the store, which keeps its
//! image. Whoever looks after one holds its lease; a lease that nobody holds shows that its program
//! has died, and so have, by the sandbox's rules, its processes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kiln_durable::{Lease, Lock};
use kiln_rootfs::Roots;

pub use crate::container::Container;
use crate::create::{Command, Create, command, config, short};
use crate::mounts::Mounted;
use crate::signal::signal_number;
use crate::state::{Details, Noted, State, failed, read_details, write_details, write_state};
use crate::volumes::settle::Asked;
use crate::{Error, ErrorKind, NetworkMode, Restart, names, time};

/// The containers of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Containers {
    pub(crate) roots: Arc<Roots>,
    pub(crate) folder: PathBuf,
}

impl Containers {
    /// The containers of the store of `roots`. Sweeps what killed programs left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn open(roots: &Arc<Roots>) -> Result<Self, Error> {
        let containers = Self::unswept(roots);
        let leases = containers.leases();
        std::fs::create_dir_all(&leases).map_err(failed("make", &leases))?;
        containers.sweep()?;
        Ok(containers)
    }

    /// The same, for who comes in where they are in use.
    pub(crate) fn unswept(roots: &Arc<Roots>) -> Self {
        Self {
            roots: roots.clone(),
            folder: roots.store().root().join("containers"),
        }
    }

    /// Makes a container. Until it is started, or the value is dropped, no other program prunes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] for a name that is taken, [`ErrorKind::Invalid`] for what cannot run.
    pub fn create(&self, create: &Create) -> Result<Container, Error> {
        let name = create.name.as_deref().map(names::bare);
        if let Some(name) = name {
            names::check(name)?;
        }
        check(create)?;
        let id = names::id();
        let command = command(&id, create)?;
        let held = Lease::try_take(&self.lease_of(&id))?;
        let image = &create.image;
        let keeps = std::iter::once(image.id).chain(image.layers.iter().copied());
        let refs = self.roots.store().refs();
        refs.set(&root_name(&id), keeps.collect(), Vec::new())
            .map_err(kiln_rootfs::Error::from)?;
        let volumes = self.volumes();
        let mounts = volumes.settle(&Asked {
            id: &id,
            wishes: &create.host.mounts,
            image: &image.config.volumes,
            layers: &image.layers,
        });
        let made = mounts.and_then(|mounts| {
            let details = details(&id, create, command, mounts);
            let kept = details.mounts.clone();
            self.place(details, name).inspect_err(|_| {
                // The first error is the one to tell; what stays is for a prune.
                let _ = volumes.leave(&kept, &id, true);
            })
        });
        let details = made.inspect_err(|_| drop(refs.remove(&root_name(&id))))?;
        Ok(Container {
            folder: self.folder.join(&id),
            details,
            roots: self.roots.clone(),
            lease: Mutex::new(held),
            leases: self.leases(),
        })
    }

    /// Gives it a name and puts its folder in place, whole.
    fn place(&self, mut details: Details, name: Option<&str>) -> Result<Details, Error> {
        let _lock = self.lock()?;
        details.name = self.free_name(name)?;
        let new = self.folder.join(format!("new-{}", details.id));
        std::fs::create_dir(&new).map_err(failed("make", &new))?;
        write_details(&new, &details)?;
        write_state(&new, &Noted::new(State::Created))?;
        let folder = self.folder.join(&details.id);
        std::fs::rename(&new, &folder).map_err(failed("make", &folder))?;
        Ok(details)
    }

    /// Gives a container another name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] for a name that is taken, [`ErrorKind::Invalid`] for one that is none.
    pub fn rename(&self, container: &Container, name: &str) -> Result<(), Error> {
        let name = names::bare(name);
        names::check(name)?;
        let _transition = container.lock()?;
        let _names = self.lock()?;
        let details = read_details(&container.folder)?;
        let mut details = details.ok_or_else(|| missing(container.id()))?;
        if details.name == name {
            let what = "Renaming a container with the same name as its current name";
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        details.name = self.free_name(Some(name))?;
        write_details(&container.folder, &details)
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
        let name = names::bare(text);
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

    pub(crate) fn at(&self, id: &str) -> Result<Option<Container>, Error> {
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

    pub(crate) fn lease_of(&self, id: &str) -> PathBuf {
        lease(&self.leases(), id)
    }

    /// Held while names are given and taken.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        Ok(Lock::exclusive(&self.folder.join("lock"))?)
    }
}

pub(crate) fn lease(leases: &Path, id: &str) -> PathBuf {
    leases.join(id)
}

/// What does not go together, in docker's words.
fn check(create: &Create) -> Result<(), Error> {
    let host = &create.host;
    let invalid = |what: &str| Err(Error::new(ErrorKind::Invalid, what));
    if create.remove && host.restart != Restart::No {
        return invalid("Conflicting options: --restart and --rm");
    }
    if let Some(signal) = &host.stop_signal {
        signal_number(signal)?;
    }
    if host
        .hostname
        .as_ref()
        .is_some_and(|name| name.is_empty() || name.len() > 63)
    {
        return invalid("invalid hostname format");
    }
    if host.network == NetworkMode::None && !host.ports.is_empty() {
        let what = "publish ports with network `none`: nothing can reach the container there";
        return Err(
            Error::new(ErrorKind::Invalid, what).hint("leave `--network none` out, or `-p`")
        );
    }
    Ok(())
}

fn details(id: &str, create: &Create, command: Command, mounts: Vec<Mounted>) -> Details {
    let image = &create.image;
    let config = config(create, &command);
    Details {
        id: id.to_owned(),
        name: String::new(),
        image: image.id,
        image_name: image.name.clone(),
        layers: image.layers.clone(),
        created: time::now(),
        labels: config.labels.clone(),
        config,
        command,
        remove: create.remove,
        host: create.host.clone(),
        mounts,
    }
}

pub(crate) fn root_name(id: &str) -> String {
    format!("container/{id}")
}

pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(crate) fn missing(text: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("No such container: {}", short_of(text)),
    )
    .hint("`kiln ps -a` lists all that there are")
}

fn short_of(text: &str) -> &str {
    if is_id(text) { short(text) } else { text }
}
