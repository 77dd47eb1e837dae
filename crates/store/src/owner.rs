//! Somebody who writes to a store: a lease that names what must not be collected, a temporary
//! folder, and marks at what was written since the last sync. All of it goes with its owner; what
//! a kill leaves behind is swept by whoever comes next.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use kiln_durable::Lease;
use kiln_image::Digest;

use crate::{
    Error,
    base::{Base, fresh_id, names},
    layout::LASTING_LOCKS,
};

/// What a mark in `unsynced/` is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Blob,
    Tree,
    Layer,
    Body,
    Records,
    Names,
}

impl Unsynced {
    fn letter(self) -> char {
        match self {
            Self::Blob => 'b',
            Self::Tree => 't',
            Self::Layer => 'l',
            Self::Body => 'u',
            Self::Records => 'r',
            Self::Names => 'n',
        }
    }

    fn of(letter: &str) -> Option<Self> {
        let all = [
            Self::Blob,
            Self::Tree,
            Self::Layer,
            Self::Body,
            Self::Records,
            Self::Names,
        ];
        all.into_iter().find(|k| letter.chars().eq([k.letter()]))
    }
}

pub(crate) struct Owner {
    base: Arc<Base>,
    pub(crate) id: String,
    lease: Option<Lease>,
    /// Whether the temporary folder was made.
    tmp: Mutex<bool>,
    /// Held shared from a mark to the rename that it is for.
    flight: RwLock<()>,
    marks: Mutex<Vec<PathBuf>>,
}

impl Owner {
    pub(crate) fn start(base: Arc<Base>) -> Result<Self, Error> {
        let id = fresh_id();
        let lease = Lease::take(&base.layout.lease(&id))?;
        Ok(Self {
            base,
            id,
            lease: Some(lease),
            tmp: Mutex::new(false),
            flight: RwLock::new(()),
            marks: Mutex::new(Vec::new()),
        })
    }

    /// The temporary folder, made when it is first asked for.
    pub(crate) fn tmp(&self) -> Result<PathBuf, Error> {
        let path = self.base.layout.tmp(&self.id);
        let mut made = self.tmp.lock().unwrap_or_else(PoisonError::into_inner);
        if !*made {
            fs::create_dir(&path).map_err(Error::on("create", &path))?;
            *made = true;
        }
        Ok(path)
    }

    /// Names `digests`: when this returns, what is here of them stays while this owner lives.
    pub(crate) fn claim(&self, digests: &[Digest]) -> Result<(), Error> {
        if digests.is_empty() {
            return Ok(());
        }
        let lines: String = digests.iter().map(|d| format!("{d}\n")).collect();
        let _guard = self.base.no_collection()?;
        let lease = self.lease.as_ref().expect("only drop takes the lease");
        Ok(lease.note(lines.as_bytes())?)
    }

    /// Carries out `rename`, which makes a thing visible, behind a mark that says that it is not
    /// synced: should the power fail before it is, the thing is looked at again.
    pub(crate) fn place<T>(
        &self,
        kind: Unsynced,
        digest: Option<&Digest>,
        rename: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _flight = self.flight.read().unwrap_or_else(PoisonError::into_inner);
        let digits = digest.map(Digest::hex).unwrap_or_default();
        let name = format!("{}.{}.{digits}", self.id, kind.letter());
        let mark = self.base.layout.folder("unsynced").join(name);
        File::create(&mark).map_err(Error::on("create", &mark))?;
        self.marks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(mark);
        rename()
    }

    /// The marks at everything that is in place by now.
    pub(crate) fn take_marks(&self) -> Vec<PathBuf> {
        let _landed = self.flight.write().unwrap_or_else(PoisonError::into_inner);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *marks)
    }

    /// Says again that marks were not seen to: their sync failed.
    pub(crate) fn give_back(&self, marks: Vec<PathBuf>) {
        let mut held = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(marks);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let made = *self.tmp.lock().unwrap_or_else(PoisonError::into_inner);
        let tmp = self.base.layout.tmp(&self.id);
        if made && self.base.remove_folder(&tmp).is_err() {
            // Somebody with more rights has to come back for it.
            lease.leave();
        }
    }
}

/// A mark in `unsynced/`.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) path: PathBuf,
    pub(crate) owner: String,
    pub(crate) kind: Unsynced,
    pub(crate) digits: String,
}

/// All marks of everybody.
pub(crate) fn marks(base: &Base) -> Result<Vec<Mark>, Error> {
    let folder = base.layout.folder("unsynced");
    let mut marks = Vec::new();
    for name in names(&folder)? {
        let mut parts = name.splitn(3, '.');
        let (Some(owner), Some(letter), Some(digits)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if let Some(kind) = Unsynced::of(letter) {
            marks.push(Mark {
                path: folder.join(&name),
                owner: owner.to_owned(),
                kind,
                digits: digits.to_owned(),
            });
        }
    }
    Ok(marks)
}

/// Removes what owners that are no more left behind: temporary folders, leases, locks.
pub(crate) fn sweep(base: &Base) -> Result<(), Error> {
    let mut dead = false;
    let leases = base.layout.folder("leases");
    for id in names(&leases)? {
        let path = leases.join(&id);
        if Lease::held(&path)? {
            continue;
        }
        if let Some(lease) = Lease::try_take(&path)? {
            dead = true;
            if base.remove_folder(&base.layout.tmp(&id)).is_err() {
                lease.leave();
            }
        }
    }
    if dead {
        sweep_locks(base)?;
    }
    Ok(())
}

/// The locks of layers go with their holders, but not with killed ones.
fn sweep_locks(base: &Base) -> Result<(), Error> {
    let locks = base.layout.folder("locks");
    for name in names(&locks)? {
        let path = locks.join(&name);
        if !LASTING_LOCKS.contains(&name.as_str()) && !Lease::held(&path)? {
            drop(Lease::try_take(&path)?);
        }
    }
    Ok(())
}

/// The digests that an owner named in its lease.
pub(crate) fn claims(lease: &Path) -> Result<Vec<Digest>, Error> {
    let notes = crate::base::read(lease)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&notes);
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}
