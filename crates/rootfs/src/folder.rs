//! An open directory and what may be done in it by layer path: never through a symbolic link.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_layer::{LayerPath, Meta, Time};
use rustix::fs::{
    self, AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use crate::Error;
use crate::disk::ATTRIBUTE;
use crate::upper::{OPAQUE, on_disk, own_path};

/// A directory that nobody else changes.
pub(crate) struct Folder<'a> {
    path: &'a Path,
    top: OwnedFd,
    /// The folder of the last entry that was changed: most often that of the next.
    last: Mutex<Option<(LayerPath, Arc<OwnedFd>)>>,
}

impl<'a> Folder<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = fs::open(path, flags, Mode::empty()).map_err(|e| Error::io("open", path, e))?;
        let last = Mutex::new(None);
        Ok(Self { path, top, last })
    }

    fn failed(&self, what: &'static str, path: &LayerPath) -> impl Fn(Errno) -> Error {
        let on_disk = on_disk(self.path, path);
        move |e| Error::io(what, &on_disk, e)
    }

    fn inner(&self, path: &LayerPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let inner: &[u8] = match path.is_root() {
            true => b".",
            false => path.as_bytes(),
        };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat2(&self.top, inner, flags, Mode::empty(), how)
    }

    /// Opens a regular file, without waiting where it is something else.
    pub(crate) fn file(&self, path: &LayerPath) -> Result<File, Error> {
        self.regular(path).map_err(self.failed("open", path))
    }

    /// The same where others change the directory: `None` when no regular file is there any more.
    pub(crate) fn file_now(&self, path: &LayerPath) -> Result<Option<File>, Error> {
        match self.regular(path) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL | Errno::NXIO) => {
                Ok(None)
            }
            Err(e) => Err(self.failed("open", path)(e)),
        }
    }

    fn regular(&self, path: &LayerPath) -> Result<File, Errno> {
        let file = self.inner(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let stat = fs::fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(Errno::INVAL),
        }
    }

    /// The folder of an entry, and its name there.
    fn place<'p>(&self, path: &'p LayerPath) -> Result<(Arc<OwnedFd>, &'p [u8]), Error> {
        let folder = path.parent().unwrap_or_default();
        let name = path.name().unwrap_or(b".");
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, open)) = &*last
            && *known == folder
        {
            return Ok((open.clone(), name));
        }
        let open = self.inner(&folder, OFlags::PATH | OFlags::DIRECTORY);
        let open = Arc::new(open.map_err(self.failed("open", &folder))?);
        *last = Some((folder, open.clone()));
        Ok((open, name))
    }

    /// A way to open files one after the other on one thread.
    pub(crate) fn near(&self) -> Near<'_> {
        Near {
            folder: self,
            last: None,
        }
    }

    pub(crate) fn unlink(&self, path: &LayerPath) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        fs::unlinkat(&folder, name, AtFlags::empty()).map_err(self.failed("remove", path))
    }

    pub(crate) fn remove_folder(&self, path: &LayerPath) -> Result<(), Error> {
        // Also forgets the folder itself, which something else may take the place of.
        let (folder, name) = self.place(path)?;
        fs::unlinkat(&folder, name, AtFlags::REMOVEDIR).map_err(self.failed("remove", path))
    }

    /// Makes a whiteout of overlayfs.
    pub(crate) fn whiteout(&self, path: &LayerPath) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let kind = FileType::CharacterDevice;
        fs::mknodat(&folder, name, kind, Mode::empty(), fs::makedev(0, 0))
            .map_err(self.failed("make the whiteout", path))
    }

    /// Takes away the mark that hides what is below a folder.
    pub(crate) fn clear_opaque(&self, path: &LayerPath) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let mut own = own_path(&folder);
        own.push(std::ffi::OsStr::from_bytes(name));
        fs::lremovexattr(&own, OPAQUE).map_err(self.failed("clear the mark of", path))
    }

    /// Makes a folder that only its owner can enter, unless there is one.
    pub(crate) fn make_folder(&self, path: &LayerPath) -> Result<(), Error> {
        if path.is_root() {
            return Ok(());
        }
        let (folder, name) = self.place(path)?;
        match fs::mkdirat(&folder, name, Mode::RWXU) {
            Err(e) if e != Errno::EXIST => Err(self.failed("make the folder", path)(e)),
            _ => Ok(()),
        }
    }

    /// Makes an empty file that only its owner can read.
    pub(crate) fn make_file(&self, path: &LayerPath) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = fs::openat(&folder, name, flags, Mode::RUSR | Mode::WUSR);
        made.map(drop).map_err(self.failed("make", path))
    }

    /// Owner, mode and attributes of what is not a link; the time is for later.
    pub(crate) fn set_meta(&self, path: &LayerPath, meta: &Meta) -> Result<(), Error> {
        let failed = self.failed("set owner and mode of", path);
        let (folder, name) = self.place(path)?;
        let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
        fs::chownat(
            &folder,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(&failed)?;
        let mode = Mode::from_raw_mode(meta.mode & 0o7777);
        fs::chmodat(&folder, name, mode, AtFlags::empty()).map_err(&failed)?;
        self.set_attributes(&folder, name, &meta.xattrs)
            .map_err(self.failed("set the attributes of", path))
    }

    /// Sets what is remembered beside a file or folder, or takes it away.
    pub(crate) fn set_note(&self, path: &LayerPath, note: Option<&[u8]>) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        let mut own = own_path(&folder);
        own.push(std::ffi::OsStr::from_bytes(name));
        let done = match note {
            Some(note) => fs::lsetxattr(&own, ATTRIBUTE, note, XattrFlags::empty()),
            None => match fs::lremovexattr(&own, ATTRIBUTE) {
                Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
                done => done,
            },
        };
        done.map_err(self.failed("set the attributes of", path))
    }

    fn set_attributes(
        &self,
        folder: &OwnedFd,
        name: &[u8],
        xattrs: &BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<(), Errno> {
        let mut own = own_path(folder);
        own.push(std::ffi::OsStr::from_bytes(name));
        for (name, value) in xattrs {
            fs::lsetxattr(&own, name.as_slice(), value, XattrFlags::empty())?;
        }
        Ok(())
    }

    pub(crate) fn set_time(&self, path: &LayerPath, time: Time) -> Result<(), Error> {
        let (folder, name) = self.place(path)?;
        fs::utimensat(&folder, name, &both(time), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.failed("set the time of", path))
    }
}

