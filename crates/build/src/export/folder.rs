//! The files of images in a folder of the one who builds: they belong to him, and no link leads out of
//! the folder. What is there and not in the image stays, unless it is told to go.

use std::{collections::BTreeMap, fs, path::Path};

use kiln_durable::NewFile;
use kiln_layer::{
    Directory, Entry, Files, LayerPath, Refusal, Target as _, Times, Whiteouts, write,
};

use super::{Made, Target};
use crate::{Error, ErrorKind};

/// How many of the things that could not be made are told by name.
const TOLD: usize = 3;

/// Bits of a mode by which a program gets the rights of its file's owner, and of its group.
const SET_ID: [u32; 2] = [0o4000, 0o2000];

impl Target<'_> {
    pub(super) fn folder(
        &self,
        path: &Path,
        delete: bool,
        split: Option<bool>,
        made: &[Made],
    ) -> Result<(), Error> {
        fs::create_dir_all(path).map_err(|e| failed(path, e))?;
        let owner = owner(path)?;
        let times = match self.epoch.filter(|_| !self.request.outputs.keep_times) {
            Some(epoch) => Times::Clamp(epoch),
            None => Times::Keep,
        };
        let files = self.joined(made, split, &|entry| owned(entry, owner, times))?;
        let mut there = fs::read_dir(path).map_err(|e| failed(path, e))?;
        // Where nothing is in the way, files are made by many hands.
        let how = match there.next().is_none() {
            true => Whiteouts::Overlay,
            false => Whiteouts::Apply,
        };
        let mut directory = Directory::new(path, how)?;
        write(&files, &mut directory).map_err(|e| failed(path, e))?;
        if delete && how == Whiteouts::Apply {
            directory.clear(&LayerPath::root(), files.tree())?;
        }
        self.tell_refused(directory.refused());
        Ok(())
    }

    /// What the kernel did not let this user make is told.
    fn tell_refused(&self, refused: &[Refusal]) {
        let counts = |refusal: &&Refusal| !refusal.what.starts_with("owner ");
        let refused: Vec<&Refusal> = refused.iter().filter(counts).collect();
        if refused.is_empty() {
            return;
        }
        let named = refused.iter().take(TOLD);
        let mut named: Vec<String> = named
            .map(|r| format!("{} of `/{}`", r.what, r.path))
            .collect();
        if refused.len() > TOLD {
            named.push(format!("and {} more", refused.len() - TOLD));
        }
        let message = format!("not everything could be written: {}", named.join(", "));
        self.warn(
            message,
            Some("root can make devices; `type=tar` has everything"),
        );
    }
}

/// User and group of what is made in the folder by us.
fn owner(folder: &Path) -> Result<(u32, u32), Error> {
    let probe = NewFile::unseen_in(folder).map_err(|e| failed(folder, e))?;
    let meta = probe.file().metadata().map_err(|e| failed(folder, e))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Ok((meta.uid(), meta.gid()))
    }
    #[cfg(not(unix))]
    {
        let _ = meta;
        Ok((0, 0))
    }
}

/// An entry as it is when it is ours. The right to act as somebody goes where that would be somebody
/// else now; of attributes those stay that any user may set.
fn owned(mut entry: Entry, owner: (u32, u32), times: Times) -> Entry {
    let is_folder = entry.is_dir();
    let meta = &mut entry.meta;
    let same = [meta.uid == owner.0, meta.gid == owner.1];
    for (bit, same) in SET_ID.into_iter().zip(same) {
        if !same && !is_folder {
            meta.mode &= !bit;
        }
    }
    (meta.uid, meta.gid) = owner;
    meta.mtime = times.of(meta.mtime);
    let all = std::mem::take(&mut meta.xattrs);
    let users = all
        .into_iter()
        .filter(|(name, _)| name.starts_with(b"user."));
    meta.xattrs = users.collect::<BTreeMap<_, _>>();
    entry
}

fn failed(path: &Path, e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let what = format!("write into the folder `{}`", path.display());
    Error::new(ErrorKind::Io, what).because(e)
}
