//! Named contexts: what a build was given besides its main context, to stand for stages and images of
//! the Dockerfile. Refuses to open any of them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use kiln_image::{Platform, Reference};
use kiln_parser::{Diagnostic, Span};

use crate::error;

/// What a name of `--build-context` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NamedContext {
    /// A folder of this machine, as it was named.
    Folder(String),
    /// `docker-image://`: an image by its name; `scratch` is the empty one.
    Image(String),
    /// `oci-layout://`: a folder with an OCI layout, perhaps `:tag` or `@digest`.
    Layout(String),
    /// A git repository, or a file or archive at an HTTP address.
    Remote(String),
    /// `target:`: a stage of the file, by name or number.
    Target(String),
}

impl NamedContext {
    /// Whether it is files, and not an image.
    pub fn is_files(&self) -> bool {
        matches!(self, Self::Folder(_) | Self::Remote(_))
    }
}

impl FromStr for NamedContext {
    type Err = String;

    /// As `--build-context name=VALUE` has it. What cannot be such a context is told in words.
    fn from_str(value: &str) -> Result<Self, String> {
        const REMOTE: [&str; 5] = ["https://", "http://", "git://", "ssh://", "git@"];
        if value.is_empty() {
            return Err("it is empty".to_owned());
        }
        if value.starts_with("input:") {
            return Err("`input:…` has a meaning between builders only".to_owned());
        }
        if let Some(stage) = value.strip_prefix("target:") {
            return match stage {
                "" => Err("`target:` names no stage".to_owned()),
                _ => Ok(Self::Target(stage.to_owned())),
            };
        }
        if let Some(name) = value.strip_prefix("docker-image://") {
            if name != "scratch" {
                let parsed = name.parse::<Reference>();
                parsed.map_err(|e| format!("`{name}`: {e}"))?;
            }
            return Ok(Self::Image(name.to_owned()));
        }
        if let Some(path) = value.strip_prefix("oci-layout://") {
            return Ok(Self::Layout(path.to_owned()));
        }
        if REMOTE.iter().any(|prefix| value.starts_with(prefix)) {
            return Ok(Self::Remote(value.to_owned()));
        }
        let path = value.strip_prefix("local://").unwrap_or(value);
        Ok(Self::Folder(path.to_owned()))
    }
}

impl fmt::Display for NamedContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => f.write_str(path),
            Self::Image(name) => write!(f, "docker-image://{name}"),
            Self::Layout(path) => write!(f, "oci-layout://{path}"),
            Self::Remote(url) => f.write_str(url),
            Self::Target(stage) => write!(f, "target:{stage}"),
        }
    }
}

/// The context that `name` means where something for `platform` is wanted, with the name that it was
/// given by: `name::platform` before `name`. Names are compared as those of images:
/// `docker.io/library/alpine:latest` is `alpine`. Nothing stands for `scratch`.
pub(crate) fn named<'c>(
    all: &'c BTreeMap<String, NamedContext>,
    name: &str,
    platform: &Platform,
) -> Option<(&'c str, &'c NamedContext)> {
    if name == "scratch" {
        return None;
    }
    let wanted = name.parse::<Reference>().ok();
    let same = |given: &str| {
        given == name || wanted.is_some() && given.parse::<Reference>().ok() == wanted
    };
    let mut found = None;
    for (key, context) in all {
        match key.split_once("::") {
            Some((given, of)) => {
                let fits = of.parse::<Platform>().is_ok_and(|p| p == *platform);
                if fits && same(given) {
                    return Some((key.as_str(), context));
                }
            }
            None if same(key) => found = Some((key.as_str(), context)),
            None => {}
        }
    }
    found
}

/// What a named context is to a stage.
pub(crate) enum Meant<'c> {
    Scratch,
    Files,
    Image(Reference),
    /// A stage, by name or number.
    Stage(&'c str),
}

/// What stands on a named context, or takes files from it, has before it.
pub(crate) fn meant<'c>(
    name: &str,
    context: &'c NamedContext,
    span: Span,
) -> Result<Meant<'c>, Diagnostic> {
    match context {
        NamedContext::Image(image) if image == "scratch" => Ok(Meant::Scratch),
        NamedContext::Image(image) => image.parse().map(Meant::Image).map_err(|e| {
            let message = format!("context `{name}`: {e}");
            Diagnostic::error("bad-reference", span, message)
        }),
        NamedContext::Layout(_) => {
            let what = format!("--build-context {name}={context}");
            let help = "load it with `kiln load` and name the image";
            Err(error::not_yet(span, &what, help))
        }
        NamedContext::Folder(_) | NamedContext::Remote(_) => Ok(Meant::Files),
        NamedContext::Target(stage) => Ok(Meant::Stage(stage)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, shown) in [
            ("docker-image://alpine:3", "Image(\"alpine:3\")"),
            ("docker-image://scratch", "Image(\"scratch\")"),
            ("oci-layout:///x:tag", "Layout(\"/x:tag\")"),
            ("../dir", "Folder(\"../dir\")"),
            ("local://dir", "Folder(\"dir\")"),
            ("https://a/b.git#main", "Remote(\"https://a/b.git#main\")"),
            ("git@github.com:a/b", "Remote(\"git@github.com:a/b\")"),
            ("target:build", "Target(\"build\")"),
        ] {
            let context: NamedContext = text.parse().unwrap();
            assert_eq!(format!("{context:?}"), shown);
        }
        for text in ["", "target:", "input:x", "docker-image://A B"] {
            assert!(text.parse::<NamedContext>().is_err(), "{text}");
        }
    }

    #[test]
    fn names() {
        let given = ["alpine", "a::linux/arm64", "a", "x/y:1"];
        let context = |name: &str| (name.to_owned(), NamedContext::Folder(String::new()));
        let all: BTreeMap<_, _> = given.into_iter().map(context).collect();
        let amd64 = Platform::new("linux", "amd64", None);
        for (name, want) in [
            ("alpine", Some("alpine")),
            ("docker.io/library/alpine:latest", Some("alpine")),
            ("alpine:3", None),
            ("a", Some("a")),
            ("x/y:1", Some("x/y:1")),
            ("x/y", None),
            ("scratch", None),
        ] {
            let found = named(&all, name, &amd64).map(|(key, _)| key);
            assert_eq!(found, want, "{name}");
        }
        let arm64 = Platform::new("linux", "arm64", None);
        let found = named(&all, "a", &arm64).map(|(key, _)| key);
        assert_eq!(found, Some("a::linux/arm64"));
    }
}
