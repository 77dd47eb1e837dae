//! Credentials from where users already have them: docker's `config.json` and podman's `auth.json`.
//! Looks at the files only when a registry asks; writing is the subject of `keep`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kiln_image::{Error, ErrorKind};
use serde::Deserialize;

use crate::{Credential, Credentials, Secret, helper};

/// The key under which docker keeps the credentials for Docker Hub.
pub(crate) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Docker's and podman's files of credentials, the first of them first.
#[derive(Debug)]
pub struct DockerConfig {
    pub(crate) paths: Vec<PathBuf>,
    /// Where new credentials go, whatever stands elsewhere.
    pub(crate) chosen: Option<PathBuf>,
    /// The text of `$DOCKER_AUTH_CONFIG`, which goes before all files.
    inline: Option<Secret>,
    files: OnceLock<Result<Vec<File>, Error>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) auths: BTreeMap<String, Auth>,
    #[serde(default)]
    pub(crate) cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

impl DockerConfig {
    /// Where the files lie, given the environment: `$REGISTRY_AUTH_FILE`,
    /// `$XDG_RUNTIME_DIR/containers/auth.json` (where that is not set, on Linux,
    /// `/run/containers/UID/auth.json`), `$XDG_CONFIG_HOME/containers/auth.json` (or below
    /// `~/.config`), `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`.
    pub fn usual_paths(env: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
        let path = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = || path("HOME").or_else(|| path("USERPROFILE"));
        let config = path("XDG_CONFIG_HOME").or_else(|| home().map(|h| h.join(".config")));
        let docker = path("DOCKER_CONFIG").or_else(|| home().map(|h| h.join(".docker")));
        [
            path("REGISTRY_AUTH_FILE"),
            path("XDG_RUNTIME_DIR")
                .map(|d| d.join("containers/auth.json"))
                .or_else(of_no_session),
            config.map(|d| d.join("containers/auth.json")),
            docker.map(|d| d.join("config.json")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Credentials from the files at `paths`; one that is not there is empty. They are read when
    /// the first registry asks.
    pub fn read(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            chosen: None,
            inline: None,
            files: OnceLock::new(),
        }
    }

    /// Credentials from `$DOCKER_AUTH_CONFIG` (a document with `auths`) and the
    /// [usual places](Self::usual_paths), of which `$REGISTRY_AUTH_FILE` takes new ones.
    pub fn usual(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let value = |name: &str| env(name).filter(|v| !v.is_empty());
        Self {
            chosen: value("REGISTRY_AUTH_FILE").map(PathBuf::from),
            inline: value("DOCKER_AUTH_CONFIG").map(|v| Secret::new(v.to_string_lossy())),
            ..Self::read(Self::usual_paths(env))
        }
    }

    fn files(&self) -> Result<&[File], Error> {
        let files = self.files.get_or_init(|| {
            let inline = self.inline.iter().map(|text| {
                let file = File::parse(text.reveal().as_bytes(), "`$DOCKER_AUTH_CONFIG`")?;
                // Of what it may say, docker heeds this alone.
                Ok(File {
                    auths: file.unwrap_or_default().auths,
                    ..File::default()
                })
            });
            let read = self.paths.iter().map(|path| File::read(path));
            inline.chain(read.filter_map(Result::transpose)).collect()
        });
        match files {
            Ok(files) => Ok(files),
            Err(e) => Err(Error::new(e.kind(), e.to_string())),
        }
    }
}

impl Credentials for DockerConfig {
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        for file in self.files()? {
            if let Some(found) = file.get(registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl File {
    /// `None` where there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let place = format!("`{}`", path.display());
        match bytes(path)? {
            Some(bytes) => Self::parse(&bytes, &place),
            None => Ok(None),
        }
    }

    /// `None` where there is nothing but blanks.
    fn parse(bytes: &[u8], place: &str) -> Result<Option<Self>, Error> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let parsed = serde_json::from_slice(bytes);
        parsed.map(Some).map_err(|e| unreadable(place, &e))
    }

    /// A helper for this very registry, then the store for all, then what is written down.
    fn get(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        let server = server(registry);
        if let Some(suffix) = longest(&self.cred_helpers, registry, repository) {
            return helper::get(suffix, server);
        }
        if !self.creds_store.is_empty()
            && let Some(found) = helper::get(&self.creds_store, server)?
        {
            return Ok(Some(found));
        }
        match longest(&self.auths, registry, repository) {
            Some(auth) => auth.credential(registry),
            None => Ok(None),
        }
    }
}

/// Where podman keeps what it is told by somebody without a session: root, mostly.
fn of_no_session() -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    if let Ok(meta) = fs::metadata("/proc/self") {
        let user = std::os::unix::fs::MetadataExt::uid(&meta);
        return Some(format!("/run/containers/{user}/auth.json").into());
    }
    None
}

/// What helpers know a registry by.
pub(crate) fn server(registry: &str) -> &str {
    match registry {
        "docker.io" => HUB_KEY,
        other => other,
    }
}

/// The bytes of a file; `None` where there is none.
pub(crate) fn bytes(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), NotFound | NotADirectory) => Ok(None),
        Err(e) => Err(Error::new(
            ErrorKind::Invalid,
            format!("credentials in `{}`: {e}", path.display()),
        )),
    }
}

