//! How much of the disk a folder takes, as `du` counts it. Follows no link, and does not mind that
//! somebody else changes the folder meanwhile.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, Measure};

/// The size of a block in `st_blocks`, whatever the file system's own is (stat(2)).
const BLOCK: u64 = 512;

pub(crate) fn measure(dir: &Path) -> Result<Measure, Error> {
    let failed = |e: Errno| Error::io("measure", dir, e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = fs::open(dir, flags, Mode::empty()).map_err(failed)?;
    let mut walk = Walk::default();
    let own = fs::fstat(&top).map_err(failed)?;
    walk.sum.bytes = blocks(&own);
    walk.folder(&top).map_err(failed)?;
    Ok(walk.sum)
}

#[derive(Default)]
struct Walk {
    sum: Measure,
    /// Files with several names that were counted.
    seen: HashSet<(u64, u64)>,
}

impl Walk {
    fn folder(&mut self, folder: &OwnedFd) -> Result<(), Errno> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            self.sum.entries += 1;
            let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
            if is_dir || stat.st_nlink < 2 || self.seen.insert((stat.st_dev, stat.st_ino)) {
                self.sum.bytes += blocks(&stat);
            }
            if !is_dir {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match fs::openat(folder, name, flags, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                inner => self.folder(&inner?)?,
            }
        }
        Ok(())
    }
}

fn blocks(stat: &fs::Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK
}
