//! Platforms: `os/architecture[/variant]`, normalised as containerd does.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// What an image runs on (OCI image-spec, image-index.md, "platform").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH: `amd64`, `arm64`, …
    pub architecture: String,
    /// GOOS: `linux`, `windows`, …
    pub os: String,
    /// The variant of the CPU: `v7` of `arm`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields this crate does not know (`os.version`, …), kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Platform {
    /// A platform, normalised: `x86_64` becomes `amd64`, `aarch64` becomes `arm64` without `v8`.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os {
            "macos" => "darwin",
            other => other,
        };
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", None),
            "x86" | "i386" | "i686" => ("386", None),
            "aarch64" => ("arm64", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            "powerpc64le" => ("ppc64le", None),
            other => (other, None),
        };
        let variant = match (architecture, variant.filter(|v| !v.is_empty()).or(implied)) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => None,
            ("arm", None) => Some("v7"),
            (_, v) => v,
        };
        Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            variant: variant.map(str::to_owned),
            other: BTreeMap::new(),
        }
    }

    /// The platform that this program was compiled for, with `linux` as the system of images.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// What runs where `self` is asked for, the best first: `self`, and for a variant of a processor
    /// those before it (as containerd chooses: `linux/arm/v7` runs what is for `v6` and `v5`).
    pub fn fallbacks(&self) -> Vec<Platform> {
        let of = |variant: Option<&str>| Self::new(&self.os, &self.architecture, variant);
        let first = of(self.variant.as_deref());
        let number = |prefix: &str| {
            let variant = first.variant.as_deref()?.strip_prefix(prefix)?;
            variant.parse::<u32>().ok()
        };
        let mut all = vec![first.clone()];
        match first.architecture.as_str() {
            "arm" => {
                let below = (5..number("v").unwrap_or(0).min(9)).rev();
                all.extend(below.map(|n| of(Some(&format!("v{n}")))));
            }
            "amd64" => {
                let below = (1..number("v").unwrap_or(1).min(9)).rev();
                all.extend(below.map(|n| of(Some(&format!("v{n}")))));
            }
            "arm64" if first.variant.is_some() => all.push(of(None)),
            _ => {}
        }
        all
    }

    /// Whether an image for `self` is what was asked for by `wanted`.
    pub fn serves(&self, wanted: &Platform) -> bool {
        let a = Self::new(&self.os, &self.architecture, self.variant.as_deref());
        let b = Self::new(&wanted.os, &wanted.architecture, wanted.variant.as_deref());
        (a.os, a.architecture, a.variant) == (b.os, b.architecture, b.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(v) => write!(f, "/{v}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let ok = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'))
        };
        let parts: Vec<&str> = s.split('/').collect();
        if !parts.iter().all(|p| ok(p)) {
            return Err(Error::invalid(format!("platform `{s}`"))
                .hint("write it as os/architecture[/variant], for example linux/amd64"));
        }
        let lower: Vec<String> = parts.iter().map(|p| p.to_ascii_lowercase()).collect();
        match lower.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [one] if matches!(one, "linux" | "windows" | "darwin" | "freebsd") => {
                Ok(Self::new(one, std::env::consts::ARCH, None))
            }
            [one] => Ok(Self::new("linux", one, None)),
            [os, arch] => Ok(Self::new(os, arch, None)),
            [os, arch, variant] => Ok(Self::new(os, arch, Some(variant))),
            _ => Err(Error::invalid(format!("platform `{s}`: too many slashes"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises() {
        for (text, want) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("arm64", "linux/arm64"),
            ("linux/armel", "linux/arm/v6"),
        ] {
            assert_eq!(
                text.parse::<Platform>().unwrap().to_string(),
                want,
                "{text}"
            );
        }
        for (text, runs) in [
            ("linux/arm/v7", "linux/arm/v7 linux/arm/v6 linux/arm/v5"),
            ("linux/arm/v6", "linux/arm/v6 linux/arm/v5"),
            ("linux/amd64", "linux/amd64"),
            (
                "linux/amd64/v3",
                "linux/amd64/v3 linux/amd64/v2 linux/amd64",
            ),
            ("linux/arm64", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9 linux/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            let all = text.parse::<Platform>().unwrap().fallbacks();
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            assert_eq!(all.join(" "), runs, "{text}");
        }
        assert!("linux/".parse::<Platform>().is_err());
        assert!("a/b/c/d".parse::<Platform>().is_err());
    }
}
