//! A root of busybox, a runner, and short ways to run a script in it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use kiln_sandbox::{
    Error, Exit, IdMap, Io, Native, Process, RootSpec, Runner, Running, Runtime, Spec,
    UserNamespace, mount_points,
};
use kiln_tests::harness::Outcome;
pub(crate) use kiln_tests::until::so as until;
use tempfile::TempDir;

/// One behaviour, whatever the runner.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&World) -> Outcome,
}

/// Names each function of a module as a case.
#[macro_export]
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[$crate::world::Case] = &[$(
            $crate::world::Case { name: stringify!($name), run: $name },
        )*];
    };
}

pub(crate) struct World {
    pub(crate) runner: Box<dyn Runner>,
    pub(crate) native: bool,
    /// The users that there are; all of them for root.
    pub(crate) ids: Option<IdMap>,
    /// In which the runner runs.
    pub(crate) namespace: Option<Arc<UserNamespace>>,
    /// The OCI runtime that the runner is.
    pub(crate) runtime: Option<PathBuf>,
    /// The image: a layer with busybox.
    pub(crate) image: PathBuf,
    /// A layer with nothing but the sandbox's own mount points.
    stub: PathBuf,
    directory: TempDir,
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An overlay of its own for one test.
pub(crate) struct Layers {
    pub(crate) root: RootSpec,
    pub(crate) upper: PathBuf,
    _directory: TempDir,
}

pub(crate) type Shared = Rc<Result<World, String>>;

/// A world for each runner, or the reason why this machine has none. Root's are without a user
/// namespace; a user has one, with as many ids as they have.
pub(crate) fn worlds() -> Vec<(&'static str, Shared)> {
    if let Some(namespace) = UserNamespace::usual().unwrap() {
        let single = namespace.map().is_single();
        let name = if single { "single" } else { "ids" };
        return vec![(name, Rc::new(World::new(None, Some(namespace))))];
    }
    let native = World::new(None, None);
    let runc = match ["/usr/sbin/runc", "/usr/bin/runc"]
        .iter()
        .find(|path| Path::new(path).exists())
    {
        Some(path) => World::new(Some(path.into()), None),
        None => Err("runc is not installed".into()),
    };
    vec![("native", Rc::new(native)), ("runc", Rc::new(runc))]
}

const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "echo", "env", "false", "grep", "head", "hostname", "id", "ip",
    "kill", "ls", "mkdir", "mknod", "mount", "mv", "nc", "ps", "readlink", "rm", "sh", "sleep",
    "stat", "test", "touch", "true", "umount", "unshare", "wget", "yes", "tr", "wc", "chroot",
    "ln", "httpd", "stty", "tty",
];

