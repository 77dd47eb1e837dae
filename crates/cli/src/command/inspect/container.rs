//! A container as docker's JSON: what it is, what it does, what it may.

use kiln_build::Builder;
use kiln_container::{
    Bound, Container, Details, HostConfig, Publish, Restart, State, Stdin,
    mounts::{MountKind, Mounted, Wish},
};
use serde_json::{Map, Value, json};

use super::image;
use crate::{
    command::ps::row::{network, published, word},
    failure::Failure,
    moment,
};

/// The bytes of `/dev/shm`.
const SHM: u64 = 64 << 20;

/// docker's time of what has not happened.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn value(
    builder: &Builder,
    container: &Container,
    size: bool,
) -> Result<Value, Failure> {
    let state = container.state()?;
    let bound = match state {
        State::Running { .. } => container.ports()?,
        _ => Vec::new(),
    };
    let details = container.details();
    let (path, args) = details
        .command
        .argv
        .split_first()
        .map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
    let mut out = json!({
        "Id": details.id,
        "Created": time(details.created),
        "Path": path,
        "Args": args,
        "State": state_of(&state),
        "Image": details.image.to_string(),
        "LogPath": container.log_path().display().to_string(),
        "Name": format!("/{}", details.name),
        "RestartCount": container.restarts()?,
        "Driver": "kiln",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host(details),
        "GraphDriver": {"Name": "kiln", "Data": null},
        "Mounts": details.mounts.iter().map(mount).collect::<Vec<_>>(),
        "Config": config(details),
        "NetworkSettings": network_of(details, &bound),
    });
    if size {
        let own = container.size()?;
        let image = builder.store().images().by_id(&details.image)?;
        out["SizeRw"] = own.into();
        out["SizeRootFs"] = (own + image.map_or(0, |image| image.size)).into();
    }
    Ok(out)
}

fn time(nanos: u64) -> String {
    match nanos {
        0 => NEVER.to_owned(),
        nanos => moment::shown(nanos.into()),
    }
}

fn state_of(state: &State) -> Value {
    let (mut pid, mut code, mut error) = (0, 0, String::new());
    let (mut started, mut finished) = (0, 0);
    match state {
        State::Running { pid: of, since } => (pid, started) = (*of, *since),
        State::Restarting {
            code: of,
            started: since,
            at,
        } => (code, started, finished) = (*of, *since, *at),
        State::Exited {
            code: of,
            started: since,
            at,
            error: why,
        } => {
            (code, started, finished) = (*of, *since, *at);
            error = why.clone().unwrap_or_default();
            // One that could not be started has not ended either.
            if started == 0 {
                finished = 0;
            }
        }
        _ => {}
    }
    let status = word(state);
    json!({
        "Status": status,
        "Running": matches!(status, "running" | "restarting"),
        "Paused": false,
        "Restarting": status == "restarting",
        "OOMKilled": false,
        "Dead": false,
        "Pid": pid,
        "ExitCode": code,
        "Error": error,
        "StartedAt": time(started),
        "FinishedAt": time(finished),
        // Nothing looks after it; templates ask for it all the same.
        "Health": null,
    })
}

fn config(details: &Details) -> Value {
    let command = &details.command;
    let mut out = Map::new();
    let hostname = details.host.hostname.as_deref();
    let open = command.stdin != Stdin::Closed;
    let of_image = image::runtime(&details.config);
    for (name, value) in [
        ("Hostname", hostname.unwrap_or(&details.id[..12]).into()),
        ("Domainname", "".into()),
        ("AttachStdin", (command.stdin == Stdin::Once).into()),
        ("Tty", command.terminal.into()),
        ("OpenStdin", open.into()),
        ("StdinOnce", (command.stdin == Stdin::Once).into()),
        ("Image", details.image_name.as_str().into()),
    ] {
        out.insert(name.to_owned(), value);
    }
    if let Value::Object(of_image) = of_image {
        out.extend(of_image);
    }
    out.insert("Labels".to_owned(), json!(details.labels));
    for port in &details.host.ports {
        let name = format!("{}/{}", port.container_port, port.protocol);
        add(&mut out, "ExposedPorts", name);
    }
    for wish in &details.host.mounts {
        if let Wish::Volume {
            name: None, target, ..
        } = wish
        {
            add(&mut out, "Volumes", target.clone());
        }
    }
    if let Some(seconds) = details.host.stop_timeout {
        out.insert("StopTimeout".to_owned(), seconds.into());
    }
    Value::Object(out)
}

/// docker's sets are objects of empty objects, and nothing where they are empty.
fn add(map: &mut Map<String, Value>, set: &str, member: String) {
    let set = map.entry(set).or_insert(Value::Null);
    if set.is_null() {
        *set = json!({});
    }
    set[member] = json!({});
}

fn host(details: &Details) -> Value {
    let host = &details.host;
    let (name, most) = match host.restart {
        Restart::No => ("no", 0),
        Restart::OnFailure { max } => ("on-failure", max.unwrap_or(0)),
    };
    let mut out = json!({
        "Binds": list(host.mounts.iter().filter_map(bind)),
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": network(host.network),
        "PortBindings": wished(&host.ports),
        "RestartPolicy": {"Name": name, "MaximumRetryCount": most},
        "AutoRemove": details.remove,
        "ExtraHosts": list(host.extra_hosts.iter().map(|(name, ip)| format!("{name}:{ip}"))),
        "Privileged": false,
        "PublishAllPorts": host.publish_all,
        "ReadonlyRootfs": host.read_only,
        "Tmpfs": tmpfs(host),
        "Init": host.init,
    });
    if let (Value::Object(out), Value::Object(limits)) = (&mut out, unlimited()) {
        out.extend(limits);
    }
    out
}