/// The message of serde may quote a value; its place in the file is enough.
pub(crate) fn unreadable(place: &str, e: &serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!(
            "credentials in {place}: not readable at line {}, column {}",
            e.line(),
            e.column()
        ),
    )
}

/// The value of the key that is the longest prefix of `registry/repository`, part by part.
fn longest<'a, T>(map: &'a BTreeMap<String, T>, registry: &str, repository: &str) -> Option<&'a T> {
    let whole = format!("{registry}/{repository}");
    let serves = |key: &str| match whole.strip_prefix(key) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    };
    map.iter()
        .map(|(key, value)| (normal(key), value))
        .filter(|(key, _)| serves(key))
        .max_by_key(|(key, _)| key.len())
        .map(|(_, value)| value)
}

/// A key as `host[/path]`. Docker wrote URLs once, with the version of the API as their path.
pub(crate) fn normal(key: &str) -> String {
    let url = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let (host, path) = match url {
        Some(url) => (url.split('/').next().unwrap_or(url), None),
        None => match key.trim_end_matches('/').split_once('/') {
            Some((host, "v1" | "v2")) => (host, None),
            Some((host, path)) => (host, Some(path)),
            None => (key, None),
        },
    };
    let host = match host.trim_end_matches('/') {
        "index.docker.io" | "registry-1.docker.io" | "docker.io" => "docker.io",
        other => other,
    };
    match path {
        Some(path) => format!("{host}/{path}"),
        None => host.to_owned(),
    }
}

impl Auth {
    fn credential(&self, registry: &str) -> Result<Option<Credential>, Error> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credential::Bearer(Secret::new(&self.registrytoken))));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::Identity(Secret::new(&self.identitytoken))));
        }
        let pair = match self.auth.is_empty() {
            true => {
                (!self.username.is_empty()).then(|| (self.username.clone(), self.password.clone()))
            }
            false => Some(decode(&self.auth).ok_or_else(|| {
                Error::new(
                    ErrorKind::Invalid,
                    format!("the `auth` of `{registry}` is not `user:password` in base64"),
                )
            })?),
        };
        Ok(pair.map(|(user, password)| Credential::Basic {
            user,
            password: Secret::new(password),
        }))
    }
}

