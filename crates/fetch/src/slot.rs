//! The folder of one source, taken by one process at a time: what is kept of it, and what is under way.
//! Everything in it appears whole, and whoever is killed leaves what the next can go on with. Refuses
//! to be waited for without end: a caller who cancels is let go.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kiln_durable::{Lease, replace};
use kiln_image::Digest;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Watch};

/// How long to wait before looking again whether another process has let go.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A source's folder, taken.
pub(crate) struct Slot {
    folder: PathBuf,
    _lease: Lease,
}

impl Slot {
    /// Takes the folder of `source` among those in `all`, and makes it if need be.
    pub(crate) fn take(all: &Path, source: &str, watch: &Watch<'_>) -> Result<Self, Error> {
        let name = Digest::sha256(source.as_bytes()).hex();
        fs::create_dir_all(all).map_err(|e| Error::io(shown("make", all), e))?;
        let lease = loop {
            watch.check()?;
            match Lease::try_take(&lock_of(all, &name))? {
                Some(lease) => break lease,
                None => thread::sleep(LOOK_AGAIN),
            }
        };
        let folder = all.join(name);
        fs::create_dir_all(&folder).map_err(|e| Error::io(shown("make", &folder), e))?;
        let slot = Self {
            folder,
            _lease: lease,
        };
        // What a kill left in the middle of a note.
        let torn = slot.names().into_iter();
        for name in torn.filter(|name| name.starts_with(".new-")) {
            slot.remove(&name)?;
        }
        Ok(slot)
    }

    /// Takes a folder that is there, unless somebody works in it.
    pub(crate) fn try_take(all: &Path, name: &str) -> Result<Option<Self>, Error> {
        let lease = Lease::try_take(&lock_of(all, name))?;
        Ok(lease.map(|lease| Self {
            folder: all.join(name),
            _lease: lease,
        }))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A note that was kept. One that cannot be read is as good as none.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        read(&self.path(name))
    }

    /// Keeps a note.
    pub(crate) fn write(&self, name: &str, note: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec(note).expect("notes are plain data");
        Ok(replace(&self.path(name), &text)?)
    }

    /// Removes a file that may not be there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(shown("remove", &path), e))
            }
            _ => Ok(()),
        }
    }

    /// The names of what is in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        entries.filter_map(name).collect()
    }

    /// Removes all of it.
    pub(crate) fn clear(self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(shown("remove", &self.folder), e))
            }
            _ => Ok(()),
        }
    }
}

/// Removes the locks that kills left behind where nothing is kept.
pub(crate) fn sweep(all: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_lock = path.extension().is_some_and(|ending| ending == "lock");
        if is_lock && !path.with_extension("").exists() {
            // Dropped, it goes with its file.
            Lease::try_take(&path)?;
        }
    }
    Ok(())
}

fn lock_of(all: &Path, name: &str) -> PathBuf {
    all.join(format!("{name}.lock"))
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

pub(crate) fn shown(action: &str, path: &Path) -> String {
    format!("{action} `{}`", path.display())
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

/// Which boot this is: what was written and not synced is whole until the power fails. Empty where
/// the system does not tell.
pub(crate) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}
