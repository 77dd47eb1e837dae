//! The files that are worked on, made once; and the limits, which are other programs.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use divan::{Bencher, counter::BytesCount};
use kiln_layer::{
    Content, Entry, Error, Files, Folder, Index, Keep, LayerPath, Scan, Times, Tree, pack,
};
use tempfile::TempDir;

/// What everything is measured with.
pub(crate) struct Work {
    /// A folder of many small files.
    pub(crate) folder: PathBuf,
    /// The folder as a plain tar.
    pub(crate) tar: Vec<u8>,
    /// The same as a file.
    tar_file: PathBuf,
    pub(crate) tree: Tree,
    /// The tree with one file changed.
    pub(crate) changed: Tree,
    /// The stored form of the tree.
    pub(crate) stored: fs::File,
    pub(crate) index: Option<Index>,
}

static TEMPORARY: Mutex<Option<TempDir>> = Mutex::new(None);

/// Removes what was made.
pub(crate) fn remove() {
    TEMPORARY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
}

/// The files, made when they are first needed.
pub(crate) fn work() -> &'static Work {
    static WORK: OnceLock<Work> = OnceLock::new();
    WORK.get_or_init(|| {
        let folder = temporary();
        let made = make(folder.path());
        *TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
        made
    })
}

/// A folder in memory where that is possible: a disk is busy for a while with what was removed from
/// it, and then all who write are as slow as it is.
pub(crate) fn temporary() -> TempDir {
    let place = std::env::var_os("TMPDIR").map_or_else(|| "/dev/shm".into(), PathBuf::from);
    let made = TempDir::with_prefix_in("kiln-bench-", place);
    made.or_else(|_| TempDir::with_prefix("kiln-bench-"))
        .unwrap()
}

impl Work {
    pub(crate) fn bytes(&self) -> BytesCount {
        BytesCount::new(self.tar.len())
    }
}

fn make(at: &Path) -> Work {
    let count = std::env::var("KILN_BENCH_FILES").map_or(10_000, |n| n.parse().unwrap());
    let folder = at.join("folder");
    write(&folder, count);
    // Times that are too young to be relied upon stay out of an index.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (files, scanned) = Folder::scan_with(&folder, &|_, _| Keep::Yes, &Scan::default()).unwrap();
    let (tar, packed) = pack(&files, Vec::new(), Times::Keep).unwrap();
    let (tar_file, stored) = (at.join("tar"), at.join("tree"));
    fs::write(&tar_file, &tar).unwrap();
    let tree = packed.tree;
    fs::write(&stored, tree.encode()).unwrap();
    let mut changed: Vec<Entry> = tree.iter().cloned().collect();
    let last = changed.last_mut().unwrap();
    last.meta.mtime.seconds += 1;
    Work {
        folder,
        tar,
        tar_file,
        changed: Tree::from_entries(changed),
        tree,
        stored: fs::File::open(stored).unwrap(),
        index: scanned.index,
    }
}

/// Files of up to 8 KiB, of which half of the bytes are zero, in folders of 100.
fn write(folder: &Path, count: usize) {
    let mut state = 1_u64;
    let mut content = vec![0; 8192];
    for i in 0..count {
        let inner = folder.join(format!("d{}", i / 100));
        if i % 100 == 0 {
            fs::create_dir_all(&inner).unwrap();
        }
        for byte in &mut content {
            // The constants are those of Knuth's MMIX.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = if state >> 63 == 0 {
                0
            } else {
                (state >> 40) as u8
            };
        }
        let length = usize::try_from(state >> 51).unwrap() % content.len();
        fs::write(inner.join(format!("f{i}")), &content[..length]).unwrap();
    }
}

/// The folder, its contents read as far as [`Scan::read_up_to`] says.
pub(crate) fn scanned(read_up_to: u64) -> Folder {
    let how = Scan {
        read_up_to,
        ..Scan::default()
    };
    Folder::scan_with(&work().folder, &|_: &LayerPath, _| Keep::Yes, &how)
        .unwrap()
        .0
}

/// Opens the files of a folder for packing.
pub(crate) fn open(folder: &Folder) -> impl Fn(&Entry) -> Result<Content, Error> + Sync {
    |entry| {
        let opened: Box<dyn Read + Send> = folder.open(&entry.path)?;
        Ok(opened)
    }
}

/// Measures a command line of the shell, in which `$FOLDER` and `$TAR` are the files.
pub(crate) fn limit(bencher: Bencher<'_, '_>, program: &str, line: &str) {
    if is_here(program) {
        let bencher = bencher.counter(work().bytes());
        bencher.bench_local(|| shell(line, Path::new("")));
    }
}

/// The same, with an empty folder `$TO` for each run.
pub(crate) fn limit_into(bencher: Bencher<'_, '_>, program: &str, line: &str) {
    if is_here(program) {
        let bencher = bencher.counter(work().bytes());
        let bencher = bencher.with_inputs(temporary);
        bencher.bench_local_values(|to| {
            shell(line, to.path());
            to
        });
    }
}

fn is_here(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let is_here = command.status().is_ok();
    if !is_here {
        println!("not run: {program} is not installed");
    }
    is_here
}

fn shell(line: &str, to: &Path) {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .env("FOLDER", &work().folder)
        .env("TAR", &work().tar_file)
        .env("TO", to)
        .stdout(Stdio::null());
    assert!(command.status().unwrap().success(), "{line}");
}
