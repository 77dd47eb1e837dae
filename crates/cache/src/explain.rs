//! Why two records differ: the first difference, by name.

use crate::{Part, Record};

/// The first thing in which two records differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// What it was in the first record; `None`: it was not there.
    pub was: Option<&'a Part>,
    /// What it is in the second record; `None`: it is not there any more.
    pub is: Option<&'a Part>,
}

impl Difference<'_> {
    /// The name of the part, as the second record has it where it is there.
    pub fn name(&self) -> &str {
        self.is.or(self.was).map_or("", |part| &part.name)
    }
}

/// The first part in which `a` (say, the record of the last build) and `b` (what would be recorded
/// now) differ; `None` when all parts are equal. Values and refs are results and do not count.
///
/// A part that only one of them has is told as such, even where others follow.
///
/// ```
/// use kiln_cache::{Part, Record, explain};
/// let record = |app: &str| Record {
///     parts: vec![Part::new("base image", "debian:13"), Part::new("file app.py", app)],
///     ..Record::default()
/// };
/// let (old, new) = (record("blake3:1"), record("blake3:2"));
/// assert_eq!(explain(&old, &new).unwrap().name(), "file app.py");
/// assert_eq!(explain(&old, &old), None);
/// ```
pub fn explain<'a>(a: &'a Record, b: &'a Record) -> Option<Difference<'a>> {
    let at = |i| (a.parts.get(i), b.parts.get(i));
    let longer = a.parts.len().max(b.parts.len());
    let first = (0..longer).find(|i| {
        let (was, is) = at(*i);
        was != is
    })?;
    let (was, is) = at(first);
    let (Some(old), Some(new)) = (was, is) else {
        return Some(Difference { was, is });
    };
    let later = |parts: &[Part], name: &str| parts[first..].iter().any(|p| p.name == name);
    if old.name == new.name {
        Some(Difference { was, is })
    } else if !later(&b.parts, &old.name) {
        Some(Difference { was, is: None })
    } else if !later(&a.parts, &new.name) {
        Some(Difference { was: None, is })
    } else {
        Some(Difference { was, is })
    }
}
