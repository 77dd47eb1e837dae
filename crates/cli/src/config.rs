//! The user's wishes in docker's `config.json` that are about this command line. Credentials in the
//! same file are the registry's.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

/// What `config.json` says of `key`. A file that is not there or cannot be read says nothing: no
/// command depends on it.
pub(crate) fn setting(key: &str) -> Option<String> {
    let text = fs::read(place()?).ok()?;
    let config: Value = serde_json::from_slice(&text).ok()?;
    let value = config.get(key)?.as_str()?;
    (!value.is_empty()).then(|| value.to_owned())
}

fn place() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|v| !v.is_empty());
    let folder = match set("DOCKER_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(set("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}
