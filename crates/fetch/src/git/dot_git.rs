//! `.git` as it is beside files that were checked out: with what the commit needs, detached, without
//! history, hooks and the times of files on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kiln_layer::{Entry, Kind, LayerPath, Meta, Time};

use super::{contents::Contents, mirror::Mirror, program::Git, resolve::Commit};
use crate::{Error, ErrorKind, Fetcher, Watch, slot};

/// The name under which the commit comes over.
const TAKEN: &str = "refs/kiln/taken";

/// Makes one in the mirror's place for such things.
pub(super) fn make(
    fetcher: &Fetcher,
    mirror: &Mirror<'_>,
    from: &Git<'_>,
    commit: &Commit,
    watch: &Watch<'_>,
) -> Result<PathBuf, Error> {
    let folder = mirror.tmp().join("checkout");
    let git = Git::new(fetcher, folder.join(".git"), watch);
    let format = match commit.id.len() {
        64 => "--object-format=sha256",
        _ => "--object-format=sha1",
    };
    fs::create_dir_all(&folder).map_err(|e| Error::io(slot::shown("make", &folder), e))?;
    git.run(&["init", "--quiet", "--template=", format])?;
    for (key, value) in [
        ("core.bare", "false"),
        ("core.filemode", "true"),
        ("core.logallrefupdates", "true"),
        ("remote.origin.url", mirror.address().as_str()),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
    ] {
        git.run(&["config", key, value])?;
    }
    // As a path: of an address, escapes would be read.
    let source = from.repository().display().to_string();
    let tip = commit.tag.as_deref().unwrap_or(&commit.id);
    let taken = format!("+refs/kiln/commit/{tip}:{TAKEN}");
    // The one place where a file of this machine is fetched from: its own mirror.
    let own = [("GIT_ALLOW_PROTOCOL", "file")];
    let quiet = ["--quiet", "--no-write-fetch-head", "--no-auto-maintenance"];
    let mut args = vec!["fetch", "--depth=1", "--no-tags", "--no-recurse-submodules"];
    args.extend(quiet);
    args.extend(["--", source.as_str(), taken.as_str()]);
    git.run_with(&own, &args)?;
    git.run(&["update-ref", "--no-deref", "HEAD", &commit.id])?;
    if let Some(name) = &commit.reference {
        git.run(&["update-ref", name, tip])?;
    }
    git.run(&["update-ref", "-d", TAKEN])?;
    git.run(&["read-tree", &commit.id])?;
    for trace in ["logs", "FETCH_HEAD", "ORIG_HEAD", "refs/kiln"] {
        let path = folder.join(".git").join(trace);
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
    }
    Ok(folder)
}

/// What is in it, as entries: of root, 755 and 644, objects 444 as git has them.
pub(super) fn entries(
    folder: &Path,
    mtime: Time,
    contents: &mut Contents<'_>,
) -> Result<Vec<Entry>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![LayerPath::root().join(".git").map_err(odd)?];
    while let Some(path) = folders.pop() {
        let at = folder.join(path.to_string());
        let failed = |e| Error::io(slot::shown("read", &at), e);
        found.push(Entry::folder(
            path.clone(),
            Meta {
                mtime,
                ..Meta::with_mode(0o755)
            },
        ));
        let entries: Result<Vec<_>, _> = fs::read_dir(&at).map_err(failed)?.collect();
        let mut entries = entries.map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let inner = path.join(name.as_encoded_bytes()).map_err(odd)?;
            let meta = entry.metadata().map_err(failed)?;
            if meta.is_dir() {
                folders.push(inner);
                continue;
            }
            let mut file = fs::File::open(entry.path()).map_err(failed)?;
            let mode = if meta.permissions().readonly() {
                0o444
            } else {
                0o644
            };
            found.push(Entry {
                path: inner,
                meta: Meta {
                    mtime,
                    ..Meta::with_mode(mode)
                },
                kind: Kind::File(contents.add(&mut file, meta.len())?),
            });
        }
    }
    Ok(found)
}

fn odd(e: kiln_layer::Error) -> Error {
    Error::new(ErrorKind::Io, "`.git` has a name in it that is none").because(e)
}
