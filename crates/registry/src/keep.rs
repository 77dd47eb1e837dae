//! Keeping credentials and forgetting them: with a helper where the configuration names one, else in
//! the file, unencrypted, as docker and podman do. A file appears whole or not at all, and keeps
//! what others wrote into it. Refuses files that are not JSON objects.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kiln_image::{Error, ErrorKind};
use serde::Serialize as _;
use serde_json::{Map, Value, ser::PrettyFormatter};
use tempfile::NamedTempFile;

use crate::{
    Credential, DockerConfig,
    config::{File, HUB_KEY, bytes, normal, server, unreadable},
    helper,
};

/// What of an entry is a secret, or says whose.
const SECRETS: [&str; 5] = [
    "auth",
    "username",
    "password",
    "identitytoken",
    "registrytoken",
];

/// Where a credential is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// By the helper `docker-credential-…` of this suffix.
    Helper(String),
    /// In this file, unencrypted.
    File(PathBuf),
}

impl DockerConfig {
    /// Keeps the credential of a registry (`docker.io`, `host:port`). The file is
    /// `$REGISTRY_AUTH_FILE` where that is set, else one that knows the registry already, else the
    /// last (docker's).
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a file that is not readable, or a name that no entry can
    /// have; [`Io`](ErrorKind::Io) when it cannot be written; what a helper says.
    pub fn keep(&self, registry: &str, credential: &Credential) -> Result<Kept, Error> {
        let path = self.place(registry)?;
        let file = File::read(&path)?.unwrap_or_default();
        if let Some(suffix) = file.helper(registry) {
            helper::store(suffix, server(registry), credential)?;
            if file.keys(registry).next().is_some() {
                edit(&path, |root| Ok(clear(root, registry, false)))?;
            }
            return Ok(Kept::Helper(suffix.to_owned()));
        }
        let (field, value) = entry(credential)?;
        edit(&path, |root| {
            let key = match file.keys(registry).next() {
                Some(key) => key.to_owned(),
                None => key(&path, registry),
            };
            clear(root, registry, false);
            let auths = object(root, "auths")?;
            // Two entries for one registry would contradict each other.
            auths.retain(|other, _| *other == key || normal(other) != registry);
            object(auths, &key)?.insert(field.to_owned(), Value::String(value));
            Ok(true)
        })?;
        Ok(Kept::File(path))
    }

    /// Forgets the credentials of a registry, wherever they are; says whether there were any.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub fn forget(&self, registry: &str) -> Result<bool, Error> {
        let mut any = false;
        for path in &self.paths {
            let Some(file) = File::read(path)? else {
                continue;
            };
            if let Some(suffix) = file.helper(registry)
                && helper::get(suffix, server(registry))?.is_some()
            {
                helper::erase(suffix, server(registry))?;
                any = true;
            }
            if file.keys(registry).next().is_some() {
                any |= edit(path, |root| Ok(clear(root, registry, true)))?;
            }
        }
        Ok(any)
    }

    fn place(&self, registry: &str) -> Result<PathBuf, Error> {
        if let Some(path) = &self.chosen {
            return Ok(path.clone());
        }
        for path in &self.paths {
            if let Some(file) = File::read(path)?
                && file.knows(registry)
            {
                return Ok(path.clone());
            }
        }
        self.paths.last().cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "there is no place for credentials: `$HOME` is not set",
            )
        })
    }
}

impl File {
    /// The keys of a registry as a whole.
    fn keys<'a>(&'a self, registry: &'a str) -> impl Iterator<Item = &'a str> {
        let keys = self.auths.keys().map(String::as_str);
        keys.filter(move |key| normal(key) == registry)
    }

    /// The helper for a registry: its own, else the one for all.
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.iter();
        let own = own.filter(|(key, _)| normal(key) == registry);
        let own = own.map(|(_, suffix)| suffix.as_str()).next();
        own.or(Some(self.creds_store.as_str()).filter(|s| !s.is_empty()))
    }

    fn knows(&self, registry: &str) -> bool {
        let mut own = self.cred_helpers.keys();
        self.keys(registry).next().is_some() || own.any(|key| normal(key) == registry)
    }
}

