//! The seam for carrying out a RUN: a [`Step`] is a plain value that can be sent anywhere, a
//! [`Worker`] is whoever carries it out. The machine at hand is one ([`Local`](crate::Local)).

mod bounds;
mod devices;

use kiln_graph::{Cancel, Mount};
use kiln_image::{Digest, Platform};
use kiln_rootfs::Repeated;
use serde::{Deserialize, Serialize};

pub use bounds::Bounds;

use crate::{Error, RunSettings, Stream};

/// One RUN, complete: whoever has the layers and this value can carry it out. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// 64 hexadecimal digits, of this step in this build alone.
    pub id: String,
    /// The diff ids of the layers to stand on, bottom first.
    pub layers: Vec<Digest>,
    /// What it finds in its root that is no part of the layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// What mounts show, each as the diff ids of its layers, bottom first: what a mount calls its
    /// input 1 is the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Vec<Digest>>,
    /// What runs.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts: an absolute path.
    pub cwd: String,
    /// `user[:group]` by name or number, looked up in the root; empty is root.
    pub user: String,
    /// The network it sees.
    pub network: Network,
    /// What it may do and use beside its files.
    #[serde(default)]
    pub bounds: Bounds,
    /// The platform that the root is for.
    pub platform: Platform,
    /// No time in the new layer is later than this (seconds since 1970).
    pub epoch: Option<i64>,
}

/// The network that a RUN sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// As the machine gives it.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The machine's own.
    Host,
}

/// The layer that a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its diff id; `None` when the step changed no file.
    pub diff_id: Option<Digest>,
    /// What it has of the files below once more, where that is worth telling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
}

/// Where a step's output goes, and how it is told to stop.
pub struct StepIo<'a> {
    /// Called with what the process writes, as it comes.
    pub output: &'a (dyn Fn(Stream, &[u8]) + Sync),
    /// Asks the step to stop.
    pub cancel: &'a Cancel,
    /// Who knows secrets and leads to agents.
    pub run: &'a RunSettings,
}

/// Whoever carries out steps.
pub trait Worker: Send + Sync {
    /// Carries out `step`. The layer is in the store when this returns.
    ///
    /// # Errors
    /// [`Run`](crate::ErrorKind::Run) with the exit code when the process did not succeed,
    /// [`Canceled`](crate::ErrorKind::Canceled) when it was told to stop.
    fn run(&self, step: &Step, io: &StepIo<'_>) -> Result<Layer, Error>;

    /// Refuses a platform whose programs it cannot run.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    fn can_run(&self, platform: &Platform) -> Result<(), Error> {
        let _ = platform;
        Ok(())
    }

    /// Whether steps stand on the unpacked bodies of this machine's store: layers beneath a step
    /// are then made in that form at once.
    fn stands_on_unpacked(&self) -> bool {
        false
    }
}
