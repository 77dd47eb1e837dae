//! What RUNs may do and use: `--network`, `--allow`, `--add-host`, and limits, as docker build and
//! buildx write them. Refuses what contradicts itself; what the machine cannot do is said by the RUN.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use clap::Args;
use kiln_build::{
    Entitlement, Network, Request,
    sandbox::{Limits, Memory, Ulimit},
};

use crate::{failure::Failure, units};

/// What RUNs may reach and do.
#[derive(Args)]
#[command(next_help_heading = "What RUNs may reach and ask for")]
pub(super) struct Access {
    /// The network of RUNs that do not say which: `default`, `none` or `host`
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Allow what RUNs ask for: `network.host`, `security.insecure`, `device[=NAME]`
    #[arg(long, value_name = "ENTITLEMENT")]
    allow: Vec<String>,
    /// Add a line to the hosts file of RUNs
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
}

/// How much each RUN may use.
#[derive(Args)]
#[command(next_help_heading = "Limits of each RUN")]
pub(super) struct Bounds {
    /// Memory of each RUN, like `512m`
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory and swap together; `-1` for as much swap as there is
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// How many processors each RUN may keep busy, like `1.5`
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Weight beside others who want to run; 1024 is the usual one
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<String>,
    /// Length of a period of `--cpu-quota`, in microseconds
    #[arg(long, value_name = "NUMBER")]
    cpu_period: Option<String>,
    /// Microseconds on processors in each period
    #[arg(long, value_name = "NUMBER")]
    cpu_quota: Option<String>,
    /// Processors to run on, like `0-2,4`
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use, like `0,1`
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// The same limits as `memory=512m,cpu-quota=50000,cpuset-cpus=0`
    #[arg(long, value_name = "KEY=VALUE,…")]
    resource: Vec<String>,
    /// Size of `/dev/shm`, like `128m`
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
    /// A limit of each process, like `nofile=1024:2048`
    #[arg(long, value_name = "TYPE=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// The control group in which those of RUNs are made
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<PathBuf>,
}

impl Access {
    pub(super) fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let run = &mut request.run;
        run.network = match self.network.as_deref() {
            None | Some("default") => Network::Default,
            Some("none") => Network::None,
            Some("host") => {
                // Who says it on the command line allows it.
                run.allow.extend([Entitlement::HostNetwork]);
                Network::Host
            }
            Some(other) => {
                let what = format!("--network: unknown network `{other}`");
                return Err(usage(what).hint("it can be `default`, `none` or `host`"));
            }
        };
        for text in &self.allow {
            let one = text.parse::<Entitlement>();
            run.allow
                .extend([one.map_err(|e| Failure::from(e).before("--allow: ").code(125))?]);
        }
        for text in &self.add_host {
            run.hosts.push(host(text)?);
        }
        Ok(())
    }
}

/// `name:address` or `name=address`.
fn host(text: &str) -> Result<(String, IpAddr), Failure> {
    match text.split_once([':', '=']) {
        // Steps are on the network of the machine itself.
        Some((name, "host-gateway")) if !name.is_empty() => {
            Ok((name.to_owned(), IpAddr::from([127, 0, 0, 1])))
        }
        _ => kiln_container::extra_host(text).map_err(|e| Failure::from(e).code(125)),
    }
}

/// The least memory with which a process starts, as docker has it.
const LEAST: u64 = 6 << 20;

