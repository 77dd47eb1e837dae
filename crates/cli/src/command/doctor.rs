//! `kiln doctor`: what this machine offers, how containers and RUN steps are run on it, and the
//! commands that mend what is missing.

use std::{env, fmt::Write as _, path::Path, process::ExitCode};

use clap::Args;
use kiln_build::{
    durable::FileSystem,
    sandbox::{
        IdMap, UserNamespace,
        host::{Finding, State, can_run, probe},
    },
    store::Store,
};
use serde::Serialize;

use crate::{failure::Failure, host, template::Template, units};

/// Less room than this is worth a word: a base image with some packages.
const LITTLE: u64 = 1 << 30;

#[derive(Args)]
pub(crate) struct Doctor {
    /// `json` or a Go template
    #[arg(long)]
    format: Option<String>,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let report = Report::of_this_machine()?;
        let text = match self.format.as_deref() {
            None => report.text(),
            Some(format) => {
                let value = serde_json::to_value(&report)
                    .map_err(|e| Failure::new("write the report").because(&e))?;
                match format {
                    "json" | "{{json .}}" => format!("{value}\n"),
                    template => Template::parse(template)?.apply(&value)? + "\n",
                }
            }
        };
        host::print(&text)?;
        Ok(match report.runs {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// How processes are run: the first of these that the machine allows. Two more are planned, a root
/// that is copied, and a chroot without any namespace; they are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// By root, on overlayfs.
    Root,
    /// In a user namespace with subordinate ids, on overlayfs.
    Ids,
    /// In a user namespace with one id, on overlayfs.
    OneId,
    /// Not at all: builds without RUN.
    None,
    /// There is no store, without which nothing works.
    NoStore,
}

impl Way {
    fn of(can_run: bool, map: Option<&IdMap>) -> Self {
        match (can_run, map) {
            (false, _) => Self::None,
            (true, None) => Self::Root,
            (true, Some(map)) if map.is_single() => Self::OneId,
            (true, Some(_)) => Self::Ids,
        }
    }

    fn runs(self) -> bool {
        !matches!(self, Self::None | Self::NoStore)
    }

    fn said(self) -> &'static str {
        match self {
            Self::Root => "as root, on overlayfs",
            Self::Ids => "in a user namespace with ids of its own, on overlayfs",
            Self::OneId => {
                "in a user namespace with one id, on overlayfs: what needs a second user fails \
                 (see `ids`)"
            }
            Self::None => {
                "not at all. Builds without RUN work, and so do pull, push, save and load. \
                 (A root that is copied where it cannot be mounted, and a chroot where there are \
                 no namespaces, are not supported.)"
            }
            Self::NoStore => "not at all, for there is no store: nothing works without one",
        }
    }
}

/// All that is told.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    /// Whether containers and RUN steps can be run.
    runs: bool,
    way: Way,
    findings: Vec<Line>,
}

/// One thing, as the sandbox tells it or as it is found here.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    state: State,
    needed: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl From<Finding> for Line {
    fn from(finding: Finding) -> Self {
        Self {
            name: finding.name,
            state: finding.state,
            needed: finding.needed,
            found: finding.found,
            remedy: finding.remedy,
        }
    }
}

