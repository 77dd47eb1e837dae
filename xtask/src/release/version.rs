//! Versions of our crates: three numbers (Semantic Versioning 2.0.0), no pre-releases.

use std::fmt;
use std::str::FromStr;

/// `major.minor.patch`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

/// How much a release asks of those who use the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Nothing: what compiled compiles, and does what it did or better.
    Fixing,
    /// Nothing, and there is something new.
    Adding,
    /// To look at their code.
    Breaking,
}

impl Version {
    /// The next version after a change. Below 1.0 the minor number is the one that breaks, and what
    /// is new raises the patch number; from 1.0 on it is major and minor.
    pub(super) fn after(self, change: Change) -> Version {
        let Version {
            major,
            minor,
            patch,
        } = self;
        match (major, change) {
            (0, Change::Breaking) | (1.., Change::Adding) => Version {
                major,
                minor: minor + 1,
                patch: 0,
            },
            (1.., Change::Breaking) => Version {
                major: major + 1,
                minor: 0,
                patch: 0,
            },
            (0, Change::Adding) | (_, Change::Fixing) => Version {
                major,
                minor,
                patch: patch + 1,
            },
        }
    }

    /// Whether whoever asks cargo for `self` can be given `other`.
    pub(super) fn accepts(self, other: Version) -> bool {
        let same = |v: Version| {
            if v.major == 0 {
                (0, v.minor)
            } else {
                (v.major, 0)
            }
        };
        // Below 0.1 every version stands for itself.
        let own = self.major == 0 && self.minor == 0;
        other >= self && same(self) == same(other) && (!own || self == other)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([major, minor, patch]) => Ok(Version {
                major: *major,
                minor: *minor,
                patch: *patch,
            }),
            _ => Err(format!("`{text}` is not a version of three numbers")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    #[test]
    fn the_next_version() {
        let table = [
            ("0.1.0", Change::Fixing, "0.1.1", true),
            ("0.1.0", Change::Adding, "0.1.1", true),
            ("0.1.3", Change::Breaking, "0.2.0", false),
            ("1.2.3", Change::Fixing, "1.2.4", true),
            ("1.2.3", Change::Adding, "1.3.0", true),
            ("1.2.3", Change::Breaking, "2.0.0", false),
        ];
        for (now, change, next, accepted) in table {
            assert_eq!(
                version(now).after(change).to_string(),
                next,
                "{now} {change:?}"
            );
            assert_eq!(
                version(now).accepts(version(next)),
                accepted,
                "{now} {change:?}"
            );
        }
    }

    #[test]
    fn below_a_first_minor_every_version_stands_for_itself() {
        assert!(!version("0.0.1").accepts(version("0.0.2")));
        assert!(version("0.0.1").accepts(version("0.0.1")));
    }

    #[test]
    fn only_three_numbers_are_a_version() {
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.3-rc.1"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