impl Bounds {
    pub(super) fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.run.limits = self.limits()?;
        Ok(())
    }

    fn limits(&self) -> Result<Limits, Failure> {
        let mut words = Words::default();
        for text in &self.resource {
            for pair in text.split(',') {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                words.put("--resource", key, value)?;
            }
        }
        for (key, value) in [
            ("memory", &self.memory),
            ("memory-swap", &self.memory_swap),
            ("cpus", &self.cpus),
            ("cpu-shares", &self.cpu_shares),
            ("cpu-period", &self.cpu_period),
            ("cpu-quota", &self.cpu_quota),
            ("cpuset-cpus", &self.cpuset_cpus),
            ("cpuset-mems", &self.cpuset_mems),
        ] {
            if let Some(value) = value {
                words.put(&format!("--{key}"), key, value)?;
            }
        }
        let mut limits = words.limits()?;
        if let Some(size) = &self.shm_size {
            limits.shm = Some(bytes("--shm-size", size)?);
        }
        for text in &self.ulimit {
            let limit = Ulimit::from_str(text);
            let limit = limit.map_err(|e| usage(format!("--ulimit: {e}")))?;
            limits
                .ulimits
                .retain(|other| other.resource != limit.resource);
            limits.ulimits.push(limit);
        }
        limits.cgroup_parent.clone_from(&self.cgroup_parent);
        Ok(limits)
    }
}

/// Limits of a control group by their names, each given once.
#[derive(Default)]
struct Words {
    memory: Option<u64>,
    /// Memory and swap; inside `None` for no bound.
    both: Option<Option<u64>>,
    cpus: Option<u64>,
    cpu: kiln_build::sandbox::Cpu,
}

const PERIOD: u64 = 100_000;

impl Words {
    fn put(&mut self, flag: &str, key: &str, value: &str) -> Result<(), Failure> {
        let twice = match key {
            "memory" => self.memory.replace(bytes(flag, value)?).is_some(),
            "memory-swap" => {
                let both = match value {
                    "-1" => None,
                    value => Some(bytes(flag, value)?),
                };
                self.both.replace(both).is_some()
            }
            "cpus" => self.cpus.replace(thousandths(flag, value)?).is_some(),
            "cpu-shares" => {
                let shares = number(flag, value, 2..=262_144)?;
                self.cpu.shares.replace(shares).is_some()
            }
            "cpu-period" => {
                let period = number(flag, value, 1000..=1_000_000)?;
                self.cpu.period.replace(period).is_some()
            }
            "cpu-quota" => {
                let quota = number(flag, value, 1000..=u64::MAX)?;
                self.cpu.quota.replace(quota).is_some()
            }
            "cpuset-cpus" => self.cpu.cpus.replace(list(flag, value)?).is_some(),
            "cpuset-mems" => self.cpu.mems.replace(list(flag, value)?).is_some(),
            _ => {
                return Err(usage(format!("{flag}: there is no limit `{key}`")).hint(
                    "there are memory, memory-swap, cpus, cpu-shares, cpu-period, cpu-quota, \
                     cpuset-cpus, cpuset-mems",
                ));
            }
        };
        match twice {
            true => Err(usage(format!("{flag}: `{key}` is given twice"))),
            false => Ok(()),
        }
    }

    fn limits(self) -> Result<Limits, Failure> {
        let mut limits = Limits {
            cpu: self.cpu,
            ..Limits::default()
        };
        limits.memory = match (self.memory, self.both) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(usage("--memory-swap needs --memory as well"));
            }
            (Some(memory), _) if memory < LEAST => {
                return Err(usage("minimum memory limit allowed is 6MB"));
            }
            (Some(memory), both) => {
                // As docker: as much swap again where nobody says it.
                let both = both.unwrap_or(Some(memory.saturating_mul(2)));
                let less = "--memory-swap is less than --memory, which is a part of it";
                let beside = |both: u64| both.checked_sub(memory).ok_or_else(|| usage(less));
                Some(Memory {
                    bytes: memory,
                    swap: both.map(beside).transpose()?,
                })
            }
        };
        if let Some(cpus) = self.cpus {
            if limits.cpu.quota.or(limits.cpu.period).is_some() {
                let what = "conflicting options: --cpus and --cpu-quota or --cpu-period";
                return Err(usage(what));
            }
            limits.cpu.period = Some(PERIOD);
            limits.cpu.quota = Some(cpus * (PERIOD / 1000));
        }
        Ok(limits)
    }
}

fn usage(what: impl Into<String>) -> Failure {
    Failure::new(what).code(125)
}

