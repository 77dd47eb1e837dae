//! The pieces of work that are measured.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// One build.
pub(super) struct Work {
    /// What it is, as a heading.
    pub(super) about: &'static str,
    /// Its context, with the Dockerfile.
    pub(super) context: PathBuf,
    /// Whether records of earlier builds are left unused.
    pub(super) cold: bool,
}

/// How many files the large context has.
const FILES: usize = 50_000;

pub(super) fn all(folder: &Path) -> Result<Vec<Work>> {
    Ok(vec![
        cached(&folder.join("cached"))?,
        empty_runs(&folder.join("runs"))?,
        many_files(&folder.join("files"))?,
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
        cold: false,
    })
}

fn empty_runs(folder: &Path) -> Result<Work> {
    let runs: String = (0..30).map(|i| format!("RUN echo {i}\n")).collect();
    write(folder, &format!("FROM localhost/bench\n{runs}"), 0)?;
    Ok(Work {
        about: "30 RUNs of echo, nothing known",
        context: folder.to_path_buf(),
        cold: true,
    })
}

fn many_files(folder: &Path) -> Result<Work> {
    write(folder, "FROM scratch\nCOPY . /\n", FILES)?;
    Ok(Work {
        about: "COPY of 50,000 small files (4 KiB on average) to a local image, nothing known",
        context: folder.to_path_buf(),
        cold: true,
    })
}

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