/// The key of a registry in a file that has none for it: docker and podman differ in one.
fn key(path: &Path, registry: &str) -> String {
    match registry {
        "docker.io" if path.file_name().is_some_and(|n| n == "config.json") => HUB_KEY.to_owned(),
        other => other.to_owned(),
    }
}

fn entry(credential: &Credential) -> Result<(&'static str, String), Error> {
    Ok(match credential {
        Credential::Basic { user, .. } if user.contains(':') => {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a user name cannot have a colon in it",
            ));
        }
        Credential::Basic { user, password } => {
            let pair = format!("{user}:{}", password.reveal());
            ("auth", STANDARD.encode(pair))
        }
        Credential::Identity(token) => ("identitytoken", token.reveal().to_owned()),
        Credential::Bearer(token) => ("registrytoken", token.reveal().to_owned()),
    })
}

/// Takes the secrets of a registry out, or its entries as a whole; says whether there was anything.
fn clear(root: &mut Map<String, Value>, registry: &str, whole: bool) -> bool {
    let Some(Value::Object(auths)) = root.get_mut("auths") else {
        return false;
    };
    let before = auths.len();
    if whole {
        auths.retain(|key, _| normal(key) != registry);
        return auths.len() != before;
    }
    let ours = auths.iter_mut().filter(|(key, _)| normal(key) == registry);
    let mut any = false;
    for entry in ours.filter_map(|(_, entry)| entry.as_object_mut()) {
        for secret in SECRETS {
            any |= entry.shift_remove(secret).is_some();
        }
    }
    any
}

/// The object of this name, made where there is none.
fn object<'a>(
    map: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Map<String, Value>, Error> {
    let made = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
    made.as_object_mut().ok_or_else(|| {
        let what = format!("credentials: `{name}` is not an object");
        Error::new(ErrorKind::Invalid, what)
    })
}

/// Changes the file at `path`, or the one that a link there leads to, under a lock. It is written
/// only where `change` says that it changed something.
fn edit(
    path: &Path,
    change: impl FnOnce(&mut Map<String, Value>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let target = followed(path);
    let failed = |e: io::Error| {
        let what = format!("credentials cannot be written to `{}`", path.display());
        Error::new(ErrorKind::Io, what).because(e)
    };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    make_folder(&folder).map_err(failed)?;
    let _lock = lock(&folder, &target).map_err(failed)?;
    let mut root = match bytes(&target)? {
        Some(text) if !text.iter().all(u8::is_ascii_whitespace) => serde_json::from_slice(&text)
            .map_err(|e| unreadable(&format!("`{}`", path.display()), &e))?,
        _ => Map::new(),
    };
    if !change(&mut root)? {
        return Ok(false);
    }
    write(&folder, &target, &root).map_err(failed)?;
    Ok(true)
}

/// The file itself: a link stays a link.
fn followed(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    match (fs::read_link(path), path.parent()) {
        (Ok(to), Some(folder)) => folder.join(to),
        _ => path.to_owned(),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Held against another kiln that changes the file at the same time.
fn lock(folder: &Path, target: &Path) -> io::Result<fs::File> {
    let file = match cfg!(unix) {
        true => fs::File::open(folder)?,
        // Elsewhere folders cannot be locked.
        false => fs::File::create(target.with_extension("lock"))?,
    };
    match file.lock() {
        // A file system without locks is no reason to keep anybody out.
        Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(e),
        _ => Ok(file),
    }
}

/// Indented as docker and podman do, for its owner only.
fn write(folder: &Path, target: &Path, root: &Map<String, Value>) -> io::Result<()> {
    let mut text = Vec::new();
    let style = PrettyFormatter::with_indent(b"\t");
    root.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, style,
    ))?;
    text.push(b'\n');
    let mut file = NamedTempFile::with_prefix_in(".kiln-", folder)?;
    file.write_all(&text)?;
    #[cfg(unix)]
    if let Ok(old) = fs::metadata(target) {
        use std::os::unix::fs::{MetadataExt as _, chown};
        // Of a file that is somebody else's, root alone can keep the owner.
        let _ = chown(file.path(), Some(old.uid()), Some(old.gid()));
    }
    file.as_file().sync_all()?;
    file.persist(target).map(drop).map_err(|e| e.error)
}

#[cfg(test)]
mod tests;
