//! Where the names of registries lead, from where users have said so: containers' `registries.conf`,
//! docker's `daemon.json`, `certs.d`. Reads, never writes, and only once a registry is asked.
//! Refuses what it cannot follow, naming the file; search lists for short names are nobody's
//! business here: `busybox` means docker.io.

mod certs;
mod conf;
mod daemon;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use kiln_image::{Error, ErrorKind};

use crate::{
    Endpoint, Host, Serves,
    host::is_loopback,
    registries::{certs::Certs, conf::Rule, daemon::Daemon},
};

/// What users have configured about registries.
#[derive(Debug)]
pub struct Registries {
    places: Places,
    read: OnceLock<Result<Settings, Error>>,
}

/// The files and folders, the first of each kind going before the next.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `registries.conf`: only the first that exists is read.
    pub conf: Vec<PathBuf>,
    /// Folders of `*.conf`, of which the later override the earlier, as they do the file.
    pub conf_folders: Vec<PathBuf>,
    /// `daemon.json`: what all of them say holds.
    pub daemon: Vec<PathBuf>,
    /// `certs.d`: for each host only the first that has a folder for it.
    pub certs: Vec<PathBuf>,
}

impl Places {
    /// Where the files lie, given the environment.
    ///
    /// `$CONTAINERS_REGISTRIES_CONF` stands for the file and, with `.d` behind it, for the folder.
    /// Else both lie in `$XDG_CONFIG_HOME/containers` (or below `~/.config`) or `/etc/containers`;
    /// where the user has a file, the system's folder does not count.
    pub fn usual(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = || path("HOME").or_else(|| path("USERPROFILE"));
        let user = path("XDG_CONFIG_HOME").or_else(|| home().map(|h| h.join(".config")));
        let etc = Path::new("/etc");
        let both = |name: &str| -> Vec<PathBuf> {
            let own = user.iter().map(|u| u.join(name));
            own.chain([etc.join(name)]).collect()
        };
        let daemon = both("docker/daemon.json");
        let mut certs = both("containers/certs.d");
        certs.extend(both("docker/certs.d"));
        let (mut conf, mut conf_folders) = (both("containers/registries.conf"), Vec::new());
        if let Some(chosen) = path("CONTAINERS_REGISTRIES_CONF") {
            let mut folder = chosen.clone().into_os_string();
            folder.push(".d");
            (conf, conf_folders) = (vec![chosen], vec![folder.into()]);
        } else {
            if !user.as_ref().is_some_and(|_| conf[0].exists()) {
                conf_folders.push(etc.join("containers/registries.conf.d"));
            }
            conf_folders.extend(user.map(|u| u.join("containers/registries.conf.d")));
        }
        Self {
            conf,
            conf_folders,
            daemon,
            certs,
        }
    }
}

/// What stands in the files.
#[derive(Debug)]
struct Settings {
    rules: Vec<Rule>,
    daemon: Daemon,
    certs: Certs,
}

impl Registries {
    /// From the files at `places`, read when the first registry is asked; one that is not there is
    /// empty.
    pub fn read(places: Places) -> Self {
        Self {
            places,
            read: OnceLock::new(),
        }
    }

    /// From the [usual places](Places::usual).
    pub fn usual(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self::read(Places::usual(env))
    }

    /// The endpoints of a repository: mirrors in their order, the registry itself last.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when a file is not readable, naming it;
    /// [`Denied`](ErrorKind::Denied) when one blocks the registry.
    pub fn host(&self, registry: &str, repository: &str) -> Result<Host, Error> {
        let read = self.read.get_or_init(|| {
            Ok(Settings {
                rules: conf::read(&self.places)?,
                daemon: daemon::read(&self.places.daemon)?,
                certs: Certs::new(self.places.certs.clone()),
            })
        });
        match read {
            Ok(settings) => settings.host(registry, repository),
            Err(e) => {
                let again = Error::new(e.kind(), e.to_string());
                Err(match e.hint_text() {
                    Some(hint) => again.hint(hint),
                    None => again,
                })
            }
        }
    }
}

impl Settings {
    fn host(&self, registry: &str, repository: &str) -> Result<Host, Error> {
        let whole = format!("{registry}/{repository}");
        let rule = conf::rule(&self.rules, &whole);
        let mut endpoints = Vec::new();
        let mut insecure = None;
        let mut moved = None;
        if let Some(rule) = rule {
            if rule.blocked {
                return Err(rule.refusal(registry));
            }
            for mirror in &rule.mirrors {
                let place = rule.replaced(&whole, &mirror.location);
                let endpoint = self.at(&place, mirror.insecure)?;
                endpoints.push(endpoint.serving(mirror.serves));
            }
            insecure = rule.insecure;
            moved = rule.location.as_ref().map(|l| rule.replaced(&whole, l));
        }
        if registry == "docker.io" {
            for mirror in &self.daemon.mirrors {
                let endpoint = Endpoint::new(mirror)?.pull_only();
                let host = endpoint.name.clone();
                endpoints.push(self.trusted(endpoint, &[&host])?);
            }
        }
        match moved.filter(|place| *place != whole) {
            // What is pulled from elsewhere is pushed to where its name says.
            Some(place) => {
                endpoints.push(self.at(&place, insecure)?.pull_only());
                endpoints.push(self.itself(registry, None)?.serving(Serves::Pushes));
            }
            None => endpoints.push(self.itself(registry, insecure)?),
        }
        Ok(Host { endpoints })
    }

    /// The endpoint at `host[:port]/repository`.
    fn at(&self, place: &str, insecure: Option<bool>) -> Result<Endpoint, Error> {
        let (host, repository) = place.split_once('/').unwrap_or((place, ""));
        let endpoint = self.itself(host, insecure)?;
        Ok(endpoint.calling(repository))
    }

    /// A registry where its name leads: plain HTTP on loopback, unless something is said of it.
    fn itself(&self, registry: &str, insecure: Option<bool>) -> Result<Endpoint, Error> {
        let host = match registry {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let local = is_loopback(host);
        let said = insecure.or_else(|| (!local && self.daemon.insecure(host)).then_some(true));
        let plain = local && said.is_none() && !self.certs.has(registry) && !self.certs.has(host);
        let scheme = if plain { "http" } else { "https" };
        let endpoint = Endpoint::new(&format!("{scheme}://{host}"))?;
        let endpoint = self.trusted(endpoint, &[registry, host])?;
        let endpoint = endpoint.known_as(registry);
        Ok(match said {
            Some(true) => endpoint.insecure(),
            _ => endpoint,
        })
    }

    /// With the certificates that users have for it under one of these names.
    fn trusted(&self, mut endpoint: Endpoint, names: &[&str]) -> Result<Endpoint, Error> {
        let Some(name) = names.iter().find(|name| self.certs.has(name)) else {
            return Ok(endpoint);
        };
        let found = self.certs.of(name)?;
        for pem in found.roots {
            endpoint = endpoint.trusting(pem);
        }
        Ok(match found.identity {
            Some(identity) => endpoint.showing(identity),
            None => endpoint,
        })
    }
}

/// The text of a file; `None` where there is none.
fn text(path: &Path) -> Result<Option<String>, Error> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), NotFound | NotADirectory) => Ok(None),
        Err(e) => Err(bad(path, &e.to_string())),
    }
}

/// A file that says something that is not understood.
fn bad(path: &Path, why: &str) -> Error {
    let what = format!("configuration of registries in `{}`: {why}", path.display());
    Error::new(ErrorKind::Invalid, what)
}

#[cfg(test)]
mod tests;
