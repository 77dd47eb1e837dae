//! `certs.d/<host[:port]>`, as docker and podman have it: every `*.crt` vouches for the registry,
//! `x.cert` with `x.key` is shown to it. Refuses folders in which one of the two is missing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_image::{Error, ErrorKind};

use super::bad;
use crate::{Identity, tls};

/// The folders, the first of them first.
#[derive(Debug)]
pub(super) struct Certs(Vec<PathBuf>);

/// What there is for a host.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) identity: Option<Identity>,
}

impl Certs {
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// The folder of a host.
    fn folder(&self, host: &str) -> Option<PathBuf> {
        // A name from elsewhere must not lead out of the folder.
        if host.is_empty() || host.starts_with('.') || host.contains(['/', '\\']) {
            return None;
        }
        let name = match cfg!(windows) {
            true => host.replace(':', ""),
            false => host.to_owned(),
        };
        let folders = self.0.iter().map(|folder| folder.join(&name));
        folders.into_iter().find(|folder| folder.is_dir())
    }

    /// Whether there is a folder for a host.
    pub(super) fn has(&self, host: &str) -> bool {
        self.folder(host).is_some()
    }

    /// What there is for a host; nothing where there is no folder for it.
    pub(super) fn of(&self, host: &str) -> Result<Found, Error> {
        let mut found = Found::default();
        let Some(folder) = self.folder(host) else {
            return Ok(found);
        };
        for path in files(&folder)? {
            match path.extension().and_then(|e| e.to_str()) {
                Some("crt") => {
                    let pem = read(&path)?;
                    tls::certificates(&pem).map_err(|e| unusable(&path, e))?;
                    found.roots.push(pem);
                }
                Some("cert") if found.identity.is_some() => {
                    let why = "there are several client certificates, and one is shown";
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        bad(&folder, why).to_string(),
                    ));
                }
                Some("cert") => found.identity = Some(identity(&path)?),
                Some("key") if !path.with_extension("cert").exists() => {
                    let why = format!("`{}` is missing", shown(&path.with_extension("cert")));
                    return Err(bad(&path, &why));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn identity(path: &Path) -> Result<Identity, Error> {
    let key = path.with_extension("key");
    if !key.exists() {
        return Err(bad(path, &format!("`{}` is missing", shown(&key))));
    }
    let (certificate, secret) = (read(path)?, read(&key)?);
    tls::certificates(&certificate).map_err(|e| unusable(path, e))?;
    Identity::new(&certificate, &secret).map_err(|e| unusable(&key, e))
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let entries = entries.map_err(|e| bad(folder, &e.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| bad(path, &e.to_string()))
}

fn unusable(path: &Path, e: Error) -> Error {
    let error = bad(path, &e.to_string());
    match e.hint_text() {
        Some(hint) => error.hint(hint),
        None => error,
    }
    .because(e)
}

fn shown(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}
