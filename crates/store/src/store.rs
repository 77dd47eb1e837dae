//! A store: opened, shared between threads, and a door to each of its rooms.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use kiln_image::Digest;
use kiln_layer::Tree;

use crate::{
    Error,
    base::{Base, Opener, Remover, boot_id, names, prepare},
    layout::Layout,
    owner::{Owner, sweep},
    recover::recover,
};

/// What is on disk under one folder. Cheap to clone; several processes share a store.
///
/// What a handle puts is named by a lease of the handle until its last clone is dropped: garbage
/// collection, by any process, leaves it alone that long. So open a handle for a job, and do not
/// keep one for days.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) base: Arc<Base>,
    owner: Mutex<Option<Arc<Owner>>>,
    pub(crate) trees: Mutex<HashMap<Digest, Weak<Tree>>>,
    pub(crate) sealed: Mutex<HashSet<String>>,
}

impl Store {
    /// Opens the store in the folder `root`, which is made if need be, for its user only. Sweeps
    /// what killed processes left; after a power failure looks at what was not synced.
    ///
    /// # Errors
    /// [`Newer`](crate::ErrorKind::Newer) when a newer version made it;
    /// [`Invalid`](crate::ErrorKind::Invalid) when the folder holds something else.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(Error::on("look at", root))?;
        let layout = Layout { root };
        prepare(&layout)?;
        let base = Base {
            layout,
            boot: boot_id()?,
            remover: OnceLock::new(),
            opener: OnceLock::new(),
        };
        let store = Self(Arc::new(Inner {
            base: Arc::new(base),
            owner: Mutex::new(None),
            trees: Mutex::new(HashMap::new()),
            sealed: Mutex::new(HashSet::new()),
        }));
        recover(&store)?;
        store.sweep()?;
        Ok(store)
    }

    /// The same store, which removes whole folders by `remove`: where files belong to ids that
    /// only a user namespace has. Without, [`std::fs::remove_dir_all`] does it, and what it cannot
    /// remove stays for somebody who can.
    #[must_use]
    pub fn with_remover(self, remove: Remover) -> Self {
        if self.base().remover.set(remove).is_ok() {
            // What cannot be swept now is swept by the next who opens the store.
            let _ = self.sweep();
        }
        self
    }

    /// The same store, which opens files of unpacked bodies by `open`: where they belong to ids that
    /// only a user namespace has. Without, they are opened as this user.
    #[must_use]
    pub fn with_opener(self, open: Opener) -> Self {
        // The first one counts, as it does for removing.
        let _ = self.base().opener.set(open);
        self
    }

    /// The folder that it is in.
    pub fn root(&self) -> &Path {
        &self.base().layout.root
    }

    /// A few system calls when nobody else is here.
    fn sweep(&self) -> Result<(), Error> {
        if names(&self.layout().folder("leases"))?.is_empty() {
            return Ok(());
        }
        sweep(self.base())
    }

    pub(crate) fn base(&self) -> &Arc<Base> {
        &self.0.base
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.base.layout
    }

    /// The owner of what is put through this handle; made when first needed.
    pub(crate) fn owner(&self) -> Result<Arc<Owner>, Error> {
        let mut slot = self.0.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = &*slot {
            return Ok(owner.clone());
        }
        let owner = Arc::new(Owner::start(self.base().clone())?);
        *slot = Some(owner.clone());
        Ok(owner)
    }

    /// The owner, if anything was put yet.
    pub(crate) fn owner_if_any(&self) -> Option<Arc<Owner>> {
        let slot = self.0.owner.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.root()).finish()
    }
}
