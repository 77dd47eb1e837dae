//! Images from one place to another: pull, push, save, load, import. Each is `image::copy` between
//! two places, or as near to it as the place allows.

mod load;
mod plain;
mod push;

use std::io;

use kiln_archive::Writer;
use kiln_image::{
    Config, Descriptor, Digest, History, Platform, Progress, Raw, Reference, Select, copy,
};
use kiln_layer::{Nothing, apply, decompress};
use kiln_store::Facts;

use crate::{Builder, Error, ErrorKind, Transfer, time};

pub use load::{From, Loaded};
pub(crate) use plain::plain_layer;
pub use push::{Push, Pushed};
pub(crate) use push::{form, form_of, learn, upload};

/// What a pull gave.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The manifest.
    pub descriptor: Descriptor,
    /// The image id.
    pub id: Digest,
    /// What it is for: an image that is in no index is pulled whatever it is for.
    pub platform: Platform,
    /// Whether the name stood for something else before, or for nothing.
    pub new: bool,
}

type On<'a> = &'a (dyn Fn(Transfer<'_>) + Sync);

fn tell(on: On<'_>, progress: &Progress<'_>) {
    match progress {
        Progress::Layers(layers) => on(Transfer::Layers(layers)),
        Progress::Bytes(layer, bytes) => on(Transfer::Bytes(layer, *bytes)),
        Progress::Taken(layer, how) => on(Transfer::Taken(layer, *how)),
        Progress::Resolved(_) => {}
    }
}

impl Builder {
    /// Pulls an image from its registry.
    ///
    /// # Errors
    /// What the registry says; [`Mismatch`](ErrorKind::Mismatch) when the bytes are not what their
    /// digests say. Nothing half-pulled is ever named.
    pub fn pull(&self, name: &Reference, platform: &Platform, on: On<'_>) -> Result<Pulled, Error> {
        let build = self.store().begin()?;
        let remote = self.client().repository(name);
        let select = Select::Platform(platform.clone());
        let names = std::slice::from_ref(name);
        let descriptor = copy(&remote, &build.sink(), name, names, &select, &|p| {
            tell(on, &p);
        })?;
        let before = build.seal()?;
        let Some(record) = self.store().images().get(name)? else {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("`{name}` after it was pulled"),
            ));
        };
        let old = before
            .into_iter()
            .find_map(|(n, old)| (n == *name).then_some(old))
            .flatten();
        Ok(Pulled {
            descriptor,
            id: record.id,
            platform: record.platform,
            new: old.is_none_or(|old| old.id != record.id),
        })
    }

    /// Writes images to one archive, as `docker save` does: an OCI layout that is a docker archive
    /// as well. Of a name that stands for several platforms all of them, or the one that is said.
    ///
    /// # Errors
    /// When an image is not there, or not for the platform; when the archive cannot be written.
    pub fn save(
        &self,
        names: &[String],
        platform: Option<&Platform>,
        out: &mut dyn io::Write,
    ) -> Result<(), Error> {
        let mut images = Vec::new();
        for name in names {
            let found = self.store().images().find_for(name, platform)?;
            images.push((found.image, found.name));
        }
        let source = plain::Plain::new(self, &images.iter().map(|i| &i.0).collect::<Vec<_>>())?;
        let mut writer = Writer::new(&source);
        for (image, name) in &images {
            let what = source.reference(image);
            writer.add(&what, name.as_slice(), &Select::All)?;
        }
        writer.write(out, &|_| {})?;
        Ok(())
    }

    /// Makes an image of one layer from the tar of a root file system, perhaps compressed.
    ///
    /// # Errors
    /// When it is not a tar, or a dangerous one.
    pub fn import(
        &self,
        tar: &mut (dyn io::Read + Send),
        name: Option<&Reference>,
        message: Option<&str>,
    ) -> Result<Digest, Error> {
        let build = self.store().begin()?;
        let (_, plain) = decompress(tar)?;
        let mut tee = Tee {
            from: plain,
            to: self.store().blobs().create_hashed()?,
        };
        let applied = apply(&mut tee, &mut Nothing)?;
        io::copy(&mut tee, &mut io::sink()).map_err(|e| Error::io("read the archive", e))?;
        tee.to.finish(&applied.diff_id, applied.size)?;
        let files = applied.tree.iter().filter_map(kiln_layer::Entry::file);
        let facts = Facts {
            size: applied.size,
            content: files.map(|f| f.size).sum(),
            ..Facts::default()
        };
        self.store()
            .layers()
            .put(&applied.diff_id, facts, Some(&applied.tree))?;
        let created = time::rfc3339(time::now());
        let mut config = Config::scratch(&Platform::host());
        config.created = Some(created.clone());
        config.rootfs.diff_ids.push(applied.diff_id);
        config.history.push(History {
            created: Some(created),
            comment: Some(message.unwrap_or("Imported from -").to_owned()),
            ..History::default()
        });
        let record = build.put_image(&Raw::new(config), None, None)?;
        if let Some(name) = name {
            build.name(name, &record)?;
        }
        build.seal()?;
        Ok(record.id)
    }
}

/// Reads, and writes what was read.
struct Tee<R, W> {
    from: R,
    to: W,
}

impl<R: io::Read, W: io::Write> io::Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}
