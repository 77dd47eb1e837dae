//! What is known of a layer, whatever bodies it has here: facts outlive bodies.

use std::collections::BTreeSet;

use kiln_image::{Descriptor, Digest, Location, media::Compression};
use kiln_layer::indexed::Layout;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// A layer that the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// What is known of it.
    pub facts: Facts,
}

/// What is known of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of the tar dialect, where kiln made the layer: it can then be packed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<u32>,
    /// How many bytes the uncompressed tar has.
    pub size: u64,
    /// How many bytes its files have together.
    pub content: u64,
    /// The digest of its tree; `None` until its bytes have been seen once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Digest>,
    /// What it is when compressed; the blobs may be here or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packed: Vec<PackedAs>,
    /// Who else has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Elsewhere>,
    /// The names of secrets that it was searched for, and that were not in it then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub searched: BTreeSet<String>,
}

/// A layer as a certain compressor packs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedAs {
    /// The format.
    #[serde(with = "compression")]
    pub compression: Compression,
    /// The compressor and its version; `foreign` when somebody else's.
    pub compressor: String,
    /// The level at which it was packed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<i32>,
    /// The blob. Annotations say where its table of contents is, if it has one.
    pub descriptor: Descriptor,
    /// The diff id of the tar in the blob, where that is not the layer's: an eStargz blob has its
    /// table of contents in the tar. It is for pushing, and no body of the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Digest>,
}

/// Which blob of a layer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// How it is compressed.
    pub compression: Compression,
    /// Whether it has a table of contents, and which.
    pub layout: Option<Layout>,
    /// At which level; `None`: at any.
    pub level: Option<i32>,
    /// Whether it has to be just that. Otherwise a blob that came from elsewhere is as good.
    pub exact: bool,
}

impl From<Compression> for Form {
    /// Just that compression, without a table of contents.
    fn from(compression: Compression) -> Self {
        Self {
            compression,
            layout: None,
            level: None,
            exact: true,
        }
    }
}

impl PackedAs {
    /// What somebody else packed.
    pub fn foreign(compression: Compression, descriptor: Descriptor) -> Self {
        Self {
            compression,
            compressor: FOREIGN.to_owned(),
            level: None,
            descriptor,
            inside: None,
        }
    }

    /// Whether the tar of the layer is in it.
    pub fn is_body(&self) -> bool {
        self.inside.is_none()
    }

    /// The diff id of the tar in it; the layer's is `layer`.
    pub fn diff_id(&self, layer: &Digest) -> Digest {
        self.inside.unwrap_or(*layer)
    }

    /// Whether it is of this form.
    pub fn is(&self, form: &Form) -> bool {
        let layout = Layout::of(&self.descriptor.annotations);
        self.compression == form.compression
            && layout.is_ok_and(|layout| layout == form.layout)
            && (form.level.is_none() || form.level == self.level)
    }

    /// Whether it will do where this form is asked for.
    pub fn serves(&self, form: &Form) -> bool {
        self.is(form) || (!form.exact && self.compressor == FOREIGN)
    }
}

/// A repository that has a blob of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The repository.
    #[serde(with = "LocationText")]
    pub location: Location,
    /// The blob that it has: one of those in [`Facts::packed`].
    pub digest: Digest,
}

/// The compressor of blobs that kiln did not make.
pub const FOREIGN: &str = "foreign";

/// How many repositories are remembered to have a layer.
const LOCATIONS: usize = 16;

impl Facts {
    /// The facts in a file.
    pub(crate) fn decode(diff_id: &Digest, bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|e| {
            let what = format!("read the facts of the layer `{diff_id}`: they are damaged");
            Error::new(ErrorKind::Damaged, what).because(e)
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("facts have string keys and no floats")
    }

    /// Adds what `new` knows. What kind of thing the layer is does not change.
    pub(crate) fn learn(&mut self, new: Facts) {
        self.dialect = new.dialect.or(self.dialect);
        self.tree = new.tree.or(self.tree);
        if new.size > 0 {
            (self.size, self.content) = (new.size, new.content);
        }
        for packed in new.packed {
            let same = |p: &PackedAs| {
                p.compressor == packed.compressor && p.descriptor.digest == packed.descriptor.digest
            };
            if !self.packed.iter().any(same) {
                self.packed.push(packed);
            }
        }
        self.searched.extend(new.searched);
        for location in new.locations {
            if !self.locations.contains(&location) {
                self.locations.push(location);
            }
        }
        // The newest are those that are most likely there.
        let old = self.locations.len().saturating_sub(LOCATIONS);
        self.locations.drain(..old);
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Location")]
struct LocationText {
    registry: String,
    repository: String,
}

mod compression {
    use kiln_image::media::Compression;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(c: &Compression, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(match c {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Compression, D::Error> {
        match String::deserialize(d)?.as_str() {
            "none" => Ok(Compression::None),
            "gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            other => Err(de::Error::unknown_variant(other, &["none", "gzip", "zstd"])),
        }
    }
}