impl World {
    fn new(
        runtime: Option<PathBuf>,
        namespace: Option<Arc<UserNamespace>>,
    ) -> Result<Self, String> {
        let busybox = Path::new("/bin/busybox");
        if !busybox.exists() {
            return Err("`/bin/busybox` is not installed (a static one is needed)".into());
        }
        let directory = TempDir::new().unwrap();
        let image = directory.path().join("image");
        for part in ["bin", "etc", "tmp", "root", "home/app", "data", "work"] {
            fs::create_dir_all(image.join(part)).unwrap();
        }
        fs::set_permissions(image.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        fs::copy(busybox, image.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", image.join("bin").join(applet)).unwrap();
        }
        fs::write(image.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        fs::write(image.join("etc/lower"), "lower\n").unwrap();
        let stub = directory.path().join("stub");
        for point in mount_points() {
            fs::create_dir_all(stub.join(point.path.trim_start_matches('/'))).unwrap();
        }
        let world = Self {
            runner: match &runtime {
                Some(program) => Box::new(Runtime::new(program)),
                None => Box::new(Native::new(namespace.clone())),
            },
            ids: namespace.as_ref().map(|namespace| namespace.map().clone()),
            namespace,
            native: runtime.is_none(),
            runtime,
            image,
            stub,
            directory,
        };
        let dynamic = world
            .sh("true")
            .is_err_and(|error| error.to_string().contains("loader"));
        if dynamic {
            Err("`/bin/busybox` is not static".into())
        } else {
            Ok(world)
        }
    }

    /// Whether there is but one user, root.
    pub(crate) fn single(&self) -> bool {
        self.ids.as_ref().is_some_and(IdMap::is_single)
    }

    /// Those of some users that there are.
    pub(crate) fn users<const N: usize>(&self, some: [u32; N]) -> impl Iterator<Item = u32> {
        let has = |uid: &u32| self.ids.as_ref().is_none_or(|ids| ids.has_uid(*uid));
        some.into_iter().filter(has)
    }

    /// Layers above the image, the topmost first, with nothing changed yet.
    pub(crate) fn layers(&self, above: &[&Path]) -> Layers {
        let directory = TempDir::new_in(self.directory.path()).unwrap();
        let (upper, work) = (
            directory.path().join("upper"),
            directory.path().join("work"),
        );
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let lowers = above.iter().copied().chain([&*self.image, &*self.stub]);
        let root = RootSpec::Overlay {
            lowers: lowers.map(Path::to_path_buf).collect(),
            upper: upper.clone(),
            work,
            volatile: true,
        };
        Layers {
            root,
            upper,
            _directory: directory,
        }
    }

    /// A directory for a test.
    pub(crate) fn scratch(&self) -> TempDir {
        TempDir::new_in(self.directory.path()).unwrap()
    }

    /// Runs a script in a fresh overlay.
    pub(crate) fn sh(&self, script: &str) -> Result<Ran, Error> {
        self.sh_with(script, |_| {})
    }

    /// The same with the specification changed.
    pub(crate) fn sh_with(
        &self,
        script: &str,
        change: impl FnOnce(&mut Spec),
    ) -> Result<Ran, Error> {
        let layers = self.layers(&[]);
        let mut spec = Spec::new(layers.root.clone(), shell(script));
        change(&mut spec);
        self.run(&spec)
    }

    /// Runs a specification and reads what it writes.
    pub(crate) fn run(&self, spec: &Spec) -> Result<Ran, Error> {
        let (mut stdout, out) = std::io::pipe().unwrap();
        let (mut stderr, err) = std::io::pipe().unwrap();
        let io = Io {
            stdin: Default::default(),
            stdout: out.into(),
            stderr: err.into(),
        };
        let mut running = self.runner.start(spec, io)?;
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        let exit = running.wait()?;
        Ok(Ran {
            exit,
            stdout: text,
            stderr: errors.join().unwrap(),
        })
    }

    /// Starts a script; its output is the other half.
    pub(crate) fn start(&self, script: &str, change: impl FnOnce(&mut Spec)) -> Started {
        let layers = self.layers(&[]);
        let mut spec = Spec::new(layers.root.clone(), shell(script));
        change(&mut spec);
        let (stdout, out) = std::io::pipe().unwrap();
        let io = Io {
            stdout: out.into(),
            ..Io::null()
        };
        let running = self.runner.start(&spec, io).unwrap();
        Started {
            running,
            stdout,
            _layers: layers,
        }
    }
}

pub(crate) struct Started {
    pub(crate) running: Box<dyn Running>,
    pub(crate) stdout: std::io::PipeReader,
    _layers: Layers,
}

impl Started {
    /// The next line that it writes.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }
}

/// A script in busybox's shell, with a PATH.
pub(crate) fn shell(script: &str) -> Process {
    let mut process = Process::new(["sh", "-c", script]);
    process.env.push(("PATH".into(), "/bin".into()));
    process
}

/// Whether the host has a process whose command line holds this text.
pub(crate) fn lives(text: &str) -> bool {
    let listed = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .any(|line| line.contains(text))
}
