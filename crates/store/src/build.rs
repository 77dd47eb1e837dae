//! A build: anything that adds to the store, be it a build, a pull, a load, a tag. Names what it
//! relies on, records as it goes, and seals at the end: content and records, one sync of the file
//! system, a mark, and then names.

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use kiln_durable::{Lease, sync_folder, syncfs};
use kiln_image::{Algorithm, Config, Descriptor, Digest, Raw, Reference};

use crate::{
    Error, ImageRecord, Ref, Store,
    base::{exists, remove_file},
    owner::{Mark, Owner, Unsynced, marks},
    record::{root_of_id, root_of_name},
    refs::Sync,
};

/// Something that adds to a store. To be used from many threads. Dropped before it is
/// [sealed](Build::seal), its temporary folder goes, its names are never set, and its records stay
/// good in this boot.
pub struct Build {
    pub(crate) store: Store,
    owner: Owner,
    recorded: AtomicBool,
    names: Mutex<Vec<(Reference, ImageRecord)>>,
}

impl Store {
    /// Begins a build.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), or what else the system said.
    pub fn begin(&self) -> Result<Build, Error> {
        Ok(Build {
            store: self.clone(),
            owner: Owner::start(self.base().clone())?,
            recorded: AtomicBool::new(false),
            names: Mutex::new(Vec::new()),
        })
    }
}

impl Build {
    /// The id of this build, drawn at random.
    pub fn id(&self) -> &str {
        &self.owner.id
    }

    /// The store that it adds to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A folder of this build on the file system of the store; made when first asked for, removed
    /// with the build, and by whoever comes next after a kill.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), or what else the system said.
    pub fn tmp(&self) -> Result<PathBuf, Error> {
        self.owner.tmp()
    }