impl Report {
    fn of_this_machine() -> Result<Self, Failure> {
        let root = host::store_root()?;
        // What is wrong with the lists of ids is told by the probe, which reads them as well.
        let namespace = UserNamespace::usual()
            .unwrap_or_else(|_| Some(UserNamespace::new(IdMap::single()).into()));
        let opened = Store::open(&root).and_then(|store| {
            let build = store.begin()?;
            let scratch = build.tmp()?;
            Ok((build, scratch))
        });
        let (store, scratch) = match &opened {
            Ok((_, scratch)) => (of_store(&root), scratch.clone()),
            Err(e) => (broken(&root, e), env::temp_dir()),
        };
        let findings = probe(&scratch, namespace.as_deref());
        let map = namespace.as_deref().map(UserNamespace::map);
        let way = match opened {
            Ok(_) => Way::of(can_run(&findings), map),
            Err(_) => Way::NoStore,
        };
        let mut findings: Vec<Line> = findings.into_iter().map(Line::from).collect();
        if way != Way::NoStore {
            // The folder in which it was tried is gone by now.
            let (tried, at) = (scratch.display().to_string(), root.display().to_string());
            for line in &mut findings {
                line.found = line.found.replace(&tried, &at);
            }
        }
        findings.push(store);
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            runs: way.runs(),
            way,
            findings,
        })
    }

    /// A line for each thing, below it the command that mends it, and what it comes to.
    fn text(&self) -> String {
        let widest = self.findings.iter().map(|f| f.name.len()).max();
        let width = widest.unwrap_or(0);
        let mut text = String::new();
        for line in &self.findings {
            let mark = match (line.state, line.needed) {
                (State::Ok, _) => "ok",
                (State::Lacking, false) => "lacking",
                (State::Broken, false) => "broken",
                (_, true) => "MISSING",
            };
            // A string takes everything that is written to it.
            let _ = writeln!(text, "{mark:<9}{:<width$}  {}", line.name, line.found);
            if let Some(remedy) = &line.remedy {
                let _ = writeln!(text, "{:<9}{:<width$}  mend: {remedy}", "", "");
            }
        }
        let _ = writeln!(text, "\nRUN and containers: {}", self.way.said());
        text
    }
}

/// The file system of a store that works.
fn of_store(root: &Path) -> Line {
    let at = root.display();
    let line = |state, found, remedy: Option<&str>| Line {
        name: "store".to_owned(),
        state,
        needed: false,
        found,
        remedy: remedy.map(str::to_owned),
    };
    let Ok(found) = FileSystem::of(root) else {
        return line(State::Ok, format!("`{at}`"), None);
    };
    let room = units::size(found.free, 4);
    let kind = match found.kind.as_str() {
        "" => String::new(),
        kind => format!(" on {kind}"),
    };
    let said = format!("`{at}`{kind}, {room} free");
    match (found.kind.as_str(), found.free) {
        (_, free) if free < LITTLE => line(State::Lacking, said, Some("kiln system prune")),
        ("nfs" | "nfs4" | "cifs" | "smb3" | "9p", _) => line(
            State::Lacking,
            format!("{said}: a file system of another machine"),
            Some("keep the store on a local disk (`KILN_ROOT`)"),
        ),
        _ => line(State::Ok, said, None),
    }
}

fn broken(root: &Path, e: &kiln_build::store::Error) -> Line {
    let causes = std::error::Error::source(e).map(|cause| format!(": {cause}"));
    Line {
        name: "store".to_owned(),
        state: State::Broken,
        needed: true,
        found: format!("`{}`: {e}{}", root.display(), causes.unwrap_or_default()),
        remedy: Some("name a folder that can be written to by `KILN_ROOT`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, state: State, needed: bool, remedy: Option<&str>) -> Line {
        Line {
            name: name.to_owned(),
            state,
            needed,
            found: "found".to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_missing_stands_out_and_names_its_remedy() {
        let report = Report {
            version: "1",
            runs: false,
            way: Way::None,
            findings: vec![
                line("kernel", State::Ok, true, None),
                line("ids", State::Lacking, false, Some("apt-get")),
                line("overlay", State::Lacking, true, Some("modprobe overlay")),
            ],
        };
        let text = report.text();
        let expected = "ok       kernel   found\n\
                        lacking  ids      found\n                  mend: apt-get\n\
                        MISSING  overlay  found\n                  mend: modprobe overlay\n\n\
                        RUN and containers: not at all. ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn the_way_follows_the_ids() {
        let single = IdMap::single();
        for (can_run, map, way) in [
            (true, None, Way::Root),
            (true, Some(&single), Way::OneId),
            (false, Some(&single), Way::None),
            (false, None, Way::None),
        ] {
            assert_eq!(Way::of(can_run, map), way);
            assert_eq!(way.runs(), can_run);
        }
    }
}
