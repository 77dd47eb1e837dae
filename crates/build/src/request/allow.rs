//! What the RUNs of a build may do beyond the usual: `--allow`, and the check that nothing is asked for
//! which is not allowed.

use std::str::FromStr;

use kiln_graph::{Device, Graph, Network, Op, Run, Security};
use kiln_parser::{Diagnostic, Span};

use crate::{Error, ErrorKind, job::lowering::finding};

/// What the RUNs of a build may do beyond the usual. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(Vec<Entitlement>);

/// One thing that has to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entitlement {
    /// `network.host`: RUNs on the machine's own network that ask for it.
    HostNetwork,
    /// `security.insecure`: RUNs that may do what the builder itself may.
    Insecure,
    /// `device`, `device=NAME`: devices of the machine; all of them where there is no name.
    Device(Option<String>),
    /// `buildx.local.delete`: an output folder outside of the working directory that loses what is not
    /// of the build.
    LocalDelete,
}

impl FromStr for Entitlement {
    type Err = Error;

    /// As docker writes it.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "network.host" => Ok(Self::HostNetwork),
            "security.insecure" => Ok(Self::Insecure),
            "device" => Ok(Self::Device(None)),
            "buildx.local.delete" => Ok(Self::LocalDelete),
            _ => match text.strip_prefix("device=") {
                Some(name) if !name.is_empty() => Ok(Self::Device(Some(name.to_owned()))),
                _ => {
                    let what = format!("there is nothing to allow that is called `{text}`");
                    Err(Error::new(ErrorKind::Input, what).hint(
                        "it can be `network.host`, `security.insecure`, `device[=NAME]`, \
                         `buildx.local.delete`",
                    ))
                }
            },
        }
    }
}

impl Extend<Entitlement> for Allow {
    fn extend<T: IntoIterator<Item = Entitlement>>(&mut self, more: T) {
        self.0.extend(more);
    }
}

impl Allow {
    /// Whether this is allowed.
    pub fn has(&self, one: &Entitlement) -> bool {
        self.0.contains(one)
    }

    /// A device is allowed by its name, by its kind, or with all others.
    fn has_device(&self, device: &Device) -> bool {
        let kind = device.name.split('=').next();
        self.0.iter().any(|one| match one {
            Entitlement::Device(None) => true,
            Entitlement::Device(Some(name)) => *name == device.name || Some(name.as_str()) == kind,
            _ => false,
        })
    }

    /// What a RUN asks for and is not allowed: its flag, and what would allow it.
    fn lacks(&self, run: &Run) -> Vec<(String, String)> {
        let mut lacks = Vec::new();
        if run.network == Network::Host && !self.has(&Entitlement::HostNetwork) {
            lacks.push(("--network=host".to_owned(), "network.host".to_owned()));
        }
        if run.security == Security::Insecure && !self.has(&Entitlement::Insecure) {
            lacks.push((
                "--security=insecure".to_owned(),
                "security.insecure".to_owned(),
            ));
        }
        for device in run.devices.iter().filter(|device| !self.has_device(device)) {
            let flag = format!("--device={}", device.name);
            lacks.push((flag, format!("device={}", device.name)));
        }
        lacks
    }

    /// Refuses a graph with RUNs that ask for more than is allowed: each at its instruction.
    pub(crate) fn check(&self, graph: &Graph) -> Result<(), Error> {
        let mut found: Vec<Diagnostic> = Vec::new();
        for (_, node) in graph.iter() {
            let Op::Run(run) = &node.op else { continue };
            let span = node.origin.as_ref().map(|origin| origin.span);
            let span = span.map_or(Span::default(), |(start, end)| Span::new(start, end));
            for (flag, needed) in self.lacks(run) {
                let message = format!("`RUN {flag}` is not allowed");
                let help = format!("build with `--allow {needed}` to allow it");
                let one = Diagnostic::error("not-allowed", span, message);
                found.push(one.with_help_if(Some(help)));
            }
        }
        found.sort_by_key(|d| d.span);
        match found.is_empty() {
            true => Ok(()),
            false => Err(Error::dockerfile(found.iter().map(finding).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(words: &[&str]) -> Allow {
        let mut allow = Allow::default();
        allow.extend(words.iter().map(|word| word.parse().unwrap()));
        allow
    }

    #[test]
    fn what_is_not_allowed_is_lacking() {
        let run = Run {
            network: Network::Host,
            security: Security::Insecure,
            devices: vec![Device {
                name: "vendor.com/class=one".into(),
                required: false,
            }],
            ..Run::default()
        };
        let device = "device=vendor.com/class=one";
        for (words, lacking) in [
            (&[][..], &["network.host", "security.insecure", device][..]),
            (&["network.host", "device"], &["security.insecure"]),
            (&["security.insecure", device], &["network.host"]),
            (
                &["device=vendor.com/class"],
                &["network.host", "security.insecure"],
            ),
            (
                &["device=vendor.com/class=two"],
                &["network.host", "security.insecure", device],
            ),
        ] {
            let lacks: Vec<String> = allow(words).lacks(&run).into_iter().map(|l| l.1).collect();
            assert_eq!(lacks, lacking, "{words:?}");
        }
        assert!(allow(&[]).lacks(&Run::default()).is_empty());
    }

    #[test]
    fn only_what_there_is_can_be_allowed() {
        for text in ["", "network", "device=", "security.secure", "network.host "] {
            assert!(text.parse::<Entitlement>().is_err(), "{text}");
        }
    }
}
