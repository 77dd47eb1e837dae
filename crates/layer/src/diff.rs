//! The difference between two trees as a layer's changes. Pure.
//!
//! Removals are explicit whiteouts; opaque folders are not made. No hard link reaches into another
//! layer: when one of a file's names changed, all of them are in the difference.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Entry, Kind, LayerPath, Root, Tree};

/// The changes that make `upper` of `lower`, two whole file systems: on top of each other
/// ([`flatten`](crate::flatten)), `lower` and the difference are `upper` again, but for offsets and
/// what is kept inline. Every folder above a change is in it.
pub fn diff(lower: &Tree, upper: &Tree) -> Tree {
    let mut changed: BTreeSet<LayerPath> = upper
        .iter()
        .filter(|e| !lower.get(&e.path).is_some_and(|l| is_same(l, e)))
        .map(|e| e.path.clone())
        .collect();
    add_links(upper, &mut changed);
    let mut out = Tree::new();
    for path in &changed {
        put(&mut out, upper, path);
    }
    for entry in lower.iter() {
        let path = &entry.path;
        let Some(parent) = path.parent() else {
            continue;
        };
        // What was in a folder that is gone, or is no folder any more, went with it.
        let is_open = parent.is_root() || upper.get(&parent).is_some_and(Entry::is_dir);
        if is_open && upper.get(path).is_none() {
            if !parent.is_root() {
                put(&mut out, upper, &parent);
            }
            out.insert(Entry::whiteout(path.clone()));
        }
    }
    out
}

/// When one of a file's names changed: all of its names.
fn add_links(upper: &Tree, changed: &mut BTreeSet<LayerPath>) {
    let mut groups: BTreeMap<&LayerPath, Vec<&LayerPath>> = BTreeMap::new();
    for entry in upper.iter() {
        if let Kind::Hardlink { target } = &entry.kind {
            groups.entry(target).or_default().push(&entry.path);
        }
    }
    for (target, links) in groups {
        if changed.contains(target) || links.iter().any(|l| changed.contains(*l)) {
            changed.insert(target.clone());
            changed.extend(links.into_iter().cloned());
        }
    }
}

/// Puts an entry of `from`, and those of the folders above it.
fn put(out: &mut Tree, from: &Tree, path: &LayerPath) {
    let mut next = Some(path.clone());
    while let Some(path) = next.filter(|p| out.get(p).is_none()) {
        let Some(entry) = from.get(&path) else {
            break;
        };
        out.insert(entry.clone());
        // The root is in it only where it changed itself.
        next = path.parent().filter(|p| !p.is_root());
    }
}

/// Whether two entries are the same in everything that counts: not in where the content lies.
pub(crate) fn is_same(a: &Entry, b: &Entry) -> bool {
    let same_kind = match (&a.kind, &b.kind) {
        (Kind::File(a), Kind::File(b)) => a.size == b.size && a.digest == b.digest,
        (a, b) => a == b,
    };
    same_kind && a.meta == b.meta
}

/// The changes that the upper directory of overlayfs ([`Unpacked::scan`](crate::Unpacked::scan))
/// makes to the root beneath: opaque folders become whiteouts of what they hide, entries that were
/// copied up and equal the lower ones in everything are left out.
///
/// `same` is asked whether a file that has the size and metadata of the lower one also has its
/// content: the files of an upper directory have not been read yet.
///
/// # Errors
///
/// Those of `same`.
pub fn upper_changes<E>(
    lower: &Root,
    upper: &Tree,
    same: &mut dyn FnMut(&Entry, &Entry) -> Result<bool, E>,
) -> Result<Tree, E> {
    let mut changed = BTreeSet::new();
    let mut whiteouts = BTreeSet::new();
    // The kernel marks the topmost folder only: all folders in it hide as well.
    let mut hiding: BTreeSet<LayerPath> = BTreeSet::new();
    for entry in upper.iter() {
        let before = lower.lookup(&entry.path);
        let before = before.as_deref();
        match (&entry.kind, before.map(|e| &e.kind)) {
            (Kind::Whiteout, None) => {}
            (Kind::Whiteout, Some(_)) => {
                whiteouts.insert(entry.path.clone());
            }
            // The root has the metadata that the mount gave it.
            (Kind::Dir { .. }, _) if entry.path.is_root() => {}
            (Kind::Dir { opaque }, Some(Kind::Dir { .. })) => {
                let above = entry.path.parent();
                if *opaque || above.is_some_and(|p| hiding.contains(&p)) {
                    hiding.insert(entry.path.clone());
                    let hidden = lower.children(&entry.path).into_iter();
                    let hidden = hidden.filter(|e| upper.get(&e.path).is_none());
                    whiteouts.extend(hidden.map(|e| e.path));
                }
                if before.is_some_and(|b| b.meta != entry.meta) {
                    changed.insert(entry.path.clone());
                }
            }
            _ if is_copied_up(before, entry, same)? => {}
            _ => {
                changed.insert(entry.path.clone());
            }
        }
    }
    add_links(upper, &mut changed);
    let mut out = Tree::new();
    for path in &changed {
        put(&mut out, upper, path);
    }
    for path in whiteouts {
        if let Some(parent) = path.parent().filter(|p| !p.is_root()) {
            put(&mut out, upper, &parent);
        }
        out.insert(Entry::whiteout(path));
    }
    // What was opaque is now a plain folder with whiteouts in it.
    let plain: Vec<_> = out.iter().filter(|e| e.is_dir()).cloned().collect();
    for entry in plain {
        out.insert(Entry::folder(entry.path, entry.meta));
    }
    Ok(out)
}

fn is_copied_up<E>(
    before: Option<&Entry>,
    now: &Entry,
    same: &mut dyn FnMut(&Entry, &Entry) -> Result<bool, E>,
) -> Result<bool, E> {
    let Some(before) = before.filter(|b| b.meta == now.meta) else {
        return Ok(false);
    };
    match (&before.kind, &now.kind) {
        (Kind::File(a), Kind::File(b)) if a.size != b.size => Ok(false),
        (Kind::File(_), Kind::File(b)) if b.is_unread() => same(before, now),
        _ => Ok(is_same(before, now)),
    }
}
