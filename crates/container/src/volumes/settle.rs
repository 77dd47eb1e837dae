//! From wishes to mounts: what a container that is being made gets, and what its start then mounts.
//!
//! - **Create** calls [`Volumes::settle`], holding the container's lease: volumes are made, filled
//!   and marked as used, sources of `-v` that are missing are made.
//! - **Start** calls [`Volumes::mounts`] with what that gave, each time.
//! - **Removal** calls [`Volumes::leave`] when the container's folder is out of sight.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln_image::{Digest, Empty};
use kiln_sandbox::Mount;

use super::fill::Content;
use super::{Noted, Volumes};
use crate::mounts::{MountKind, Mounted, Wish, clean};
use crate::state::{failed, now};
use crate::{Error, ErrorKind, names};

/// What a container that is being made asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The container's id; the caller holds its lease.
    pub(crate) id: &'a str,
    /// The caller's wishes.
    pub(crate) wishes: &'a [Wish],
    /// The image's volumes (`VOLUME`): anonymous ones, where no wish has the same target.
    pub(crate) image: &'a BTreeMap<String, Empty>,
    /// The image's layers, the bottom first.
    pub(crate) layers: &'a [Digest],
}

impl Volumes {
    /// What a new container gets, in the order of the wishes, the image's volumes last. Volumes are
    /// made and filled; from now on they are in use by the container. When this fails, the anonymous
    /// ones that it made are gone again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for two mounts at one place, and for a source that is not there;
    /// [`ErrorKind::Io`] with the path.
    pub(crate) fn settle(&self, asked: &Asked<'_>) -> Result<Vec<Mounted>, Error> {
        let mut places = BTreeSet::new();
        for wish in asked.wishes {
            if !places.insert(wish.target()) {
                let what = format!("Duplicate mount point: {}", wish.target());
                return Err(Error::new(ErrorKind::Invalid, what));
            }
        }
        let image = asked.image.keys().map(|path| clean(&format!("/{path}")));
        let image: BTreeSet<String> = image
            .filter(|path| path != "/" && !places.contains(path.as_str()))
            .collect();
        let image = image.into_iter().map(|target| Wish::Volume {
            name: None,
            target,
            read_only: false,
            no_copy: false,
            labels: BTreeMap::new(),
        });
        let mut mounted = Vec::new();
        for wish in asked.wishes.iter().cloned().chain(image) {
            match self.settle_one(asked, &wish) {
                Ok(one) => mounted.push(one),
                Err(e) => {
                    // The first error is the one to tell; what stays is for a prune.
                    let _ = self.leave(&mounted, asked.id, true);
                    return Err(e);
                }
            }
        }
        Ok(mounted)
    }

    fn settle_one(&self, asked: &Asked<'_>, wish: &Wish) -> Result<Mounted, Error> {
        let one = |kind, name, source, rw| Mounted {
            kind,
            name,
            source,
            destination: wish.target().to_owned(),
            rw,
        };
        Ok(match wish {
            Wish::Bind {
                source,
                read_only,
                create_source,
                ..
            } => {
                bind_source(source, *create_source)?;
                one(MountKind::Bind, None, source.clone(), !read_only)
            }
            Wish::Tmpfs {
                size, mode, exec, ..
            } => {
                let kind = MountKind::Tmpfs {
                    size: *size,
                    mode: *mode,
                    exec: *exec,
                };
                one(kind, None, "".into(), true)
            }
            Wish::Volume {
                name,
                target,
                read_only,
                no_copy,
                labels,
            } => {
                let noted = Noted {
                    created: now(),
                    anonymous: name.is_none(),
                    labels: labels.clone(),
                };
                let content = (!no_copy).then_some(Content {
                    layers: asked.layers,
                    path: target,
                });
                let name = name.clone().unwrap_or_else(names::id);
                let volume = self.make(&name, &noted, Some(asked.id), content)?;
                let kind = MountKind::Volume {
                    anonymous: noted.anonymous,
                };
                one(kind, Some(name), volume.mountpoint, !read_only)
            }
        })
    }

    /// What a start mounts: folders before what lies in them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Start`] for a source or a volume that is gone.
    // Only where something can run.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn mounts(&self, mounted: &[Mounted]) -> Result<Vec<Mount>, Error> {
        let mut mounts = Vec::new();
        for one in mounted {
            let target = one.destination.clone().into();
            match one.kind {
                MountKind::Tmpfs { size, mode, exec } => {
                    mounts.push(Mount::Tmpfs {
                        target,
                        size,
                        mode,
                        exec,
                    });
                    continue;
                }
                MountKind::Bind if one.source.exists() => {}
                MountKind::Bind => return Err(no_source(&one.source, ErrorKind::Start)),
                // It may be out of reach for this user; that its folder is there is enough.
                MountKind::Volume { .. } => {
                    let name = one.name.as_deref().unwrap_or_default();
                    if self.read(name)?.is_none() {
                        let what = format!("the volume \"{name}\" is gone");
                        return Err(Error::new(ErrorKind::Start, what));
                    }
                }
            }
            mounts.push(Mount::Bind {
                source: one.source.clone(),
                target,
                read_only: !one.rw,
            });
        }
        mounts.sort_by_key(|mount| mount.target().components().count());
        Ok(mounts)
    }

    /// After the container `id` has gone out of sight: its volumes are no longer in use by it, and
    /// with `anonymous` those that were made for it alone are removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] with the path.
    pub(crate) fn leave(
        &self,
        mounted: &[Mounted],
        id: &str,
        anonymous: bool,
    ) -> Result<(), Error> {
        for one in mounted {
            let (MountKind::Volume { anonymous: ours }, Some(name)) = (one.kind, &one.name) else {
                continue;
            };
            let lock = self.lock()?;
            let Some(volume) = self.read(name)? else {
                continue;
            };
            let mark = self.folder.join(name).join(super::USERS).join(id);
            match std::fs::remove_file(&mark) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("remove", &mark)(e));
                }
                _ => {}
            }
            if anonymous && ours && self.users(&volume)?.is_empty() {
                self.take_away(&volume, lock)?;
            }
        }
        Ok(())
    }
}

/// A source that is missing is made, as docker's `-v` does, or an error, as with its `--mount`.
fn bind_source(source: &Path, create: bool) -> Result<(), Error> {
    if source.exists() {
        return Ok(());
    }
    if !create {
        let why = no_source(source, ErrorKind::Invalid);
        let what = format!("invalid mount config for type \"bind\": {why}");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    std::fs::create_dir_all(source).map_err(|e| {
        let what = format!(
            "error while creating mount source path '{}'",
            source.display()
        );
        Error::new(ErrorKind::Io, what).because(e)
    })
}

fn no_source(source: &Path, kind: ErrorKind) -> Error {
    let what = format!("bind source path does not exist: {}", source.display());
    Error::new(kind, what)
}
