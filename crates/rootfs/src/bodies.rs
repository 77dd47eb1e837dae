//! The one way to all work on unpacked bodies: [`Bodies`]. Done in the process as root ([`Direct`]), by
//! a child in a user namespace for others ([`Keeper`](crate::Keeper)).
//!
//! Every argument can cross a process boundary: paths, streams, trees, layers by their digests.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use kiln_layer::{Applied, LayerPath, Packed, Root, Times, Tree, Watch};
use kiln_sandbox::{IdMap, UserNamespace};

#[cfg(target_os = "linux")]
use crate::ids;
use crate::{Error, ErrorKind};

/// Work on unpacked bodies: folders whose files have the owners, modes and devices of an image.
pub trait Bodies: Send + Sync {
    /// The ids with which bodies are made; `None` where all ids are what they are. A body that was
    /// made with others shows other owners, so it is made anew ([`Roots`](crate::Roots)).
    fn ids(&self) -> Option<&IdMap> {
        None
    }

    /// Unpacks an uncompressed, untrusted tar to the folder `to`, which must not exist. `lower` is
    /// needed for layers with hard links to files that they do not have themselves.
    ///
    /// # Errors
    ///
    /// As [`kiln_layer::apply`]; what was written then stays, for the caller to [`remove`](Self::remove).
    fn unpack(
        &self,
        tar: &mut (dyn Read + Send),
        lower: Option<&Root>,
        to: &Path,
    ) -> Result<Applied, Error>;

    /// Packs what the upper directory `upper` of an overlay changes in `lower`, by reading it once.
    /// `stubs` is what the overlay showed beside that, and is nobody's: mount points.
    ///
    /// Whiteouts are explicit: what an opaque folder hides is spelled out from `lower`. Entries that
    /// were copied up and equal those below are left out, unless another entry lies in them or is
    /// a hard link to them; so are sockets, and attributes that are the file system's or kiln's own.
    /// Afterwards `upper`, as an unpacked body, shows exactly what the tar says, times included.
    /// Where nothing changed, the tree is empty.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Layer`] for what a tar cannot say, [`ErrorKind::Io`] with the path,
    /// [`ErrorKind::Sighted`] where the layer contains what is watched for.
    fn commit(
        &self,
        upper: &Path,
        lower: &Root,
        stubs: &Tree,
        how: &Commit,
    ) -> Result<Packed, Error>;

    /// The layer that [`commit`](Self::commit) would give, without changing anything in `upper`:
    /// something may still run on it. Its tar goes to `tar`, where one is asked for.
    ///
    /// What changes meanwhile cannot spoil the tar: a file that goes away is left out, and of one
    /// that grows or shrinks there is as much as it had when it was opened, with zeros for what is
    /// missing.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit), and what writing the tar gives.
    fn changes(
        &self,
        upper: &Path,
        lower: &Root,
        stubs: &Tree,
        times: Times,
        tar: Option<&mut (dyn Write + Send)>,
    ) -> Result<Packed, Error>;

    /// How much `dir` and what is in it take on the disk. Never follows a link. Other processes may
    /// change it meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    fn measure(&self, dir: &Path) -> Result<Measure, Error>;

    /// The tar of an unpacked body again, from its tree: the same bytes where kiln made the layer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Layer`] where the body is not what the tree says.
    fn pack(
        &self,
        body: &Path,
        tree: &Arc<Tree>,
        tar: &mut (dyn Write + Send),
    ) -> Result<Packed, Error>;

    /// Makes the folder `at` and what `tree` has; for folders, empty files and other things without
    /// content. The root's entry, where there is one, says what `at` itself looks like. Folders that
    /// are there get the tree's mode, owner, time and attributes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a file that is not empty; [`ErrorKind::Io`] with the path.
    fn make(&self, tree: &Tree, at: &Path) -> Result<(), Error>;

    /// Removes `dir` and all that is in it, whatever the modes. Never follows a link. What is not
    /// there is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    fn remove(&self, dir: &Path) -> Result<(), Error>;

    /// Opens a regular file of a body; never through a symbolic link.
    ///
    /// # Errors
    ///
    /// What opening gives.
    fn open(&self, body: &Path, path: &LayerPath) -> io::Result<File>;
}

/// Who works on the unpacked bodies of the store in the folder `store`: this process where it is root
/// and there is no `namespace`, else a keeper inside, which starts when it is first needed. On
/// other systems than Linux there are no bodies, and every call says so.
pub fn bodies(namespace: Option<&Arc<UserNamespace>>, store: &Path) -> Arc<dyn Bodies> {
    #[cfg(target_os = "linux")]
    if let Some(namespace) = namespace {
        return Arc::new(crate::Keeper::new(namespace.clone(), store));
    }
    let _ = (namespace, store);
    Arc::new(Direct)
}

