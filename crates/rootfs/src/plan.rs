//! Which entries of an upper directory make up the layer, and what must change on the disk so that
//! the directory shows just what the layer's tar says. Pure: of files that look untouched it asks
//! whether they are.
//!
//! What a person would call unchanged is not in the layer: a file or folder that overlayfs copied
//! up and that equals the one below in everything, time included. The folders above an entry are,
//! even where they equal the ones below: without them, whoever unpacks the layer elsewhere would
//! have to invent their owner and mode.

use std::collections::HashMap;

use kiln_image::Digest;
use kiln_layer::{Entry, File, Kind, LayerPath, Meta, Root, Times, Tree, keeps_attribute};

use crate::upper::{Found, What};

/// The layer to be, and the way there.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What the layer has. Digests and offsets of files are still to be found out.
    pub(crate) entries: Tree,
    /// What must be done on the disk, in this order.
    pub(crate) steps: Vec<Step>,
}

/// A change of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Take away what is not a folder.
    Unlink(LayerPath),
    /// Take away an empty folder.
    RemoveFolder(LayerPath),
    /// Put a whiteout where nothing is.
    Whiteout(LayerPath),
    /// Let what is below show through again: what shall not is covered by whiteouts.
    ClearOpaque(LayerPath),
}

/// A plan but for files that look untouched.
pub(crate) struct Undecided<'a> {
    planner: Planner<'a>,
}

/// A file that looks as it does below: it is in the layer unless this is the digest of its content.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) entry: Entry,
    pub(crate) digest: Digest,
}

impl Undecided<'_> {
    /// What is asked.
    pub(crate) fn questions(&self) -> &[Question] {
        &self.planner.questions
    }

    /// The plan, given for each question whether the content is that digest's.
    pub(crate) fn decide(mut self, untouched: &[bool]) -> Plan {
        let questions = std::mem::take(&mut self.planner.questions);
        debug_assert_eq!(questions.len(), untouched.len());
        for (question, untouched) in questions.into_iter().zip(untouched) {
            let entry = question.entry;
            match untouched {
                true => self.planner.steps.push(Step::Unlink(entry.path)),
                false => self.planner.entries.push(entry),
            }
        }
        self.planner.finish()
    }
}

/// What is decided of one entry of the directory.
enum Fate {
    Keep(Entry),
    /// In the layer unless its content is this.
    Ask(Entry, Digest),
    /// The same as below: in the layer only where something in it is.
    Same(Entry),
    Drop,
}

/// `found` is in the order of its paths. The stubs upon the root are nobody's: a folder of them that was only copied up is not in the layer,
/// and neither is their removal.
pub(crate) fn plan<'a>(
    found: &[Found],
    (lower, stubs): (&'a Root, &'a Tree),
    times: Times,
) -> Undecided<'a> {
    let mut planner = Planner {
        lower,
        stubs,
        times,
        first_names: first_names(found),
        entries: Vec::with_capacity(found.len()),
        steps: Vec::new(),
        questions: Vec::new(),
        same: Vec::new(),
        cleared: Vec::new(),
    };
    let mut opaque: Vec<&LayerPath> = Vec::new();
    for one in found {
        while opaque.last().is_some_and(|top| !one.path.starts_with(top)) {
            opaque.pop();
        }
        if let What::Dir { opaque: true } = one.what {
            opaque.push(&one.path);
            planner.cleared.push(Step::ClearOpaque(one.path.clone()));
        }
        if matches!(one.what, What::Dir { .. }) && !opaque.is_empty() {
            planner.spell_out(&one.path, found);
        }
        match planner.fate(one) {
            Fate::Keep(entry) => planner.entries.push(entry),
            Fate::Ask(entry, digest) => planner.questions.push(Question { entry, digest }),
            Fate::Same(entry) => planner.same.push(entry),
            Fate::Drop => {}
        }
    }
    Undecided { planner }
}

/// For each file with several names in the directory: the first of them.
fn first_names(found: &[Found]) -> HashMap<(u32, u32, u64), (LayerPath, usize)> {
    let mut names: HashMap<_, (LayerPath, usize)> = HashMap::new();
    for one in found {
        if let What::File { links, inode, .. } = one.what
            && links > 1
        {
            let entry = names.entry(inode).or_insert_with(|| (one.path.clone(), 0));
            entry.1 += 1;
        }
    }
    names.retain(|_, (_, count)| *count > 1);
    names
}

struct Planner<'a> {
    lower: &'a Root,
    stubs: &'a Tree,
    times: Times,
    first_names: HashMap<(u32, u32, u64), (LayerPath, usize)>,
    entries: Vec<Entry>,
    steps: Vec<Step>,
    questions: Vec<Question>,
    /// Folders that are the same as below.
    same: Vec<Entry>,
    /// To be done after everything else.
    cleared: Vec<Step>,
}

