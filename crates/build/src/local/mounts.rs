//! The mounts of a step on this machine: each becomes a mount of the sandbox, and what has to be held
//! while the step runs. Sources are looked up in trees and opened by the sandbox, inside their root.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_graph::{Mount, MountKind, SecretMount, SshMount};
use kiln_image::Digest;
use kiln_layer::{Entry, Kind, LayerPath, Root, Time};
use kiln_rootfs::{Point, Prepared, Roots};
use kiln_sandbox::{Hidden, Mount as Mounted, Owned, PointKind, RootSpec};

use super::{
    cache::{Caches, Taken},
    targets::{Seen, Target, depth},
};
use crate::{Error, ErrorKind, Step, StepIo};

/// What the mounts of a step come to.
#[derive(Default)]
pub(super) struct Mounts {
    pub(super) all: Vec<Mounted>,
    /// What they are mounted on.
    pub(super) points: Vec<Point>,
    /// Variables that are secrets.
    pub(super) env: Vec<(String, Vec<u8>)>,
    pub(super) held: Held,
}

/// What is let go when the step is over.
#[derive(Default)]
pub(super) struct Held {
    caches: Taken,
    #[cfg(unix)]
    agents: Vec<super::agent::Forward>,
}

/// Makes the mounts of one step.
pub(super) struct Maker<'a> {
    pub(super) roots: &'a Roots,
    pub(super) step: &'a Step,
    pub(super) io: &'a StepIo<'a>,
    /// The folder of the step.
    pub(super) at: &'a Path,
    /// The root that they are mounted in.
    pub(super) onto: &'a Root,
}

impl Maker<'_> {
    pub(super) fn mounts(&self) -> Result<Mounts, Error> {
        let mut made = Mounts::default();
        let caches = Caches {
            roots: self.roots,
            step: self.step,
            io: self.io,
        };
        let taken = caches.take_all()?;
        let mut mounts: Vec<(usize, &Mount)> = self.step.mounts.iter().enumerate().collect();
        // As they are going to be mounted.
        mounts.sort_by_key(|(_, mount)| depth(Path::new(&mount.target)));
        let mut seen = Seen::new(self.onto);
        for (number, mount) in mounts {
            let at = self.place(&seen, mount)?;
            let target = PathBuf::from(&mount.target);
            let mut shown = None;
            match &mount.kind {
                MountKind::Bind {
                    input,
                    source,
                    writable,
                } => {
                    let from = (*input, source.as_str(), *writable);
                    shown = Some(self.bind((mount, &at), number, from, &mut made)?);
                }
                MountKind::Cache(cache) => {
                    made.point(&at, true);
                    // Not as a bind: programs have put into it what they liked, links as well.
                    made.all.push(Mounted::Part {
                        root: RootSpec::Directory(caches.folder(&taken, cache)?),
                        path: PathBuf::from("/"),
                        target,
                        read_only: cache.read_only,
                    });
                }
                MountKind::Tmpfs { size } => {
                    made.point(&at, true);
                    made.all.push(Mounted::Tmpfs {
                        mode: self.mode_of(&at),
                        size: *size,
                        exec: true,
                        target,
                    });
                }
                MountKind::Secret(secret) => self.secret((mount, &at), secret, &mut made)?,
                MountKind::Ssh(ssh) => self.ssh((mount, &at), ssh, number, &mut made)?,
                _ => {
                    let what = format!("a mount on `{}`", mount.target);
                    return Err(Error::new(ErrorKind::Unsupported, what));
                }
            }
            if let Some(at) = at {
                seen.cover(&at, shown);
            }
        }
        made.held.caches = taken;
        Ok(made)
    }

    /// Where a mount is going to be. Refuses to cover what a sandbox mounts itself, also where a link
    /// leads there.
    fn place(&self, seen: &Seen<'_>, mount: &Mount) -> Result<Option<Target>, Error> {
        let target = &mount.target;
        // A secret that is a variable alone is mounted nowhere.
        if target.is_empty() {
            return Ok(None);
        }
        let at = seen.find(target);
        let is_led = |at: &Target| {
            let path = at.path.to_path();
            path.is_some_and(|path| is_systems(&Path::new("/").join(path)))
        };
        if !at.as_ref().is_some_and(is_led) && !is_systems(Path::new(target)) {
            return Ok(at);
        }
        let what = format!("nothing can be mounted on `{target}`: it is the system's own");
        Err(Error::new(ErrorKind::Input, what).hint("choose another `target`"))
    }

    /// Mounts a part of an input; gives what is seen there.
    fn bind(
        &self,
        (mount, at): (&Mount, &Option<Target>),
        number: usize,
        (input, source, writable): (usize, &str, bool),
        made: &mut Mounts,
    ) -> Result<(Arc<Root>, LayerPath), Error> {
        let prepared = self.prepared(input, number)?;
        let entry = found(prepared.root(), source)?;
        made.point(at, entry.as_ref().is_none_or(Entry::is_dir));
        made.all.push(Mounted::Part {
            root: prepared.root_spec(true),
            path: Path::new("/").join(source),
            target: PathBuf::from(&mount.target),
            read_only: !writable,
        });
        let path = entry.map_or_else(LayerPath::root, |entry| entry.path);
        Ok((Arc::clone(prepared.root()), path))
    }

    /// An input, ready to be mounted: what is written to it is lost.
    fn prepared(&self, input: usize, number: usize) -> Result<Prepared, Error> {
        let at = self.at.join(format!("mount{number}"));
        std::fs::create_dir(&at).map_err(|e| Error::io(format!("make `{}`", at.display()), e))?;
        let layers = layers(self.step, input)?;
        Ok(self.roots.prepare_with(layers, &[], Time::default(), &at)?)
    }

    /// A folder that is covered keeps its mode; a new one is for everybody.
    fn mode_of(&self, at: &Option<Target>) -> u32 {
        let at = at.as_ref().filter(|at| at.in_root);
        let entry = at.and_then(|at| self.onto.lookup(&at.path));
        entry.map_or(0o1777, |entry| entry.meta.mode)
    }

    fn secret(
        &self,
        (mount, at): (&Mount, &Option<Target>),
        secret: &SecretMount,
        made: &mut Mounts,
    ) -> Result<(), Error> {
        let id = &secret.id;
        let Some(value) = self.io.run.secrets.get(id)? else {
            if !secret.required {
                return Ok(());
            }
            return Err(
                Error::new(ErrorKind::NotFound, format!("secret `{id}` was not given"))
                    .hint(format!("give it: --secret id={id},src=FILE")),
            );
        };
        if let Some(name) = &secret.env {
            if value.bytes().contains(&0) {
                let what = format!("secret `{id}` has a zero byte, so `{name}` cannot be it");
                return Err(
                    Error::new(ErrorKind::Input, what).hint("take it as a file: leave `env` out")
                );
            }
            made.env.push((name.clone(), value.bytes().to_vec()));
        }
        if let Some(file) = &secret.file {
            made.point(at, false);
            made.all.push(Mounted::File {
                content: Hidden::new(value.bytes()),
                target: PathBuf::from(&mount.target),
                owned: Owned {
                    uid: file.uid,
                    gid: file.gid,
                    mode: file.mode,
                },
            });
        }
        Ok(())
    }

    fn ssh(
        &self,
        (mount, at): (&Mount, &Option<Target>),
        ssh: &SshMount,
        number: usize,
        made: &mut Mounts,
    ) -> Result<(), Error> {
        let (id, agents) = (&ssh.id, &self.io.run.agents);
        if !agents.has(id) {
            if !ssh.required {
                return Ok(());
            }
            let what = format!("the SSH agent `{id}` was not given");
            return Err(Error::new(ErrorKind::NotFound, what)
                .hint(format!("give it: --ssh {id}, with SSH_AUTH_SOCK set")));
        }
        let source = made
            .held
            .forward(&self.at.join(format!("mount{number}")), agents, id)?;
        made.point(at, false);
        made.all.push(Mounted::Socket {
            source,
            target: PathBuf::from(&mount.target),
            owned: Owned {
                uid: ssh.uid,
                gid: ssh.gid,
                mode: ssh.mode,
            },
        });
        Ok(())
    }
}

