//! The pieces of work that are measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;

/// One build.
pub(super) struct Work {
    /// What it is, as a heading.
    pub(super) about: &'static str,
    /// Its context, with the Dockerfile.
    pub(super) context: PathBuf,
    /// What is so before each run.
    pub(super) before: Before,
    /// Whether `find` over the context is measured beside it.
    pub(super) beside_find: bool,
}

/// What is so before a run of a build.
pub(super) enum Before {
    /// It was built before.
    Known,
    /// The Dockerfile is this one, with `TIME` in it another word each time.
    Rewritten(&'static str),
    /// The store is empty.
    Fresh,
    /// One file of the context has changed.
    Changed(PathBuf),
    /// Records of earlier builds are left unused.
    NoCache,
}

/// How many files the large context has.
const FILES: usize = 50_000;

/// Builds of small things.
pub(super) fn small(folder: &Path) -> Result<Vec<Work>> {
    Ok(vec![
        cached(&folder.join("cached"))?,
        empty_runs(&folder.join("runs"))?,
    ])
}

/// Where the large context is.
pub(super) fn files(folder: &Path) -> PathBuf {
    folder.join("files")
}

/// Builds of many files, and what follows each other on the same context.
pub(super) fn large(folder: &Path) -> Result<Vec<Work>> {
    let files = files(folder);
    write(&files, "FROM scratch\nCOPY . /\n", FILES)?;
    let work = |about, before, beside_find| Work {
        about,
        context: files.clone(),
        before,
        beside_find,
    };
    Ok(vec![
        // First: what follows empties the stores.
        many_changes(&folder.join("changes"), &files)?,
        work(
            "COPY of 50,000 small files (4 KiB on average), in a fresh store",
            Before::Fresh,
            false,
        ),
        work(
            "COPY of 50,000 small files, `--no-cache` in a store that has built it before",
            Before::NoCache,
            false,
        ),
        work(
            "COPY of 50,000 small files, nothing changed",
            Before::Known,
            true,
        ),
        work(
            "COPY of 50,000 small files, one of them changed",
            Before::Changed(files.join(format!("d{}/f{}", FILES / 200, FILES / 2 + 42))),
            false,
        ),
    ])
}

/// Twenty instructions over 200 small files, built before.
fn cached(folder: &Path) -> Result<Work> {
    let mut text = String::from("FROM localhost/bench\nWORKDIR /src\nCOPY . .\n");
    for i in 0..8 {
        text.push_str(&format!("RUN echo {i} > /out{i}\nENV N{i}={i}\n"));
    }
    text.push_str("CMD [\"sh\"]\n");
    write(folder, &text, 200)?;
    Ok(Work {
        about: "20 instructions, 200 files, everything known",
        context: folder.to_path_buf(),
        before: Before::Known,
        beside_find: false,
    })
}

fn empty_runs(folder: &Path) -> Result<Work> {
    let runs: String = (0..30).map(|i| format!("RUN echo {i}\n")).collect();
    write(folder, &format!("FROM localhost/bench\n{runs}"), 0)?;
    Ok(Work {
        about: "30 RUNs of echo, nothing known",
        context: folder.to_path_buf(),
        before: Before::NoCache,
        beside_find: false,
    })
}

/// A RUN that touches a lot of what is below it.
fn many_changes(folder: &Path, files: &Path) -> Result<Work> {
    process::output(Command::new("cp").arg("-a").arg(files).arg(folder))?;
    fs::write(folder.join("Dockerfile"), CHANGES)?;
    Ok(Work {
        about: "a RUN that deletes 10,000 of 50,000 files and appends to 10,000 others",
        context: folder.to_path_buf(),
        before: Before::Rewritten(CHANGES),
        beside_find: false,
    })
}

/// In folders of 100 files.
const CHANGES: &str = "FROM localhost/bench
COPY . /files
RUN : TIME; cd /files && for i in $(seq 0 99); do rm -r d$i; done && \
    for i in $(seq 100 199); do for f in d$i/*; do echo more >> $f; done; done
";

/// A Dockerfile and `count` files of up to 8 KiB in folders of 100.
fn write(folder: &Path, dockerfile: &str, count: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("Dockerfile"), dockerfile)?;
    let mut state = 1_u64;
    let mut content = vec![0; 8192];
    for i in 0..count {
        let inner = folder.join(format!("d{}", i / 100));
        if i % 100 == 0 {
            fs::create_dir_all(&inner)?;
        }
        for byte in &mut content {
            // A generator of the kind of Knuth's MMIX; half of the bytes are zero, so that it can
            // be compressed.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = if state >> 63 == 0 {
                0
            } else {
                (state >> 40) as u8
            };
        }
        let length = usize::try_from(state >> 51)? % content.len();
        fs::write(inner.join(format!("f{i}")), &content[..length])?;
    }
    Ok(())
}
