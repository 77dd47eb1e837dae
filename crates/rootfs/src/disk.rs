//! What stands on the disk for what an image says, in a user namespace that cannot hold all of it; and
//! back. Pure.
//!
//! The disk, seen from inside, is the truth for owner and mode. An extended attribute remembers what
//! the disk cannot hold: ids that are not mapped, devices, attributes that the kernel refused. It
//! counts field by field, as long as the disk still shows what was put there for it, so that a
//! change by a process wins. Where ids are not mapped, the last one that is stands for them.
//!
//! A process may write the attribute, too. So it only counts where that gives nobody anything: an id
//! that stands for an unmapped one is 0 or the last; devices and capabilities need such an owner, or
//! the same entry below.

mod note;

use kiln_layer::{Entry, File, Kind, Tree};
use kiln_sandbox::IdMap;

pub(crate) use note::Note;

use crate::upper::{Found, What};

/// The attribute's name.
pub(crate) const ATTRIBUTE: &[u8] = b"user.kiln.stat";

/// What is to be put on the disk for `entry`, the attribute included.
pub(crate) fn on_disk(entry: &Entry, ids: &IdMap) -> Entry {
    if entry.is_whiteout() {
        return entry.clone();
    }
    let mut put = entry.clone();
    let note = Note::of(entry, ids);
    if let Some((_, shown)) = note.uid {
        put.meta.uid = shown;
    }
    if let Some((_, shown)) = note.gid {
        put.meta.gid = shown;
    }
    if note.device.is_some() {
        put.kind = Kind::File(File::unread(0));
    }
    // The kernel gives such attributes to files and folders only (xattr(7)).
    let carries = matches!(
        put.kind,
        Kind::File(_) | Kind::Dir { .. } | Kind::Hardlink { .. }
    );
    if carries && !note.is_empty() {
        put.meta.xattrs.insert(ATTRIBUTE.to_vec(), note.encode());
    }
    put
}

/// Whether the disk cannot hold all of `tree`'s entries as they are.
pub(crate) fn differs(tree: &Tree, ids: &IdMap) -> bool {
    let held = |entry: &Entry| Note::of(entry, ids).is_empty();
    !tree.iter().filter(|e| !e.is_whiteout()).all(held)
}

/// Makes what the image says of what was found on the disk. `below` is what the lower layers have in
/// its place. Gives the attribute that it should have now, where that is not the one it has.
pub(crate) fn as_image(
    found: &mut Found,
    below: Option<&Entry>,
    ids: &IdMap,
) -> Option<Option<Vec<u8>>> {
    if matches!(found.what, What::Whiteout) {
        return None;
    }
    let note = found.note.as_deref().and_then(Note::decode);
    let mut note = note.unwrap_or_default();
    let shown = (found.meta.uid, found.meta.gid);
    let stands_in = |id: u32, last: u32| id == 0 || id == last;
    let ours = stands_in(shown.0, ids.last_uid());
    match note.uid {
        Some((image, put)) if put == shown.0 && ours => found.meta.uid = image,
        _ => note.uid = None,
    }
    match note.gid {
        Some((image, put)) if put == shown.1 && stands_in(put, ids.last_gid()) => {
            found.meta.gid = image;
        }
        _ => note.gid = None,
    }
    let placeholder = matches!(found.what, What::File { size: 0, .. });
    match &note.device {
        Some(kind) if placeholder && (ours || below.is_some_and(|b| b.kind == *kind)) => {
            found.what = device(kind).unwrap_or(found.what.clone());
        }
        _ => note.device = None,
    }
    let here = &mut found.meta.xattrs;
    note.xattrs.retain(|name, value| {
        // All but this one an owner may set.
        let free = name.as_slice() != b"security.capability";
        let as_below = below.is_some_and(|b| b.meta.xattrs.get(name) == Some(value));
        !here.contains_key(name) && (free || ours || as_below)
    });
    here.extend(note.xattrs.clone());
    if let Some(below) = below.filter(|below| is_same_link(&found.what, &below.kind)) {
        let put = on_disk(below, ids).meta;
        if put.uid == shown.0 {
            found.meta.uid = below.meta.uid;
        }
        if put.gid == shown.1 {
            found.meta.gid = below.meta.gid;
        }
        return None;
    }
    let wanted = (!note.is_empty()).then(|| note.encode());
    (wanted != found.note).then_some(wanted)
}

fn device(kind: &Kind) -> Option<What> {
    match *kind {
        Kind::Char { major, minor } => Some(What::Char { major, minor }),
        Kind::Block { major, minor } => Some(What::Block { major, minor }),
        _ => None,
    }
}

/// Links and pipes cannot carry the attribute; what is below tells whose they are.
fn is_same_link(what: &What, below: &Kind) -> bool {
    match (what, below) {
        (What::Symlink { target }, Kind::Symlink { target: below }) => target == below,
        (What::Fifo, Kind::Fifo) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
