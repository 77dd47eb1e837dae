//! A file that is in the place of one with the same content, size and owner stays, and gets no more
//! than its metadata: to delete a file and make it again is most of the work of writing it. Refuses
//! those with several names and those with attributes, for which that would not be the same.

use std::{
    fs::File,
    io::{Cursor, Read, Seek as _, SeekFrom},
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat},
    io::retry_on_intr,
};

use super::{content::fill, meta};
use crate::{Entry, Error, Meta};

/// What is in the place of a file that is to come.
pub(super) enum Met {
    /// The file itself; and whether its metadata are those already.
    Same(File, bool),
    /// Something else, or nothing. What was read of the content on the way is to be read first.
    Other(Box<dyn Read>),
}

/// Compares what is there with what is to come.
pub(super) fn look(
    folder: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
    content: &mut dyn Read,
    buffer: &mut [u8],
) -> Result<Met, Error> {
    let Some((mut file, is)) = like(folder, name, entry) else {
        return Ok(Met::Other(Box::new(std::io::empty())));
    };
    let (new, old) = buffer.split_at_mut(buffer.len() / 2);
    let mut same = 0;
    loop {
        let n = fill(content, new)?;
        let m = fill(&mut file, old)?;
        if new[..n] != old[..m] {
            file.seek(SeekFrom::Start(0))
                .map_err(|e| Error::io("read the file that is there", e))?;
            let read = Cursor::new(new[..n].to_vec());
            return Ok(Met::Other(Box::new(file.take(same).chain(read))));
        }
        same += n as u64;
        if n < new.len() {
            return Ok(Met::Same(file, is == entry.meta));
        }
    }
}

/// A regular file with this size and owner, one name and no attributes; and its metadata.
fn like(folder: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Option<(File, Meta)> {
    let size = entry.file()?.size;
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    // To open a device may be more than to look at it.
    if !is_alike(&stat, size) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(folder, name, flags, Mode::empty()).ok()?;
    let stat = fstat(&fd).ok()?;
    let is = meta::of(&stat);
    let alike = is_alike(&stat, size)
        && (is.uid, is.gid) == (entry.meta.uid, entry.meta.gid)
        && entry.meta.xattrs.is_empty()
        && has_none(fd.as_fd());
    alike.then(|| (File::from(fd), is))
}

fn is_alike(stat: &Stat, size: u64) -> bool {
    let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
    is_file && stat.st_nlink == 1 && u64::try_from(stat.st_size) == Ok(size)
}

/// Whether a file has no attributes.
fn has_none(fd: BorrowedFd<'_>) -> bool {
    let mut none: [u8; 0] = [];
    // Where there are none to be had at all, there are none.
    retry_on_intr(|| rustix::fs::flistxattr(fd, &mut none[..])).unwrap_or(0) == 0
}