/// Regular files of a [`Folder`], opened from the folder that the last one was in.
pub(crate) struct Near<'a> {
    folder: &'a Folder<'a>,
    last: Option<(LayerPath, OwnedFd)>,
}

impl Near<'_> {
    pub(crate) fn file(&mut self, path: &LayerPath) -> Result<File, Errno> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Err(Errno::ISDIR);
        };
        let open = match self.last.take() {
            Some((known, open)) if known == parent => open,
            _ => self
                .folder
                .inner(&parent, OFlags::PATH | OFlags::DIRECTORY)?,
        };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&open, name, flags, Mode::empty())?;
        self.last = Some((parent, open));
        Ok(file.into())
    }
}

/// A time to be set, the last access with it.
pub(crate) fn both(time: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanos.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// How deep a removal goes with one descriptor a level.
const DEEPEST: usize = 128;

/// Removes `dir` and all that is in it, whatever the modes and however deep. Never follows a link.
pub(crate) fn remove(dir: &Path) -> Result<(), Error> {
    let failed = |e: Errno| Error::io("remove", dir, e);
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(failed(Errno::INVAL));
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match fs::open(parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    match fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(failed(e)),
    }
    let top = open_any(&parent, name.as_bytes()).map_err(failed)?;
    let mut removal = Removal {
        top: &top,
        moved: 0,
    };
    // What is too deep for one walk is moved to the top, where the next walk finds it.
    loop {
        let moved = removal.moved;
        removal.empty(&top, 0).map_err(failed)?;
        if removal.moved == moved {
            break;
        }
    }
    fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(failed)
}

struct Removal<'a> {
    top: &'a OwnedFd,
    moved: u64,
}

impl Removal<'_> {
    fn empty(&mut self, folder: &OwnedFd, depth: usize) -> Result<(), Errno> {
        for entry in Dir::read_from(folder)?.collect::<Result<Vec<_>, _>>()? {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match fs::unlinkat(folder, name, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(Errno::NOENT) => continue,
                done => {
                    done?;
                    continue;
                }
            }
            if depth == DEEPEST {
                let to = format!(".deep-{}", self.moved);
                self.moved += 1;
                fs::renameat(folder, name, self.top, to)?;
                continue;
            }
            let inner = open_any(folder, name.to_bytes())?;
            self.empty(&inner, depth + 1)?;
            fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }
}

/// Opens a folder for listing and changing, after giving its owner the right to.
fn open_any(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            fs::openat(parent, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    let mode = Mode::from_raw_mode(fs::fstat(&opened)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        fs::fchmod(&opened, Mode::RWXU)?;
    }
    Ok(opened)
}
