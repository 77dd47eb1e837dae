//! `--filter` of `kiln ps`: several values of one key are alternatives, several keys must all hold;
//! labels must all be there. As docker has it.

use std::collections::{BTreeMap, HashSet};

use kiln_build::{
    image::Digest,
    store::{ImageRecord, Images, Listed},
};
use kiln_container::{Containers, State};
use regex_lite::Regex;

use super::row::{Seen, exposed, network, published, word};
use crate::failure::Failure;

/// What is known, for those who mistype it.
const KEYS: [&str; 13] = [
    "ancestor", "before", "exited", "expose", "health", "id", "label", "name", "network",
    "publish", "since", "status", "volume",
];

const STATES: [&str; 7] = [
    "created",
    "restarting",
    "running",
    "removing",
    "paused",
    "exited",
    "dead",
];

/// Nothing looks after a container's health: of all containers it is `none`.
const HEALTH: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// Which containers are listed.
#[derive(Default)]
pub(super) struct Filter {
    /// Texts to compare with, by key.
    texts: BTreeMap<String, Vec<String>>,
    /// Patterns for names and ids.
    patterns: BTreeMap<String, Vec<Regex>>,
    codes: Vec<i32>,
    /// Only those made before, or after, these times.
    before: Option<u64>,
    since: Option<u64>,
    /// Images that they are made of, or that stand below these.
    ancestors: Option<Ancestors>,
}

impl Filter {
    pub(super) fn parse(
        filters: &[String],
        images: &Images<'_>,
        containers: &Containers,
    ) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for text in filters {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::new("bad format of filter (expected name=value)")
                    .hint("for example status=exited")
                    .code(125));
            };
            filter.add(key, value, images, containers)?;
        }
        Ok(filter)
    }

    fn add(
        &mut self,
        key: &str,
        value: &str,
        images: &Images<'_>,
        containers: &Containers,
    ) -> Result<(), Failure> {
        let invalid = || Failure::new(format!("invalid filter '{key}={value}'"));
        match key {
            "name" | "id" => {
                // What is no pattern is meant as it stands.
                let pattern = Regex::new(value).or_else(|_| Regex::new(&regex_lite::escape(value)));
                let pattern = pattern.map_err(|_| invalid())?;
                self.patterns
                    .entry(key.to_owned())
                    .or_default()
                    .push(pattern);
            }
            "exited" => self.codes.push(value.parse().map_err(|_| {
                invalid().hint("write the exit code as a number, for example exited=0")
            })?),
            "before" => {
                let created = containers.get(value)?.details().created;
                self.before = Some(self.before.map_or(created, |b| b.min(created)));
            }
            "since" => {
                let created = containers.get(value)?.details().created;
                self.since = Some(self.since.map_or(created, |s| s.max(created)));
            }
            "ancestor" => {
                let ancestors = self.ancestors.get_or_insert_default();
                match images.find(value) {
                    Ok(found) => ancestors.add(&found.image, images)?,
                    // Nothing stands on an image that is not here.
                    Err(e) if e.kind() == kiln_build::store::ErrorKind::NotFound => {}
                    Err(e) => return Err(e.into()),
                }
            }
            "status" if !STATES.contains(&value) => {
                return Err(invalid().hint(format!("there are: {}", STATES.join(", "))));
            }
            "health" if !HEALTH.contains(&value) => {
                return Err(invalid().hint(format!("there are: {}", HEALTH.join(", "))));
            }
            "status" | "health" | "label" | "volume" | "network" | "publish" | "expose" => {
                let texts = self.texts.entry(key.to_owned()).or_default();
                texts.push(value.to_owned());
            }
            _ => {
                return Err(Failure::new(format!("invalid filter '{key}'"))
                    .hint(format!("there are: {}", KEYS.join(", "))));
            }
        }
        Ok(())
    }

    /// Whether it asks for a state: then all containers are looked at, not only those that run.
    pub(super) fn asks_for_state(&self) -> bool {
        self.texts.contains_key("status")
    }

    pub(super) fn keeps(&self, seen: &Seen) -> bool {
        let details = seen.details();
        let before = self.before.is_none_or(|before| details.created < before);
        let since = self.since.is_none_or(|since| details.created > since);
        let code = match &seen.state {
            State::Exited { code, .. } => Some(*code),
            _ => None,
        };
        let code = self.codes.is_empty() || code.is_some_and(|c| self.codes.contains(&c));
        let name =
            |p: &Regex| p.is_match(&details.name) || p.is_match(&format!("/{}", details.name));
        let id = |p: &Regex| p.is_match(&details.id);
        before
            && since
            && code
            && self.matches("name", &name)
            && self.matches("id", &id)
            && self
                .ancestors
                .as_ref()
                .is_none_or(|a| a.are_of(&details.image, &details.layers))
            && self.any("status", &|text| text == word(&seen.state))
            && self.any("health", &|text| text == "none")
            && self.any("network", &|text| text == network(details.host.network))
            && self.any("volume", &|text| {
                let mut mounts = details.mounts.iter();
                mounts.any(|m| m.name.as_deref() == Some(text) || m.destination == text)
            })
            && self.any("publish", &|text| {
                let all = seen.bound.iter().flat_map(published);
                all.filter_map(|p| p.public.map(|(_, public)| (public, p.kind)))
                    .any(|(port, kind)| is_port(text, port, &kind))
            })
            && self.any("expose", &|text| {
                exposed(details)
                    .iter()
                    .any(|(port, kind)| is_port(text, *port, kind))
            })
            && self.labels(details)
    }

    fn matches(&self, key: &str, is: &dyn Fn(&Regex) -> bool) -> bool {
        self.patterns
            .get(key)
            .is_none_or(|patterns| patterns.iter().any(is))
    }

    fn any(&self, key: &str, is: &dyn Fn(&str) -> bool) -> bool {
        let texts = self.texts.get(key);
        texts.is_none_or(|texts| texts.iter().any(|text| is(text)))
    }

    fn labels(&self, details: &kiln_container::Details) -> bool {
        let wanted = self.texts.get("label");
        wanted.is_none_or(|wanted| {
            wanted.iter().all(|text| match text.split_once('=') {
                Some((key, value)) => details.labels.get(key).is_some_and(|v| v == value),
                None => details.labels.contains_key(text),
            })
        })
    }
}