/// How an upper directory becomes a layer.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Which times its entries get.
    pub times: Times,
    /// What it must not contain.
    pub watch: Watch,
}

impl From<Times> for Commit {
    fn from(times: Times) -> Self {
        Self {
            times,
            watch: Watch::default(),
        }
    }
}

/// How much something takes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// The blocks that are in use, in bytes. A file with several names counts once.
    pub bytes: u64,
    /// How many names there are in the folder and the folders in it, without its own.
    pub entries: u64,
}

/// Work done in this process, which must be root on Linux; on other systems and for other users
/// every call but [`Bodies::remove`], [`Bodies::measure`] and [`Bodies::open`] is an error of kind [`ErrorKind::Unsupported`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

#[cfg(not(target_os = "linux"))]
fn elsewhere() -> Error {
    Error::new(ErrorKind::Unsupported, "unpacked layers need Linux")
}

#[cfg(target_os = "linux")]
fn able() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let what = "unpacking layers with their owners needs root, or a user namespace";
    Err(Error::new(ErrorKind::Unsupported, what).hint("run the same command as root"))
}

#[cfg(target_os = "linux")]
impl Bodies for Direct {
    fn unpack(
        &self,
        tar: &mut (dyn Read + Send),
        lower: Option<&Root>,
        to: &Path,
    ) -> Result<Applied, Error> {
        able()?;
        crate::unpack::unpack(tar, lower, to, ids::of_this_process())
    }

    fn commit(
        &self,
        upper: &Path,
        lower: &Root,
        stubs: &Tree,
        how: &Commit,
    ) -> Result<Packed, Error> {
        able()?;
        crate::commit::commit(upper, (lower, stubs), how, ids::of_this_process())
    }

    fn changes(
        &self,
        upper: &Path,
        lower: &Root,
        stubs: &Tree,
        times: Times,
        tar: Option<&mut (dyn Write + Send)>,
    ) -> Result<Packed, Error> {
        able()?;
        let nowhere = &mut io::sink();
        let tar = tar.unwrap_or(nowhere);
        crate::changes::changes(upper, (lower, stubs), times, tar, ids::of_this_process())
    }

    fn measure(&self, dir: &Path) -> Result<Measure, Error> {
        crate::measure::measure(dir)
    }

    fn pack(
        &self,
        body: &Path,
        tree: &Arc<Tree>,
        tar: &mut (dyn Write + Send),
    ) -> Result<Packed, Error> {
        able()?;
        let files = kiln_layer::Unpacked::new(body, tree.clone())?;
        Ok(kiln_layer::pack(&files, tar, Times::Keep)?.1)
    }

    fn make(&self, tree: &Tree, at: &Path) -> Result<(), Error> {
        able()?;
        crate::make::make(tree, at, ids::of_this_process())
    }

    fn remove(&self, dir: &Path) -> Result<(), Error> {
        crate::folder::remove(dir)
    }

    fn open(&self, body: &Path, path: &LayerPath) -> io::Result<File> {
        crate::folder::Folder::open(body)
            .and_then(|folder| folder.file(path))
            .map_err(Into::into)
    }
}

#[cfg(not(target_os = "linux"))]
impl Bodies for Direct {
    fn unpack(
        &self,
        _: &mut (dyn Read + Send),
        _: Option<&Root>,
        _: &Path,
    ) -> Result<Applied, Error> {
        Err(elsewhere())
    }

    fn commit(&self, _: &Path, _: &Root, _: &Tree, _: &Commit) -> Result<Packed, Error> {
        Err(elsewhere())
    }

    fn changes(
        &self,
        _: &Path,
        _: &Root,
        _: &Tree,
        _: Times,
        _: Option<&mut (dyn Write + Send)>,
    ) -> Result<Packed, Error> {
        Err(elsewhere())
    }

    fn measure(&self, _: &Path) -> Result<Measure, Error> {
        Err(elsewhere())
    }

    fn pack(&self, _: &Path, _: &Arc<Tree>, _: &mut (dyn Write + Send)) -> Result<Packed, Error> {
        Err(elsewhere())
    }

    fn make(&self, _: &Tree, _: &Path) -> Result<(), Error> {
        Err(elsewhere())
    }

    fn remove(&self, dir: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", dir, e)),
            _ => Ok(()),
        }
    }

    fn open(&self, _: &Path, _: &LayerPath) -> io::Result<File> {
        Err(io::Error::other(elsewhere()))
    }
}
