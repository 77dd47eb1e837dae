//! Volumes: folders that outlive containers, by name. Each appears whole or not at all, filled with
//! what an image has at its place when a container first uses it.
//!
//! `volumes/<name>/` in the store's folder has `_data`, which is mounted, `volume.json`, and in
//! `users/` a file for each container that asked for it. A container counts as long as it is there,
//! or somebody holds its lease; so a user that was killed while it was being made holds nothing.
//! Refuses other drivers than folders of this machine.

mod fill;
pub(crate) mod settle;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_durable::{Lease, Lock};
use kiln_rootfs::Roots;
use serde::{Deserialize, Serialize};

use crate::mounts::check_name;
use crate::state::{failed, now};
use crate::{Containers, Error, ErrorKind, names};

/// The volumes of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Volumes {
    roots: Arc<Roots>,
    folder: PathBuf,
    containers: PathBuf,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name; 64 hexadecimal digits for an anonymous one.
    pub name: String,
    /// What was said of it when it was made.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
    /// Whether nobody gave it a name.
    pub anonymous: bool,
    /// Its content, on the machine. Without root, only seen with the owners as they are inside by
    /// who is in the user namespace.
    pub mountpoint: PathBuf,
}

/// A volume that is gone, and what that gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Its name.
    pub name: String,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// What `volume.json` has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Noted {
    created: u64,
    anonymous: bool,
    labels: BTreeMap<String, String>,
}

const DATA: &str = "_data";
const NOTED: &str = "volume.json";
const USERS: &str = "users";

impl Containers {
    /// The volumes of the same store.
    pub fn volumes(&self) -> Volumes {
        Volumes::new(&self.roots)
    }
}

impl Volumes {
    /// The volumes of the store of `roots`. Makes nothing yet.
    pub fn new(roots: &Arc<Roots>) -> Self {
        let root = roots.store().root();
        Self {
            roots: roots.clone(),
            folder: root.join("volumes"),
            containers: root.join("containers"),
        }
    }

    /// Makes an empty volume; one that is there already is given as it is. Without a name one is
    /// drawn.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a name that is none, [`ErrorKind::Io`] with the path.
    pub fn create(
        &self,
        name: Option<&str>,
        labels: BTreeMap<String, String>,
    ) -> Result<Volume, Error> {
        let drawn = names::id();
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&drawn);
        let noted = Noted {
            created: now(),
            anonymous: name == drawn,
            labels,
        };
        self.make(name, &noted, None, None)
    }

    /// All volumes, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn list(&self) -> Result<Vec<Volume>, Error> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed("list", &self.folder)(e)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("list", &self.folder))?.file_name();
            if let Some(name) = name.to_str().filter(|name| check_name(name).is_ok()) {
                all.extend(self.read(name)?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The volume of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`].
    pub fn get(&self, name: &str) -> Result<Volume, Error> {
        let found = match check_name(name) {
            Ok(()) => self.read(name)?,
            Err(_) => None,
        };
        found.ok_or_else(|| missing(name))
    }

    /// The ids of the containers that use a volume, whether they run or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn users(&self, volume: &Volume) -> Result<Vec<String>, Error> {
        let folder = self.folder.join(&volume.name).join(USERS);
        let mut users = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(users),
            Err(e) => return Err(failed("list", &folder)(e)),
        };
        for entry in entries {
            let entry = entry.map_err(failed("list", &folder))?;
            if let Ok(id) = entry.file_name().into_string()
                && self.is_there(&id)?
            {
                users.push(id);
            }
        }
        users.sort();
        Ok(users)
    }

    /// Whether a container is there, or is just being made.
    fn is_there(&self, id: &str) -> Result<bool, Error> {
        // Its maker lets go of the lease only when the folder is in place: so that is asked last.
        let held = Lease::held(&self.containers.join("leases").join(id))?;
        Ok(held || self.containers.join(id).exists())
    }

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] while a container uses it.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let volume = self.get(name)?;
        let users = self.users(&volume)?;
        if !users.is_empty() {
            let what = format!("remove {name}: volume is in use - [{}]", users.join(", "));
            return Err(Error::new(ErrorKind::Conflict, what)
                .hint("remove the containers that use it first: `kiln rm`"));
        }
        self.take_away(&volume, lock)
    }

    /// Removes the volumes that no container uses and that `which` wants; only anonymous ones
    /// unless `all`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn prune(&self, all: bool, which: &dyn Fn(&Volume) -> bool) -> Result<Vec<Pruned>, Error> {
        let mut gone = Vec::new();
        for volume in self.list()? {
            if !(all || volume.anonymous) || !which(&volume) || !self.users(&volume)?.is_empty() {
                continue;
            }
            let bytes = self.size(&volume)?;
            match self.remove(&volume.name) {
                Ok(()) => gone.push(Pruned {
                    name: volume.name,
                    bytes,
                }),
                // Somebody came between.
                Err(e) if matches!(e.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(gone)
    }

    /// What a volume takes on the disk, in bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub fn size(&self, volume: &Volume) -> Result<u64, Error> {
        Ok(self.roots.bodies().measure(&volume.mountpoint)?.bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Volume>, Error> {
        let folder = self.folder.join(name);
        let path = folder.join(NOTED);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("read", &path)(e)),
        };
        let noted: Noted = serde_json::from_slice(&bytes).map_err(|e| {
            let what = format!("read `{}`: it is damaged", path.display());
            Error::new(ErrorKind::Io, what).because(e)
        })?;
        Ok(Some(Volume {
            name: name.to_owned(),
            labels: noted.labels,
            created: noted.created,
            anonymous: noted.anonymous,
            mountpoint: folder.join(DATA),
        }))
    }

    /// Out of sight first, whole, into a folder that is swept should this be killed.
    fn take_away(&self, volume: &Volume, lock: Lock) -> Result<(), Error> {
        let scratch = self.roots.store().begin().map_err(stored)?;
        let away = scratch.tmp().map_err(stored)?.join("volume");
        let folder = self.folder.join(&volume.name);
        std::fs::rename(&folder, &away).map_err(failed("remove", &folder))?;
        drop(lock);
        Ok(self.roots.remove(&away)?)
    }

    /// Held while volumes appear, disappear and get users.
    fn lock(&self) -> Result<Lock, Error> {
        std::fs::create_dir_all(&self.folder).map_err(failed("make", &self.folder))?;
        Ok(Lock::exclusive(&self.folder.join(".lock"))?)
    }
}

/// What the store says, as this crate says it.
fn stored(e: kiln_store::Error) -> Error {
    kiln_rootfs::Error::from(e).into()
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("get {name}: no such volume"))
}

/// Writes `volume.json` of a volume that nobody sees yet.
fn note(folder: &Path, noted: &Noted) -> Result<(), Error> {
    let path = folder.join(NOTED);
    let text = serde_json::to_vec(noted)
        .map_err(|e| Error::new(ErrorKind::Io, "write a volume's labels").because(e))?;
    std::fs::write(&path, text).map_err(failed("write", &path))
}
