//! `cp` where there are containers: by a child that stands in the container's root.

use std::io::{PipeReader, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_sandbox::{Mount, Peer, Place, UserNamespace};

use super::child::Files;
use super::{CopyOptions, PathStat};
use crate::containers::{Container, missing};
use crate::files::{Goal, Pack, Unpack, landing, look, pack, split, spoiled, through, unpack};
use crate::life::MOMENT;
use crate::mounts::{Mounted, clean};
use crate::root::root;
use crate::state::read_state;
use crate::{Error, ErrorKind, State, Volumes};

impl PathStat {
    /// What is at `path` here.
    pub(crate) fn of(path: &Path, follow: bool) -> Result<Self, Error> {
        let found = look(path, follow)?;
        let link = found.is_symlink().then(|| std::fs::read_link(path));
        Ok(Self {
            name: split(&path.to_string_lossy()).1.to_owned(),
            size: found.len(),
            mode: found.mode(),
            mtime: found.mtime(),
            is_dir: found.is_dir(),
            link: link
                .and_then(Result::ok)
                .map(|to| to.to_string_lossy().into_owned()),
        })
    }
}

impl Container {
    /// What is at `path`, an absolute path inside; a link itself is followed only by `follow`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with docker's words.
    pub fn stat(&self, path: &str, follow: bool) -> Result<PathStat, Error> {
        self.with_files(|files| self.look(files, path, follow))
    }

    /// Writes a tar of what is at `path` to `out`, as docker's `cp CTR:PATH -` does, and gives its
    /// length. A folder is in it under its own name; with `/.` at the end of `path` as `.`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with docker's words, [`ErrorKind::Io`].
    pub fn copy_out(&self, path: &str, follow: bool, out: &mut dyn Write) -> Result<u64, Error> {
        let what = Pack {
            path: &inside(path),
            follow,
            name: None,
            owner: None,
        };
        self.with_files(|files| files.pack(&what, out))
            .map_err(|e| self.not_there(path, e))
    }

    /// Unpacks a tar, compressed or not, into the folder `folder`, as docker's `cp - CTR:PATH` does;
    /// owners are those of the tar. How long it was, uncompressed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is no such folder; [`ErrorKind::Invalid`] for what is not a
    /// tar, and for a file where a folder is, or the other way round; [`ErrorKind::Unsupported`] for
    /// what this user may not make, and for names that mean a removal in a layer;
    /// [`ErrorKind::Conflict`] for what is read-only.
    pub fn copy_in(&self, folder: &str, tar: &mut (dyn Read + Send)) -> Result<u64, Error> {
        self.writable(folder)?;
        let (_, mut tar) = kiln_layer::decompress(tar).map_err(spoiled)?;
        self.with_files(|files| files.unpack(&inside(folder), &mut tar))
            .map_err(|e| self.not_there(folder, e))
    }

    /// Copies `path` of the container to `destination` on this machine, by the rules of [`landing`].
    /// How many bytes went over.
    ///
    /// # Errors
    ///
    /// As [`copy_out`](Self::copy_out) and [`landing`]; [`ErrorKind::Io`] with the path.
    pub fn copy_from(
        &self,
        path: &str,
        destination: &str,
        options: CopyOptions,
    ) -> Result<u64, Error> {
        let goal = Goal::of(destination);
        replaceable(destination)?;
        self.with_files(|files| {
            let found = self.look(files, path, options.follow)?;
            let landing = landing(path, found.is_dir, &goal.path, goal.there)?;
            if !Path::new(&landing.folder).is_dir() {
                let folder = &landing.folder;
                let what = format!("invalid output path: directory \"{folder}\" does not exist");
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            let what = Pack {
                path: &inside(path),
                follow: options.follow,
                name: landing.name.as_deref(),
                owner: None,
            };
            let to = Unpack {
                folder: Path::new(&landing.folder),
                follow: false,
                owner: (!options.keep_owner).then(own),
            };
            let pack = |out: &mut (dyn Write + Send)| {
                let packed = files.pack(&what, out);
                packed.map_err(|e| self.not_there(path, e))
            };
            through(pack, |tar| unpack(tar, &to))
        })
    }

    /// Copies `source` of this machine to `path` of the container, by the rules of [`landing`]. How
    /// many bytes went over.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in) and [`landing`]; [`ErrorKind::Io`] with the path.
    pub fn copy_to(&self, source: &str, path: &str, options: CopyOptions) -> Result<u64, Error> {
        let found = look(Path::new(source), options.follow)?;
        self.with_files(|files| {
            let goal = files.goal(&inside(path))?;
            let landing = landing(source, found.is_dir(), &goal.path, goal.there)?;
            let folder = inside(&landing.folder);
            self.writable(&folder)?;
            let what = Pack {
                path: source,
                follow: options.follow,
                name: landing.name.as_deref(),
                owner: (!options.keep_owner).then_some((0, 0)),
            };
            let unpack = |mut tar: PipeReader| {
                let unpacked = files.unpack(&folder, &mut tar);
                unpacked.map_err(|e| self.not_there(&landing.folder, e))
            };
            through(|out| pack(&what, out), unpack)
        })
    }

    fn look(&self, files: &Files, path: &str, follow: bool) -> Result<PathStat, Error> {
        let found = files.stat(&inside(path), follow);
        found.map_err(|e| self.not_there(path, e))
    }

    /// docker's words for what is not there.
    fn not_there(&self, path: &str, e: Error) -> Error {
        match e.kind() {
            // The container itself has gone.
            ErrorKind::NotFound if !self.folder.exists() => missing(self.id()),
            ErrorKind::NotFound => {
                let name = self.name();
                let what = format!("Could not find the file {path} in container {name}");
                Error::new(ErrorKind::NotFound, what)
            }
            _ => e,
        }
    }

    /// Whether something may be put into `folder`, by the path as it is written; what a link leads to
    /// is for the kernel to refuse.
    fn writable(&self, folder: &str) -> Result<(), Error> {
        let folder = clean(&inside(folder));
        let below = |mount: &&Mounted| {
            let rest = folder.strip_prefix(&mount.destination);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mounts = self.details.mounts.iter().filter(below);
        let what = match mounts.max_by_key(|mount| mount.destination.len()) {
            Some(mount) if mount.rw => return Ok(()),
            Some(_) => "mounted volume is marked read-only",
            None if self.details.host.read_only => "container rootfs is marked read-only",
            None => return Ok(()),
        };
        Err(Error::new(ErrorKind::Conflict, what))
    }

    /// Calls `work` with a child that stands in the container's root. One that does not run cannot be
    /// started meanwhile.
    fn with_files<T>(&self, work: impl FnOnce(&Files) -> Result<T, Error>) -> Result<T, Error> {
        let from = Instant::now();
        let _lock = loop {
            if let Some(peer) = self.peer()? {
                match Files::open(Place::Running(&peer)) {
                    Ok(files) => return work(&files),
                    // A conflict is that it is ending, which may not be seen yet.
                    Err(e) if e.kind() != ErrorKind::Conflict && peer.is_running() => {
                        return Err(e);
                    }
                    // It has just ended.
                    Err(_) => self.wait_for_lease(MOMENT)?,
                }
            }
            let lock = self.lock()?;
            if !self.is_anothers()? {
                break lock;
            }
            drop(lock);
            if from.elapsed() > MOMENT {
                let what = format!("container \"/{}\" is just being started", self.name());
                return Err(Error::new(ErrorKind::Conflict, what).hint("try again"));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.wait_for_leftovers()?;
        if let State::Running { .. } | State::Restarting { .. } = self.state()? {
            let what = format!("container \"/{}\" is restarting", self.name());
            return Err(Error::new(ErrorKind::Conflict, what).hint("wait until it is running"));
        }
        let prepared = root(self)?;
        let mut mounts = self.network_files();
        mounts.extend(Volumes::new(&self.roots).mounts(&self.details.mounts)?);
        // What is in memory has gone with the process.
        mounts.retain(|mount| !matches!(mount, Mount::Tmpfs { .. }));
        let namespace = UserNamespace::usual()?;
        let files = Files::open(Place::Root {
            root: &prepared.root_spec(false),
            mounts: &mounts,
            namespace: namespace.as_deref(),
        })?;
        work(&files)
    }

    /// Its process, when that runs.
    pub(crate) fn peer(&self) -> Result<Option<Peer>, Error> {
        let State::Running { pid, .. } = self.state()? else {
            return Ok(None);
        };
        let noted = read_state(&self.folder)?;
        let born = noted.and_then(|noted| noted.born);
        Ok(Some(Peer { pid, born }))
    }

    /// What the last start has put over the image's own.
    fn network_files(&self) -> Vec<Mount> {
        let file = |target: &&str| {
            let source = self.folder.join(target.trim_start_matches("/etc/"));
            source.is_file().then(|| Mount::Bind {
                source,
                target: target.into(),
                read_only: false,
            })
        };
        let targets = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
        targets.iter().filter_map(file).collect()
    }
}

/// What is no file, like `/dev/null`, is not made one. docker's words.
fn replaceable(destination: &str) -> Result<(), Error> {
    match std::fs::metadata(destination) {
        Ok(there) if !there.is_dir() && !there.is_file() => {
            let what =
                format!("destination \"{destination}\" must be a directory or a regular file");
            Err(Error::new(ErrorKind::Invalid, what))
        }
        _ => Ok(()),
    }
}

/// A path as it is meant inside: from the root.
fn inside(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

/// Who this program is.
fn own() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw())
}
