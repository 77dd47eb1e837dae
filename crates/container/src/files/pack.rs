//! A file or folder of a disk as a tar, as `docker cp` makes it: links are kept as they are but for
//! the thing itself where that is asked for; sockets are left out; what goes away meanwhile is left
//! out, and of a file that changes there is as much as it had when it was opened.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kiln_layer::{
    Entry, File as Content, Kind, LayerPath, Meta, Packer, Time, Times, keeps_attribute,
};
use rustix::fs::{OFlags, major, minor};
use rustix::io::Errno;

use super::{Exactly, failed, means_content, split, spoiled};
use crate::{Error, ErrorKind};

/// What is packed.
pub(crate) struct Pack<'a> {
    /// As the user writes it: a slash or `/.` at its end counts.
    pub(crate) path: &'a str,
    /// The thing itself may be a link, and what it leads to is meant.
    pub(crate) follow: bool,
    /// What it is called in the tar; what the path says where `None`.
    pub(crate) name: Option<&'a str>,
    /// Whose everything is; whose it is on the disk where `None`.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Writes the tar to `out`; how long it is.
pub(crate) fn pack(what: &Pack<'_>, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
    let path = Path::new(what.path);
    let found = look(path, what.follow)?;
    let path = match found.is_symlink() || !what.follow {
        true => path.to_owned(),
        false => fs::canonicalize(path).map_err(|e| failed("follow", path, &e))?,
    };
    let mut packing = Packing {
        packer: Packer::new(out, Times::Keep),
        owner: what.owner,
        names: HashMap::new(),
    };
    packing.all(&path, &found, &top(what)?)?;
    let (out, packed) = packing.packer.finish().map_err(spoiled)?;
    out.flush().map_err(|e| written(&e))?;
    Ok(packed.size)
}

/// What is there, the thing itself not followed unless asked for; the kernel follows one with a slash
/// at its end.
pub(crate) fn look(path: &Path, follow: bool) -> Result<Metadata, Error> {
    let found = match follow {
        true => fs::metadata(path),
        false => fs::symlink_metadata(path),
    };
    found.map_err(|e| failed("look at", path, &e))
}

/// What the thing is called in the tar; the root for what is in a folder.
fn top(what: &Pack<'_>) -> Result<LayerPath, Error> {
    let own = match split(what.path).1 {
        _ if means_content(what.path) => String::new(),
        ".." => match fs::canonicalize(what.path) {
            Ok(path) => path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            Err(e) => return Err(failed("follow", Path::new(what.path), &e)),
        },
        name => name.to_owned(),
    };
    LayerPath::parse(what.name.unwrap_or(&own)).map_err(spoiled)
}

struct Packing<W: Write> {
    packer: Packer<W>,
    owner: Option<(u32, u32)>,
    /// Of each file with several names, the first that was met.
    names: HashMap<(u64, u64), LayerPath>,
}

