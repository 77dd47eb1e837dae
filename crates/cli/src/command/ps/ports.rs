//! Ports as docker's lists show them: neighbours that lead to the same numbers as one range.

use std::net::IpAddr;

/// A port of a container, perhaps with where it answers on the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) private: u16,
    pub(crate) public: Option<(IpAddr, u16)>,
    /// `tcp` or `udp`.
    pub(crate) kind: String,
}

/// Neighbouring ports of one address and protocol.
struct Range {
    ip: Option<IpAddr>,
    kind: String,
    first: u16,
    last: u16,
}

/// `0.0.0.0:80-81->80-81/tcp, 443/tcp, 0.0.0.0:8080->8000/tcp`.
pub(crate) fn shown(mut ports: Vec<Port>) -> String {
    ports.sort();
    ports.dedup();
    let mut words = Vec::new();
    let mut moved = Vec::new();
    let mut open: Vec<Range> = Vec::new();
    for port in ports {
        if let Some((ip, public)) = port.public
            && public != port.private
        {
            moved.push(format!(
                "{}:{public}->{}/{}",
                host(ip),
                port.private,
                port.kind
            ));
            continue;
        }
        let ip = port.public.map(|(ip, _)| ip);
        let same = |r: &&mut Range| r.ip == ip && r.kind == port.kind;
        match open.iter_mut().find(same) {
            Some(range) if u32::from(port.private) == u32::from(range.last) + 1 => {
                range.last = port.private;
            }
            Some(range) => {
                words.push(range.shown());
                (range.first, range.last) = (port.private, port.private);
            }
            None => open.push(Range {
                ip,
                kind: port.kind,
                first: port.private,
                last: port.private,
            }),
        }
    }
    words.extend(open.iter().map(Range::shown));
    words.extend(moved);
    words.join(", ")
}

impl Range {
    fn shown(&self) -> String {
        let numbers = match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        };
        match self.ip {
            Some(ip) => format!("{}:{numbers}->{numbers}/{}", host(ip), self.kind),
            None => format!("{numbers}/{}", self.kind),
        }
    }
}

/// An address before a port: that of version 6 in brackets.
pub(crate) fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_has_them() {
        for (ports, want) in [
            ("", ""),
            ("80", "80/tcp"),
            ("80 81 82", "80-82/tcp"),
            ("80 82", "80/tcp, 82/tcp"),
            ("0.0.0.0:80=80", "0.0.0.0:80->80/tcp"),
            (
                "0.0.0.0:80=80 :::80=80",
                "0.0.0.0:80->80/tcp, [::]:80->80/tcp",
            ),
            ("0.0.0.0:8080=80 443", "443/tcp, 0.0.0.0:8080->80/tcp"),
            (
                "127.0.0.1:80=80 127.0.0.1:81=81 81",
                "81/tcp, 127.0.0.1:80-81->80-81/tcp",
            ),
        ] {
            let ports = ports.split_whitespace().map(|text| {
                let (public, private) = text.split_once('=').unwrap_or(("", text));
                let public = public.rsplit_once(':');
                Port {
                    private: private.parse().unwrap(),
                    public: public.map(|(ip, p)| (ip.parse().unwrap(), p.parse().unwrap())),
                    kind: "tcp".to_owned(),
                }
            });
            let mut got: Vec<_> = shown(ports.collect())
                .split(", ")
                .map(str::to_owned)
                .collect();
            let mut want: Vec<_> = want.split(", ").map(str::to_owned).collect();
            got.sort();
            want.sort();
            assert_eq!(got, want);
        }
    }
}
