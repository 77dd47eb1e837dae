//! From an upper directory to a layer: read once for its digest, then put right on the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use kiln_image::{Algorithm, Digest};
use kiln_layer::{Content, Entry, LayerPath, Packed, Packing, Root, Times, Tree, pack_entries};
use kiln_sandbox::IdMap;

use crate::Error;
use crate::cores::each;
use crate::folder::Folder;
use crate::plan::{Question, Step, plan};
use crate::upper::{Found, on_disk, scan};

/// Packs what `upper` changes in what is `below`: a root, and stubs upon it. Afterwards `upper`, as an unpacked layer, shows exactly
/// what the tar says: no more entries, no marks of overlayfs but whiteouts, the same times.
pub(crate) fn commit(
    upper: &Path,
    below: (&Root, &Tree),
    times: Times,
    ids: Option<&IdMap>,
) -> Result<Packed, Error> {
    let mut found = scan(upper, false)?;
    let notes = ids.map_or_else(Vec::new, |ids| as_image(&mut found, below.0, ids));
    let folder = Folder::open(upper)?;
    let undecided = plan(&found, below, times);
    let untouched = each(undecided.questions(), |question| {
        let file = folder.file(&question.entry.path)?;
        is_content(file, question).map_err(|e| unreadable(upper, question, e))
    })?;
    let plan = undecided.decide(&untouched);
    let nowhere = &mut io::sink();
    let packed = pack(&folder, plan.entries.values(), times, nowhere)?;
    for step in &plan.steps {
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
    put_times_right(&folder, &found, &packed.tree, &plan.steps)?;
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
        if let Some(note) = crate::disk::as_image(one, below, ids) {
            changed.push((one.path.clone(), note));
        }
    }
    changed
}

/// Packs `entries`, with the content that their files have in `folder`.
pub(crate) fn pack<'e>(
    folder: &Folder<'_>,
    entries: impl IntoIterator<Item = &'e Entry>,
    times: Times,
    tar: &mut (dyn Write + Send),
) -> Result<Packed, Error> {
    let open = |entry: &Entry| -> Result<Content, kiln_layer::Error> {
        match folder.regular(&entry.path) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) => Err(kiln_layer::Error::from(io::Error::from(e)).at(&entry.path)),
        }
    };
    let how = Packing {
        times,
        ..Packing::default()
    };
    let packed = pack_entries(entries, &open, tar, &how);
    packed.map(|(_, packed)| packed).map_err(Into::into)
}

/// Whether `file` has the content that is asked for. Read once: where it has, it is not in the layer.
pub(crate) fn is_content(mut file: File, question: &Question) -> io::Result<bool> {
    let mut hash = blake3::Hasher::new();
    let mut buffer = vec![0; 128 << 10];
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

/// Gives each entry the time that the tar says, the folders after what is in them.
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
