//! Users and groups by name or number, as the root's own `/etc/passwd` and `/etc/group` know them.
//!
//! Two rules, because the tools that people know have two: who a process runs as ([`resolve`], for
//! USER and `--user`) and whom a copied file belongs to ([`chown`], for `--chown`). Neither asks the
//! machine's own files or services.

use std::io::Read as _;

use kiln_layer::{Files as _, LayerPath, Root};

use crate::{Error, ErrorKind};

/// Whom a process runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// The user's id.
    pub uid: u32,
    /// The primary group's id.
    pub gid: u32,
    /// All groups, the primary one first.
    pub groups: Vec<u32>,
    /// The home folder of the user's line in `/etc/passwd`; `None` where there is no line or no folder.
    pub home: Option<String>,
}

/// Whom `text` (`user`, `user:group`, each by name or number; empty for root) runs as.
///
/// A number is always an id, never a name. The group is that of the user's line, 0 where a number
/// has no line. The supplementary groups are those that list the user, unless a group is named.
///
/// # Errors
///
/// [`ErrorKind::User`] for a name that is not in the file, with docker's words.
pub fn resolve(text: &str, root: &Root) -> Result<Ids, Error> {
    resolve_in(text, &Tables::of(root)?)
}

/// The same where the two files are known as text: for a container that runs, whose files are no
/// longer the image's.
///
/// # Errors
///
/// As [`resolve`].
pub fn resolve_texts(text: &str, passwd: &str, group: &str) -> Result<Ids, Error> {
    let tables = Tables {
        passwd: passwd.to_owned(),
        group: group.to_owned(),
    };
    resolve_in(text, &tables)
}

/// Whom a file copied with `--chown=text` belongs to: user and group.
///
/// As [`resolve`], but a number alone is the group as well, whatever `/etc/passwd` says.
///
/// # Errors
///
/// As [`resolve`].
pub fn chown(text: &str, root: &Root) -> Result<(u32, u32), Error> {
    if let Some(ids) = numbers(text)? {
        return Ok(ids);
    }
    chown_in(text, &Tables::of(root)?)
}

/// The two files, as text.
#[derive(Debug, Default)]
struct Tables {
    passwd: String,
    group: String,
}

impl Tables {
    fn of(root: &Root) -> Result<Self, Error> {
        Ok(Self {
            passwd: read(root, "etc/passwd")?,
            group: read(root, "etc/group")?,
        })
    }
}

/// The largest file of users that is read: 100 times that of a large machine.
const LARGEST: u64 = 16 << 20;

/// A file that is not there, or is not a file, has no lines.
fn read(root: &Root, path: &str) -> Result<String, Error> {
    let path = LayerPath::parse(path)?;
    let Ok(resolved) = root.resolve(&path) else {
        return Ok(String::new());
    };
    // Which may be known by another name as well.
    let Some(file) = root.file(&resolved.path) else {
        return Ok(String::new());
    };
    let mut bytes = Vec::new();
    match &file.inline {
        Some(inline) => bytes.extend_from_slice(inline),
        None => {
            let failed =
                |e| Error::new(ErrorKind::Io, format!("read `/{path}` of the root")).because(e);
            let file = root.open(&resolved.path).map_err(failed)?;
            file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// The lines of `/etc/passwd` that name an id; a broken line is none (passwd(5)).
fn users(text: &str) -> impl Iterator<Item = User<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _, uid, gid) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        let (_, home) = (fields.next(), fields.next().unwrap_or(""));
        Some(User {
            name,
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home,
        })
    })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Group {
            name,
            gid: gid.parse().ok()?,
            members: fields.next().unwrap_or(""),
        })
    })
}

/// The largest id that a process can be given, as docker has it, and the largest that a file can have.
const LARGEST_OF_PROCESS: u32 = i32::MAX as u32;
const LARGEST_OF_FILE: u32 = u32::MAX - 1;

/// An id, where the text is a number at all.
fn number(text: &str, largest: u32) -> Result<Option<u32>, Error> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let id = text.parse::<u32>().ok().filter(|id| *id <= largest);
    let out = || format!("`{text}`: uids and gids must be in range 0-{largest}");
    id.map_or_else(
        || Err(Error::new(ErrorKind::User, out())),
        |id| Ok(Some(id)),
    )
}

fn parts(text: &str) -> (&str, &str) {
    text.split_once(':').unwrap_or((text, ""))
}

fn missing(what: &str, name: &str, file: &str) -> Error {
    Error::new(
        ErrorKind::User,
        format!("unable to find {what} {name}: no matching entries in {file} file"),
    )
    .hint(format!(
        "create it in the image first, or give the {what} by number"
    ))
}

