//! What the tests share.

use std::{
    io::Read,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use kiln_fetch::{Download, Error, Fetcher, HttpRequest, Limits, Options, Watch};

/// One that keeps things in a folder of its own.
pub(crate) struct Own {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) fetcher: Fetcher,
}

impl Own {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fetcher = Fetcher::open(folder.path()).unwrap();
        Self { folder, fetcher }
    }

    pub(crate) fn limited(limits: Limits) -> Self {
        let own = Self::new();
        let options = Options {
            limits,
            ..Options::default()
        };
        Self {
            fetcher: own.fetcher.with(options),
            ..own
        }
    }

    pub(crate) fn get(&self, url: &str) -> Result<Download, Error> {
        self.fetcher.http(&HttpRequest::new(url), &Watch::NOBODY)
    }

    pub(crate) fn pinned(&self, url: &str, content: &[u8]) -> Result<Download, Error> {
        let mut request = HttpRequest::new(url);
        request.checksum = Some(kiln_image::Digest::sha256(content));
        self.fetcher.http(&request, &Watch::NOBODY)
    }
}

pub(crate) fn read(download: &Download) -> Vec<u8> {
    let mut all = Vec::new();
    download.reader().read_to_end(&mut all).unwrap();
    all
}

/// Counts up.
#[derive(Default)]
pub(crate) struct Count(AtomicU32);

impl Count {
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// All files below, with what is in them.
pub(crate) fn contents(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all.extend(contents(&entry.path())),
            _ => all.extend(std::fs::read(entry.path()).unwrap_or_default()),
        }
    }
    all
}
