//! What a container asks of the machine: ports, mounts, network, and how it is started and stopped.
//! Only the wishes; what is not carried out is refused when the container is made.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::mounts::Wish;
use crate::{Error, ErrorKind, Publish};

/// What a container asks of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostConfig {
    /// What is to answer on the machine.
    pub ports: Vec<Publish>,
    /// All ports that the image exposes answer on free ones of the machine.
    pub publish_all: bool,
    /// What is mounted, beside the volumes that the image names.
    pub mounts: Vec<Wish>,
    /// The root itself cannot be written to.
    pub read_only: bool,
    /// How the machine is called inside; the first twelve digits of the id where `None`.
    pub hostname: Option<String>,
    /// More lines of `/etc/hosts`: name and address.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Which network it sees.
    pub network: NetworkMode,
    /// Process 1 is an init, which reaps and forwards signals.
    pub init: bool,
    /// Whether it is started again when its process has ended.
    pub restart: Restart,
    /// The signal that asks it to end, over the image's; by name or number.
    pub stop_signal: Option<String>,
    /// How long it may take to end when it is asked to, in seconds; 10 where `None`, for ever where
    /// negative.
    pub stop_timeout: Option<i64>,
}

/// Which network a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// One of its own where ports are published, else the machine's.
    #[default]
    Default,
    /// One of its own with nothing but loopback. Nothing can be published.
    None,
    /// The machine's. Published ports need nothing then: what listens inside, listens.
    Host,
}

impl std::str::FromStr for NetworkMode {
    type Err = Error;

    /// As docker's `--network` has it: `none`, `host`, and `default` or `bridge`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            "default" | "bridge" => Ok(Self::Default),
            _ => {
                let what = format!("network `{text}`: networks between containers are not there");
                Err(Error::new(ErrorKind::Unsupported, what)
                    .hint("`none`, `host` and `bridge` can be chosen"))
            }
        }
    }
}

/// Whether a container is started again when its process has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is not.
    #[default]
    No,
    /// When it failed: ended with another code than 0, and nobody had asked it to.
    OnFailure {
        /// At most so many times; no limit where `None`.
        max: Option<u32>,
    },
}

impl std::str::FromStr for Restart {
    type Err = Error;

    /// As docker's `--restart` has it: `no`, `on-failure[:MAX]`. `always` and `unless-stopped` promise
    /// what needs a daemon, and are refused.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, max) = match text.split_once(':') {
            Some((name, max)) => (name, Some(max)),
            None => (text, None),
        };
        match (name, max) {
            ("" | "no", None) => Ok(Self::No),
            ("on-failure", None) => Ok(Self::OnFailure { max: None }),
            ("on-failure", Some(max)) => {
                let max = max.parse::<u32>().map_err(|_| {
                    let what = "maximum retry count must be an integer";
                    Error::new(ErrorKind::Invalid, what)
                })?;
                let max = (max > 0).then_some(max);
                Ok(Self::OnFailure { max })
            }
            ("always" | "unless-stopped", None) => {
                let what = format!(
                    "restart policy `{name}`: a container is held by a process of its own, not by a \
                     daemon that starts with the machine"
                );
                Err(Error::new(ErrorKind::Unsupported, what).hint(
                    "`on-failure` works while the machine runs; for more, run the container in the \
                     foreground from a service manager",
                ))
            }
            ("no" | "always" | "unless-stopped", Some(_)) => Err(Error::new(
                ErrorKind::Invalid,
                "maximum retry count can only be used with 'on-failure'",
            )),
            _ => Err(Error::new(
                ErrorKind::Invalid,
                format!("invalid restart policy '{text}'"),
            )),
        }
    }
}

impl std::fmt::Display for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure { max: None } => f.write_str("on-failure"),
            Self::OnFailure { max: Some(max) } => write!(f, "on-failure:{max}"),
        }
    }
}

/// What becomes of the standard input of a container's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stdin {
    /// It has none: `/dev/null`.
    #[default]
    Closed,
    /// Open as long as it runs; those who attach may write to it.
    Open,
    /// The same, closed when the first who is attached to it ends.
    Once,
}

/// A line of `--add-host`, `NAME:ADDRESS`.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] with docker's words; [`ErrorKind::Unsupported`] for `host-gateway`.
pub fn extra_host(text: &str) -> Result<(String, IpAddr), Error> {
    let bad = || {
        Error::new(
            ErrorKind::Invalid,
            format!("bad format for add-host: \"{text}\""),
        )
    };
    let (name, address) = text.split_once([':', '=']).ok_or_else(bad)?;
    if name.is_empty() {
        return Err(bad());
    }
    if address == "host-gateway" {
        let what = "add-host `host-gateway`: there is no address under which a container reaches \
                    the machine";
        return Err(Error::new(ErrorKind::Unsupported, what)
            .hint("with `--network host` the machine is `127.0.0.1`"));
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let address = bare.unwrap_or(address).parse().map_err(|_| {
        let what = format!("invalid IP address in add-host: \"{address}\"");
        Error::new(ErrorKind::Invalid, what)
    })?;
    Ok((name.to_owned(), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_policies() {
        for (text, expected) in [
            ("no", Ok("no")),
            ("on-failure", Ok("on-failure")),
            ("on-failure:3", Ok("on-failure:3")),
            ("on-failure:0", Ok("on-failure")),
            (
                "on-failure:x",
                Err("maximum retry count must be an integer"),
            ),
            ("always", Err("not by a daemon")),
            ("unless-stopped", Err("not by a daemon")),
            ("no:3", Err("can only be used with 'on-failure'")),
            ("sometimes", Err("invalid restart policy 'sometimes'")),
        ] {
            match (text.parse::<Restart>(), expected) {
                (Ok(restart), Ok(expected)) => assert_eq!(restart.to_string(), expected),
                (Err(e), Err(expected)) => assert!(e.to_string().contains(expected), "{e}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn more_hosts() {
        for (text, expected) in [
            ("db:10.0.0.1", Ok("10.0.0.1")),
            ("db=10.0.0.1", Ok("10.0.0.1")),
            ("db:::1", Ok("::1")),
            ("db:[::1]", Ok("::1")),
            ("db", Err("bad format")),
            (":1.2.3.4", Err("bad format")),
            ("db:x", Err("invalid IP address")),
            ("db:host-gateway", Err("host-gateway")),
        ] {
            match (extra_host(text), expected) {
                (Ok((_, address)), Ok(expected)) => assert_eq!(address.to_string(), expected),
                (Err(e), Err(expected)) => assert!(e.to_string().contains(expected), "{e}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }
}
