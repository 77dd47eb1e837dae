//! Published ports as people write them: `[IP:][HOST]:CONTAINER[/PROTOCOL]`, ranges included.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// One port of a container that is to answer on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// The address of the machine; `None` for all of them.
    pub ip: Option<IpAddr>,
    /// The port of the machine: the first free one of these, or any where `None`.
    pub host_ports: Option<RangeInclusive<u16>>,
    /// The port of the container.
    pub container_port: u16,
    /// What is spoken.
    pub protocol: Protocol,
}

/// The protocol of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Carried out.
    Tcp,
    /// Not carried out yet.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl Publish {
    /// Reads `text` as docker's `-p` does. A range gives one value for each of its ports.
    ///
    /// ```
    /// use kiln_container::Publish;
    /// let ports = Publish::parse("127.0.0.1:8080:80/tcp")?;
    /// assert_eq!(ports[0].to_string(), "127.0.0.1:8080->80/tcp");
    /// # Ok::<(), kiln_container::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] with what is wrong, [`ErrorKind::Unsupported`] for SCTP.
    pub fn parse(text: &str) -> Result<Vec<Self>, Error> {
        let bad = |why: String| Error::new(ErrorKind::Invalid, format!("port `{text}`: {why}"));
        let (address, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => {
                let what = format!("port `{text}`: publishing SCTP is not supported");
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            other => return Err(bad(format!("unknown protocol `{other}`"))),
        };
        let (rest, container) = address.rsplit_once(':').unwrap_or(("", address));
        let (ip, host) = split_address(rest).map_err(bad)?;
        let container = range(container).map_err(bad)?;
        let container = container.ok_or_else(|| bad("no port of the container".to_owned()))?;
        let host = range(host).map_err(bad)?;
        let count = |r: &RangeInclusive<u16>| u32::from(*r.end()) - u32::from(*r.start()) + 1;
        let wanted = count(&container);
        if wanted > 1 && host.as_ref().is_some_and(|host| count(host) != wanted) {
            return Err(bad("the two ranges differ in length".to_owned()));
        }
        let ports = container.clone().map(|port| Self {
            ip,
            host_ports: host.as_ref().map(|host| match wanted {
                1 => host.clone(),
                _ => {
                    let port = host.start() + (port - container.start());
                    port..=port
                }
            }),
            container_port: port,
            protocol,
        });
        Ok(ports.collect())
    }
}

/// `IP:HOST`, `HOST` or nothing; an address of version 6 stands in brackets.
fn split_address(text: &str) -> Result<(Option<IpAddr>, &str), String> {
    let Some((ip, host)) = text.rsplit_once(':') else {
        return Ok((None, text));
    };
    if ip.is_empty() {
        return Ok((None, host));
    }
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
    let parsed = bare.unwrap_or(ip).parse::<IpAddr>();
    let ip = parsed.map_err(|_| match ip {
        "localhost" => "`localhost` is a name, not an address: write `127.0.0.1`".to_owned(),
        _ => format!("`{ip}` is not an IP address"),
    })?;
    Ok((Some(ip), host))
}

/// `PORT` or `FIRST-LAST`; `None` for nothing.
fn range(text: &str) -> Result<Option<RangeInclusive<u16>>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let port = |text: &str| match text.parse::<u16>() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a port (1 to 65535)")),
        Ok(port) => Ok(port),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("the range `{text}` is empty"));
    }
    Ok(Some(first..=last))
}

impl fmt::Display for Publish {
    /// As docker's lists show it: `0.0.0.0:5000->5000/tcp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()) {
            IpAddr::V4(ip) => write!(f, "{ip}:")?,
            IpAddr::V6(ip) => write!(f, "[{ip}]:")?,
        }
        match &self.host_ports {
            None => f.write_str("0")?,
            Some(ports) if ports.start() == ports.end() => write!(f, "{}", ports.start())?,
            Some(ports) => write!(f, "{}-{}", ports.start(), ports.end())?,
        }
        write!(f, "->{}/{}", self.container_port, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        for (text, expected) in [
            ("5000:5000", "0.0.0.0:5000->5000/tcp"),
            ("127.0.0.1:8080:80/tcp", "127.0.0.1:8080->80/tcp"),
            ("5000", "0.0.0.0:0->5000/tcp"),
            ("[::1]:1:2", "[::1]:1->2/tcp"),
            ("::1:1:2", "[::1]:1->2/tcp"),
            ("127.0.0.1::80", "127.0.0.1:0->80/tcp"),
            (":80", "0.0.0.0:0->80/tcp"),
            ("53:53/UDP", "0.0.0.0:53->53/udp"),
            ("8000-8010:80", "0.0.0.0:8000-8010->80/tcp"),
            (
                "8000-8001:9000-9001",
                "0.0.0.0:8000->9000/tcp 0.0.0.0:8001->9001/tcp",
            ),
            ("7-8", "0.0.0.0:0->7/tcp 0.0.0.0:0->8/tcp"),
        ] {
            let ports = Publish::parse(text).unwrap();
            let ports: Vec<String> = ports.iter().map(Publish::to_string).collect();
            assert_eq!(ports.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "no port of the container"),
            ("80:", "no port of the container"),
            ("http:80", "`http` is not a port"),
            ("0:80", "`0` is not a port"),
            ("70000", "`70000` is not a port"),
            ("1.2.3:80:80", "`1.2.3` is not an IP address"),
            ("localhost:80:80", "write `127.0.0.1`"),
            ("80:80/icmp", "unknown protocol `icmp`"),
            ("80:80/sctp", "SCTP"),
            ("9-8:80", "is empty"),
            ("1-2:1-3", "differ in length"),
        ] {
            let error = Publish::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
