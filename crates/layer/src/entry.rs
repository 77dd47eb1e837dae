//! What is known of one entry of a tree: where, whose, when, and what kind of thing. No IO.

use std::{collections::BTreeMap, sync::Arc};

use kiln_image::{Algorithm, Digest};

use crate::LayerPath;

/// A point in time, in seconds since 1970-01-01 UTC; negative before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds, rounded towards the past.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, below 1,000,000,000.
    pub nanos: u32,
}

impl Time {
    /// A time of whole seconds.
    pub const fn at(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The same time without its fraction of a second.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self::at(self.seconds)
    }
}

/// What every kind of entry has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Permissions with setuid, setgid and sticky: the low twelve bits (`0o7777`).
    pub mode: u32,
    /// The owner's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// When the content was last changed.
    pub mtime: Time,
    /// Extended attributes, by their full names (`user.x`, `security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Meta {
    /// What `entry` has after a program like tar put this on it: attributes are added to those that are
    /// there, and a symbolic link has no mode and no time to put.
    #[must_use]
    pub(crate) fn put_on(mut self, entry: &Entry) -> Self {
        if matches!(entry.kind, Kind::Symlink { .. }) {
            (self.mode, self.mtime) = (entry.meta.mode, entry.meta.mtime);
        }
        let mut xattrs = entry.meta.xattrs.clone();
        xattrs.append(&mut self.xattrs);
        Self { xattrs, ..self }
    }

    /// Metadata with `mode`, owned by 0:0, of 1970, without attributes.
    pub fn with_mode(mode: u32) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }
}

/// The content of a regular file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// Its length in bytes.
    pub size: u64,
    /// The BLAKE3 of its content.
    pub digest: Digest,
    /// Where its content begins in the uncompressed tar; 0 where there is none. Of a
    /// [sparse](File::is_sparse) file of a foreign tar: where the first of its headers is, with
    /// [`File::SPARSE`] added.
    pub offset: u64,
    /// The content itself, kept for the few small files that planning needs.
    pub inline: Option<Arc<[u8]>>,
}

impl File {
    /// What is added to the offset of a sparse file.
    pub const SPARSE: u64 = 1 << 63;

    /// Whether the tar has the file with holes, so that its content is not one range of it. This
    /// crate reads such files, and never writes them.
    pub const fn is_sparse(&self) -> bool {
        self.offset & Self::SPARSE != 0
    }

    /// Where to begin reading in the tar: `offset` without [`File::SPARSE`].
    pub const fn position(&self) -> u64 {
        self.offset & !Self::SPARSE
    }

    /// A file whose content has not been read yet: its digest is found when it is packed.
    pub const fn unread(size: u64) -> Self {
        Self {
            size,
            digest: Digest::new(Algorithm::Blake3, [0; 32]),
            offset: 0,
            inline: None,
        }
    }

    /// Whether the digest is still to be found.
    pub fn is_unread(&self) -> bool {
        self.digest.bytes() == &[0; 32]
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File(File),
    /// A folder. Opaque: nothing of the lower layers shows through.
    Dir {
        /// Whether it hides what the lower layers have in it.
        opaque: bool,
    },
    /// A symbolic link.
    Symlink {
        /// What it says, as it says it.
        target: Vec<u8>,
    },
    /// Another name of a regular file. Its [`Meta`] is that of the file.
    Hardlink {
        /// The name of the file that it is; itself not a hard link where that is known.
        target: LayerPath,
    },
    /// A character device.
    Char {
        /// The driver.
        major: u32,
        /// The device of that driver.
        minor: u32,
    },
    /// A block device.
    Block {
        /// The driver.
        major: u32,
        /// The device of that driver.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// The removal of what the lower layers have at this path.
    Whiteout,
}

impl Kind {
    /// What a person calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::File(_) => "file",
            Kind::Dir { .. } => "folder",
            Kind::Symlink { .. } => "symbolic link",
            Kind::Hardlink { .. } => "hard link",
            Kind::Char { .. } => "character device",
            Kind::Block { .. } => "block device",
            Kind::Fifo => "named pipe",
            Kind::Whiteout => "whiteout",
        }
    }
}

/// One entry of a [`Tree`](crate::Tree).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Where it is.
    pub path: LayerPath,
    /// Mode, owner, time, attributes. Of no meaning for a whiteout.
    pub meta: Meta,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// A folder that does not hide anything.
    pub fn folder(path: LayerPath, meta: Meta) -> Self {
        Self {
            path,
            meta,
            kind: Kind::Dir { opaque: false },
        }
    }

    /// The removal of `path`.
    pub fn whiteout(path: LayerPath) -> Self {
        Self {
            path,
            meta: Meta::default(),
            kind: Kind::Whiteout,
        }
    }

    /// Whether it is a folder.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir { .. })
    }

    /// Whether it is a whiteout.
    pub fn is_whiteout(&self) -> bool {
        matches!(self.kind, Kind::Whiteout)
    }

    /// The content, where it is a regular file under its first name.
    pub fn file(&self) -> Option<&File> {
        match &self.kind {
            Kind::File(file) => Some(file),
            _ => None,
        }
    }
}