impl Mounts {
    /// What is missing in the root is made there and not seen afterwards; in what is mounted the sandbox
    /// makes it.
    fn point(&mut self, at: &Option<Target>, is_folder: bool) {
        let kind = match is_folder {
            true => PointKind::Directory,
            false => PointKind::File,
        };
        let at = at.as_ref().filter(|at| at.in_root);
        let path = at.and_then(|at| std::str::from_utf8(at.path.as_bytes()).ok());
        self.points.extend(path.map(|path| Point {
            path: format!("/{path}"),
            kind,
        }));
    }
}

impl Held {
    #[cfg(unix)]
    fn forward(
        &mut self,
        folder: &Path,
        agents: &Arc<dyn crate::Agents>,
        id: &str,
    ) -> Result<PathBuf, Error> {
        let forward = super::agent::Forward::new(folder, Arc::clone(agents), id)?;
        let path = forward.path().to_owned();
        self.agents.push(forward);
        Ok(path)
    }

    #[cfg(not(unix))]
    fn forward(&mut self, _: &Path, _: &Arc<dyn crate::Agents>, _: &str) -> Result<PathBuf, Error> {
        let what = "an SSH agent in a step needs a unix system";
        Err(Error::new(ErrorKind::Unsupported, what))
    }
}

/// The layers of a mount's input.
pub(super) fn layers(step: &Step, input: usize) -> Result<&[Digest], Error> {
    let layers = input.checked_sub(1).and_then(|i| step.inputs.get(i));
    layers.map(Vec::as_slice).ok_or_else(|| {
        let what = format!("the step has no input {input}");
        Error::new(ErrorKind::Input, what)
    })
}

/// What is at `source`, links followed inside; `None` for a root that is told of nowhere.
pub(super) fn found(root: &Root, source: &str) -> Result<Option<Entry>, Error> {
    let path = match source {
        "." => LayerPath::root(),
        source => LayerPath::parse(source).map_err(|e| {
            Error::new(ErrorKind::Input, format!("the source `{source}`")).because(e)
        })?,
    };
    let resolved = root.resolve(&path)?;
    match resolved.entry {
        Some(entry) if matches!(entry.kind, Kind::Symlink { .. }) => Err(nothing_at(source)),
        Some(entry) => Ok(Some(entry.clone())),
        None if resolved.path.is_root() => Ok(None),
        None => Err(nothing_at(source)),
    }
}

fn nothing_at(source: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("`/{source}` is not there to be mounted"),
    )
}

/// What a sandbox mounts itself.
fn is_systems(target: &Path) -> bool {
    let own = |folder: &str| target.starts_with(folder);
    own("/proc") || own("/sys") || target == Path::new("/dev") || target == Path::new("/")
}
