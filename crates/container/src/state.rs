//! What is kept of a container in its folder, and what is true of it now.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use kiln_image::{Digest, Runtime};
use kiln_sandbox::Outward;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::create::Command;
use crate::forward::Bound;
use crate::mounts::Mounted;
use crate::{Error, ErrorKind, HostConfig};

/// What a container is; only its name can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, unique among those that are there.
    pub name: String,
    /// The image's id.
    pub image: Digest,
    /// What the caller called the image.
    pub image_name: String,
    /// The diff ids of the image's layers, the bottom first.
    pub layers: Vec<Digest>,
    /// When it was made, in nanoseconds since 1970.
    pub created: u64,
    /// What runs.
    pub command: Command,
    /// Labels, the image's among them.
    pub labels: BTreeMap<String, String>,
    /// Goes when it has ended.
    pub remove: bool,
    /// What it asks of the machine.
    pub host: HostConfig,
    /// The image's configuration with the caller's wishes over it.
    pub config: Runtime,
    /// What is mounted.
    pub mounts: Vec<Mounted>,
}

/// What a container does. Times are nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// It was never started.
    Created,
    /// Its process runs.
    Running {
        /// The process's id on the machine.
        pid: u32,
        /// When it started.
        since: u64,
    },
    /// Its process has failed, and will be started again.
    Restarting {
        /// As it ended.
        code: i32,
        /// When it had started.
        started: u64,
        /// When it ended.
        at: u64,
    },
    /// Its process has ended.
    Exited {
        /// The code as shells have it: 128 and the signal for a signal; 137 when the program that
        /// looked after it died; 125 to 127 when it could not be started.
        code: i32,
        /// When it started; 0 when it could not be, which docker shows as "Created".
        started: u64,
        /// When it ended, or was seen to have.
        at: u64,
        /// Why it could not be started, or what was lost.
        error: Option<String>,
    },
}

/// What is written down of the state: true as long as somebody holds the container's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    pub(crate) state: State,
    /// When the process started by the kernel's count, which tells it from another with its id.
    pub(crate) born: Option<u64>,
    /// How often it was started again by itself.
    pub(crate) restarts: u32,
    /// What answers on the machine.
    pub(crate) ports: Vec<Bound>,
    /// How it reaches outward.
    pub(crate) outward: Option<Outward>,
}

impl Noted {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state,
            born: None,
            restarts: 0,
            ports: Vec::new(),
            outward: None,
        }
    }

    /// What is true: `held` says whether the program that wrote it still looks after it.
    pub(crate) fn truth(self, held: bool) -> State {
        match self.state {
            State::Running { since, .. } if !held => State::Exited {
                code: KILLED,
                started: since,
                at: since,
                error: Some("the program that looked after it was killed".to_owned()),
            },
            State::Restarting { code, started, at } if !held => State::Exited {
                code,
                started,
                at,
                error: None,
            },
            state => state,
        }
    }
}

/// Ended by signal 9.
const KILLED: i32 = 137;

pub(crate) const DETAILS: &str = "container.json";
const STATE: &str = "state.json";

pub(crate) fn write_details(folder: &Path, details: &Details) -> Result<(), Error> {
    write(&folder.join(DETAILS), details)
}

pub(crate) fn write_state(folder: &Path, state: &Noted) -> Result<(), Error> {
    write(&folder.join(STATE), state)
}

/// `None` where there is none (any more).
pub(crate) fn read_details(folder: &Path) -> Result<Option<Details>, Error> {
    read(&folder.join(DETAILS))
}

pub(crate) fn read_state(folder: &Path) -> Result<Option<Noted>, Error> {
    read(&folder.join(STATE))
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec(value)
        .map_err(|e| Error::new(ErrorKind::Io, "write a container's state").because(e))?;
    Ok(kiln_durable::replace(path, &text)?)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("read", path)(e)),
    };
    let value = serde_json::from_slice(&bytes).map_err(|e| {
        let what = format!("read `{}`: it is damaged", path.display());
        Error::new(ErrorKind::Io, what).because(e)
    })?;
    Ok(Some(value))
}

/// Makes an error of what `what` on `path` failed with.
pub(crate) fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    let what = format!("{what} `{}`", path.display());
    move |e| Error::new(ErrorKind::Io, what.clone()).because(e)
}

pub(crate) use crate::time::now;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_program_wrote_is_not_believed() {
        let running = Noted::new(State::Running { pid: 7, since: 5 });
        let state = running.clone().truth(true);
        assert_eq!(state, State::Running { pid: 7, since: 5 });
        assert!(matches!(
            running.truth(false),
            State::Exited {
                code: 137,
                started: 5,
                ..
            }
        ));
        let exited = State::Exited {
            code: 3,
            started: 5,
            at: 9,
            error: None,
        };
        assert_eq!(Noted::new(exited.clone()).truth(false), exited);
    }
}
