//! Devices by their CDI names (Container Device Interface 0.8): what the files in `/etc/cdi` and
//! `/var/run/cdi` say that a process with a device sees, in JSON or YAML. Refuses hooks, which would be
//! programs of the machine that run beside the sandbox.

mod yaml;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_sandbox::{Device, Mount};
use serde::Deserialize;

use crate::{Error, ErrorKind};

/// Where such files are. What lies later counts more.
const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// What is different for a process with devices.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) env: Vec<(String, String)>,
    pub(crate) devices: Vec<Device>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) groups: Vec<u32>,
}

/// A file: devices of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    devices: Vec<Named>,
    #[serde(default)]
    container_edits: Written,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    container_edits: Written,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<WrittenMount>,
    hooks: Vec<serde_json::Value>,
    additional_gids: Vec<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    path: PathBuf,
    host_path: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMount {
    host_path: PathBuf,
    container_path: PathBuf,
    #[serde(default)]
    options: Vec<String>,
}

/// What the process is given for these devices. One that is not there and not required is left out.
pub(crate) fn find(wanted: &[kiln_graph::Device]) -> Result<Edits, Error> {
    if wanted.is_empty() {
        return Ok(Edits::default());
    }
    let folders: Vec<&Path> = FOLDERS.iter().map(Path::new).collect();
    find_in(&folders, wanted)
}

fn find_in(folders: &[&Path], wanted: &[kiln_graph::Device]) -> Result<Edits, Error> {
    let kinds = read(folders)?;
    let mut edits = Edits::default();
    for device in wanted {
        let found = named(&kinds, &device.name);
        if found.is_empty() && device.required {
            let what = format!("there is no device `{}` on this machine", device.name);
            return Err(Error::new(ErrorKind::NotFound, what)
                .hint("devices are described in `/etc/cdi` and `/var/run/cdi`"));
        }
        let mut of_kind: Vec<&str> = Vec::new();
        for (kind, device) in found {
            if !of_kind.contains(&kind.kind.as_str()) {
                of_kind.push(&kind.kind);
                edits.add(&kind.container_edits, &device.name)?;
            }
            edits.add(&device.container_edits, &device.name)?;
        }
    }
    Ok(edits)
}

/// The class that a device can be asked for by, where its file gives it one.
const CLASS: &str = "org.mobyproject.buildkit.device.class";

/// The devices of a name: `vendor/class=device`, `vendor/class=*`, `vendor/class` for the first of
/// them, or a class of their own.
fn named<'k>(kinds: &'k [Kind], name: &str) -> Vec<(&'k Kind, &'k Named)> {
    let all = kinds
        .iter()
        .flat_map(|kind| kind.devices.iter().map(move |device| (kind, device)));
    let (wanted, device) = match name.split_once('=') {
        Some((kind, device)) => (kind, Some(device)),
        None => (name, None),
    };
    let of_kind: Vec<_> = all
        .clone()
        .filter(|(kind, _)| kind.kind == wanted)
        .collect();
    match device {
        Some("*") => of_kind,
        Some(device) => {
            let same = of_kind
                .into_iter()
                .rev()
                .find(|(_, one)| one.name == device);
            same.into_iter().collect()
        }
        None if !of_kind.is_empty() => of_kind.into_iter().take(1).collect(),
        None => all
            .filter(|(kind, one)| {
                let of = |notes: &std::collections::BTreeMap<String, String>| {
                    notes.get(CLASS).is_some_and(|class| class == wanted)
                };
                of(&one.annotations) || of(&kind.annotations)
            })
            .collect(),
    }
}

/// What the files say.
fn read(folders: &[&Path]) -> Result<Vec<Kind>, Error> {
    let mut kinds = Vec::new();
    for folder in folders {
        let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(_) => continue,
        };
        paths.sort();
        for path in paths {
            let is_yaml = match path.extension().and_then(|e| e.to_str()) {
                Some("json") => false,
                Some("yaml" | "yml") => true,
                _ => continue,
            };
            let failed = |e| Error::io(format!("read `{}`", path.display()), e);
            let text = fs::read_to_string(&path).map_err(failed)?;
            let kind = match is_yaml {
                false => serde_json::from_str(&text).map_err(io::Error::from),
                true => yaml::value(&text)
                    .map_err(io::Error::other)
                    .and_then(|value| Ok(serde_json::from_value(value)?)),
            };
            kinds.push(kind.map_err(failed)?);
        }
    }
    Ok(kinds)
}

