//! What everything that works on a store shares: its paths, the boot it runs in, how folders are
//! removed, and the lock that keeps garbage collection away for a moment.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    path::Path,
    sync::{Arc, OnceLock},
};

use kiln_durable::{Lease, Lock, replace_by};
use kiln_layer::LayerPath;

use crate::{Error, ErrorKind, layout::Layout};

/// How a whole folder is removed, when its files may belong to others.
pub type Remover = Arc<dyn Fn(&Path) -> io::Result<()> + Send + Sync>;

/// How a regular file of an unpacked body is opened, never through a link, when it may belong to
/// others: the folder that is mounted, and the path in it.
pub type Opener = Arc<dyn Fn(&Path, &LayerPath) -> io::Result<fs::File> + Send + Sync>;

pub(crate) struct Base {
    pub(crate) layout: Layout,
    pub(crate) boot: String,
    pub(crate) remover: OnceLock<Remover>,
    pub(crate) opener: OnceLock<Opener>,
}

impl Base {
    /// While this is held nothing is collected. Short: around naming a digest, or writing a root.
    pub(crate) fn no_collection(&self) -> Result<Lock, Error> {
        Ok(Lock::shared(&self.layout.lock("collect"))?)
    }

    /// Removes the folder `path` with all that is in it; one that is not there is removed.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let done = match self.remover.get() {
            Some(remove) if path.try_exists()? => remove(path),
            Some(_) => Ok(()),
            None => fs::remove_dir_all(path),
        };
        match done {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// Takes the folder `path` out of sight at once, and removes it; what cannot be removed now is
    /// swept later. Whether it was there.
    pub(crate) fn discard(&self, path: &Path) -> Result<bool, Error> {
        let id = fresh_id();
        let lease = Lease::take(&self.layout.lease(&id))?;
        let away = self.layout.tmp(&id);
        match fs::rename(path, &away) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(Error::on("remove", path)(e)),
        }
        if self.remove_folder(&away).is_err() {
            lease.leave();
        }
        Ok(true)
    }
}

/// Thirty-two hexadecimal digits that nobody draws twice.
pub(crate) fn fresh_id() -> String {
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}

/// The boot that this process runs in: what was written in it and renamed is whole. Only Linux
/// tells; elsewhere all boots are taken for one, and a power failure is for `check` to find.
pub(crate) fn boot_id() -> Result<String, Error> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    if !cfg!(target_os = "linux") {
        return Ok("-".to_owned());
    }
    let text = fs::read_to_string(path).map_err(Error::on("read", path))?;
    Ok(text.trim().to_owned())
}

/// The content of a file; `None` when it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::on("read", path)(e)),
    }
}

/// Removes a file; whether it was there.
pub(crate) fn remove_file(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::on("remove", path)(e)),
    }
}

/// Whether something is at `path`.
pub(crate) fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(Error::on("look at", path))
}

/// The names in a folder; none when it is not there.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::on("read", folder)(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::on("read", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// Makes the folders of a new store, and its version last; or looks at the version of an old one.
pub(crate) fn prepare(layout: &Layout) -> Result<(), Error> {
    let version = layout.root.join("version");
    match read(&version)? {
        Some(text) if text == crate::layout::VERSION.as_bytes() => return Ok(()),
        Some(text) => return Err(other_version(&layout.root, &text)),
        None => {}
    }
    let ours = |name: &String| {
        crate::layout::FOLDERS.contains(&name.as_str())
            || crate::layout::FILES.contains(&name.as_str())
    };
    if let Some(stranger) = names(&layout.root)?.iter().find(|name| !ours(name)) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "`{}` is neither empty nor a store: there is `{stranger}`",
                layout.root.display()
            ),
        )
        .hint("name an empty folder, or one that does not exist yet"));
    }
    create_private(&layout.root)?;
    for folder in crate::layout::FOLDERS {
        let path = layout.folder(folder);
        match fs::create_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => done.map_err(Error::on("create", &path))?,
        }
    }
    let _lock = Lock::exclusive(&layout.lock("boot"))?;
    sweep_unowned(layout)?;
    let text = crate::layout::VERSION.as_bytes();
    Ok(replace_by(&layout.folder("tmp"), &version, text)?)
}

/// Removes the temporary files that belong to no owner: those of a process that was killed while
/// it wrote the version or the boot. Both are written under the lock `boot`, which the caller has.
pub(crate) fn sweep_unowned(layout: &Layout) -> Result<(), Error> {
    let tmp = layout.folder("tmp");
    for name in names(&tmp)?.iter().filter(|name| name.starts_with(".new-")) {
        remove_file(&tmp.join(name))?;
    }
    Ok(())
}

fn other_version(root: &Path, text: &[u8]) -> Error {
    let text = String::from_utf8_lossy(text);
    match text.strip_prefix("kiln store ").map(str::trim) {
        Some(version) if version.parse::<u32>().is_ok_and(|v| v > 1) => Error::new(
            ErrorKind::Newer,
            format!(
                "the store `{}` has layout {version}; this version knows 1",
                root.display()
            ),
        )
        .hint("use the version that made it, or another folder (`KILN_ROOT`)"),
        _ => Error::new(
            ErrorKind::Damaged,
            format!(
                "`{}` does not say which layout it has: its file `version` is damaged",
                root.display()
            ),
        ),
    }
}

/// What images hold may be setuid: nobody else enters.
fn create_private(root: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(root).map_err(Error::on("create", root))
}
