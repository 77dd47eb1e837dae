//! What an overlay's upper directory holds, as overlayfs means it (kernel documentation,
//! overlayfs.rst): whiteouts, opaque folders, and the attributes that are its own.
//!
//! Reads the directory and changes nothing. Symbolic links are never followed. Where others may write
//! to it meanwhile, what goes away while it is looked at is not there.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_layer::{LayerPath, Meta, Time, keeps_attribute};
use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::Error;
use crate::disk::ATTRIBUTE;
use crate::spread::spread;

/// What overlayfs keeps on the disk for itself when mounted with `userxattr`.
pub(crate) const OVERLAY: &[u8] = b"user.overlay.";
/// What kiln keeps on the disk for itself.
const OWN: &[u8] = b"user.kiln.";
/// A folder that hides what is below it (`y`), or holds whiteouts that are files (`x`).
pub(crate) const OPAQUE: &CStr = c"user.overlay.opaque";
/// An empty file that is a whiteout, in folders marked `x`.
const WHITEOUT: &[u8] = b"user.overlay.whiteout";

/// One entry of the directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: LayerPath,
    pub(crate) meta: Meta,
    pub(crate) what: What,
    /// What was remembered beside it of what the disk cannot hold ([`crate::disk`]).
    pub(crate) note: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `links`: how many names it has, and by which number (device, inode) they are told.
    File {
        size: u64,
        links: u32,
        inode: (u32, u32, u64),
    },
    Dir {
        opaque: bool,
    },
    Symlink {
        target: Vec<u8>,
    },
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
    Socket,
    Whiteout,
}

/// All entries in the order of their paths, a folder before what is in it; the first one is the directory
/// itself. Large ones are looked through by all cores. `live`: somebody else may change it meanwhile.
pub(crate) fn scan(upper: &Path, live: bool) -> Result<Vec<Found>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = fs::open(upper, flags, Mode::empty())
        .map_err(|e| Error::io("open the directory of changes", upper, e))?;
    let scan = Scan { upper, live };
    let stat = fs::statx(&top, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .map_err(|e| Error::io("look at", upper, e))?;
    let mut attributes = scan.attributes(&own_path(&top), &LayerPath::root())?;
    let opaque = attributes.own.contains_key(OPAQUE.to_bytes());
    let mut found = vec![Found {
        path: LayerPath::root(),
        meta: meta(&stat, attributes.image),
        what: What::Dir { opaque: false },
        note: attributes.own.remove(ATTRIBUTE),
    }];
    let mut inner = Vec::new();
    scan.folder(
        &Arc::new(top),
        &LayerPath::root(),
        opaque,
        (&mut found, &mut inner),
    )?;
    let parts = spread(inner, |place, more| scan.place(place, more))?;
    found.extend(parts.into_iter().flatten());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Extended attributes, told apart by whom they are for.
#[derive(Default)]
struct Attributes {
    image: BTreeMap<Vec<u8>, Vec<u8>>,
    own: BTreeMap<Vec<u8>, Vec<u8>>,
}

struct Scan<'a> {
    upper: &'a Path,
    live: bool,
}

/// A folder that was looked at and not into.
struct Place {
    parent: Arc<OwnedFd>,
    name: Vec<u8>,
    found: Found,
    /// The folder has an opaque mark of any kind, so that files in it may be whiteouts.
    marked: bool,
}