impl<W: Write> Packing<W> {
    /// A thing and what is in it, in the order of their names.
    fn all(&mut self, at: &Path, found: &Metadata, name: &LayerPath) -> Result<(), Error> {
        self.one(at, found, name)?;
        let mut todo = match found.is_dir() {
            true => children(at, name)?,
            false => Vec::new(),
        };
        while let Some((at, name)) = todo.pop() {
            let found = match fs::symlink_metadata(&at) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                found => found.map_err(|e| failed("look at", &at, &e))?,
            };
            if self.one(&at, &found, &name)? && found.is_dir() {
                todo.extend(children(&at, &name)?);
            }
        }
        Ok(())
    }

    /// Whether it is in the tar.
    fn one(&mut self, at: &Path, found: &Metadata, name: &LayerPath) -> Result<bool, Error> {
        let kind = found.file_type();
        if kind.is_file() {
            return self.file(at, found, name);
        }
        let device = (major(found.rdev()), minor(found.rdev()));
        let kind = if kind.is_dir() {
            Kind::Dir { opaque: false }
        } else if kind.is_symlink() {
            let target = fs::read_link(at).map_err(|e| failed("read the link", at, &e))?;
            Kind::Symlink {
                target: target.as_os_str().as_bytes().to_vec(),
            }
        } else if kind.is_char_device() {
            let (major, minor) = device;
            Kind::Char { major, minor }
        } else if kind.is_block_device() {
            let (major, minor) = device;
            Kind::Block { major, minor }
        } else if kind.is_fifo() {
            Kind::Fifo
        } else {
            return Ok(false);
        };
        self.add((at, found), name, kind, None)?;
        Ok(true)
    }

    fn file(&mut self, at: &Path, found: &Metadata, name: &LayerPath) -> Result<bool, Error> {
        let inode = (found.dev(), found.ino());
        if let Some(target) = self.names.get(&inode).cloned() {
            self.add((at, found), name, Kind::Hardlink { target }, None)?;
            return Ok(true);
        }
        // Never through a link that has taken its place, and never waiting at a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        #[allow(clippy::cast_possible_wrap)]
        options.read(true).custom_flags(flags.bits() as _);
        let file = match options.open(at) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(|e| failed("open", at, &e))?,
        };
        let found = file.metadata().map_err(|e| failed("look at", at, &e))?;
        if !found.is_file() {
            return Ok(false);
        }
        if found.nlink() > 1 {
            self.names.insert(inode, name.clone());
        }
        let kind = Kind::File(Content::unread(found.len()));
        let mut content = Exactly {
            file,
            left: found.len(),
        };
        self.add((at, &found), name, kind, Some(&mut content))?;
        Ok(true)
    }

    /// Puts what was found at a place of the disk under `name` into the tar.
    fn add(
        &mut self,
        (at, found): (&Path, &Metadata),
        name: &LayerPath,
        kind: Kind,
        content: Option<&mut dyn Read>,
    ) -> Result<(), Error> {
        let entry = Entry {
            path: name.clone(),
            meta: self.meta(at, found)?,
            kind,
        };
        self.packer
            .add(&entry, content)
            .map_err(|e| match e.kind() {
                // About the disk, or about the other end.
                kiln_layer::ErrorKind::Io => spoiled(e),
                _ => {
                    let what = format!("copy `{}`: {e}", at.display());
                    let error = Error::new(ErrorKind::Unsupported, what);
                    match e.hint_text() {
                        Some(hint) => error.hint(hint),
                        None => error,
                    }
                }
            })
    }

    fn meta(&self, at: &Path, found: &Metadata) -> Result<Meta, Error> {
        let (uid, gid) = self.owner.unwrap_or((found.uid(), found.gid()));
        let kept = found.is_dir() || found.is_file();
        Ok(Meta {
            mode: found.mode() & 0o7777,
            uid,
            gid,
            mtime: Time {
                seconds: found.mtime(),
                nanos: u32::try_from(found.mtime_nsec()).unwrap_or(0),
            },
            xattrs: match kept {
                true => attributes(at)?,
                false => BTreeMap::new(),
            },
        })
    }
}

/// What is in a folder: the first by name the last, for a stack.
fn children(at: &Path, name: &LayerPath) -> Result<Vec<(PathBuf, LayerPath)>, Error> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(at) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|e| failed("list", at, &e))?,
    };
    for entry in entries {
        names.push(entry.map_err(|e| failed("list", at, &e))?.file_name());
    }
    names.sort_by(|a, b| b.as_bytes().cmp(a.as_bytes()));
    let one = |child: std::ffi::OsString| {
        let path = name.join(child.as_bytes()).map_err(spoiled)?;
        Ok((at.join(child), path))
    };
    names.into_iter().map(one).collect()
}

/// The attributes that belong to an image.
fn attributes(at: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
    let failed = |e: Errno| failed("read the attributes of", at, &e.into());
    let names = match filled(|buffer| rustix::fs::llistxattr(at, buffer)) {
        Err(Errno::OPNOTSUPP | Errno::NOENT) => Vec::new(),
        names => names.map_err(failed)?,
    };
    let mut attributes = BTreeMap::new();
    let wanted = |name: &&[u8]| !name.is_empty() && keeps_attribute(name);
    for name in names.split(|b| *b == 0).filter(wanted) {
        match filled(|buffer| rustix::fs::lgetxattr(at, name, buffer)) {
            Ok(value) => drop(attributes.insert(name.to_vec(), value)),
            // Gone since, or not for this user to see.
            Err(Errno::NODATA | Errno::NOENT | Errno::PERM | Errno::ACCESS) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(attributes)
}

/// What a call fills a buffer with; a larger one where it has to be (Linux has at most 64 KiB).
fn filled(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 1 << 10];
    let n = match call(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(64 << 10, 0);
            call(&mut buffer)?
        }
        n => n?,
    };
    buffer.truncate(n);
    Ok(buffer)
}

fn written(e: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("write the tar: {e}"))
}
