//! A container as docker's lists show it.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use kiln_build::{store::Images, time};
use kiln_container::{Bound, Container, Details, NetworkMode, State, mounts::MountKind};
use serde_json::{Map, Value, json};

use super::ports::{self, Port};
use crate::{command::history::shorten, failure::Failure, host, units};

/// A container and what is true of it now.
pub(crate) struct Seen {
    pub(crate) container: Container,
    pub(crate) state: State,
    pub(crate) bound: Vec<Bound>,
}

/// How much is shown.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) shorten: bool,
    pub(crate) size: bool,
}

impl Seen {
    /// `None` when it was removed meanwhile.
    pub(crate) fn new(container: Container) -> Result<Option<Self>, Failure> {
        let state = match container.state() {
            Ok(state) => state,
            Err(e) if e.kind() == kiln_container::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let bound = match state {
            State::Running { .. } => container.ports()?,
            _ => Vec::new(),
        };
        Ok(Some(Self {
            container,
            state,
            bound,
        }))
    }

    pub(crate) fn details(&self) -> &Details {
        self.container.details()
    }

    /// All that `--format` can ask for.
    pub(crate) fn row(&self, images: &Images<'_>, look: Look) -> Result<Value, Failure> {
        let details = self.details();
        let cut = |text: String, width| match look.shorten {
            true => shorten(&text, width),
            false => text,
        };
        let id = match look.shorten {
            true => &details.id[..12],
            false => &details.id,
        };
        let created = seconds(details.created);
        let mounts: Vec<String> = self.mounts().map(|m| cut(m, 15)).collect();
        Ok(json!({
            "Command": format!("{:?}", cut(command(details), 20)),
            "CreatedAt": time::shown(created),
            "ID": id,
            "Image": image(details, images, look.shorten)?,
            // For `.Label "key"`; no field that people see.
            "Label": labels(details),
            "Labels": pairs(details),
            "LocalVolumes": self.volumes().count().to_string(),
            "Mounts": mounts.join(","),
            "Names": details.name,
            "Networks": network(details.host.network),
            "Ports": self.ports(),
            "RunningFor": format!("{} ago", units::duration(host::now() - created)),
            "Size": match look.size {
                true => self.size(images)?,
                false => "0B".to_owned(),
            },
            "State": word(&self.state),
            "Status": status(&self.state, host::now()),
        }))
    }

    /// The volumes' names, and where the other mounts come from.
    fn mounts(&self) -> impl Iterator<Item = String> {
        self.details().mounts.iter().map(|m| match &m.name {
            Some(name) => name.clone(),
            None => m.source.display().to_string(),
        })
    }

    pub(crate) fn volumes(&self) -> impl Iterator<Item = &str> {
        let volumes = self.details().mounts.iter();
        let volumes = volumes.filter(|m| matches!(m.kind, MountKind::Volume { .. }));
        volumes.filter_map(|m| m.name.as_deref())
    }

    fn ports(&self) -> String {
        if !matches!(self.state, State::Running { .. }) {
            return String::new();
        }
        let mut all: Vec<Port> = self.bound.iter().flat_map(published).collect();
        if self.details().host.network == NetworkMode::Default {
            for (private, kind) in exposed(self.details()) {
                if !all.iter().any(|p| p.private == private && p.kind == kind) {
                    all.push(Port {
                        private,
                        public: None,
                        kind,
                    });
                }
            }
        }
        ports::shown(all)
    }

    /// `12B (virtual 5MB)`: what it changed, and with its image.
    fn size(&self, images: &Images<'_>) -> Result<String, Failure> {
        let own = self.container.size()?;
        let image = images.by_id(&self.details().image)?;
        let whole = own + image.map_or(0, |image| image.size);
        let (own, whole) = (units::size(own, 3), units::size(whole, 3));
        Ok(format!("{own} (virtual {whole})"))
    }
}

/// Where a port answers; one socket for all addresses of both versions counts for both.
pub(crate) fn published(bound: &Bound) -> Vec<Port> {
    let port = |ip: IpAddr| Port {
        private: bound.container_port,
        public: Some((ip, bound.address.port())),
        kind: "tcp".to_owned(),
    };
    match bound.address.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => vec![
            port(Ipv4Addr::UNSPECIFIED.into()),
            port(Ipv6Addr::UNSPECIFIED.into()),
        ],
        ip => vec![port(ip)],
    }
}

