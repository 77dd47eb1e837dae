//! `registries.conf`, version 2 (containers-registries.conf(5)), and its `.d` folders. Refuses
//! version 1, and prefixes that name a tag or a digest.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_image::{Error, ErrorKind};
use serde::Deserialize;

use super::{Places, bad, text};
use crate::Serves;

/// What is said of the names that begin with a prefix.
#[derive(Debug)]
pub(super) struct Rule {
    /// `host[:port][/path]` or `*.host`.
    prefix: String,
    /// What stands in the place of the prefix; `None` where it stays.
    pub(super) location: Option<String>,
    pub(super) insecure: Option<bool>,
    pub(super) blocked: bool,
    pub(super) mirrors: Vec<Mirror>,
    file: PathBuf,
}

#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) location: String,
    pub(super) insecure: Option<bool>,
    pub(super) serves: Serves,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "registry")]
    registries: Vec<Registry>,
    /// The table of version 1.
    #[serde(rename = "registries")]
    old: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    location: String,
    insecure: Option<bool>,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    mirror_by_digest_only: bool,
    #[serde(default, rename = "mirror")]
    mirrors: Vec<Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Place {
    #[serde(default)]
    location: String,
    insecure: Option<bool>,
    #[serde(default)]
    pull_from_mirror: String,
}

/// All rules, those that are overridden left out.
pub(super) fn read(places: &Places) -> Result<Vec<Rule>, Error> {
    let mut rules: Vec<Rule> = Vec::new();
    for path in &places.conf {
        if let Some(text) = text(path)? {
            rules = parse(path, &text)?;
            break;
        }
    }
    for folder in &places.conf_folders {
        for path in dropped_in(folder)? {
            for rule in parse(&path, &text(&path)?.unwrap_or_default())? {
                rules.retain(|r| r.prefix != rule.prefix);
                rules.push(rule);
            }
        }
    }
    Ok(rules)
}

/// The `*.conf` of a folder, by name.
fn dropped_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), NotFound | NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(bad(folder, &e.to_string())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| bad(folder, &e.to_string()))?.path();
        if path.extension().is_some_and(|e| e == "conf") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Rule>, Error> {
    let document: Document = toml::from_str(text).map_err(|e| {
        let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
        let line = line.map(|n| format!("line {n}: ")).unwrap_or_default();
        bad(path, &format!("{line}{}", e.message()))
    })?;
    if document.old.is_some() {
        return Err(bad(path, "it is in version 1 of the format").hint(
            "say it as `[[registry]]` with `location`, `insecure` and `blocked`, \
             as containers-registries.conf(5) has it",
        ));
    }
    let rules = document.registries.into_iter();
    rules.map(|r| r.rule(path)).collect()
}

impl Registry {
    fn rule(self, path: &Path) -> Result<Rule, Error> {
        let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
        let (prefix, location) = (trimmed(&self.prefix), trimmed(&self.location));
        let prefix = match prefix.is_empty() {
            true => location.clone(),
            false => prefix,
        };
        if prefix.is_empty() {
            return Err(bad(
                path,
                "a `[[registry]]` has neither `prefix` nor `location`",
            ));
        }
        check(path, &prefix)?;
        let location = Some(location).filter(|l| !l.is_empty());
        if let Some(location) = &location {
            check(path, location)?;
        }
        let by_digest = self.mirror_by_digest_only;
        let mirrors = self.mirrors.into_iter().map(|m| m.mirror(path, by_digest));
        Ok(Rule {
            prefix,
            location,
            insecure: self.insecure,
            blocked: self.blocked,
            mirrors: mirrors.collect::<Result<_, _>>()?,
            file: path.to_owned(),
        })
    }
}

impl Place {
    fn mirror(self, path: &Path, by_digest: bool) -> Result<Mirror, Error> {
        let location = self.location.trim_end_matches('/').to_owned();
        if location.is_empty() {
            return Err(bad(path, "a `[[registry.mirror]]` has no `location`"));
        }
        check(path, &location)?;
        let serves = match self.pull_from_mirror.as_str() {
            "" | "all" if by_digest => Serves::Digests,
            "" | "all" => Serves::Pulls,
            "digest-only" => Serves::Digests,
            "tag-only" => Serves::Tags,
            other => {
                let why = format!(
                    "`pull-from-mirror = \"{}\"` is none of `all`, `digest-only`, `tag-only`",
                    other.escape_debug()
                );
                return Err(bad(path, &why));
            }
        };
        Ok(Mirror {
            location,
            insecure: self.insecure,
            serves,
        })
    }
}

/// A place is `host[:port][/path]`, without a scheme and without a tag.
fn check(path: &Path, place: &str) -> Result<(), Error> {
    let shown = place.escape_debug();
    if place.contains("://") {
        return Err(bad(path, &format!("`{shown}` has a scheme"))
            .hint("write `host[:port]`; plain HTTP is `insecure = true`"));
    }
    let last = place.split_once('/').map_or("", |(_, rest)| rest);
    if last.contains([':', '@']) {
        return Err(bad(
            path,
            &format!("`{shown}` names a tag or a digest, which is not supported"),
        ));
    }
    Ok(())
}

/// The rule for `registry/repository`: the one with the longest prefix.
pub(super) fn rule<'a>(rules: &'a [Rule], whole: &str) -> Option<&'a Rule> {
    let matching = rules.iter().filter(|r| r.matched(whole).is_some());
    matching.max_by_key(|r| r.prefix.len())
}

impl Rule {
    /// How many bytes of `whole` the prefix stands for.
    fn matched(&self, whole: &str) -> Option<usize> {
        if let Some(domain) = self.prefix.strip_prefix('*') {
            let host = whole.split('/').next().unwrap_or(whole);
            let name = host.split(':').next().unwrap_or(host);
            return (host.ends_with(domain) || name.ends_with(domain)).then_some(host.len());
        }
        let rest = whole.strip_prefix(&self.prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(self.prefix.len())
    }

    /// `whole` with `place` instead of the prefix.
    pub(super) fn replaced(&self, whole: &str, place: &str) -> String {
        let rest = self.matched(whole).map_or("", |n| &whole[n..]);
        format!("{place}{rest}")
    }

    pub(super) fn refusal(&self, registry: &str) -> Error {
        let file = self.file.display();
        Error::new(
            ErrorKind::Denied,
            format!("registry `{registry}` is blocked by `{file}`"),
        )
        .hint(format!(
            "the entry for `{}` there says `blocked = true`",
            self.prefix
        ))
    }
}