/// What docker can be asked for and kiln cannot, as docker shows it where nobody asked: scripts that
/// read it find the truth.
fn unlimited() -> Value {
    json!({
        "VolumesFrom": null,
        "CapAdd": null,
        "CapDrop": null,
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "GroupAdd": null,
        "IpcMode": "private",
        "Links": null,
        "OomScoreAdj": 0,
        "PidMode": "",
        "SecurityOpt": null,
        "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": SHM,
        "CpuShares": 0,
        "Memory": 0,
        "MemoryReservation": 0,
        "MemorySwap": 0,
        "NanoCpus": 0,
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpusetCpus": "",
        "CpusetMems": "",
        "Devices": [],
        "OomKillDisable": false,
        "PidsLimit": null,
        "Ulimits": null,
    })
}

/// docker writes nothing where there is nothing.
fn list(texts: impl Iterator<Item = String>) -> Value {
    let texts: Vec<String> = texts.collect();
    match texts.is_empty() {
        true => Value::Null,
        false => texts.into(),
    }
}

/// A wish as `-v` has it.
fn bind(wish: &Wish) -> Option<String> {
    let (source, target, read_only) = match wish {
        Wish::Bind {
            source,
            target,
            read_only,
            ..
        } => (source.display().to_string(), target, *read_only),
        Wish::Volume {
            name: Some(name),
            target,
            read_only,
            ..
        } => (name.clone(), target, *read_only),
        _ => return None,
    };
    let mode = if read_only { ":ro" } else { "" };
    Some(format!("{source}:{target}{mode}"))
}

fn tmpfs(host: &HostConfig) -> Value {
    let wishes = host.mounts.iter().filter_map(|wish| match wish {
        Wish::Tmpfs {
            target,
            size,
            mode,
            exec,
        } => {
            let mut options = vec![format!("mode={mode:o}")];
            options.extend(exec.then(|| "exec".to_owned()));
            options.extend(size.map(|size| format!("size={size}")));
            Some((target.clone(), Value::from(options.join(","))))
        }
        _ => None,
    });
    let wishes: Map<String, Value> = wishes.collect();
    match wishes.is_empty() {
        true => Value::Null,
        false => wishes.into(),
    }
}

/// What was asked for, by port of the container.
fn wished(ports: &[Publish]) -> Value {
    let mut out = Map::new();
    for port in ports {
        let numbers = port.host_ports.as_ref();
        let numbers =
            numbers.map_or_else(String::new, |range| match range.start() == range.end() {
                true => range.start().to_string(),
                false => format!("{}-{}", range.start(), range.end()),
            });
        let ip = port.ip.map_or_else(String::new, |ip| ip.to_string());
        push(
            &mut out,
            format!("{}/{}", port.container_port, port.protocol),
            json!({"HostIp": ip, "HostPort": numbers}),
        );
    }
    out.into()
}

/// What became of it.
fn network_of(details: &Details, bound: &[Bound]) -> Value {
    let mut ports = Map::new();
    for name in details.config.exposed_ports.keys() {
        if !bound.is_empty() {
            ports.insert(name.clone(), Value::Null);
        }
    }
    for port in bound.iter().flat_map(published) {
        if let Some((ip, public)) = port.public {
            push(
                &mut ports,
                format!("{}/{}", port.private, port.kind),
                json!({"HostIp": ip.to_string(), "HostPort": public.to_string()}),
            );
        }
    }
    let mut out = json!({"Ports": ports, "SandboxID": "", "SandboxKey": "", "Bridge": ""});
    let mut network_alone =
        json!({"IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": ""});
    if let (Value::Object(all), Value::Object(alone)) = (&mut out, &mut network_alone) {
        all.extend(no_address());
        alone.extend(no_address());
    }
    out["Networks"] = json!({network(details.host.network): network_alone});
    out
}

/// No container has an address that others reach: it has the machine's, or ports of the machine are
/// passed on to it. docker shows such as empty.
fn no_address() -> Map<String, Value> {
    let texts = ["EndpointID", "Gateway", "IPAddress", "IPv6Gateway"];
    let more = ["GlobalIPv6Address", "MacAddress"];
    let numbers = ["IPPrefixLen", "GlobalIPv6PrefixLen"];
    let texts = texts.iter().chain(&more).map(|name| (*name, "".into()));
    let numbers = numbers.iter().map(|name| (*name, 0.into()));
    let all = texts.chain(numbers);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn push(map: &mut Map<String, Value>, key: String, value: Value) {
    match map.entry(key).or_insert(Value::Null) {
        Value::Array(list) => list.push(value),
        nothing => *nothing = Value::Array(vec![value]),
    }
}

fn mount(mounted: &Mounted) -> Value {
    let mut out = Map::new();
    out.insert("Type".to_owned(), mounted.kind.name().into());
    if let Some(name) = &mounted.name {
        out.insert("Name".to_owned(), name.as_str().into());
    }
    let source = mounted.source.display().to_string();
    out.insert("Source".to_owned(), source.into());
    out.insert(
        "Destination".to_owned(),
        mounted.destination.as_str().into(),
    );
    if matches!(mounted.kind, MountKind::Volume { .. }) {
        out.insert("Driver".to_owned(), "local".into());
    }
    let mode = if mounted.rw { "" } else { "ro" };
    out.insert("Mode".to_owned(), mode.into());
    out.insert("RW".to_owned(), mounted.rw.into());
    let propagation = match mounted.kind {
        MountKind::Bind => "rprivate",
        _ => "",
    };
    out.insert("Propagation".to_owned(), propagation.into());
    Value::Object(out)
}
