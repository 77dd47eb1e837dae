//! The demo's base image: from Debian's packages where there is a network and mmdebstrap, else from
//! the host's own shell, libraries and python.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kiln_tests::base;

use super::stage::Place;
use crate::Result;

/// A root file system, packed.
pub(super) struct Base {
    /// The archive.
    pub(super) tar: String,
    /// Whether the application can fetch packages.
    pub(super) online: bool,
    why: &'static str,
}

impl Base {
    /// Which way was taken.
    pub(super) fn said(&self) -> String {
        match self.online {
            true => "With a network: the base is made of Debian's packages by mmdebstrap, and \
                     `Dockerfile` fetches python and Flask."
                .to_owned(),
            false => format!(
                "Without a network ({}): the base is made of this machine's own shell, libraries \
                 and python, and `offline.Dockerfile` is built.",
                self.why
            ),
        }
    }
}

pub(super) fn make(place: &Place, offline: bool) -> Result<Base> {
    let tar = place.folder().join("base.tar");
    let why = match (offline, network()) {
        (true, _) => Some("as was asked for"),
        (false, false) => Some("Debian's packages or Python's were not to be reached"),
        (false, true) => from_packages(&tar)?,
    };
    if why.is_some() {
        from_host(place, &tar)?;
    }
    Ok(Base {
        tar: tar.to_string_lossy().into_owned(),
        online: why.is_none(),
        why: why.unwrap_or_default(),
    })
}

/// Whether both places that the application fetches from answer.
fn network() -> bool {
    ["deb.debian.org:80", "pypi.org:443"].iter().all(|host| {
        let addresses = host.to_socket_addrs().into_iter().flatten().take(2);
        let answers = |a| TcpStream::connect_timeout(&a, Duration::from_secs(4)).is_ok();
        addresses.into_iter().any(answers)
    })
}

/// Makes the base of packages; or says why it could not.
fn from_packages(tar: &Path) -> Result<Option<&'static str>> {
    let installed = Command::new("mmdebstrap")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if installed.is_err() {
        return Ok(Some("mmdebstrap is not installed"));
    }
    println!("Making a base image of Debian's packages; this takes half a minute.");
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=apt", "--include=ca-certificates"]);
    // What this machine trusts, the base trusts: a network may have a certificate of its own.
    let trusted = "/etc/ssl/certs/ca-certificates.crt";
    if Path::new(trusted).exists() {
        command.arg(format!("--customize-hook=copy-in {trusted} /etc/ssl/certs"));
    }
    command.arg("bookworm").arg(tar).stdin(Stdio::null());
    match command.status()?.success() {
        true => Ok(None),
        false => Ok(Some("mmdebstrap failed")),
    }
}

fn from_host(place: &Place, tar: &Path) -> Result<()> {
    println!("Making a base image of this machine's own shell, libraries and python.");
    let root = place.folder().join("base");
    base::host_root(&root, &["dash", "python3", "grep", "cat", "ls"])
        .and_then(|()| base::python_modules(&root))
        .map_err(|e| format!("copy this machine's shell and python: {e}"))?;
    base::pack(&root, tar)?;
    fs::remove_dir_all(root)?;
    Ok(())
}