fn bytes(flag: &str, text: &str) -> Result<u64, Failure> {
    units::parse_memory(text).map_err(|why| usage(format!("{flag}: {why}")))
}

fn number(flag: &str, text: &str, within: std::ops::RangeInclusive<u64>) -> Result<u64, Failure> {
    let number = text.parse().ok().filter(|number| within.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (within.start(), within.end());
        usage(format!("{flag}: `{text}` is no number")).hint(match most {
            &u64::MAX => format!("it is at least {least}"),
            most => format!("it is from {least} to {most}"),
        })
    })
}

/// `1.5` as 1500.
fn thousandths(flag: &str, text: &str) -> Result<u64, Failure> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    let part = format!("{part:0<3}").parse::<u64>().ok().filter(|_| digits);
    let whole = match whole {
        "" => Some(0),
        whole => whole.parse::<u64>().ok(),
    };
    let sum = whole
        .zip(part)
        .and_then(|(w, p)| w.checked_mul(1000)?.checked_add(p));
    sum.filter(|sum| (10..10_000_000).contains(sum))
        .ok_or_else(|| {
            usage(format!("{flag}: `{text}` is no number of processors")).hint("for example `1.5`")
        })
}

/// Numbers and ranges, as in `0-2,4`.
fn list(flag: &str, text: &str) -> Result<String, Failure> {
    let number = |text: &str| text.parse::<u32>().ok();
    let one = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(a, b)| a <= b),
        None => number(part).is_some(),
    };
    match text.split(',').all(one) {
        true => Ok(text.to_owned()),
        false => {
            let what = format!("{flag}: `{text}` is no list of numbers");
            Err(usage(what).hint("for example `0-2,4`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<Limits> {
        let mut words = Words::default();
        for (key, value) in pairs {
            words.put("--x", key, value).ok()?;
        }
        words.limits().ok()
    }

    #[test]
    fn memory_and_swap() {
        let of = |bytes, swap| Some(Some(Memory { bytes, swap }));
        const M: u64 = 1 << 20;
        #[rustfmt::skip]
        let rows = [
            (vec![("memory", "64m")], of(64 * M, Some(64 * M))),
            (vec![("memory", "64m"), ("memory-swap", "64m")], of(64 * M, Some(0))),
            (vec![("memory", "64M"), ("memory-swap", "-1")], of(64 * M, None)),
            (vec![("memory", "1g"), ("memory-swap", "2gb")], of(1024 * M, Some(1024 * M))),
            (vec![("memory", "64m"), ("memory-swap", "32m")], None),
            (vec![("memory-swap", "64m")], None),
            (vec![("memory", "5m")], None),
            (vec![("memory", "much")], None),
            (vec![("memory", "64m"), ("memory", "64m")], None),
            (vec![], Some(None)),
        ];
        for (pairs, expected) in rows {
            assert_eq!(read(&pairs).map(|l| l.memory), expected, "{pairs:?}");
        }
    }

    #[test]
    fn processors() {
        let quota = |text| read(&[("cpus", text)]).and_then(|l| l.cpu.quota);
        for (text, expected) in [
            ("1.5", Some(150_000)),
            (".25", Some(25_000)),
            ("2", Some(200_000)),
            ("0", None),
            ("-1", None),
            ("1.2345", None),
            ("1.x", None),
            ("", None),
        ] {
            assert_eq!(quota(text), expected, "{text}");
        }
        for (key, value, is) in [
            ("cpuset-cpus", "0-2,4", true),
            ("cpuset-cpus", "2-0", false),
            ("cpuset-mems", "", false),
            ("cpu-shares", "1", false),
            ("cpu-shares", "1024", true),
            ("cpu-quota", "999", false),
            ("cpu-period", "100000", true),
            ("pids", "3", false),
        ] {
            assert_eq!(read(&[(key, value)]).is_some(), is, "{key}={value}");
        }
        assert!(read(&[("cpus", "1"), ("cpu-quota", "50000")]).is_none());
    }
}
