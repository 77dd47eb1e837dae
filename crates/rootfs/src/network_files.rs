//! What `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` say in a sandbox, as docker has them.
//!
//! Pure text: reading the machine's own files and binding the results is the caller's, for which
//! [`NetworkFiles`] has the two calls.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use kiln_sandbox::Mount;

use crate::Error;

/// The name servers where the machine names none that a sandbox of its own network can reach.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// The content of the three files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFiles {
    /// `/etc/hosts`.
    pub hosts: String,
    /// `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// `/etc/hostname`.
    pub hostname: String,
}

/// Where they are inside the root.
pub const TARGETS: [&str; 3] = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"];

impl NetworkFiles {
    /// For a sandbox called `hostname`. `own_network`: it does not share the machine's network, so
    /// that name servers on the machine's loopback are out of its reach.
    ///
    /// The machine's `/etc/resolv.conf` is read; where it is missing, it is taken for empty.
    ///
    /// # Errors
    ///
    /// When a file of the machine is there and cannot be read.
    pub fn of_machine(hostname: &str, own_network: bool) -> Result<Self, Error> {
        let machine = read("/etc/resolv.conf")?;
        let resolv_conf = if own_network {
            let real = read("/run/systemd/resolve/resolv.conf")?;
            outside_loopback(&machine, &real)
        } else {
            machine
        };
        let address = (!own_network).then(|| IpAddr::from([127, 0, 1, 1]));
        Ok(Self {
            hosts: hosts(hostname, address),
            resolv_conf,
            hostname: format!("{hostname}\n"),
        })
    }

    /// Writes the three files into the folder `to`, and gives the mounts that put them into a root.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn write(&self, to: &Path) -> Result<Vec<Mount>, Error> {
        let contents = [&self.hosts, &self.resolv_conf, &self.hostname];
        let mut mounts = Vec::new();
        for (target, content) in TARGETS.into_iter().zip(contents) {
            let name = target.rsplit('/').next().unwrap_or(target);
            let source = to.join(name);
            write(&source, content).map_err(|e| Error::io("write", &source, e))?;
            mounts.push(Mount::Bind {
                source,
                target: PathBuf::from(target),
                read_only: false,
            });
        }
        Ok(mounts)
    }
}

/// Readable by every user of the sandbox, whatever the umask here.
fn write(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn read(path: &str) -> Result<String, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Error::io("read", Path::new(path), e)),
    }
}

/// `/etc/hosts`: loopback, and the sandbox's own name where it has an address.
pub fn hosts(hostname: &str, address: Option<IpAddr>) -> String {
    let mut text = "127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\n\
                    ff00::0\tip6-mcastprefix\n\
                    ff02::1\tip6-allnodes\n\
                    ff02::2\tip6-allrouters\n"
        .to_owned();
    if !hostname.is_empty() {
        let address = address.unwrap_or(IpAddr::from([127, 0, 0, 1]));
        text.push_str(&format!("{address}\t{hostname}\n"));
    }
    text
}

/// The machine's `/etc/resolv.conf` for a network of its own: without name servers on loopback.
///
/// Where none remain, those of `real` (what a resolver on loopback itself asks), else public ones.
pub fn outside_loopback(machine: &str, real: &str) -> String {
    for text in [machine, real] {
        let kept: Vec<&str> = text.lines().filter(|line| !on_loopback(line)).collect();
        if kept.iter().any(|line| server(line).is_some()) {
            return kept.join("\n") + "\n";
        }
    }
    let mut lines: Vec<String> = machine
        .lines()
        .filter(|line| server(line).is_none())
        .map(str::to_owned)
        .collect();
    lines.extend(PUBLIC.iter().map(|server| format!("nameserver {server}")));
    lines.join("\n") + "\n"
}

/// The address of a `nameserver` line (resolv.conf(5)), without its zone.
fn server(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next())?
}

fn on_loopback(line: &str) -> bool {
    let address = server(line).and_then(|text| text.split('%').next()?.parse::<IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_loopback_are_left_out() {
        for (machine, real, expected) in [
            (
                "nameserver 10.0.0.1\nsearch a\n",
                "",
                "nameserver 10.0.0.1\nsearch a\n",
            ),
            (
                "# x\nnameserver 127.0.0.53\noptions edns0\n",
                "nameserver 192.168.1.1\n",
                "nameserver 192.168.1.1\n",
            ),
            (
                "nameserver 127.0.0.1\nnameserver 10.0.0.1\n",
                "nameserver 1.1.1.1\n",
                "nameserver 10.0.0.1\n",
            ),
            (
                "search a\nnameserver ::1\n",
                "",
                "search a\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n",
            ),
            ("", "", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
        ] {
            assert_eq!(outside_loopback(machine, real), expected, "{machine:?}");
        }
    }

    #[test]
    fn a_host_knows_its_own_name() {
        let text = hosts("abc", None);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("127.0.0.1\tabc\n"));
        assert!(!hosts("", None).contains("abc"));
    }
}
