//! A directory in memory to unpack into, with files beside it that must stay as they are.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A root, and what is outside of it. Dropped, both are gone.
pub struct Cage {
    dir: PathBuf,
    before: Vec<(PathBuf, [i64; 8])>,
}

impl Cage {
    /// One in `/dev/shm`, or where temporary files are.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let base = if shm.is_dir() {
            shm.into()
        } else {
            std::env::temp_dir()
        };
        let dir = base.join(format!("kiln-fuzz-{}", std::process::id()));
        let canary = dir.join("canary");
        fs::create_dir_all(&canary).expect("a folder is made");
        fs::write(canary.join("file"), "untouched").expect("a file is made");
        let before = state(&canary);
        Self { dir, before }
    }

    /// What must not be touched.
    pub fn outside(&self) -> String {
        self.dir.join("canary").display().to_string()
    }

    /// An empty root.
    ///
    /// # Panics
    /// When what was in it cannot be deleted.
    pub fn root(&self) -> PathBuf {
        let root = self.dir.join("root");
        if root.exists() {
            fs::remove_dir_all(&root).expect("what was unpacked can be deleted");
        }
        fs::create_dir(&root).expect("a folder is made");
        root
    }

    /// Looks whether all is as it was.
    ///
    /// # Panics
    /// When it is not.
    pub fn check(&self) {
        assert_eq!(state(&self.dir.join("canary")), self.before);
        let beside = fs::read_dir(&self.dir)
            .expect("the folder is there")
            .count();
        assert_eq!(beside, 2);
    }
}

impl Default for Cage {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Everything that would show a change: the time of change above all, which nobody can set back.
fn state(canary: &Path) -> Vec<(PathBuf, [i64; 8])> {
    let inside = fs::read_dir(canary).expect("the canary is there");
    let mut paths: Vec<_> = inside.map(|e| e.expect("a name").path()).collect();
    paths.push(canary.into());
    paths.sort();
    let stat = |path: PathBuf| {
        let stat = fs::symlink_metadata(&path).expect("it is there");
        let numbers = [
            stat.ino() as i64,
            stat.mode().into(),
            stat.uid().into(),
            stat.nlink() as i64,
            stat.size() as i64,
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
        ];
        (path, numbers)
    };
    paths.into_iter().map(stat).collect()
}
