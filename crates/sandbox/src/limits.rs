//! Bounds on what a process and all that it starts may use, as plain values. How the machine is told
//! of them is in `linux`; what it cannot do is an error, never left out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// Bounds on what a process and all that it starts may use. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bounds on each process by itself (setrlimit(2)).
    pub ulimits: Vec<Ulimit>,
    /// How many bytes `/dev/shm` can hold; 64 MiB where `None`.
    pub shm: Option<u64>,
    /// Memory, of all processes together.
    pub memory: Option<Memory>,
    /// Time on processors, of all processes together.
    pub cpu: Cpu,
    /// The control group in which a new one is made for the process: a path from the top, or the name
    /// of a slice of systemd's. `None`: beside the caller's own, or below it.
    pub cgroup_parent: Option<PathBuf>,
}

impl Limits {
    /// Whether a control group is needed.
    pub fn need_cgroup(&self) -> bool {
        self.memory.is_some() || self.cpu != Cpu::default() || self.cgroup_parent.is_some()
    }
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// In bytes. Who needs more is killed.
    pub bytes: u64,
    /// How much can be swapped out beside, in bytes; `None`: as much as the machine has.
    pub swap: Option<u64>,
}

/// How much time on processors there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// A weight beside that of others who want to run; 1024 is the usual one.
    pub shares: Option<u64>,
    /// Microseconds of time in each period.
    pub quota: Option<u64>,
    /// How long a period is, in microseconds; 100,000 where `None`.
    pub period: Option<u64>,
    /// On which processors, as in `0-2,4`.
    pub cpus: Option<String>,
    /// Of which memory nodes, as in `0,1`.
    pub mems: Option<String>,
}

/// A bound on each process by itself (setrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// On what.
    pub resource: Resource,
    /// What it has; `None` is no bound.
    pub soft: Option<u64>,
    /// Up to where it can raise that itself; `None` is no bound.
    pub hard: Option<u64>,
}

macro_rules! resources {
    ($($variant:ident = $name:literal,)*) => {
        /// What a [`Ulimit`] is on, by docker's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Resource {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Resource {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as in `nofile`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

resources! {
    Core = "core",
    Cpu = "cpu",
    Data = "data",
    Fsize = "fsize",
    Locks = "locks",
    Memlock = "memlock",
    Msgqueue = "msgqueue",
    Nice = "nice",
    Nofile = "nofile",
    Nproc = "nproc",
    Rss = "rss",
    Rtprio = "rtprio",
    Rttime = "rttime",
    Sigpending = "sigpending",
    Stack = "stack",
}

impl std::str::FromStr for Ulimit {
    type Err = Error;

    /// As docker has it: `type=soft[:hard]`, where `-1` is no bound and one number is both.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid =
            |why: String| Error::new(ErrorKind::Process, format!("ulimit `{text}`: {why}"));
        let (name, numbers) = text
            .split_once('=')
            .ok_or_else(|| invalid("it is written `type=soft[:hard]`".to_owned()))?;
        let resource = Resource::ALL.iter().copied().find(|r| r.name() == name);
        let resource = resource.ok_or_else(|| {
            let names: Vec<&str> = Resource::ALL.iter().map(|r| r.name()).collect();
            invalid(format!(
                "there is no type `{name}`; there are {}",
                names.join(", ")
            ))
        })?;
        let number = |text: &str| match text {
            "-1" | "unlimited" => Ok(None),
            digits => match digits.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(invalid(format!("`{digits}` is not a number"))),
            },
        };
        let (soft, hard) = match numbers.split_once(':') {
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => (number(numbers)?, number(numbers)?),
        };
        let beyond = |hard| soft.is_none_or(|soft: u64| soft > hard);
        if hard.is_some_and(beyond) {
            return Err(invalid("the soft limit is beyond the hard one".to_owned()));
        }
        Ok(Self {
            resource,
            soft,
            hard,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits_are_read_as_docker_writes_them() {
        let of = |soft, hard| {
            Some(Ulimit {
                resource: Resource::Nofile,
                soft,
                hard,
            })
        };
        for (text, expected) in [
            ("nofile=1024:2048", of(Some(1024), Some(2048))),
            ("nofile=1024", of(Some(1024), Some(1024))),
            ("nofile=-1", of(None, None)),
            ("nofile=10:-1", of(Some(10), None)),
            ("nofile=20:10", None),
            ("nofile=-1:10", None),
            ("nofile", None),
            ("nofile=", None),
            ("nofiles=1", None),
            ("nofile=1:2:3", None),
            ("nofile=0x10", None),
        ] {
            assert_eq!(text.parse::<Ulimit>().ok(), expected, "{text}");
        }
    }
}
