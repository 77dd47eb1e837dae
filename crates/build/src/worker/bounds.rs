//! What a step sees, may do and may use beside its files, and how a process is bound so.

use std::{ffi::OsString, net::IpAddr};

use kiln_graph::Device;
use kiln_sandbox::{Capability, Limits, Spec};
use serde::{Deserialize, Serialize};

use crate::{Error, worker::devices};

/// What a step sees, may do and may use beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// More lines of `/etc/hosts`: name and address.
    pub hosts: Vec<(String, IpAddr)>,
    /// The name of the machine that it sees; `None`: as the worker has it, the same for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// How much it may use.
    pub limits: Limits,
    /// It may do all that the worker itself may.
    pub insecure: bool,
    /// The machine's devices that it may use, by their CDI names.
    pub devices: Vec<Device>,
}

impl Bounds {
    /// The lines of `/etc/hosts`.
    pub(crate) fn lines(&self) -> String {
        let line = |(name, address): &(String, IpAddr)| format!("{address}\t{name}\n");
        self.hosts.iter().map(line).collect()
    }

    /// Has a process be bound so.
    pub(crate) fn apply(&self, spec: &mut Spec) -> Result<(), Error> {
        spec.limits = self.limits.clone();
        if self.insecure {
            spec.privileged = true;
            spec.process.capabilities = Capability::ALL.to_vec();
        }
        let edits = devices::find(&self.devices)?;
        let text = |(name, value)| (OsString::from(name), OsString::from(value));
        spec.process.env.extend(edits.env.into_iter().map(text));
        spec.process.user.groups.extend(edits.groups);
        spec.mounts.extend(edits.mounts);
        spec.devices = edits.devices;
        Ok(())
    }
}
