//! From an upper directory to a layer: read once for its digest, then put right on the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use kiln_image::{Algorithm, Digest};
use kiln_layer::{Content, Files, LayerPath, Opening, Packed, Root, Times, Tree};
use kiln_sandbox::IdMap;

use crate::cores::each;
use crate::folder::{Folder, both};
use crate::plan::{Plan, Question, Step, plan};
use crate::upper::{Found, on_disk, scan};
use crate::{Commit, Error};

/// Packs what `upper` changes in what is `below`: a root, and stubs upon it. Afterwards `upper`, as an unpacked layer, shows exactly
/// what the tar says: no more entries, no marks of overlayfs but whiteouts, the same times.
pub(crate) fn commit(
    upper: &Path,
    below: (&Root, &Tree),
    how: &Commit,
    ids: Option<&IdMap>,
) -> Result<Packed, Error> {
    let times = how.times;
    let mut found = scan(upper, false)?;
    let notes = ids.map_or_else(Vec::new, |ids| as_image(&mut found, below.0, ids));
    let folder = Folder::open(upper)?;
    let undecided = plan(&found, below, times);
    let untouched = each(undecided.questions(), |question| {
        let file = folder.file(&question.entry.path)?;
        is_content(file, question).map_err(|e| unreadable(upper, question, e))
    })?;
    let Plan { entries, steps } = undecided.decide(&untouched);
    let files = Changes {
        folder: &folder,
        entries,
        times,
    };
    let (watched, packed) = kiln_layer::pack(&files, how.watch.over(io::sink()), times)?;
    if let Some(found) = watched.sighting(&packed.tree) {
        return Err(Error::sighted(&found));
    }
    for step in &steps {
        match step {
            Step::Unlink(path) => folder.unlink(path)?,
            Step::RemoveFolder(path) => folder.remove_folder(path)?,
            Step::Whiteout(path) => folder.whiteout(path)?,
            Step::ClearOpaque(path) => folder.clear_opaque(path)?,
        }
    }
    for (path, note) in notes {
        if packed.tree.get(&path).is_some() {
            folder.set_note(&path, note.as_deref())?;
        }
    }
    put_times_right(&folder, &found, &packed.tree, &steps)?;
    Ok(packed)
}

/// Makes what the image says of what the disk shows. Gives the attributes that must change for that.
pub(crate) fn as_image(
    found: &mut [Found],
    lower: &Root,
    ids: &IdMap,
) -> Vec<(LayerPath, Option<Vec<u8>>)> {
    let mut changed = Vec::new();
    for one in found {
        let below = lower.lookup(&one.path);
        if let Some(note) = crate::disk::as_image(one, below.as_deref(), ids) {
            changed.push((one.path.clone(), note));
        }
    }
    changed
}

/// What the layer has, and a way to its files, which get the times that the tar says while they are
/// open.
struct Changes<'a> {
    folder: &'a Folder<'a>,
    entries: Tree,
    times: Times,
}

impl Changes<'_> {
    fn put_time_right(&self, path: &LayerPath, file: &File) -> io::Result<()> {
        let Some(entry) = self.entries.get(path) else {
            return Ok(());
        };
        let (shown, wanted) = (entry.meta.mtime, self.times.of(entry.meta.mtime));
        if shown != wanted {
            rustix::fs::futimens(file, &both(wanted))?;
        }
        Ok(())
    }
}

impl Files for Changes<'_> {
    fn tree(&self) -> &Tree {
        &self.entries
    }

    fn open(&self, path: &LayerPath) -> io::Result<Content> {
        (self.opening())(path)
    }

    fn opening(&self) -> Opening<'_> {
        let mut near = self.folder.near();
        Box::new(move |path| {
            let file = near.file(path)?;
            self.put_time_right(path, &file)?;
            Ok(Box::new(file))
        })
    }
}

/// How much is read at once.
const MOST: usize = 128 << 10;

/// Whether `file` has the content that is asked for. Read once: where it has, it is not in the layer.
pub(crate) fn is_content(mut file: File, question: &Question) -> io::Result<bool> {
    let mut hash = blake3::Hasher::new();
    let size = question.entry.file().map_or(0, |file| file.size);
    let room = usize::try_from(size).map_or(MOST, |size| MOST.min(size + 1));
    let mut buffer = vec![0; room];
    loop {
        let n = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hash.update(&buffer[..n]);
    }
    let found = Digest::new(Algorithm::Blake3, *hash.finalize().as_bytes());
    Ok(found == question.digest)
}

pub(crate) fn unreadable(upper: &Path, question: &Question, e: io::Error) -> Error {
    Error::io("read", &on_disk(upper, &question.entry.path), e)
}

/// Gives each entry the time that the tar says, the folders after what is in them. Files with a content
/// have theirs already, and so have their other names.
fn put_times_right(
    folder: &Folder<'_>,
    found: &[Found],
    tree: &Tree,
    steps: &[Step],
) -> Result<(), Error> {
    let mut touched = BTreeSet::new();
    for step in steps {
        if let Step::Unlink(path) | Step::RemoveFolder(path) | Step::Whiteout(path) = step {
            touched.extend(path.parent());
        }
    }
    for one in found.iter().rev() {
        let wanted = match tree.get(&one.path) {
            Some(entry) if entry.is_whiteout() => continue,
            Some(entry) if entry.file().is_some_and(|file| file.size > 0) => continue,
            Some(entry) => entry.meta.mtime,
            // The root has its time from below; what else is not in the tree is gone.
            None if one.path.is_root() => one.meta.mtime,
            None => continue,
        };
        if wanted != one.meta.mtime || touched.contains(&one.path) {
            folder.set_time(&one.path, wanted)?;
        }
    }
    Ok(())
}