/// The ports that the image names.
pub(crate) fn exposed(details: &Details) -> Vec<(u16, String)> {
    let ports = details.config.exposed_ports.keys();
    let split = |text: &String| {
        let (number, kind) = text.split_once('/').unwrap_or((text, "tcp"));
        Some((number.parse().ok()?, kind.to_owned()))
    };
    ports.filter_map(split).collect()
}

/// The time of the library in docker's.
pub(crate) fn seconds(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX)
}

/// What runs, as people typed it.
pub(crate) fn command(details: &Details) -> String {
    let mut words = details.command.argv.iter();
    let mut text = words.next().cloned().unwrap_or_default();
    for word in words {
        let _ = match word.contains(' ') {
            true => write!(text, " '{word}'"),
            false => write!(text, " {word}"),
        };
    }
    text
}

/// What the image was called, as long as that is its name; else its id.
fn image(details: &Details, images: &Images<'_>, short: bool) -> Result<String, Failure> {
    let known = match images.find(&details.image_name) {
        Ok(found) => found.image.id == details.image,
        Err(e) if e.kind() == kiln_build::store::ErrorKind::NotFound => false,
        Err(e) => return Err(e.into()),
    };
    Ok(match (known, short) {
        (true, _) => details.image_name.clone(),
        (false, true) => details.image.short(),
        (false, false) => details.image.to_string(),
    })
}

fn labels(details: &Details) -> Value {
    let pairs = details.labels.iter();
    let pairs = pairs.map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn pairs(details: &Details) -> String {
    let pairs: Vec<String> = details
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    pairs.join(",")
}

/// docker's word for a network.
pub(crate) fn network(mode: NetworkMode) -> &'static str {
    match mode {
        NetworkMode::None => "none",
        NetworkMode::Host => "host",
        NetworkMode::Default => "bridge",
    }
}

/// docker's word for a state.
pub(crate) fn word(state: &State) -> &'static str {
    match state {
        State::Running { .. } => "running",
        State::Restarting { .. } => "restarting",
        // It could not be started: that is how docker shows it.
        State::Exited { started: 0, .. } => "created",
        State::Exited { .. } => "exited",
        _ => "created",
    }
}

/// `Up 3 seconds`, `Exited (0) 2 hours ago`.
pub(crate) fn status(state: &State, now: i64) -> String {
    let since = |nanos: u64| units::duration(now - seconds(nanos));
    match state {
        State::Running { since: at, .. } => format!("Up {}", since(*at)),
        State::Restarting { code, at, .. } => format!("Restarting ({code}) {} ago", since(*at)),
        State::Exited { started: 0, .. } => "Created".to_owned(),
        State::Exited { code, at, .. } => format!("Exited ({code}) {} ago", since(*at)),
        _ => "Created".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_a_state_is_called() {
        let exited = |code, started| State::Exited {
            code,
            started,
            at: 40 * SECOND,
            error: None,
        };
        for (state, name, says) in [
            (State::Created, "created", "Created"),
            (exited(127, 0), "created", "Created"),
            (exited(3, SECOND), "exited", "Exited (3) About a minute ago"),
            (
                State::Running {
                    pid: 1,
                    since: 98 * SECOND,
                },
                "running",
                "Up 2 seconds",
            ),
        ] {
            assert_eq!(word(&state), name);
            assert_eq!(status(&state, 100), says);
        }
    }
}
