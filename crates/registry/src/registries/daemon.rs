//! Docker's `daemon.json`: `registry-mirrors`, which are Docker Hub's alone, and
//! `insecure-registries`, hosts and networks. The rest of it is for a daemon.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use kiln_image::Error;
use serde::Deserialize;

use super::{bad, text};
use crate::Endpoint;

/// What the files say together.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    /// URLs.
    pub(super) mirrors: Vec<String>,
    hosts: Vec<String>,
    networks: Vec<Network>,
}

/// An address and how many of its first bits count.
#[derive(Debug)]
struct Network(IpAddr, u32);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    registry_mirrors: Vec<String>,
    #[serde(default)]
    insecure_registries: Vec<String>,
}

pub(super) fn read(paths: &[PathBuf]) -> Result<Daemon, Error> {
    let mut all = Daemon::default();
    for path in paths {
        if let Some(text) = text(path)?
            && !text.trim().is_empty()
        {
            all.add(path, &text)?;
        }
    }
    Ok(all)
}

impl Daemon {
    fn add(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let document: Document =
            serde_json::from_str(text).map_err(|e| bad(path, &e.to_string()))?;
        for mirror in document.registry_mirrors {
            // What cannot be used is told with the name of the file.
            Endpoint::new(&mirror).map_err(|e| {
                bad(path, &format!("`registry-mirrors`: {e}"))
                    .hint("a mirror is `http[s]://host[:port]`")
            })?;
            if !self.mirrors.contains(&mirror) {
                self.mirrors.push(mirror);
            }
        }
        for host in document.insecure_registries {
            match host.split_once('/') {
                Some((address, bits)) => {
                    let network = Network::parse(address, bits).ok_or_else(|| {
                        let shown = host.escape_debug();
                        let why = format!(
                            "`insecure-registries`: `{shown}` is neither a host nor a network"
                        );
                        bad(path, &why)
                    })?;
                    self.networks.push(network);
                }
                None => self.hosts.push(host),
            }
        }
        Ok(())
    }

    /// Whether `host[:port]` may be anybody. Names are compared, not looked up.
    pub(super) fn insecure(&self, host: &str) -> bool {
        if self.hosts.iter().any(|h| h == host) {
            return true;
        }
        let bare = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => host.split(':').next().unwrap_or(host),
        };
        let Ok(address) = bare.parse::<IpAddr>() else {
            return false;
        };
        self.networks.iter().any(|n| n.has(address))
    }
}

impl Network {
    fn parse(address: &str, bits: &str) -> Option<Self> {
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self(address, bits))
    }

    fn has(&self, address: IpAddr) -> bool {
        let Self(network, bits) = *self;
        match (network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = u32::from(a) ^ u32::from(b);
                differ.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = u128::from(a) ^ u128::from(b);
                differ.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_networks() {
        let mut daemon = Daemon::default();
        let text = r#"{"insecure-registries":["x.y:5000","plain","10.0.0.0/8","fd00::/16","9.9.9.9/32"],
            "log-driver":"local"}"#;
        daemon.add(Path::new("d.json"), text).unwrap();
        for (host, expected) in [
            ("x.y:5000", true),
            ("x.y", false),
            ("plain", true),
            ("10.1.2.3:80", true),
            ("11.1.2.3", false),
            ("[fd00::1]:5000", true),
            ("[fd01::1]:5000", false),
            ("9.9.9.9", true),
            ("9.9.9.8", false),
        ] {
            assert_eq!(daemon.insecure(host), expected, "{host}");
        }
        let all = Network::parse("0.0.0.0", "0").unwrap();
        assert!(all.has("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_the_file() {
        for text in [
            r#"{"registry-mirrors":["mirror.x"]}"#,
            r#"{"registry-mirrors":["https://me:pw@mirror.x"]}"#,
            r#"{"insecure-registries":["10.0.0.0/33"]}"#,
            r#"{"insecure-registries":["http://x.y"]}"#,
            "[",
        ] {
            let e = Daemon::default().add(Path::new("d.json"), text);
            let e = e.unwrap_err().to_string();
            assert!(e.contains("d.json") && !e.contains("pw"), "{text}: {e}");
        }
    }
}
