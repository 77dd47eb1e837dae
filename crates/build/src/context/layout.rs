//! An image of an OCI layout in a folder, to stand for an image of a Dockerfile. Refuses layouts that do
//! not say which of their images is meant.

use std::{fmt, path::Path, sync::Arc};

use kiln_archive::{Entry, LayoutDirectory};
use kiln_image::{Digest, Reference, Source};

use crate::{Error, ErrorKind};

/// An image of an OCI layout in a folder.
#[derive(Clone)]
pub struct LayoutImage {
    layout: Arc<LayoutDirectory>,
    reference: Reference,
}

impl LayoutImage {
    /// What `text` says: `FOLDER`, `FOLDER:TAG` or `FOLDER@DIGEST`. Without either it is the image
    /// with the tag `latest`.
    ///
    /// # Errors
    /// When the folder has no layout, or the layout no such image.
    pub fn open(text: &str) -> Result<Self, Error> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (folder, tag) = match rest.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') => (folder, Some(tag)),
            _ => (rest, None),
        };
        let layout = LayoutDirectory::open(Path::new(folder))?;
        let images = layout.images();
        let found = images.iter().find(|image| match digest {
            Some(digest) => image.descriptor.digest == digest,
            None => is_tagged(image, tag.unwrap_or("latest")),
        });
        let Some(found) = found else {
            return Err(missing(folder, tag.unwrap_or("latest"), digest, &images));
        };
        Ok(Self {
            reference: found.reference().with_digest(found.descriptor.digest),
            layout: Arc::new(layout),
        })
    }

    /// The name that it has in a build.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Where it is read from.
    pub fn source(&self) -> &dyn Source {
        &*self.layout
    }
}

impl fmt::Debug for LayoutImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LayoutImage").field(&self.reference).finish()
    }
}

fn is_tagged(image: &Entry, tag: &str) -> bool {
    let named = |name: &Reference| name.tag() == Some(tag);
    image.tag.as_deref() == Some(tag) || image.names.iter().any(named)
}

fn missing(folder: &str, tag: &str, digest: Option<Digest>, images: &[Entry]) -> Error {
    let what = match digest {
        Some(digest) => format!("the layout in `{folder}` has no image `{digest}`"),
        None => format!("the layout in `{folder}` has no image with the tag `{tag}`"),
    };
    let named = |image: &Entry| {
        let mut names = image.names.iter().filter_map(Reference::tag);
        let tag = image.tag.as_deref().or(names.next());
        match tag {
            Some(tag) => format!("`:{tag}`"),
            None => format!("`@{}`", image.descriptor.digest),
        }
    };
    let there: Vec<String> = images.iter().take(6).map(named).collect();
    let error = Error::new(ErrorKind::NotFound, what);
    match there.is_empty() {
        true => error.hint("it has none at all"),
        false => error.hint(format!("there is {}", there.join(", "))),
    }
}
