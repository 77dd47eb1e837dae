//! [`Usage`]: where the bytes of layers on top of each other are, what of them is seen in the end,
//! and what need not be there: written and then removed or written again, or there twice. Pure.
//!
//! Counted are the contents of regular files, each once in its layer however many names it has.
//! What a tar adds (headers, padding) is not. It refuses to say what a folder takes on a disk.

mod place;
mod replay;
mod waste;

use std::ops::Range;

use crate::{Entry, File, LayerPath, Meta, Tree};

pub use place::Place;
pub use waste::{Duplicate, Waste};

/// Where the bytes of layers are.
///
/// ```
/// use kiln_layer::{Entry, Files, InMemory, Meta, usage::Usage};
///
/// let mut below = InMemory::new();
/// below.file("opt/tool.tar".parse()?, Meta::with_mode(0o644), "many bytes");
/// let mut above = InMemory::new();
/// above.entry(Entry::whiteout("opt/tool.tar".parse()?));
/// let usage = Usage::of(&[below.tree(), above.tree()]);
/// for waste in usage.wastes() {
///     println!("{} bytes of layer {} went with {}", waste.bytes, waste.layer, waste.by);
/// }
/// assert_eq!((usage.sum().bytes, usage.sum().seen), (10, 0));
/// # Ok::<(), kiln_layer::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Usage<'a> {
    /// By layer, then by path.
    contents: Vec<Content<'a>>,
    layers: Vec<Range<usize>>,
}

/// The content of a regular file in one layer.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The layer that has it: 0 is the bottom one.
    pub layer: usize,
    /// The file under the name that it has in the tree; hard links to it are other names.
    pub entry: &'a Entry,
    /// Its size and digest.
    pub file: &'a File,
    /// What became of it; `None` where it is seen in the end.
    pub gone: Option<Gone<'a>>,
}

/// Why a content is not seen in the end: its last name was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone<'a> {
    /// The layer that did it.
    pub by: usize,
    /// The path in that layer: of the removal, or of what is in its place; for
    /// [`Moved`](How::Moved), where the content is now.
    pub at: &'a LayerPath,
    /// How.
    pub how: How,
}

/// How a later layer took a content away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It, or a folder above it, was removed.
    Deleted,
    /// It was removed, and the same layer has it under another name.
    Moved,
    /// Something else is at its path.
    Changed,
    /// The same content is at its path once more, with other metadata or with the same.
    Repeated(Differs),
}

/// What differs between the metadata of two entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Differs {
    /// The permissions.
    pub mode: bool,
    /// The user or group.
    pub owner: bool,
    /// The time of the last change.
    pub time: bool,
    /// The extended attributes.
    pub attributes: bool,
}

impl Differs {
    /// What differs between `a` and `b`.
    pub fn between(a: &Meta, b: &Meta) -> Self {
        Self {
            mode: a.mode != b.mode,
            owner: (a.uid, a.gid) != (b.uid, b.gid),
            time: a.mtime != b.mtime,
            attributes: a.xattrs != b.xattrs,
        }
    }
}

/// Bytes of contents, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many contents.
    pub files: usize,
    /// All bytes: those of the other fields together.
    pub bytes: u64,
    /// Bytes that are seen in the end.
    pub seen: u64,
    /// Bytes that a later layer removed, or has under another name.
    pub deleted: u64,
    /// Bytes whose path has something else in a later layer, or the same once more.
    pub replaced: u64,
}

impl<'b, 'a: 'b> FromIterator<&'b Content<'a>> for Sum {
    fn from_iter<I: IntoIterator<Item = &'b Content<'a>>>(contents: I) -> Self {
        let mut sum = Self::default();
        for content in contents {
            let size = content.file.size;
            sum.files += 1;
            sum.bytes += size;
            *match content.gone.map(|g| g.how) {
                None => &mut sum.seen,
                Some(How::Deleted | How::Moved) => &mut sum.deleted,
                Some(How::Changed | How::Repeated(_)) => &mut sum.replaced,
            } += size;
        }
        sum
    }
}

impl<'a> Usage<'a> {
    /// Where the bytes of `layers` (the bottom first) are.
    pub fn of(layers: &[&'a Tree]) -> Self {
        let contents = replay::contents(layers);
        let start = |layer| contents.partition_point(|c| c.layer < layer);
        let layers = (0..layers.len()).map(|i| start(i)..start(i + 1)).collect();
        Self { contents, layers }
    }

    /// All contents: by layer, then by path.
    pub fn contents(&self) -> &[Content<'a>] {
        &self.contents
    }

    /// All layers together.
    pub fn sum(&self) -> Sum {
        self.contents.iter().collect()
    }

    /// The root of each layer, the bottom first.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Place<'_, 'a>> {
        let contents = self.layers.iter().map(|at| &self.contents[at.clone()]);
        contents.map(Place::root)
    }

    /// What is not seen in the end, the largest first: the contents that the same layer took away
    /// from the same layer in the same way are one. Empty files are left out.
    pub fn wastes(&self) -> Vec<Waste<'a>> {
        waste::wastes(&self.contents)
    }

    /// The contents that are seen in the end more than once, under names that are not hard links
    /// of each other; where most could be saved first. Empty files are left out.
    pub fn duplicates(&self) -> Vec<Duplicate<'a>> {
        waste::duplicates(&self.contents)
    }
}
