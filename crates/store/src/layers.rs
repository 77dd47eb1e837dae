//! Layers: a diff id, known facts, and bodies: packed (a blob) or unpacked (a folder to mount).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_durable::{Lease, NewFile};
use kiln_image::{Descriptor, Digest, media::Compression};
use kiln_layer::Tree;

use crate::{
    Error, ErrorKind, Facts, Form, Layer, PackedAs, Store,
    base::{exists, read, remove_file},
    layout::sha256,
    owner::Unsynced,
};

/// The layers of a store.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a>(pub(crate) &'a Store);

/// An unpacked body: a folder that has `root/`, which is mounted, and beside it whatever its maker
/// needs to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The folder.
    pub folder: PathBuf,
}

impl Body {
    /// The name of the folder in a body that is mounted.
    pub const ROOT: &'static str = "root";

    /// The folder that is mounted.
    pub fn root(&self) -> PathBuf {
        self.folder.join(Self::ROOT)
    }
}

impl Store {
    /// Its layers.
    pub fn layers(&self) -> Layers<'_> {
        Layers(self)
    }
}

impl Layers<'_> {
    /// A layer; `None` when it was never put.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged) when its facts cannot be read.
    pub fn get(&self, diff_id: &Digest) -> Result<Option<Layer>, Error> {
        sha256(diff_id)?;
        let Some(bytes) = read(&self.0.layout().layer(diff_id))? else {
            return Ok(None);
        };
        Ok(Some(Layer {
            diff_id: *diff_id,
            facts: Facts::decode(diff_id, &bytes)?,
        }))
    }

    /// Puts a layer, or adds to what is known of it.
    ///
    /// # Errors
    /// [`Full`](ErrorKind::Full), or what else the system said.
    pub fn put(&self, diff_id: &Digest, facts: Facts, tree: Option<&Tree>) -> Result<(), Error> {
        sha256(diff_id)?;
        let mut facts = facts;
        if let Some(tree) = tree {
            facts.tree = Some(self.0.trees().put(tree)?);
        }
        for packed in &facts.packed {
            if packed.descriptor.digest != *diff_id {
                self.remember(&packed.descriptor.digest, &packed.diff_id(diff_id))?;
            }
        }
        self.0.owner()?.claim(&[*diff_id])?;
        let _lock = self.lock_facts(diff_id)?;
        let old = self.get(diff_id)?.map(|layer| layer.facts);
        let mut new = old.clone().unwrap_or_default();
        new.learn(facts);
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        self.write(diff_id, &new, old.is_some())
    }

    /// Changes what is known of a layer, under its lock, and gives the result.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it was never put.
    pub fn update(
        &self,
        diff_id: &Digest,
        change: impl FnOnce(&mut Facts),
    ) -> Result<Facts, Error> {
        let _lock = self.lock_facts(diff_id)?;
        let mut facts = self.known(diff_id)?.facts;
        let old = facts.clone();
        change(&mut facts);
        if facts != old {
            for packed in &facts.packed {
                if packed.descriptor.digest != *diff_id {
                    self.remember(&packed.descriptor.digest, &packed.diff_id(diff_id))?;
                }
            }
            self.write(diff_id, &facts, true)?;
        }
        Ok(facts)
    }

    /// Facts that stand already are synced before others take their place: a sealed image may
    /// need them.
    fn write(&self, diff_id: &Digest, facts: &Facts, stand: bool) -> Result<(), Error> {
        let owner = self.0.owner()?;
        let path = self.0.layout().layer(diff_id);
        let new = NewFile::create_in(&owner.tmp()?)?;
        std::io::Write::write_all(&mut new.file(), &facts.encode())
            .map_err(Error::on("write", &path))?;
        if stand {
            new.file().sync_all().map_err(Error::on("sync", &path))?;
        }
        owner.place(Unsynced::Layer, Some(diff_id), || Ok(new.keep(&path)?))?;
        Ok(())
    }

    /// The tree of a layer; `None` when it is not known, or its bytes were not seen yet.
    ///
    /// # Errors
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn tree(&self, diff_id: &Digest) -> Result<Option<Arc<Tree>>, Error> {
        match self.get(diff_id)?.and_then(|layer| layer.facts.tree) {
            Some(tree) => self.0.trees().get(&tree),
            None => Ok(None),
        }
    }

    /// The unpacked body of a layer, where there is one.
    ///
    /// # Errors
    /// What the system said.
    pub fn unpacked(&self, diff_id: &Digest) -> Result<Option<Body>, Error> {
        sha256(diff_id)?;
        let folder = self.0.layout().unpacked(diff_id);
        Ok(exists(&folder)?.then_some(Body { folder }))
    }

    /// Makes the finished folder `prepared`, which has `root/` in it, the unpacked body of a
    /// layer, whole or not at all. It must be on the file system of the store, as
    /// [`Build::tmp`](crate::Build::tmp) is. When there is a body already, that one counts and
    /// `prepared` is removed.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) without a `root/`; what the system said.
    pub fn adopt(&self, diff_id: &Digest, prepared: &Path) -> Result<Body, Error> {
        sha256(diff_id)?;
        if !exists(&prepared.join(Body::ROOT))? {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("adopt `{}`: there is no `root` in it", prepared.display()),
            ));
        }
        let owner = self.0.owner()?;
        owner.claim(&[*diff_id])?;
        let folder = self.0.layout().unpacked(diff_id);
        let taken = owner.place(Unsynced::Body, Some(diff_id), || {
            match fs::rename(prepared, &folder) {
                Ok(()) => Ok(true),
                Err(_) if exists(&folder)? => Ok(false),
                Err(e) => Err(Error::on("write", &folder)(e)),
            }
        })?;
        if !taken {
            self.0
                .base()
                .remove_folder(prepared)
                .map_err(Error::on("remove", prepared))?;
        }
        Ok(Body { folder })
    }

    /// Removes the unpacked body of a layer; whether there was one. It is for the caller to know
    /// that it is not mounted, and can be made again.
    ///
    /// # Errors
    /// What the system said.
    pub fn evict(&self, diff_id: &Digest) -> Result<bool, Error> {
        let Some(body) = self.unpacked(diff_id)? else {
            return Ok(false);
        };
        self.0.base().discard(&body.folder)
    }

    /// Takes the lock of a layer: around making a body, so that two do not make it twice.
    /// Not to be held while [`files`](Layers::files) is called for the same layer.
    ///
    /// # Errors
    /// What the system said.
    pub fn lock(&self, diff_id: &Digest) -> Result<Lease, Error> {
        sha256(diff_id)?;
        Ok(Lease::take(&self.0.layout().lock(&diff_id.hex()))?)
    }

    fn lock_facts(&self, diff_id: &Digest) -> Result<Lease, Error> {
        let name = format!("{}-facts", diff_id.hex());
        Ok(Lease::take(&self.0.layout().lock(&name))?)
    }

    /// A blob of a layer that will do where `form` is asked for, when it is here: rather of that form
    /// than what came from elsewhere.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when the layer was never put.
    pub fn packed(
        &self,
        diff_id: &Digest,
        form: impl Into<Form>,
    ) -> Result<Option<PackedAs>, Error> {
        let form = form.into();
        let facts = self.known(diff_id)?.facts;
        let here = |p: &&PackedAs| p.serves(&form) && self.0.blobs().has(&p.descriptor.digest);
        let mut found: Vec<&PackedAs> = facts.packed.iter().filter(here).collect();
        found.sort_by_key(|p| !p.is(&form));
        if let Some(best) = found.first() {
            return Ok(Some((*best).clone()));
        }
        if form.compression == Compression::None
            && let Some(size) = self.0.blobs().size(diff_id)?
        {
            let media_type = form.compression.layer_media_type();
            let blob = Descriptor::new(media_type, *diff_id, size);
            return Ok(Some(PackedAs::foreign(form.compression, blob)));
        }
        Ok(None)
    }

    /// The diff id of a compressed blob; `None` when such a blob was never seen.
    ///
    /// # Errors
    /// What the system said.
    pub fn diff_id_of(&self, blob: &Digest) -> Result<Option<Digest>, Error> {
        sha256(blob)?;
        let Some(text) = read(&self.0.layout().diff(blob))? else {
            return Ok(None);
        };
        // What a power failure tore is as good as absent.
        Ok(std::str::from_utf8(&text).ok().and_then(|t| t.parse().ok()))
    }

    fn remember(&self, blob: &Digest, diff_id: &Digest) -> Result<(), Error> {
        if self.diff_id_of(blob)? == Some(*diff_id) {
            return Ok(());
        }
        self.0.owner()?.claim(&[*blob])?;
        let tmp = self.0.owner()?.tmp()?;
        let text = diff_id.to_string();
        Ok(kiln_durable::replace_by(
            &tmp,
            &self.0.layout().diff(blob),
            text.as_bytes(),
        )?)
    }

    pub(crate) fn known(&self, diff_id: &Digest) -> Result<Layer, Error> {
        self.get(diff_id)?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("find the layer `{diff_id}`")))
    }

    /// Forgets all of a layer but its blobs: for what was found to be damaged.
    pub(crate) fn forget(&self, diff_id: &Digest) -> Result<bool, Error> {
        remove_file(&self.0.layout().layer(diff_id))
    }
}
