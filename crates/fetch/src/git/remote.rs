//! Where a repository is. Refuses all that the git program, or a program that it starts, could take for
//! an option, a command or a file of this machine. No IO.

use std::fmt;

use crate::{Authorization, Error, ErrorKind, http::decoded};

/// An address that is safe to hand on, without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// `https`, `ssh` and so on; empty for `user@host:path`.
    scheme: String,
    /// With user and port.
    authority: String,
    /// Behind `/` or `:`.
    path: String,
    pub(super) authorization: Option<Authorization>,
}

const HELP: &str =
    "repositories are fetched by `https://`, `http://`, `ssh://`, `git://` or `user@host:path`";

fn invalid<T>(why: impl fmt::Display) -> Result<T, Error> {
    let what = format!("the address of the repository {why}");
    Err(Error::new(ErrorKind::Invalid, what).hint(HELP))
}

impl Remote {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) || text.len() > 4096 {
            return invalid("has blanks or control characters, or is too long");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::scp(text);
        };
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https" | "ssh" | "git") {
            return invalid("is of a kind that is not fetched");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if !is_host(host) || user.starts_with('-') {
            return invalid("names no host");
        }
        if path.is_empty() {
            return invalid("has no path");
        }
        let web = scheme.starts_with("http");
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        let authorization = (web && !user.is_empty())
            .then(|| Authorization::basic(&decoded(name), &decoded(password.unwrap_or(""))));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !web && !name.chars().all(is_plain) {
            return invalid("has a user with special characters");
        }
        let authority = match (web, name) {
            (true, _) | (_, "") => host.to_owned(),
            (false, name) => format!("{name}@{host}"),
        };
        Ok(Self {
            scheme,
            authority,
            path: path.to_owned(),
            authorization,
        })
    }

    /// `user@host:path`.
    fn scp(text: &str) -> Result<Self, Error> {
        let Some((authority, path)) = text.split_once(':') else {
            return invalid("is none");
        };
        let Some((user, host)) = authority.split_once('@') else {
            return invalid("is none");
        };
        let is_user = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let user_fits = !user.is_empty() && !user.starts_with('-') && user.chars().all(is_user);
        if !user_fits || !is_host(host) || host.contains(':') {
            return invalid("names no host");
        }
        if path.is_empty() || path.starts_with(['-', ':']) {
            return invalid("has no path");
        }
        Ok(Self {
            scheme: String::new(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            authorization: None,
        })
    }

    /// The address of a submodule, as this repository has it.
    pub(super) fn submodule(&self, address: &str) -> Result<Self, Error> {
        let mut found = match address.starts_with("./") || address.starts_with("../") {
            true => Self {
                path: self.relative(address)?,
                ..self.clone()
            },
            false => Self::parse(address)?,
        };
        // Who one is there is nothing that a repository could say.
        found.authorization =
            match (&found.scheme, &found.authority) == (&self.scheme, &self.authority) {
                true => self.authorization.clone(),
                false => None,
            };
        Ok(found)
    }

    fn relative(&self, address: &str) -> Result<String, Error> {
        let mut path: Vec<&str> = self.path.trim_end_matches('/').split('/').collect();
        for part in address.split('/') {
            match part {
                "" | "." => {}
                ".." if path.len() <= 1 && path.first().is_none_or(|p| p.is_empty()) => {
                    return invalid("leads out of its host");
                }
                ".." => {
                    path.pop();
                }
                part => path.push(part),
            }
        }
        match path.first() {
            Some(first) if !first.starts_with('-') && path.iter().any(|p| !p.is_empty()) => {
                Ok(path.join("/"))
            }
            _ => invalid("leads nowhere"),
        }
    }

    /// `http` and so on, behind which credentials are sent in a header: where to.
    pub(super) fn web_origin(&self) -> Option<String> {
        let web = self.scheme.starts_with("http");
        web.then(|| format!("{}://{}/", self.scheme, self.authority))
    }

    /// What git may use to get there, redirects included: nothing that is not encrypted in the place of
    /// what is.
    pub(super) fn transports(&self) -> &'static str {
        match self.scheme.as_str() {
            "https" => "https",
            "http" => "http:https",
            "git" => "git",
            _ => "ssh",
        }
    }

    /// Whether ssh carries it.
    pub(super) fn is_ssh(&self) -> bool {
        matches!(self.scheme.as_str(), "" | "ssh")
    }
}

impl fmt::Display for Remote {
    /// What git is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme.as_str() {
            "" => write!(f, "{}:{}", self.authority, self.path),
            scheme => write!(f, "{scheme}://{}/{}", self.authority, self.path),
        }
    }
}

/// Whether it is a host, and a port perhaps.
fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c) || !c.is_ascii();
    !text.is_empty() && !text.starts_with(['-', ':', '.']) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(found: Result<Remote, Error>) -> String {
        found.map_or_else(|e| format!("error: {e}"), |remote| remote.to_string())
    }

    #[test]
    fn addresses() {
        for (text, want) in [
            ("https://u:p@h:8443/a/b.git", "https://h:8443/a/b.git"),
            ("HTTP://h/a?b=c", "http://h/a?b=c"),
            ("ssh://git:pw@h:22/a", "ssh://git@h:22/a"),
            ("git@h.org:a/b", "git@h.org:a/b"),
            ("git://[::1]:9/a", "git://[::1]:9/a"),
        ] {
            assert_eq!(shown(Remote::parse(text)), want, "{text}");
        }
        let remote = Remote::parse("https://u:p%40@h/a").unwrap();
        assert_eq!(remote.authorization, Some(Authorization::basic("u", "p@")));
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "/etc",
            "./x",
            "-oProxyCommand=id",
            "file:///etc",
            "ext::sh -c id",
            "ext::sh",
            "ssh://-oProxyCommand=id/x",
            "ssh://-u@h/x",
            "ssh://u;id@h/x",
            "ssh://h$(id)/x",
            "git@-h:x",
            "-u@h:x",
            "git@h:-x",
            "git@h::x",
            "https://h",
            "https:///x",
            "https://h/a b",
            "https://h/a\nb",
            "fd::17",
            "https::http://h/x",
        ] {
            let e = Remote::parse(text).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn submodules() {
        let of =
            |parent: &str, address: &str| shown(Remote::parse(parent).unwrap().submodule(address));
        assert_eq!(of("https://h/a/b.git", "../c.git"), "https://h/a/c.git");
        assert_eq!(of("https://h/a/b", "./c"), "https://h/a/b/c");
        assert_eq!(of("git@h:a/b", "../c"), "git@h:a/c");
        assert_eq!(of("https://h/b", "https://i/c"), "https://i/c");
        for hostile in [
            "../../../etc",
            "-u./x",
            "--upload-pack=x",
            "file:///etc",
            "ext::sh",
            "/etc",
            "c:/x",
        ] {
            assert!(of("https://h/b", hostile).starts_with("error"), "{hostile}");
        }
        let parent = Remote::parse("https://u:p@h/b").unwrap();
        let at = |address| parent.submodule(address).unwrap().authorization.is_some();
        assert!(at("../c") && at("https://x:y@h/c"));
        assert!(!at("https://i/c") && !at("http://h/c") && !at("https://x:y@i/c"));
    }
}