fn resolve_in(text: &str, tables: &Tables) -> Result<Ids, Error> {
    let (user, group) = parts(text.trim());
    let wanted = if user.is_empty() {
        Some(0)
    } else {
        number(user, LARGEST_OF_PROCESS)?
    };
    let line = users(&tables.passwd).find(|line| match wanted {
        Some(uid) => line.uid == uid,
        None => line.name == user,
    });
    let mut ids = match (&line, wanted) {
        (Some(line), _) => Ids {
            uid: line.uid,
            gid: line.gid,
            home: Some(line.home.to_owned()).filter(|home| !home.is_empty()),
            groups: Vec::new(),
        },
        (None, Some(uid)) => Ids {
            uid,
            ..Ids::default()
        },
        (None, None) => return Err(missing("user", user, "passwd")),
    };
    let mut more = Vec::new();
    if !group.is_empty() {
        ids.gid = named_group(group, tables, LARGEST_OF_PROCESS)?;
    } else if let Some(line) = &line {
        let lists = |group: &Group<'_>| group.members.split(',').any(|m| m.trim() == line.name);
        more = groups(&tables.group)
            .filter(lists)
            .map(|group| group.gid)
            .collect();
    }
    ids.groups.push(ids.gid);
    for gid in more {
        if !ids.groups.contains(&gid) {
            ids.groups.push(gid);
        }
    }
    Ok(ids)
}

fn named_group(group: &str, tables: &Tables, largest: u32) -> Result<u32, Error> {
    if let Some(gid) = number(group, largest)? {
        return Ok(gid);
    }
    let line = groups(&tables.group).find(|line| line.name == group);
    line.map(|line| line.gid)
        .ok_or_else(|| missing("group", group, "group"))
}

/// What needs no file: all parts are numbers.
fn numbers(text: &str) -> Result<Option<(u32, u32)>, Error> {
    let (user, group) = parts(text);
    let Some(uid) = number(user, LARGEST_OF_FILE)? else {
        return Ok(None);
    };
    if group.is_empty() {
        return Ok(Some((uid, uid)));
    }
    Ok(number(group, LARGEST_OF_FILE)?.map(|gid| (uid, gid)))
}

fn chown_in(text: &str, tables: &Tables) -> Result<(u32, u32), Error> {
    let (user, group) = parts(text);
    let (uid, own) = match number(user, LARGEST_OF_FILE)? {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => {
            let line = users(&tables.passwd).find(|line| line.name == user);
            let line = line.ok_or_else(|| missing("user", user, "passwd"))?;
            (line.uid, line.gid)
        }
    };
    match group {
        "" => Ok((uid, own)),
        group => Ok((uid, named_group(group, tables, LARGEST_OF_FILE)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        Tables {
            passwd: "root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken:x:one:1::/:\n\
                     app:x:1000:1001:,,,:/home/app:/bin/sh\n1234:x:77:78::/seven:\nnohome:x:5:6"
                .to_owned(),
            group: "root:x:0:\nbin:x:2:root,daemon\napp:x:1001:\nvideo:x:44:app, other\nwheel:x:10:root\n"
                .to_owned(),
        }
    }

    #[test]
    fn who_a_process_runs_as() {
        for (text, uid, gid, groups, home) in [
            ("", 0, 0, vec![0, 2, 10], Some("/root")),
            ("root", 0, 0, vec![0, 2, 10], Some("/root")),
            ("app", 1000, 1001, vec![1001, 44], Some("/home/app")),
            ("1000", 1000, 1001, vec![1001, 44], Some("/home/app")),
            ("app:video", 1000, 44, vec![44], Some("/home/app")),
            ("app:7", 1000, 7, vec![7], Some("/home/app")),
            ("4000", 4000, 0, vec![0], None),
            ("4000:bin", 4000, 2, vec![2], None),
            ("1234", 1234, 0, vec![0], None), // a number is never a name
            (":bin", 0, 2, vec![2], Some("/root")),
            ("nohome", 5, 6, vec![6], None),
        ] {
            let ids = resolve_in(text, &tables()).unwrap();
            let expected = Ids {
                uid,
                gid,
                groups,
                home: home.map(str::to_owned),
            };
            assert_eq!(ids, expected, "{text}");
        }
    }

    #[test]
    fn whom_a_copied_file_belongs_to() {
        for (text, expected) in [
            ("1000", (1000, 1000)),
            ("app", (1000, 1001)),
            ("app:bin", (1000, 2)),
            ("55:66", (55, 66)),
            ("55:video", (55, 44)),
            (":video", (0, 44)),
            ("4294967294:2147483648", (4_294_967_294, 2_147_483_648)),
        ] {
            assert_eq!(chown_in(text, &tables()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_said_as_docker_says_it() {
        for (text, why) in [
            (
                "foo",
                "unable to find user foo: no matching entries in passwd file",
            ),
            (
                "broken",
                "unable to find user broken: no matching entries in passwd file",
            ),
            (
                "app:foo",
                "unable to find group foo: no matching entries in group file",
            ),
            ("4294967295", "uids and gids must be in range 0-2147483647"),
            ("-1", "unable to find user -1"),
        ] {
            let error = resolve_in(text, &tables()).unwrap_err();
            assert!(error.to_string().contains(why), "{text}: {error}");
            assert_eq!(error.kind(), ErrorKind::User);
            assert!(chown_in(text, &tables()).is_err(), "{text}");
        }
    }
}