impl Scan<'_> {
    /// A folder and what is in it, but for the folders there, which are for `more`.
    fn place(&self, place: Place, more: &mut Vec<Place>) -> Result<Vec<Found>, Error> {
        let Place {
            parent,
            name,
            found,
            marked,
        } = place;
        let path = found.path.clone();
        let mut all = vec![found];
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = fs::openat(&parent, &name[..], flags, Mode::empty());
        drop(parent);
        let done = inner
            .map_err(|e| self.failed("open", &path, e))
            .and_then(|inner| self.folder(&Arc::new(inner), &path, marked, (&mut all, more)));
        match done {
            Err(e) if self.live && is_gone(&e) => Ok(Vec::new()),
            done => done.map(|()| all),
        }
    }

    /// What is in a folder; the folders there are for `more`.
    fn folder(
        &self,
        folder: &Arc<OwnedFd>,
        at: &LayerPath,
        marked: bool,
        (all, more): (&mut Vec<Found>, &mut Vec<Place>),
    ) -> Result<(), Error> {
        let own = own_path(folder);
        for name in self.names(folder, at)? {
            let path = at.join(&name)?;
            let (found, inner_marked) = match self.entry((folder, &own), &name, path, marked) {
                Err(e) if self.live && is_gone(&e) => continue,
                entry => entry?,
            };
            match found.what {
                What::Dir { .. } => more.push(Place {
                    parent: folder.clone(),
                    name,
                    found,
                    marked: inner_marked,
                }),
                _ => all.push(found),
            }
        }
        Ok(())
    }

    /// One entry, and whether it has an opaque mark of any kind.
    fn entry(
        &self,
        (folder, own): (&OwnedFd, &Path),
        name: &[u8],
        path: LayerPath,
        marked: bool,
    ) -> Result<(Found, bool), Error> {
        let basic = StatxFlags::BASIC_STATS;
        let stat = fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, basic)
            .map_err(|e| self.failed("look at", &path, e))?;
        let whiteout = is_zero_device(&stat);
        // A whiteout has no attributes that matter, and there may be many of them.
        let mut attributes = match whiteout {
            true => Attributes::default(),
            false => self.attributes(&own.join(OsStr::from_bytes(name)), &path)?,
        };
        let mark = attributes.own.remove(OPAQUE.to_bytes());
        let what = match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
            _ if whiteout => What::Whiteout,
            FileType::RegularFile if marked && attributes.own.contains_key(WHITEOUT) => {
                What::Whiteout
            }
            FileType::Directory => What::Dir {
                opaque: mark.as_deref() == Some(b"y"),
            },
            FileType::Symlink => {
                let target = fs::readlinkat(folder, name, Vec::new())
                    .map_err(|e| self.failed("read the link", &path, e))?;
                What::Symlink {
                    target: target.into_bytes(),
                }
            }
            kind => plain(kind, &stat),
        };
        let marked = mark.is_some();
        let found = Found {
            path,
            meta: meta(&stat, attributes.image),
            what,
            note: attributes.own.remove(ATTRIBUTE),
        };
        Ok((found, marked))
    }

    fn failed(&self, what: &str, path: &LayerPath, e: Errno) -> Error {
        Error::io(what, &on_disk(self.upper, path), e)
    }

    fn names(&self, folder: &OwnedFd, at: &LayerPath) -> Result<Vec<Vec<u8>>, Error> {
        let failed = |e: Errno| self.failed("list", at, e);
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort();
        Ok(names)
    }

    fn attributes(&self, own: &Path, path: &LayerPath) -> Result<Attributes, Error> {
        let failed = |e: Errno| self.failed("read the extended attributes of", path, e);
        let mut found = Attributes::default();
        for name in attribute_names(own).map_err(failed)? {
            let value = match attribute(own, &name) {
                // Taken away meanwhile.
                Err(Errno::NODATA) if self.live => continue,
                value => value.map_err(failed)?,
            };
            if name.starts_with(OVERLAY) || name.starts_with(OWN) {
                found.own.insert(name, value);
            } else if keeps_attribute(&name) {
                found.image.insert(name, value);
            }
        }
        Ok(found)
    }
}

/// Whether what an error is about went away, or made place for something else.
fn is_gone(e: &Error) -> bool {
    let cause = std::error::Error::source(e).and_then(|e| e.downcast_ref::<std::io::Error>());
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::INVAL];
    let code = cause.and_then(std::io::Error::raw_os_error);
    code.is_some_and(|code| gone.iter().any(|e| e.raw_os_error() == code))
}

/// The names of the attributes of what `path` itself is, link or not.
pub(crate) fn attribute_names(path: &Path) -> Result<Vec<Vec<u8>>, Errno> {
    let mut buffer = Vec::with_capacity(1024);
    loop {
        match fs::llistxattr(path, rustix::buffer::spare_capacity(&mut buffer)) {
            Ok(_) => break,
            Err(Errno::RANGE) => buffer = Vec::with_capacity(buffer.capacity() * 8),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
    }
    let names = buffer.split(|b| *b == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn attribute(path: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(256);
    loop {
        match fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut buffer)) {
            Ok(_) => return Ok(buffer),
            Err(Errno::RANGE) => buffer = Vec::with_capacity(buffer.capacity() * 8),
            Err(e) => return Err(e),
        }
    }
}

/// A way to an open folder that has no length: a deep path may be longer than the kernel takes.
pub(crate) fn own_path(folder: &OwnedFd) -> PathBuf {
    descriptor_path(std::os::fd::AsFd::as_fd(folder))
}

fn descriptor_path(fd: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Where an entry is on the disk, for a message.
pub(crate) fn on_disk(upper: &Path, path: &LayerPath) -> PathBuf {
    let inner = std::ffi::OsString::from_vec(path.as_bytes().to_vec());
    upper.join(inner)
}

/// What the file type alone tells.
fn plain(kind: FileType, stat: &fs::Statx) -> What {
    let (major, minor) = (stat.stx_rdev_major, stat.stx_rdev_minor);
    match kind {
        FileType::RegularFile => What::File {
            size: stat.stx_size,
            links: stat.stx_nlink,
            inode: (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino),
        },
        FileType::CharacterDevice => What::Char { major, minor },
        FileType::BlockDevice => What::Block { major, minor },
        FileType::Fifo => What::Fifo,
        _ => What::Socket,
    }
}

fn is_zero_device(stat: &fs::Statx) -> bool {
    let kind = FileType::from_raw_mode(u32::from(stat.stx_mode));
    kind == FileType::CharacterDevice && (stat.stx_rdev_major, stat.stx_rdev_minor) == (0, 0)
}

fn meta(stat: &fs::Statx, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> Meta {
    Meta {
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mtime: Time {
            seconds: stat.stx_mtime.tv_sec,
            nanos: stat.stx_mtime.tv_nsec,
        },
        xattrs,
    }
}
