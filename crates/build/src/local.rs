//! The machine at hand as a [`Worker`]: overlay root, sandbox, and the upper directory as the layer.

#[cfg(unix)]
pub(crate) mod agent;
mod cache;
mod emulation;
mod limits;
mod mounts;
mod targets;

use std::{
    ffi::OsString,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_image::Platform;
use kiln_layer::{Time, Times};
use kiln_rootfs::{Commit, NetworkFiles, Point, Prepared, Roots, owner};
use kiln_sandbox::{Io, PointKind, Process, Runner, Spec, User, UserNamespace};

use self::mounts::{Held, Maker, Mounts};
use crate::local::emulation::Emulators;
use crate::local::limits::End;
use crate::secrets::Known;
use crate::time;
use crate::{Error, ErrorKind, Layer, Network, Step, StepIo, Stream, Worker};

/// Carries out steps on this machine.
pub struct Local {
    roots: Arc<Roots>,
    runner: Arc<dyn Runner>,
    scratch: PathBuf,
    namespace: Option<Arc<UserNamespace>>,
    emulators: Emulators,
}

impl Local {
    /// Steps stand on layers of `roots`, are run by `runner`, and work in folders below `scratch`,
    /// which must be on the store's file system.
    pub fn new(roots: Arc<Roots>, runner: Arc<dyn Runner>, scratch: PathBuf) -> Self {
        Self {
            roots,
            runner,
            emulators: Emulators::new(scratch.clone()),
            scratch,
            namespace: None,
        }
    }

    /// The same for a runner that is not root but in `namespace`: what a step cannot do for that
    /// reason is explained.
    #[must_use]
    pub fn without_root(mut self, namespace: Option<Arc<UserNamespace>>) -> Self {
        self.namespace = namespace;
        self
    }

    /// What the step's mounts come to, and the root that they are mounted in.
    fn prepare(
        &self,
        step: &Step,
        io: &StepIo<'_>,
        at: &Path,
    ) -> Result<(Mounts, Prepared), Error> {
        if step.mounts.is_empty() {
            let prepared = self.roots.prepare(&step.layers, at)?;
            // A step before this one may have removed it; it comes back, and is a part of the layer.
            prepared.make_folder(&step.cwd, &**self.roots.bodies())?;
            return Ok((Mounts::default(), prepared));
        }
        let maker = Maker {
            roots: &self.roots,
            step,
            io,
            at,
            onto: &self.roots.root(&step.layers)?,
        };
        let mounts = maker.mounts()?;
        let cwd = Point {
            path: step.cwd.clone(),
            kind: PointKind::Directory,
        };
        let points = [Point::usual(), mounts.points.clone(), vec![cwd]].concat();
        let now = Time::at(time::now());
        let prepared = self.roots.prepare_with(&step.layers, &points, now, at)?;
        Ok((mounts, prepared))
    }

    fn spec(
        step: &Step,
        prepared: &Prepared,
        mounts: Mounts,
        at: &Path,
    ) -> Result<(Spec, Held), Error> {
        let ids = owner::resolve(&step.user, prepared.root())?;
        let mut env = step.env.clone();
        if !env.iter().any(|(k, _)| k == "HOME") {
            let home = ids.home.clone().unwrap_or_else(|| "/".to_owned());
            env.push(("HOME".to_owned(), home));
        }
        let host_name = step.bounds.hostname.clone();
        let host_name = host_name.unwrap_or_else(|| HOST_NAME.to_owned());
        let mut process = Process::new(step.argv.iter().map(String::as_str));
        process.env = env
            .into_iter()
            .map(|(k, v)| (OsString::from(k), OsString::from(v)))
            .collect();
        for (name, value) in mounts.env {
            process.env.retain(|(known, _)| *known != *name);
            process.env.push((name.into(), os_string(value)?));
        }
        process.cwd = PathBuf::from(&step.cwd);
        process.user = User {
            uid: ids.uid,
            gid: ids.gid,
            groups: ids.groups,
        };
        let mut spec = Spec::new(prepared.root_spec(true), process);
        let mut files = NetworkFiles::of_machine(&host_name, false)?;
        files.hosts.push_str(&step.bounds.lines());
        spec.mounts = files.write(at)?;
        spec.mounts.extend(mounts.all);
        // What lies in another mount comes after it.
        spec.mounts
            .sort_by_key(|mount| targets::depth(mount.target()));
        spec.hostname = Some(host_name);
        spec.network = match step.network {
            Network::None => kiln_sandbox::Network::None,
            Network::Default | Network::Host => kiln_sandbox::Network::Host,
        };
        spec.init = true;
        step.bounds.apply(&mut spec)?;
        Ok((spec, mounts.held))
    }

    /// Starts the process, passes its output on, and waits for it.
    fn carry_out(
        &self,
        spec: &Spec,
        step: &Step,
        io: &StepIo<'_>,
        known: &Known,
    ) -> Result<(), Error> {
        let pipe = || std::io::pipe().map_err(|e| Error::io("make a pipe", e));
        let ((out, out_end), (err, err_end)) = (pipe()?, pipe()?);
        let streams = Io {
            stdin: kiln_sandbox::Stream::Null,
            stdout: out_end.into(),
            stderr: err_end.into(),
        };
        let mut running = self
            .runner
            .start(spec, streams)
            .map_err(|e| start_error(&e, step))?;
        let kill = running.signaller();
        let guard = io.cancel.on_cancel(Box::new(move || kill(SIGKILL)));
        let (mut said, mut complained) = (End::default(), End::default());
        std::thread::scope(|scope| {
            scope.spawn(|| pass_on(out, Stream::Stdout, io, known, &mut said));
            pass_on(err, Stream::Stderr, io, known, &mut complained);
        });
        let exit = running.wait()?;
        drop(guard);
        if io.cancel.is_canceled() {
            return Err(Error::new(ErrorKind::Canceled, "canceled"));
        }
        match exit.code() {
            0 => Ok(()),
            code => {
                let error = Error::run(&step.argv, code);
                if running.out_of_memory() {
                    return Err(error.hint(OUT_OF_MEMORY));
                }
                let hint = self.namespace.as_ref().and_then(|namespace| {
                    let of = |end: &End| limits::hint(end.bytes(), namespace.map());
                    of(&complained).or_else(|| of(&said))
                });
                Err(match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }
}

/// The name of every machine that a RUN sees and that has no other. What programs write down of it is
/// the same in each build, and as docker's builder has it.
const HOST_NAME: &str = "buildkitsandbox";

const SIGKILL: i32 = 9;

const OUT_OF_MEMORY: &str = "it was killed because it needed more memory than `--memory` allows";

fn pass_on(mut from: impl Read, stream: Stream, io: &StepIo<'_>, known: &Known, end: &mut End) {
    let mut buffer = [0; 16 * 1024];
    let mut mask = known.mask();
    let mut show = |bytes: &[u8]| {
        if !bytes.is_empty() {
            (io.output)(stream, bytes);
            end.push(bytes);
        }
    };
    // A pipe whose other end is gone, for whatever reason, has ended.
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        show(&mask.push(&buffer[..n]));
    }
    show(&mask.end());
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Result<OsString, Error> {
    use std::os::unix::ffi::OsStringExt as _;
    Ok(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> Result<OsString, Error> {
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Error::new(ErrorKind::Input, "a variable that is not text"));
    text.map(OsString::from)
}

/// A process that could not be started: not the machine's fault where the image lacks the program.
fn start_error(e: &kiln_sandbox::Error, step: &Step) -> Error {
    match e.docker_code() {
        code @ (126 | 127) => {
            let text = e.to_string();
            let (what, hint) = match text.split_once('\n') {
                Some((what, hint)) => (what, Some(hint.to_owned())),
                None => (text.as_str(), None),
            };
            let shell = || match (&step.argv[..], code) {
                ([shell, option, _], 127) if option == "-c" && !what.starts_with("chdir") => {
                    Some(format!(
                        "this form of RUN needs `{shell}` in the image; an image without a shell takes \
                         RUN [\"program\", \"argument\"]"
                    ))
                }
                _ => None,
            };
            let error = Error::not_started(&step.argv, code, what);
            match hint.or_else(shell) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
        _ => Error::new(ErrorKind::Io, format!("start the step: {e}"))
            .because(std::error::Error::source(e).map_or_else(String::new, ToString::to_string)),
    }
}

impl Local {
    /// Carries the step out in the folder `at`.
    fn run_at(&self, step: &Step, io: &StepIo<'_>, at: &Path) -> Result<Layer, Error> {
        let known = Known::of(io.run)?;
        let (mounts, prepared) = self.prepare(step, io, at)?;
        let (spec, held) = Self::spec(step, &prepared, mounts, at)?;
        self.carry_out(&spec, step, io, &known)?;
        drop((spec, held));
        let how = Commit {
            times: step.epoch.map_or(Times::Keep, Times::Clamp),
            watch: known.watch.clone(),
        };
        let made = self.roots.commit(prepared, &step.layers, &how);
        let made = made.map_err(|e| match (e.kind(), e.path()) {
            (kiln_rootfs::ErrorKind::Sighted(needle), Some(path)) => {
                known.in_layer(needle, &path.display().to_string())
            }
            _ => e.into(),
        })?;
        Ok(Layer {
            diff_id: made.map(|m| m.diff_id),
            repeated: made.and_then(|m| m.repeated),
        })
    }
}

impl Worker for Local {
    fn run(&self, step: &Step, io: &StepIo<'_>) -> Result<Layer, Error> {
        self.emulators.check(&step.platform)?;
        let at = self.scratch.join(&step.id);
        std::fs::create_dir_all(&at)
            .map_err(|e| Error::io(format!("make `{}`", at.display()), e))?;
        let layer = self.run_at(step, io, &at);
        // Of two errors the first one says more.
        let removed = self.roots.remove(&at);
        let layer = layer?;
        removed?;
        Ok(layer)
    }

    fn can_run(&self, platform: &Platform) -> Result<(), Error> {
        self.emulators.check(platform)
    }

    fn stands_on_unpacked(&self) -> bool {
        true
    }
}
