//! A file that was fetched: what is known of it, and its bytes. Refuses to take a kept one for whole
//! that a power failure may have torn, without reading it.

use std::{fs, io, sync::Arc};

use kiln_image::Digest;
use kiln_layer::{Entry, File, Files, Kind, LayerPath, Meta, Time, Tree};
use serde::{Deserialize, Serialize};

use super::{
    body::{Hashes, PART},
    headers::Validators,
};
use crate::{
    Error, ErrorKind,
    slot::{self, Slot},
    spool::{Range, Spool},
};

const NOTE: &str = "file.json";
/// Before the sha256 in the names of whole files.
const BODY: &str = "body-";

/// What is known of a file that is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) sha256: Digest,
    pub(super) blake3: Digest,
    pub(super) size: u64,
    pub(super) validators: Validators,
    pub(super) name: Option<String>,
    pub(super) content_type: Option<String>,
    /// In which boot it was written or read last.
    pub(super) boot: String,
}

/// A file that was fetched. It is held open: what happens to the folder that it was kept in does not
/// matter to it.
#[derive(Clone, Debug)]
pub struct Download {
    file: Arc<fs::File>,
    note: Note,
}

impl Download {
    /// Its sha256.
    pub fn digest(&self) -> Digest {
        self.note.sha256
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.note.size
    }

    /// Its name: as the other side has it, else the last component of the address; one component,
    /// never `.` or `..`. `None` where neither has one.
    pub fn name(&self) -> Option<&str> {
        self.note.name.as_deref()
    }

    /// When it was changed, as the other side has it, in seconds since 1970.
    pub fn last_modified(&self) -> Option<i64> {
        self.note.validators.modified()
    }

    /// Its entity tag, as it was sent.
    pub fn etag(&self) -> Option<&str> {
        self.note.validators.etag.as_deref()
    }

    /// Its media type, as it was sent.
    pub fn content_type(&self) -> Option<&str> {
        self.note.content_type.as_deref()
    }

    /// Its bytes, from the beginning.
    pub fn reader(&self) -> Range {
        Range::new(Arc::clone(&self.file), 0, self.note.size)
    }

    /// The file alone in a root, under `name`: mode 600, of root, changed when the other side says, else
    /// in 1970.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when `name` is none.
    pub fn files(&self, name: &str) -> Result<Arc<dyn Files>, Error> {
        let invalid = |e| {
            let what = format!("`{name}` is not the name of a file");
            Error::new(ErrorKind::Invalid, what).because(e)
        };
        let entry = Entry {
            path: LayerPath::root().join(name).map_err(invalid)?,
            meta: Meta {
                mtime: Time::at(self.last_modified().unwrap_or(0)),
                ..Meta::with_mode(0o600)
            },
            kind: Kind::File(File {
                size: self.note.size,
                digest: self.note.blake3,
                offset: 0,
                inline: None,
            }),
        };
        Ok(Arc::new(Spool {
            tree: Tree::from_entries(vec![entry]),
            file: Arc::clone(&self.file),
        }))
    }

    pub(super) fn validators(&self) -> &Validators {
        &self.note.validators
    }

    /// What is kept in `slot` and whole. What is not is removed.
    pub(super) fn kept(slot: &Slot) -> Result<Option<Self>, Error> {
        let Some(mut note) = slot.read::<Note>(NOTE) else {
            return Ok(None);
        };
        let Ok(file) = fs::File::open(slot.path(&body(&note.sha256))) else {
            return Ok(None);
        };
        let size = file.metadata().map_or(0, |meta| meta.len());
        let same_boot = note.boot == slot::boot() && !note.boot.is_empty();
        let whole = size == note.size && (same_boot || is(&file, &note.sha256));
        if !whole {
            slot.remove(NOTE)?;
            slot.remove(&body(&note.sha256))?;
            return Ok(None);
        }
        if !same_boot {
            note.boot = slot::boot();
            slot.write(NOTE, &note)?;
        }
        let file = Arc::new(file);
        Ok(Some(Self { file, note }))
    }

    /// Keeps what came in `slot`, in place of what was kept before.
    pub(super) fn keep(slot: &Slot, note: Note) -> Result<Self, Error> {
        let (part, whole) = (slot.path(PART), slot.path(&body(&note.sha256)));
        let failed = |e| Error::io(slot::shown("keep", &whole), e);
        fs::rename(&part, &whole).map_err(failed)?;
        let file = Arc::new(fs::File::open(&whole).map_err(failed)?);
        slot.write(NOTE, &note)?;
        let now = body(&note.sha256);
        for other in slot.names() {
            if other.starts_with(BODY) && other != now {
                slot.remove(&other)?;
            }
        }
        Ok(Self { file, note })
    }

    /// The same file, of which the other side now says something else.
    pub(super) fn refreshed(mut self, slot: &Slot, now: Validators) -> Result<Self, Error> {
        let before = self.note.validators.clone();
        let after = Validators {
            etag: now.etag.or_else(|| before.etag.clone()),
            last_modified: now.last_modified.or_else(|| before.last_modified.clone()),
        };
        if after != before {
            self.note.validators = after;
            slot.write(NOTE, &self.note)?;
        }
        Ok(self)
    }
}

fn body(sha256: &Digest) -> String {
    format!("{BODY}{}", sha256.hex())
}

fn is(file: &fs::File, sha256: &Digest) -> bool {
    let mut file: &fs::File = file;
    let hashes = Hashes::read(&mut file);
    let rewound = io::Seek::rewind(&mut file);
    rewound.is_ok() && hashes.is_ok_and(|hashes| hashes.finish().0 == *sha256)
}
