//! What is in a commit: names, kinds and object numbers. Refuses names that are none, and `.git`, whatever
//! its letters' case: whoever works in the folder later would obey it.

use std::io::{BufRead, Read};

use kiln_layer::LayerPath;

use super::program::{Failed, Git};
use crate::{Error, ErrorKind};

/// One entry of a commit.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) path: LayerPath,
    pub(super) kind: ListedKind,
    pub(super) object: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListedKind {
    Folder,
    File { executable: bool },
    Link,
    Submodule,
}

/// The longest that one line of the listing may be.
const LINE: u64 = 16 << 10;

/// All entries of a commit, folders before what is in them.
pub(super) fn list(git: &Git<'_>, commit: &str, limit: usize) -> Result<Vec<Listed>, Error> {
    let args = ["ls-tree", "-r", "-t", "-z", "--full-tree", commit];
    let found = git.read(&args, &[], |out| {
        let mut all = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = out.by_ref().take(LINE).read_until(0, &mut line);
            read.map_err(|e| Error::io("read what git writes", e))?;
            match line.pop() {
                None => return Ok(all),
                Some(0) => all.push(parse(&line)?),
                Some(_) => return Err(refused("a name is too long")),
            }
            if all.len() > limit {
                return Err(refused(&format!("it has more than {limit} entries")));
            }
        }
    })?;
    found.map_err(|Failed(said)| {
        let what = format!("the files of commit {commit} cannot be listed");
        Error::new(ErrorKind::Io, what).because(said)
    })
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("the commit is not taken: {why}"),
    )
}

/// `100644 blob HEX<tab>path`.
fn parse(line: &[u8]) -> Result<Listed, Error> {
    let odd = || refused("its listing cannot be read");
    let tab = line.iter().position(|b| *b == b'\t').ok_or_else(odd)?;
    let head = std::str::from_utf8(&line[..tab]).map_err(|_| odd())?;
    let mut head = head.split(' ');
    let (mode, _, object) = (head.next(), head.next(), head.next());
    let mode = mode
        .and_then(|m| u32::from_str_radix(m, 8).ok())
        .ok_or_else(odd)?;
    let name = &line[tab + 1..];
    let path = LayerPath::parse(name).map_err(|e| refused("a name in it is none").because(e))?;
    // Empty components and dots are names to git's objects, and to nobody else.
    if path.is_root() || path.as_bytes() != name || path.components().any(is_git) {
        let what = format!("a file in it is called `{}`", name.escape_ascii());
        return Err(refused(&what));
    }
    let kind = match mode & 0o170_000 {
        0o040_000 => ListedKind::Folder,
        0o100_000 => ListedKind::File {
            executable: mode & 0o100 != 0,
        },
        0o120_000 => ListedKind::Link,
        0o160_000 => ListedKind::Submodule,
        _ => return Err(odd()),
    };
    Ok(Listed {
        path,
        kind,
        object: object.ok_or_else(odd)?.to_owned(),
    })
}

/// Whether some system takes the name for `.git`.
fn is_git(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let end = name.iter().rposition(|b| *b != b'.' && *b != b' ');
    let bare = &name[..end.map_or(0, |end| end + 1)];
    bare == b".git" || bare == b"git~1"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_refused() {
        let id = "0".repeat(40);
        let of = |mode: &str, name: &str| parse(format!("{mode} blob {id}\t{name}").as_bytes());
        assert_eq!(
            of("100755", "a/b").unwrap().kind,
            ListedKind::File { executable: true }
        );
        assert_eq!(
            of("100664", "a").unwrap().kind,
            ListedKind::File { executable: false }
        );
        assert_eq!(of("160000", "m").unwrap().kind, ListedKind::Submodule);
        for name in [
            "../x",
            "a/../b",
            "/etc",
            "a//b",
            "./a",
            "a/.git/hooks",
            ".GIT",
            ".git. .",
            "GIT~1",
            "",
        ] {
            let e = of("100644", name).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Refused, "{name}");
        }
        assert!(of("100644", ".gitmodules").is_ok() && of("100644", "a.git").is_ok());
        assert!(of("010644", "fifo").is_err());
    }
}