fn decode(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker once padded what it wrote.
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        serde_json::from_str(text).unwrap()
    }

    fn user(file: &File, registry: &str, repository: &str) -> Option<String> {
        match file.get(registry, repository).unwrap() {
            Some(Credential::Basic { user, .. }) => Some(user),
            Some(Credential::Identity(_)) => Some("identity".to_owned()),
            Some(Credential::Bearer(_)) => Some("bearer".to_owned()),
            None => None,
        }
    }

    fn basic(user: &str) -> String {
        format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:p:w")))
    }

    #[test]
    fn the_longest_prefix_wins() {
        let file = file(&format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{},"x.y":{},"x.y/ns":{},"x.y/ns/app":{},
              "https://old.z/v2/":{},"t.z":{{"identitytoken":"i"}},"r.z":{{"registrytoken":"r"}},
              "empty.z":{{}}}}}}"#,
            basic("hub"),
            basic("host"),
            basic("ns"),
            basic("app"),
            basic("old"),
        ));
        for (registry, repository, expected) in [
            ("docker.io", "library/a", Some("hub")),
            ("x.y", "other", Some("host")),
            ("x.y", "ns/b", Some("ns")),
            ("x.y", "nsx/b", Some("host")),
            ("x.y", "ns/app", Some("app")),
            ("old.z", "a", Some("old")),
            ("t.z", "a", Some("identity")),
            ("r.z", "a", Some("bearer")),
            ("empty.z", "a", None),
            ("x.y:5000", "a", None),
        ] {
            assert_eq!(
                user(&file, registry, repository).as_deref(),
                expected,
                "{registry}/{repository}"
            );
        }
    }

    #[test]
    fn passwords_keep_their_colons_and_stay_hidden() {
        let file = file(&format!(r#"{{"auths":{{"x.y":{}}}}}"#, basic("me")));
        let found = file.get("x.y", "a").unwrap().unwrap();
        let Credential::Basic { password, .. } = &found else {
            panic!("{found:?}");
        };
        assert_eq!(password.reveal(), "p:w");
        assert!(!format!("{file:?}{found:?}").contains("p:w"));
    }

    #[test]
    fn the_usual_places_in_order() {
        let env = |name: &str| match name {
            "REGISTRY_AUTH_FILE" => Some("/r".into()),
            "XDG_RUNTIME_DIR" => Some("/run/u".into()),
            "HOME" => Some("/h".into()),
            _ => None,
        };
        let paths: Vec<String> = DockerConfig::usual_paths(&env)
            .iter()
            .map(|p| p.to_string_lossy().replace('\\', "/"))
            .collect();
        assert_eq!(
            paths,
            [
                "/r",
                "/run/u/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
        );
    }

    #[test]
    fn a_variable_goes_before_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let text = format!(r#"{{"auths":{{"x.y":{0},"z.y":{0}}}}}"#, basic("file"));
        fs::write(&path, text).unwrap();
        let inline = format!(
            r#"{{"auths":{{"x.y":{}}},"credHelpers":{{"z.y":"none"}}}}"#,
            basic("inline")
        );
        let config = DockerConfig::usual(&|name| match name {
            "DOCKER_AUTH_CONFIG" => Some(inline.clone().into()),
            "DOCKER_CONFIG" => Some(dir.path().into()),
            _ => None,
        });
        for (registry, expected) in [("x.y", "inline"), ("z.y", "file")] {
            let Some(Credential::Basic { user, .. }) = config.get(registry, "a").unwrap() else {
                panic!("{registry}");
            };
            assert_eq!(user, expected);
        }
        assert!(!format!("{config:?}").contains("auth\":"), "{config:?}");
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, r#"{"auths":{"x.y":"hunter2"}}"#).unwrap();
        let config = DockerConfig::read(vec![dir.path().join("absent"), path]);
        let e = config.get("x.y", "a").unwrap_err().to_string();
        assert!(e.contains("config.json") && !e.contains("hunter2"), "{e}");
    }

    #[test]
    fn a_helper_that_is_missing_is_named() {
        let file = file(r#"{"credsStore":"surely-not-installed"}"#);
        let e = file.get("x.y", "a").unwrap_err().to_string();
        assert!(e.contains("docker-credential-surely-not-installed"), "{e}");
    }
}