impl Edits {
    fn add(&mut self, written: &Written, name: &str) -> Result<(), Error> {
        if !written.hooks.is_empty() {
            let what = format!("the device `{name}` wants programs to be run on this machine");
            let error = Error::new(ErrorKind::Unsupported, what);
            return Err(error.hint("hooks of devices are not carried out"));
        }
        let env = written.env.iter().filter_map(|pair| pair.split_once('='));
        self.env
            .extend(env.map(|(k, v)| (k.to_owned(), v.to_owned())));
        self.groups.extend(&written.additional_gids);
        for node in &written.device_nodes {
            self.devices.push(Device {
                source: node.host_path.clone().unwrap_or_else(|| node.path.clone()),
                target: node.path.clone(),
            });
        }
        for mount in &written.mounts {
            self.mounts.push(Mount::Bind {
                source: mount.host_path.clone(),
                target: mount.container_path.clone(),
                read_only: mount.options.iter().any(|option| option == "ro"),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "cdiVersion": "0.6.0", "kind": "vendor.com/class",
        "annotations": {"org.mobyproject.buildkit.device.class": "fast"},
        "containerEdits": {"env": ["ALL=1"]},
        "devices": [
            {"name": "a", "containerEdits": {"env": ["A=1"],
             "deviceNodes": [{"path": "/dev/a", "hostPath": "/dev/zero"}],
             "mounts": [{"hostPath": "/lib/a", "containerPath": "/a", "options": ["ro"]}]}},
            {"name": "b", "containerEdits": {"deviceNodes": [{"path": "/dev/b"}]}},
            {"name": "c", "containerEdits": {"hooks": [{"hookName": "createContainer"}]}}
        ]}"#;

    const YAML: &str = "---
cdiVersion: 0.6.0
kind: other.com/class
devices:
- name: x
  containerEdits:
    additionalGids: [44, 109]
    deviceNodes:
    - path: /dev/x
      hostPath: /dev/zero
      permissions: rw
containerEdits:
  env:
  - X=1
";

    fn wanted(name: &str, required: bool) -> Vec<kiln_graph::Device> {
        let name = name.to_owned();
        vec![kiln_graph::Device { name, required }]
    }

    #[test]
    fn devices_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.json"), FILE).unwrap();
        fs::write(folder.path().join("y.yaml"), YAML).unwrap();
        fs::write(folder.path().join("z.txt"), "?").unwrap();
        let find = |name, required| find_in(&[folder.path()], &wanted(name, required));
        let targets = |name| {
            let edits = find(name, true).unwrap();
            let targets = edits.devices.iter().map(|d| d.target.display().to_string());
            targets.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(targets("vendor.com/class=a"), "/dev/a");
        assert_eq!(targets("vendor.com/class=b"), "/dev/b");
        assert_eq!(targets("vendor.com/class"), "/dev/a");
        let a = find("vendor.com/class=a", false).unwrap();
        assert_eq!(a.devices[0].source, Path::new("/dev/zero"));
        assert_eq!(
            a.env,
            [("ALL".into(), "1".into()), ("A".into(), "1".into())]
        );
        assert!(matches!(
            &a.mounts[..],
            [Mount::Bind {
                read_only: true,
                ..
            }]
        ));
        for hooked in ["vendor.com/class=c", "vendor.com/class=*", "fast"] {
            assert_eq!(
                find(hooked, false).unwrap_err().kind(),
                ErrorKind::Unsupported
            );
        }
        assert!(
            find("vendor.com/class=none", false)
                .unwrap()
                .devices
                .is_empty()
        );
        let other = find("other.com/class=x", true).unwrap();
        assert_eq!(other.devices[0].target, Path::new("/dev/x"));
        assert_eq!((other.env.len(), &other.groups[..]), (1, &[44, 109][..]));
        let missing = find("other.com/class=y", true).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        fs::write(folder.path().join("y.yml"), "kind: a\ndevices: *b\n").unwrap();
        let broken = find("other.com/class=x", true).unwrap_err().to_string();
        assert!(broken.contains("y.yml"), "{broken}");
    }
}
