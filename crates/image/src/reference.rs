//! Names of images: `registry/repository[:tag][@digest]`, normalised as docker does
//! (distribution/reference). Refuses what docker refuses, and says why.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Digest, Error};

const HUB: &str = "docker.io";

/// A normalised name of an image. Always has a registry and a repository, and a tag or a digest
/// or both; where there are both, the digest decides.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry: `docker.io`, `ghcr.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry: `library/busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What a registry is asked for: the digest where there is one, else the tag.
    pub fn tag_or_digest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(d), _) => d.to_string(),
            (None, Some(t)) => t.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The repository as people write it: without `docker.io/` and `library/`.
    pub fn familiar_repository(&self) -> String {
        if self.registry != HUB {
            return format!("{}/{}", self.registry, self.repository);
        }
        match self.repository.strip_prefix("library/") {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// The name as people write it: without `docker.io/` and `library/`, with the tag.
    pub fn familiar(&self) -> String {
        let mut s = self.familiar_repository();
        self.push_suffix(&mut s);
        s
    }

    /// The same repository with `digest` and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same repository with `tag` and no digest.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when `tag` is not one.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        check_tag(tag, tag)?;
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    fn push_suffix(&self, s: &mut String) {
        if let Some(t) = &self.tag {
            s.push(':');
            s.push_str(t);
        }
        if let Some(d) = &self.digest {
            s.push('@');
            s.push_str(&d.to_string());
        }
    }
}

impl fmt::Display for Reference {
    /// The whole name, `docker.io/library/` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = format!("{}/{}", self.registry, self.repository);
        self.push_suffix(&mut s);
        f.write_str(&s)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        if s.is_empty() {
            return Err(bad(s, "it is empty"));
        }
        if let Some(c) = s.chars().find(|c| c.is_whitespace()) {
            let joined: String = s.split_whitespace().collect();
            return Err(bad(s, &format!("it has a blank (`{c}`)"))
                .hint(format!("did you mean `{joined}`?")));
        }
        if s.len() == 64
            && s.bytes()
                .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
        {
            return Err(bad(s, "64 hexadecimal digits are an id, not a name"));
        }
        let (name, digest) = match s.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (s, None),
        };
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => {
                check_tag(s, tag)?;
                (path, Some(tag.to_owned()))
            }
            _ => (name, None),
        };
        let (registry, repository) = split_registry(path);
        check_registry(s, registry)?;
        check_repository(s, repository)?;
        let repository = if registry == HUB && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        if repository.len() > 255 {
            return Err(bad(s, "the repository is longer than 255 characters"));
        }
        let tag = match (&tag, &digest) {
            (None, None) => Some("latest".to_owned()),
            _ => tag,
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// The part before the first slash is a registry only if it looks like a host.
fn split_registry(path: &str) -> (&str, &str) {
    match path.split_once('/') {
        Some((host, rest))
            if host.contains(['.', ':'])
                || host == "localhost"
                || host.bytes().any(|c| c.is_ascii_uppercase()) =>
        {
            let host = if host == "index.docker.io" { HUB } else { host };
            (host, rest)
        }
        _ => (HUB, path),
    }
}

fn check_registry(s: &str, registry: &str) -> Result<(), Error> {
    let (host, port) = match registry.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((addr, port)) if addr.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("ipv6", port.strip_prefix(':'))
            }
            _ => return Err(bad(s, &format!("`{registry}` is not a host"))),
        },
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    if !host.split('.').all(label) || port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return Err(bad(s, &format!("`{registry}` is not a host[:port]")));
    }
    Ok(())
}

fn check_repository(s: &str, repository: &str) -> Result<(), Error> {
    if repository.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err(bad(s, "names of images are lower case")
            .hint(format!("did you mean `{}`?", s.to_lowercase())));
    }
    for part in repository.split('/') {
        if !is_component(part) {
            return Err(bad(s, &format!("`{part}` is not a part of a name"))
                .hint("letters a-z, digits, and between them `.`, `_`, `__` or `-`"));
        }
    }
    Ok(())
}

/// `[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ok_separator =
        |sep: &str| matches!(sep, "" | "." | "_" | "__") || sep.bytes().all(|c| c == b'-');
    part.starts_with(alnum)
        && part.ends_with(alnum)
        && part
            .chars()
            .all(|c| alnum(c) || matches!(c, '.' | '_' | '-'))
        && part.split(alnum).all(ok_separator)
}

fn check_tag(s: &str, tag: &str) -> Result<(), Error> {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let mut bytes = tag.bytes();
    let ok = tag.len() <= 128
        && bytes.next().is_some_and(word)
        && bytes.all(|c| word(c) || matches!(c, b'.' | b'-'));
    if ok {
        return Ok(());
    }
    Err(bad(s, &format!("`{tag}` is not a tag")).hint(
        "a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
    ))
}

fn bad(s: &str, why: &str) -> Error {
    Error::invalid(format!("invalid reference `{s}`: {why}"))
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises() {
        let hex = "a".repeat(64);
        for (text, full, familiar) in [
            (
                "busybox",
                "docker.io/library/busybox:latest",
                "busybox:latest",
            ),
            ("me/app:1", "docker.io/me/app:1", "me/app:1"),
            (
                "index.docker.io/busybox",
                "docker.io/library/busybox:latest",
                "busybox:latest",
            ),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            (
                "localhost:5000/x:y",
                "localhost:5000/x:y",
                "localhost:5000/x:y",
            ),
            (
                "127.0.0.1:5000/a/b",
                "127.0.0.1:5000/a/b:latest",
                "127.0.0.1:5000/a/b:latest",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("Foo/bar", "Foo/bar:latest", "Foo/bar:latest"),
            (
                "a__b/c--d/e.f",
                "docker.io/a__b/c--d/e.f:latest",
                "a__b/c--d/e.f:latest",
            ),
            (
                "docker.io/library/a",
                "docker.io/library/a:latest",
                "a:latest",
            ),
        ] {
            let r: Reference = text.parse().unwrap();
            assert_eq!(r.to_string(), full, "{text}");
            assert_eq!(r.familiar(), familiar, "{text}");
            assert_eq!(full.parse::<Reference>().unwrap(), r);
        }
        let r: Reference = format!("busybox:1@sha256:{hex}").parse().unwrap();
        assert_eq!(r.tag(), Some("1"));
        assert_eq!(r.tag_or_digest(), format!("sha256:{hex}"));
    }

    #[test]
    fn refuses_and_says_why() {
        let hex = "a".repeat(64);
        for (text, why, hint) in [
            ("", "empty", ""),
            ("Ubuntu", "lower case", "`ubuntu`"),
            ("simple: app", "blank", "`simple:app`"),
            (hex.as_str(), "an id", ""),
            ("a/../b", "`..`", ""),
            ("a//b", "``", ""),
            ("a___b", "`a___b`", ""),
            ("a:-x", "not a tag", ""),
            ("host.x:port/a", "not a host", ""),
            ("a@sha256:12", "64", ""),
            ("-a", "`-a`", ""),
        ] {
            let e = text.parse::<Reference>().unwrap_err();
            assert!(e.to_string().contains(why), "{text}: {e}");
            assert!(e.hint_text().unwrap_or("").contains(hint), "{text}: {e:?}");
        }
    }
}
