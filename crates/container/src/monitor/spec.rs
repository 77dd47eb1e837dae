//! From a container's details to what the sandbox runs.

use std::ffi::OsString;
use std::path::Path;

use kiln_rootfs::{NetworkFiles, Prepared, network_files, owner};
use kiln_sandbox::{Network, Process, Spec, User};

use crate::containers::Container;
use crate::create::short;
use crate::state::Details;
use crate::{Error, NetworkMode, Publish, Volumes};

/// What is published: what was asked for, and with `-P` what the image exposes beside it.
pub(crate) fn ports(details: &Details) -> Result<Vec<Publish>, Error> {
    let host = &details.host;
    if host.network != NetworkMode::Default {
        return Ok(Vec::new());
    }
    let mut ports = host.ports.clone();
    if host.publish_all {
        for exposed in details.config.exposed_ports.keys() {
            let new = Publish::parse(exposed)?;
            let known = |port: &Publish| {
                let same = |other: &Publish| {
                    (other.container_port, other.protocol) == (port.container_port, port.protocol)
                };
                ports.iter().any(same)
            };
            let new: Vec<Publish> = new.into_iter().filter(|port| !known(port)).collect();
            ports.extend(new);
        }
    }
    Ok(ports)
}

/// The network that it sees. `published`: something is.
fn network(mode: NetworkMode, published: bool) -> Network {
    match mode {
        NetworkMode::None => Network::None,
        NetworkMode::Default if published => Network::Private,
        NetworkMode::Default | NetworkMode::Host => Network::Host,
    }
}

/// What is run. Writes the network's files into the container's folder.
pub(crate) fn spec(
    container: &Container,
    prepared: &Prepared,
    published: bool,
) -> Result<Spec, Error> {
    let details = &container.details;
    let process = process(container, prepared)?;
    // What a container changed outlives the machine's failures as far as it was synced inside;
    // what goes with its end need not, and is not waited for.
    let mut spec = Spec::new(prepared.root_spec(details.remove), process);
    let hostname = match &details.host.hostname {
        Some(name) => name,
        None => short(&details.id),
    };
    spec.network = network(details.host.network, published);
    let own_network = spec.network != Network::Host;
    let mut files = NetworkFiles::of_machine(hostname, own_network)?;
    if !own_network {
        files.hosts = machine_hosts(hostname);
    }
    for (name, address) in &details.host.extra_hosts {
        files.hosts.push_str(&format!("{address}\t{name}\n"));
    }
    spec.mounts = files.write(&container.folder)?;
    let volumes = Volumes::new(&container.roots);
    spec.mounts.extend(volumes.mounts(&details.mounts)?);
    // A volume at `/etc` comes before the files in it, one at `/etc/hosts` after the usual one.
    let depth = |mount: &kiln_sandbox::Mount| mount.target().components().count();
    spec.mounts.sort_by_key(depth);
    spec.make_targets = true;
    spec.read_only = details.host.read_only;
    spec.hostname = Some(hostname.to_owned());
    spec.init = details.host.init;
    spec.read_only = details.host.read_only;
    spec.make_targets = true;
    Ok(spec)
}

fn process(container: &Container, prepared: &Prepared) -> Result<Process, Error> {
    let command = &container.details.command;
    let ids = owner::resolve(&command.user, prepared.root())?;
    let mut process = Process::new(command.argv.iter().map(OsString::from));
    let mut env = command.env.clone();
    if !env.iter().any(|(name, _)| name == "HOME") {
        let home = ids.home.unwrap_or_else(|| "/".to_owned());
        env.push(("HOME".to_owned(), home));
    }
    process.env = env.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    process.cwd = command.cwd.clone().into();
    process.user = User {
        uid: ids.uid,
        gid: ids.gid,
        groups: ids.groups,
    };
    process.terminal = command.terminal;
    Ok(process)
}

/// On the machine's network the machine's names hold, and its own.
fn machine_hosts(hostname: &str) -> String {
    match std::fs::read_to_string(Path::new("/etc/hosts")) {
        Ok(mut text) if !text.trim().is_empty() => {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("127.0.0.1\t{hostname}\n"));
            text
        }
        _ => network_files::hosts(hostname, None),
    }
}
