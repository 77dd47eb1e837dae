//! What counts in the key of an operation, by the names that a person would use. Refuses to name
//! what is secret: where it is given, not what it is.

use std::borrow::Cow;

use super::{Copy, Network, Op, Run, Security};

pub(super) struct Parts(pub(super) Vec<(Cow<'static, str>, String)>);

impl Parts {
    pub(super) fn of(op: &Op) -> Self {
        let mut parts = Self(vec![("operation".into(), op.kind().to_owned())]);
        match op {
            op if op.is_leaf() => parts.0.clear(),
            Op::Copy(copy) => parts.copy(copy),
            Op::Folder(folder) => {
                parts.text("path", &folder.path);
                parts.text("user", &folder.user);
            }
            Op::Run(run) => parts.run(run),
            Op::Pack(pack) => {
                if let Some(layer) = &pack.layer {
                    parts.text("layer", &layer.to_string());
                }
                parts.text("compression", &format!("{:?}", pack.compression));
                if let Some(level) = pack.level {
                    parts.text("level", &level.to_string());
                }
                if pack.exact {
                    parts.text("exact", "yes");
                }
            }
            Op::Upload(upload) => parts.text("to", &upload.to.to_string()),
            _ => {}
        }
        parts
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.0.push((name.into(), value.to_owned()));
    }

    /// One part a list, as JSON: readable, and no two lists have the same text.
    fn list(&mut self, name: &'static str, values: &[String]) {
        self.0
            .push((name.into(), serde_json::Value::from(values).to_string()));
    }

    fn copy(&mut self, copy: &Copy) {
        let paths: Vec<String> = copy.sources.iter().map(ToString::to_string).collect();
        self.list("sources", &paths);
        if copy.sources.iter().any(|taken| taken.input != 1) {
            let inputs: Vec<usize> = copy.sources.iter().map(|taken| taken.input).collect();
            self.text(
                "source of each",
                &serde_json::Value::from(inputs).to_string(),
            );
        }
        let unpacks = |taken: &super::Taken| taken.unpack;
        if copy.unpacks() && !copy.sources.iter().all(unpacks) {
            let each: Vec<bool> = copy.sources.iter().map(unpacks).collect();
            self.text("unpacked", &serde_json::Value::from(each).to_string());
        }
        self.text("destination", &copy.destination);
        for (name, value) in [("owner", &copy.owner), ("mode", &copy.mode)] {
            if let Some(value) = value {
                self.text(name, value);
            }
        }
        if copy.parents {
            self.text("parents", "kept");
        }
        if !copy.exclude.is_empty() {
            self.list("excluded", &copy.exclude);
        }
    }

    fn run(&mut self, run: &Run) {
        self.list("argv", &run.argv);
        for (name, value) in &run.env {
            self.0.push((format!("env {name}").into(), value.clone()));
        }
        self.text("cwd", &run.cwd);
        self.text("user", &run.user);
        if run.network != Network::Default {
            self.text("network", &format!("{:?}", run.network).to_lowercase());
        }
        if let Some(hostname) = &run.hostname {
            self.text("hostname", hostname);
        }
        for mount in &run.mounts {
            let options = serde_json::to_string(&mount.kind).expect("a mount is plain data");
            let name = format!("options of mount {}", mount.target);
            self.0.push((name.trim_end().to_owned().into(), options));
        }
        if run.security != Security::Sandbox {
            self.text("security", &format!("{:?}", run.security).to_lowercase());
        }
        for device in &run.devices {
            let required = if device.required { " required" } else { "" };
            self.text("device", &format!("{}{required}", device.name));
        }
        if let Some(platform) = &run.platform {
            self.text("platform", &platform.to_string());
        }
    }
}