impl Planner<'_> {
    /// A whiteout for each thing below a folder that it hides and does not have itself.
    fn spell_out(&mut self, folder: &LayerPath, found: &[Found]) {
        if !self.lower.lookup(folder).is_some_and(|e| e.is_dir()) {
            return;
        }
        for child in self.lower.children(folder) {
            if found
                .binary_search_by_key(&&child.path, |f| &f.path)
                .is_err()
            {
                self.whiteout(&child.path);
            }
        }
    }

    fn whiteout(&mut self, path: &LayerPath) {
        self.entries.push(Entry::whiteout(path.clone()));
        self.steps.push(Step::Whiteout(path.clone()));
    }

    fn fate(&mut self, one: &Found) -> Fate {
        let below = self.lower.lookup(&one.path);
        let below = below.as_deref();
        let mut known = None;
        let kind = match &one.what {
            What::Whiteout if below.is_some() => return Fate::Keep(whiteout(one)),
            What::Whiteout => {
                self.steps.push(Step::Unlink(one.path.clone()));
                return Fate::Drop;
            }
            What::Socket => {
                // Nothing in an image; but what it took the place of is gone.
                self.steps.push(Step::Unlink(one.path.clone()));
                if below.is_some() {
                    self.whiteout(&one.path);
                }
                return Fate::Drop;
            }
            What::File { size, inode, .. } => match self.first_names.get(inode) {
                Some((first, _)) if *first != one.path => Kind::Hardlink {
                    target: first.clone(),
                },
                Some(_) => unread(*size),
                None => {
                    known = below.and_then(|below| self.looks_untouched(one, *size, below));
                    unread(*size)
                }
            },
            What::Dir { .. } => Kind::Dir { opaque: false },
            What::Symlink { target } => Kind::Symlink {
                target: target.clone(),
            },
            &What::Char { major, minor } => Kind::Char { major, minor },
            &What::Block { major, minor } => Kind::Block { major, minor },
            What::Fifo => Kind::Fifo,
        };
        let entry = Entry {
            path: one.path.clone(),
            meta: one.meta.clone(),
            kind,
        };
        if let Some(digest) = known {
            return Fate::Ask(entry, digest);
        }
        let shown = below.or_else(|| self.stubs.get(&one.path));
        let same = shown.is_some_and(|shown| self.same(&entry, shown));
        match (&entry.kind, same) {
            (Kind::Dir { .. }, true) => Fate::Same(entry),
            (Kind::File(_) | Kind::Hardlink { .. }, _) | (_, false) => Fate::Keep(entry),
            (_, true) => {
                self.steps.push(Step::Unlink(one.path.clone()));
                Fate::Drop
            }
        }
    }

    /// The digest of a file below that everything but the content is equal to: it may have been copied
    /// up and be what it was.
    fn looks_untouched(&self, one: &Found, size: u64, below: &Entry) -> Option<Digest> {
        if !self.same_meta(&one.meta, &below.meta) {
            return None;
        }
        let file = self.lower.file(&one.path)?;
        (file.size == size).then_some(file.digest)
    }

    /// Whether what is not a file is what it was below.
    fn same(&self, entry: &Entry, below: &Entry) -> bool {
        if entry.path.is_root() {
            // Every change in the root changes its time; no tool keeps it.
            let mut meta = entry.meta.clone();
            meta.mtime = below.meta.mtime;
            return self.same_meta(&meta, &below.meta);
        }
        let kind = match (&entry.kind, &below.kind) {
            (Kind::Dir { .. }, Kind::Dir { .. }) => true,
            (ours, theirs) => ours == theirs,
        };
        kind && self.same_meta(&entry.meta, &below.meta)
    }

    /// The time counts as the tar would tell it; attributes that never get into a layer from a disk
    /// do not count.
    fn same_meta(&self, ours: &Meta, below: &Meta) -> bool {
        let time = ours.mtime == below.mtime || self.times.of(ours.mtime) == below.mtime;
        let plain = |meta: &Meta| (meta.mode, meta.uid, meta.gid);
        let below_xattrs = below
            .xattrs
            .iter()
            .filter(|(name, _)| keeps_attribute(name));
        time && plain(ours) == plain(below) && ours.xattrs.iter().eq(below_xattrs)
    }

    fn finish(self) -> Plan {
        let mut entries = Tree::from_entries(self.entries);
        let mut steps = self.steps;
        let (mut above, mut empty) = (Vec::new(), Vec::new());
        for entry in self.same.into_iter().filter(|e| !e.path.is_root()) {
            let is_above = entries.within(&entry.path).next().is_some();
            match is_above {
                true => above.push(entry),
                false => empty.push(Step::RemoveFolder(entry.path)),
            }
        }
        if !above.is_empty() {
            entries = entries.into_iter().chain(above).collect();
        }
        // The deepest first. A mark of a folder that goes away goes with it.
        steps.extend(empty.into_iter().rev());
        steps.extend(self.cleared.into_iter().filter(|step| match step {
            Step::ClearOpaque(path) => entries.get(path).is_some(),
            _ => true,
        }));
        Plan { entries, steps }
    }
}

fn whiteout(one: &Found) -> Entry {
    Entry::whiteout(one.path.clone())
}

fn unread(size: u64) -> Kind {
    Kind::File(File::unread(size))
}
