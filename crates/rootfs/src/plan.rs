//! Which entries of an upper directory make up the layer, and what must change on the disk so that
//! the directory shows just what the layer's tar says. Pure: of files that look untouched it asks
//! whether they are.
//!
//! What a person would call unchanged is not in the layer: a file or folder that overlayfs copied
//! up and that equals the one below in everything, time included. The folders above an entry are,
//! even where they equal the ones below: without them, whoever unpacks the layer elsewhere would
//! have to invent their owner and mode.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kiln_image::Digest;
use kiln_layer::{
    Entry, File, Files as _, Kind, LayerPath, Meta, Root, Times, Tree, keeps_attribute,
};

use crate::upper::{Found, What};

/// The layer to be, and the way there.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What the layer has, in order. Digests and offsets of files are still to be found out.
    pub(crate) entries: BTreeMap<LayerPath, Entry>,
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
                true => self.planner.plan.steps.push(Step::Unlink(entry.path)),
                false => {
                    let path = entry.path.clone();
                    self.planner.plan.entries.insert(path, entry);
                }
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

/// The stubs upon the root are nobody's: a folder of them that was only copied up is not in the layer,
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
        plan: Plan::default(),
        questions: Vec::new(),
        same: BTreeMap::new(),
        cleared: Vec::new(),
    };
    let here: BTreeSet<&LayerPath> = found.iter().map(|f| &f.path).collect();
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
            planner.spell_out(&one.path, &here);
        }
        match planner.fate(one) {
            Fate::Keep(entry) => {
                planner.plan.entries.insert(one.path.clone(), entry);
            }
            Fate::Ask(entry, digest) => planner.questions.push(Question { entry, digest }),
            Fate::Same(entry) => {
                planner.same.insert(one.path.clone(), entry);
            }
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
    plan: Plan,
    questions: Vec<Question>,
    /// Folders that are the same as below.
    same: BTreeMap<LayerPath, Entry>,
    /// To be done after everything else.
    cleared: Vec<Step>,
}

impl Planner<'_> {
    /// A whiteout for each thing below a folder that it hides and does not have itself.
    fn spell_out(&mut self, folder: &LayerPath, here: &BTreeSet<&LayerPath>) {
        if !self.lower.lookup(folder).is_some_and(Entry::is_dir) {
            return;
        }
        for child in self.lower.tree().children(folder) {
            if !here.contains(&child.path) {
                self.whiteout(&child.path);
            }
        }
    }

    fn whiteout(&mut self, path: &LayerPath) {
        let entry = Entry::whiteout(path.clone());
        self.plan.entries.insert(path.clone(), entry);
        self.plan.steps.push(Step::Whiteout(path.clone()));
    }

    fn fate(&mut self, one: &Found) -> Fate {
        let below = self.lower.lookup(&one.path);
        let mut known = None;
        let kind = match &one.what {
            What::Whiteout if below.is_some() => return Fate::Keep(whiteout(one)),
            What::Whiteout => {
                self.plan.steps.push(Step::Unlink(one.path.clone()));
                return Fate::Drop;
            }
            What::Socket => {
                // Nothing in an image; but what it took the place of is gone.
                self.plan.steps.push(Step::Unlink(one.path.clone()));
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
                self.plan.steps.push(Step::Unlink(one.path.clone()));
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
        let (_, file) = self.lower.tree().file(&one.path)?;
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

    fn finish(mut self) -> Plan {
        let mut above = BTreeSet::new();
        for path in self.plan.entries.keys() {
            above.extend(path.ancestors());
        }
        let mut empty = Vec::new();
        for (path, entry) in self.same {
            if path.is_root() {
                continue;
            }
            if above.contains(&path) {
                self.plan.entries.insert(path, entry);
            } else {
                empty.push(Step::RemoveFolder(path));
            }
        }
        // The deepest first. A mark of a folder that goes away goes with it.
        self.plan.steps.extend(empty.into_iter().rev());
        let steps = &mut self.plan.steps;
        let entries = &self.plan.entries;
        steps.extend(self.cleared.into_iter().filter(|step| match step {
            Step::ClearOpaque(path) => entries.contains_key(path),
            _ => true,
        }));
        self.plan
    }
}

fn whiteout(one: &Found) -> Entry {
    Entry::whiteout(one.path.clone())
}

fn unread(size: u64) -> Kind {
    Kind::File(File::unread(size))
}