/// Images, and what stands on them.
#[derive(Default)]
struct Ancestors {
    /// They and those that were built from them.
    ids: HashSet<Digest>,
    /// Their layers.
    layers: Vec<Vec<Digest>>,
}

impl Ancestors {
    fn add(&mut self, image: &ImageRecord, images: &Images<'_>) -> Result<(), Failure> {
        self.ids.insert(image.id);
        let all = images.list()?;
        let mut known = 0;
        while known != self.ids.len() {
            known = self.ids.len();
            let stand_on = |l: &&Listed| l.image.parent.is_some_and(|p| self.ids.contains(&p));
            let more: Vec<Digest> = all.iter().filter(stand_on).map(|l| l.image.id).collect();
            self.ids.extend(more);
        }
        if !image.layers.is_empty() {
            self.layers.push(image.layers.clone());
        }
        Ok(())
    }

    /// Whether one of them is this image, or lies below it: of two with the same layers nobody can
    /// tell which stands on which.
    fn are_of(&self, image: &Digest, layers: &[Digest]) -> bool {
        let below = |of: &Vec<Digest>| of.len() < layers.len() && layers.starts_with(of);
        self.ids.contains(image) || self.layers.iter().any(below)
    }
}

/// Whether `PORT[-PORT][/PROTOCOL]` means this port.
fn is_port(text: &str, port: u16, kind: &str) -> bool {
    let (numbers, of) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let within = |first: u16, last: u16| (first..=last).contains(&port);
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => of == kind && within(first, last),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        for (text, port, kind, is) in [
            ("80", 80, "tcp", true),
            ("80/tcp", 80, "tcp", true),
            ("80/udp", 80, "tcp", false),
            ("79-81", 80, "tcp", true),
            ("81-90", 80, "tcp", false),
            ("x", 80, "tcp", false),
        ] {
            assert_eq!(is_port(text, port, kind), is, "{text}");
        }
    }
}
