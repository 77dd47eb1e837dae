//! How much of the disk is used by what, and how much of that could be freed.

use std::collections::HashSet;

use kiln_image::{Algorithm, Digest};

use crate::{
    Error, ImageRecord, Store,
    base::exists,
    collect::{Roots, closure},
};

/// One kind of thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How many there are.
    pub total: usize,
    /// How many of them something uses.
    pub active: usize,
    /// Bytes on disk, each counted once.
    pub size: u64,
    /// How many of those would be freed with what nothing uses.
    pub reclaimable: u64,
}

/// What uses the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images; active are those that a container keeps.
    pub images: Row,
    /// Containers: how many there are, and what only they keep in the store. Their own files and
    /// whether they run are for the keeper of containers to add.
    pub containers: Row,
    /// Build cache: what neither an image nor a container keeps; active are the records of which
    /// all is kept by one.
    pub cache: Row,
}

/// What one image takes on disk, whoever shares it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// All that is here of it: documents, packed layers, unpacked ones.
    pub disk: u64,
    /// Of that, the blobs.
    pub content: u64,
}

impl Store {
    /// What an image takes on disk; with all images of its index, where it stands for one.
    ///
    /// # Errors
    /// [`Damaged`](crate::ErrorKind::Damaged).
    pub fn footprint(&self, image: &ImageRecord) -> Result<Footprint, Error> {
        let all = closure(self, image.keeps())?;
        let mut content = 0;
        for digest in all.iter().filter(|d| d.algorithm() == Algorithm::Sha256) {
            content += self.blobs().size(digest)?.unwrap_or(0);
        }
        Ok(Footprint {
            disk: self.bytes(all.iter())?,
            content,
        })
    }

    /// Sums up what is in the store.
    ///
    /// # Errors
    /// [`Damaged`](crate::ErrorKind::Damaged).
    pub fn usage(&self) -> Result<Usage, Error> {
        let roots = Roots::read(self)?.good;
        let kept = |kind: &'static str| {
            let of_kind = roots.iter().filter(move |(name, _)| name.starts_with(kind));
            of_kind.map(|(_, root)| root.keeps.as_slice())
        };
        let all = |kind| closure(self, kept(kind).flatten().copied());
        let (images, containers) = (all("image/")?, all("container/")?);

        let in_use: HashSet<Digest> = kept("container/").flatten().copied().collect();
        let list = self.images().list()?;
        let (active, idle): (Vec<_>, Vec<_>) = list
            .iter()
            .map(|listed| &listed.image)
            .partition(|image| in_use.contains(&image.id));
        let of_active = closure(self, active.iter().flat_map(|image| image.keeps()))?;
        let size = self.bytes(images.iter())?;
        let needed = self.bytes(images.intersection(&of_active))?;

        let others: HashSet<Digest> = images.union(&containers).copied().collect();
        let cached = all("cache/")?;
        let free = self.bytes(cached.difference(&others))?;
        let whole = |keeps: &&[Digest]| keeps.iter().all(|d| others.contains(d));
        Ok(Usage {
            images: Row {
                total: active.len() + idle.len(),
                active: active.len(),
                size,
                reclaimable: size - needed,
            },
            containers: Row {
                total: kept("container/").count(),
                active: 0,
                size: self.bytes(containers.difference(&images))?,
                reclaimable: 0,
            },
            cache: Row {
                total: kept("cache/").count(),
                active: kept("cache/").filter(whole).count(),
                size: free,
                reclaimable: free,
            },
        })
    }

    /// What these take on disk: blobs, trees, and unpacked bodies by the bytes of their files.
    fn bytes<'a>(&self, digests: impl Iterator<Item = &'a Digest>) -> Result<u64, Error> {
        let mut sum = 0;
        for digest in digests {
            if digest.algorithm() == Algorithm::Blake3 {
                let tree = std::fs::metadata(self.layout().tree(digest));
                sum += tree.map_or(0, |m| m.len());
                continue;
            }
            sum += self.blobs().size(digest)?.unwrap_or(0);
            if exists(&self.layout().unpacked(digest))? {
                let layer = self.layers().get(digest)?;
                sum += layer.map_or(0, |l| l.facts.content);
            }
        }
        Ok(sum)
    }
}
