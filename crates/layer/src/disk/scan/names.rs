//! The names in a folder, without an allocation for each.

use std::{cmp::Ordering, ops::Range, os::fd::BorrowedFd};

use rustix::{fs::FileType, io::Result};

/// One name, in the text of [`Names`].
#[derive(Clone, Copy)]
struct Name {
    inode: u64,
    start: u32,
    end: u32,
    kind: FileType,
}

/// The names in a folder but `.` and `..`, in order.
pub(super) struct Names {
    text: Vec<u8>,
    names: Vec<Name>,
}

impl Names {
    pub(super) fn of(folder: BorrowedFd<'_>) -> Result<Self> {
        let mut all = Self {
            text: Vec::new(),
            names: Vec::new(),
        };
        read(folder, &mut |name, inode, kind| all.push(name, inode, kind))?;
        let Self { text, names } = &mut all;
        let name = |n: &Name| &text[n.start as usize..n.end as usize];
        names.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        Ok(all)
    }

    fn push(&mut self, name: &[u8], inode: u64, kind: FileType) {
        if matches!(name, b"." | b"..") {
            return;
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name);
        self.names.push(Name {
            inode,
            start,
            end: self.text.len() as u32,
            kind,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// A name, and what the folder says that it is.
    pub(super) fn get(&self, place: usize) -> (&[u8], FileType) {
        let name = self.names[place];
        (
            &self.text[name.start as usize..name.end as usize],
            name.kind,
        )
    }

    /// The places of some of them in the order of their inodes, which is the order on most disks.
    pub(super) fn by_inode(&self, places: Range<usize>) -> Vec<usize> {
        let mut places: Vec<usize> = places.collect();
        let by =
            |a: &usize, b: &usize| -> Ordering { self.names[*a].inode.cmp(&self.names[*b].inode) };
        places.sort_unstable_by(by);
        places
    }
}

type Each<'a> = &'a mut dyn FnMut(&[u8], u64, FileType);

#[cfg(target_os = "linux")]
fn read(folder: BorrowedFd<'_>, each: Each<'_>) -> Result<()> {
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        each(entry.file_name().to_bytes(), entry.ino(), entry.file_type());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn read(folder: BorrowedFd<'_>, each: Each<'_>) -> Result<()> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        #[allow(clippy::unnecessary_cast)] // other widths elsewhere
        let inode = entry.ino() as u64;
        each(entry.file_name().to_bytes(), inode, entry.file_type());
    }
    Ok(())
}
