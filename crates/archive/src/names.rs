//! How archives name their images: annotations in `index.json` (OCI image-spec, annotations.md, and
//! containerd's).

use kiln_image::{Descriptor, Digest, Reference};

/// The whole name, as containerd, docker and buildkit write it.
const WHOLE: &str = "io.containerd.image.name";
/// A tag, or whatever the writer thought best.
pub(crate) const TAG: &str = "org.opencontainers.image.ref.name";

/// Where the blob with a digest lies in an OCI layout.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// The name that an entry of an index is given, where it is a whole one. A mere tag is not: it does
/// not say of what.
pub(crate) fn name(entry: &Descriptor) -> Option<Reference> {
    if let Some(whole) = entry.annotations.get(WHOLE) {
        return whole.parse().ok();
    }
    let name = entry.annotations.get(TAG)?;
    match name.contains(['/', ':']) {
        true => name.parse().ok(),
        false => None,
    }
}

/// An entry of an index for `document`, with that name or none.
pub(crate) fn entry(document: &Descriptor, name: Option<&Reference>) -> Descriptor {
    let mut entry = document.clone();
    entry.annotations.remove(WHOLE);
    entry.annotations.remove(TAG);
    if let Some(name) = name {
        entry.annotations.insert(WHOLE.to_owned(), name.to_string());
        if let Some(tag) = name.tag() {
            entry.annotations.insert(TAG.to_owned(), tag.to_owned());
        }
    }
    entry
}
