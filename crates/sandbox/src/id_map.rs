//! Which ids of the host stand for which ids inside a user namespace (user_namespaces(7)), and what
//! the files of subordinate ids say (subuid(5), subgid(5)). It makes no namespace.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, installed};

/// So many ids in a row: `inside`, `inside + 1`, … are `outside`, `outside + 1`, … of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

impl IdRange {
    fn last(&self) -> u32 {
        self.inside.saturating_add(self.count.saturating_sub(1))
    }

    fn has(&self, inside: u32) -> bool {
        (self.inside..=self.last()).contains(&inside) && self.count > 0
    }
}

/// The users and groups of a user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct IdMap {
    pub uids: Vec<IdRange>,
    pub gids: Vec<IdRange>,
}

impl IdMap {
    /// What the user of this program may map: the own user and group as 0 and, from 1 on, the
    /// subordinate ids, where `/etc/subuid` and `/etc/subgid` give some of both and `newuidmap` and
    /// `newgidmap` are installed; else [`single`](Self::single).
    ///
    /// # Errors
    ///
    /// One of the two files is there and cannot be read.
    pub fn of_user() -> Result<Self, Error> {
        let single = Self::single();
        let tools = ["newuidmap", "newgidmap"];
        if !tools.iter().all(|tool| installed::program(tool).is_some()) {
            return Ok(single);
        }
        let (uids, gids) = subordinate()?;
        if uids.is_empty() || gids.is_empty() {
            return Ok(single);
        }
        Ok(Self {
            uids: in_a_row(single.uids, &uids),
            gids: in_a_row(single.gids, &gids),
        })
    }

    /// The user and the group of this program as 0, and nobody else.
    pub fn single() -> Self {
        let (uid, gid) = own();
        let one = |outside| {
            vec![IdRange {
                inside: 0,
                outside,
                count: 1,
            }]
        };
        Self {
            uids: one(uid),
            gids: one(gid),
        }
    }

    /// Whether there is but one user and one group. In such a namespace supplementary groups cannot
    /// be changed (setgroups(2)).
    pub fn is_single(&self) -> bool {
        let one = |ranges: &[IdRange]| matches!(ranges, [IdRange { count: 1, .. }]);
        one(&self.uids) && one(&self.gids)
    }

    /// Whether this user of the inside stands for one of the host.
    pub fn has_uid(&self, inside: u32) -> bool {
        self.uids.iter().any(|range| range.has(inside))
    }

    /// Whether this group of the inside stands for one of the host.
    pub fn has_gid(&self, inside: u32) -> bool {
        self.gids.iter().any(|range| range.has(inside))
    }

    /// The greatest user of the inside.
    pub fn last_uid(&self) -> u32 {
        self.uids.iter().map(IdRange::last).max().unwrap_or(0)
    }

    /// The greatest group of the inside.
    pub fn last_gid(&self) -> u32 {
        self.gids.iter().map(IdRange::last).max().unwrap_or(0)
    }
}

/// A first id of the host, and how many from there on.
pub(crate) type Granted = (u32, u32);

/// The subordinate users and groups of the user of this program.
pub(crate) fn subordinate() -> Result<(Vec<Granted>, Vec<Granted>), Error> {
    let (uid, _) = own();
    let name = user_name(uid);
    let of = |file: &str| text(Path::new(file)).map(|text| granted(&text, name.as_deref(), uid));
    Ok((of("/etc/subuid")?, of("/etc/subgid")?))
}

fn text(file: &Path) -> Result<String, Error> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => {
            let what = format!("read `{}`", file.display());
            Err(Error::new(ErrorKind::System, what).because(error).at(file))
        }
    }
}

/// The lines of a user, by name or by number. What is no such line is passed over, as newuidmap(1)
/// does.
fn granted(text: &str, name: Option<&str>, uid: u32) -> Vec<Granted> {
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let by_number = owner.parse() == Ok(uid);
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (count > 0 && (Some(owner) == name || by_number)).then_some((first, count))
    };
    text.lines().filter_map(line).collect()
}

/// The ranges one after another behind what is mapped already.
fn in_a_row(mut ranges: Vec<IdRange>, more: &[Granted]) -> Vec<IdRange> {
    let mut inside = ranges.last().map_or(0, |range| range.last() + 1);
    for (outside, count) in more {
        // The greatest number is no id (it means none to the system calls).
        let count = (*count).min(u32::MAX - inside);
        if count > 0 {
            ranges.push(IdRange {
                inside,
                outside: *outside,
                count,
            });
            inside += count;
        }
    }
    ranges
}

/// User and group of this program.
#[cfg(unix)]
fn own() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (uid.as_raw(), gid.as_raw())
}

#[cfg(not(unix))]
fn own() -> (u32, u32) {
    (0, 0)
}

#[cfg(target_os = "linux")]
pub(crate) fn user_name(uid: u32) -> Option<String> {
    crate::linux::user_name(uid)
}

/// Elsewhere nobody has subordinate ids.
#[cfg(not(target_os = "linux"))]
fn user_name(_: u32) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "ann:100000:65536\nbob:165536:65536\n1000:300000:10\n# ann:1:2\nann:x:5\n\
                        ann:5\nann:400000:0\nann:500000:3:more\n";

    #[test]
    fn lines_are_found_by_name_and_number() {
        for (name, uid, expected) in [
            (Some("bob"), 1, vec![(165_536, 65_536)]),
            (
                Some("ann"),
                1000,
                vec![(100_000, 65_536), (300_000, 10), (500_000, 3)],
            ),
            (None, 1000, vec![(300_000, 10)]),
            (Some("nobody"), 65_534, vec![]),
        ] {
            assert_eq!(granted(FILE, name, uid), expected, "{name:?} {uid}");
        }
    }

    #[test]
    fn ranges_follow_one_another() {
        let single = IdMap {
            uids: vec![IdRange {
                inside: 0,
                outside: 1000,
                count: 1,
            }],
            gids: vec![IdRange {
                inside: 0,
                outside: 100,
                count: 1,
            }],
        };
        assert!(single.is_single() && single.has_uid(0) && !single.has_uid(1));
        assert_eq!((single.last_uid(), single.last_gid()), (0, 0));
        let uids = in_a_row(single.uids, &[(100_000, 10), (300_000, 5), (7, u32::MAX)]);
        let insides: Vec<_> = uids.iter().map(|one| (one.inside, one.count)).collect();
        assert_eq!(insides, [(0, 1), (1, 10), (11, 5), (16, u32::MAX - 16)]);
        let map = IdMap {
            uids: uids[..3].to_vec(),
            gids: single.gids,
        };
        assert!(!map.is_single());
        assert_eq!(map.last_uid(), 15);
        for (uid, has) in [(0, true), (1, true), (15, true), (16, false)] {
            assert_eq!(map.has_uid(uid), has, "{uid}");
        }
    }

    #[test]
    fn a_map_survives_json() {
        let map = IdMap::single();
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<IdMap>(&text).unwrap(), map);
    }
}
