//! Opening files that lie together: the folder of the last one stays open, so that the next one is
//! found by its name alone. Never through a link and never outside the root, as [`at::open`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Result,
};

use super::at;
use crate::LayerPath;

/// Opens files beneath a root, one after the other.
pub(super) struct Near<'a> {
    root: BorrowedFd<'a>,
    /// The folder of the last one, and its descriptor once it was the folder of two.
    folder: Vec<u8>,
    opened: Option<OwnedFd>,
}

impl<'a> Near<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Self {
        Self {
            root,
            folder: Vec::new(),
            opened: None,
        }
    }

    pub(super) fn open(&mut self, path: &LayerPath, flags: OFlags) -> Result<OwnedFd> {
        let bytes = path.as_bytes();
        let Some(slash) = bytes.iter().rposition(|b| *b == b'/') else {
            return at::open(self.root, path, flags);
        };
        let (folder, name) = (&bytes[..slash], &bytes[slash + 1..]);
        if self.folder != folder {
            self.folder.clear();
            self.folder.extend_from_slice(folder);
            self.opened = None;
            return at::open(self.root, path, flags);
        }
        let folder = match &self.opened {
            Some(opened) => opened,
            None => {
                let folder = path.parent().unwrap_or_default();
                let opened = at::open(self.root, &folder, at::FOLDER)?;
                self.opened.insert(opened)
            }
        };
        openat(
            folder.as_fd(),
            name,
            flags | OFlags::NOFOLLOW,
            Mode::empty(),
        )
    }
}