    /// Names blobs, layers and trees that this build is about to rely on, and then looks: what it
    /// gives back is not here; the rest is, and stays while the build lives.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        self.owner.claim(digests)?;
        let layout = self.store.layout();
        let mut lacking = Vec::new();
        for digest in digests {
            let here = match digest.algorithm() {
                Algorithm::Sha256 => {
                    exists(&layout.layer(digest))? || exists(&layout.blob(digest))?
                }
                _ => exists(&layout.tree(digest))?,
            };
            if !here {
                lacking.push(*digest);
            }
        }
        Ok(lacking)
    }

    /// Writes a named root that is good at once in this boot, and for ever when this build is
    /// sealed. Not synced.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), or what else the system said.
    pub fn record(&self, name: &str, keeps: Vec<Digest>, value: Vec<u8>) -> Result<(), Error> {
        let root = Ref {
            build: self.owner.id.clone(),
            ..self.store.refs().standing(keeps, value)
        };
        let write = || self.store.refs().write(&self.owner, name, &root, Sync::No);
        if self.recorded.swap(true, Ordering::AcqRel) {
            return write();
        }
        self.owner.place(Unsynced::Records, None, write)
    }

    /// Puts an image without a name: its config, and a record by its id. Its layers must have
    /// been put before.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when a layer is not known.
    pub fn put_image(
        &self,
        config: &Raw<Config>,
        manifest: Option<Descriptor>,
        parent: Option<Digest>,
    ) -> Result<ImageRecord, Error> {
        self.store.blobs().put(config.bytes())?;
        let image = ImageRecord::new(&self.store, config, manifest, parent)?;
        self.remember(image)
    }

    /// Writes the record of an image by its id, unless an equal one stands for good. Gives what is
    /// now known of it: what an older record knew is kept.
    pub(crate) fn remember(&self, mut image: ImageRecord) -> Result<ImageRecord, Error> {
        self.owner.claim(&image.keeps())?;
        let root = root_of_id(&image.id);
        if let Some(found) = self.store.refs().get(&root)? {
            let old = ImageRecord::decode(&root, &found)?;
            image.manifest = image.manifest.or_else(|| old.manifest.clone());
            image.parent = image.parent.or(old.parent);
            let stands = found.build == self.owner.id || self.store.refs().is_sealed(&found)?;
            if image == old && stands {
                return Ok(image);
            }
        }
        self.record(&root, image.keeps(), image.encode())?;
        Ok(image)
    }

    /// Gives an image a name, when this build is sealed. The image that has it now stays, without.
    ///
    /// # Errors
    /// What the system said.
    pub fn name(&self, name: &Reference, image: &ImageRecord) -> Result<(), Error> {
        // The name stands on the record by id, which keeps the image when the name moves on.
        self.remember(image.alone())?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|(other, _)| other != name);
        names.push((name.clone(), image.clone()));
        Ok(())
    }

    /// Seals: when this returns, what was put and recorded withstands a power failure, and the
    /// names are set. Gives each name with the image that had it before.
    ///
    /// Syncs the file system only when something in the store was not synced yet.
    ///
    /// # Errors
    /// [`Full`](crate::ErrorKind::Full), or what else the system said; then no name was set, or
    /// some were.
    pub fn seal(self) -> Result<Vec<(Reference, Option<ImageRecord>)>, Error> {
        let owner = self.store.owner_if_any();
        let ours = owner.as_ref().map(|o| o.take_marks()).unwrap_or_default();
        let done = self.seal_behind(&ours);
        match (&done, owner) {
            (Err(_), Some(owner)) => owner.give_back(ours),
            _ => ours.iter().try_for_each(|m| remove_file(m).map(drop))?,
        }
        done
    }

    fn seal_behind(
        &self,
        ours: &[PathBuf],
    ) -> Result<Vec<(Reference, Option<ImageRecord>)>, Error> {
        let layout = self.store.layout();
        // Who is no more before the sync begins wrote all that it ever will.
        let (mut over, mut others) = (Vec::new(), false);
        for mark in marks(self.store.base())? {
            if mark.owner == self.owner.id || !Lease::held(&layout.lease(&mark.owner))? {
                over.push(mark);
            } else {
                others = true;
            }
        }
        if others || !over.is_empty() || !ours.is_empty() {
            syncfs(&layout.root)?;
        }
        self.mark_sealed(&over)?;
        let before = self.set_names()?;
        for mark in &over {
            remove_file(&mark.path)?;
        }
        for mark in self.owner.take_marks() {
            remove_file(&mark)?;
        }
        Ok(before)
    }

    /// The records of this build, and of builds that are no more, are good from now on.
    fn mark_sealed(&self, over: &[Mark]) -> Result<(), Error> {
        let layout = self.store.layout();
        let mut any = false;
        for mark in over.iter().filter(|m| m.kind == Unsynced::Records) {
            let path = layout.sealed(&mark.owner);
            std::fs::File::create(&path).map_err(Error::on("create", &path))?;
            any = true;
        }
        if any {
            sync_folder(&layout.folder("sealed"))?;
        }
        Ok(())
    }

    fn set_names(&self) -> Result<Vec<(Reference, Option<ImageRecord>)>, Error> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = Vec::new();
        let mut moved = Vec::new();
        for (name, image) in names.iter() {
            let old = self.store.images().get(name)?;
            if old.as_ref() != Some(image) {
                moved.push((root_of_name(name), image));
            }
            before.push((name.clone(), old));
        }
        let set = || {
            let refs = self.store.refs();
            for (root, image) in &moved {
                let standing = refs.standing(image.keeps(), image.encode());
                refs.write(&self.owner, root, &standing, Sync::Yes)?;
            }
            Ok(())
        };
        if !moved.is_empty() {
            // Killed between a rename and its sync, the next seal has to sync.
            self.owner.place(Unsynced::Names, None, set)?;
        }
        Ok(before)
    }
}

impl std::fmt::Debug for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Build({})", self.owner.id)
    }
}
