//! Images from an archive into the store: of an index all images that are in the archive, so that what
//! was saved is what comes back, or the one that is asked for. Refuses an archive without any that
//! will do.

use std::{io, path::Path};

use kiln_archive::{Entry, Reader};
use kiln_image::{
    Descriptor, Digest, Index, Platform, Raw, Reference, Select, Source, copy, media,
};
use kiln_store::ImageRecord;

use super::{On, tell};
use crate::{Builder, Error, ErrorKind};

/// An image that was read from an archive.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The names it has there.
    pub names: Vec<Reference>,
    /// The image id; of several platforms that of this machine's, else of the first.
    pub id: Digest,
    /// The platforms that its index names and the archive has not.
    pub lacking: Vec<Platform>,
}

/// Where an archive is read from.
pub enum From<'a> {
    /// A file, or the folder of an OCI layout.
    Path(&'a Path),
    /// A stream, read once.
    Stream(&'a mut (dyn io::Read + Send)),
}

impl Builder {
    /// Reads the images of an archive: an OCI layout or a docker archive, perhaps compressed. Of an
    /// index all images that are there, or the one for `platform`.
    ///
    /// # Errors
    /// When the archive is neither, or damaged; [`NotFound`](ErrorKind::NotFound) when an image in it is
    /// not for the platform.
    pub fn load(
        &self,
        from: From<'_>,
        platform: Option<&Platform>,
        on: On<'_>,
    ) -> Result<Vec<Loaded>, Error> {
        let build = self.store().begin()?;
        let spool = build.tmp()?;
        let reader = match from {
            From::Path(path) => Reader::open(path, &spool)?,
            From::Stream(stream) => Reader::from_stream(stream, &spool)?,
        };
        let mut loaded = Vec::new();
        for entry in reader.images() {
            let intake = Intake {
                build: &build,
                reader: &reader,
                on,
            };
            loaded.push(intake.entry(entry, platform)?);
        }
        build.seal()?;
        Ok(loaded)
    }
}

struct Intake<'a> {
    build: &'a kiln_store::Build,
    reader: &'a Reader,
    on: On<'a>,
}

impl Intake<'_> {
    fn entry(&self, entry: &Entry, platform: Option<&Platform>) -> Result<Loaded, Error> {
        let mut lacking = Vec::new();
        let images = match media::is_index(&entry.descriptor.media_type) {
            true => self.index(&entry.descriptor, platform, &mut lacking)?,
            false => vec![self.image(&entry.descriptor)?],
        };
        let host = Platform::host();
        let own = images.iter().find(|image| image.platform.serves(&host));
        let Some(own) = own.or(images.first()) else {
            return Err(Error::new(ErrorKind::NotFound, "an index without images"));
        };
        if let Some(wanted) = platform
            && own.for_platform(wanted).is_none()
        {
            let name = entry.names.first().map(Reference::familiar);
            let name = name.unwrap_or_else(|| own.id.to_string());
            let what = format!(
                "`{name}` is in the archive for {}, not for {wanted}",
                own.platform
            );
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        let named = match &images[..] {
            [_] => own.clone(),
            several => own.clone().of_index(several),
        };
        for name in &entry.names {
            // As docker does: who names a digest gets the digest, and no tag.
            let name = match name.digest() {
                Some(digest) => &name.with_digest(digest),
                None => name,
            };
            self.build.name(name, &named)?;
        }
        Ok(Loaded {
            names: entry.names.clone(),
            id: own.id,
            lacking,
        })
    }

    /// The images of an index, each with a platform; notes about images are none.
    fn index(
        &self,
        found: &Descriptor,
        platform: Option<&Platform>,
        lacking: &mut Vec<Platform>,
    ) -> Result<Vec<ImageRecord>, Error> {
        let index: Raw<Index> = Raw::parse(self.reader.document(found)?)?;
        if let Some(wanted) = platform {
            let chosen = index.for_platform(wanted)?.clone();
            return Ok(vec![self.image(&chosen)?]);
        }
        let (mut images, mut failed) = (Vec::new(), None);
        for child in &index.manifests {
            let of = child.platform.as_ref();
            if of.is_some_and(|of| of.os == "unknown") {
                continue;
            }
            match self.image(child) {
                Ok(image) => images.push(image),
                // As docker saves them: the index names more than there is.
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    lacking.extend(of.cloned());
                    failed.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        match failed {
            Some(e) if images.is_empty() => Err(e),
            _ => Ok(images),
        }
    }

    /// One image, or that of this machine's platform in an index.
    fn image(&self, found: &Descriptor) -> Result<ImageRecord, Error> {
        let at = At {
            reader: self.reader,
            found: found.clone(),
        };
        let select = Select::Platform(Platform::host());
        let sink = self.build.sink();
        let what = nameless(found.digest);
        let told = |p: kiln_image::Progress<'_>| tell(self.on, &p);
        let copied = copy(&at, &sink, &what, &[], &select, &told)?;
        Ok(sink.image(&copied)?)
    }
}

fn nameless(digest: Digest) -> Reference {
    let base: Reference = "localhost/kiln".parse().expect("a constant that is a name");
    base.with_digest(digest)
}

/// An archive of which one document is asked for.
struct At<'a> {
    reader: &'a Reader,
    found: Descriptor,
}

impl Source for At<'_> {
    fn resolve(&self, _: &Reference) -> Result<Descriptor, kiln_image::Error> {
        Ok(self.found.clone())
    }

    fn document(&self, document: &Descriptor) -> Result<Vec<u8>, kiln_image::Error> {
        self.reader.document(document)
    }

    fn blob(&self, blob: &Descriptor, from: u64) -> io::Result<Box<dyn io::Read + Send>> {
        self.reader.blob(blob, from)
    }

    fn locations(&self, blob: &Descriptor) -> Vec<kiln_image::Location> {
        self.reader.locations(blob)
    }
}
