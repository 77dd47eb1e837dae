//! What an archive is let loose in: a root, and beside it canaries of every kind, each of which would
//! show that it was touched; a pipe that nobody reads would stop whoever opens it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::support::run;

/// A text with the name of the canary that has an absolute path.
pub(super) fn real(text: &str) -> String {
    let name = format!("kiln-layer-canary-{}", process::id());
    text.replace("CANARY", &name)
}

/// A file in `/tmp`, gone with the last test that needs it: the name is this process's own.
struct Absolute;

/// How many worlds look at it.
static LOOKING: Mutex<usize> = Mutex::new(0);

impl Absolute {
    fn path() -> PathBuf {
        real("/tmp/CANARY").into()
    }

    fn new() -> Self {
        let mut looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        if *looking == 0 {
            fs::write(Self::path(), "untouched").unwrap();
        }
        *looking += 1;
        Self
    }
}

impl Drop for Absolute {
    fn drop(&mut self) {
        let mut looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        *looking -= 1;
        if *looking == 0 {
            let _ = fs::remove_file(Self::path());
        }
    }
}

/// A folder with three roots, and `canary` beside them.
pub(super) struct World {
    temp: tempfile::TempDir,
    _absolute: Absolute,
    before: Vec<(PathBuf, Vec<i64>)>,
}

impl World {
    pub(super) fn new() -> Self {
        let absolute = Absolute::new();
        let temp = tempfile::tempdir().unwrap();
        let canary = temp.path().join("canary");
        fs::create_dir_all(canary.join("folder")).unwrap();
        for file in ["file", "folder/file"] {
            fs::write(canary.join(file), "untouched").unwrap();
        }
        assert!(run("mkfifo", &["-m", "666", "pipe"], &canary).is_some());
        fs::set_permissions(&canary, fs::Permissions::from_mode(0o700)).unwrap();
        for n in 0..3 {
            fs::create_dir(temp.path().join(format!("root{n}"))).unwrap();
        }
        let before = outside(temp.path());
        Self {
            temp,
            _absolute: absolute,
            before,
        }
    }

    /// One of them.
    pub(super) fn root(&self, n: usize) -> PathBuf {
        self.temp.path().join(format!("root{n}"))
    }

    /// Looks whether all outside of the root is as it was.
    pub(super) fn check(&self, name: &str) {
        assert_eq!(outside(self.temp.path()), self.before, "{name}");
    }
}

/// All that an archive could want to reach, with whatever would change; the time of change above
/// all, which nobody can set back.
fn outside(temp: &Path) -> Vec<(PathBuf, Vec<i64>)> {
    let canary = temp.join("canary");
    let mut paths = vec![
        Absolute::path(),
        canary.join("folder/file"),
        canary.clone(),
        // Reached by `/proc/self/cwd` and `/proc/self/root`.
        std::env::current_dir().unwrap(),
        "/".into(),
        "/dev/null".into(),
        "/dev/zero".into(),
    ];
    for folder in [temp, &canary] {
        paths.extend(fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
    }
    paths.sort();
    let stat = |path: PathBuf| {
        let stat = fs::symlink_metadata(&path).unwrap();
        let mut numbers = vec![stat.ino() as i64, stat.mode().into(), stat.uid().into()];
        // The roots are the archive's, and devices are used by others.
        if !path.display().to_string().contains("/root")
            && !path.starts_with("/dev")
            && path != Path::new("/")
        {
            numbers.extend([stat.nlink() as i64, stat.size() as i64]);
            numbers.extend([stat.ctime(), stat.ctime_nsec(), stat.mtime()]);
        }
        (path, numbers)
    };
    paths.into_iter().map(stat).collect()
}

/// Does `act`, which must not wait for anybody.
pub(super) fn without_waiting<T: Send + 'static>(
    name: &str,
    act: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (to, from) = mpsc::channel();
    let thread = thread::spawn(move || to.send(act()));
    match from.recv_timeout(Duration::from_secs(60)) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: waits for a pipe or a device"),
        Err(_) => {
            let _ = thread.join();
            panic!("{name}: panicked");
        }
    }
}
